//! `agenda --run`: does what is due, through the same verbs as the command line, until nothing more can be done now.

use backstop_model::{BackupName, Fault, Place, RunId, Verb, WorkloadName};
use backstop_planner::agenda::Due;
use backstop_seams::Progress;

use crate::context::Context;
use crate::report::RunReport;
use crate::request::{DrTestRequest, Prune, Release, Replicate, Trigger, Verify};
use crate::{agenda, alerts, backup, drtest, prune, release, replicate, settle, verify};

/// Rounds after which something that stays due is left for the next wake: each round does everything that is due.
const ROUNDS_MAX: usize = 5;

/// Carries out the agenda. What fails is reported and does not stop the rest.
///
/// # Errors
/// When the agenda cannot be read; interruptions.
pub fn run(ctx: &Context, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    ctx.set_scheduled(true);
    let done = rounds(ctx, progress);
    ctx.set_scheduled(false);
    let done = done?;
    alerts::keep_house(ctx)?;
    Ok(done)
}

fn rounds(ctx: &Context, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let mut reports: Vec<RunReport> = Vec::new();
    let mut done = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let due = after_open_runs(agenda::look(ctx)?.due, |line| done.contains(&key_of(line)));
        let mut round = std::collections::BTreeSet::new();
        let mut any = false;
        for line in due {
            let (key, about) = key_of(&line);
            if !done.insert((key.clone(), about)) || !round.insert(key) {
                continue;
            }
            any = true;
            match act(ctx, &line, progress) {
                Ok(mut some) => reports.append(&mut some),
                Err(fault) if progress.cancelled() => return Err(fault),
                Err(fault) => reports.push(failed(&line, fault)),
            }
        }
        if !any {
            break;
        }
    }
    Ok(reports)
}

type Key = (Verb, Option<WorkloadName>, Option<RunId>);
type About = (Vec<BackupName>, Option<Place>);

/// What a round made may be due for a copy or a proof in the next, after others were made in this one. The rest is
/// tried once: what stays due then did not work, or has to wait.
fn key_of(line: &Due) -> (Key, About) {
    let about = match line.what {
        Verb::Replicate | Verb::Verify => (line.backups.clone(), line.place.clone()),
        _ => (Vec::new(), None),
    };
    ((line.what, line.workload.clone(), line.run.clone()), about)
}

/// What an interrupted run leaves behind decides what else is due: a backup that only lacks its record is not missing.
/// So open runs are settled first and the agenda is read again; where one could not be settled, the workload waits.
fn after_open_runs(due: Vec<Due>, is_done: impl Fn(&Due) -> bool) -> Vec<Due> {
    let open = |line: &&Due| line.run.is_some();
    if due.iter().filter(open).any(|line| !is_done(line)) {
        return due.into_iter().filter(|line| line.run.is_some()).collect();
    }
    let waiting: Vec<Option<WorkloadName>> = due.iter().filter(open).map(|line| line.workload.clone()).collect();
    due.into_iter().filter(|line| !waiting.contains(&line.workload)).collect()
}

fn failed(line: &Due, fault: Fault) -> RunReport {
    let mut plan = backstop_model::Plan::nothing(line.what, line.when, line.reason.clone());
    plan.workload.clone_from(&line.workload);
    RunReport { code: fault.code, fault: Some(fault), ..RunReport::planned(&plan, false) }
}

fn act(ctx: &Context, line: &Due, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    if let Some(id) = &line.run {
        let Some(run) = ctx.catalog.run(id)? else { return Ok(Vec::new()) };
        return settle::settle(ctx, &run, progress).map(|report| vec![report]);
    }
    let workload = line.workload.clone();
    match (line.what, workload) {
        (Verb::Backup, Some(workload)) => {
            let request = Trigger { workload, tier: None, mode: None, dry_run: false };
            backup::trigger(ctx, &request, progress).map(|report| vec![report])
        }
        (Verb::Replicate, workload) => {
            let request = Replicate { workload, backup: None, to: None, max_parallel: 1, dry_run: false };
            replicate::replicate(ctx, &request, progress)
        }
        (Verb::Verify, workload) => {
            let request = Verify {
                workload,
                backup: None,
                place: None,
                level: None,
                again: false,
                sample_ppm: 1_000_000,
                max_parallel: 1,
                dry_run: false,
            };
            verify::verify(ctx, &request, progress)
        }
        (Verb::DrTest, Some(workload)) => {
            let request = DrTestRequest { workload: Some(workload), backup: None, from: None, dry_run: false };
            drtest::test(ctx, &request, progress)
        }
        (Verb::Release, workload) => {
            let request = Release { workload, backups: Vec::new(), reason: String::new(), dry_run: false };
            release::release(ctx, &request, progress)
        }
        (Verb::Prune, _) => prune::prune(ctx, &Prune::default(), progress),
        (Verb::Backup | Verb::DrTest | Verb::Restore | Verb::RestoreUndo | Verb::Undelete, _) => Ok(Vec::new()),
    }
}
