//! What a verb that changes something answers: the same value for tables and for `--json`.

use backstop_model::run::StepOutput;
use backstop_model::{Backup, DrTest, ExitCode, Fault, Outcome, Plan, RunId, Span, Verb, WorkloadName};
use serde::Serialize;

/// One attempt, or what it would have been.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run; `None` when nothing was begun (dry run, nothing to do).
    pub run: Option<RunId>,
    /// What for.
    pub verb: Verb,
    /// On what.
    pub workload: Option<WorkloadName>,
    /// Whether only the plan was asked for.
    pub dry_run: bool,
    /// How it ended; `None` when nothing was begun.
    pub outcome: Option<Outcome>,
    /// Why, a line each, as the plan says.
    pub reasons: Vec<String>,
    /// Step by step.
    pub steps: Vec<StepReport>,
    /// From beginning to end on a monotonic clock, milliseconds as `1500ms` in text.
    pub took: Span,
    /// What decided the end, if not all went well.
    pub fault: Option<Fault>,
    /// The backups concerned, as the catalog records them now.
    pub backups: Vec<Backup>,
    /// The rehearsal's record.
    pub dr_test: Option<DrTest>,
    /// Worth telling: refusals of the firewall, entries left out.
    pub notes: Vec<String>,
    /// What to do next, as commands or sentences.
    pub next: Vec<String>,
    /// The exit code.
    pub code: ExitCode,
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Only planned.
    Planned,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Done and undone.
    Undone,
    /// Never begun: an earlier step failed.
    NotReached,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// What it does, for people.
    pub what: String,
    /// How far it got.
    pub state: StepState,
    /// How long it took.
    pub took: Option<Span>,
    /// What it made.
    pub output: Option<StepOutput>,
    /// Why it failed.
    pub fault: Option<Fault>,
}

impl RunReport {
    /// The report of a plan that is not carried out.
    #[must_use]
    pub fn planned(plan: &Plan, dry_run: bool) -> Self {
        let step = |step: &backstop_model::Step| StepReport {
            what: step.action.describe(),
            state: StepState::Planned,
            took: None,
            output: None,
            fault: None,
        };
        Self {
            run: None,
            verb: plan.verb,
            workload: plan.workload.clone(),
            dry_run,
            outcome: None,
            reasons: plan.reasons.clone(),
            steps: plan.steps.iter().map(step).collect(),
            took: Span::ZERO,
            fault: None,
            backups: Vec::new(),
            dr_test: None,
            notes: Vec::new(),
            next: Vec::new(),
            code: ExitCode::Ok,
        }
    }
}

/// The exit code of an ended run.
#[must_use]
pub fn code_of(outcome: Outcome, fault: Option<&Fault>) -> ExitCode {
    match (outcome, fault) {
        (Outcome::Done, _) => ExitCode::Ok,
        (Outcome::Partial, _) => ExitCode::Partial,
        (Outcome::Stuck, _) => ExitCode::Stuck,
        // What a check found is the answer to it, however cleanly it was tidied up afterwards.
        (Outcome::Undone | Outcome::Failed, Some(fault)) if fault.code != ExitCode::Failed => fault.code,
        (Outcome::Undone, _) => ExitCode::RolledBack,
        (Outcome::Failed, _) => ExitCode::Failed,
    }
}

/// The worst of several exit codes: a script sees the most serious one.
#[must_use]
pub fn worst(codes: impl IntoIterator<Item = ExitCode>) -> ExitCode {
    fn rank(code: ExitCode) -> usize {
        const ORDER: [ExitCode; 6] = [
            ExitCode::Ok,
            ExitCode::Partial,
            ExitCode::ObjectiveMissed,
            ExitCode::Findings,
            ExitCode::RolledBack,
            ExitCode::Failed,
        ];
        ORDER.iter().position(|known| *known == code).unwrap_or(if code == ExitCode::Stuck { 100 } else { 50 })
    }
    codes.into_iter().max_by_key(|code| rank(*code)).unwrap_or(ExitCode::Ok)
}
