//! Where a run stands, and what comes next. Pure: the journal in, a decision out.

use backstop_model::run::StepOutput;
use backstop_model::{EventBody, ExitCode, Fault, Outcome, Plan, Step, StepId};

use crate::actor::Outputs;

/// Where one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Nothing happened yet.
    Waiting,
    /// An attempt began and has no result.
    Begun,
    /// Another attempt began after one that has no result.
    BegunAgain,
    /// Performed.
    Done,
    /// Failed; nothing happened.
    Failed,
    /// Failed or was cancelled, and an attempt without result may have taken effect: undone like a done one.
    InDoubt,
    /// Its undo began and has no result.
    Undoing,
    /// Undone.
    Undone,
    /// Its undo failed.
    UndoFailed,
    /// Settled by a person.
    Skipped,
}

/// Which way the run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Perform this step.
    Perform(StepId),
    /// Undo this step.
    Undo(StepId),
    /// Record that the run ended so.
    Conclude(Outcome),
    /// Nothing: the run ended so.
    Ended(Outcome),
}

/// A run, folded from its plan and its journal.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    steps: Vec<(Step, Stand)>,
    direction: Direction,
    outputs: Outputs,
    faults: Vec<(StepId, Fault)>,
    turned_by: Option<Fault>,
    ended: Option<Outcome>,
    foreign: Option<StepId>,
}

