//! `dr test`, `dr test-all`: recovery rehearsed in isolation, measured, and always cleaned up.

use backstop_model::{Fault, WorkloadName};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::gated;
use crate::context::Context;
use crate::gate::health;
use crate::gate::validation::Asked;
use crate::many;
use crate::report::RunReport;
use crate::request::DrTestRequest;
use crate::settle;

/// Rehearses the recovery of one workload, or of all that promise rehearsals.
///
/// # Errors
/// Unknown names, no backup to test, a vault that does not open.
pub fn test(ctx: &Context, request: &DrTestRequest, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let backup = request.backup.as_deref().map(|name| ctx.backup(name)).transpose()?;
    let workloads: Vec<WorkloadName> = match (&backup, &request.workload) {
        (Some(backup), _) => vec![ctx.workload_of(backup)?.name.clone()],
        (None, Some(name)) => vec![ctx.workload(name)?.name.clone()],
        (None, None) => {
            ctx.config.workloads.values().filter(|w| w.schedule.dr_test.is_some()).map(|w| w.name.clone()).collect()
        }
    };
    // One at a time: a rehearsal that shares the machine with another measures the other as well.
    many::each(&workloads, 1, |name| {
        let workload = ctx.workload(name)?;
        if !request.dry_run {
            settle::before(ctx, name, progress)?;
        }
        let from = request.from.as_ref().map(|from| from.of(&ctx.config, workload)).transpose()?;
        let asked = planner::drtest::Request {
            backup: backup.as_ref().map(|b| b.name.clone()),
            from,
            policies: health::policies(ctx, workload),
        };
        let plan = planner::drtest::plan(workload, &ctx.backups_of(name)?, &asked, &ctx.staging(), ctx.now()?)?;
        let gate = Asked::new("dr-test", Some(name)).backup(asked.backup).text("from", asked.from);
        gated(ctx, gate, plan, request.dry_run, None, progress).map(|report| vec![report])
    })
}
