//! Floor 0: the words of Backstop as types.
//!
//! Everything else in the workspace speaks in these types and nothing here does anything: no I/O, no clock,
//! no randomness. A value that exists has been checked — a `Region` or a `BackupName` cannot be built from an
//! unchecked string — so that the floors above never validate twice.
//!
//! Reading order: [`name`] (checked names), [`time`], [`backup`] (what is kept and what was proved about it),
//! [`config`] (what the operator wants), [`plan`] (a complete decision), [`run`] (one attempt at a plan and its
//! journal), [`policy`] (what plugins are asked), [`tree`] (directory contents as the vault stores them), [`fault`] (errors and exit codes), [`history`] and
//! [`standing`] (what the catalog keeps beside the backups, and their sum).

pub mod backup;
pub mod config;
pub mod fault;
pub mod history;
pub mod name;
pub mod plan;
pub mod policy;
pub mod run;
pub mod size;
pub mod standing;
pub mod time;
pub mod tree;

pub use backup::{Backup, BackupState, Completeness, Copy, CopyState, Hold, Level, Mode, Proof, ProofKind, Tier};
pub use fault::{Advice, ExitCode, Fault};
pub use history::{AuditEntry, DrTest, Orphan, ProofRecord, Replication, ReplicationState};
pub use name::{
    BackupName, Place, PolicyName, Region, RunId, ScheduleName, SignerName, SnapshotId, VaultName, WorkloadName,
};
pub use plan::{Action, Plan, Step, StepId, Verb};
pub use run::{Event, EventBody, Outcome, Run};
pub use size::Bytes;
pub use standing::Standing;
pub use time::{Span, Timestamp};