impl State {
    /// A run of `plan` whose journal is empty.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            steps: plan.steps.iter().map(|step| (step.clone(), Stand::Waiting)).collect(),
            direction: Direction::Forward,
            outputs: Outputs::new(),
            faults: Vec::new(),
            turned_by: None,
            ended: None,
            foreign: None,
        }
    }

    /// Where the run stands after `body`. Total: accepts every entry in every state, because a loader that refuses what
    /// a crash has left can never recover the run.
    #[must_use]
    pub fn after(mut self, body: &EventBody) -> Self {
        self.apply(body);
        self
    }

    /// The same run with another attempt allowed at whatever made it stuck.
    #[must_use]
    pub fn reopened(mut self) -> Self {
        self.reopen();
        self
    }

    pub(crate) fn apply(&mut self, body: &EventBody) {
        match body {
            EventBody::Note { .. } => {}
            EventBody::Concluded { outcome } => self.ended = Some(*outcome),
            EventBody::StepBegun { step }
            | EventBody::StepDone { step, .. }
            | EventBody::StepFailed { step, .. }
            | EventBody::UndoBegun { step }
            | EventBody::UndoDone { step }
            | EventBody::UndoFailed { step, .. }
            | EventBody::Skipped { step, .. } => {
                if self.ended == Some(Outcome::Stuck) {
                    self.reopen();
                }
                self.ended = None;
                self.apply_to(*step, body);
            }
        }
    }

    pub(crate) fn reopen(&mut self) {
        for (step, stand) in &mut self.steps {
            match stand {
                Stand::UndoFailed => *stand = Stand::Undoing,
                Stand::Failed | Stand::InDoubt if step.always && !step.optional => *stand = Stand::Begun,
                Stand::Waiting
                | Stand::Begun
                | Stand::BegunAgain
                | Stand::Done
                | Stand::Failed
                | Stand::InDoubt
                | Stand::Undoing
                | Stand::Undone
                | Stand::Skipped => {}
            }
        }
        self.ended = None;
    }

    /// What comes next.
    #[must_use]
    pub fn next(&self) -> Next {
        if let Some(outcome) = self.ended {
            return Next::Ended(outcome);
        }
        let work = match self.direction {
            Direction::Forward => self.first(false).map(Next::Perform),
            Direction::Back => {
                if self.steps.iter().any(|(_, stand)| *stand == Stand::UndoFailed) {
                    return Next::Conclude(Outcome::Stuck);
                }
                self.last_to_undo().map(Next::Undo)
            }
        };
        work.or_else(|| self.first(true).map(Next::Perform)).unwrap_or_else(|| Next::Conclude(self.outcome()))
    }

    /// The entry that turns the run round on a person's wish; `None` when it already goes back or nothing is left that
    /// could be undone.
    #[must_use]
    pub fn cancelling(&self, reason: &str) -> Option<EventBody> {
        if self.direction == Direction::Back {
            return None;
        }
        if let Some(step) = self.first(false) {
            let fault = Fault::new(
                ExitCode::Interrupted,
                backstop_model::Advice::CallAPerson,
                format!("cancelled: {reason}"),
                "",
            );
            return Some(EventBody::StepFailed { step, fault, millis: 0 });
        }
        self.last_to_undo().map(|step| EventBody::UndoBegun { step })
    }

    /// The steps a person must settle before the run can end.
    pub fn stuck_on(&self) -> impl Iterator<Item = StepId> + '_ {
        self.steps.iter().filter(|(step, stand)| blocks(step, *stand)).map(|(step, _)| step.id)
    }

    /// Where the step stands; `None` when the plan has no such step.
    #[must_use]
    pub fn stand(&self, step: StepId) -> Option<Stand> {
        self.steps.iter().find(|(known, _)| known.id == step).map(|(_, stand)| *stand)
    }

    /// The outputs of the steps that are done and not undone.
    #[must_use]
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Every fault of a step or an undo, in the order they came, settled ones included.
    #[must_use]
    pub fn faults(&self) -> &[(StepId, Fault)] {
        &self.faults
    }

    /// The fault that decided the run: what turned it round, else the first there was.
    #[must_use]
    pub fn first_fault(&self) -> Option<&Fault> {
        self.turned_by.as_ref().or_else(|| self.faults.first().map(|(_, fault)| fault))
    }

    /// A step that the journal names and the plan does not have: these two do not belong together.
    #[must_use]
    pub fn foreign(&self) -> Option<StepId> {
        self.foreign
    }

    pub(crate) fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.iter().find(|(step, _)| step.id == id).map(|(step, _)| step)
    }

    fn apply_to(&mut self, id: StepId, body: &EventBody) {
        let Some((step, stand)) = self.steps.iter_mut().find(|(step, _)| step.id == id) else {
            self.foreign = self.foreign.or(Some(id));
            return;
        };
        *stand = stand_after(*stand, body);
        match body {
            EventBody::StepDone { output, .. } => {
                self.outputs.insert(id, output.clone());
            }
            EventBody::StepFailed { fault, .. } => {
                if !step.always && (!step.optional || stopped(fault)) {
                    self.direction = Direction::Back;
                    self.turned_by.get_or_insert_with(|| fault.clone());
                }
                self.faults.push((id, fault.clone()));
            }
            EventBody::UndoBegun { .. } => self.direction = Direction::Back,
            EventBody::UndoDone { .. } => {
                self.direction = Direction::Back;
                self.outputs.remove(&id);
            }
            EventBody::UndoFailed { fault, .. } => {
                self.direction = Direction::Back;
                self.faults.push((id, fault.clone()));
            }
            EventBody::StepBegun { .. }
            | EventBody::Skipped { .. }
            | EventBody::Note { .. }
            | EventBody::Concluded { .. } => {}
        }
    }

    fn first(&self, always: bool) -> Option<StepId> {
        self.steps
            .iter()
            .find(|(step, stand)| {
                step.always == always && matches!(stand, Stand::Waiting | Stand::Begun | Stand::BegunAgain)
            })
            .map(|(step, _)| step.id)
    }

    fn last_to_undo(&self) -> Option<StepId> {
        self.steps
            .iter()
            .rev()
            .find(|(step, stand)| {
                !step.always
                    && matches!(stand, Stand::Done | Stand::InDoubt | Stand::Undoing | Stand::Begun | Stand::BegunAgain)
            })
            .map(|(step, _)| step.id)
    }

    /// Whether each step but the cleaning failed.
    fn all_failed(&self) -> bool {
        let mut steps = self.steps.iter().filter(|(step, _)| !step.always).peekable();
        steps.peek().is_some() && steps.all(|(_, stand)| matches!(stand, Stand::Failed | Stand::InDoubt))
    }

    /// How a run with nothing left to do ended.
    fn outcome(&self) -> Outcome {
        let any = |wanted: &[Stand]| self.steps.iter().any(|(_, stand)| wanted.contains(stand));
        if self.stuck_on().next().is_some() {
            return Outcome::Stuck;
        }
        match self.direction {
            // Of several things to do, each optional, not one was done: there is no part of a result.
            Direction::Forward if self.all_failed() => Outcome::Failed,
            Direction::Forward => {
                let left_out = any(&[Stand::Failed, Stand::InDoubt, Stand::Skipped]);
                if left_out || self.outputs.values().any(incomplete) { Outcome::Partial } else { Outcome::Done }
            }
            // What a person settled by hand was not undone by us, so the run does not claim it.
            Direction::Back if any(&[Stand::Skipped]) => Outcome::Failed,
            Direction::Back if any(&[Stand::Undone]) => Outcome::Undone,
            Direction::Back => Outcome::Failed,
        }
    }
}

