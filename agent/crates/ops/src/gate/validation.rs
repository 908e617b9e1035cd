//! Whether a request is acceptable: asked before every verb that changes something.

use std::collections::BTreeMap;

use backstop_model::policy::validation::{Finding, Request, Ruling};
use backstop_model::policy::{CivilTime, Field, Value, World};
use backstop_model::{ExitCode, Fault, PolicyName, Timestamp, WorkloadName};
use backstop_planner::Calendar;

use super::record::{self, Note};
use super::{Asking, Force, bound, of_world, question};
use crate::approvals;
use crate::context::Context;
use crate::report::RunReport;

/// What was said about a request that may go on, or that nobody wants to carry out.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// Warnings, approvals, and for a dry run what would stand in the way.
    pub notes: Vec<String>,
    /// Only in a dry run: it would be refused.
    pub refused: bool,
}

impl Accepted {
    /// Puts it where the answer to the request is read, before everything else there.
    pub(crate) fn tell(self, report: &mut RunReport) {
        report.notes.splice(0..0, self.notes);
        if self.refused {
            report.code = ExitCode::Refused;
        }
    }
}

/// A request in the words of policies.
pub(crate) struct Asked<'a> {
    verb: &'a str,
    workload: Option<&'a WorkloadName>,
    backup: Option<String>,
    reason: &'a str,
    fields: BTreeMap<&'static str, Value>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(verb: &'a str, workload: Option<&'a WorkloadName>) -> Self {
        Self { verb, workload, backup: None, reason: "", fields: BTreeMap::new() }
    }

    /// The workload it concerns.
    pub(crate) fn about(&self) -> Option<&'a WorkloadName> {
        self.workload
    }

    pub(crate) fn backup(mut self, backup: Option<impl ToString>) -> Self {
        self.backup = backup.map(|backup| backup.to_string());
        self
    }

    pub(crate) fn because(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }

    pub(crate) fn truth(mut self, key: &'static str, value: bool) -> Self {
        self.fields.insert(key, Value::Truth(value));
        self
    }

    pub(crate) fn text(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.fields.insert(key, Value::Text(value.to_string()));
        }
        self
    }

    pub(crate) fn texts(mut self, key: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.fields.insert(key, Value::Texts(values.into_iter().collect()));
        self
    }

    fn request(self, ctx: &Context, more: Vec<Field>) -> Request {
        let mut fields: Vec<Field> = self.fields.into_iter().map(|(key, value)| Field::new(key, value)).collect();
        fields.extend(more);
        fields.sort_by(|a, b| a.key.cmp(&b.key));
        fields.dedup_by(|a, b| a.key == b.key);
        Request {
            verb: self.verb.to_owned(),
            workload: self.workload.cloned(),
            backup: self.backup,
            by: ctx.outside.by.clone(),
            reason: self.reason.to_owned(),
            scheduled: ctx.is_scheduled(),
            fields,
        }
    }
}

/// Asks about a request.
///
/// # Errors
/// `Refused` when a policy denies it, found no answer, or wants another person's approval that is not there yet.
pub(crate) fn validate(ctx: &Context, asked: Asked<'_>, dry_run: bool) -> Result<Accepted, Fault> {
    validate_with(ctx, asked, Vec::new(), dry_run)
}

