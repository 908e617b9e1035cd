//! What all verbs share between plan and answer: leases, the run, its journal, the conclusion, the report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use backstop_catalog::{CatalogError, Lease};
use backstop_model::run::EventBody;
use backstop_model::{Advice, Event, ExitCode, Fault, Outcome, Plan, Run, RunId, Span, Timestamp, WorkloadName};
use backstop_saga::{Conclusion, SagaFault};
use backstop_seams::{Progress, Tick};

use crate::actor::Worker;
use crate::alerts;
use crate::conclude;
use crate::context::Context;
use crate::gate::validation::{Asked, validate};
use crate::report::{RunReport, StepReport, StepState, code_of};

/// How long a lease lasts without renewal, and how often it is renewed.
const LEASE: Span = Span::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// Held by a prune that does not wait for the grace period: nothing else may run beside it.
pub(crate) const EXCLUSIVE: &str = "vaults:exclusive";

/// How a run is driven.
#[derive(Debug, Clone)]
pub(crate) enum Drive {
    /// Begin, or go on with what is open.
    Forward,
    /// Retry what it is stuck on, passing over steps settled by hand.
    Resume(Vec<(backstop_model::StepId, String)>),
    /// Undo and clean up.
    Cancel(String),
}

/// A fresh run id; sorts by time.
pub(crate) fn new_run_id(ctx: &Context, now: Timestamp) -> RunId {
    let mut salt = [0; 3];
    ctx.outside.entropy.fill(&mut salt);
    let [a, b, c] = salt;
    let stamp = now.strftime("%Y%m%d-%H%M%S");
    format!("{stamp}-{a:02x}{b:02x}{c:02x}").parse().expect("digits and dashes")
}

/// The lease key of a workload.
pub(crate) fn workload_key(name: &WorkloadName) -> String {
    format!("workload:{name}")
}

/// Leases held by this process, renewed while work goes on.
pub(crate) struct Held<'c> {
    ctx: &'c Context,
    pub leases: Vec<Lease>,
}

impl<'c> Held<'c> {
    /// Takes the leases, or none of them. The lease of an owner that is certainly dead is broken.
    pub(crate) fn take(ctx: &'c Context, keys: &[String]) -> Result<Self, Fault> {
        let mut held = Held { ctx, leases: Vec::new() };
        let now = ctx.outside.clock.now();
        for key in keys {
            let lease = match ctx.catalog.acquire(key, &ctx.outside.owner, LEASE, now) {
                Err(CatalogError::Held { .. }) if break_dead(ctx, key, now)? => {
                    ctx.catalog.acquire(key, &ctx.outside.owner, LEASE, now)?
                }
                other => other?,
            };
            held.leases.push(lease);
        }
        Ok(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for lease in &self.leases {
            // It ends by itself if the catalog cannot be written now.
            let _ = self.ctx.catalog.release(lease);
        }
    }
}

/// Releases a lease whose owner is certainly dead; true if that was so.
fn break_dead(ctx: &Context, key: &str, now: Timestamp) -> Result<bool, Fault> {
    let Some(view) = ctx.catalog.leases(now)?.into_iter().find(|view| view.key == key) else { return Ok(true) };
    if (ctx.outside.may_live)(&view.owner) {
        return Ok(false);
    }
    let dead = Lease { key: view.key, owner: view.owner, epoch: view.epoch, ttl: LEASE, expires: view.expires };
    ctx.catalog.release(&dead)?;
    Ok(true)
}

/// Whether somebody alive holds a lease on this key.
pub(crate) fn is_held(ctx: &Context, key: &str) -> Result<bool, Fault> {
    let now = ctx.outside.clock.now();
    let views = ctx.catalog.leases(now)?;
    Ok(views.iter().any(|view| view.key == key && view.expires > now && (ctx.outside.may_live)(&view.owner)))
}

/// The caller's progress, stopped as well when a lease is lost.
struct Guarded<'a> {
    inner: &'a dyn Progress,
    lost: &'a AtomicBool,
}

impl Progress for Guarded<'_> {
    fn stage(&self, what: &str) {
        self.inner.stage(what);
    }
    fn tick(&self, tick: Tick) {
        self.inner.tick(tick);
    }
    fn cancelled(&self) -> bool {
        self.lost.load(Ordering::Relaxed) || self.inner.cancelled()
    }
}

