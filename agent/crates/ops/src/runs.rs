//! `run list` and `run show`: attempts and their journals.

use backstop_catalog::RunFilter;
use backstop_model::run::StepOutput;
use backstop_model::{EventBody, Fault, Outcome, RunId, Span, StepId, Timestamp, Verb, WorkloadName};
use serde::Serialize;

use crate::report::StepState;
use crate::{Context, carry};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// On this workload.
    pub workload: Option<WorkloadName>,
    /// Of this verb.
    pub verb: Option<Verb>,
    /// Begun not before this.
    pub since: Option<Timestamp>,
    /// Not ended: running, or interrupted.
    pub open: bool,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// The runs.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// When this was read.
    pub now: Timestamp,
    /// Newest first.
    pub runs: Vec<Line>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Somebody is at it.
    Running,
    /// Begun, not ended, and its owner is gone.
    Interrupted,
    /// Ended.
    Ended,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Its id.
    pub run: RunId,
    /// What for.
    pub verb: Verb,
    /// On what.
    pub workload: Option<WorkloadName>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How long it took by the wall clock.
    pub took_millis: Option<u64>,
    /// How it stands.
    pub state: State,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who asked.
    pub by: String,
}

/// One run with its steps.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// When this was read.
    pub now: Timestamp,
    /// The run.
    pub run: Line,
    /// Why it was begun, a line each.
    pub reasons: Vec<String>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// What the journal says, in order.
    pub journal: Vec<Entry>,
    /// What to do next.
    pub next: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number.
    pub step: StepId,
    /// What it does.
    pub what: String,
    /// How far it got.
    pub state: StepState,
    /// How long it took.
    pub took_millis: Option<u64>,
    /// What it made.
    pub output: Option<StepOutput>,
    /// Why it failed.
    pub fault: Option<Fault>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub words: String,
}

/// Lists runs.
///
/// # Errors
/// A catalog that cannot be read.
pub fn list(ctx: &Context, request: &Request) -> Result<Listed, Fault> {
    let filter = RunFilter {
        since: request.since,
        workload: request.workload.clone(),
        verb: request.verb,
        open: request.open,
        outcome: None,
        limit: request.limit,
    };
    let runs = ctx.catalog.runs(&filter)?;
    let runs = runs.iter().map(|run| line(ctx, run)).collect::<Result<_, _>>()?;
    Ok(Listed { now: ctx.outside.clock.now(), runs })
}

/// Shows one run.
///
/// # Errors
/// No such run.
pub fn show(ctx: &Context, shortened: &str) -> Result<Shown, Fault> {
    let id = ctx.catalog.find_run(shortened)?;
    let run = ctx
        .catalog
        .run(&id)?
        .ok_or_else(|| Fault::not_found(format!("there is no run `{id}`"), "`backstop run list` shows the ids"))?;
    let events = ctx.catalog.events(&id)?;
    let line = line(ctx, &run)?;
    let mut steps: Vec<Step> = run
        .plan
        .steps
        .iter()
        .map(|step| Step {
            step: step.id,
            what: step.action.describe(),
            state: StepState::NotReached,
            took_millis: None,
            output: None,
            fault: None,
        })
        .collect();
    let mut journal = Vec::new();
    for event in &events {
        journal.push(Entry { at: event.at, words: words(&event.body) });
        apply(&mut steps, &event.body);
    }
    let next = next(&line);
    Ok(Shown { now: ctx.outside.clock.now(), run: line, reasons: run.plan.reasons, steps, journal, next })
}

fn line(ctx: &Context, run: &backstop_model::Run) -> Result<Line, Fault> {
    let mut state = State::Ended;
    if run.finished.is_none() {
        state = State::Interrupted;
        for key in carry::keys_of(run) {
            if carry::is_held(ctx, &key)? {
                state = State::Running;
            }
        }
    }
    Ok(Line {
        run: run.id.clone(),
        verb: run.verb,
        workload: run.workload.clone(),
        started: run.started,
        finished: run.finished,
        took_millis: run.finished.map(|finished| Span::between(run.started, finished).as_millis()),
        state,
        outcome: run.outcome,
        by: run.by.clone(),
    })
}

fn apply(steps: &mut [Step], body: &EventBody) {
    let mut set = |id: StepId, change: &dyn Fn(&mut Step)| {
        if let Some(step) = steps.iter_mut().find(|step| step.step == id) {
            change(step);
        }
    };
    match body {
        EventBody::StepDone { step, output, millis } => set(*step, &|step| {
            step.state = StepState::Done;
            step.took_millis = Some(*millis);
            step.output = Some(output.clone());
        }),
        EventBody::StepFailed { step, fault, millis } => set(*step, &|step| {
            step.state = StepState::Failed;
            step.took_millis = Some(*millis);
            step.fault = Some(fault.clone());
        }),
        EventBody::UndoDone { step } => set(*step, &|step| step.state = StepState::Undone),
        EventBody::UndoFailed { step, fault } => set(*step, &|step| step.fault = Some(fault.clone())),
        EventBody::StepBegun { .. }
        | EventBody::UndoBegun { .. }
        | EventBody::Skipped { .. }
        | EventBody::Note { .. }
        | EventBody::Concluded { .. } => {}
    }
}

fn words(body: &EventBody) -> String {
    match body {
        EventBody::StepBegun { step } => format!("step {} begun", step.0),
        EventBody::StepDone { step, millis, .. } => {
            format!("step {} done in {}", step.0, Span::from_millis(*millis).human())
        }
        EventBody::StepFailed { step, fault, .. } => format!("step {} failed: {fault}", step.0),
        EventBody::UndoBegun { step } => format!("undoing step {}", step.0),
        EventBody::UndoDone { step } => format!("step {} undone", step.0),
        EventBody::UndoFailed { step, fault } => format!("step {} could not be undone: {fault}", step.0),
        EventBody::Skipped { step, reason } => format!("step {} passed over: {reason}", step.0),
        EventBody::Note { text } => text.clone(),
        EventBody::Concluded { outcome } => format!("ended: {outcome}"),
    }
}

fn next(line: &Line) -> Vec<String> {
    let id = &line.run;
    match (line.state, line.outcome) {
        (State::Interrupted, _) | (State::Ended, Some(Outcome::Stuck)) => vec![
            format!("`backstop run resume {id}` goes on where it stopped"),
            format!("`backstop run cancel {id}` undoes what was begun"),
        ],
        (State::Running | State::Ended, _) => Vec::new(),
    }
}
