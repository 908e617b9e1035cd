//! `backup verify`, `backup verify-all`: evidence, one copy at a time.

use backstop_model::{Fault, WorkloadName};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::carry_out;
use crate::context::Context;
use crate::gate::validation::{Asked, validate};
use crate::many;
use crate::report::RunReport;
use crate::request::Verify;
use crate::settle;

/// Proves copies: those asked for, or those whose proof is missing or too old.
///
/// # Errors
/// Unknown names, a level that only `dr test` reaches, a vault that does not open.
pub fn verify(ctx: &Context, request: &Verify, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let backup = request.backup.as_deref().map(|name| ctx.backup(name)).transpose()?;
    let workloads: Vec<WorkloadName> = match (&backup, &request.workload) {
        (Some(backup), _) => vec![ctx.workload_of(backup)?.name.clone()],
        (None, Some(name)) => vec![ctx.workload(name)?.name.clone()],
        (None, None) => ctx.config.workloads.keys().cloned().collect(),
    };
    let asked = planner::verify::Request {
        backup: backup.as_ref().map(|b| b.name.clone()),
        place: request.place.clone(),
        level: request.level,
        again: request.again,
        sample_ppm: request.sample_ppm,
    };
    many::each(&workloads, request.max_parallel, |name| {
        let workload = ctx.workload(name)?;
        if !request.dry_run {
            settle::before(ctx, name, progress)?;
        }
        let plans = planner::verify::plans(workload, &ctx.backups_of(name)?, &asked, &ctx.staging(), ctx.now()?)?;
        if plans.iter().all(|plan| plan.steps.is_empty()) {
            return plans.into_iter().map(|plan| carry_out(ctx, plan, request.dry_run, None, progress)).collect();
        }
        // One request, however many copies it checks.
        let gate = Asked::new("verify", Some(name)).backup(asked.backup.as_ref());
        let gate = gate.text("level", request.level).text("place", request.place.as_ref());
        let accepted = validate(ctx, gate, request.dry_run)?;
        let mut reports: Vec<RunReport> = plans
            .into_iter()
            .map(|plan| carry_out(ctx, plan, request.dry_run, None, progress))
            .collect::<Result<_, Fault>>()?;
        if let Some(first) = reports.first_mut() {
            accepted.tell(first);
        }
        Ok(reports)
    })
}
