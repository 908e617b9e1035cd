//! Errors as the doors and the journal see them: what happened, what the caller can do, which exit code it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// The same call may well go through later.
    Retry,
    /// Somebody else is at it; wait for them.
    Wait,
    /// Something in the configuration or on the command line must change.
    FixConfiguration,
    /// A person must look.
    CallAPerson,
}

/// The exit codes of the program, a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCode {
    /// Done.
    Ok,
    /// Failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// A result exists; some of it is missing.
    Partial,
    /// Completed, and what it found is bad.
    Findings,
    /// Refused by policy, hold, approval or the delete firewall.
    Refused,
    /// Stopped and rolled back cleanly.
    RolledBack,
    /// Rollback incomplete; a person is needed.
    Stuck,
    /// Workload, vault, backup or path not found.
    NotFound,
    /// Somebody else holds the lease.
    Busy,
    /// The key is wrong, or access was denied.
    BadKey,
    /// The configuration is invalid.
    BadConfiguration,
    /// An objective (RTO, RPO) was missed.
    ObjectiveMissed,
    /// Temporary; try again later.
    Temporary,
    /// Interrupted, cleaned up.
    Interrupted,
    /// Terminated, cleaned up.
    Terminated,
}

impl ExitCode {
    /// Every code with its number and meaning, for `--help` and the docs.
    pub const TABLE: [(ExitCode, u8, &'static str); 16] = [
        (ExitCode::Ok, 0, "done"),
        (ExitCode::Failed, 1, "failed"),
        (ExitCode::Usage, 2, "the command line makes no sense"),
        (ExitCode::Partial, 3, "a result exists; some of it is missing"),
        (ExitCode::Findings, 4, "completed, and what it found is bad"),
        (ExitCode::Refused, 5, "refused by policy, hold, approval or the delete firewall"),
        (ExitCode::RolledBack, 6, "stopped and rolled back cleanly"),
        (ExitCode::Stuck, 7, "rollback incomplete; a person is needed"),
        (ExitCode::NotFound, 10, "workload, vault, backup or path not found"),
        (ExitCode::Busy, 11, "somebody else holds the lease"),
        (ExitCode::BadKey, 12, "the key is wrong, or access was denied"),
        (ExitCode::BadConfiguration, 13, "the configuration is invalid"),
        (ExitCode::ObjectiveMissed, 14, "an objective (RTO, RPO) was missed"),
        (ExitCode::Temporary, 75, "temporary; try again later"),
        (ExitCode::Interrupted, 130, "interrupted, cleaned up"),
        (ExitCode::Terminated, 143, "terminated, cleaned up"),
    ];

    /// The number given to the operating system.
    #[must_use]
    pub fn number(self) -> u8 {
        Self::TABLE.iter().find(|(code, ..)| *code == self).map_or(1, |(_, number, _)| *number)
    }
}

/// An error at the boundary of a verb: one line, a hint on its own line, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// One line, lower case, no full stop.
    pub message: String,
    /// What to do, one line; empty when there is nothing to say.
    pub hint: String,
    /// What the caller can do.
    pub advice: Advice,
    /// The exit code it leads to.
    pub code: ExitCode,
}

impl Fault {
    /// A fault with everything said.
    #[must_use]
    pub fn new(code: ExitCode, advice: Advice, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), advice, code }
    }

    /// Something named by the operator does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ExitCode::NotFound, Advice::FixConfiguration, message, hint)
    }

    /// Something the operator asked for makes no sense.
    #[must_use]
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, Advice::FixConfiguration, message, hint)
    }

    /// Refused to keep data safe.
    #[must_use]
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ExitCode::Refused, Advice::CallAPerson, message, hint)
    }

    /// Interrupted by the operator.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(ExitCode::Interrupted, Advice::Retry, "interrupted", "run the same command again to go on")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
