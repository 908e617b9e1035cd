//! Carrying a run out: journal, act, journal, until nothing is next.

use backstop_model::{Advice, EventBody, ExitCode, Fault, Outcome, Run, Step, StepId};
use backstop_seams::{Clock, Journal, Progress};

use crate::actor::{Actor, Outputs, Token};
use crate::state::{Next, Stand, State, stopped};

/// How a run ended, with what the conclusion of its verb needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// How.
    pub outcome: Outcome,
    /// What the steps produced that were not undone.
    pub outputs: Outputs,
    /// The fault that decided the run: what turned it round, else the first there was.
    pub first_fault: Option<Fault>,
    /// Every fault of a step or an undo, in the order they came; a stuck run has at least the one it is stuck on.
    pub faults: Vec<(StepId, Fault)>,
}

/// Why a run has not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SagaFault {
    /// The operator stopped it. The run is open: `resume` goes on, `cancel` undoes it.
    #[error("interrupted")]
    Interrupted,
    /// The journal could not be written or read, or the run belongs to another process now. Nothing was done to the
    /// outside after that; the run is open.
    #[error("the journal of this run is out of reach")]
    JournalLost(#[source] Fault),
    /// The journal names a step that the plan does not have. Nothing was done.
    #[error("the journal names step {} and the plan does not have it", step.0)]
    ForeignJournal {
        /// The step.
        step: StepId,
    },
    /// The run has ended; nothing was done.
    #[error("the run has ended: {0}")]
    Ended(Outcome),
    /// The step is not one that this run is stuck on; nothing was done.
    #[error("the run is not stuck on step {}", step.0)]
    NotStuckOn {
        /// The step.
        step: StepId,
    },
}

impl From<SagaFault> for Fault {
    fn from(fault: SagaFault) -> Fault {
        let message = fault.to_string();
        match fault {
            SagaFault::Interrupted => Fault::interrupted(),
            SagaFault::JournalLost(cause) => Fault { message: format!("{message}: {}", cause.message), ..cause },
            SagaFault::ForeignJournal { .. } => Fault::new(ExitCode::Stuck, Advice::CallAPerson, message, ""),
            SagaFault::Ended(_) | SagaFault::NotStuckOn { .. } => {
                Fault::usage(message, "`backstop run show` tells where the run stands")
            }
        }
    }
}

/// Begins a run, or goes on with an open one from what its journal says. An ended or stuck run is left alone and its
/// conclusion returned again.
///
/// The operator's wish to stop is honoured before each step that has work in it, not while undoing or cleaning up.
///
/// # Errors
/// [`SagaFault::Interrupted`], [`SagaFault::JournalLost`], [`SagaFault::ForeignJournal`]: the run stays open.
pub fn execute(
    run: &Run,
    journal: &dyn Journal,
    clock: &dyn Clock,
    actor: &mut dyn Actor,
    progress: &dyn Progress,
) -> Result<Conclusion, SagaFault> {
    Walk::load(run, journal, clock, actor, progress)?.finish()
}

/// As [`execute`], and tries again what a stuck run is stuck on.
///
/// # Errors
/// As [`execute`].
pub fn resume(
    run: &Run,
    journal: &dyn Journal,
    clock: &dyn Clock,
    actor: &mut dyn Actor,
    progress: &dyn Progress,
) -> Result<Conclusion, SagaFault> {
    let mut walk = Walk::load(run, journal, clock, actor, progress)?;
    match walk.state.next() {
        Next::Ended(Outcome::Stuck) | Next::Conclude(Outcome::Stuck) => walk.state.reopen(),
        Next::Ended(_) | Next::Conclude(_) | Next::Perform(_) | Next::Undo(_) => {}
    }
    walk.finish()
}

/// Undoes an open or stuck run and cleans up, on a person's wish. A run that already goes back is resumed.
///
/// # Errors
/// As [`execute`], and [`SagaFault::Ended`] when there is nothing left to cancel.
pub fn cancel(
    run: &Run,
    journal: &dyn Journal,
    clock: &dyn Clock,
    actor: &mut dyn Actor,
    progress: &dyn Progress,
    reason: &str,
) -> Result<Conclusion, SagaFault> {
    let mut walk = Walk::load(run, journal, clock, actor, progress)?;
    match walk.state.next() {
        Next::Ended(Outcome::Stuck) | Next::Conclude(Outcome::Stuck) => walk.state.reopen(),
        Next::Ended(outcome) => return Err(SagaFault::Ended(outcome)),
        Next::Conclude(_) | Next::Perform(_) | Next::Undo(_) => {}
    }
    if let Some(body) = walk.state.cancelling(reason) {
        walk.record(body)?;
    }
    walk.finish()
}

