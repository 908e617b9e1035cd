//! `backup replication-status` and `backup replication-jobs`: what is where, and what is on its way.

use backstop_catalog::ReplicationFilter;
use backstop_model::{Fault, ReplicationState, Span, Timestamp, WorkloadName};
use backstop_observe::replication as observed;
use serde::Serialize;

use crate::Context;
use crate::list::known;

pub use backstop_observe::replication::{PlaceStatus, ReplicationLine, ReplicationStatus};

/// Replications that ended, as far back as a status tells of them.
const TOLD: Span = Span::from_days(31);
const TOLD_MAX: u32 = 1000;

/// The status of some workloads.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// When this was read.
    pub now: Timestamp,
    /// Per workload.
    pub workloads: Vec<ReplicationStatus>,
}

/// Replications.
#[derive(Debug, Clone, Serialize)]
pub struct Jobs {
    /// When this was read.
    pub now: Timestamp,
    /// Whether only the newest of those that fit are shown.
    pub cut: bool,
    /// Newest first.
    pub jobs: Vec<Job>,
}

/// One replication with its workload.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// The workload.
    pub workload: WorkloadName,
    /// The replication.
    #[serde(flatten)]
    pub line: ReplicationLine,
}

/// The status of one workload, or of every one that promises copies.
///
/// # Errors
/// An unknown workload, or a catalog that cannot be read.
pub fn status(ctx: &Context, workload: Option<&WorkloadName>) -> Result<Status, Fault> {
    let now = ctx.outside.clock.now();
    let names: Vec<WorkloadName> = match workload {
        Some(name) => vec![known(ctx, name)?.workload],
        None => {
            let copied = ctx.config.workloads.values().filter(|workload| !workload.schedule.copies.is_empty());
            copied.map(|workload| workload.name.clone()).collect()
        }
    };
    let mut workloads = Vec::new();
    for name in names {
        let backups = ctx.backups_of(&name)?;
        let places = ctx.config.workloads.get(&name).map(|workload| workload.schedule.copies.clone());
        let since = Some(TOLD.before(now));
        let filter =
            ReplicationFilter { workload: Some(name.clone()), since, limit: Some(TOLD_MAX), ..Default::default() };
        let replications = ctx.catalog.replications(&filter)?;
        workloads.push(observed::status(&name, &backups, &places.unwrap_or_default(), &replications, now));
    }
    Ok(Status { now, workloads })
}

/// Lists replications.
///
/// # Errors
/// A catalog that cannot be read.
pub fn jobs(
    ctx: &Context,
    workload: Option<&WorkloadName>,
    state: Option<ReplicationState>,
    limit: u32,
) -> Result<Jobs, Fault> {
    let now = ctx.outside.clock.now();
    let limit_more = Some(limit.saturating_add(1));
    let filter =
        ReplicationFilter { workload: workload.cloned(), state, limit: limit_more, ..ReplicationFilter::default() };
    let mut found = ctx.catalog.replications(&filter)?;
    let cut = found.len() > limit as usize;
    found.truncate(limit as usize);
    let mut jobs = Vec::new();
    for replication in &found {
        // One at a time, for the failed ones that were made good since are asked for here as well.
        let status = observed::status(&replication.workload, &[], &[], std::slice::from_ref(replication), now);
        let lines = status.open.into_iter().chain(status.failed).chain(status.completed);
        jobs.extend(lines.map(|line| Job { workload: replication.workload.clone(), line }));
    }
    Ok(Jobs { now, cut, jobs })
}
