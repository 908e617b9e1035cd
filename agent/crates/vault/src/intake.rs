//! Taking in chunks: hash, deduplicate, join into blocks, compress, seal, pack, upload.
//!
//! Several threads feed one intake. Each joins its own small chunks into blocks; blocks are compressed by whichever
//! thread has time and sealed into the one open pack of their stream, under a lock held for as long as sealing a
//! megabyte takes. Full packs are handed to an uploader thread one at a time, and nobody fills the next one before the
//! uploader took the last: of each stream one is in memory, and one more is being written.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};

use crate::error::{Result, VaultError};
use crate::id::{ChunkId, ObjectId};
use crate::index::{Index, Key, PackRow, Standing, key_of};
use crate::keyring::Ring;
use crate::open::{Loaded, Vault};
use crate::pack::{BLOCK_MAX, Builder, Directory, Finished, LooseBlock};
use crate::press::Press;

/// Chunks are joined until a block has this many plain bytes.
const BLOCK_TARGET: usize = 1 << 20;
/// A chunk that would make the block longer than this begins the next one: buffers of blocks stay small.
const BLOCK_MOST: usize = 2 << 20;
/// A pack is finished once it has this many bytes. Packs are most of what a backup needs in memory.
const PACK_TARGET: usize = 8 << 20;
/// Index objects are written along the way after so many packs, so that an interrupted first backup of a large
/// workload keeps what it has uploaded.
const INDEX_EVERY: usize = 64;

/// Contents and manifests go to packs of their own: listing and searching then read few packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Bytes of files.
    Contents = 0,
    /// Manifests and extent lists.
    Manifest = 1,
}

/// Chunks being joined by one thread.
pub(crate) struct Joiner {
    stream: Stream,
    plain: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
}

/// Joined chunks, not yet compressed.
pub(crate) struct RawBlock {
    stream: Stream,
    plain: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
}

/// Figures of an intake so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sealed bytes that went into packs.
    pub stored: AtomicU64,
}

/// What an intake added to its vault.
#[derive(Debug)]
pub(crate) struct Wrote {
    /// Bytes of packs and index.
    pub bytes: u64,
    /// The packs.
    pub packs: Vec<ObjectId>,
}

/// One writer's shared state.
pub(crate) struct Intake<'v> {
    vault: &'v Vault,
    ring: Arc<Ring>,
    id_key: [u8; 32],
    loaded: Arc<Loaded>,
    claimed: Vec<Mutex<HashSet<Key>>>,
    open: [Mutex<Option<Builder>>; 2],
    buffers: Mutex<Vec<Vec<u8>>>,
    /// Buffers of plain blocks, for the next ones.
    spares: Mutex<Vec<Vec<u8>>>,
    full: Sender<Finished>,
    written: Mutex<Vec<(ObjectId, u64, Directory)>>,
    indexed: Mutex<Vec<ObjectId>>,
    failed: Mutex<Option<VaultError>>,
    stopped: AtomicBool,
    doubtful: bool,
    pub counts: Counts,
}

impl Joiner {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, plain: Vec::new(), chunks: Vec::new() }
    }

    fn take(&mut self, spare: Vec<u8>) -> Option<RawBlock> {
        if self.chunks.is_empty() {
            return None;
        }
        let plain = std::mem::replace(&mut self.plain, spare);
        Some(RawBlock { stream: self.stream, plain, chunks: std::mem::take(&mut self.chunks) })
    }
}

