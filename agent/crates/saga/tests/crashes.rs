//! Proves, by trying every case: whatever step fails, whatever undo fails, and wherever the process dies, a run ends
//! with the world as planned or as it was before, and never touches the world after it ended.
//!
//! Every plan of up to five steps of every kind is tried with every single fault; each of these runs is killed at every
//! journal entry and every effect, before and after. The counts are asserted: a loop that tries nothing is red.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstop_model::plan::Action;
use backstop_model::run::StepOutput;
use backstop_model::{
    Advice, Event, EventBody, ExitCode, Fault, Outcome, Plan, Run, RunId, Step, StepId, Timestamp, Verb,
};
use backstop_saga::{Actor, Conclusion, Faulty, Injection, Outputs, SagaFault, Token, cancel, execute, resume, skip};
use backstop_seams::{Clock, Journal, Progress, Silent, Tick};

const KINDS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn run_of(kinds: &[(bool, bool)]) -> Run {
    let mut plan = Plan::nothing(Verb::DrTest, Timestamp::UNIX_EPOCH, "test");
    for (i, (optional, always)) in kinds.iter().enumerate() {
        let step = plan.push(Action::OwnDirectory { dir: format!("/{i}").into() });
        (step.optional, step.always) = (*optional, *always);
    }
    Run {
        id: "run-1".parse().expect("valid"),
        verb: Verb::DrTest,
        workload: None,
        plan,
        started: Timestamp::UNIX_EPOCH,
        finished: None,
        outcome: None,
        by: "test@here".into(),
    }
}

const REQUIRED: (bool, bool) = KINDS[0];
const OPTIONAL: (bool, bool) = KINDS[1];
const CLEANING: (bool, bool) = KINDS[2];

/// Five steps of four kinds make 1024 plans. All of them are run with every fault; killing each of these runs
/// everywhere is kept to plans like those that exist.
const LONG_PLANS_KILLED: [&[(bool, bool)]; 3] = [
    &[REQUIRED; 5],
    &[REQUIRED, REQUIRED, OPTIONAL, REQUIRED, CLEANING],
    &[REQUIRED, OPTIONAL, REQUIRED, CLEANING, CLEANING],
];

/// Every plan of `len` steps.
fn plans(len: u32) -> impl Iterator<Item = Vec<(bool, bool)>> {
    (0..KINDS.len().pow(len)).map(move |n| (0..len).map(|i| KINDS[n / KINDS.len().pow(i) % KINDS.len()]).collect())
}

struct StoppedClock;
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) {}
}

/// When the process dies: after so many things happened. A thing is a journal entry or an effect, and the moment before.
#[derive(Default)]
struct Doom {
    happened: Cell<u32>,
    at: Cell<Option<u32>>,
    dead: Cell<bool>,
}

impl Doom {
    /// False once dead: then nothing may happen any more.
    fn alive(&self) -> bool {
        if !self.dead.get() {
            self.dead.set(self.at.get() == Some(self.happened.get()));
            self.happened.set(self.happened.get() + 1);
        }
        !self.dead.get()
    }

    fn revive(&self, at: Option<u32>) {
        self.happened.set(0);
        self.at.set(at);
        self.dead.set(false);
    }
}

fn killed() -> Fault {
    Fault::new(ExitCode::Temporary, Advice::Retry, "killed", "")
}

struct Memory<'a> {
    doom: &'a Doom,
    events: RefCell<Vec<Event>>,
}

impl<'a> Memory<'a> {
    fn new(doom: &'a Doom) -> Self {
        Self { doom, events: RefCell::default() }
    }

    fn any(&self, wanted: impl Fn(&EventBody) -> bool) -> bool {
        self.events.borrow().iter().any(|event| wanted(&event.body))
    }
}