/// The same, with fields beside those of the verb.
pub(crate) fn validate_with(
    ctx: &Context,
    asked: Asked<'_>,
    more: Vec<Field>,
    dry_run: bool,
) -> Result<Accepted, Fault> {
    let Some(set) = of_world(ctx, World::Validation)? else { return Ok(Accepted::default()) };
    let request = asked.request(ctx, more);
    let now = ctx.outside.clock.now();
    let local = local(ctx, request.workload.as_ref(), now);
    let mut said: Vec<Said> = Vec::new();
    for bound in bound(ctx, &set, World::Validation, request.workload.as_ref(), Asking::of(dry_run))? {
        let question = question::validation(bound.policy.config(), &request, now, local);
        let asked = bound.policy.ask_validation(&question);
        let name = bound.name();
        // A policy that guards requests keeps guarding: it never steps back into silence.
        let in_force = bound.force != Force::Shadow;
        let (effect, worst) = match &asked.answer {
            Ok(findings) => {
                let worst = findings.iter().map(|finding| finding.ruling).max();
                if in_force {
                    said.extend(findings.iter().map(|finding| Said {
                        ruling: finding.ruling,
                        policy: name.clone(),
                        line: words(name.as_str(), finding),
                    }));
                }
                (effect_of(worst), worst)
            }
            Err(fault) => {
                if in_force {
                    let line = format!("policy `{name}` found no answer, so nothing is allowed: {}", fault.message);
                    said.push(Said { ruling: Ruling::Deny, policy: name.clone(), line });
                }
                ("safe default: refused", Some(Ruling::Deny))
            }
        };
        if !dry_run {
            let diverged = !in_force && worst > Some(Ruling::Warn);
            let effect = if in_force { effect } else { "shadow only" }.to_owned();
            let workload = request.workload.as_ref();
            let note = Note { function: "check", workload, question: &question, effect, diverged };
            record::keep(ctx, &bound, &asked, note)?;
        }
    }
    settle(ctx, &request, said, dry_run)
}

/// One word about a request.
struct Said {
    ruling: Ruling,
    policy: PolicyName,
    line: String,
}

/// The most careful word wins.
fn settle(ctx: &Context, request: &Request, said: Vec<Said>, dry_run: bool) -> Result<Accepted, Fault> {
    let of = |ruling: Ruling| -> Vec<String> {
        said.iter().filter(|one| one.ruling == ruling).map(|one| one.line.clone()).collect()
    };
    let mut accepted = Accepted { notes: of(Ruling::Warn), refused: false };
    let (denied, held) = (of(Ruling::Deny), of(Ruling::AskApproval));
    if !denied.is_empty() {
        if !dry_run {
            return Err(Fault::refused(denied.join("; "), hint(request)));
        }
        accepted.refused = true;
        accepted.notes.extend(denied);
        return Ok(accepted);
    }
    let Some(asks) = said.iter().find(|one| one.ruling == Ruling::AskApproval) else { return Ok(accepted) };
    if dry_run {
        accepted.refused = !approvals::is_approved(ctx, request)?;
        accepted.notes.extend(held);
        return Ok(accepted);
    }
    accepted.notes.push(approvals::pass(ctx, request, &asks.policy, &held)?);
    Ok(accepted)
}

fn hint(request: &Request) -> String {
    match &request.workload {
        Some(workload) => format!("`backstop policy explain POLICY --workload {workload}` shows what it was asked"),
        None => "`backstop policy explain POLICY` shows what it was asked".to_owned(),
    }
}

const fn effect_of(worst: Option<Ruling>) -> &'static str {
    match worst {
        None => "in force: accepted",
        Some(Ruling::Warn) => "in force: accepted with a warning",
        Some(Ruling::AskApproval) => "in force: needs another person's approval",
        Some(Ruling::Deny) => "in force: refused",
    }
}

pub(crate) fn words(policy: &str, finding: &Finding) -> String {
    let does = match finding.ruling {
        Ruling::Warn => "warns",
        Ruling::AskApproval => "wants another person's approval",
        Ruling::Deny => "denies it",
    };
    let about = finding.field.as_ref().map_or(String::new(), |field| format!(" (field `{field}`)"));
    format!("policy `{policy}` {does}: {}{about}", finding.message)
}

/// The present where the workload lives; in UTC where it has no zone.
pub(crate) fn local(ctx: &Context, workload: Option<&WorkloadName>, now: Timestamp) -> CivilTime {
    let schedule = workload.and_then(|name| ctx.config.workloads.get(name)).map(|workload| &workload.schedule);
    let calendar = schedule.and_then(|schedule| Calendar::of(schedule).ok());
    calendar.map_or_else(|| CivilTime::utc(now), |calendar| calendar.civil(now))
}
