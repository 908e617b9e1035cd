//! What retention says about the backups of a workload, for those who want to read it.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::{Backup, BackupName, Fault, Timestamp, WorkloadName};
use backstop_planner::retention::{self, Terms};
use backstop_planner::{Calendar, choice};

use crate::Context;
use crate::gate::{self, Asking};
use crate::row::Keep;

/// The verdict on every kept backup of a workload. Empty when it is configured no more: nothing is released then.
///
/// # Errors
/// When the schedule's time zone is unknown.
pub fn verdicts(
    ctx: &Context,
    workload: &WorkloadName,
    backups: &[Backup],
    now: Timestamp,
) -> Result<BTreeMap<BackupName, Keep>, Fault> {
    let Some(workload) = ctx.config.workloads.get(workload) else { return Ok(BTreeMap::new()) };
    if gate::retention::is_bound(ctx, &workload.name) {
        let judged = gate::retention::judge(ctx, workload, backups, &BTreeSet::new(), Asking::Looking)?;
        return Ok(judged.verdicts.iter().map(|verdict| (verdict.backup.clone(), Keep::from(verdict))).collect());
    }
    let calendar = Calendar::of(&workload.schedule)?;
    let offsite = choice::offsite(&ctx.config, &workload.schedule);
    let terms = Terms {
        calendar: &calendar,
        promised: workload.schedule.verify.map(|rule| rule.level),
        offsite: &offsite,
        enabled: workload.enabled,
        now,
    };
    let verdicts = retention::verdicts(&terms, backups);
    Ok(verdicts.iter().map(|verdict| (verdict.backup.clone(), Keep::from(verdict))).collect())
}