/// Does the work while a thread renews the leases.
pub(crate) fn while_renewing<T>(held: &Held<'_>, progress: &dyn Progress, work: impl FnOnce(&dyn Progress) -> T) -> T {
    let lost = AtomicBool::new(false);
    let (done, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut leases = held.leases.clone();
            while let Err(mpsc::RecvTimeoutError::Timeout) = wait.recv_timeout(RENEW_EVERY) {
                let now = held.ctx.outside.clock.now();
                for lease in &mut leases {
                    match held.ctx.catalog.renew(lease, now) {
                        Ok(renewed) => *lease = renewed,
                        Err(_) => lost.store(true, Ordering::Relaxed),
                    }
                }
            }
            // Owned by this thread, so that the channel closes only when the work's end drops the sender.
            drop(wait);
        });
        let out = work(&Guarded { inner: progress, lost: &lost });
        drop(done);
        out
    })
}

/// Carries a plan out as a run, or only reports it.
pub(crate) fn carry_out(
    ctx: &Context,
    plan: Plan,
    dry_run: bool,
    id: Option<RunId>,
    progress: &dyn Progress,
) -> Result<RunReport, Fault> {
    if dry_run || plan.steps.is_empty() {
        return Ok(RunReport::planned(&plan, dry_run));
    }
    let now = ctx.now()?;
    let id = id.unwrap_or_else(|| new_run_id(ctx, now));
    let run = Run {
        id,
        verb: plan.verb,
        workload: plan.workload.clone(),
        plan,
        started: now,
        finished: None,
        outcome: None,
        by: ctx.outside.by.clone(),
    };
    let held = Held::take(ctx, &keys_of(&run))?;
    not_beside_exclusive(ctx, &run)?;
    ctx.catalog.begin_run(&run)?;
    drive(ctx, &run, &held, &Drive::Forward, progress)
}

/// Asks the gate about a request and carries its plan out. A plan with nothing to do needs no leave.
pub(crate) fn gated(
    ctx: &Context,
    asked: Asked<'_>,
    plan: Plan,
    dry_run: bool,
    id: Option<RunId>,
    progress: &dyn Progress,
) -> Result<RunReport, Fault> {
    if plan.steps.is_empty() {
        return carry_out(ctx, plan, dry_run, id, progress);
    }
    let accepted = validate(ctx, asked, dry_run)?;
    let mut report = carry_out(ctx, plan, dry_run, id, progress)?;
    accepted.tell(&mut report);
    Ok(report)
}

/// The leases a run needs.
pub(crate) fn keys_of(run: &Run) -> Vec<String> {
    match &run.workload {
        Some(workload) => vec![workload_key(workload)],
        None => vec![format!("verb:{}", run.verb)],
    }
}

fn not_beside_exclusive(ctx: &Context, run: &Run) -> Result<(), Fault> {
    if run.verb != backstop_model::Verb::Prune && is_held(ctx, EXCLUSIVE)? {
        return Err(Fault::new(
            ExitCode::Busy,
            Advice::Wait,
            "a prune that allows nothing beside it is running",
            "run the same command again when it has ended",
        ));
    }
    Ok(())
}

/// Drives a recorded run to its end and concludes it.
pub(crate) fn drive(
    ctx: &Context,
    run: &Run,
    held: &Held<'_>,
    how: &Drive,
    progress: &dyn Progress,
) -> Result<RunReport, Fault> {
    let clock = &*ctx.outside.clock;
    let began = clock.monotonic();
    let driven = while_renewing(held, progress, |progress| {
        let journal = ctx.catalog.journal(&held.leases, clock);
        let mut worker = Worker::new(ctx, run, progress);
        #[cfg(test)]
        let mut worker = {
            let faults = ctx.faults.lock().expect("no thread panics holding it").clone();
            backstop_saga::Faulty::new(&mut worker, faults)
        };
        match how {
            Drive::Forward => backstop_saga::execute(run, &journal, clock, &mut worker, progress),
            Drive::Cancel(reason) => match backstop_saga::cancel(run, &journal, clock, &mut worker, progress, reason) {
                // Its process ended after the last line of the journal: only the records are missing.
                Err(SagaFault::Ended(_)) => backstop_saga::execute(run, &journal, clock, &mut worker, progress),
                other => other,
            },
            Drive::Resume(skip) => {
                let mut last = None;
                for (step, reason) in skip {
                    let settled = (*step, reason.as_str());
                    last = Some(backstop_saga::skip(run, &journal, clock, &mut worker, progress, settled)?);
                }
                match last {
                    Some(conclusion) => Ok(conclusion),
                    None => backstop_saga::resume(run, &journal, clock, &mut worker, progress),
                }
            }
        }
    });
    let took = clock.monotonic().saturating_sub(began);
    let conclusion = driven.map_err(|fault| interrupted(run, fault))?;
    let events = ctx.catalog.events(&run.id)?;
    #[cfg(test)]
    dies_at(ctx, BEFORE_THE_RECORDS)?;
    let concluded = conclude::conclude(ctx, run, &conclusion, &events)?;
    #[cfg(test)]
    dies_at(ctx, BEFORE_THE_END)?;
    let line = backstop_catalog::NewAudit {
        at: clock.now(),
        by: &ctx.outside.by,
        verb: &run.verb.to_string(),
        subject: run.workload.as_ref().map_or("-", WorkloadName::as_str),
        reason: &run.plan.reasons.join("; "),
        details: serde_json::json!({ "run": run.id, "outcome": conclusion.outcome }),
    };
    ctx.catalog.conclude_run(&run.id, conclusion.outcome, &line)?;
    let mut report = report(run, &conclusion, &events, concluded, Span::from_millis(took.as_millis() as u64));
    // What was done is done, whether or not somebody can be told.
    if let Err(fault) = alerts::run_ended(ctx, run, &report) {
        report.notes.push(format!("an alert could not be recorded: {}", fault.message));
    }
    Ok(report)
}

