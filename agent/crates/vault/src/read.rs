//! Reading chunks and manifests back. Everything read is authenticated and compared with its id.

use std::collections::VecDeque;
use std::sync::Arc;

use backstop_model::tree::compare;

use crate::error::{Result, VaultError};
use crate::id::ChunkId;
use crate::index::{BlockAt, Key, key_of};
use crate::keyring::Ring;
use crate::manifest::{Contents, Extent, SegmentRef, Stored, decode_branch, decode_list, decode_segment};
use crate::open::{Loaded, Vault};
use crate::pack::Origin;
use crate::press::Unpress;
use crate::seal::{Header, Kind, Role, Seal};
use crate::snapshot::Snapshot;
use crate::store::Store;

/// Opens blocks: one per thread.
pub(crate) struct Opener {
    ring: Arc<Ring>,
    id_key: [u8; 32],
    seal: Option<(u32, [u8; 32], Seal)>,
    unpress: Unpress,
    packed: Vec<u8>,
}

impl Opener {
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        Self { id_key: ring.id_key(), ring, seal: None, unpress: Unpress::new(), packed: Vec::new() }
    }

    /// Decrypts without decompressing: the payload as it was before sealing.
    pub(crate) fn unseal<'a>(&'a mut self, origin: Origin, sealed: &[u8]) -> Result<&'a [u8]> {
        let fits = self.seal.as_ref().is_some_and(|(epoch, salt, _)| (*epoch, *salt) == (origin.epoch, origin.salt));
        if !fits {
            let header = Header { kind: Kind::Pack, epoch: origin.epoch, salt: origin.salt };
            let seal = Seal::new(&self.ring, &header)
                .ok_or_else(|| VaultError::damaged("a block", "it is sealed under a key this slot does not hold"))?;
            self.seal = Some((origin.epoch, origin.salt, seal));
        }
        let (_, _, seal) = self.seal.as_ref().expect("just made");
        seal.open(u64::from(origin.counter), Role::Body, sealed, &mut self.packed)
            .ok_or_else(|| VaultError::damaged("a block", "it does not authenticate"))?;
        Ok(&self.packed)
    }

    /// The plain bytes of a block in `out`.
    pub(crate) fn open(&mut self, at: &BlockAt, sealed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.unseal(at.origin, sealed)?;
        if at.compressed {
            return self.unpress.unpress(&self.packed, at.plain as usize, out);
        }
        if self.packed.len() != at.plain as usize {
            return Err(VaultError::damaged("a block", "its length is not the recorded one"));
        }
        std::mem::swap(out, &mut self.packed);
        Ok(())
    }

    /// Whether these bytes are the chunk of this id.
    pub(crate) fn is_chunk(&self, id: &ChunkId, bytes: &[u8]) -> bool {
        blake3::keyed_hash(&self.id_key, bytes) == blake3::Hash::from_bytes(id.0)
    }

    /// Whether these bytes are a chunk that the index knows by this key.
    pub(crate) fn is_key(&self, key: &Key, bytes: &[u8]) -> bool {
        blake3::keyed_hash(&self.id_key, bytes).as_bytes()[..16] == key[..]
    }
}

/// Blocks kept decompressed by a [`ChunkReader`].
const CACHED: usize = 8;

/// Reads single chunks, keeping the last few blocks: made for manifests, whose chunks lie side by side.
pub(crate) struct ChunkReader<'v> {
    vault: &'v Vault,
    loaded: Arc<Loaded>,
    opener: Opener,
    cache: VecDeque<(u32, Vec<u8>)>,
}

impl<'v> ChunkReader<'v> {
    pub(crate) fn new(vault: &'v Vault) -> Self {
        Self { vault, loaded: vault.loaded(), opener: Opener::new(vault.ring()), cache: VecDeque::new() }
    }

    /// The chunk's bytes.
    pub(crate) fn chunk(&mut self, id: &ChunkId) -> Result<&[u8]> {
        let mut found = self.locate(id);
        if matches!(found, Err(VaultError::Missing { .. })) {
            // The pack was removed after the index was read, or the index lists what is gone: a second copy may serve.
            self.vault.take_stock()?;
            self.loaded = self.vault.loaded();
            self.cache.clear();
            found = self.locate(id);
        }
        let (cached, range) = found?;
        match self.cache[cached].1.get(range) {
            Some(bytes) if self.opener.is_chunk(id, bytes) => Ok(bytes),
            _ => Err(VaultError::damaged(format!("chunk {id:?}"), "its bytes are not those it was named after")),
        }
    }

