//! Snapshot objects: what a backup is called, what it holds, where its manifest begins.

use std::collections::BTreeSet;

use backstop_model::name::parse_hex;
use backstop_model::{BackupName, Completeness, Mode, RunId, SnapshotId, Tier, Timestamp, WorkloadName};
use serde::{Deserialize, Serialize};

use crate::id::ChunkId;

/// What a snapshot says about itself: enough to rebuild the catalog's record of the backup from vaults alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The backup it is.
    pub backup: BackupName,
    /// What it protects.
    pub workload: WorkloadName,
    /// The kind of workload, as configured (`files`).
    pub kind: String,
    /// The instant whose state it holds.
    pub captured: Timestamp,
    /// Tiers given when it was made.
    pub tiers: BTreeSet<Tier>,
    /// How it was read.
    pub mode: Mode,
    /// The backup it was compared with.
    pub based_on: Option<BackupName>,
    /// Configured roots, shown; for messages.
    pub roots: Vec<String>,
    /// The machine it was read on.
    pub host: String,
    /// The run that made it.
    pub run: RunId,
}

/// A snapshot as read from a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The object's name.
    pub id: SnapshotId,
    /// What it says about itself.
    pub about: Description,
    /// Whether something is missing from it.
    pub completeness: Completeness,
    /// Bytes a restore would write.
    pub size: u64,
    /// Entries a restore would make.
    pub entries: u64,
    /// Bytes it added to the vault it was first written to.
    pub stored: u64,
    /// Branches of its manifest, in order.
    pub(crate) branches: Vec<ChunkId>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    about: Description,
    completeness: Completeness,
    size: u64,
    entries: u64,
    stored: u64,
    branches: Vec<String>,
}

impl Snapshot {
    /// The record to seal. The id is that of the sealed bytes, so it is not part of them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let record = Record {
            about: self.about.clone(),
            completeness: self.completeness,
            size: self.size,
            entries: self.entries,
            stored: self.stored,
            branches: self.branches.iter().map(ToString::to_string).collect(),
        };
        serde_json::to_vec(&record).expect("strings and numbers")
    }

    /// Reads a record.
    pub(crate) fn decode(id: SnapshotId, plain: &[u8]) -> Result<Self, String> {
        let record: Record = serde_json::from_slice(plain).map_err(|why| why.to_string())?;
        let branches: Option<Vec<ChunkId>> = record.branches.iter().map(|id| parse_hex(id).map(ChunkId)).collect();
        Ok(Self {
            id,
            about: record.about,
            completeness: record.completeness,
            size: record.size,
            entries: record.entries,
            stored: record.stored,
            branches: branches.ok_or("a branch id is not hexadecimal")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Snapshot {
        Snapshot {
            id: SnapshotId([7; 32]),
            about: crate::tests::about("b1", Timestamp::UNIX_EPOCH),
            completeness: Completeness::Partial { troubles: 3 },
            size: u64::MAX,
            entries: 5,
            stored: 6,
            branches: vec![ChunkId([1; 32]), ChunkId([2; 32])],
        }
    }

    #[test]
    fn a_snapshot_reads_back() {
        assert_eq!(Snapshot::decode(SnapshotId([7; 32]), &sample().encode()), Ok(sample()));
    }

    proptest! {
        #[test]
        fn mutated_snapshots_decode_or_fail(bytes in crate::tests::mutated(sample().encode())) {
            let _ = Snapshot::decode(SnapshotId([7; 32]), &bytes);
        }
    }
}
