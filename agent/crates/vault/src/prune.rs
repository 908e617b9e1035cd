//! Giving space back, in two phases and without a lock.
//!
//! A prune reads all manifests and learns which chunks any snapshot — kept or in the trash — needs. Packs that nobody
//! needs get a mark with a time; new backups do not rely on marked packs. A later prune removes a marked pack once the
//! grace period is over *and* it is still not needed; a pack that became needed again loses its mark. A backup that
//! began before the mark and relied on the pack is safe as long as it ends within the grace period, which it checks.
//!
//! Packs that are mostly waste are rewritten: their live blocks move, sealed as they are, to a new pack, and the old
//! pack is marked. Order: new packs → index → marks; and for removal: index without the pack → pack → mark. A crash
//! anywhere leaves more than needed, never less.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use backstop_model::{SnapshotId, Span, Timestamp};
use backstop_seams::{Progress, Tick};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::index::{Index, PackRow, Standing, key_of};
use crate::intake::{Intake, Joiner, Stream};
use crate::open::{Loaded, Vault};
use crate::pack::Directory;
use crate::press::Press;
use crate::read::{Opener, visit_chunks};
use crate::snapshot::Snapshot;

/// How to prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneRequest {
    /// How long a mark must stand before its pack is removed.
    pub grace: Span,
    /// Remove what nobody needs at once. Only for a caller who knows that nobody else writes to the vault.
    pub at_once: bool,
    /// Waste that may stay, parts per million of the vault: rewriting for the last few percent costs more than it frees.
    pub waste_ppm: u32,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What a prune did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Packs marked now.
    pub marked: u64,
    /// Packs whose mark was taken away because they are needed again.
    pub unmarked: u64,
    /// Packs removed.
    pub removed: u64,
    /// Bytes of the packs removed.
    pub freed: u64,
    /// Packs whose live blocks moved to new packs.
    pub rewritten: u64,
    /// Bytes written for that.
    pub written: u64,
    /// Bytes in packs that nobody needs and that stay for now (waste below the limit, or within the grace period).
    pub unused: u64,
    /// Bytes in packs before.
    pub packed: u64,
}

struct PackUse {
    live: u64,
    total: u64,
    /// Bytes that a rewrite would give back: those of blocks that do not move, and of chunks left out of the others.
    gain: u64,
}

/// A block of which at least this share is live moves as it is; of others the live chunks are packed anew.
const MOVE_WHOLE_PERCENT: u64 = 40;

/// Packs below this size are joined once there are so many of them.
const SMALL_PACK: u64 = 2 << 20;
const SMALL_PACKS_MAX: usize = 64;

const DISAGREE: &str = "its directory is not what the index says";

/// Whether a block with so many live bytes moves sealed as it is.
fn moves_whole(live: u64, plain: u64) -> bool {
    live * 100 >= plain * MOVE_WHOLE_PERCENT
}

