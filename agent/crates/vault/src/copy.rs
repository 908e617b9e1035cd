//! Copying a snapshot to another vault.
//!
//! Between vaults that share a ring (`init_like`) sealed bytes move as they are: whole packs where most of a pack is
//! wanted, single blocks otherwise. Between strangers every block is opened, each chunk authenticated and named anew,
//! and — where the whole block is wanted — the compressed bytes are sealed again without compressing anew. What an
//! earlier copy has already brought over is recognised by reading the two manifests of that copy side by side, so the
//! daily copy of a large workload reads little more than what changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use backstop_model::SnapshotId;
use backstop_seams::{Progress, Tick};

use crate::code::Encoder;
use crate::error::{Result, VaultError};
use crate::id::{ChunkId, ObjectId};
use crate::index::{Key, key_of};
use crate::intake::{Intake, Joiner, Stream};
use crate::manifest::{Builder, Contents, Extent, Stored, encode_extents};
use crate::open::{Loaded, Vault};
use crate::pack::LooseBlock;
use crate::press::Press;
use crate::read::{ChunkReader, Opener, in_object, visit_chunks};
use crate::snapshot::Snapshot;

/// What came of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The snapshot in the other vault.
    pub snapshot: Snapshot,
    /// Bytes added there.
    pub stored: u64,
    /// Bytes read here.
    pub read: u64,
    /// Whether it was there already.
    pub existed: bool,
}

/// A pack moves whole when at least this share of it is wanted.
const WHOLE_PACK_PERCENT: u64 = 80;

impl Vault {
    /// Copies a snapshot to `other`. Doing it twice is fine.
    ///
    /// # Errors
    /// Damage met here (nothing damaged is copied), `Interrupted`, either store's. Chunks that arrived stay and are used
    /// by the next try.
    pub fn copy_to(&self, id: &SnapshotId, other: &Vault, progress: &dyn Progress) -> Result<Copied> {
        let snapshot = self.snapshot(id)?;
        self.take_stock()?;
        other.reload()?;
        other.adopt_packs()?;
        let (there, _) = other.snapshots()?;
        if let Some(same) = there.iter().find(|known| known.about == snapshot.about) {
            return Ok(Copied { snapshot: same.clone(), stored: 0, read: 0, existed: true });
        }
        if other.ring().covers(&self.ring()) {
            self.copy_sealed(snapshot, other, progress)
        } else {
            self.copy_anew(snapshot, other, &there, progress)
        }
    }

    /// Blocks of this vault that hold chunks `wanted`, by pack.
    fn blocks_with(&self, wanted: &HashSet<u32>) -> BTreeMap<u32, Vec<u32>> {
        let index = &self.loaded().index;
        let blocks: std::collections::BTreeSet<u32> = wanted.iter().map(|position| index.block_at(*position)).collect();
        let mut by_pack: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for block in blocks {
            by_pack.entry(index.block(block).pack).or_default().push(block);
        }
        by_pack
    }

    fn positions(&self, snapshot: &Snapshot, lacks: impl Fn(&ChunkId) -> bool) -> Result<HashSet<u32>> {
        let loaded = self.loaded();
        let mut wanted = HashSet::new();
        let mut unknown = None;
        visit_chunks(self, snapshot, &mut HashSet::new(), &mut |id| match loaded.index.find(id) {
            Some(at) if lacks(id) => {
                wanted.insert(at.position);
            }
            Some(_) => {}
            None => unknown = Some(*id),
        })?;
        match unknown {
            Some(id) => Err(VaultError::UnknownChunk { chunk: format!("{id:?}") }),
            None => Ok(wanted),
        }
    }