impl Journal for Memory<'_> {
    fn append(&self, run: &RunId, body: EventBody) -> Result<Event, Fault> {
        if !self.doom.alive() {
            return Err(killed());
        }
        let mut events = self.events.borrow_mut();
        let event = Event { run: run.clone(), seq: events.len() as u64, at: Timestamp::UNIX_EPOCH, body };
        events.push(event.clone());
        // Durable, but the caller did not live to see it.
        if self.doom.alive() { Ok(event) } else { Err(killed()) }
    }

    fn events(&self, _: &RunId) -> Result<Vec<Event>, Fault> {
        Ok(self.events.borrow().clone())
    }
}

/// The outside: a set of things, one per step, and who may change it.
struct World<'a> {
    doom: &'a Doom,
    journal: &'a Memory<'a>,
    made: BTreeSet<StepId>,
    cleaned: BTreeSet<StepId>,
    ever_made: BTreeSet<StepId>,
    undos: Vec<StepId>,
    effects: u32,
}

impl World<'_> {
    fn last_intent(&self) -> EventBody {
        let events = self.journal.events.borrow();
        let last = events.last().expect("no effect without an entry");
        assert!(!matches!(last.body, EventBody::Concluded { .. }), "effect after the conclusion");
        last.body.clone()
    }
}

impl Actor for World<'_> {
    fn perform(&mut self, step: &Step, token: &Token, earlier: &Outputs) -> Result<StepOutput, Fault> {
        assert_eq!(self.last_intent(), EventBody::StepBegun { step: step.id }, "effect without intent");
        assert_eq!(token.to_string(), format!("run-1/{}", step.id.0));
        assert!(earlier.keys().all(|id| *id != step.id) || token.again());
        if !self.doom.alive() {
            return Err(killed());
        }
        if step.always {
            let back = self.journal.any(|body| matches!(body, EventBody::UndoBegun { .. }));
            assert!(!back || self.made.is_empty(), "cleaning while {:?} is not undone", self.made);
            self.cleaned.insert(step.id);
        } else {
            assert!(token.again() || !self.made.contains(&step.id), "performed twice without need");
            self.made.insert(step.id);
            self.ever_made.insert(step.id);
        }
        self.effects += 1;
        let freed = StepOutput::Freed { bytes: u64::from(step.id.0), packs: 0, marked: 0 };
        if self.doom.alive() { Ok(freed) } else { Err(killed()) }
    }

    fn undo(&mut self, step: &Step, token: &Token, _: &Outputs) -> Result<(), Fault> {
        assert_eq!(self.last_intent(), EventBody::UndoBegun { step: step.id }, "effect without intent");
        assert!(!step.always, "cleaning is never undone");
        if !self.doom.alive() {
            return Err(killed());
        }
        let later = self.made.range(StepId(step.id.0 + 1)..).next();
        assert_eq!(later, None, "step {} undone before a later one", step.id.0);
        assert!(token.again() || !self.undos.contains(&step.id), "undone twice without need");
        self.made.remove(&step.id);
        self.undos.push(step.id);
        self.effects += 1;
        if self.doom.alive() { Ok(()) } else { Err(killed()) }
    }
}

type SagaVerb = fn(&Run, &dyn Journal, &dyn Clock, &mut dyn Actor, &dyn Progress) -> Result<Conclusion, SagaFault>;

/// One run in its own world.
struct Story<'a> {
    run: &'a Run,
    world: World<'a>,
    faults: Vec<Injection>,
}

impl<'a> Story<'a> {
    fn new(run: &'a Run, doom: &'a Doom, journal: &'a Memory<'a>, faults: Vec<Injection>) -> Self {
        let (made, cleaned, ever_made) = Default::default();
        Self { run, world: World { doom, journal, made, cleaned, ever_made, undos: vec![], effects: 0 }, faults }
    }

    fn go(&mut self, verb: SagaVerb) -> Result<Conclusion, SagaFault> {
        let journal = self.world.journal;
        verb(self.run, journal, &StoppedClock, &mut Faulty::new(&mut self.world, self.faults.clone()), &Silent)
    }

    fn fails(&self, step: &Step) -> bool {
        self.faults.contains(&Injection::FailStep(step.id))
    }

