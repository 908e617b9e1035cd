//! `vault prune`: purge what outlived its window in the trash, then give back the space nothing refers to. Without a
//! vault named, also remove the trees that restores in place put aside and that were kept long enough.

use std::collections::BTreeSet;
use std::path::Path;

use backstop_catalog::RunFilter;
use backstop_model::{Action, Advice, Backup, ExitCode, Fault, Outcome, Place, Run, Verb, WorkloadName};
use backstop_planner as planner;
use backstop_planner::prune::KeptTrees;
use backstop_seams::Progress;

use crate::carry::{EXCLUSIVE, Held, gated, while_renewing};
use crate::context::Context;
use crate::gate::validation::Asked;
use crate::report::RunReport;
use crate::request::Prune;
use crate::{release, settle};

/// The plan's reason that makes its steps skip the grace period of packs. Part of the journal, so that a resumed run
/// does the same.
pub(crate) const AT_ONCE: &str = "at once: nothing else is running";

/// Purges and prunes.
///
/// # Errors
/// Unknown vault; `Busy` when something else runs and `at_once` was asked for.
pub fn prune(ctx: &Context, request: &Prune, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let vaults: BTreeSet<Place> = match &request.vault {
        Some(name) => {
            ctx.vault(name)?;
            BTreeSet::from([Place::Vault(name.clone())])
        }
        None => ctx.config.vaults.keys().cloned().map(Place::Vault).collect(),
    };
    if !request.at_once || request.dry_run {
        return everything(ctx, &vaults, request, progress);
    }
    let held = Held::take(ctx, &[EXCLUSIVE.to_owned()])?;
    let now = ctx.outside.clock.now();
    let others = ctx.catalog.leases(now)?;
    let busy =
        others.iter().find(|view| view.key != EXCLUSIVE && view.expires > now && (ctx.outside.may_live)(&view.owner));
    if let Some(view) = busy {
        return Err(Fault::new(
            ExitCode::Busy,
            Advice::Wait,
            format!("`{}` is held by {}: pruning at once needs the vaults alone", view.key, view.owner),
            "wait for it to end, or leave `--at-once` out",
        ));
    }
    while_renewing(&held, progress, |progress| everything(ctx, &vaults, request, progress))
}

fn everything(
    ctx: &Context,
    vaults: &BTreeSet<Place>,
    request: &Prune,
    progress: &dyn Progress,
) -> Result<Vec<RunReport>, Fault> {
    let mut reports = vec![go(ctx, vaults, request, progress)?];
    if request.vault.is_none() {
        reports.extend(give_up(ctx, request, progress)?);
    }
    Ok(reports)
}

/// Removes the trees that were kept long enough, one run for each workload: a restore or undo of it waits meanwhile.
fn give_up(ctx: &Context, request: &Prune, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let now = ctx.now()?;
    if ctx.catalog.implausible(now)?.is_some() {
        return Ok(Vec::new());
    }
    let kept = kept_trees(ctx)?;
    let over: Vec<&KeptTrees> = kept.iter().filter(|trees| trees.until <= now).collect();
    let workloads: BTreeSet<&WorkloadName> = over.iter().map(|trees| &trees.workload).collect();
    let mut reports = Vec::new();
    for name in workloads {
        let plan = planner::prune::give_up(name, &over, now);
        let asked = Asked::new("prune", Some(name)).truth("at-once", request.at_once);
        reports.push(gated(ctx, asked, plan, request.dry_run, None, progress)?);
    }
    Ok(reports)
}

