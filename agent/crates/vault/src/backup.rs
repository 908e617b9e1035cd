//! A source becomes a snapshot.
//!
//! One thread lists the source and, side by side, the manifest of the snapshot it is compared with: an entry with the
//! same size, times and inode is taken over without being opened. The other files go in batches to reader threads;
//! what they return is put back in listing order and written to the manifest. So the manifest is canonical whatever
//! the threads do, memory is bounded by the entries in flight, and an unchanged run is a walk.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use backstop_model::tree::{NodeKind, Trouble, TroubleKind, compare, show_path};
use backstop_model::{Completeness, SnapshotId, Span, Timestamp};
use backstop_seams::{Found, Progress, Source, Tick};
use crossbeam_channel::{Receiver, Sender};

use crate::error::{Result, VaultError};
use crate::id::{ChunkId, ObjectId};
use crate::index::Standing;
use crate::intake::{Intake, Joiner, RawBlock, Stream};
use crate::manifest::{Builder, Contents, Extent, PATH_MAX, Stored, direct_chunks};
use crate::open::{Loaded, Vault};
use crate::press::Press;
use crate::read::{ChunkReader, Entries};
use crate::reading::{Read, Reader, SMALL, Wanted};
use crate::seal::{Kind, seal_object};
use crate::snapshot::{Description, Snapshot};

/// What to back up as what.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// How the snapshot describes itself.
    pub about: Description,
    /// The snapshot to compare with; `None` reads everything.
    pub compare_with: Option<SnapshotId>,
    /// How long a pack stays after being marked for removal; the run checks its footing when it took longer than half.
    pub grace: Span,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Made {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Bytes added to the vault.
    pub stored: u64,
    /// Bytes read from the source.
    pub read: u64,
    /// Files that were read: new or changed.
    pub changed: u64,
    /// Files taken over unread.
    pub unchanged: u64,
    /// The first hundred things to report.
    pub troubles: Vec<Trouble>,
    /// How many of all there were make the backup partial.
    pub trouble_count: u64,
}

/// A batch ends at so many bytes or files.
const BATCH_BYTES: u64 = 2 << 20;
const BATCH_FILES: usize = 256;
/// Entries that may wait for their contents.
const PENDING_MAX: usize = 16 << 10;
/// Files whose change time is this close to the start of the earlier capture are read again: a write right after
/// their bytes were read may have left no newer time.
const RACY_MILLIS: i64 = 50;
/// Troubles reported one by one.
const TROUBLES_SHOWN: usize = 100;

struct Batch {
    number: u64,
    files: Vec<Wanted>,
}

enum Slot {
    Ready(Stored),
    Waiting(u64),
}

impl Vault {
    /// Backs up a source. The snapshot is complete and durable when this returns.
    ///
    /// # Errors
    /// `Source` when it cannot be listed at all; `Interrupted`; the store's. What was uploaded stays and is used by the
    /// next try.
    pub fn back_up(&self, source: &dyn Source, request: &BackupRequest, progress: &dyn Progress) -> Result<Made> {
        self.reload()?;
        self.adopt_packs()?;
        let footing = self.loaded();
        let before = match &request.compare_with {
            Some(id) => Some(self.snapshot(id)?),
            None => None,
        };
        let (walked, wrote) = Intake::run(self, |intake| {
            let found = source.list()?;
            let before = before.as_ref().map(|snapshot| (self.entries(snapshot), snapshot.about.captured));
            walk(self, intake, found, before, progress)
        })?;
        let half = request.grace.as_std() / 2;
        if self.parts.clock.monotonic().saturating_sub(footing.at) > half {
            self.check_footing(&footing, &wrote.packs)?;
        }
        drop(footing);
        let stored = wrote.bytes;
        let trouble_count = walked.trouble_count;
        let mut snapshot = Snapshot {
            id: SnapshotId([0; 32]),
            about: request.about.clone(),
            completeness: match trouble_count {
                0 => Completeness::Complete,
                troubles => Completeness::Partial { troubles },
            },
            size: walked.size,
            entries: walked.entries,
            stored,
            branches: walked.branches,
        };
        let stored = stored + self.write_snapshot(&mut snapshot)?;
        self.reload()?;
        self.merge_indexes()?;
        Ok(Made {
            snapshot,
            stored,
            read: walked.read,
            changed: walked.changed,
            unchanged: walked.unchanged,
            troubles: walked.troubles,
            trouble_count,
        })
    }

