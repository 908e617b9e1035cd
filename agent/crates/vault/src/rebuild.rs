//! A lost or damaged index, rebuilt from the directories at the ends of packs; packs nobody listed, adopted.

use std::collections::{BTreeSet, HashSet};

use backstop_seams::{Progress, Tick};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::index::Index;
use crate::open::Vault;
use crate::seal::{Kind, open_object};

impl Vault {
    /// Writes a new index from all packs and removes the old index objects, readable or not. What the old index tells of
    /// packs that cannot be read is kept, and index objects that only a newer process can read stay. Returns how many
    /// packs were read and those that cannot be, with the reason.
    ///
    /// # Errors
    /// `Interrupted`, the store's; the old index is then still there.
    pub fn rebuild_index(&self, progress: &dyn Progress) -> Result<(u64, Vec<VaultError>)> {
        let old = self.store().list("index")?;
        self.reload()?;
        let packs = self.store().list("packs")?;
        let mut bad = Vec::new();
        let mut index = Index::default();
        for (done, object) in packs.iter().enumerate() {
            if progress.cancelled() {
                return Err(VaultError::Interrupted);
            }
            let Some(id) = ObjectId::parse(&object.name) else {
                bad.push(VaultError::damaged(format!("packs/{}", object.name), "it is not named like a pack"));
                continue;
            };
            match self.directory(id, object.size) {
                Ok(directory) => index.add_pack(id, object.size, &directory),
                Err(error) if error.is_damage() => bad.push(error),
                Err(error) => return Err(error),
            }
            progress.tick(Tick {
                entries: done as u64 + 1,
                entries_total: Some(packs.len() as u64),
                ..Tick::default()
            });
        }
        // A pack that does not say any more what it holds may still be told by the index that is there.
        let loaded = self.loaded();
        let told: Vec<u32> = packs
            .iter()
            .filter_map(|object| ObjectId::parse(&object.name))
            .filter(|id| index.pack(id).is_none())
            .filter_map(|id| loaded.index.pack(&id))
            .collect();
        let going: Vec<String> =
            old.into_iter().map(|object| object.name).filter(|name| !self.is_beyond(name)).collect();
        let superseded: Vec<ObjectId> = going.iter().filter_map(|name| ObjectId::parse(name)).collect();
        let all: Vec<u32> = (0..index.packs.len() as u32).collect();
        let mut written = self.write_packs(&index, &all, &superseded)?;
        written.extend(self.write_packs(&loaded.index, &told, &superseded)?);
        let keep: HashSet<String> = written.iter().map(ToString::to_string).collect();
        for name in going.iter().filter(|name| !keep.contains(*name)) {
            self.store().delete(&format!("index/{name}"))?;
        }
        self.reload()?;
        Ok((index.packs.len() as u64, bad))
    }

    /// Whether an index object is whole but sealed under a key, or in a format, that this process does not know: a newer
    /// process wrote it and can read it.
    fn is_beyond(&self, name: &str) -> bool {
        let path = format!("index/{name}");
        let Some(id) = ObjectId::parse(name) else { return false };
        if !self.loaded().unreadable.iter().any(|(object, _)| *object == path) {
            return false;
        }
        self.store()
            .get(&path)
            .is_ok_and(|sealed| ObjectId::of(&sealed) == id && open_object(&self.ring(), Kind::Index, &sealed).is_err())
    }

    /// Lists packs that no index knows: a run was killed between uploading and listing them. Nothing is lost when one
    /// cannot be read; it is left for a prune. What the index lists and is not there is known afterwards, too.
    pub(crate) fn adopt_packs(&self) -> Result<u64> {
        // Marks before packs: a pack whose mark is gone already is gone itself, or needed again.
        let marked = self.marked_ids()?;
        let present = self.take_stock()?;
        let loaded = self.loaded();
        let mut found = Index::default();
        for (name, size) in &present {
            let Some(id) = ObjectId::parse(name) else { continue };
            if loaded.index.pack(&id).is_some() || marked.contains(&id) {
                continue;
            }
            match self.directory(id, *size) {
                Ok(directory) => found.add_pack(id, *size, &directory),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        if !found.packs.is_empty() {
            let all: Vec<u32> = (0..found.packs.len() as u32).collect();
            self.write_packs(&found, &all, &[])?;
            self.reload()?;
            self.take_stock()?;
        }
        Ok(found.packs.len() as u64)
    }

    /// Joins many small index objects into one, so that opening stays fast after years of daily backups.
    pub(crate) fn merge_indexes(&self) -> Result<()> {
        const MANY: usize = 24;
        const SMALL: u64 = 4 << 20;
        let loaded = self.loaded();
        let small: Vec<_> = loaded.objects.iter().filter(|object| object.size < SMALL).collect();
        if small.len() < MANY {
            return Ok(());
        }
        let superseded: Vec<ObjectId> = small.iter().map(|object| object.id).collect();
        let packs: BTreeSet<u32> = small.iter().flat_map(|object| object.packs.iter().copied()).collect();
        let packs: Vec<u32> = packs.into_iter().collect();
        let merged = self.write_packs(&loaded.index, &packs, &superseded)?;
        for id in superseded.iter().filter(|id| !merged.contains(id)) {
            self.store().delete(&id.index_path())?;
        }
        self.reload()
    }
}