    /// Which cached block holds the chunk, read if need be, and where in it.
    fn locate(&mut self, id: &ChunkId) -> Result<(usize, std::ops::Range<usize>)> {
        let index = &self.loaded.index;
        let at = index.find(id).ok_or_else(|| VaultError::UnknownChunk { chunk: format!("{id:?}") })?;
        let from = index.offset_in_block(at);
        let range = from..from + at.length as usize;
        if let Some(cached) = self.cache.iter().position(|(block, _)| *block == at.block) {
            return Ok((cached, range));
        }
        let block = index.block(at.block);
        let path = index.packs[block.pack as usize].id.pack_path();
        let start = u64::from(block.offset);
        let sealed = self.vault.store().get_range(&path, start, start + u64::from(block.sealed));
        let sealed =
            sealed.map_err(|error| short_read(self.vault.store(), error, &path, start + u64::from(block.sealed)))?;
        let mut plain = if self.cache.len() >= CACHED {
            self.cache.pop_front().map(|(_, buffer)| buffer).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.opener.open(&block, &sealed, &mut plain).map_err(|error| in_object(error, &path))?;
        self.cache.push_back((at.block, plain));
        Ok((self.cache.len() - 1, range))
    }

    /// The extents of a file, lists resolved one at a time.
    pub(crate) fn extents(&mut self, contents: &Contents, visit: &mut impl FnMut(&Extent) -> Result<()>) -> Result<()> {
        match contents {
            Contents::Extents(extents) => extents.iter().try_for_each(visit),
            Contents::Lists(lists) => {
                for (id, covers) in lists {
                    let extents = decode_list(self.chunk(id)?)
                        .map_err(|bad| VaultError::damaged(format!("list {id:?}"), bad.0))?;
                    let sum = extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.length()));
                    if sum != Some(*covers) {
                        return Err(VaultError::damaged(format!("list {id:?}"), "it does not cover what it should"));
                    }
                    extents.iter().try_for_each(&mut *visit)?;
                }
                Ok(())
            }
        }
    }
}

/// Names the object a block's damage was found in.
pub(crate) fn in_object(error: VaultError, path: &str) -> VaultError {
    match error {
        VaultError::Damaged { why, .. } => VaultError::Damaged { object: path.to_owned(), why },
        other => other,
    }
}

/// A range that cannot be had may mean that the object is cut off, or that the store has a bad day: its length tells.
pub(crate) fn short_read(store: &Store, error: VaultError, path: &str, end: u64) -> VaultError {
    if !matches!(error, VaultError::Store { .. }) {
        return error;
    }
    match store.size(path) {
        Ok(Some(size)) if size < end => VaultError::damaged(path, "it is shorter than recorded"),
        Ok(None) => VaultError::Missing { object: path.to_owned() },
        Ok(Some(_)) | Err(_) => error,
    }
}

/// The entries of a snapshot in canonical order. After an error it ends.
pub struct Entries<'v> {
    chunks: ChunkReader<'v>,
    branches: VecDeque<ChunkId>,
    segments: VecDeque<SegmentRef>,
    entries: std::vec::IntoIter<Stored>,
    /// Entries before this path are passed over.
    from: Vec<u8>,
    ended: bool,
}

