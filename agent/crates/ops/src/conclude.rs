//! The fifth beat: the journal of an ended run becomes records. The only writer of backups, copies, proofs and
//! rehearsals. Doing it twice changes nothing, so a run that ended just before a crash is concluded by the next start.

use std::collections::BTreeMap;

use backstop_model::config::Workload;
use backstop_model::run::{EventBody, SnapshotMade, StepOutput};
use backstop_model::{
    Action, Backup, BackupName, BackupState, Completeness, Copy, CopyState, DrTest, Event, ExitCode, Fault, Level,
    Outcome, Place, Proof, ProofKind, Run, Span, StepId, Timestamp, Verb,
};
use backstop_saga::Conclusion;

use crate::context::Context;

/// What the report shows of it.
#[derive(Debug, Default)]
pub(crate) struct Concluded {
    pub backups: Vec<Backup>,
    pub dr_test: Option<DrTest>,
    pub notes: Vec<String>,
    pub next: Vec<String>,
    pub objective_missed: bool,
}

/// How one step ended.
struct Ended<'a> {
    at: Timestamp,
    millis: u64,
    result: Result<&'a StepOutput, &'a Fault>,
}

/// Writes what a run produced into the catalog.
pub(crate) fn conclude(
    ctx: &Context,
    run: &Run,
    conclusion: &Conclusion,
    events: &[Event],
) -> Result<Concluded, Fault> {
    let ended = endings(events);
    let mut out = Concluded::default();
    let mut touched: Vec<BackupName> = Vec::new();
    let mut evidence: BTreeMap<(BackupName, Place), Evidence> = BTreeMap::new();
    let mut healthy: Vec<&Ended<'_>> = Vec::new();
    for step in &run.plan.steps {
        let Some(end) = ended.get(&step.id) else { continue };
        let output = conclusion.outputs.get(&step.id);
        match (&step.action, output) {
            (Action::TakeBackup { .. }, Some(StepOutput::Snapshot(made))) => {
                touched.push(record_backup(ctx, run, &step.action, made, end.at)?);
                note_troubles(&mut out, made);
            }
            (Action::SendCopy { backup, to, .. }, Some(StepOutput::Snapshot(made))) => {
                record_copy(ctx, run, backup, to, made, end.at)?;
                touched.push(backup.clone());
            }
            (
                Action::TrashCopy { backup, .. }
                | Action::RecoverCopy { backup, .. }
                | Action::PurgeCopy { backup, .. },
                _,
            ) => {
                touched.push(backup.clone());
            }
            (Action::SwapIn { keep, .. }, Some(_)) => {
                ctx.outside.files.remove(&crate::actor::note_of(keep))?;
                if ctx.outside.files.exists(keep)? {
                    out.notes.push(format!("the tree that was there before is kept at {}", keep.display()));
                }
            }
            (Action::RestoreInto { backup, .. }, Some(StepOutput::Restored(restored))) => {
                touched.push(backup.clone());
                for trouble in restored.troubles.iter().take(10) {
                    out.notes.push(format!("{}: {}", trouble.path, trouble.detail));
                }
                if restored.kept > 0 {
                    out.notes
                        .push(format!("{} entries existed and were kept; `--overwrite` changes that", restored.kept));
                }
            }
            (Action::CheckCopy { backup, place, level, .. }, _) => {
                evidence.entry((backup.clone(), place.clone())).or_default().add(*level, end);
            }
            (Action::Materialise { backup, from, .. }, _) => {
                let known = evidence.entry((backup.clone(), from.clone())).or_default();
                // What could not be made into a tree is bytes that are gone or do not authenticate.
                known.add(if end.result.is_ok() { Level::L2 } else { Level::L1 }, end);
            }
            (Action::CompareTree { backup, from, .. }, _) => {
                evidence.entry((backup.clone(), from.clone())).or_default().add(Level::L3, end);
            }
            (Action::CheckHealth { .. } | Action::AskHealth { .. }, _) => healthy.push(end),
            _ => {}
        }
    }
    // The tree under test is that of the one copy this plan materialised. It serves when every check passed.
    let asked = run.plan.steps.iter().filter(|step| is_health(&step.action)).count();
    let worst = healthy.iter().find(|end| end.result.is_err());
    let last = worst.or(healthy.last().filter(|_| healthy.len() == asked));
    if let (Some(copy), Some(end)) = (evidence.values_mut().last(), last) {
        copy.add(Level::L5, end);
    }
    let kind = match run.verb {
        Verb::DrTest => ProofKind::DrTest,
        Verb::Restore => ProofKind::Restore,
        _ => ProofKind::Verify,
    };
    for ((backup, place), evidence) in evidence {
        for proof in evidence.proofs(run, kind) {
            record_proof(ctx, &backup, &place, &proof)?;
        }
        touched.push(backup);
    }
    if run.verb == Verb::DrTest {
        out.dr_test = rehearsal(ctx, run, conclusion, &ended, events)?;
        out.objective_missed =
            out.dr_test.as_ref().is_some_and(|test| test.passed && test.rto.is_some_and(|rto| rto > test.rto_target));
    }
    touched.dedup();
    for name in touched {
        out.backups.extend(ctx.catalog.backup(&name)?);
    }
    advise(run, conclusion, &mut out);
    // Keeps the read model of the agenda warm; what it says is not needed here.
    if let Some(workload) = &run.workload {
        ctx.catalog.standing(workload)?;
    }
    Ok(out)
}