/// Whether a fault says that the operator stopped the work. Journalled only for a cancelled run: an interrupted
/// step stays open.
pub(crate) fn stopped(fault: &Fault) -> bool {
    matches!(fault.code, ExitCode::Interrupted | ExitCode::Terminated)
}

fn blocks(step: &Step, stand: Stand) -> bool {
    match stand {
        Stand::UndoFailed => true,
        Stand::Failed | Stand::InDoubt => step.always && !step.optional,
        Stand::Waiting
        | Stand::Begun
        | Stand::BegunAgain
        | Stand::Done
        | Stand::Undoing
        | Stand::Undone
        | Stand::Skipped => false,
    }
}

fn stand_after(before: Stand, body: &EventBody) -> Stand {
    match body {
        EventBody::StepBegun { .. } => match before {
            Stand::Waiting => Stand::Begun,
            Stand::Begun
            | Stand::BegunAgain
            | Stand::Done
            | Stand::Failed
            | Stand::InDoubt
            | Stand::Undoing
            | Stand::Undone
            | Stand::UndoFailed
            | Stand::Skipped => Stand::BegunAgain,
        },
        EventBody::StepDone { .. } => Stand::Done,
        EventBody::StepFailed { fault, .. } => match before {
            Stand::Begun if stopped(fault) => Stand::InDoubt,
            Stand::Waiting | Stand::Begun | Stand::Failed | Stand::Undone | Stand::Skipped => Stand::Failed,
            Stand::BegunAgain | Stand::Done | Stand::InDoubt | Stand::Undoing | Stand::UndoFailed => Stand::InDoubt,
        },
        EventBody::UndoBegun { .. } => Stand::Undoing,
        EventBody::UndoDone { .. } => Stand::Undone,
        EventBody::UndoFailed { .. } => Stand::UndoFailed,
        EventBody::Skipped { .. } => Stand::Skipped,
        EventBody::Note { .. } | EventBody::Concluded { .. } => before,
    }
}

