//! Answers as policies give them → answers as the agent records them.

use serde_json::{Value, json};

use crate::alert_sink::{Failure, Receipt};
use crate::health_check::{Answer, State};
use crate::retention::{TiersAnswer, Verdict};
use crate::validation::{Finding, Outcome};

pub fn tiers(answer: TiersAnswer) -> Value {
    json!({ "tiers": answer.tiers, "reason": answer.reason })
}

pub fn release(verdicts: Vec<Verdict>) -> Value {
    let shown =
        |verdict: Verdict| json!({ "backup": verdict.backup, "release": verdict.release, "reason": verdict.reason });
    verdicts.into_iter().map(shown).collect()
}

pub fn check(findings: Vec<Finding>) -> Value {
    let word = |outcome: Outcome| match outcome {
        Outcome::Warn => "warn",
        Outcome::AskApproval => "ask-approval",
        Outcome::Deny => "deny",
    };
    let shown = |one: Finding| json!({ "ruling": word(one.outcome), "message": one.message, "field": one.field });
    findings.into_iter().map(shown).collect()
}

pub fn deliver(outcome: Result<Receipt, Failure>) -> Value {
    match outcome {
        Ok(receipt) => json!({ "delivery": "delivered", "id": receipt.id, "note": receipt.note }),
        Err(Failure::Again(setback)) => {
            json!({ "delivery": "again", "after": setback.after.map(|seconds| format!("{seconds}s")), "why": setback.why })
        }
        Err(Failure::Never(why)) => json!({ "delivery": "never", "why": why }),
    }
}

/// Made consistent, as the agent does: healthy needs a finding, and none that did not pass.
pub fn health(answer: Answer) -> Value {
    let all_passed = answer.findings.iter().all(|finding| finding.passed);
    let health = match answer.state {
        State::Healthy if answer.findings.is_empty() => "unknown",
        State::Healthy if !all_passed => "unhealthy",
        State::Healthy => "healthy",
        State::Unhealthy => "unhealthy",
        State::Unknown => "unknown",
    };
    let findings: Vec<Value> = answer
        .findings
        .into_iter()
        .map(|finding| json!({ "name": finding.name, "passed": finding.passed, "detail": finding.detail }))
        .collect();
    json!({ "health": health, "findings": findings })
}