/// Takes a person's word that a step which the run is stuck on is settled, and goes on as [`resume`] does.
///
/// # Errors
/// As [`execute`], and [`SagaFault::NotStuckOn`].
pub fn skip(
    run: &Run,
    journal: &dyn Journal,
    clock: &dyn Clock,
    actor: &mut dyn Actor,
    progress: &dyn Progress,
    settled: (StepId, &str),
) -> Result<Conclusion, SagaFault> {
    let (step, reason) = settled;
    let mut walk = Walk::load(run, journal, clock, actor, progress)?;
    if !walk.state.stuck_on().any(|stuck| stuck == step) {
        return Err(SagaFault::NotStuckOn { step });
    }
    walk.record(EventBody::Skipped { step, reason: reason.to_owned() })?;
    walk.state.reopen();
    walk.finish()
}

struct Walk<'a> {
    run: &'a Run,
    journal: &'a dyn Journal,
    clock: &'a dyn Clock,
    actor: &'a mut dyn Actor,
    progress: &'a dyn Progress,
    state: State,
}

impl<'a> Walk<'a> {
    fn load(
        run: &'a Run,
        journal: &'a dyn Journal,
        clock: &'a dyn Clock,
        actor: &'a mut dyn Actor,
        progress: &'a dyn Progress,
    ) -> Result<Self, SagaFault> {
        let events = journal.events(&run.id).map_err(SagaFault::JournalLost)?;
        let state = events.iter().fold(State::new(&run.plan), |state, event| state.after(&event.body));
        match state.foreign() {
            Some(step) => Err(SagaFault::ForeignJournal { step }),
            None => Ok(Self { run, journal, clock, actor, progress, state }),
        }
    }

    fn finish(mut self) -> Result<Conclusion, SagaFault> {
        loop {
            match self.state.next() {
                Next::Perform(step) => self.perform(step)?,
                Next::Undo(step) => self.undo(step)?,
                Next::Conclude(outcome) => self.record(EventBody::Concluded { outcome })?,
                Next::Ended(outcome) => {
                    return Ok(Conclusion {
                        outcome,
                        outputs: self.state.outputs().clone(),
                        first_fault: self.state.first_fault().cloned(),
                        faults: self.state.faults().to_vec(),
                    });
                }
            }
        }
    }

    fn perform(&mut self, id: StepId) -> Result<(), SagaFault> {
        let step = self.step(id);
        if !step.always && self.progress.cancelled() {
            return Err(SagaFault::Interrupted);
        }
        let again = self.state.stand(id) != Some(Stand::Waiting);
        self.record(EventBody::StepBegun { step: id })?;
        let since = self.clock.monotonic();
        let result = self.actor.perform(&step, &Token::new(&self.run.id, id, again), self.state.outputs());
        let took = self.clock.monotonic().saturating_sub(since);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(output) => self.record(EventBody::StepDone { step: id, output, millis }),
            Err(fault) if stopped(&fault) => Err(SagaFault::Interrupted),
            Err(fault) => self.record(EventBody::StepFailed { step: id, fault, millis }),
        }
    }

    fn undo(&mut self, id: StepId) -> Result<(), SagaFault> {
        let step = self.step(id);
        let again = self.state.stand(id) != Some(Stand::Done);
        self.record(EventBody::UndoBegun { step: id })?;
        match self.actor.undo(&step, &Token::new(&self.run.id, id, again), self.state.outputs()) {
            Ok(()) => self.record(EventBody::UndoDone { step: id }),
            Err(fault) if stopped(&fault) => Err(SagaFault::Interrupted),
            Err(fault) => self.record(EventBody::UndoFailed { step: id, fault }),
        }
    }

    /// Durable first, then true: the state never knows more than the journal.
    fn record(&mut self, body: EventBody) -> Result<(), SagaFault> {
        let event = self.journal.append(&self.run.id, body).map_err(SagaFault::JournalLost)?;
        self.state.apply(&event.body);
        Ok(())
    }

    fn step(&self, id: StepId) -> Step {
        self.state.step(id).expect("the state names only steps of its plan").clone()
    }
}
