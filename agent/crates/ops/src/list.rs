//! `backup list`: which backups there are, where their copies are and what is proved about them.

use std::collections::BTreeMap;

use backstop_catalog::{BackupFilter, StateKind};
use backstop_model::{Backup, BackupName, BackupState, Fault, Level, Span, Tier, Timestamp, WorkloadName};
use serde::Serialize;

use crate::row::{Keep, Row};
use crate::{Context, keeping};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Of this workload.
    pub workload: Option<WorkloadName>,
    /// Holding this tier.
    pub tier: Option<Tier>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// No copy is proved to the level that the schedule promises.
    pub unverified: bool,
    /// Past retention already, or within this time.
    pub expiring: Option<Span>,
    /// In the trash instead of kept.
    pub trash: bool,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// The backups.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// When this was read.
    pub now: Timestamp,
    /// Of which workload; `None` is all.
    pub workload: Option<WorkloadName>,
    /// How many backups are kept, shown or not.
    pub kept: u64,
    /// How many are in the trash.
    pub trashed: u64,
    /// Whether only the newest of those that fit are shown.
    pub cut: bool,
    /// Those that fit, newest first.
    pub backups: Vec<Row>,
}

/// Lists backups.
///
/// # Errors
/// An unknown workload, or a catalog that cannot be read.
pub fn list(ctx: &Context, request: &Request) -> Result<Listed, Fault> {
    let now = ctx.outside.clock.now();
    let standings = match &request.workload {
        Some(name) => vec![known(ctx, name)?],
        None => ctx.catalog.standings()?,
    };
    let kept = standings.iter().map(|standing| u64::from(standing.present)).sum();
    let trashed = standings.iter().map(|standing| u64::from(standing.trashed)).sum();
    let sieved = request.unverified || request.expiring.is_some();
    let filter = BackupFilter {
        workload: request.workload.clone(),
        tier: request.tier.clone(),
        since: request.since,
        states: vec![if request.trash { StateKind::Trashed } else { StateKind::Present }],
        // One more than is shown tells whether something was left off; what is sieved below is cut there.
        limit: request.limit.filter(|_| !sieved).map(|limit| limit.saturating_add(1)),
        ..BackupFilter::default()
    };
    let mut backups = ctx.catalog.backups(&filter)?;
    if request.unverified {
        backups.retain(|backup| backup.level() < Some(promised(ctx, &backup.workload)));
    }
    let mut keeps = BTreeMap::new();
    if request.workload.is_some() || request.expiring.is_some() {
        keeps = verdicts(ctx, &backups, now)?;
    }
    if let Some(within) = request.expiring {
        let horizon = within.after(now);
        let soon = |keep: &Keep| !keep.keep || keep.expires.is_some_and(|at| at <= horizon);
        backups.retain(|backup| keeps.get(&backup.name).is_some_and(soon));
    }
    let limit = request.limit.map_or(usize::MAX, |limit| limit as usize);
    let cut = backups.len() > limit;
    backups.truncate(limit);
    let row = |backup: &Backup| Row { keep: keeps.remove(&backup.name), ..Row::of(&ctx.config, backup) };
    let backups = backups.iter().map(row).collect();
    Ok(Listed { now, workload: request.workload.clone(), kept, trashed, cut, backups })
}

/// The standing of a workload that is configured or has, or had, a backup.
pub(crate) fn known(ctx: &Context, name: &WorkloadName) -> Result<backstop_model::Standing, Fault> {
    if !ctx.config.workloads.contains_key(name) && !ctx.catalog.workloads()?.contains(name) {
        ctx.workload(name)?;
    }
    Ok(ctx.catalog.standing(name)?)
}

/// The level promised for a workload; what is configured no more was promised intact bytes at least.
pub(crate) fn promised(ctx: &Context, workload: &WorkloadName) -> Level {
    ctx.config.workloads.get(workload).map_or(Level::L1, |workload| workload.schedule.promised_level())
}

/// Verdicts look at every backup of a workload, whatever was filtered out here.
fn verdicts(ctx: &Context, backups: &[Backup], now: Timestamp) -> Result<BTreeMap<BackupName, Keep>, Fault> {
    let mut keeps = BTreeMap::new();
    let workloads: std::collections::BTreeSet<&WorkloadName> =
        backups.iter().filter(|backup| backup.state == BackupState::Present).map(|backup| &backup.workload).collect();
    for workload in workloads {
        keeps.extend(keeping::verdicts(ctx, workload, &ctx.backups_of(workload)?, now)?);
    }
    Ok(keeps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, context};

    fn names(request: &Request) -> (Vec<String>, bool) {
        let (ctx, _) = context();
        for (name, created, level) in [
            ("b1", "2026-05-17T02:00:00Z", Level::L3),
            ("b2", "2026-05-18T02:00:00Z", Level::L1),
            ("b3", "2026-05-19T02:00:00Z", Level::L3),
            ("b4", "2026-05-20T02:00:00Z", Level::L0),
        ] {
            ctx.catalog.record_backup(&backup(name, created, level)).expect("recorded");
        }
        let listed = list(&ctx, request).expect("a list");
        assert_eq!(listed.kept, 4);
        (listed.backups.iter().map(|row| row.name.to_string()).collect(), listed.cut)
    }

    #[test]
    fn what_is_unverified_is_measured_by_the_promise_and_what_expires_by_retention() {
        let all = Request::default();
        assert_eq!(names(&all).0, ["b4", "b3", "b2", "b1"]);
        assert_eq!(names(&Request { unverified: true, ..all.clone() }).0, ["b4", "b2"]);
        // Two days are kept: of the others, the newest proved off-site copy is not needed beside newer ones.
        assert_eq!(names(&Request { expiring: Some(Span::ZERO), ..all.clone() }).0, ["b2", "b1"]);
        assert_eq!(names(&Request { expiring: Some(Span::from_days(1)), ..all.clone() }).0, ["b3", "b2", "b1"]);
        assert_eq!(names(&Request { limit: Some(3), ..all }), (vec!["b4".into(), "b3".into(), "b2".into()], true));
    }

    #[test]
    fn an_unknown_workload_is_told_with_those_there_are() {
        let (ctx, _) = context();
        let request = Request { workload: Some("nope".parse().expect("valid")), ..Request::default() };
        let fault = list(&ctx, &request).expect_err("unknown");
        assert_eq!((fault.code, fault.hint.as_str()), (backstop_model::ExitCode::NotFound, "configured are: docs"));
    }
}