    /// The steps whose effect the outcome promises, and whether cleaning was completed.
    fn check(&self, ended: &Conclusion) {
        let steps = || self.run.plan.steps.iter();
        let context = format!("{:?} {:?}\n{:#?}", self.faults, ended, self.world.journal.events.borrow());
        let planned: BTreeSet<_> = steps().filter(|s| !s.always && !self.fails(s)).map(|s| s.id).collect();
        let cleaning: BTreeSet<_> = steps().filter(|s| s.always && !self.fails(s)).map(|s| s.id).collect();
        let undone: BTreeSet<_> = self.world.undos.iter().copied().collect();
        match ended.outcome {
            Outcome::Done | Outcome::Partial => {
                assert_eq!(self.world.made, planned, "{context}");
                assert!(undone.is_empty(), "{context}");
                assert_eq!(ended.outcome == Outcome::Partial, ended.first_fault.is_some(), "{context}");
                assert_eq!(ended.outputs.len(), planned.len() + cleaning.len(), "{context}");
            }
            Outcome::Undone => {
                assert!(self.world.made.is_empty(), "{context}");
                assert!(undone.is_superset(&self.world.ever_made) && !undone.is_empty(), "{context}");
                assert_eq!(ended.outputs.keys().copied().collect::<BTreeSet<_>>(), cleaning, "{context}");
            }
            Outcome::Failed => {
                assert!(self.world.ever_made.is_empty() && undone.is_empty(), "{context}");
            }
            Outcome::Stuck => {
                let last = ended.faults.last().expect("stuck on something");
                assert!(last.1.message.starts_with("injected"), "{context}");
                assert!(ended.first_fault.is_some(), "{context}");
            }
        }
        match ended.faults.last() {
            Some((step, _)) if ended.outcome == Outcome::Stuck && !self.run.plan.steps[step.0 as usize].always => {
                assert!(self.world.cleaned.is_empty(), "cleaned while an undo is outstanding: {context}");
            }
            _ => assert_eq!(self.world.cleaned, cleaning, "{context}"),
        }
    }
}

/// Nothing; each step; each step with each undo.
fn single_faults(run: &Run) -> Vec<Vec<Injection>> {
    let ids: Vec<StepId> = run.plan.steps.iter().map(|step| step.id).collect();
    let mut all = vec![vec![Injection::Nothing]];
    for id in &ids {
        all.push(vec![Injection::FailStep(*id)]);
        let earlier = ids.iter().filter(|undo| *undo < id && !run.plan.steps[undo.0 as usize].always);
        all.extend(earlier.map(|undo| vec![Injection::FailStep(*id), Injection::FailUndo(*undo)]));
    }
    all
}

/// Runs to the end, dying once at each of `deaths`, counted from the last start.
fn live(story: &mut Story<'_>, deaths: &[Option<u32>]) -> Conclusion {
    let doom = story.world.doom;
    for death in deaths {
        doom.revive(*death);
        match story.go(execute) {
            Ok(ended) => return ended,
            Err(SagaFault::JournalLost(_)) => assert!(doom.dead.get(), "gave up though alive"),
            Err(other) => panic!("{other}"),
        }
    }
    doom.revive(None);
    story.go(execute).expect("nobody kills it any more")
}

