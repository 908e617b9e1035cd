//! Snapshots on the shelf and in the trash, and the marks on packs.
//!
//! `snapshots/<id>` is kept; `trash/snapshots/<id>.<ms>` was released at that time and can come back; `trash/packs/<id>.<ms>`
//! is an empty mark on a pack nothing referred to at that time. Times stand in names, so a listing tells everything.
//! A snapshot that is in both places is kept: a move writes before it removes.

use backstop_model::{SnapshotId, Timestamp};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::open::Vault;
use crate::seal::{Kind, open_object};
use crate::snapshot::Snapshot;

/// A mark on a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub id: ObjectId,
    pub since: Timestamp,
    pub path: String,
}

/// A snapshot in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// Which.
    pub id: SnapshotId,
    /// When it was released, by the clock of the machine that released it.
    pub since: Timestamp,
    pub(crate) path: String,
}

/// `<64 hexadecimal digits>.<milliseconds since 1970>`.
fn parse_timed(name: &str) -> Option<([u8; 32], Timestamp)> {
    let (id, millis) = name.split_once('.')?;
    let id = backstop_model::name::parse_hex(id)?;
    Some((id, Timestamp::from_millisecond(millis.parse().ok()?).ok()?))
}

/// Whether a snapshot's sealed bytes are those its name stands for.
fn is_named(id: &SnapshotId, sealed: &[u8]) -> bool {
    blake3::hash(sealed) == blake3::Hash::from_bytes(id.0)
}

impl Vault {
    /// Ids of all kept snapshots.
    ///
    /// # Errors
    /// The store's.
    pub fn snapshot_ids(&self) -> Result<Vec<SnapshotId>> {
        Ok(self.store().list("snapshots")?.iter().filter_map(|object| object.name.parse().ok()).collect())
    }

    /// All kept snapshots that can be read, and the objects that cannot with the reason.
    ///
    /// # Errors
    /// The store's.
    pub fn snapshots(&self) -> Result<(Vec<Snapshot>, Vec<VaultError>)> {
        let mut read = Vec::new();
        let mut bad = Vec::new();
        for object in self.store().list("snapshots")? {
            let Ok(id) = object.name.parse() else {
                bad.push(VaultError::damaged(format!("snapshots/{}", object.name), "it is not named like a snapshot"));
                continue;
            };
            match self.snapshot(&id) {
                Ok(snapshot) => read.push(snapshot),
                // Removed between listing and reading: nothing is wrong with it.
                Err(VaultError::NoSnapshot { .. }) => {}
                Err(error) if error.is_damage() => bad.push(error),
                Err(error) => return Err(error),
            }
        }
        read.sort_by(|a, b| a.about.captured.cmp(&b.about.captured).then(a.id.cmp(&b.id)));
        Ok((read, bad))
    }

