//! Validation: the question in the WIT's words, the answer checked.

use std::sync::Arc;

use backstop_model::WorkloadName;
use backstop_model::policy::validation::{Finding, Ruling, ValidationQuestion};
use backstop_model::policy::{Asked, Fault};

use super::exports::validation_rules as wit;
use super::words::{Texts, civil};
use crate::call::{Guest, bad_answer, gave_up};
use crate::state::Reach;
use crate::text::{LINE_MAX, untrusted};
use crate::witness::Witness;

/// Findings of one answer.
const FINDINGS_MAX: usize = 32;

/// Bytes of a field's name.
const FIELD_MAX: usize = 200;

pub(crate) fn check(
    guest: &Guest,
    entry: &wit::GuestIndices,
    question: &ValidationQuestion,
    witness: &Arc<Witness>,
) -> Asked<Vec<Finding>> {
    let request = &question.request;
    let (setting_texts, field_texts) = (Texts::of(&question.settings), Texts::of(&request.fields));
    let (settings, fields) = (setting_texts.fields(&question.settings), field_texts.fields(&request.fields));
    let asked = wit::Question {
        now: question.now,
        local: civil(&question.local),
        settings: &settings,
        request: wit::Request {
            verb: &request.verb,
            workload: request.workload.as_ref().map(WorkloadName::as_str),
            backup: request.backup.as_deref(),
            by: &request.by,
            reason: &request.reason,
            scheduled: request.scheduled,
            fields: &fields,
        },
    };
    let ask = |store: &mut _, instance: &_| entry.load(&mut *store, instance)?.call_check(store, asked);
    guest.ask(Reach::Nothing, witness, ask, |answer, _| checked(answer))
}

fn checked(answer: Result<Vec<wit::Finding>, String>) -> Result<Vec<Finding>, Fault> {
    let answer = answer.map_err(|said| gave_up(&said))?;
    if answer.len() > FINDINGS_MAX {
        return Err(bad_answer(format!("it found {} things, at most {FINDINGS_MAX} are taken", answer.len())));
    }
    answer.into_iter().map(finding).collect()
}

fn finding(found: wit::Finding) -> Result<Finding, Fault> {
    if found.message.trim().is_empty() {
        return Err(bad_answer("a finding of it has no message"));
    }
    let ruling = match found.outcome {
        wit::Outcome::Warn => Ruling::Warn,
        wit::Outcome::AskApproval => Ruling::AskApproval,
        wit::Outcome::Deny => Ruling::Deny,
    };
    let field = found.field.filter(|field| !field.is_empty());
    Ok(Finding {
        ruling,
        message: untrusted(&found.message, LINE_MAX),
        field: field.map(|field| untrusted(&field, FIELD_MAX)),
    })
}
