//! What came of verbs that act.

use backstop_model::run::StepOutput;
use backstop_model::{BackupName, Bytes, ExitCode, Fault, Outcome, Place, RunId, Verb, WorkloadName};
use backstop_ops::reports::DrTestLine;
use backstop_ops::row::Row;
use backstop_ops::{Context, RunReport, StepState};
use serde::Serialize;

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, grouped, millis, place, span};

use super::runs::word;

/// A report as a document: the same as the text says.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    run: Option<&'a RunId>,
    verb: Verb,
    workload: Option<&'a WorkloadName>,
    dry_run: bool,
    outcome: Option<Outcome>,
    code: u8,
    took_millis: u64,
    reasons: &'a [String],
    steps: Vec<Step<'a>>,
    fault: Option<&'a Fault>,
    backups: Vec<Row>,
    dr_test: Option<DrTestLine>,
    notes: &'a [String],
    next: &'a [String],
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    what: &'a str,
    state: StepState,
    took_millis: Option<u64>,
    output: Option<&'a StepOutput>,
    fault: Option<&'a Fault>,
}

impl<'a> Summary<'a> {
    /// A report as it is printed.
    pub fn of(ctx: &Context, report: &'a RunReport) -> Self {
        let step = |step: &'a backstop_ops::StepReport| Step {
            what: &step.what,
            state: step.state,
            took_millis: step.took.map(backstop_model::Span::as_millis),
            output: step.output.as_ref(),
            fault: step.fault.as_ref(),
        };
        Self {
            run: report.run.as_ref(),
            verb: report.verb,
            workload: report.workload.as_ref(),
            dry_run: report.dry_run,
            outcome: report.outcome,
            code: report.code.number(),
            took_millis: report.took.as_millis(),
            reasons: &report.reasons,
            steps: report.steps.iter().map(step).collect(),
            fault: report.fault.as_ref(),
            backups: report.backups.iter().map(|backup| Row::of(&ctx.config, backup)).collect(),
            dr_test: report.dr_test.as_ref().map(DrTestLine::from),
            notes: &report.notes,
            next: &report.next,
        }
    }
}

/// Several reports, and their sum.
pub fn reports(look: &Look, ctx: &Context, reports: &[RunReport]) -> String {
    if reports.is_empty() {
        return "nothing to do: everything is as promised\n".to_owned();
    }
    let mut out: Vec<String> = reports.iter().map(|one| report(look, ctx, one)).collect();
    let run = reports.iter().filter(|report| report.run.is_some()).count();
    if run > 1 {
        let good = reports.iter().filter(|report| report.run.is_some() && report.code == ExitCode::Ok).count();
        let took: u64 = reports.iter().map(|report| report.took.as_millis()).sum();
        out.push(format!("{good} of {run} went well, {} of work\n", millis(took)));
    }
    out.concat()
}

/// One report.
pub fn report(look: &Look, ctx: &Context, report: &RunReport) -> String {
    let rows: Vec<Row> = report.backups.iter().map(|backup| Row::of(&ctx.config, backup)).collect();
    text(look, report, &rows)
}

/// One report with its backups made ready.
pub fn text(look: &Look, report: &RunReport, rows: &[Row]) -> String {
    let mut out = format!("{}\n", headline(look, report, rows));
    let mut facts = Table::new(2);
    let planned = report.dry_run || report.run.is_none();
    if planned {
        for (index, reason) in report.reasons.iter().enumerate() {
            facts.row([if index == 0 { "because" } else { "" }.to_owned(), reason.clone()]);
        }
    } else {
        figures(look, report, rows, &mut facts);
    }
    out.push_str(&facts.text());
    let trouble = matches!(report.outcome, Some(Outcome::Undone | Outcome::Failed | Outcome::Stuck));
    if !report.steps.is_empty() && (report.dry_run || trouble || look.verbose > 0) {
        let mut steps = Table::new(2).right(&[0]);
        for (index, step) in report.steps.iter().enumerate() {
            let took = step.took.map(backstop_model::Span::human).unwrap_or_default();
            steps.row([(index + 1).to_string(), word(step.state).to_owned(), step.what.clone(), took]);
        }
        out.push_str(&steps.text());
    }
    for note in &report.notes {
        out.push_str(&format!("  {note}\n"));
    }
    for next in &report.next {
        out.push_str(&format!("  next: {next}\n"));
    }
    out
}