    fn copy_sealed(&self, snapshot: Snapshot, other: &Vault, progress: &dyn Progress) -> Result<Copied> {
        let loaded = self.loaded();
        let footing = other.loaded();
        let wanted = self.positions(&snapshot, |id| !footing.index.may_rely_on(id))?;
        let by_pack = self.blocks_with(&wanted);
        let total = by_pack.values().flatten().map(|block| u64::from(loaded.index.block(*block).sealed)).sum();
        let leaving = other.marked_ids()?;
        let mut read = 0;
        let mut moved_whole = Vec::new();
        let (_, wrote) = Intake::run(other, |intake| {
            for (pack, blocks) in &by_pack {
                if progress.cancelled() {
                    return Err(VaultError::Interrupted);
                }
                intake.check()?;
                let row = &loaded.index.packs[*pack as usize];
                let path = row.id.pack_path();
                let size: u64 = blocks.iter().map(|block| u64::from(loaded.index.block(*block).sealed)).sum();
                // A pack that is there under its name and not relied upon is on its way out: its blocks go to another.
                let free = footing.index.pack(&row.id).is_none() && !leaving.contains(&row.id);
                if free && size * 100 >= row.size * WHOLE_PACK_PERCENT {
                    let bytes = self.store().get(&path)?;
                    if ObjectId::of(&bytes) != row.id {
                        return Err(VaultError::damaged(path, "its bytes are not those it was named after"));
                    }
                    other.store().put_exact(&path, bytes)?;
                    moved_whole.push(*pack);
                    read += row.size;
                } else {
                    let directory = self.directory(row.id, row.size)?;
                    let mut opener = Opener::new(self.ring());
                    for block in blocks {
                        let at = loaded.index.block(*block);
                        let start = u64::from(at.offset);
                        let sealed = self.store().get_range(&path, start, start + u64::from(at.sealed))?;
                        opener.unseal(at.origin, &sealed).map_err(|error| in_object(error, &path))?;
                        let listed = directory.blocks.get((*block - row.first_block) as usize);
                        let listed = listed.ok_or_else(|| {
                            VaultError::damaged(path.clone(), "its directory is not what the index says")
                        })?;
                        intake.place_sealed(Stream::Contents, &sealed, listed);
                        read += u64::from(at.sealed);
                    }
                }
                progress.tick(Tick { bytes: read, bytes_total: Some(total), ..Tick::default() });
            }
            Ok(())
        })?;
        let (mut stored, mut own) = (wrote.bytes, wrote.packs);
        if !moved_whole.is_empty() {
            own.extend(moved_whole.iter().map(|pack| loaded.index.packs[*pack as usize].id));
            stored += moved_whole.iter().map(|pack| loaded.index.packs[*pack as usize].size).sum::<u64>();
            other.write_packs(&loaded.index, &moved_whole, &[])?;
        }
        other.check_long_footing(&footing, &own)?;
        self.finish_copy(Snapshot { stored, ..snapshot }, other, stored, read)
    }

    /// [`Vault::check_footing`] for runs that do not know the grace period: any that is sensible is longer than `SURE`.
    fn check_long_footing(&self, footing: &Loaded, own: &[ObjectId]) -> Result<()> {
        const SURE: Duration = Duration::from_secs(30 * 60);
        let long = self.parts.clock.monotonic().saturating_sub(footing.at) > SURE;
        if long { self.check_footing(footing, own) } else { Ok(()) }
    }

    fn finish_copy(&self, mut snapshot: Snapshot, other: &Vault, stored: u64, read: u64) -> Result<Copied> {
        let stored = stored + other.write_snapshot(&mut snapshot)?;
        other.reload()?;
        Ok(Copied { snapshot, stored, read, existed: false })
    }