    /// Seals and writes a snapshot; gives it its id and returns its length.
    pub(crate) fn write_snapshot(&self, snapshot: &mut Snapshot) -> Result<u64> {
        let sealed = seal_object(&self.ring(), Kind::Snapshot, self.salt(), &snapshot.encode());
        snapshot.id = SnapshotId(*blake3::hash(&sealed).as_bytes());
        let length = sealed.len() as u64;
        self.store().put_exact(&format!("snapshots/{}", snapshot.id), sealed)?;
        Ok(length)
    }

    /// A run that took long may rely on packs that a prune has marked or even removed since: those it found at its start,
    /// and its own, which no snapshot needed yet. Marked ones are not removed before the grace period ends, so a look
    /// now tells in time.
    pub(crate) fn check_footing(&self, footing: &Loaded, own: &[ObjectId]) -> Result<()> {
        let marked = self.marked_ids()?;
        // Marks before packs: what lost its mark by being removed is then missing.
        let present = self.store().list("packs")?.into_iter().filter_map(|object| ObjectId::parse(&object.name));
        let present: HashSet<ObjectId> = present.collect();
        let found = footing.index.packs.iter().filter(|pack| pack.standing == Standing::Sound).map(|pack| &pack.id);
        if own.iter().chain(found).any(|id| marked.contains(id) || !present.contains(id)) {
            return Err(VaultError::Overtaken);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Walked {
    branches: Vec<ChunkId>,
    size: u64,
    entries: u64,
    read: u64,
    changed: u64,
    unchanged: u64,
    troubles: Vec<Trouble>,
    trouble_count: u64,
}

/// The listing thread's state.
struct Walk<'a, 'v, 'p> {
    intake: &'a Intake<'v>,
    progress: &'p dyn Progress,
    manifest: Builder,
    joiner: Joiner,
    press: Press,
    pending: VecDeque<Slot>,
    arrived: HashMap<u64, VecDeque<Read>>,
    batch: Vec<Wanted>,
    batch_bytes: u64,
    next_batch: u64,
    to_readers: Sender<Batch>,
    from_readers: Receiver<(u64, Vec<Read>)>,
    out: Walked,
    last_tick: u64,
}

fn walk<'a, 'v>(
    vault: &'v Vault,
    intake: &'a Intake<'v>,
    found: Box<dyn Iterator<Item = Found> + Send + '_>,
    before: Option<(Entries<'_>, Timestamp)>,
    progress: &dyn Progress,
) -> Result<Walked> {
    let threads = vault.threads();
    let (to_readers, batches) = crossbeam_channel::bounded::<Batch>(threads * 2);
    let (to_walk, from_readers) = crossbeam_channel::unbounded();
    let (spill, blocks) = crossbeam_channel::bounded::<RawBlock>(threads.div_ceil(2));
    let seed = vault.ring().cut_seed();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let reader = Reader::new(intake, vault.cuts, seed, Some(spill.clone()));
            let (batches, blocks, to_walk) = (batches.clone(), blocks.clone(), to_walk.clone());
            scope.spawn(move || read_batches(intake, reader, &batches, &blocks, &to_walk));
        }
        drop((batches, blocks, to_walk, spill));
        let mut walk = Walk {
            intake,
            progress,
            manifest: Builder::default(),
            joiner: Joiner::new(Stream::Manifest),
            press: Press::new(),
            pending: VecDeque::new(),
            arrived: HashMap::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            next_batch: 0,
            to_readers,
            from_readers,
            out: Walked::default(),
            last_tick: 0,
        };
        let listed = walk.list(found, before);
        if let Err(error) = listed {
            // Readers stop at the next file; dropping the queue ends them.
            intake.fail(error);
        }
        walk.finish()
    })
}

/// A reader thread: reads batches; presses blocks that others spilled when there is no batch, or nothing left to read.
fn read_batches(
    intake: &Intake<'_>,
    mut reader: Reader<'_, '_>,
    batches: &Receiver<Batch>,
    blocks: &Receiver<RawBlock>,
    to_walk: &Sender<(u64, Vec<Read>)>,
) {
    loop {
        while let Ok(block) = blocks.try_recv() {
            intake.store_block(&mut reader.press, block);
        }
        crossbeam_channel::select! {
            recv(batches) -> batch => {
                let Ok(batch) = batch else { break };
                let read = batch.files.into_iter().take_while(|_| !intake.is_stopped()).map(|wanted| reader.read(wanted));
                let read = read.collect();
                if to_walk.send((batch.number, read)).is_err() {
                    break;
                }
            }
            recv(blocks) -> block => {
                if let Ok(block) = block {
                    intake.store_block(&mut reader.press, block);
                }
            }
        }
    }
    // Finishing drops this thread's end of the spill queue; the queue closes when the last reader has finished.
    let mut press = reader.finish();
    for block in blocks {
        intake.store_block(&mut press, block);
    }
}

