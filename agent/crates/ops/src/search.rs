//! `backup search`: backups by whatever a person remembers of them: part of a name, a workload, a tier, a day.

use std::collections::{BTreeMap, BTreeSet};

use backstop_catalog::{BackupFilter, StateKind};
use backstop_model::{Backup, BackupName, Fault, Tier, Timestamp, WorkloadName};
use serde::Serialize;

use crate::Context;
use crate::row::Row;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The text; an upper-case letter means the same as a lower-case one, except in names of backups.
    pub text: String,
    /// The newest so many.
    pub limit: u32,
}

/// What fits.
#[derive(Debug, Clone, Serialize)]
pub struct Searched {
    /// When this was read.
    pub now: Timestamp,
    /// The text.
    pub text: String,
    /// Workloads whose name holds the text.
    pub workloads: Vec<WorkloadName>,
    /// Whether only the newest of those that fit are shown.
    pub cut: bool,
    /// Kept and released backups that fit, newest first.
    pub backups: Vec<Row>,
}

/// Searches the catalog.
///
/// # Errors
/// An empty text, or a catalog that cannot be read.
pub fn search(ctx: &Context, request: &Request) -> Result<Searched, Fault> {
    let text = request.text.trim();
    if text.is_empty() {
        return Err(Fault::usage("there is nothing to search for", "give part of a name, a tier, or a day"));
    }
    let now = ctx.outside.clock.now();
    let lower = text.to_lowercase();
    let mut workloads: BTreeSet<WorkloadName> = ctx.catalog.workloads()?;
    workloads.extend(ctx.config.workloads.keys().cloned());
    workloads.retain(|name| name.as_str().to_lowercase().contains(&lower));

    let more = request.limit.saturating_add(1);
    let base = || BackupFilter {
        states: vec![StateKind::Present, StateKind::Trashed],
        limit: Some(more),
        ..Default::default()
    };
    let mut filters = vec![BackupFilter { text: Some(text.to_owned()), ..base() }];
    if let Some(day) = day(text) {
        filters.push(BackupFilter { since: Some(day.0), until: Some(day.1), ..base() });
    }
    if let Ok(tier @ (Tier::Daily | Tier::Weekly | Tier::Monthly)) = lower.parse() {
        filters.push(BackupFilter { tier: Some(tier), ..base() });
    }
    filters.extend(workloads.iter().map(|name| BackupFilter { workload: Some(name.clone()), ..base() }));
    let mut found: BTreeMap<BackupName, Backup> = BTreeMap::new();
    for filter in &filters {
        found.extend(ctx.catalog.backups(filter)?.into_iter().map(|backup| (backup.name.clone(), backup)));
    }
    let mut found: Vec<Backup> = found.into_values().collect();
    found.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
    let cut = found.len() > request.limit as usize;
    found.truncate(request.limit as usize);
    let backups = found.iter().map(|backup| Row::of(&ctx.config, backup)).collect();
    Ok(Searched { now, text: text.to_owned(), workloads: workloads.into_iter().collect(), cut, backups })
}

/// `2026-05`, `2026-05-20`: the month or day in UTC, its end excluded.
fn day(text: &str) -> Option<(Timestamp, Timestamp)> {
    let instant = |date: &str| format!("{date}T00:00:00Z").parse::<Timestamp>().ok();
    let parts: Vec<i32> = text.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    match parts.as_slice() {
        [year, month] => {
            let (next_year, next_month) = if *month == 12 { (year + 1, 1) } else { (*year, month + 1) };
            let from = instant(&format!("{year:04}-{month:02}-01"))?;
            Some((from, instant(&format!("{next_year:04}-{next_month:02}-01"))?))
        }
        [year, month, day] => {
            let from = instant(&format!("{year:04}-{month:02}-{day:02}"))?;
            Some((from, backstop_model::Span::from_days(1).after(from)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_or_a_day_is_a_stretch_of_time_and_other_text_is_not() {
        let shown = |text| day(text).map(|(from, to)| (from.to_string(), to.to_string()));
        let pair = |from: &str, to: &str| Some((format!("{from}T00:00:00Z"), format!("{to}T00:00:00Z")));
        assert_eq!(shown("2026-05-31"), pair("2026-05-31", "2026-06-01"));
        assert_eq!(shown("2026-12"), pair("2026-12-01", "2027-01-01"));
        for text in ["docs", "2026", "2026-13", "2026-02-30", "1-2-3-4", "-"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
