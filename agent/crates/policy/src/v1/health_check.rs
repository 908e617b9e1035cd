//! Health checks: the question in the WIT's words, the answer checked and made consistent.

use std::sync::Arc;

use backstop_model::policy::health::{Health, HealthAnswer, HealthFinding, HealthQuestion};
use backstop_model::policy::{Asked, Fault};

use super::exports::health_rules as wit;
use super::words::{Texts, strs};
use crate::call::{Guest, bad_answer, gave_up};
use crate::state::Reach;
use crate::text::{LINE_MAX, untrusted};
use crate::witness::Witness;

/// Findings of one answer.
const FINDINGS_MAX: usize = 64;

/// Bytes of a finding's name.
const NAME_MAX: usize = 100;

pub(crate) fn check(
    guest: &Guest,
    entry: &wit::GuestIndices,
    question: &HealthQuestion,
    reach: Reach,
    witness: &Arc<Witness>,
) -> Asked<HealthAnswer> {
    let texts = Texts::of(&question.settings);
    let settings = texts.fields(&question.settings);
    let paths = strs(&question.paths);
    let asked = wit::Question {
        now: question.now,
        settings: &settings,
        workload: question.workload.as_str(),
        kind: &question.kind,
        backup: question.backup.as_str(),
        created: question.created,
        paths: &paths,
    };
    let ask = |store: &mut _, instance: &_| entry.load(&mut *store, instance)?.call_check(store, asked);
    guest.ask(reach, witness, ask, |answer, _| checked(answer))
}

fn checked(answer: Result<wit::Answer, String>) -> Result<HealthAnswer, Fault> {
    let answer = answer.map_err(|said| gave_up(&said))?;
    if answer.findings.len() > FINDINGS_MAX {
        return Err(bad_answer(format!("it found {} things, at most {FINDINGS_MAX} are taken", answer.findings.len())));
    }
    let findings = answer.findings.iter().map(finding).collect::<Result<Vec<_>, _>>()?;
    let health = match answer.state {
        wit::State::Healthy if findings.is_empty() => Health::Unknown,
        wit::State::Healthy if findings.iter().any(|finding| !finding.passed) => Health::Unhealthy,
        wit::State::Healthy => Health::Healthy,
        wit::State::Unhealthy => Health::Unhealthy,
        wit::State::Unknown => Health::Unknown,
    };
    Ok(HealthAnswer { health, findings })
}

fn finding(found: &wit::Finding) -> Result<HealthFinding, Fault> {
    if found.name.trim().is_empty() {
        return Err(bad_answer("a finding of it has no name"));
    }
    Ok(HealthFinding {
        name: untrusted(&found.name, NAME_MAX),
        passed: found.passed,
        detail: untrusted(&found.detail, LINE_MAX),
    })
}
