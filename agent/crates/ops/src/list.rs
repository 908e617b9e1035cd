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
