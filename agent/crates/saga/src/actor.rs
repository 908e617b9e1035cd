//! Who has the effects.

use std::collections::BTreeMap;
use std::fmt;

use backstop_model::run::StepOutput;
use backstop_model::{Fault, RunId, Step, StepId};

/// What the steps of a run produced so far, from the journal: a step undone again has no output.
pub type Outputs = BTreeMap<StepId, StepOutput>;

/// Carries out what a plan says. Decides nothing: which step comes next, and in which direction, is the saga's.
///
/// The saga journals the intent before each call and the result after it. Between the two the process may die, so each
/// call may come again, any number of times, in this process or a later one, with a token of the same text.
pub trait Actor {
    /// Performs the step. `earlier` holds the outputs of the steps before it.
    ///
    /// Idempotent: when the step took effect in an earlier attempt (possible if [`Token::again`]), looks and returns
    /// that effect's output.
    ///
    /// # Errors
    /// A fault means that the step *knows* it has not happened. A fault with the code `Interrupted` or `Terminated`
    /// means that the operator stopped it: the run stays open and the step counts as in doubt.
    fn perform(&mut self, step: &Step, token: &Token, earlier: &Outputs) -> Result<StepOutput, Fault>;

    /// Undoes the step: afterwards the world is as if it had never been performed. `earlier` includes the step's own
    /// output if it has one.
    ///
    /// Idempotent, and also called for steps in doubt: does nothing and succeeds when there is nothing to undo.
    ///
    /// # Errors
    /// When it could not be undone; the run is then stuck. An interruption leaves the run open.
    fn undo(&mut self, step: &Step, token: &Token, earlier: &Outputs) -> Result<(), Fault>;
}

/// Names one step of one run to the outside, the same in every attempt. Prints as `run/step`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    run: RunId,
    step: StepId,
    again: bool,
}

impl Token {
    pub(crate) fn new(run: &RunId, step: StepId, again: bool) -> Self {
        Self { run: run.clone(), step, again }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> StepId {
        self.step
    }

    /// Whether an earlier attempt may have had an effect. No part of the token's text.
    #[must_use]
    pub fn again(&self) -> bool {
        self.again
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.step.0)
    }
}
