//! Floor 2: the vault — a deduplicating, encrypted repository on an object store.
//!
//! The format is described in `agent/docs/vault-format.md`, precisely enough for a second implementation. Entry
//! points are all on [`Vault`]: [`Vault::init`] and [`Vault::open`]; [`Vault::back_up`] (a source becomes a
//! snapshot); [`Vault::restore`] and [`Vault::compare`]; [`Vault::check`] (authenticate bytes); [`Vault::copy_to`]
//! (to another vault); [`Vault::trash`], [`Vault::recover`], [`Vault::purge`] and [`Vault::prune`]; key slots and
//! [`Vault::rebuild_index`].
//!
//! Objects and the order in which they come to be: packs → index → snapshot. A crash between any two leaves packs
//! that the next run adopts or a prune removes, never a snapshot that lacks something. All writes are put-if-absent
//! and durable when they return; nothing is ever overwritten. There is no lock: removal is in two phases with a grace
//! period (`prune`), so a backup beside a prune loses nothing.
//!
//! Callers: `ops` alone. Clock, randomness and the store are arguments. Work runs on threads of its own and blocks
//! the caller; it is stopped through [`backstop_seams::Progress`].

#![deny(unsafe_code)]

mod backup;
mod code;
mod copy;
mod error;
mod find;
mod id;
mod index;
mod intake;
mod keyring;
mod manifest;
mod open;
mod pack;
mod press;
mod prune;
mod read;
mod reading;
mod rebuild;
mod restore;
mod seal;
mod shelf;
mod slots;
mod snapshot;
mod store;
mod verify;

#[cfg(test)]
mod tests;

pub use backup::{BackupRequest, Made};
pub use copy::Copied;
pub use error::{Result, VaultError};
pub use find::{Change, Hit};
pub use id::{ChunkId, ObjectId};
pub use keyring::{Derivation, RAW_PREFIX, Secret, Slot};
pub use manifest::{Contents, Extent, Stored};
pub use open::{Parts, Status, Vault};
pub use prune::{PruneRequest, Pruned};
pub use restore::{RestoreRequest, RestoreSummary};
pub use shelf::Trashed;
pub use snapshot::{Description, Snapshot};
pub use store::Store;
pub use verify::{CheckRequest, CheckSummary, Compared, Ledger, PackCheck};
