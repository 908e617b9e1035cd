//! A lost or damaged index, rebuilt from the directories at the ends of packs; packs nobody listed, adopted.

use std::collections::HashSet;

use backstop_seams::{Progress, Tick};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::index::Index;
use crate::open::Vault;

/// Chunks per index object when many are written.
const PER_OBJECT: usize = 1_000_000;

impl Vault {
    /// Writes a new index from all packs and removes the old index objects, readable or not. Returns how many packs
    /// were read and those that cannot be, with the reason.
    ///
    /// # Errors
    /// `Interrupted`, the store's; the old index is then still there.
    pub fn rebuild_index(&self, progress: &dyn Progress) -> Result<(u64, Vec<VaultError>)> {
        let old = self.store().list("index")?;
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
        let superseded: Vec<ObjectId> = old.iter().filter_map(|object| ObjectId::parse(&object.name)).collect();
        let mut keep = HashSet::new();
        let mut from = 0;
        while from < index.packs.len() {
            let mut to = from;
            let mut chunks = 0;
            while to < index.packs.len() && chunks < PER_OBJECT {
                let row = &index.packs[to];
                chunks +=
                    (row.first_block..row.first_block + row.blocks).map(|b| index.chunks_of(b).len()).sum::<usize>();
                to += 1;
            }
            keep.insert(self.write_index(&index.encode(from as u32..to as u32, &superseded))?.to_string());
            from = to;
        }
        for object in old.iter().filter(|object| !keep.contains(&object.name)) {
            self.store().delete(&format!("index/{}", object.name))?;
        }
        self.reload()?;
        Ok((index.packs.len() as u64, bad))
    }

    /// Lists packs that no index knows: a run was killed between uploading and listing them. Nothing is lost when one
    /// cannot be read; it is left for a prune.
    pub(crate) fn adopt_packs(&self) -> Result<u64> {
        let loaded = self.loaded();
        let known: HashSet<String> = loaded.index.packs.iter().map(|pack| pack.id.to_string()).collect();
        let marked: HashSet<ObjectId> = self.marked_packs()?.into_iter().map(|mark| mark.id).collect();
        let mut found = Index::default();
        for object in self.store().list("packs")? {
            let Some(id) = ObjectId::parse(&object.name) else { continue };
            if known.contains(&object.name) || marked.contains(&id) {
                continue;
            }
            match self.directory(id, object.size) {
                Ok(directory) => found.add_pack(id, object.size, &directory),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        if !found.packs.is_empty() {
            self.write_index(&found.encode(0..found.packs.len() as u32, &[]))?;
            self.reload()?;
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
        let packs = small.iter().flat_map(|object| object.packs.clone());
        let merged = self.write_index(&loaded.index.encode(packs, &superseded))?;
        for id in superseded.iter().filter(|id| **id != merged) {
            self.store().delete(&id.index_path())?;
        }
        self.reload()
    }
}