impl Vault {
    /// Marks and removes packs that no snapshot needs.
    ///
    /// # Errors
    /// Anything that leaves in doubt what is needed — a snapshot or manifest that cannot be read, a chunk no index
    /// knows — stops the prune before it changes anything.
    pub fn prune(&self, request: &PruneRequest, progress: &dyn Progress) -> Result<Pruned> {
        self.reload()?;
        let present = self.take_stock()?;
        let loaded = self.loaded();
        if let Some((object, why)) = loaded.unreadable.first() {
            return Err(VaultError::damaged(object.clone(), format!("{why}; rebuild the index before pruning")));
        }
        let now = self.parts.clock.now();
        let marks = self.marked_packs()?;
        let live = self.live_chunks(&loaded, progress)?;
        let used = pack_use(&loaded.index, &live);
        let mut out = Pruned { packed: present.values().sum(), ..Pruned::default() };

        let index = &loaded.index;
        let needed = |id: &ObjectId| index.pack(id).is_some_and(|at| used[at as usize].live > 0);
        let mut remove: BTreeMap<ObjectId, u64> = BTreeMap::new();
        let mut marked: HashSet<ObjectId> = HashSet::new();
        for mark in &marks {
            if needed(&mark.id) {
                out.unmarked += 1;
                if !request.dry_run {
                    self.store().delete(&mark.path)?;
                }
            } else if request.at_once || is_over(mark.since, request.grace, now) {
                remove.insert(mark.id, present.get(&mark.id.to_string()).copied().unwrap_or(0));
            } else {
                marked.insert(mark.id);
            }
        }

        let rewrite = choose_rewrites(&loaded.index, &used, &marked, request.waste_ppm);
        let mut mark_now: Vec<(ObjectId, u64)> = Vec::new();
        for (name, size) in &present {
            let Some(id) = ObjectId::parse(name) else { continue };
            let going = remove.contains_key(&id) || marked.contains(&id);
            let rewritten = index.pack(&id).is_some_and(|at| rewrite.contains(&at));
            if !going && (!needed(&id) || rewritten) {
                mark_now.push((id, *size));
            }
        }
        out.rewritten = rewrite.len() as u64;
        out.unused = unused(&loaded.index, &used, &rewrite, &remove);
        if request.dry_run {
            out.marked = mark_now.len() as u64;
            out.removed = remove.len() as u64;
            out.freed = remove.values().sum();
            return Ok(out);
        }
        if !rewrite.is_empty() {
            out.written = self.rewrite(&loaded, &rewrite, &live, progress)?;
        }
        if request.at_once {
            remove.extend(mark_now.drain(..));
        }
        for (id, _) in &mark_now {
            self.store().put_new(&format!("trash/packs/{id}.{}", now.as_millisecond()), Vec::new())?;
        }
        out.marked = mark_now.len() as u64;
        self.remove_packs(&loaded, &used, &remove, &marks)?;
        out.removed = remove.len() as u64;
        out.freed = remove.values().sum();
        self.reload()?;
        Ok(out)
    }

    /// All snapshots, kept or in the trash. One that moves between the two while they are listed must not slip through:
    /// whatever was on the shelf before the trash was read is on the shelf or in the trash afterwards, or we start over.
    fn everything_kept(&self) -> Result<Vec<Snapshot>> {
        let before = self.snapshot_ids()?;
        let trash = self.trashed()?;
        let (mut snapshots, bad) = self.snapshots()?;
        if let Some(error) = bad.into_iter().next() {
            return Err(error);
        }
        let moved = || VaultError::Refused("snapshots came or went while they were read; try again".into());
        let mut read: HashSet<SnapshotId> = snapshots.iter().map(|snapshot| snapshot.id).collect();
        let mut failed = Vec::new();
        for trashed in &trash {
            match self.trashed_snapshot(trashed) {
                Ok(snapshot) if read.insert(snapshot.id) => snapshots.push(snapshot),
                Ok(_) => {}
                Err(VaultError::NoSnapshot { .. }) if read.contains(&trashed.id) => {}
                Err(VaultError::NoSnapshot { .. }) => return Err(moved()),
                Err(error) => failed.push((trashed.id, error)),
            }
        }
        // Where a move to the trash was cut short and made again, one of the two copies is whole: that is enough.
        if let Some((_, error)) = failed.into_iter().find(|(id, _)| !read.contains(id)) {
            return Err(error);
        }
        if before.iter().all(|id| read.contains(id)) { Ok(snapshots) } else { Err(moved()) }
    }

    /// One bit a chunk: whether any snapshot, kept or in the trash, needs it.
    fn live_chunks(&self, loaded: &Loaded, progress: &dyn Progress) -> Result<Vec<u64>> {
        let mut live = vec![0u64; loaded.index.chunks().div_ceil(64)];
        let snapshots = self.everything_kept()?;
        let mut seen = HashSet::new();
        let total = snapshots.len() as u64;
        for (done, snapshot) in snapshots.iter().enumerate() {
            if progress.cancelled() {
                return Err(VaultError::Interrupted);
            }
            let mut unknown = None;
            visit_chunks(self, snapshot, &mut seen, &mut |id| match loaded.index.find(id) {
                Some(at) => live[at.position as usize / 64] |= 1 << (at.position % 64),
                None => unknown = Some(*id),
            })?;
            if let Some(id) = unknown {
                return Err(VaultError::UnknownChunk { chunk: format!("{id:?}") });
            }
            progress.tick(Tick { entries: done as u64 + 1, entries_total: Some(total), ..Tick::default() });
        }
        Ok(live)
    }

