//! An actor that misbehaves where a test wants it to, for the tests of every verb.

use backstop_model::run::StepOutput;
use backstop_model::{Fault, Step, StepId};

use crate::actor::{Actor, Outputs, Token};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// Nothing: a run to compare with.
    Nothing,
    /// The step fails each time, without effect.
    FailStep(StepId),
    /// The undo of the step fails each time, without effect.
    FailUndo(StepId),
    /// Each step is performed twice; the second output counts.
    RepeatSteps,
    /// Each undo is called twice.
    RepeatUndos,
    /// The process dies after the step's intent was journalled, before its effect.
    DieBefore(StepId),
    /// The process dies after the step's effect, before its result was journalled.
    DieAfter(StepId),
    /// The process dies after the effect of the step's undo, before its result was journalled.
    DieAfterUndo(StepId),
}

/// Wraps an actor and injects faults.
///
/// Dying is an interruption: the saga returns at once and the journal holds an intent without a result, which is all
/// that a killed process leaves. Continue with the inner actor, or with one that injects [`Injection::Nothing`].
pub struct Faulty<'a> {
    inner: &'a mut dyn Actor,
    injections: Vec<Injection>,
}

impl<'a> Faulty<'a> {
    /// `inner` with these faults, all at once.
    pub fn new(inner: &'a mut dyn Actor, injections: impl Into<Vec<Injection>>) -> Self {
        Self { inner, injections: injections.into() }
    }

    fn has(&self, injection: Injection) -> bool {
        self.injections.contains(&injection)
    }
}

fn injected(step: &Step) -> Fault {
    Fault::new(
        backstop_model::ExitCode::Failed,
        backstop_model::Advice::Retry,
        format!("injected fault: {}", step.action.describe()),
        "",
    )
}

impl Actor for Faulty<'_> {
    fn perform(&mut self, step: &Step, token: &Token, earlier: &Outputs) -> Result<StepOutput, Fault> {
        if self.has(Injection::FailStep(step.id)) {
            return Err(injected(step));
        }
        if self.has(Injection::DieBefore(step.id)) {
            return Err(Fault::interrupted());
        }
        let mut output = self.inner.perform(step, token, earlier)?;
        if self.has(Injection::RepeatSteps) {
            output = self.inner.perform(step, &Token::new(token.run(), step.id, true), earlier)?;
        }
        if self.has(Injection::DieAfter(step.id)) {
            return Err(Fault::interrupted());
        }
        Ok(output)
    }

    fn undo(&mut self, step: &Step, token: &Token, earlier: &Outputs) -> Result<(), Fault> {
        if self.has(Injection::FailUndo(step.id)) {
            return Err(injected(step));
        }
        self.inner.undo(step, token, earlier)?;
        if self.has(Injection::RepeatUndos) {
            self.inner.undo(step, &Token::new(token.run(), step.id, true), earlier)?;
        }
        if self.has(Injection::DieAfterUndo(step.id)) {
            return Err(Fault::interrupted());
        }
        Ok(())
    }
}