#[test]
fn every_run_killed_anywhere_ends_as_it_would_have() {
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    let (mut stories, mut deaths) = (0, 0);
    for len in 0..=5 {
        for kinds in plans(len) {
            let run = run_of(&kinds);
            for faults in single_faults(&run) {
                let doom = Doom::default();
                let undisturbed = Memory::new(&doom);
                let mut story = Story::new(&run, &doom, &undisturbed, faults.clone());
                let expected = live(&mut story, &[]);
                story.check(&expected);
                stories += 1;
                *outcomes.entry(expected.outcome.to_string()).or_default() += 1;
                let unique: BTreeSet<_> = story.world.undos.iter().collect();
                assert_eq!(unique.len(), story.world.undos.len(), "an undo ran twice though nobody died");

                if len == 5 && !LONG_PLANS_KILLED.contains(&kinds.as_slice()) {
                    continue;
                }
                for death in 0..doom.happened.get() {
                    let doom = Doom::default();
                    let journal = Memory::new(&doom);
                    let mut story = Story::new(&run, &doom, &journal, faults.clone());
                    let ended = live(&mut story, &[Some(death)]);
                    assert_eq!(ended.outcome, expected_outcome(&story, &expected), "killed at {death} of {run:?}");
                    story.check(&ended);
                    deaths += 1;

                    let effects = story.world.effects;
                    assert_eq!(story.go(execute), Ok(ended), "an ended run is told again");
                    assert_eq!(story.world.effects, effects, "effect after the end");
                }
            }
        }
    }
    assert_eq!((stories, deaths), (13_729, 57_976));
    assert_eq!(
        outcomes.keys().map(String::as_str).collect::<Vec<_>>(),
        ["done", "failed", "partial", "stuck", "undone"]
    );
    assert!(outcomes.values().all(|count| *count > 50), "{outcomes:?}");
}

/// A step that dies before its effect and then fails is in doubt and so undone: `Failed` becomes `Undone`.
fn expected_outcome(story: &Story<'_>, undisturbed: &Conclusion) -> Outcome {
    match undisturbed.outcome {
        Outcome::Failed if !story.world.undos.is_empty() => Outcome::Undone,
        other => other,
    }
}