    fn copy_anew(
        &self,
        snapshot: Snapshot,
        other: &Vault,
        there: &[Snapshot],
        progress: &dyn Progress,
    ) -> Result<Copied> {
        let loaded = self.loaded();
        let footing = other.loaded();
        let mut names = self.known_names(&snapshot, other, there)?;
        let manifest_chunks = self.manifest_chunks(&snapshot)?;
        let wanted =
            self.positions(&snapshot, |id| !names.contains_key(&key_of(id)) && !manifest_chunks.contains(&key_of(id)))?;
        let by_pack = self.blocks_with(&wanted);
        let total = by_pack.values().flatten().map(|block| u64::from(loaded.index.block(*block).sealed)).sum();
        let mut read = 0;
        let (branches, wrote) = Intake::run(other, |intake| {
            let mut copier = Copier {
                intake,
                opener: Opener::new(self.ring()),
                press: Press::new(),
                joiner: Joiner::new(Stream::Contents),
                plain: Vec::new(),
            };
            for (pack, blocks) in &by_pack {
                let path = loaded.index.packs[*pack as usize].id.pack_path();
                for block in blocks {
                    if progress.cancelled() {
                        return Err(VaultError::Interrupted);
                    }
                    intake.check()?;
                    let at = loaded.index.block(*block);
                    let start = u64::from(at.offset);
                    let sealed = self.store().get_range(&path, start, start + u64::from(at.sealed))?;
                    let chunks: Vec<(Key, u32, bool)> = loaded
                        .index
                        .chunks_of(*block)
                        .map(|position| {
                            let (key, length) = loaded.index.chunk(position);
                            (key, length, wanted.contains(&position))
                        })
                        .collect();
                    copier.block(&at, &sealed, &chunks, &mut names).map_err(|error| in_object(error, &path))?;
                    read += u64::from(at.sealed);
                    progress.tick(Tick { bytes: read, bytes_total: Some(total), ..Tick::default() });
                }
            }
            let Copier { mut press, mut joiner, .. } = copier;
            intake.flush(&mut joiner, &mut press);
            self.translate(&snapshot, intake, &mut press, &names)
        })?;
        other.check_long_footing(&footing, &wrote.packs)?;
        let stored = wrote.bytes;
        self.finish_copy(Snapshot { branches, stored, ..snapshot }, other, stored, read)
    }

    /// Names that chunks of this vault have in the other, learned from the newest snapshot that both hold.
    fn known_names(&self, snapshot: &Snapshot, other: &Vault, there: &[Snapshot]) -> Result<HashMap<Key, ChunkId>> {
        let mut names = HashMap::new();
        let (here, _) = self.snapshots()?;
        let pair = here
            .iter()
            .rev()
            .filter(|mine| mine.about.workload == snapshot.about.workload)
            .find_map(|mine| there.iter().find(|theirs| theirs.about == mine.about).map(|theirs| (mine, theirs)));
        let Some((mine, theirs)) = pair else { return Ok(names) };
        let (mut left, mut right) = (ChunkReader::new(self), ChunkReader::new(other));
        let footing = other.loaded();
        for (a, b) in self.entries(mine).zip(other.entries(theirs)) {
            // Either manifest being damaged costs time, not the copy.
            let (Ok(a), Ok(b)) = (a, b) else { break };
            if a.node != b.node {
                break;
            }
            let mut from = Vec::new();
            let mut to = Vec::new();
            let both = left
                .extents(&a.contents, &mut collect(&mut from))
                .and_then(|()| right.extents(&b.contents, &mut collect(&mut to)));
            if both.is_err() || from.len() != to.len() {
                break;
            }
            names.extend(from.iter().map(key_of).zip(to).filter(|(_, id)| footing.index.may_rely_on(id)));
        }
        Ok(names)
    }

    /// Branches, segments and lists: these are written anew, since they contain names.
    fn manifest_chunks(&self, snapshot: &Snapshot) -> Result<HashSet<Key>> {
        let mut chunks: HashSet<Key> = snapshot.branches.iter().map(key_of).collect();
        let mut reader = ChunkReader::new(self);
        for branch in &snapshot.branches {
            let segments = crate::manifest::decode_branch(reader.chunk(branch)?)
                .map_err(|bad| VaultError::damaged(format!("branch {branch:?}"), bad.0))?;
            chunks.extend(segments.iter().map(|segment| key_of(&segment.id)));
        }
        for entry in self.entries(snapshot) {
            if let Contents::Lists(lists) = entry?.contents {
                chunks.extend(lists.iter().map(|(id, _)| key_of(id)));
            }
        }
        Ok(chunks)
    }