/// What happened, in one line.
fn headline(look: &Look, report: &RunReport, rows: &[Row]) -> String {
    let workload = report.workload.as_ref().map_or_else(|| "everything".to_owned(), ToString::to_string);
    let name = rows.first().map(|row| row.name.clone());
    if report.steps.is_empty() && report.run.is_none() {
        return match &report.fault {
            Some(_) => look.paint(Tone::Bad, &format!("{} of {workload} did not begin", noun(report.verb))),
            None => format!("nothing to {} for {workload}", verb(report.verb)),
        };
    }
    if report.dry_run || report.run.is_none() {
        return format!("would {} {workload}", verb(report.verb));
    }
    let outcome = report.outcome.unwrap_or(Outcome::Failed);
    if report.code == ExitCode::Findings {
        // What was found is the answer; that scratch space was tidied up afterwards is not.
        let why = report.fault.as_ref().map_or_else(String::new, |fault| format!(": {}", fault.message));
        let what = match (report.verb, &name) {
            (Verb::DrTest, _) => format!("DR test of {workload} failed{why}"),
            (_, Some(name)) => format!("{name} did not pass{why}"),
            (_, None) => format!("{} of {workload} found something bad{why}", noun(report.verb)),
        };
        return look.paint(Tone::Bad, &what);
    }
    match outcome {
        Outcome::Done => look.paint(Tone::Good, &done(report, &workload, name.as_ref())),
        Outcome::Partial => {
            look.paint(Tone::Warning, &format!("{}, but not all of it", done(report, &workload, name.as_ref())))
        }
        Outcome::Undone => {
            let what = format!("{} of {workload} failed; what was begun was undone", noun(report.verb));
            look.paint(Tone::Bad, &what)
        }
        Outcome::Failed => look.paint(Tone::Bad, &format!("{} of {workload} failed", noun(report.verb))),
        Outcome::Stuck => {
            let what = format!("{} of {workload} is stuck: what was begun could not be undone", noun(report.verb));
            look.paint(Tone::Bad, &what)
        }
    }
}

fn done(report: &RunReport, workload: &str, name: Option<&BackupName>) -> String {
    let name = name.map_or_else(|| workload.to_owned(), ToString::to_string);
    let rest = match report.backups.len() {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    match report.verb {
        Verb::Backup => format!("backed up {workload} as {name}"),
        Verb::Replicate => format!("copied {name}{rest}"),
        Verb::Verify => match checked(report) {
            Some((_, level)) => format!("proved {name}{rest} to {level} {}", level.word()),
            None => format!("proved {name}{rest}"),
        },
        Verb::Restore => format!("restored {workload} from {name}"),
        Verb::RestoreUndo => format!("put back the tree that {workload} had before its restore"),
        Verb::DrTest => format!("DR test of {workload} passed"),
        Verb::Release => format!("released {name}{rest} into the trash"),
        Verb::Undelete => format!("brought {name} back from the trash"),
        Verb::Prune => "pruned".to_owned(),
    }
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Backup => "back up",
        Verb::Replicate => "copy",
        Verb::Verify => "verify",
        Verb::Restore => "restore",
        Verb::RestoreUndo => "undo the restore of",
        Verb::DrTest => "rehearse",
        Verb::Release => "release backups of",
        Verb::Undelete => "bring back",
        Verb::Prune => "prune",
    }
}

fn noun(verb: Verb) -> &'static str {
    match verb {
        Verb::Backup => "the backup",
        Verb::Replicate => "the copy",
        Verb::Verify => "the check",
        Verb::Restore => "the restore",
        Verb::RestoreUndo => "undoing the restore",
        Verb::DrTest => "the DR test",
        Verb::Release => "the release",
        Verb::Undelete => "the recovery",
        Verb::Prune => "the prune",
    }
}

/// The highest level that a check of this run reached, and what it says.
fn checked(report: &RunReport) -> Option<(&str, backstop_model::Level)> {
    report
        .steps
        .iter()
        .filter(|step| step.state == StepState::Done)
        .filter_map(|step| match &step.output {
            Some(StepOutput::Checked(checked)) => Some((checked.detail.as_str(), checked.level)),
            _ => None,
        })
        .max_by_key(|(_, level)| *level)
}