    /// Moves the live blocks of packs to new packs; returns the bytes written.
    fn rewrite(&self, loaded: &Loaded, packs: &HashSet<u32>, live: &[u64], progress: &dyn Progress) -> Result<u64> {
        let index = &loaded.index;
        let is_live = |position: u32| live[position as usize / 64] & (1 << (position % 64)) != 0;
        let mut packs: Vec<u32> = packs.iter().copied().collect();
        packs.sort_unstable();
        let ((), wrote) = Intake::run(self, |intake| {
            let mut opener = Opener::new(self.ring());
            let mut press = Press::new();
            let mut joiner = Joiner::new(Stream::Contents);
            let mut plain = Vec::new();
            for pack in packs {
                if progress.cancelled() {
                    return Err(VaultError::Interrupted);
                }
                intake.check()?;
                let row = &index.packs[pack as usize];
                let directory = self.directory(row.id, row.size)?;
                let same = |(block, number): (&crate::pack::Block, u32)| {
                    let chunks = block.chunks.iter().map(|(id, length)| (key_of(id), *length));
                    chunks.eq(index.chunks_of(number).map(|position| index.chunk(position)))
                };
                let count = directory.blocks.len() == row.blocks as usize;
                if !count || !directory.blocks.iter().zip(row.first_block..).all(same) {
                    return Err(VaultError::damaged(row.id.pack_path(), DISAGREE));
                }
                for (block, number) in directory.blocks.iter().zip(row.first_block..) {
                    let positions = index.chunks_of(number);
                    let live_bytes: u64 =
                        positions.clone().filter(|p| is_live(*p)).map(|p| u64::from(index.chunk(p).1)).sum();
                    if live_bytes == 0 {
                        continue;
                    }
                    let start = u64::from(block.offset);
                    let path = row.id.pack_path();
                    let sealed = self.store().get_range(&path, start, start + u64::from(block.sealed))?;
                    if moves_whole(live_bytes, u64::from(block.plain)) {
                        // Opened to make sure that what moves is whole; not decompressed.
                        opener.unseal(block.origin, &sealed)?;
                        intake.place_sealed(Stream::Contents, &sealed, block);
                        continue;
                    }
                    opener.open(&index.block(number), &sealed, &mut plain)?;
                    let mut rest = &plain[..];
                    for ((id, length), position) in block.chunks.iter().zip(positions) {
                        let (bytes, after) = rest
                            .split_at_checked(*length as usize)
                            .ok_or_else(|| VaultError::damaged(path.clone(), DISAGREE))?;
                        rest = after;
                        if is_live(position) {
                            if !opener.is_chunk(id, bytes) {
                                return Err(VaultError::damaged(path, "a chunk is not the one it was named after"));
                            }
                            intake.keep(&mut joiner, &mut press, *id, bytes);
                        }
                    }
                }
            }
            intake.flush(&mut joiner, &mut press);
            Ok(())
        })?;
        Ok(wrote.bytes)
    }

    /// Takes packs out of the index, then removes them, then their marks. Entries of packs that are gone already and
    /// that nobody needs go with them; those that are needed stay, so that what is lost can be named.
    fn remove_packs(
        &self,
        loaded: &Loaded,
        used: &[PackUse],
        remove: &BTreeMap<ObjectId, u64>,
        marks: &[crate::shelf::Mark],
    ) -> Result<()> {
        let index = &loaded.index;
        let goes = |pack: &u32| {
            let row = &index.packs[*pack as usize];
            remove.contains_key(&row.id) || row.standing == Standing::Missing && used[*pack as usize].live == 0
        };
        // Only index objects that list one of the packs are written anew. A pack may be listed by several.
        let mut stay = BTreeSet::new();
        let mut replaced = Vec::new();
        for object in loaded.objects.iter().filter(|object| object.packs.iter().any(goes)) {
            replaced.push(object.id);
            stay.extend(object.packs.iter().copied().filter(|pack| !goes(pack)));
        }
        let stay: Vec<u32> = stay.into_iter().collect();
        self.write_packs(index, &stay, &replaced)?;
        replaced.iter().try_for_each(|id| self.store().delete(&id.index_path()))?;
        remove.keys().try_for_each(|id| self.store().delete(&id.pack_path()))?;
        marks.iter().filter(|mark| remove.contains_key(&mark.id)).try_for_each(|mark| self.store().delete(&mark.path))
    }