const fn is_health(action: &Action) -> bool {
    matches!(action, Action::CheckHealth { .. } | Action::AskHealth { .. })
}

fn endings(events: &[Event]) -> BTreeMap<StepId, Ended<'_>> {
    let mut ended = BTreeMap::new();
    for event in events {
        let (step, millis, result) = match &event.body {
            EventBody::StepDone { step, output, millis } => (*step, *millis, Ok(output)),
            EventBody::StepFailed { step, fault, millis } => (*step, *millis, Err(fault)),
            _ => continue,
        };
        ended.insert(step, Ended { at: event.at, millis, result });
    }
    ended
}

fn record_backup(
    ctx: &Context,
    run: &Run,
    action: &Action,
    made: &SnapshotMade,
    at: Timestamp,
) -> Result<BackupName, Fault> {
    let Action::TakeBackup { backup, workload, place, mode, tiers, based_on } = action else {
        unreachable!("called for this action")
    };
    let completeness = match made.trouble_count {
        0 => Completeness::Complete,
        troubles => Completeness::Partial { troubles },
    };
    let copy = copy_of(run, place, made, at);
    if ctx.catalog.backup(backup)?.is_none() {
        ctx.catalog.record_backup(&Backup {
            name: backup.clone(),
            workload: workload.clone(),
            created: made.captured,
            tiers: tiers.clone(),
            mode: *mode,
            based_on: based_on.clone(),
            size: backstop_model::Bytes(made.size),
            entries: made.entries,
            completeness,
            state: BackupState::Present,
            hold: None,
            copies: vec![copy],
            run: run.id.clone(),
        })?;
    }
    Ok(backup.clone())
}

fn copy_of(run: &Run, place: &Place, made: &SnapshotMade, at: Timestamp) -> Copy {
    Copy {
        place: place.clone(),
        snapshot: made.snapshot,
        state: CopyState::Present,
        stored: backstop_model::Bytes(made.stored),
        created: at,
        proofs: vec![Proof {
            at,
            level: Level::L0,
            passed: true,
            kind: ProofKind::Write,
            took: Span::ZERO,
            sample_ppm: 0,
            run: run.id.clone(),
            detail: "written and durable at its place".into(),
        }],
    }
}

fn record_copy(
    ctx: &Context,
    run: &Run,
    backup: &BackupName,
    to: &Place,
    made: &SnapshotMade,
    at: Timestamp,
) -> Result<(), Fault> {
    let known = ctx.catalog.backup(backup)?;
    let there = known.as_ref().and_then(|backup| backup.copy_at(to)).is_some_and(|copy| copy.snapshot == made.snapshot);
    if !there {
        ctx.catalog.record_copy(backup, &copy_of(run, to, made, at))?;
    }
    Ok(())
}

fn record_proof(ctx: &Context, backup: &BackupName, place: &Place, proof: &Proof) -> Result<(), Fault> {
    let known = ctx.catalog.backup(backup)?;
    let Some(copy) = known.as_ref().and_then(|b| b.copies.iter().find(|copy| &copy.place == place)) else {
        return Ok(());
    };
    let there = copy.proofs.iter().any(|p| p.run == proof.run && p.level == proof.level && p.passed == proof.passed);
    if !there {
        ctx.catalog.record_proof(backup, place, proof)?;
    }
    Ok(())
}

/// What the steps of one run showed about one copy.
#[derive(Default)]
struct Evidence {
    passed: Option<(Level, Timestamp, u32, String)>,
    failed: Option<(Level, Timestamp, String)>,
    millis: u64,
}

impl Evidence {
    fn add(&mut self, level: Level, end: &Ended<'_>) {
        self.millis += end.millis;
        match end.result {
            Ok(output) => {
                let (sample, detail) = match output {
                    StepOutput::Checked(checked) => (checked.sample_ppm, checked.detail.clone()),
                    StepOutput::Restored(restored) => (1_000_000, format!("{} entries restored", restored.entries)),
                    _ => (1_000_000, String::new()),
                };
                self.passed = Some((level, end.at, sample, detail));
            }
            // Only a finding speaks about the copy. A full disk or an interruption says nothing about it.
            Err(fault) if fault.code == ExitCode::Findings => {
                self.failed.get_or_insert((level, end.at, fault.message.clone()));
            }
            Err(_) => {}
        }
    }