/// Sizes, times, places, evidence.
fn figures(look: &Look, report: &RunReport, rows: &[Row], facts: &mut Table) {
    if report.verb == Verb::Verify {
        // Each run proves one copy; the reason names it.
        for reason in &report.reasons {
            facts.row(["because", reason.as_str()]);
        }
    }
    for step in &report.steps {
        match &step.output {
            Some(StepOutput::Snapshot(made)) if report.verb == Verb::Backup => {
                let tiers: Vec<String> =
                    rows.first().map(|row| row.tiers.iter().map(ToString::to_string).collect()).unwrap_or_default();
                if !tiers.is_empty() {
                    facts.row(["tiers".to_owned(), tiers.join(", ")]);
                }
                let size = format!("{} in {}", Bytes(made.size), counted(made.entries, "entry"));
                facts.row(["size".to_owned(), size]);
                let changed = format!(
                    "{} new or changed; {} read, {} added",
                    counted(made.changed, "file"),
                    Bytes(made.read),
                    Bytes(made.stored)
                );
                facts.row(["changed".to_owned(), changed]);
            }
            Some(StepOutput::Snapshot(made)) => {
                facts.row(["copied".to_owned(), format!("{}, {} added", Bytes(made.size), Bytes(made.stored))]);
            }
            Some(StepOutput::Checked(checked)) if report.verb != Verb::DrTest => {
                let share = match checked.sample_ppm {
                    0 | 1_000_000.. => String::new(),
                    some => format!(" ({} % of it)", f64::from(some) / 10_000.0),
                };
                facts.row(["read".to_owned(), format!("{}{share}: {}", Bytes(checked.bytes), checked.detail)]);
            }
            Some(StepOutput::Restored(restored)) => {
                let words = format!("{} in {}", Bytes(restored.bytes), counted(restored.entries, "entry"));
                facts.row(["restored".to_owned(), words]);
            }
            Some(StepOutput::Freed { bytes, packs, marked }) => {
                // The step's description ends with the place it is about.
                let words = format!(
                    "{}: {} in {} removed, {} marked for a later prune",
                    step.what.rsplit(' ').next().unwrap_or_default(),
                    Bytes(*bytes),
                    counted(*packs, "pack"),
                    grouped(*marked)
                );
                facts.row(["freed".to_owned(), words]);
            }
            Some(StepOutput::Checked(_) | StepOutput::Nothing) | None => {}
        }
    }
    facts.row(["took".to_owned(), report.took.human()]);
    if let Some(test) = &report.dr_test {
        rehearsal(look, test, facts);
    }
    if !matches!(report.verb, Verb::Prune | Verb::Release) {
        // What stands now, in the catalog's words: never more than was shown.
        for row in rows.iter().take(3) {
            for (index, copy) in row.copies.iter().enumerate() {
                let title = if index == 0 { "copies" } else { "" };
                facts.row([title.to_owned(), format!("{}: {}", place(&copy.place), look.proof(copy))]);
            }
        }
    }
}

fn rehearsal(look: &Look, test: &backstop_model::DrTest, facts: &mut Table) {
    let phases = [
        ("restore", test.restore_ok),
        ("compare", test.compare_ok),
        ("health", test.health_ok),
        ("cleanup", test.cleanup_ok),
    ];
    let words: Vec<String> = phases
        .iter()
        .map(|(name, ok)| match ok {
            Some(true) => format!("{name} passed"),
            Some(false) => look.paint(Tone::Bad, &format!("{name} failed")),
            None if *name == "health" => "no health command ran".to_owned(),
            None => format!("{name} not reached"),
        })
        .collect();
    facts.row(["phases".to_owned(), words.join(", ")]);
    if let Some(rto) = test.rto {
        let target = span(test.rto_target.as_millis());
        let words = if rto <= test.rto_target {
            look.paint(Tone::Good, &format!("{}, within the {target} accepted", rto.human()))
        } else {
            look.paint(Tone::Bad, &format!("{}, more than the {target} accepted", rto.human()))
        };
        facts.row(["RTO".to_owned(), words]);
    }
    facts.row(["from".to_owned(), from(&test.backup, &test.place)]);
}

fn from(backup: &BackupName, place: &Place) -> String {
    format!("{backup} at {place}")
}