    /// One kept snapshot.
    ///
    /// # Errors
    /// `NoSnapshot`, `Damaged`, or the store's.
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        self.read_snapshot(id, &format!("snapshots/{id}"))
    }

    /// A snapshot in the trash.
    ///
    /// # Errors
    /// As [`Vault::snapshot`].
    pub fn trashed_snapshot(&self, trashed: &Trashed) -> Result<Snapshot> {
        self.read_snapshot(&trashed.id, &trashed.path)
    }

    fn read_snapshot(&self, id: &SnapshotId, path: &str) -> Result<Snapshot> {
        let sealed = match self.store().get(path) {
            Err(VaultError::Missing { .. }) => return Err(VaultError::NoSnapshot { id: id.short() }),
            other => other?,
        };
        if !is_named(id, &sealed) {
            return Err(VaultError::damaged(path, "its bytes are not those it was named after"));
        }
        let plain = open_object(&self.ring(), Kind::Snapshot, &sealed).map_err(|why| VaultError::damaged(path, why))?;
        Snapshot::decode(*id, &plain).map_err(|why| VaultError::damaged(path, why))
    }

    /// Snapshots in the trash, those that were brought back not counted.
    ///
    /// # Errors
    /// The store's.
    pub fn trashed(&self) -> Result<Vec<Trashed>> {
        let kept: std::collections::HashSet<SnapshotId> = self.snapshot_ids()?.into_iter().collect();
        let all = self.store().list("trash/snapshots")?;
        let timed = all.iter().filter_map(|object| {
            let (id, since) = parse_timed(&object.name)?;
            Some(Trashed { id: SnapshotId(id), since, path: format!("trash/snapshots/{}", object.name) })
        });
        Ok(timed.filter(|trashed| !kept.contains(&trashed.id)).collect())
    }

    fn trash_entries(&self, id: &SnapshotId) -> Result<Vec<String>> {
        let prefix = id.to_string();
        let all = self.store().list("trash/snapshots")?;
        Ok(all.iter().filter(|o| o.name.starts_with(&prefix)).map(|o| format!("trash/snapshots/{}", o.name)).collect())
    }

    /// The bytes of a copy in the trash that are those it was named after.
    fn whole_in_trash(&self, id: &SnapshotId) -> Result<Option<bytes::Bytes>> {
        for entry in self.trash_entries(id)? {
            match self.store().get(&entry) {
                Ok(sealed) if is_named(id, &sealed) => return Ok(Some(sealed)),
                Ok(_) | Err(VaultError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Moves a snapshot to the trash. Doing it twice is fine.
    ///
    /// # Errors
    /// `NoSnapshot` when it is in neither place.
    pub fn trash(&self, id: &SnapshotId) -> Result<()> {
        let path = format!("snapshots/{id}");
        let sealed = match self.store().get(&path) {
            Err(VaultError::Missing { .. }) if !self.trash_entries(id)?.is_empty() => return Ok(()),
            Err(VaultError::Missing { .. }) => return Err(VaultError::NoSnapshot { id: id.short() }),
            other => other?,
        };
        // Damaged here, whole in the trash (an earlier move was cut short): the whole one is not written over.
        if is_named(id, &sealed) || self.whole_in_trash(id)?.is_none() {
            let since = self.parts.clock.now().as_millisecond();
            self.store().put_exact(&format!("trash/snapshots/{id}.{since}"), sealed)?;
        }
        self.store().delete(&path)
    }

    /// Brings a snapshot back from the trash. Doing it twice is fine.
    ///
    /// # Errors
    /// `NoSnapshot` when it is in neither place; `Damaged` when no copy of it is whole.
    pub fn recover(&self, id: &SnapshotId) -> Result<()> {
        let path = format!("snapshots/{id}");
        let entries = self.trash_entries(id)?;
        if entries.is_empty() {
            return if self.store().exists(&path)? { Ok(()) } else { Err(VaultError::NoSnapshot { id: id.short() }) };
        }
        let kept = match self.store().get(&path) {
            Err(VaultError::Missing { .. }) => None,
            other => Some(other?),
        };
        if !kept.is_some_and(|kept| is_named(id, &kept)) {
            let sealed = self
                .whole_in_trash(id)?
                .ok_or_else(|| VaultError::damaged(path.clone(), "no copy of it has the bytes it was named after"))?;
            self.store().put_exact(&path, sealed)?;
        }
        entries.iter().try_for_each(|entry| self.store().delete(entry))
    }

    /// Removes a snapshot's last trace from the trash. Only the delete firewall's verdict leads here. A kept snapshot is
    /// not touched; one that is gone is fine.
    ///
    /// # Errors
    /// `Refused` when the snapshot is still kept.
    pub fn purge(&self, id: &SnapshotId) -> Result<()> {
        if self.store().exists(&format!("snapshots/{id}"))? {
            return Err(VaultError::Refused(format!("snapshot {} is not in the trash", id.short())));
        }
        self.trash_entries(id)?.iter().try_for_each(|entry| self.store().delete(entry))
    }

    /// Marks on packs.
    pub(crate) fn marked_packs(&self) -> Result<Vec<Mark>> {
        let all = self.store().list("trash/packs")?;
        let marks = all.iter().filter_map(|object| {
            let (id, since) = parse_timed(&object.name)?;
            Some(Mark { id: ObjectId(id), since, path: format!("trash/packs/{}", object.name) })
        });
        Ok(marks.collect())
    }
}