impl Vault {
    /// The entries of a snapshot.
    #[must_use]
    pub fn entries(&self, snapshot: &Snapshot) -> Entries<'_> {
        Entries {
            chunks: ChunkReader::new(self),
            branches: snapshot.branches.iter().copied().collect(),
            segments: VecDeque::new(),
            entries: Vec::new().into_iter(),
            from: Vec::new(),
            ended: false,
        }
    }

    /// The entries from `path` on; segments that end before it are not read.
    #[must_use]
    pub fn entries_from(&self, snapshot: &Snapshot, path: &[u8]) -> Entries<'_> {
        Entries { from: path.to_vec(), ..self.entries(snapshot) }
    }

    /// The entry at `path`.
    ///
    /// # Errors
    /// `NoPath`, or damage on the way to it.
    pub fn entry(&self, snapshot: &Snapshot, path: &[u8]) -> Result<Stored> {
        match self.entries_from(snapshot, path).next() {
            Some(Ok(entry)) if entry.node.path == path => Ok(entry),
            Some(Err(error)) => Err(error),
            _ => Err(VaultError::NoPath { path: backstop_model::tree::show_path(path) }),
        }
    }

    /// Writes the contents of a file of a snapshot to `out`, in order.
    ///
    /// # Errors
    /// Damage, or what `out` says.
    pub fn write_contents(&self, entry: &Stored, out: &mut dyn std::io::Write) -> Result<()> {
        let path = || backstop_model::tree::show_path(&entry.node.path);
        let mut lists = ChunkReader::new(self);
        let mut chunks = ChunkReader::new(self);
        lists.extents(&entry.contents, &mut |extent| {
            let written = match extent {
                Extent::Chunk { id, .. } => out.write_all(chunks.chunk(id)?),
                Extent::Hole { length } => {
                    let zeros = [0; 8192];
                    let mut left = *length;
                    let mut written = Ok(());
                    while left > 0 && written.is_ok() {
                        let part = left.min(zeros.len() as u64);
                        written = out.write_all(&zeros[..part as usize]);
                        left -= part;
                    }
                    written
                }
            };
            written.map_err(|source| VaultError::Target { path: path(), source })
        })
    }
}

impl Entries<'_> {
    fn advance(&mut self) -> Result<Option<Stored>> {
        loop {
            for entry in self.entries.by_ref() {
                if self.from.is_empty() || compare(&entry.node.path, &self.from).is_ge() {
                    return Ok(Some(entry));
                }
            }
            if let Some(segment) = self.segments.pop_front() {
                // The next segment begins at or before the path sought: this one lies wholly before it.
                let passed = self.segments.front().is_some_and(|next| compare(&next.first, &self.from).is_le());
                if !self.from.is_empty() && passed {
                    continue;
                }
                let entries = decode_segment(self.chunks.chunk(&segment.id)?)
                    .map_err(|bad| VaultError::damaged(format!("segment {:?}", segment.id), bad.0))?;
                self.entries = entries.into_iter();
            } else if let Some(branch) = self.branches.pop_front() {
                let segments = decode_branch(self.chunks.chunk(&branch)?)
                    .map_err(|bad| VaultError::damaged(format!("branch {branch:?}"), bad.0))?;
                self.segments = segments.into();
            } else {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Stored>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Visits every chunk a snapshot needs: branches, segments, lists and data. Segments in `seen` are not read again:
/// snapshots share most of theirs.
pub(crate) fn visit_chunks(
    vault: &Vault,
    snapshot: &Snapshot,
    seen: &mut std::collections::HashSet<Key>,
    visit: &mut impl FnMut(&ChunkId),
) -> Result<()> {
    let mut chunks = ChunkReader::new(vault);
    for branch in &snapshot.branches {
        visit(branch);
        if !seen.insert(key_of(branch)) {
            continue;
        }
        let segments = decode_branch(chunks.chunk(branch)?)
            .map_err(|bad| VaultError::damaged(format!("branch {branch:?}"), bad.0))?;
        for segment in segments {
            visit(&segment.id);
            if !seen.insert(key_of(&segment.id)) {
                continue;
            }
            let entries = decode_segment(chunks.chunk(&segment.id)?)
                .map_err(|bad| VaultError::damaged(format!("segment {:?}", segment.id), bad.0))?;
            for entry in entries {
                crate::manifest::direct_chunks(&entry.contents).for_each(|id| visit(&id));
                if let Contents::Lists(lists) = &entry.contents {
                    for (id, _) in lists.iter().filter(|(id, _)| seen.insert(key_of(id))) {
                        let extents = decode_list(chunks.chunk(id)?)
                            .map_err(|bad| VaultError::damaged(format!("list {id:?}"), bad.0))?;
                        for extent in extents {
                            if let Extent::Chunk { id, .. } = extent {
                                visit(&id);
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