impl<'v> Intake<'v> {
    /// Runs `work` with an intake whose packs are uploaded beside it, then finishes packs and index.
    ///
    /// Returns what `work` returned and what was added to the vault. When `work` fails, packs already uploaded are
    /// still indexed, so that trying again does not upload them twice.
    pub(crate) fn run<T>(vault: &'v Vault, work: impl FnOnce(&Intake<'v>) -> Result<T>) -> Result<(T, Wrote)> {
        let (full, queue) = crossbeam_channel::bounded(0);
        let ring = vault.ring();
        let loaded = vault.loaded();
        let sound = |pack: &PackRow| pack.standing == Standing::Sound;
        let doubtful = !loaded.unreadable.is_empty() || !loaded.index.packs.iter().all(sound);
        let intake = Intake {
            vault,
            id_key: ring.id_key(),
            ring,
            loaded,
            doubtful,
            claimed: (0..64).map(|_| Mutex::default()).collect(),
            open: [Mutex::default(), Mutex::default()],
            buffers: Mutex::default(),
            spares: Mutex::default(),
            full,
            written: Mutex::default(),
            indexed: Mutex::default(),
            failed: Mutex::default(),
            stopped: AtomicBool::new(false),
            counts: Counts::default(),
        };
        std::thread::scope(|threads| {
            let uploader = threads.spawn({
                let intake = &intake;
                move || intake.upload(&queue)
            });
            let done = work(&intake);
            // The open packs are finished even after a failure: what they hold need not be read again then.
            let flushed = intake.close_packs();
            // A pack without name marks the end; the intake itself keeps a sender, so the queue would never close.
            let _ = intake.full.send(Finished {
                id: ObjectId([0; 32]),
                bytes: Vec::new(),
                directory: Directory::default(),
            });
            uploader.join().expect("the uploader does not panic");
            let indexed = intake.write_index();
            let value = intake.check().and(done)?;
            flushed?;
            let index_bytes = indexed?;
            let packs = std::mem::take(&mut *intake.indexed.lock().expect("no thread panics holding it"));
            Ok((value, Wrote { bytes: intake.counts.stored.load(Ordering::Relaxed) + index_bytes, packs }))
        })
    }

    /// The error that stopped the intake, once.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed)
            && let Some(error) = self.failed.lock().expect("no thread panics holding it").take()
        {
            return Err(error);
        }
        Ok(())
    }

    /// Whether a thread should stop because another failed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Remembers the first error and stops everybody.
    pub(crate) fn fail(&self, error: VaultError) {
        self.failed.lock().expect("no thread panics holding it").get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The index this intake deduplicates against.
    pub(crate) fn index(&self) -> &Index {
        &self.loaded.index
    }

    /// The vault it feeds.
    pub(crate) fn vault(&self) -> &'v Vault {
        self.vault
    }

    /// Whether anything the index knows is on its way out or lost, or part of the index cannot be read.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// The id of a chunk.
    pub(crate) fn id_of(&self, bytes: &[u8]) -> ChunkId {
        ChunkId(*blake3::keyed_hash(&self.id_key, bytes).as_bytes())
    }

    /// Takes a chunk; returns its id, and a block when one is full and should be pressed.
    pub(crate) fn take(&self, joiner: &mut Joiner, bytes: &[u8]) -> (ChunkId, Option<RawBlock>) {
        let id = self.id_of(bytes);
        if self.loaded.index.may_rely_on(&id) {
            return (id, None);
        }
        let key = key_of(&id);
        let shard = &self.claimed[usize::from(key[15]) % self.claimed.len()];
        if !shard.lock().expect("no thread panics holding it").insert(key) {
            return (id, None);
        }
        (id, self.join(joiner, id, bytes))
    }

    /// Joins a chunk; returns a block when one is full. What no reader would accept is not written.
    fn join(&self, joiner: &mut Joiner, id: ChunkId, bytes: &[u8]) -> Option<RawBlock> {
        if bytes.len() > BLOCK_MAX {
            self.fail(VaultError::Refused(format!("a record of {} bytes is too large for the vault", bytes.len())));
            return None;
        }
        let full = if joiner.plain.len() + bytes.len() > BLOCK_MOST { joiner.take(self.spare()) } else { None };
        joiner.plain.extend_from_slice(bytes);
        joiner.chunks.push((id, u32::try_from(bytes.len()).expect("at most 8 MiB")));
        full.or_else(|| if joiner.plain.len() >= BLOCK_TARGET { joiner.take(self.spare()) } else { None })
    }

    /// Takes a chunk and presses full blocks on this thread.
    pub(crate) fn add(&self, joiner: &mut Joiner, press: &mut Press, bytes: &[u8]) -> ChunkId {
        let (id, block) = self.take(joiner, bytes);
        if let Some(block) = block {
            self.store_block(press, block);
        }
        id
    }

    /// Joins a chunk that is claimed already, or must be stored whatever the index says (a prune moves it).
    pub(crate) fn keep(&self, joiner: &mut Joiner, press: &mut Press, id: ChunkId, bytes: &[u8]) {
        if let Some(block) = self.join(joiner, id, bytes) {
            self.store_block(press, block);
        }
    }

    /// Presses what is left in a joiner.
    pub(crate) fn flush(&self, joiner: &mut Joiner, press: &mut Press) {
        if let Some(block) = joiner.take(self.spare()) {
            self.store_block(press, block);
        }
    }

    fn spare(&self) -> Vec<u8> {
        self.spares.lock().expect("no thread panics holding it").pop().unwrap_or_default()
    }

    /// Compresses a block and seals it into the open pack.
    pub(crate) fn store_block(&self, press: &mut Press, block: RawBlock) {
        let (payload, compressed) = press.press(&block.plain);
        let plain = u32::try_from(block.plain.len()).expect("blocks are at most 8 MiB");
        self.place(block.stream, LooseBlock { payload, compressed, plain, chunks: block.chunks });
        let mut spare = block.plain;
        spare.clear();
        self.spares.lock().expect("no thread panics holding it").push(spare);
    }

    /// Claims a chunk whose bytes come from elsewhere (copying); false when the vault has it already.
    pub(crate) fn claim(&self, id: &ChunkId) -> bool {
        let key = key_of(id);
        let shard = &self.claimed[usize::from(key[15]) % self.claimed.len()];
        !self.loaded.index.may_rely_on(id) && shard.lock().expect("no thread panics holding it").insert(key)
    }

    /// Seals a block into the open pack of its stream; hands the pack on when it is full.
    pub(crate) fn place(&self, stream: Stream, block: LooseBlock<'_>) {
        self.in_pack(stream, |pack| pack.add(block));
    }

    /// Places a block that is sealed already.
    pub(crate) fn place_sealed(&self, stream: Stream, sealed: &[u8], block: &crate::pack::Block) {
        self.in_pack(stream, |pack| pack.move_in(sealed, block));
    }

    fn in_pack(&self, stream: Stream, put: impl FnOnce(&mut Builder)) {
        let mut open = self.open[stream as usize].lock().expect("no thread panics holding it");
        let pack = open.get_or_insert_with(|| {
            let buffer = self.buffers.lock().expect("no thread panics holding it").pop();
            // As large as it gets: growing would copy it, and what is not written to takes no memory.
            let buffer = buffer.unwrap_or_else(|| Vec::with_capacity(PACK_TARGET + BLOCK_MOST));
            Builder::new(&self.ring, self.vault.salt(), buffer)
        });
        let before = pack.len();
        put(pack);
        self.counts.stored.fetch_add((pack.len() - before) as u64, Ordering::Relaxed);
        if pack.len() >= PACK_TARGET
            && let Some(pack) = open.take()
        {
            let _ = self.full.send(pack.finish());
        }
    }

    fn close_packs(&self) -> Result<()> {
        for open in &self.open {
            if let Some(pack) = open.lock().expect("no thread panics holding it").take()
                && !pack.is_empty()
            {
                let _ = self.full.send(pack.finish());
            }
        }
        Ok(())
    }

    fn upload(&self, queue: &Receiver<Finished>) {
        for pack in queue {
            if pack.bytes.is_empty() {
                return;
            }
            // After a failure packs are drained, so that no feeder waits for ever, but not written.
            if self.failed_store() {
                continue;
            }
            let size = pack.bytes.len() as u64;
            let bytes = Bytes::from(pack.bytes);
            match self.vault.store().put_exact(&pack.id.pack_path(), bytes.clone()) {
                Ok(_) => {
                    let mut written = self.written.lock().expect("no thread panics holding it");
                    written.push((pack.id, size, pack.directory));
                    let flush = written.len() >= INDEX_EVERY;
                    drop(written);
                    self.buffers.lock().expect("no thread panics holding it").push(Vec::from(bytes));
                    if flush && let Err(error) = self.write_index() {
                        self.fail(error);
                    }
                }
                Err(error) => self.fail(error),
            }
        }
    }

    fn failed_store(&self) -> bool {
        matches!(*self.failed.lock().expect("no thread panics holding it"), Some(VaultError::Store { .. }))
    }

    /// Lists the packs written so far in an index object; returns its length.
    fn write_index(&self) -> Result<u64> {
        let written = std::mem::take(&mut *self.written.lock().expect("no thread panics holding it"));
        if written.is_empty() {
            return Ok(0);
        }
        let mut index = Index::default();
        for (id, size, directory) in &written {
            index.add_pack(*id, *size, directory);
        }
        let record = index.encode(0..index.packs.len() as u32, &[]);
        self.vault.write_index(&record)?;
        let ids = written.iter().map(|(id, ..)| *id);
        self.indexed.lock().expect("no thread panics holding it").extend(ids);
        Ok(record.len() as u64)
    }
}
