//! Floor 2: what the agent knows, in one SQLite file.
//!
//! [`Catalog`] is the door; its methods stand in one file per subject: `runs` (runs and their journal), `record`
//! and `read` (backups, copies, proofs), `leases`, `audit`, `replications`, `rehearsals` (DR tests), `orphans`,
//! `packs` (what a verification already read), `time` (the highest clock ever seen), `standings` (the read model of
//! the agenda), `rebuild`; and for policies `decisions` (the flight recorder), `policies` (how each fares), `approvals`,
//! `outbox`. The tables stand in `schema/`, one file per version.
//!
//! File touched: the one given to [`Catalog::open`], and SQLite's `-wal` and `-shm` beside it. Several processes may
//! have it open at once. Only `ops` and the composition root may call this crate.
//!
//! Nothing here decides anything: the caller says what happened and when. Values that come from the file are checked
//! like any outside input; a row that makes no sense is [`CatalogError::Damaged`], never a panic. Instants are kept
//! to the microsecond.

mod approvals;
mod audit;
mod code;
mod decisions;
mod error;
mod kept;
mod leases;
mod orphans;
mod outbox;
mod packs;
mod policies;
mod read;
mod rebuild;
mod record;
mod rehearsals;
mod replications;
mod runs;
mod schema;
mod standings;
mod store;
mod time;

#[cfg(test)]
mod fixture;

pub use approvals::{ApprovalFilter, ApprovalRuling, NewApproval};
pub use audit::{AuditCheck, AuditFilter, NewAudit};
pub use decisions::{DecisionFilter, DecisionsKept};
pub use error::CatalogError;
pub use leases::{Lease, LeaseView};
pub use orphans::NewOrphan;
pub use outbox::{NewOutgoing, OutboxFilter, Settlement};
pub use packs::PackCheck;
pub use read::{BackupFilter, ProofFilter, StateKind};
pub use rehearsals::DrTestFilter;
pub use replications::{NewReplication, ReplicationFilter};
pub use runs::{RunFilter, RunJournal};
pub use store::Catalog;
pub use time::ClockDoubt;