    /// Writes the snapshot's manifest with the other vault's names; returns its branches.
    fn translate(
        &self,
        snapshot: &Snapshot,
        intake: &Intake<'_>,
        press: &mut Press,
        names: &HashMap<Key, ChunkId>,
    ) -> Result<Vec<ChunkId>> {
        let mut joiner = Joiner::new(Stream::Manifest);
        let mut builder = Builder::default();
        let mut reader = ChunkReader::new(self);
        for entry in self.entries(snapshot) {
            let Stored { node, contents, torn } = entry?;
            let contents = match contents {
                Contents::Extents(mut extents) => {
                    rename(&mut extents, names)?;
                    Contents::Extents(extents)
                }
                Contents::Lists(lists) => {
                    let mut renamed = Vec::with_capacity(lists.len());
                    for (id, covers) in lists {
                        let mut extents = crate::manifest::decode_list(reader.chunk(&id)?)
                            .map_err(|bad| VaultError::damaged(format!("list {id:?}"), bad.0))?;
                        rename(&mut extents, names)?;
                        let mut out = Encoder::default();
                        encode_extents(&extents, &mut out);
                        renamed.push((intake.add(&mut joiner, press, &out.bytes), covers));
                    }
                    Contents::Lists(renamed)
                }
            };
            builder.push(&Stored { node, contents, torn }, &mut |bytes| {
                Ok::<_, VaultError>(intake.add(&mut joiner, press, bytes))
            })?;
        }
        let branches = builder.finish(&mut |bytes| Ok::<_, VaultError>(intake.add(&mut joiner, press, bytes)))?;
        intake.flush(&mut joiner, press);
        Ok(branches)
    }
}

fn collect(into: &mut Vec<ChunkId>) -> impl FnMut(&Extent) -> Result<()> + '_ {
    |extent| {
        if let Extent::Chunk { id, .. } = extent {
            into.push(*id);
        }
        Ok(())
    }
}

fn rename(extents: &mut [Extent], names: &HashMap<Key, ChunkId>) -> Result<()> {
    for extent in extents {
        if let Extent::Chunk { id, .. } = extent {
            *id = *names.get(&key_of(id)).ok_or_else(|| VaultError::UnknownChunk { chunk: format!("{id:?}") })?;
        }
    }
    Ok(())
}

struct Copier<'a, 'v> {
    intake: &'a Intake<'v>,
    opener: Opener,
    press: Press,
    joiner: Joiner,
    plain: Vec<u8>,
}

impl Copier<'_, '_> {
    /// Brings the wanted chunks of one block over and learns their new names.
    fn block(
        &mut self,
        at: &crate::index::BlockAt,
        sealed: &[u8],
        chunks: &[(Key, u32, bool)],
        names: &mut HashMap<Key, ChunkId>,
    ) -> Result<()> {
        self.opener.open(at, sealed, &mut self.plain)?;
        let mut offset = 0;
        let mut named = Vec::with_capacity(chunks.len());
        for (key, length, wanted) in chunks {
            let bytes = self
                .plain
                .get(offset..offset + *length as usize)
                .ok_or_else(|| VaultError::damaged("a block", "its chunks are longer than it is"))?;
            if *wanted {
                if !self.opener.is_key(key, bytes) {
                    return Err(VaultError::damaged("a block", "a chunk is not the one it was named after"));
                }
                let id = self.intake.id_of(bytes);
                names.insert(*key, id);
                named.push((id, *length, offset));
            }
            offset += *length as usize;
        }
        let fresh: Vec<bool> = named.iter().map(|(id, ..)| self.intake.claim(id)).collect();
        if named.len() == chunks.len() && fresh.iter().all(|fresh| *fresh) {
            // The payload of the old block serves as it is; only the seal is new.
            let payload = self.opener.unseal(at.origin, sealed)?;
            let chunks = named.iter().map(|(id, length, _)| (*id, *length)).collect();
            self.intake
                .place(Stream::Contents, LooseBlock { payload, compressed: at.compressed, plain: at.plain, chunks });
            return Ok(());
        }
        for ((id, length, offset), fresh) in named.into_iter().zip(fresh) {
            if fresh {
                self.intake.keep(&mut self.joiner, &mut self.press, id, &self.plain[offset..offset + length as usize]);
            }
        }
        Ok(())
    }
}