impl Walk<'_, '_, '_> {
    fn list(
        &mut self,
        found: Box<dyn Iterator<Item = Found> + Send + '_>,
        before: Option<(Entries<'_>, Timestamp)>,
    ) -> Result<()> {
        let (mut earlier, captured) = match before {
            Some((entries, captured)) => (Some(entries.peekable()), Some(captured)),
            None => (None, None),
        };
        let mut lists = ChunkReader::new(self.intake.vault());
        for found in found {
            if self.progress.cancelled() {
                return Err(VaultError::Interrupted);
            }
            if self.intake.is_stopped() {
                return Ok(());
            }
            match found {
                Found::Trouble(trouble) => self.trouble(trouble),
                Found::Entry { node, .. } if node.path.len() > PATH_MAX => {
                    let path = show_path(&node.path[..200]) + "…";
                    let detail = format!("its path has {} bytes, more than {PATH_MAX}", node.path.len());
                    self.trouble(Trouble { path, kind: TroubleKind::Unreadable, detail });
                }
                Found::Entry { node, within: None } => self.pending.push_back(Slot::Ready(Stored::bare(node))),
                Found::Entry { node, within: Some(within) } => {
                    let same = match &mut earlier {
                        Some(entries) => take_unchanged(self.intake, entries, &mut lists, &node, captured)?,
                        None => None,
                    };
                    match same {
                        Some(stored) => {
                            self.out.unchanged += 1;
                            self.pending.push_back(Slot::Ready(stored));
                        }
                        None => self.want(Wanted { node, within })?,
                    }
                }
            }
            self.drain(PENDING_MAX)?;
        }
        self.send_batch()?;
        self.drain(0)
    }

    fn want(&mut self, wanted: Wanted) -> Result<()> {
        let NodeKind::File { size, .. } = wanted.node.kind else {
            self.pending.push_back(Slot::Ready(Stored::bare(wanted.node)));
            return Ok(());
        };
        self.pending.push_back(Slot::Waiting(self.next_batch));
        self.batch.push(wanted);
        self.batch_bytes += size;
        // A large file travels with the small ones before it, but nothing is queued behind it in its batch.
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_FILES || size > SMALL {
            self.send_batch()?;
        }
        Ok(())
    }

    fn send_batch(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let files = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let batch = Batch { number: self.next_batch, files };
        self.next_batch += 1;
        // Readers only go away after the sender did, so a closed queue is our own bug.
        self.to_readers.send(batch).expect("readers outlive the listing");
        Ok(())
    }

    /// Writes entries whose contents are known to the manifest; waits for readers while more than `most` are pending.
    fn drain(&mut self, most: usize) -> Result<()> {
        while let Ok((number, read)) = self.from_readers.try_recv() {
            self.arrived.insert(number, read.into());
        }
        loop {
            self.write_ready()?;
            if self.pending.len() <= most || self.intake.is_stopped() {
                return Ok(());
            }
            if self
                .pending
                .front()
                .is_some_and(|slot| matches!(slot, Slot::Waiting(number) if *number == self.next_batch))
            {
                self.send_batch()?;
            }
            // A while without news is a chance to notice that somebody wants us to stop.
            match self.from_readers.recv_timeout(Duration::from_millis(100)) {
                Ok((number, read)) => {
                    self.arrived.insert(number, read.into());
                }
                Err(_) if self.progress.cancelled() => return Err(VaultError::Interrupted),
                Err(_) => {}
            }
            self.tick();
        }
    }

    fn write_ready(&mut self) -> Result<()> {
        while let Some(front) = self.pending.front() {
            let stored = match front {
                Slot::Ready(_) => match self.pending.pop_front() {
                    Some(Slot::Ready(stored)) => Some(stored),
                    _ => unreachable!("just seen"),
                },
                Slot::Waiting(number) => {
                    let number = *number;
                    let Some(read) = self.arrived.get_mut(&number) else { return Ok(()) };
                    let Some(read) = read.pop_front() else { return Ok(()) };
                    if self.arrived.get(&number).is_some_and(VecDeque::is_empty) {
                        self.arrived.remove(&number);
                    }
                    self.pending.pop_front();
                    self.out.read += read.bytes;
                    self.out.changed += 1;
                    if let Some(trouble) = read.trouble {
                        self.trouble(trouble);
                    }
                    read.stored
                }
            };
            if let Some(stored) = stored {
                self.write(&stored)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, stored: &Stored) -> Result<()> {
        if let NodeKind::File { size, .. } = stored.node.kind {
            self.out.size += size;
        }
        self.out.entries += 1;
        let Walk { manifest, intake, joiner, press, .. } = self;
        let mut emit = |bytes: &[u8]| Ok::<_, VaultError>(intake.add(joiner, press, bytes));
        manifest.push(stored, &mut emit)?;
        if self.out.entries >= self.last_tick + 256 {
            self.last_tick = self.out.entries;
            self.tick();
        }
        Ok(())
    }

    fn tick(&self) {
        self.progress.tick(Tick {
            entries: self.out.entries,
            bytes: self.out.size,
            written: self.intake.counts.stored.load(std::sync::atomic::Ordering::Relaxed),
            ..Tick::default()
        });
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.out.trouble_count += u64::from(trouble.kind.counts());
        if self.out.troubles.len() < TROUBLES_SHOWN {
            self.out.troubles.push(trouble);
        }
    }

    fn finish(self) -> Result<Walked> {
        // Dropping our ends lets the readers finish; the scope joins them.
        let Walk { manifest, mut joiner, mut press, intake, mut out, to_readers, from_readers, progress, .. } = self;
        drop((to_readers, from_readers));
        if intake.is_stopped() {
            intake.check()?;
            return Err(VaultError::Interrupted);
        }
        let mut emit = |bytes: &[u8]| Ok::<_, VaultError>(intake.add(&mut joiner, &mut press, bytes));
        out.branches = manifest.finish(&mut emit)?;
        intake.flush(&mut joiner, &mut press);
        progress.tick(Tick { entries: out.entries, bytes: out.size, ..Tick::default() });
        Ok(out)
    }
}

/// The stored entry of `node` if the earlier snapshot recognises it and its chunks may be relied on.
fn take_unchanged(
    intake: &Intake<'_>,
    earlier: &mut std::iter::Peekable<Entries<'_>>,
    lists: &mut ChunkReader<'_>,
    node: &backstop_model::tree::Node,
    captured: Option<Timestamp>,
) -> Result<Option<Stored>> {
    loop {
        match earlier.peek() {
            Some(Ok(entry)) => match compare(&entry.node.path, &node.path) {
                std::cmp::Ordering::Less => {
                    earlier.next();
                }
                std::cmp::Ordering::Equal => break,
                std::cmp::Ordering::Greater => return Ok(None),
            },
            // A damaged earlier manifest costs time, not the backup: everything from here on is read.
            Some(Err(error)) if error.is_damage() => return Ok(None),
            Some(Err(_)) => {
                return match earlier.next() {
                    Some(Err(error)) => Err(error),
                    _ => Ok(None),
                };
            }
            None => return Ok(None),
        }
    }
    let Some(Ok(entry)) = earlier.next() else { return Ok(None) };
    let (old, new) = (&entry.node.meta, &node.meta);
    let same_file = entry.node.kind == node.kind
        && old.mtime == new.mtime
        && old.ctime == new.ctime
        && old.inode == new.inode
        && !entry.torn;
    let racy = captured.is_some_and(|captured| {
        new.ctime.0.saturating_mul(1000).saturating_add(i64::from(new.ctime.1 / 1_000_000))
            >= captured.as_millisecond() - RACY_MILLIS
    });
    let usable = same_file && !racy && may_take_over(intake, lists, &entry.contents)?;
    Ok(usable.then(|| Stored { node: node.clone(), ..entry }))
}

/// Whether a new snapshot may rely on everything that contents consist of.
fn may_take_over(intake: &Intake<'_>, lists: &mut ChunkReader<'_>, contents: &Contents) -> Result<bool> {
    let reliable = |id: &ChunkId| intake.index().may_rely_on(id);
    if !direct_chunks(contents).all(|id| reliable(&id)) {
        return Ok(false);
    }
    // The chunks in lists are looked at only where the index leaves doubt: the snapshot they come from is kept, so
    // otherwise nothing can be amiss with them, and the lists of a large disk take long to read.
    if matches!(contents, Contents::Extents(_)) || !intake.is_doubtful() {
        return Ok(true);
    }
    let mut all = true;
    let read = lists.extents(contents, &mut |extent| {
        all &= matches!(extent, Extent::Hole { .. }) || matches!(extent, Extent::Chunk { id, .. } if reliable(id));
        Ok(())
    });
    match read {
        Err(error) if error.is_damage() => Ok(false),
        other => other.map(|()| all),
    }
}