/// The trees put aside that are still there. Where a restore or its undo is not at an end, nothing is given up: what it
/// goes on with may be one of them.
pub(crate) fn kept_trees(ctx: &Context) -> Result<Vec<KeptTrees>, Fault> {
    let mut runs: Vec<Run> = Vec::new();
    for verb in [Verb::Restore, Verb::RestoreUndo] {
        runs.extend(ctx.catalog.runs(&RunFilter { verb: Some(verb), ..RunFilter::default() })?);
    }
    let at_work: BTreeSet<&WorkloadName> = runs
        .iter()
        .filter(|run| matches!(run.outcome, None | Some(Outcome::Stuck)))
        .filter_map(|run| run.workload.as_ref())
        .collect();
    let mut found = Vec::new();
    let settled = runs.iter().filter(|run| run.workload.as_ref().is_some_and(|name| !at_work.contains(name)));
    for run in settled {
        let Some(mut trees) = planner::prune::kept_trees(run, ctx.config.limits.undo_window) else { continue };
        let mut there = Vec::new();
        for dir in trees.dirs {
            if ctx.outside.files.exists(&dir)? {
                there.push(dir);
            }
        }
        trees.dirs = there;
        if !trees.dirs.is_empty() {
            found.push(trees);
        }
    }
    Ok(found)
}

/// The prune that began to remove a tree of this run, if one did. What it left is not whole.
pub(crate) fn gave_up(ctx: &Context, restored: &Run) -> Result<Option<Run>, Fault> {
    let keeps = |action: &Action| {
        restored.plan.steps.iter().any(|step| match (&step.action, action) {
            (Action::SwapIn { keep, .. }, Action::RemoveDirectory { dir }) => keep == dir,
            _ => false,
        })
    };
    let filter = RunFilter { workload: restored.workload.clone(), verb: Some(Verb::Prune), ..RunFilter::default() };
    let prunes = ctx.catalog.runs(&filter)?;
    Ok(prunes.into_iter().find(|run| run.plan.steps.iter().any(|step| keeps(&step.action))))
}

/// Looks again, when the tree is about to go: it is still put aside, and no restore or undo is at work.
pub(crate) fn may_remove(ctx: &Context, dir: &Path) -> Result<(), Fault> {
    let now = ctx.outside.clock.now();
    let is_kept = |trees: &KeptTrees| trees.until <= now && trees.dirs.iter().any(|kept| kept == dir);
    if ctx.outside.files.exists(dir)? && !kept_trees(ctx)?.iter().any(is_kept) {
        let message = format!("`{}` may be needed still: a restore or its undo is not at an end", dir.display());
        return Err(Fault::refused(message, "`backstop run list` shows it; the next prune looks again"));
    }
    Ok(())
}

fn go(ctx: &Context, vaults: &BTreeSet<Place>, request: &Prune, progress: &dyn Progress) -> Result<RunReport, Fault> {
    if !request.dry_run {
        settle::before_prune(ctx, progress)?;
    }
    let now = ctx.now()?;
    let in_scope =
        |backup: &Backup| request.vault.is_none() || backup.copies.iter().any(|copy| vaults.contains(&copy.place));
    let mut purge: Vec<Backup> = Vec::new();
    let mut kept = Vec::new();
    for name in ctx.catalog.workloads()? {
        let backups = ctx.backups_of(&name)?;
        let allowed = release::purgeable(ctx, &name, &backups)?;
        let over = backups.iter().filter(|b| planner::prune::is_purgeable(b, now) && in_scope(b)).count();
        purge.extend(allowed.into_iter().filter(|backup| in_scope(backup)).cloned());
        if over > purge.iter().filter(|backup| backup.workload == name).count() {
            kept.push(format!("the delete firewall keeps some released backups of `{name}` in the trash"));
        }
    }
    let purge: Vec<&Backup> = purge.iter().collect();
    let mut plan = planner::prune::plan(&purge, vaults, request.waste_ppm, now);
    if request.at_once {
        plan.reasons.push(AT_ONCE.to_owned());
    }
    let asked = Asked::new("prune", None).text("vault", request.vault.as_ref()).truth("at-once", request.at_once);
    let mut report = gated(ctx, asked, plan, request.dry_run, None, progress)?;
    report.notes.extend(kept);
    Ok(report)
}
