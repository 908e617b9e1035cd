//! What happened, as the catalog keeps it beside the backups: copies under way, DR tests, proofs with their subject,
//! audit entries, orphans. Plain records; nothing here decides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backup::Proof;
use crate::name::{BackupName, BadName, Place, RunId, SnapshotId, WorkloadName};
use crate::size::Bytes;
use crate::time::{Span, Timestamp};

/// Where a replication is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicationState {
    /// Planned, not begun.
    Pending,
    /// Bytes are moving.
    InProgress,
    /// The copy is complete at its place.
    Completed,
    /// It ended without a copy.
    Failed,
}

impl ReplicationState {
    /// Every state, in order of life.
    pub const ALL: [ReplicationState; 4] = [
        ReplicationState::Pending,
        ReplicationState::InProgress,
        ReplicationState::Completed,
        ReplicationState::Failed,
    ];

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, ReplicationState::Completed | ReplicationState::Failed)
    }
}

impl fmt::Display for ReplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ReplicationState::Pending => "pending",
            ReplicationState::InProgress => "in_progress",
            ReplicationState::Completed => "completed",
            ReplicationState::Failed => "failed",
        })
    }
}

impl FromStr for ReplicationState {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|state| state.to_string() == raw).ok_or_else(|| BadName {
            what: "replication status",
            shown: raw.escape_debug().take(40).collect(),
            rule: "one of pending, in_progress, completed, failed",
        })
    }
}

/// One backup on its way to another place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// Number in the catalog.
    pub id: i64,
    /// The run that carries it out.
    pub run: RunId,
    /// What is copied.
    pub backup: BackupName,
    /// The workload it belongs to.
    pub workload: WorkloadName,
    /// From this copy.
    pub from: Place,
    /// To this place.
    pub to: Place,
    /// Region of `from`, as the configuration names it.
    pub source_region: String,
    /// Region of `to`.
    pub target_region: String,
    /// Where it is in its life.
    pub state: ReplicationState,
    /// When it began.
    pub started: Timestamp,
    /// When progress was last recorded.
    pub updated: Timestamp,
    /// When it ended.
    pub completed: Option<Timestamp>,
    /// Bytes handled so far.
    pub bytes: Bytes,
    /// Bytes expected in all, if known.
    pub total: Option<Bytes>,
    /// The object made at the target.
    pub snapshot: Option<SnapshotId>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One rehearsal of recovery. A phase that was not reached, or is not configured, is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTest {
    /// The run that carried it out.
    pub run: RunId,
    /// What was recovered.
    pub workload: WorkloadName,
    /// From which backup.
    pub backup: BackupName,
    /// From which copy.
    pub place: Place,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, cleaning up included.
    pub completed: Option<Timestamp>,
    /// Whether every configured phase passed.
    pub passed: bool,
    /// Bytes came back.
    pub restore_ok: Option<bool>,
    /// What came back equals the manifest; for a machine, it booted.
    pub compare_ok: Option<bool>,
    /// The health checks passed; for a machine, it could be reached.
    pub health_ok: Option<bool>,
    /// Nothing of the rehearsal is left.
    pub cleanup_ok: Option<bool>,
    /// From the decision to a healthy restore, on a monotonic clock. `None` when it never got there.
    pub rto: Option<Span>,
    /// The objective at that time.
    pub rto_target: Span,
    /// The first error.
    pub error: Option<String>,
}

/// A proof together with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    /// The workload.
    pub workload: WorkloadName,
    /// The backup.
    pub backup: BackupName,
    /// The copy that was checked.
    pub place: Place,
    /// The result.
    pub proof: Proof,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who, as `user@host`.
    pub by: String,
    /// What was done: a verb of the command line.
    pub verb: String,
    /// To what.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// Whatever else is worth keeping.
    pub details: serde_json::Value,
    /// Chain value: digest over the previous entry's and everything above, 64 hexadecimal digits.
    pub hash: String,
}

/// Something made outside that must not stay: recorded before it is made, settled once it is gone or adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Number in the catalog.
    pub id: i64,
    /// What it is: `directory`, `snapshot`, `disk`, `machine` …
    pub kind: String,
    /// Its name or path.
    pub name: String,
    /// What contains it: a resource group, a vault; empty when nothing does.
    pub container: String,
    /// The run that made it.
    pub run: Option<RunId>,
    /// When it was recorded.
    pub noted: Timestamp,
    /// How often removing it was tried.
    pub attempts: u32,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was seen to be gone, or adopted.
    pub settled: Option<Timestamp>,
}
