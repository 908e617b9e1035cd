//! `backup restore`, `restore undo`.

use backstop_model::{Fault, Outcome, RunId, Verb};
use backstop_planner as planner;
use backstop_planner::restore::{Destination, Which};
use backstop_seams::Progress;

use crate::carry::{carry_out, new_run_id};
use crate::context::Context;
use crate::report::RunReport;
use crate::request::{Pick, Restore, Undo};
use crate::settle;

/// Brings a backup back.
///
/// # Errors
/// Unknown names, no such backup or copy, a destination that makes no sense.
pub fn restore(ctx: &Context, request: &Restore, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let workload = ctx.workload(&request.workload)?;
    if !request.dry_run {
        settle::before(ctx, &workload.name, progress)?;
    }
    let which = match &request.pick {
        Pick::Newest => Which::Newest,
        Pick::Named(name) => {
            let backup = ctx.backup(name)?;
            if backup.workload != workload.name {
                return Err(Fault::usage(
                    format!("backup `{}` is one of `{}`, not of `{}`", backup.name, backup.workload, workload.name),
                    format!("`backstop backup list {}` shows what there is", workload.name),
                ));
            }
            Which::Named(backup.name)
        }
        Pick::At(instant) => Which::At(*instant),
    };
    let now = ctx.now()?;
    let asked = planner::restore::Request {
        which,
        from: request.from.clone(),
        to: request.to.clone().map_or(Destination::InPlace, Destination::Directory),
        selection: request.selection.clone(),
        overwrite: request.overwrite,
    };
    let id = new_run_id(ctx, now);
    let taken = ctx.catalog.taken_names(workload.name.as_str())?;
    let backups = ctx.backups_of(&workload.name)?;
    let mut plan = planner::restore::plan(workload, &backups, &asked, &id, &|name| taken.contains(name), now)?;
    if !request.reason.is_empty() {
        plan.reasons.push(request.reason.clone());
    }
    let mut report = carry_out(ctx, plan, request.dry_run, Some(id), progress)?;
    let written = matches!(report.outcome, Some(Outcome::Done | Outcome::Partial));
    if let Some(dir) = request.to.as_ref().filter(|_| written) {
        report.next.push(format!("what was restored stands below {}", dir.display()));
    }
    Ok(report)
}

/// Puts the old tree back after a restore in place.
///
/// # Errors
/// When there is no such restore, or it exchanged nothing.
pub fn undo(ctx: &Context, request: &Undo, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let workload = ctx.workload(&request.workload)?;
    settle::before(ctx, &workload.name, progress)?;
    let id: RunId = match &request.run {
        Some(id) => id.clone(),
        None => {
            let filter = backstop_catalog::RunFilter {
                workload: Some(workload.name.clone()),
                verb: Some(Verb::Restore),
                outcome: Some(Outcome::Done),
                ..Default::default()
            };
            let swaps = |run: &backstop_model::Run| {
                run.plan.steps.iter().any(|step| matches!(step.action, backstop_model::Action::SwapIn { .. }))
            };
            let newest = ctx.catalog.runs(&filter)?.into_iter().find(swaps);
            newest.map(|run| run.id).ok_or_else(|| {
                Fault::not_found(format!("`{}` was never restored in place", workload.name), "see `backstop run list`")
            })?
        }
    };
    let restored = ctx
        .catalog
        .run(&id)?
        .ok_or_else(|| Fault::not_found(format!("there is no run `{id}`"), "see `backstop run list`"))?;
    let now = ctx.now()?;
    let undo = new_run_id(ctx, now);
    let mut plan = planner::restore::undo(&restored, &undo, now)?;
    if !request.reason.is_empty() {
        plan.reasons.push(request.reason.clone());
    }
    carry_out(ctx, plan, false, Some(undo), progress)
}