/// Whether the output says that entries are missing. Kinds that do not count (vanished, skipped, kept) leave a result
/// complete; where the list of troubles was cut, the unseen rest is taken to count.
fn incomplete(output: &StepOutput) -> bool {
    let (troubles, count) = match output {
        StepOutput::Snapshot(made) => (&made.troubles, made.trouble_count),
        StepOutput::Restored(restored) => (&restored.troubles, restored.trouble_count),
        StepOutput::Nothing | StepOutput::Checked(_) | StepOutput::Freed { .. } => return false,
    };
    troubles.iter().any(|trouble| trouble.kind.counts()) || count > troubles.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstop_model::plan::Action;
    use backstop_model::run::Restored;
    use backstop_model::tree::{Trouble, TroubleKind};
    use backstop_model::{Timestamp, Verb};
    use proptest::prelude::*;

    /// A plan of one step per letter: `r`equired, `o`ptional, `a`lways, `x` optional and always.
    fn plan(kinds: &str) -> Plan {
        let mut plan = Plan::nothing(Verb::DrTest, Timestamp::UNIX_EPOCH, "test");
        for (i, kind) in kinds.chars().enumerate() {
            let step = plan.push(Action::OwnDirectory { dir: format!("/{i}").into() });
            step.optional = matches!(kind, 'o' | 'x');
            step.always = matches!(kind, 'a' | 'x');
        }
        plan
    }

    fn begun(step: u32) -> EventBody {
        EventBody::StepBegun { step: StepId(step) }
    }

    fn done(step: u32, output: StepOutput) -> EventBody {
        EventBody::StepDone { step: StepId(step), output, millis: 1 }
    }

    fn failed(step: u32) -> EventBody {
        EventBody::StepFailed { step: StepId(step), fault: Fault::usage("no", ""), millis: 1 }
    }

    fn fold(plan: &Plan, events: &[EventBody]) -> State {
        events.iter().fold(State::new(plan), State::after)
    }

    fn restored(kinds: &[TroubleKind], count: u64) -> StepOutput {
        StepOutput::Restored(Restored {
            entries: 1,
            bytes: 1,
            kept: 0,
            troubles: kinds
                .iter()
                .map(|kind| Trouble { path: "/x".into(), kind: *kind, detail: String::new() })
                .collect(),
            trouble_count: count,
        })
    }

    #[test]
    fn only_troubles_that_count_make_a_result_partial() {
        for (kinds, count, outcome) in [
            (&[][..], 0, Outcome::Done),
            (&[TroubleKind::Kept, TroubleKind::Vanished], 2, Outcome::Done),
            (&[TroubleKind::Kept, TroubleKind::Unwritable], 2, Outcome::Partial),
            (&[TroubleKind::Kept], 101, Outcome::Partial),
        ] {
            let state = fold(&plan("r"), &[begun(0), done(0, restored(kinds, count))]);
            assert_eq!(state.next(), Next::Conclude(outcome), "{kinds:?}");
        }
    }

    #[test]
    fn a_step_that_failed_after_an_attempt_without_result_is_undone_too() {
        let once = fold(&plan("rr"), &[begun(0), failed(0)]);
        assert_eq!(once.next(), Next::Conclude(Outcome::Failed));
        let twice = fold(&plan("rr"), &[begun(0), begun(0), failed(0)]);
        assert_eq!(twice.next(), Next::Undo(StepId(0)));
    }

    #[test]
    fn a_run_of_which_nothing_was_done_is_no_partial_success() {
        let all =
            fold(&plan("oox"), &[begun(0), failed(0), begun(1), failed(1), begun(2), done(2, StepOutput::Nothing)]);
        assert_eq!(all.next(), Next::Conclude(Outcome::Failed));
        let one = fold(&plan("oo"), &[begun(0), failed(0), begun(1), done(1, StepOutput::Nothing)]);
        assert_eq!(one.next(), Next::Conclude(Outcome::Partial));
    }

    #[test]
    fn cancelling_an_optional_step_turns_the_run_round() {
        let state = fold(&plan("ro"), &[begun(0), done(0, StepOutput::Nothing)]);
        let state = state.clone().after(&state.cancelling("enough").expect("a step is left"));
        assert_eq!(state.next(), Next::Undo(StepId(0)));
        assert_eq!(state.first_fault().map(|fault| fault.message.as_str()), Some("cancelled: enough"));
    }

    #[test]
    fn cancelling_when_only_cleaning_is_left_undoes_the_last_step() {
        let state = fold(&plan("ra"), &[begun(0), done(0, StepOutput::Nothing), begun(1)]);
        assert_eq!(state.cancelling("enough"), Some(EventBody::UndoBegun { step: StepId(0) }));
    }

    #[test]
    fn cleaning_waits_while_an_undo_is_outstanding() {
        let stuck = EventBody::UndoFailed { step: StepId(0), fault: Fault::usage("no", "") };
        let state = fold(&plan("rra"), &[begun(0), done(0, StepOutput::Nothing), begun(1), failed(1), stuck]);
        assert_eq!(state.next(), Next::Conclude(Outcome::Stuck));
        assert_eq!(state.stuck_on().collect::<Vec<_>>(), [StepId(0)]);
        assert_eq!(state.reopened().next(), Next::Undo(StepId(0)));
    }

    #[test]
    fn a_failed_cleaning_is_stuck_unless_it_was_optional() {
        let ran = |kinds| fold(&plan(kinds), &[begun(0), done(0, StepOutput::Nothing), begun(1), failed(1)]);
        assert_eq!(ran("ra").next(), Next::Conclude(Outcome::Stuck));
        assert_eq!(ran("rx").next(), Next::Conclude(Outcome::Partial));
    }

    #[test]
    fn a_skipped_undo_is_never_called_undone() {
        let events = [
            begun(0),
            done(0, StepOutput::Nothing),
            begun(1),
            done(1, StepOutput::Nothing),
            begun(2),
            failed(2),
            EventBody::UndoDone { step: StepId(1) },
            EventBody::UndoFailed { step: StepId(0), fault: Fault::usage("no", "") },
            EventBody::Concluded { outcome: Outcome::Stuck },
            EventBody::Skipped { step: StepId(0), reason: "removed by hand".into() },
        ];
        assert_eq!(fold(&plan("rrr"), &events).next(), Next::Conclude(Outcome::Failed));
    }

    fn any_event() -> impl Strategy<Value = EventBody> {
        let fault = prop_oneof![Just(Fault::usage("no", "")), Just(Fault::interrupted())];
        let outcome = prop_oneof![
            Just(Outcome::Done),
            Just(Outcome::Partial),
            Just(Outcome::Undone),
            Just(Outcome::Failed),
            Just(Outcome::Stuck)
        ];
        (0..9u8, 0..6u32, fault, outcome).prop_map(|(which, step, fault, outcome)| {
            let step = StepId(step);
            match which {
                0 => EventBody::StepBegun { step },
                1 => EventBody::StepDone { step, output: StepOutput::Nothing, millis: 0 },
                2 => EventBody::StepFailed { step, fault, millis: 0 },
                3 => EventBody::UndoBegun { step },
                4 => EventBody::UndoDone { step },
                5 => EventBody::UndoFailed { step, fault },
                6 => EventBody::Skipped { step, reason: String::new() },
                7 => EventBody::Note { text: String::new() },
                _ => EventBody::Concluded { outcome },
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever a journal holds, the run loads, names a step of its own plan, and comes to an end within as many
        /// turns as there can be effects.
        #[test]
        fn every_journal_loads_and_ends(kinds in "[roax]{0,5}", events in prop::collection::vec(any_event(), 0..14)) {
            let plan = plan(&kinds);
            let mut state = fold(&plan, &events).reopened();
            for turn in 0.. {
                prop_assert!(turn <= 2 * plan.steps.len() + 1, "no end in sight: {state:?}");
                match state.next() {
                    Next::Perform(step) => state = state.after(&done(step.0, StepOutput::Nothing)),
                    Next::Undo(step) => state = state.after(&EventBody::UndoDone { step }),
                    Next::Conclude(outcome) => state = state.after(&EventBody::Concluded { outcome }),
                    Next::Ended(_) => break,
                }
            }
            prop_assert!(state.foreign().is_none_or(|step| step.0 as usize >= plan.steps.len()));
        }
    }
}
