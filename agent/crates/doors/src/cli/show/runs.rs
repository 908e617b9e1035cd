//! `run list` and `run show`.

use backstop_model::Outcome;
use backstop_ops::StepState;
use backstop_ops::runs::{Line, Listed, Shown, State};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, instant, millis};

/// The runs.
pub fn list(look: &Look, listed: &Listed) -> String {
    if listed.runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let mut table = Table::new(0).right(&[5]);
    for run in &listed.runs {
        table.row([
            run.run.to_string(),
            instant(run.started),
            run.verb.to_string(),
            run.workload.as_ref().map(ToString::to_string).unwrap_or_default(),
            state(look, run),
            run.took_millis.map(millis).unwrap_or_default(),
        ]);
    }
    table.text()
}

fn state(look: &Look, run: &Line) -> String {
    match (run.state, run.outcome) {
        (State::Running, _) => "running".to_owned(),
        (State::Interrupted, _) => look.paint(Tone::Warning, "interrupted"),
        (State::Ended, None) => String::new(),
        (State::Ended, Some(outcome)) => {
            let tone = match outcome {
                Outcome::Done => Tone::Good,
                Outcome::Partial | Outcome::Undone => Tone::Warning,
                Outcome::Failed | Outcome::Stuck => Tone::Bad,
            };
            look.paint(tone, &outcome.to_string())
        }
    }
}

/// One run.
pub fn show(look: &Look, shown: &Shown) -> String {
    let run = &shown.run;
    let on = run.workload.as_ref().map_or_else(String::new, |workload| format!(" {workload}"));
    let mut out = format!("{} {}{on}: {}\n", look.paint(Tone::Strong, run.run.as_str()), run.verb, state(look, run));
    let mut facts = Table::new(2);
    facts.row(["begun".to_owned(), format!("{} UTC by {}", instant(run.started), run.by)]);
    if let (Some(at), Some(took)) = (run.finished, run.took_millis) {
        facts.row(["ended".to_owned(), format!("{} UTC, after {}", instant(at), millis(took))]);
    }
    for (index, reason) in shown.reasons.iter().enumerate() {
        facts.row([if index == 0 { "because" } else { "" }.to_owned(), reason.clone()]);
    }
    out.push_str(&facts.text());
    out.push_str(&format!("{}\n", look.paint(Tone::Strong, "steps")));
    let mut steps = Table::new(2).right(&[0]);
    for step in &shown.steps {
        steps.row([
            step.step.0.to_string(),
            word(step.state).to_owned(),
            step.what.clone(),
            step.took_millis.map(millis).unwrap_or_default(),
        ]);
    }
    out.push_str(&steps.text());
    for step in &shown.steps {
        if let Some(fault) = &step.fault {
            let line = format!("step {}: {}", step.step.0, fault.message);
            out.push_str(&format!("  {}\n", look.paint(Tone::Bad, &line)));
        }
    }
    if look.verbose > 0 {
        out.push_str(&format!("{}\n", look.paint(Tone::Strong, "journal")));
        let mut journal = Table::new(2);
        for entry in &shown.journal {
            journal.row([entry.at.strftime("%Y-%m-%d %H:%M:%S").to_string(), entry.words.clone()]);
        }
        out.push_str(&journal.text());
    }
    for next in &shown.next {
        out.push_str(&format!("next: {next}\n"));
    }
    out
}

/// How far a step got.
pub fn word(state: StepState) -> &'static str {
    match state {
        StepState::Planned => "planned",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Undone => "undone",
        StepState::NotReached => "not reached",
    }
}
