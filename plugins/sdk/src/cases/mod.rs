//! Golden cases: what a policy is asked and what it must answer, in TOML that a person likes to write.
//!
//! The format is described in `agent/docs/policy-cases.md`. This module is pure: text → [`Case`]s with their questions
//! complete, and an answer → the ways in which it differs. Whoever runs cases asks the policy in between.
//!
//! Two programs compile this same source: the SDK, which asks a policy natively in `cargo test`, and the agent, which
//! asks the built component in `backstop policy test`. It therefore knows the types of neither: questions and answers
//! are JSON in the shape in which the agent records decisions.
//!
//! | function | question | answer |
//! |---|---|---|
//! | `tiers` | `now`, `local`, `settings`, `workload`, `calendar`, `tier_names`, `backups` | `{tiers: […], reason}` |
//! | `release` | the same without `calendar` | `[{backup: position, release, reason}]` |
//! | `check` | `now`, `local`, `settings`, `request` | `[{ruling, message, field}]` |
//! | `deliver` | `now`, `local`, `settings`, `alert`, `attempt` | `{delivery: "delivered", id, note}`, `{delivery: "again", after: "60s" or null, why}`, `{delivery: "never", why}` |
//! | `health` | `now`, `settings`, `workload`, `kind`, `backup`, `created`, `paths` | `{health, findings: [{name, passed, detail}]}` |

mod expect;
mod file;
mod history;
mod probes;
mod question;
mod script;
mod when;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

pub use expect::Expect;
pub use probes::{Facts, FileKind, ProbeFailure, ProbeFailureKind, ProbeScript, RunResult, WebPage};
pub use script::{HttpAnswer, HttpFailure, HttpFailureKind, HttpScript, Sent};

/// What a policy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// World `retention`: which tiers a backup gets.
    Tiers,
    /// World `retention`: which backups may be released.
    Release,
    /// World `validation`: whether a request is acceptable.
    Check,
    /// World `alert-sink`: deliver an alert.
    Deliver,
    /// World `health-check`: whether a restored system is healthy.
    Health,
}

impl Function {
    /// The world that answers it.
    #[must_use]
    pub const fn world(self) -> &'static str {
        match self {
            Function::Tiers | Function::Release => "retention",
            Function::Check => "validation",
            Function::Deliver => "alert-sink",
            Function::Health => "health-check",
        }
    }

    /// Its name in a case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Function::Tiers => "tiers",
            Function::Release => "release",
            Function::Check => "check",
            Function::Deliver => "deliver",
            Function::Health => "health",
        }
    }
}

/// One question with what is expected of its answer.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// What is asked for.
    pub function: Function,
    /// The question, complete.
    pub question: Value,
    /// What the world answers to the requests of an alert sink, in order.
    pub http: HttpScript,
    /// What a health check finds.
    pub probes: ProbeScript,
    /// The values of secrets by name; a secret that is not listed is [`Case::secret`]'s default.
    pub secrets: BTreeMap<String, String>,
    /// What the answer must be.
    pub expect: Expect,
}

impl Case {
    /// The value that stands for a secret: as the case says, else `secret-NAME`.
    #[must_use]
    pub fn secret(&self, name: &str) -> String {
        self.secrets.get(name).cloned().unwrap_or_else(|| format!("secret-{name}"))
    }

    /// In which ways an answer is not the one expected, a line each; empty when it is. `Err` is what the policy, or
    /// its fault, said. `sent` are the requests an alert sink sent, in order.
    #[must_use]
    pub fn differences(&self, answer: Result<&Value, &str>, sent: &[Sent]) -> Vec<String> {
        expect::differences(self, answer, sent)
    }

    /// The names of the backups in the question, in its order.
    pub(crate) fn backup_names(&self) -> Vec<&str> {
        let backups = self.question.get("backups").and_then(Value::as_array);
        backups.into_iter().flatten().filter_map(|backup| backup.get("name")?.as_str()).collect()
    }
}

/// The cases of a file's text.
///
/// # Errors
/// When the text is not TOML, has an unknown key, or a case lacks what its function needs; says where.
pub fn parse(text: &str) -> Result<Vec<Case>, BadCases> {
    file::parse(text)
}

/// Why a text holds no cases. One line, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCases(pub String);

impl fmt::Display for BadCases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCases {}

#[cfg(test)]
mod tests;
