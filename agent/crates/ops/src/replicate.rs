//! `backup replicate`, `backup replicate-all`: copies that are missing.

use backstop_model::{Fault, Place, WorkloadName};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::gated;
use crate::context::Context;
use crate::gate::validation::Asked;
use crate::many;
use crate::report::RunReport;
use crate::request::{Replicate, Whereabouts};
use crate::settle;

/// Copies one backup, or whatever is missing.
///
/// # Errors
/// Unknown names; a vault that does not open.
pub fn replicate(ctx: &Context, request: &Replicate, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let backup = request.backup.as_deref().map(|name| ctx.backup(name)).transpose()?;
    let workloads: Vec<WorkloadName> = match (&backup, &request.workload) {
        (Some(backup), _) => vec![ctx.workload_of(backup)?.name.clone()],
        (None, Some(name)) => vec![ctx.workload(name)?.name.clone()],
        (None, None) => {
            ctx.config.workloads.values().filter(|w| !w.schedule.copies.is_empty()).map(|w| w.name.clone()).collect()
        }
    };
    if let Some(Whereabouts::Place(Place::Vault(name))) = &request.to {
        ctx.vault(name)?;
    }
    many::each(&workloads, request.max_parallel, |name| {
        let workload = ctx.workload(name)?;
        if !request.dry_run {
            settle::before(ctx, name, progress)?;
        }
        let to = request.to.as_ref().map(|to| to.of(&ctx.config, workload)).transpose()?;
        let asked = planner::replicate::Request { backup: backup.as_ref().map(|b| b.name.clone()), to };
        let plan = planner::replicate::plan(workload, &ctx.backups_of(name)?, &asked, ctx.now()?)?;
        let region = asked.to.as_ref().and_then(|place| crate::row::region_of(&ctx.config, place));
        let gate = Asked::new("replicate", Some(name)).backup(asked.backup).text("to", asked.to).text("region", region);
        gated(ctx, gate, plan, request.dry_run, None, progress).map(|report| vec![report])
    })
}