    fn proofs(self, run: &Run, kind: ProofKind) -> Vec<Proof> {
        let took = Span::from_millis(self.millis);
        let proof = |at, level, passed, sample_ppm, detail| Proof {
            at,
            level,
            passed,
            kind,
            took,
            sample_ppm,
            run: run.id.clone(),
            detail,
        };
        let passed = self.passed.map(|(level, at, sample, detail)| proof(at, level, true, sample, detail));
        let failed = self.failed.map(|(level, at, detail)| proof(at, level, false, 1_000_000, detail));
        passed.into_iter().chain(failed).collect()
    }
}

fn rehearsal(
    ctx: &Context,
    run: &Run,
    conclusion: &Conclusion,
    ended: &BTreeMap<StepId, Ended<'_>>,
    events: &[Event],
) -> Result<Option<DrTest>, Fault> {
    let mut test: Option<DrTest> = None;
    let mut rto = 0;
    for step in &run.plan.steps {
        let end = ended.get(&step.id);
        let ok = end.map(|end| end.result.is_ok());
        if !step.always {
            rto += end.map_or(0, |end| end.millis);
        }
        match &step.action {
            Action::Materialise { backup, from, .. } => {
                let workload: Option<&Workload> = run.workload.as_ref().and_then(|name| ctx.config.workloads.get(name));
                test = Some(DrTest {
                    run: run.id.clone(),
                    workload: run.workload.clone().unwrap_or_else(|| "unknown".parse().expect("valid")),
                    backup: backup.clone(),
                    place: from.clone(),
                    started: run.started,
                    completed: events.last().map(|event| event.at),
                    passed: conclusion.outcome == Outcome::Done,
                    restore_ok: ok,
                    compare_ok: None,
                    health_ok: None,
                    cleanup_ok: None,
                    rto: None,
                    rto_target: workload.map_or(Span::ZERO, |workload| workload.schedule.rto),
                    error: conclusion.first_fault.as_ref().map(|fault| fault.message.clone()),
                });
            }
            Action::CompareTree { .. } => test.iter_mut().for_each(|test| test.compare_ok = ok),
            Action::CheckHealth { .. } | Action::AskHealth { .. } => test.iter_mut().for_each(|test| {
                // Every check must pass; one that was not reached says nothing.
                test.health_ok = match (test.health_ok, ok) {
                    (Some(before), Some(now)) => Some(before && now),
                    (before, now) => now.or(before),
                };
            }),
            Action::RemoveDirectory { .. } => test.iter_mut().for_each(|test| test.cleanup_ok = ok),
            _ => {}
        }
    }
    if let Some(test) = &mut test {
        test.rto = test.passed.then_some(Span::from_millis(rto));
        // Undoing the claim on the directory cleans up just as well when the test failed early.
        if test.cleanup_ok.is_none() {
            test.cleanup_ok = Some(conclusion.outcome != Outcome::Stuck);
        }
        ctx.catalog.record_dr_test(test)?;
    }
    Ok(test)
}

fn note_troubles(out: &mut Concluded, made: &SnapshotMade) {
    for trouble in made.troubles.iter().take(10) {
        out.notes.push(format!("{}: {}", trouble.path, trouble.detail));
    }
    let shown = made.troubles.len().min(10) as u64;
    if made.trouble_count > shown {
        out.notes.push(format!("and {} more; `backstop run show` lists up to a hundred", made.trouble_count - shown));
    }
}

fn advise(run: &Run, conclusion: &Conclusion, out: &mut Concluded) {
    if !matches!(conclusion.outcome, Outcome::Done | Outcome::Partial) {
        return;
    }
    let name = out.backups.first().map(|backup| backup.name.clone());
    match (run.verb, name) {
        (Verb::Backup, Some(name)) => out.next.push(format!("prove it: `backstop backup verify {name}`")),
        (Verb::Restore, _) if run.plan.steps.iter().any(|step| matches!(step.action, Action::SwapIn { .. })) => {
            let workload = run.workload.as_ref().map_or("WORKLOAD", |name| name.as_str());
            out.next.push(format!("to go back to the tree that was there before: `backstop restore undo {workload}`"));
        }
        (Verb::Release, Some(name)) => {
            out.next.push(format!("until its window ends it comes back with `backstop backup undelete {name}`"));
        }
        _ => {}
    }
}
