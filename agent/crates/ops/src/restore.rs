//! `backup restore`, `restore undo`.

use backstop_model::config::Workload;
use backstop_model::plan::Overwrite;
use backstop_model::policy::health::{Restored, RestoredTree};
use backstop_model::{Action, BackupName, ExitCode, Fault, Outcome, Plan, Run, RunId, Verb};
use backstop_planner as planner;
use backstop_planner::restore::{Destination, Which};
use backstop_seams::Progress;

use crate::carry::{gated, new_run_id};
use crate::context::Context;
use crate::gate::health;
use crate::gate::validation::Asked;
use crate::report::RunReport;
use crate::request::{Pick, Restore, Undo};
use crate::{prune, settle};

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
    let chosen = backup_of(&plan);
    let gate = Asked::new("restore", Some(&workload.name))
        .backup(chosen.as_ref())
        .because(&request.reason)
        .truth("in-place", request.to.is_none())
        .text("to", request.to.as_ref().map(|dir| dir.display()))
        .text("from", request.from.as_ref())
        .text("overwrite", Some(overwrite_word(request.overwrite)))
        .texts("include", request.selection.include.clone())
        .texts("exclude", request.selection.exclude.clone());
    let mut report = gated(ctx, gate, plan, request.dry_run, Some(id), progress)?;
    let written = matches!(report.outcome, Some(Outcome::Done | Outcome::Partial));
    if let Some(dir) = request.to.as_ref().filter(|_| written) {
        report.next.push(format!("what was restored stands below {}", dir.display()));
    }
    if let Some(name) = chosen.filter(|_| written) {
        look_at(ctx, workload, &name, request, &mut report)?;
    }
    Ok(report)
}

/// The backup that a plan restores.
fn backup_of(plan: &Plan) -> Option<BackupName> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Materialise { backup, .. } | Action::RestoreInto { backup, .. } => Some(backup.clone()),
        _ => None,
    })
}

const fn overwrite_word(overwrite: Overwrite) -> &'static str {
    match overwrite {
        Overwrite::Never => "never",
        Overwrite::IfNewer => "if-newer",
        Overwrite::Always => "always",
    }
}

/// Shows what was restored to the health checks that are bound. What they find is told; nothing is taken back.
fn look_at(
    ctx: &Context,
    workload: &Workload,
    name: &BackupName,
    request: &Restore,
    report: &mut RunReport,
) -> Result<(), Fault> {
    let policies = health::policies(ctx, workload);
    // A part of a backup is no system that could be healthy.
    let whole = request.selection.include.is_empty() && request.selection.exclude.is_empty();
    if policies.is_empty() || !whole {
        return Ok(());
    }
    let backup = ctx.backup(name.as_str())?;
    let dir = request.to.clone().unwrap_or_else(|| "/".into());
    let restored = Restored { tree: Some(RestoredTree { dir, strip: "/".into() }), ..Restored::default() };
    for judged in health::check(ctx, None, workload, &backup, &restored)? {
        if !judged.passed && report.code == ExitCode::Ok {
            report.code = ExitCode::Findings;
        }
        report.notes.push(judged.words);
    }
    Ok(())
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
    is_undoable(ctx, &restored)?;
    let now = ctx.now()?;
    let undo = new_run_id(ctx, now);
    let mut plan = planner::restore::undo(&restored, &undo, now)?;
    if !request.reason.is_empty() {
        plan.reasons.push(request.reason.clone());
    }
    let gate = Asked::new("restore-undo", Some(&workload.name)).because(&request.reason).text("run", Some(&id));
    gated(ctx, gate, plan, false, Some(undo), progress)
}

/// Says why nothing can be put back: the trees were removed when their window was over, or are gone.
fn is_undoable(ctx: &Context, restored: &Run) -> Result<(), Fault> {
    let keeps = restored.plan.steps.iter().filter_map(|step| match &step.action {
        Action::SwapIn { keep, .. } => Some(keep),
        _ => None,
    });
    let mut keeps = keeps.peekable();
    if keeps.peek().is_none() || !matches!(restored.outcome, Some(Outcome::Done | Outcome::Partial)) {
        // The planner says what is wrong with these.
        return Ok(());
    }
    let hint = match &restored.workload {
        Some(name) => format!("`backstop backup list {name}` shows the states that can be restored"),
        None => String::new(),
    };
    if let Some(prune) = prune::gave_up(ctx, restored)? {
        let message = format!(
            "what run `{}` put aside was kept for {} (`limits.undo_window`) and then removed, by run `{}`",
            restored.id, ctx.config.limits.undo_window, prune.id
        );
        return Err(Fault::not_found(message, hint));
    }
    for keep in keeps {
        if ctx.outside.files.exists(keep)? {
            return Ok(());
        }
    }
    Err(Fault::not_found(format!("what run `{}` put aside is not there any more", restored.id), hint))
}