#[test]
fn two_deaths_are_no_worse_than_one() {
    let mut tried = 0;
    for kinds in (0..=3).flat_map(plans) {
        let run = run_of(&kinds);
        for faults in single_faults(&run) {
            let doom = Doom::default();
            let journal = Memory::new(&doom);
            let mut story = Story::new(&run, &doom, &journal, faults.clone());
            let expected = live(&mut story, &[]);
            for first in 0..doom.happened.get() {
                for second in 0..6 {
                    let doom = Doom::default();
                    let journal = Memory::new(&doom);
                    let mut story = Story::new(&run, &doom, &journal, faults.clone());
                    let ended = live(&mut story, &[Some(first), Some(second)]);
                    assert_eq!(ended.outcome, expected_outcome(&story, &expected));
                    story.check(&ended);
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 43_548);
}

#[test]
fn steps_and_undos_may_be_repeated() {
    let (mut tried, mut repeated) = (0, 0);
    for kinds in (0..=4).flat_map(plans) {
        let run = run_of(&kinds);
        for mut faults in single_faults(&run) {
            faults.extend([Injection::RepeatSteps, Injection::RepeatUndos]);
            let doom = Doom::default();
            let journal = Memory::new(&doom);
            let mut story = Story::new(&run, &doom, &journal, faults);
            let ended = live(&mut story, &[]);
            story.check(&ended);
            for id in &story.world.ever_made {
                let times = story.world.undos.iter().filter(|undone| *undone == id).count();
                assert!(times == 0 || times == 2, "{times}");
                repeated += times / 2;
            }
            tried += 1;
        }
    }
    assert_eq!((tried, repeated), (2_465, 286));
}

#[test]
fn a_stuck_run_is_resumed_once_the_cause_is_gone() {
    let mut tried = 0;
    for kinds in (0..=4).flat_map(plans) {
        let run = run_of(&kinds);
        for faults in single_faults(&run) {
            for death in 0..60 {
                let doom = Doom::default();
                let journal = Memory::new(&doom);
                let mut story = Story::new(&run, &doom, &journal, faults.clone());
                let stuck = live(&mut story, &[]);
                if stuck.outcome != Outcome::Stuck {
                    break;
                }
                assert_eq!(story.go(resume).map(|again| again.outcome), Ok(Outcome::Stuck), "the cause is still there");
                story.faults.clear();
                doom.revive(Some(death));
                let ended = story.go(resume);
                let killed = doom.dead.get();
                doom.revive(None);
                // Killed before the first new entry the run is stuck as before; later it is open and goes on.
                let ended = if killed { story.go(resume) } else { ended }.expect("nobody kills it any more");
                tried += 1;
                let forward = !run
                    .plan
                    .steps
                    .iter()
                    .any(|s| !s.always && !s.optional && faults.contains(&Injection::FailStep(s.id)));
                if forward {
                    assert!(matches!(ended.outcome, Outcome::Done | Outcome::Partial), "{ended:?}");
                } else {
                    assert!(matches!(ended.outcome, Outcome::Undone | Outcome::Failed), "{ended:?}");
                    assert!(story.world.made.is_empty());
                }
                let cleaning = run.plan.steps.iter().filter(|step| step.always);
                assert!(cleaning.map(|step| step.id).all(|id| story.world.cleaned.contains(&id)));
                if !killed {
                    break;
                }
            }
        }
    }
    assert_eq!(tried, 8_373);
}

#[test]
fn a_person_settles_what_a_run_is_stuck_on() {
    let run = run_of(&[REQUIRED, REQUIRED, REQUIRED, CLEANING]);
    let doom = Doom::default();
    let journal = Memory::new(&doom);
    let mut story =
        Story::new(&run, &doom, &journal, vec![Injection::FailStep(StepId(2)), Injection::FailUndo(StepId(1))]);
    assert_eq!(live(&mut story, &[]).outcome, Outcome::Stuck);
    assert_eq!(story.world.made, [StepId(0), StepId(1)].into());

    let settle = |world: &mut World<'_>, step| skip(&run, &journal, &StoppedClock, world, &Silent, (step, "by hand"));
    assert_eq!(settle(&mut story.world, StepId(0)), Err(SagaFault::NotStuckOn { step: StepId(0) }));
    story.world.made.remove(&StepId(1));
    let ended = settle(&mut story.world, StepId(1)).expect("goes on");
    assert_eq!(ended.outcome, Outcome::Failed, "what a person did is not called undone");
    assert_eq!(story.world.undos, [StepId(0)]);
    assert_eq!(story.world.cleaned, [StepId(3)].into());
    assert_eq!(ended.faults.iter().map(|(step, _)| step.0).collect::<Vec<_>>(), [2, 1], "both faults are kept");
    assert_eq!(ended.first_fault, Some(ended.faults[0].1.clone()));
}

#[test]
fn left_over_that_a_person_removed_leaves_a_partial_run() {
    let run = run_of(&[REQUIRED, CLEANING, CLEANING]);
    let doom = Doom::default();
    let journal = Memory::new(&doom);
    let mut story = Story::new(&run, &doom, &journal, vec![Injection::FailStep(StepId(1))]);
    assert_eq!(live(&mut story, &[]).outcome, Outcome::Stuck);
    assert_eq!(story.world.cleaned, [StepId(2)].into(), "the other cleaning step is performed all the same");
    let ended = skip(&run, &journal, &StoppedClock, &mut story.world, &Silent, (StepId(1), "gone")).expect("goes on");
    assert_eq!(ended.outcome, Outcome::Partial);
}

/// Wants to stop when it is asked for the n-th time, from 0.
struct AtomicStop {
    left: std::sync::atomic::AtomicI64,
}

impl Progress for AtomicStop {
    fn tick(&self, _: Tick) {}
    fn cancelled(&self) -> bool {
        self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0
    }
}

#[test]
fn an_interrupted_run_goes_on_or_is_undone() {
    let (mut resumed, mut cancelled) = (0, 0);
    for kinds in (1..=4).flat_map(plans) {
        let run = run_of(&kinds);
        let work = kinds.iter().filter(|(_, always)| !always).count();
        for at in 0..work {
            for undo in [false, true] {
                let doom = Doom::default();
                let journal = Memory::new(&doom);
                let mut story = Story::new(&run, &doom, &journal, vec![]);
                let stop = AtomicStop { left: i64::try_from(at).expect("small").into() };
                let open = execute(&run, &journal, &StoppedClock, &mut story.world, &stop);
                assert_eq!(open, Err(SagaFault::Interrupted));
                assert_eq!(story.world.made.len(), at, "stops before the step, not in it");
                if undo {
                    let always = AtomicStop { left: 0.into() };
                    let ended =
                        cancel(&run, &journal, &StoppedClock, &mut story.world, &always, "enough").expect("ends");
                    assert_eq!(ended.outcome, if at == 0 { Outcome::Failed } else { Outcome::Undone });
                    assert!(story.world.made.is_empty());
                    assert_eq!(story.world.undos.len(), at);
                    assert_eq!(story.world.cleaned.len(), kinds.len() - work);
                    assert_eq!(ended.first_fault.expect("says why").message, "cancelled: enough");
                    cancelled += 1;
                } else {
                    let ended = story.go(execute).expect("ends");
                    assert_eq!(ended.outcome, Outcome::Done);
                    story.check(&ended);
                    let again = cancel(&run, &journal, &StoppedClock, &mut story.world, &Silent, "late");
                    assert_eq!(again, Err(SagaFault::Ended(Outcome::Done)));
                    resumed += 1;
                }
            }
        }
    }
    assert_eq!((resumed, cancelled), (626, 626));
}

#[test]
fn a_run_killed_anywhere_and_cancelled_leaves_the_world_as_it_was() {
    let mut tried = 0;
    for kinds in (1..=4).flat_map(plans) {
        let run = run_of(&kinds);
        for death in 0.. {
            let doom = Doom::default();
            let journal = Memory::new(&doom);
            let mut story = Story::new(&run, &doom, &journal, vec![]);
            doom.revive(Some(death));
            if story.go(execute).is_ok() {
                break;
            }
            doom.revive(None);
            match cancel(&run, &journal, &StoppedClock, &mut story.world, &Silent, "enough") {
                Ok(ended) if kinds.iter().all(|(_, always)| *always) => assert_eq!(ended.outcome, Outcome::Done),
                Ok(ended) => {
                    assert!(matches!(ended.outcome, Outcome::Undone | Outcome::Failed), "{ended:?}");
                    assert!(story.world.made.is_empty(), "death at {death} left {:?}", story.world.made);
                    assert_eq!(story.world.cleaned.len(), kinds.iter().filter(|(_, always)| *always).count());
                    assert!(story.world.ever_made.iter().all(|id| story.world.undos.contains(id)));
                }
                Err(SagaFault::Ended(Outcome::Done)) => {} // the conclusion was durable, nobody lived to hear it
                Err(other) => panic!("{other}"),
            }
            tried += 1;
        }
    }
    assert_eq!(tried, 8_192);
}

#[test]
fn injected_deaths_leave_the_run_open_at_that_step() {
    let run = run_of(&[REQUIRED, REQUIRED, CLEANING]);
    let die = |faults: &[Injection]| {
        let doom = Doom::default();
        let journal = Memory::new(&doom);
        let mut story = Story::new(&run, &doom, &journal, faults.to_vec());
        assert_eq!(story.go(execute), Err(SagaFault::Interrupted));
        let made = story.world.made.len();
        story.faults.retain(|fault| matches!(fault, Injection::FailStep(_)));
        (made, story.go(execute).expect("goes on").outcome, story.world.made.len())
    };
    assert_eq!(die(&[Injection::DieBefore(StepId(1))]), (1, Outcome::Done, 2));
    assert_eq!(die(&[Injection::DieAfter(StepId(1))]), (2, Outcome::Done, 2));
    assert_eq!(die(&[Injection::DieAfter(StepId(2))]), (2, Outcome::Done, 2));
    assert_eq!(die(&[Injection::FailStep(StepId(1)), Injection::DieAfterUndo(StepId(0))]), (0, Outcome::Undone, 0));
}

#[test]
fn a_journal_of_another_plan_is_refused_before_anything_happens() {
    let doom = Doom::default();
    let journal = Memory::new(&doom);
    let run = run_of(&[REQUIRED]);
    journal.append(&run.id, EventBody::StepBegun { step: StepId(7) }).expect("alive");
    let mut story = Story::new(&run, &doom, &journal, vec![]);
    assert_eq!(story.go(execute), Err(SagaFault::ForeignJournal { step: StepId(7) }));
    assert_eq!(story.world.effects, 0);
}