/// The journal is complete, copies and proofs are not recorded.
#[cfg(test)]
pub(crate) const BEFORE_THE_RECORDS: backstop_model::StepId = backstop_model::StepId(u32::MAX - 1);
/// All is recorded except that the run has ended.
#[cfg(test)]
pub(crate) const BEFORE_THE_END: backstop_model::StepId = backstop_model::StepId(u32::MAX);

/// Where a test wants it, the process dies between two records.
#[cfg(test)]
fn dies_at(ctx: &Context, point: backstop_model::StepId) -> Result<(), Fault> {
    let faults = ctx.faults.lock().expect("no thread panics holding it");
    if faults.contains(&backstop_saga::Injection::DieBefore(point)) { Err(Fault::interrupted()) } else { Ok(()) }
}

/// An interruption keeps the run open; the hint says what becomes of it.
fn interrupted(run: &Run, fault: SagaFault) -> Fault {
    let stopped = fault == SagaFault::Interrupted;
    let fault = Fault::from(fault);
    if stopped {
        let hint = format!("run the same command again, or `backstop run cancel {}`", run.id);
        return Fault { message: format!("interrupted; run {} is open and nothing is lost", run.id), hint, ..fault };
    }
    fault
}

fn report(
    run: &Run,
    conclusion: &Conclusion,
    events: &[Event],
    concluded: conclude::Concluded,
    took: Span,
) -> RunReport {
    let mut report = RunReport::planned(&run.plan, false);
    for (step, line) in run.plan.steps.iter().zip(&mut report.steps) {
        *line = step_report(std::mem::take(&mut line.what), step.id, events);
    }
    report.run = Some(run.id.clone());
    report.outcome = Some(conclusion.outcome);
    report.took = took;
    report.fault.clone_from(&conclusion.first_fault);
    report.code = code_of(conclusion.outcome, conclusion.first_fault.as_ref());
    if report.code == ExitCode::Ok && concluded.objective_missed {
        report.code = ExitCode::ObjectiveMissed;
    }
    if conclusion.outcome == Outcome::Stuck {
        let id = &run.id;
        report.next.push(format!("`backstop run show {id}`, then `run resume {id}` (tries again), `run resume {id} --skip STEP --reason …`, or `run cancel {id}`"));
    }
    report.backups = concluded.backups;
    report.dr_test = concluded.dr_test;
    report.notes = concluded.notes;
    report.next.extend(concluded.next);
    report
}

fn step_report(what: String, id: backstop_model::StepId, events: &[Event]) -> StepReport {
    let mut line = StepReport { what, state: StepState::NotReached, took: None, output: None, fault: None };
    for event in events {
        match &event.body {
            EventBody::StepDone { step, output, millis } if *step == id => {
                line.state = StepState::Done;
                line.took = Some(Span::from_millis(*millis));
                line.output = Some(output.clone());
            }
            EventBody::StepFailed { step, fault, millis } if *step == id => {
                line.state = StepState::Failed;
                line.took = Some(Span::from_millis(*millis));
                line.fault = Some(fault.clone());
            }
            EventBody::UndoDone { step } if *step == id && line.state == StepState::Done => {
                line.state = StepState::Undone;
            }
            _ => {}
        }
    }
    line
}
