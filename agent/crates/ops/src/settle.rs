//! What was begun and did not end: resumed or undone, by a person or before the next verb on the same workload.

use backstop_model::{Action, Advice, Event, EventBody, ExitCode, Fault, Outcome, Run, StepId, Verb, WorkloadName};
use backstop_seams::Progress;

use crate::actor::find_snapshot;
use crate::carry::{Drive, Held, drive, keys_of};
use crate::context::Context;
use crate::report::RunReport;
use crate::request::Settle;

/// Goes on with an open or stuck run.
///
/// # Errors
/// Unknown run, one that has ended, one that another process is driving.
pub fn resume(ctx: &Context, request: &Settle, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let run = open_run(ctx, &request.run)?;
    let skip = request.skip.iter().map(|step| (StepId(*step), request.reason.clone())).collect();
    let held = Held::take(ctx, &keys_of(&run))?;
    drive(ctx, &run, &held, &Drive::Resume(skip), progress)
}

/// Undoes an open or stuck run and cleans up.
///
/// # Errors
/// As [`resume`].
pub fn cancel(ctx: &Context, request: &Settle, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let run = open_run(ctx, &request.run)?;
    let held = Held::take(ctx, &keys_of(&run))?;
    let why = if request.reason.is_empty() { "asked for" } else { &request.reason };
    let mut report = drive(ctx, &run, &held, &Drive::Cancel(why.to_owned()), progress)?;
    // That it was cancelled is the answer to this verb, not a fault of it.
    if is_only_cancelled(&report) {
        report.code = ExitCode::RolledBack;
        report.fault = None;
    }
    Ok(report)
}

fn open_run(ctx: &Context, shortened: &str) -> Result<Run, Fault> {
    let id = ctx.catalog.find_run(shortened)?;
    let run = ctx.catalog.run(&id)?.ok_or_else(|| Fault::not_found(format!("there is no run `{id}`"), ""))?;
    match run.outcome {
        None | Some(Outcome::Stuck) => Ok(run),
        Some(outcome) => {
            Err(Fault::usage(format!("run `{id}` has ended: {outcome}"), "there is nothing left to settle"))
        }
    }
}

/// Settles what an interrupted process left open on a workload. Called before every verb that changes something there.
///
/// A restore in place, a release and a recovery are finished: their next step is as safe as their undo, and finishing
/// is what was asked for. Everything else is undone and cleaned up — except a backup whose snapshot is complete in its
/// vault already, which only lacks its record.
pub(crate) fn before(ctx: &Context, workload: &WorkloadName, progress: &dyn Progress) -> Result<(), Fault> {
    match unsettled(ctx, workload, progress)?.into_iter().next() {
        Some(run) => Err(Fault::new(
            ExitCode::Stuck,
            Advice::CallAPerson,
            format!("run `{}` ({}) of `{workload}` is stuck", run.id, run.verb),
            format!("`backstop run show {0}`, then `run resume {0}` or `run cancel {0}`", run.id),
        )),
        None => Ok(()),
    }
}

/// The same before a backup, which only adds: what is stuck on copies of earlier backups — a release whose off-site vault
/// is out, say — waits and does not hold it back. A restore that is stuck does, since it is not known whose tree this is.
/// Returns what is to be told about what waits.
///
/// # Errors
/// A run that is stuck on the tree itself or on another backup; as [`before`].
pub(crate) fn before_backup(
    ctx: &Context,
    workload: &WorkloadName,
    progress: &dyn Progress,
) -> Result<Vec<String>, Fault> {
    let mut notes = Vec::new();
    for run in unsettled(ctx, workload, progress)? {
        match run.verb {
            Verb::Release | Verb::Undelete | Verb::Replicate | Verb::Verify | Verb::DrTest | Verb::Prune => {
                notes.push(format!("run {} ({}) is still stuck: `backstop run show {0}`", run.id, run.verb));
            }
            Verb::Backup | Verb::Restore | Verb::RestoreUndo => return before(ctx, workload, progress).map(|()| notes),
        }
    }
    Ok(notes)
}

/// Settles what can be settled; returns the runs that stay stuck.
fn unsettled(ctx: &Context, workload: &WorkloadName, progress: &dyn Progress) -> Result<Vec<Run>, Fault> {
    let filter = backstop_catalog::RunFilter { workload: Some(workload.clone()), open: true, ..Default::default() };
    for run in ctx.catalog.runs(&filter)?.into_iter().rev() {
        settle(ctx, &run, progress)?;
    }
    let stuck = backstop_catalog::RunFilter {
        workload: Some(workload.clone()),
        outcome: Some(Outcome::Stuck),
        ..Default::default()
    };
    let mut left = Vec::new();
    for run in ctx.catalog.runs(&stuck)?.into_iter().rev() {
        if may_pass(&ctx.catalog.events(&run.id)?) {
            let held = Held::take(ctx, &keys_of(&run))?;
            if drive(ctx, &run, &held, &Drive::Resume(Vec::new()), progress)?.outcome != Some(Outcome::Stuck) {
                continue;
            }
        }
        left.push(run);
    }
    Ok(left)
}

/// Whether what a run is stuck on may go through by itself later: a place that could not be reached. That needs no
/// person, only another try.
fn may_pass(events: &[Event]) -> bool {
    let fault = events.iter().rev().find_map(|event| match &event.body {
        EventBody::UndoFailed { fault, .. } | EventBody::StepFailed { fault, .. } => Some(fault),
        _ => None,
    });
    fault.is_some_and(|fault| fault.advice == Advice::Retry)
}

/// The same for prunes, which concern no single workload. What was purged or removed stays so; the next looks afresh.
pub(crate) fn before_prune(ctx: &Context, progress: &dyn Progress) -> Result<(), Fault> {
    let filter = backstop_catalog::RunFilter { verb: Some(Verb::Prune), open: true, ..Default::default() };
    for run in ctx.catalog.runs(&filter)?.into_iter().rev() {
        settle(ctx, &run, progress)?;
    }
    Ok(())
}

/// Settles one open run by the rule of [`before`].
pub(crate) fn settle(ctx: &Context, run: &Run, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let held = Held::take(ctx, &keys_of(run))?;
    let forward = match run.verb {
        Verb::Restore | Verb::RestoreUndo | Verb::Release | Verb::Undelete => true,
        Verb::Backup => has_snapshot(ctx, run)?,
        Verb::Replicate | Verb::Verify | Verb::DrTest | Verb::Prune => false,
    };
    if forward {
        return drive(ctx, run, &held, &Drive::Resume(Vec::new()), progress);
    }
    let why = "its process ended before it did";
    let mut report = drive(ctx, run, &held, &Drive::Cancel(why.to_owned()), progress)?;
    // Cleaning up is what was wanted here. What the run was for is due again and done as that.
    if is_only_cancelled(&report) {
        report.code = ExitCode::Ok;
        report.fault = None;
        report.notes.push(format!("{why}; what it left was cleaned up"));
    }
    Ok(report)
}

/// Whether a run went back because it was told to and for no other reason.
fn is_only_cancelled(report: &RunReport) -> bool {
    matches!(report.outcome, Some(Outcome::Undone | Outcome::Failed))
        && report.fault.as_ref().is_none_or(|fault| fault.code == ExitCode::Interrupted)
}

fn has_snapshot(ctx: &Context, run: &Run) -> Result<bool, Fault> {
    for step in &run.plan.steps {
        if let Action::TakeBackup { backup, place, .. } = &step.action
            && find_snapshot(&*ctx.vault_at(place)?, backup)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