    /// The directory of a pack, read from its end.
    pub(crate) fn directory(&self, id: ObjectId, size: u64) -> Result<Directory> {
        use crate::pack::{Tail, read_tail, tail_guess};
        use crate::seal::HEADER;
        let path = id.pack_path();
        let damaged = |why: String| VaultError::damaged(path.clone(), why);
        if size < HEADER as u64 {
            return Err(damaged("it is too short".into()));
        }
        let head = self.store().get_range(&path, 0, HEADER as u64)?;
        let mut length = tail_guess(size);
        loop {
            let tail = self.store().get_range(&path, size - length, size)?;
            match read_tail(&self.ring(), &head, &tail, size).map_err(damaged)? {
                Tail::Directory(directory) => return Ok(directory),
                Tail::More(needed) => length = needed,
            }
        }
    }
}

/// Whether a mark is old enough. One from the future never is: a clock was wrong when it was made, or is now.
fn is_over(since: Timestamp, grace: Span, now: Timestamp) -> bool {
    since <= now && grace.after(since) <= now
}

fn pack_use(index: &Index, live: &[u64]) -> Vec<PackUse> {
    let is_live = |position: &u32| live[*position as usize / 64] & (1 << (*position % 64)) != 0;
    let mut used = Vec::with_capacity(index.packs.len());
    for pack in &index.packs {
        let mut this = PackUse { live: 0, total: 0, gain: 0 };
        for number in pack.first_block..pack.first_block + pack.blocks {
            let block = index.block(number);
            let (plain, sealed) = (u64::from(block.plain), u64::from(block.sealed));
            let of_live = |position| u64::from(index.chunk(position).1);
            let live: u64 = index.chunks_of(number).filter(is_live).map(of_live).sum();
            this.total += plain;
            this.live += live;
            this.gain += match live {
                0 => sealed,
                live if moves_whole(live, plain) => 0,
                live => sealed * (plain - live) / plain,
            };
        }
        used.push(this);
    }
    used
}

/// Packs to rewrite: those that give back most for their size first, until what is left to gain is within the limit.
/// Waste inside blocks that would move as they are does not count, or the same packs would be rewritten for ever.
fn choose_rewrites(index: &Index, used: &[PackUse], marked: &HashSet<ObjectId>, waste_ppm: u32) -> HashSet<u32> {
    let mut candidates: Vec<usize> = (0..used.len())
        .filter(|at| used[*at].live > 0 && used[*at].gain > 0)
        .filter(|at| index.packs[*at].standing != Standing::Missing && !marked.contains(&index.packs[*at].id))
        .collect();
    candidates.sort_by_key(|at| std::cmp::Reverse(used[*at].gain * 1000 / index.packs[*at].size.max(1)));
    let total: u64 = index.packs.iter().map(|pack| pack.size).sum();
    let mut left: u64 = candidates.iter().map(|at| used[*at].gain).sum();
    let limit = (u128::from(total) * u128::from(waste_ppm) / 1_000_000) as u64;
    let mut chosen = HashSet::new();
    for at in candidates {
        if left <= limit {
            break;
        }
        left -= used[at].gain;
        chosen.insert(at as u32);
    }
    // Every small backup leaves small packs. Joined now and then, they stay few after years of daily backups.
    let small: Vec<u32> = (0..)
        .zip(index.packs.iter().zip(used))
        .filter(|(at, (pack, used))| used.live > 0 && pack.size < SMALL_PACK && !chosen.contains(at))
        .filter(|(_, (pack, _))| pack.standing != Standing::Missing && !marked.contains(&pack.id))
        .map(|(at, _)| at)
        .collect();
    if small.len() >= SMALL_PACKS_MAX {
        chosen.extend(small);
    }
    chosen
}

fn unused(index: &Index, used: &[PackUse], rewrite: &HashSet<u32>, remove: &BTreeMap<ObjectId, u64>) -> u64 {
    let stays = |(at, pack): &(u32, &PackRow)| {
        !rewrite.contains(at) && !remove.contains_key(&pack.id) && pack.standing != Standing::Missing
    };
    let waste = |(at, pack): (u32, &PackRow)| {
        let PackUse { live, total, .. } = used[at as usize];
        if total == 0 { 0 } else { (u128::from(pack.size) * u128::from(total - live) / u128::from(total)) as u64 }
    };
    (0..).zip(&index.packs).filter(stays).map(waste).sum()
}
