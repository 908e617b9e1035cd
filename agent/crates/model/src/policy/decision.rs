//! One question with what came of it, as the flight recorder keeps it.

use serde::{Deserialize, Serialize};

use super::binding::{Mode, World};
use crate::name::{PolicyName, WorkloadName};
use crate::time::{Span, Timestamp};

/// How much a line of a plugin's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogSeverity {
    Debug,
    Info,
    Warning,
}

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub severity: LogSeverity,
    /// At most 500 bytes, control characters escaped.
    pub line: String,
}

/// In which way a plugin failed to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It is not in force: its file, digest, signature, world or imports are not right.
    NotLoaded,
    /// It trapped, as a panic does.
    Trapped,
    /// It took too long.
    TimedOut,
    /// It wanted more memory, or more tables, than its limit.
    OutOfMemory,
    /// It answered something that makes no sense.
    BadAnswer,
    /// It said that it found no answer.
    GaveUp,
}

/// Why a plugin did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// In which way.
    pub kind: FaultKind,
    /// One line, lower case, no full stop. What the plugin itself said is quoted and escaped.
    pub message: String,
    /// The guest's frames, innermost first; empty when there are none.
    pub backtrace: Vec<String>,
}

/// What came of asking one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked<A> {
    /// The answer, checked; or why there is none.
    pub answer: Result<A, Fault>,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
    /// Lines beyond the limit.
    pub log_dropped: u32,
    /// Wall clock of the call.
    pub took: Span,
    /// Fuel used: a count of the guest's instructions, the same every time for the same question.
    pub fuel: u64,
}

/// A decision as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Number in the catalog; 0 before it is written.
    pub id: i64,
    /// When it was asked.
    pub at: Timestamp,
    /// The configuration in force: a digest of its files and components.
    pub generation: String,
    /// The policy.
    pub policy: PolicyName,
    /// Its world.
    pub world: World,
    /// The function: `tiers`, `release`, `check`, `deliver`.
    pub function: String,
    /// How far it was in force for this question.
    pub mode: Mode,
    /// SHA-256 of the component; empty when it could not be read.
    pub component: String,
    /// The workload, if one.
    pub workload: Option<WorkloadName>,
    /// The question in full.
    pub question: serde_json::Value,
    /// The answer, or the fault.
    pub answer: Result<serde_json::Value, Fault>,
    /// What was made of it, in words: `in force`, `shadow only`, `safe default: everything is kept`.
    pub effect: String,
    /// Whether it would have changed what was done; for a shadow, whether it differs from what was done.
    pub diverged: bool,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
    /// Wall clock of the call.
    pub took: Span,
    /// Fuel used.
    pub fuel: u64,
}
