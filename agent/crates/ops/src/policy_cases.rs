//! Golden cases of policies, as `backstop policy test DIR` runs them against a built component: `DIR/cases/*.toml` →
//! [`parse`] → for every [`Case`] ask the policy its [`question`] → [`Case::differences`].
//!
//! The answer is handed back as JSON of the model's own records (`TiersAnswer`, `Vec<ReleaseVerdict>`, `Vec<Finding>`,
//! `Delivery`, `HealthAnswer`), a fault as its message. An alert sink's requests are answered by [`Case::http`], the one
//! after `n` others by `answer(n)`, with [`Case::secret`] for each secret that it names, and recorded as [`Sent`]. A
//! health check's probes find what [`Case::probes`] says.
//!
//! The format, its sensible values and the comparison are the SDK's source, compiled here a second time: a policy that
//! passes `cargo test` natively is asked the very same by the agent. It is described in `agent/docs/policy-cases.md`.

use backstop_model::policy::alert::DeliveryQuestion;
use backstop_model::policy::health::HealthQuestion;
use backstop_model::policy::retention::{ReleaseQuestion, TiersQuestion};
use backstop_model::policy::validation::ValidationQuestion;
use serde::de::DeserializeOwned;

#[path = "../../../../plugins/sdk/src/cases/mod.rs"]
mod cases;

pub use cases::{
    BadCases, Case, Expect, Facts, FileKind, Function, HttpAnswer, HttpFailure, HttpFailureKind, HttpScript,
    ProbeFailure, ProbeFailureKind, ProbeScript, RunResult, Sent, WebPage, parse,
};

/// What a case asks, in the model's words.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Question {
    Tiers(TiersQuestion),
    Release(ReleaseQuestion),
    Check(ValidationQuestion),
    Deliver(DeliveryQuestion),
    Health(HealthQuestion),
}

/// The question of a case.
///
/// # Errors
/// When it holds what the model refuses, for instance a workload's name with a blank.
pub fn question(case: &Case) -> Result<Question, BadCases> {
    Ok(match case.function {
        Function::Tiers => Question::Tiers(read(case)?),
        Function::Release => Question::Release(read(case)?),
        Function::Check => Question::Check(read(case)?),
        Function::Deliver => Question::Deliver(read(case)?),
        Function::Health => Question::Health(read(case)?),
    })
}

fn read<T: DeserializeOwned>(case: &Case) -> Result<T, BadCases> {
    T::deserialize(&case.question).map_err(|error| BadCases(format!("case `{}`: {error}", case.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<Question, BadCases> {
        question(&parse(&format!("[[case]]\nname = 'x'\n{body}"))?[0])
    }

    #[test]
    fn every_function_asks_in_the_words_of_the_model() {
        let release = "function = 'release'\nhistory = { from = 2026-01-01, days = 3 }\nexpect = { kept = 3 }";
        assert!(matches!(asked(release), Ok(Question::Release(question)) if question.backups.len() == 3));
        let tiers = "function = 'tiers'\nsettings = { list = ['a'], real = 1.5 }\nexpect = { tiers = [] }";
        assert!(matches!(asked(tiers), Ok(Question::Tiers(question)) if question.settings.len() == 2));
        let check =
            "function = 'check'\nrequest = { verb = 'backup', workload = 'docs' }\nexpect = { accepted = true }";
        assert!(matches!(asked(check), Ok(Question::Check(question)) if question.request.by == "ada@ops"));
        let deliver =
            "function = 'deliver'\nalert = { title = 't', workload = 'docs' }\nexpect = { delivery = 'never' }";
        assert!(matches!(asked(deliver), Ok(Question::Deliver(question)) if question.alert.title == "t"));
        let health = "function = 'health'\nrestored = { paths = ['/srv'] }\nexpect = { health = 'unknown' }";
        assert!(matches!(asked(health), Ok(Question::Health(question)) if question.paths == ["/srv"]));
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_with_the_case() {
        let bad = asked("function = 'release'\nworkload = 'no blanks'\nexpect = { kept = 0 }");
        assert!(bad.expect_err("a blank").0.starts_with("case `x`: "));
    }
}
