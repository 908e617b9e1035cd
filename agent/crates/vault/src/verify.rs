//! Evidence: are the bytes there, are they what was written, does a restored tree equal its manifest.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use backstop_model::tree::{Node, NodeKind, Trouble, TroubleKind, compare, show_path};
use backstop_model::{SnapshotId, Timestamp};
use backstop_seams::{Directory, Found, Progress, Source, Tick};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::manifest::{Extent, Stored};
use crate::open::{Loaded, Vault};
use crate::read::{ChunkReader, Opener, visit_chunks};
use crate::snapshot::Snapshot;

/// The result of reading one pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackCheck {
    /// The pack's name.
    pub pack: String,
    /// When it was read.
    pub at: Timestamp,
    /// What is wrong with it, if anything.
    pub fault: Option<String>,
}

/// Remembers which pack was checked when. Kept outside the vault, so that checking needs no right to write there.
pub trait Ledger: Sync {
    /// When the pack was last found intact.
    fn last_intact(&self, pack: &str) -> Option<Timestamp>;
    /// A pack was checked. Called as soon as it was, so that an interrupted check resumes.
    fn checked(&self, check: &PackCheck);
}

/// What to check.
pub struct CheckRequest<'a> {
    /// These snapshots; all kept ones when `None`.
    pub snapshots: Option<Vec<SnapshotId>>,
    /// Read the bytes; otherwise only look whether the objects are there with their recorded length.
    pub read: bool,
    /// Share of the packs' bytes to read, parts per million, longest unchecked first.
    pub sample_ppm: u32,
    /// Packs found intact since then are not read again.
    pub not_since: Option<Timestamp>,
    /// The memory.
    pub ledger: &'a dyn Ledger,
}

/// What a check showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckSummary {
    /// Packs that the snapshots need.
    pub packs: u64,
    /// Packs read.
    pub packs_read: u64,
    /// Bytes of all those packs.
    pub bytes: u64,
    /// Bytes read, those skipped as recently found intact included.
    pub bytes_covered: u64,
    /// Bytes read in this check.
    pub bytes_read: u64,
    /// What is wrong, object by object.
    pub faults: Vec<String>,
    /// Snapshots that need something wrong: id, backup name, the first reason.
    pub affected: Vec<(SnapshotId, String, String)>,
    /// Snapshots that are as they should be.
    pub sound: Vec<SnapshotId>,
}

/// How a tree differs from a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// Entries compared.
    pub entries: u64,
    /// Bytes read from the tree.
    pub bytes: u64,
    /// The first hundred differences.
    pub differences: Vec<Trouble>,
    /// How many there are in all.
    pub difference_count: u64,
}

impl Vault {
    /// Checks the bytes that snapshots rely on, and names every snapshot that damage touches.
    ///
    /// # Errors
    /// `Interrupted` (what was checked is in the ledger), `NoSnapshot`, the store's. Damage is no error: it is the answer.
    pub fn check(&self, request: &CheckRequest<'_>, progress: &dyn Progress) -> Result<CheckSummary> {
        self.reload()?;
        let present = self.take_stock()?;
        let loaded = self.loaded();
        let mut summary = CheckSummary::default();
        for (object, why) in &loaded.unreadable {
            summary.faults.push(format!("`{object}` is damaged: {why}"));
        }
        let snapshots = self.wanted(request, &mut summary)?;
        let (needed, unreadable_manifest) = self.needed_packs(&loaded, &snapshots)?;
        let mut bad = HashSet::new();
        let mut to_read = Vec::new();
        for pack in &needed {
            let row = &loaded.index.packs[*pack as usize];
            summary.packs += 1;
            summary.bytes += row.size;
            match present.get(&row.id.to_string()) {
                Some(size) if *size == row.size => to_read.push(*pack),
                Some(size) => {
                    bad.insert(*pack);
                    summary.faults.push(format!(
                        "`{}` is damaged: it has {size} bytes instead of {}",
                        row.id.pack_path(),
                        row.size
                    ));
                }
                None => {
                    bad.insert(*pack);
                    summary.faults.push(format!("`{}` is missing", row.id.pack_path()));
                }
            }
        }
        let mut bad_chunks = HashSet::new();
        if request.read {
            let chosen = self.choose_packs(&loaded, to_read, request, &mut summary);
            self.read_packs(&loaded, &chosen, request, progress, &mut summary, &mut bad_chunks)?;
        }
        for position in 0..loaded.index.packs.len() as u32 {
            if bad.contains(&position) {
                let row = &loaded.index.packs[position as usize];
                for block in row.first_block..row.first_block + row.blocks {
                    bad_chunks.extend(loaded.index.chunks_of(block));
                }
            }
        }
        let suspect = unreadable_manifest || !bad_chunks.is_empty() || !loaded.unreadable.is_empty();
        for snapshot in snapshots {
            let fault = if suspect { self.first_fault(&loaded, &snapshot, &bad_chunks) } else { None };
            match fault {
                Some(why) => summary.affected.push((snapshot.id, snapshot.about.backup.to_string(), why)),
                None => summary.sound.push(snapshot.id),
            }
        }
        Ok(summary)
    }

    fn wanted(&self, request: &CheckRequest<'_>, summary: &mut CheckSummary) -> Result<Vec<Snapshot>> {
        let Some(ids) = &request.snapshots else {
            let (snapshots, bad) = self.snapshots()?;
            summary.faults.extend(bad.iter().map(ToString::to_string));
            return Ok(snapshots);
        };
        let mut snapshots = Vec::new();
        for id in ids {
            match self.snapshot(id) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(error @ (VaultError::Damaged { .. } | VaultError::NoSnapshot { .. })) => {
                    summary.faults.push(error.to_string());
                    summary.affected.push((*id, String::new(), error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(snapshots)
    }

    /// Packs the snapshots need, and whether a manifest could not be read or names unknown chunks.
    fn needed_packs(&self, loaded: &Loaded, snapshots: &[Snapshot]) -> Result<(Vec<u32>, bool)> {
        let index = &loaded.index;
        let mut needed = vec![false; index.packs.len()];
        let mut seen = HashSet::new();
        let mut suspect = false;
        for snapshot in snapshots {
            let visited = visit_chunks(self, snapshot, &mut seen, &mut |id| match index.find(id) {
                Some(at) => needed[index.block(at.block).pack as usize] = true,
                None => suspect = true,
            });
            match visited {
                Ok(()) => {}
                Err(error) if error.is_damage() => suspect = true,
                Err(error) => return Err(error),
            }
        }
        Ok(((0..needed.len() as u32).filter(|pack| needed[*pack as usize]).collect(), suspect))
    }

    /// Longest unchecked first, until the share asked for is reached.
    fn choose_packs(
        &self,
        loaded: &Loaded,
        packs: Vec<u32>,
        request: &CheckRequest<'_>,
        summary: &mut CheckSummary,
    ) -> Vec<u32> {
        let mut dated: Vec<(Option<Timestamp>, u32)> = packs
            .into_iter()
            .map(|pack| (request.ledger.last_intact(&loaded.index.packs[pack as usize].id.to_string()), pack))
            .collect();
        dated.sort();
        let budget = u128::from(summary.bytes) * u128::from(request.sample_ppm) / 1_000_000;
        let mut chosen = Vec::new();
        for (last, pack) in dated {
            let size = loaded.index.packs[pack as usize].size;
            let recent = matches!((last, request.not_since), (Some(last), Some(since)) if last >= since);
            if recent {
                summary.bytes_covered += size;
            } else if u128::from(summary.bytes_covered) < budget {
                summary.bytes_covered += size;
                chosen.push(pack);
            }
        }
        // In the order they were written: neighbours on a disk.
        chosen.sort_unstable();
        chosen
    }

    fn read_packs(
        &self,
        loaded: &Loaded,
        packs: &[u32],
        request: &CheckRequest<'_>,
        progress: &dyn Progress,
        summary: &mut CheckSummary,
        bad_chunks: &mut HashSet<u32>,
    ) -> Result<()> {
        let next = AtomicU64::new(0);
        let read = AtomicU64::new(0);
        let total = packs.iter().map(|pack| loaded.index.packs[*pack as usize].size).sum();
        let shared = Mutex::new((summary, bad_chunks, None::<VaultError>));
        std::thread::scope(|scope| {
            for _ in 0..self.threads() {
                scope.spawn(|| {
                    let mut opener = Opener::new(self.ring());
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                        let Some(pack) = packs.get(at) else { return };
                        let stop = shared.lock().expect("no thread panics holding it").2.is_some();
                        if stop || progress.cancelled() {
                            let mut shared = shared.lock().expect("no thread panics holding it");
                            shared.2.get_or_insert(VaultError::Interrupted);
                            return;
                        }
                        let tick = |bytes: u64| {
                            let bytes = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
                            progress.tick(Tick {
                                bytes,
                                bytes_total: Some(total),
                                entries: at as u64,
                                ..Tick::default()
                            });
                        };
                        let outcome = self.read_pack(loaded, *pack, &mut opener, &tick);
                        let row = &loaded.index.packs[*pack as usize];
                        let mut shared = shared.lock().expect("no thread panics holding it");
                        let fault = match outcome {
                            Ok((bad, fault)) => {
                                shared.1.extend(bad);
                                fault
                            }
                            Err(error) => {
                                shared.2.get_or_insert(error);
                                return;
                            }
                        };
                        shared.0.packs_read += 1;
                        shared.0.bytes_read += row.size;
                        if let Some(fault) = &fault {
                            shared.0.faults.push(fault.clone());
                        }
                        request.ledger.checked(&PackCheck {
                            pack: row.id.to_string(),
                            at: self.parts.clock.now(),
                            fault,
                        });
                    }
                });
            }
        });
        match shared.into_inner().expect("no thread panics holding it").2 {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Reads a pack piece by piece: every block must authenticate, every chunk be the one it was named after, and all
    /// bytes together give the pack's name. Returns positions of bad chunks and what is wrong.
    fn read_pack(
        &self,
        loaded: &Loaded,
        pack: u32,
        opener: &mut Opener,
        tick: &dyn Fn(u64),
    ) -> Result<(Vec<u32>, Option<String>)> {
        const PART: u64 = 4 << 20;
        let index = &loaded.index;
        let row = &index.packs[pack as usize];
        let path = row.id.pack_path();
        let mut hasher = blake3::Hasher::new();
        let mut bad = Vec::new();
        let mut fault = None;
        let mut plain = Vec::new();
        let mut block = row.first_block;
        let end_block = row.first_block + row.blocks;
        let mut at = 0u64;
        while at < row.size {
            // A part ends at a block's end, so that no block is read in two halves.
            let mut end = at;
            let mut last = block;
            while last < end_block && end - at < PART {
                let this = index.block(last);
                end = u64::from(this.offset) + u64::from(this.sealed);
                last += 1;
            }
            if last == end_block {
                end = row.size;
            }
            let bytes = match self.store().get_range(&path, at, end) {
                Ok(bytes) => bytes,
                Err(error) if error.is_damage() => return Ok((all_of(index, row), Some(error.to_string()))),
                Err(error) => return Err(error),
            };
            hasher.update(&bytes);
            for number in block..last {
                let this = index.block(number);
                let from = usize::try_from(u64::from(this.offset) - at).expect("inside the part");
                let chunks = index.chunks_of(number);
                let opened = match bytes.get(from..from + this.sealed as usize) {
                    Some(sealed) => opener.open(&this, sealed, &mut plain),
                    None => Err(VaultError::damaged(path.clone(), "a block lies outside of it")),
                };
                if opened.is_err() {
                    fault.get_or_insert_with(|| format!("`{path}` is damaged: a block does not authenticate"));
                    bad.extend(chunks);
                    continue;
                }
                let mut offset = 0;
                for position in chunks {
                    let (key, length) = index.chunk(position);
                    let chunk = &plain[offset..offset + length as usize];
                    offset += length as usize;
                    if !opener.is_key(&key, chunk) {
                        fault.get_or_insert_with(|| {
                            format!("`{path}` is damaged: a chunk is not the one it was named after")
                        });
                        bad.push(position);
                    }
                }
            }
            tick(end - at);
            block = last;
            at = end;
        }
        if ObjectId(*hasher.finalize().as_bytes()) != row.id {
            fault.get_or_insert_with(|| format!("`{path}` is damaged: its bytes are not those it was named after"));
        }
        Ok((bad, fault))
    }

    fn first_fault(&self, loaded: &Loaded, snapshot: &Snapshot, bad: &HashSet<u32>) -> Option<String> {
        let mut why = None;
        let visited = visit_chunks(self, snapshot, &mut HashSet::new(), &mut |id| match loaded.index.find(id) {
            Some(at) if !bad.contains(&at.position) => {}
            Some(at) => {
                let pack = &loaded.index.packs[loaded.index.block(at.block).pack as usize];
                why.get_or_insert_with(|| {
                    format!("it needs bytes of `{}` that are lost or damaged", pack.id.pack_path())
                });
            }
            None => {
                why.get_or_insert_with(|| format!("chunk {id:?} is in no index"));
            }
        });
        match visited {
            Ok(()) => why,
            Err(error) => Some(error.to_string()),
        }
    }

    /// Compares a tree with a snapshot: the same entries, the same metadata, the same bytes.
    ///
    /// `owners` asks for owner and group to be compared as well; a restore without privilege cannot have set them.
    ///
    /// # Errors
    /// A manifest that cannot be read, `Source`, `Interrupted`, the store's.
    pub fn compare(
        &self,
        id: &SnapshotId,
        tree: &dyn Source,
        owners: bool,
        progress: &dyn Progress,
    ) -> Result<Compared> {
        let snapshot = self.snapshot(id)?;
        let out = Mutex::new(Compared::default());
        let (to_workers, work) = crossbeam_channel::bounded::<(Stored, std::sync::Arc<dyn Directory>)>(256);
        let differs = |path: &[u8], detail: String| {
            let mut out = out.lock().expect("no thread panics holding it");
            out.difference_count += 1;
            if out.differences.len() < 100 {
                out.differences.push(Trouble { path: show_path(path), kind: TroubleKind::Unreadable, detail });
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads() {
                let (work, differs, out) = (work.clone(), &differs, &out);
                scope.spawn(move || {
                    let mut reader = TreeReader {
                        lists: ChunkReader::new(self),
                        opener: Opener::new(self.ring()),
                        buffer: Vec::new(),
                    };
                    for (stored, within) in work {
                        match reader.same_bytes(&stored, &*within) {
                            Ok(bytes) => {
                                let bytes = {
                                    let mut out = out.lock().expect("no thread panics holding it");
                                    out.bytes += bytes;
                                    out.bytes
                                };
                                progress.tick(Tick { bytes, bytes_total: Some(snapshot.size), ..Tick::default() });
                            }
                            Err(why) => differs(&stored.node.path, why),
                        }
                    }
                });
            }
            drop(work);
            let result = self.compare_entries(&snapshot, tree, owners, progress, &differs, &to_workers, &out);
            drop(to_workers);
            result
        })?;
        Ok(out.into_inner().expect("no thread panics holding it"))
    }

    #[allow(clippy::too_many_arguments)]
    fn compare_entries(
        &self,
        snapshot: &Snapshot,
        tree: &dyn Source,
        owners: bool,
        progress: &dyn Progress,
        differs: &dyn Fn(&[u8], String),
        to_workers: &crossbeam_channel::Sender<(Stored, std::sync::Arc<dyn Directory>)>,
        out: &Mutex<Compared>,
    ) -> Result<()> {
        let mut found = tree.list()?.filter_map(|found| match found {
            Found::Entry { node, within } => Some((node, within)),
            Found::Trouble(trouble) => {
                if trouble.kind.counts() {
                    differs(trouble.path.trim_start_matches('/').as_bytes(), trouble.detail);
                }
                None
            }
        });
        let mut next = found.next();
        let roots: Vec<&[u8]> =
            snapshot.about.roots.iter().map(|root| root.trim_start_matches('/').as_bytes()).collect();
        for entry in self.entries(snapshot) {
            let entry = entry?;
            if progress.cancelled() {
                return Err(VaultError::Interrupted);
            }
            let path = &entry.node.path;
            while let Some((node, _)) = next.as_ref().filter(|(node, _)| compare(&node.path, path).is_lt()) {
                differs(&node.path, "it is in the tree but not in the backup".into());
                next = found.next();
            }
            match next.take() {
                Some((node, within)) if node.path == *path => {
                    out.lock().expect("no thread panics holding it").entries += 1;
                    if let Some(why) = difference(&entry.node, &node, owners) {
                        differs(path, why);
                    } else if let Some(within) = within {
                        to_workers.send((entry, within)).expect("workers outlive the listing");
                    }
                    next = found.next();
                }
                other => {
                    next = other;
                    // Directories above the roots belong to the machine and are not part of a restored tree.
                    let above = roots
                        .iter()
                        .any(|root| path.is_empty() || (root.starts_with(path) && root.get(path.len()) == Some(&b'/')));
                    if !above {
                        differs(path, "it is in the backup but not in the tree".into());
                    }
                }
            }
        }
        while let Some((node, _)) = next {
            differs(&node.path, "it is in the tree but not in the backup".into());
            next = found.next();
        }
        Ok(())
    }
}

fn all_of(index: &crate::index::Index, row: &crate::index::PackRow) -> Vec<u32> {
    (row.first_block..row.first_block + row.blocks).flat_map(|block| index.chunks_of(block)).collect()
}

/// The first difference in metadata, in words.
fn difference(want: &Node, have: &Node, owners: bool) -> Option<String> {
    let (a, b) = (&want.meta, &have.meta);
    let same_kind = match (&want.kind, &have.kind) {
        (NodeKind::File { size: a, .. }, NodeKind::File { size: b, .. }) => {
            if a != b {
                return Some(format!("it has {b} bytes instead of {a}"));
            }
            true
        }
        (a, b) => a == b,
    };
    if !same_kind {
        return Some("it is of another kind, or points elsewhere".into());
    }
    if a.mode != b.mode {
        return Some(format!("its mode is {:04o} instead of {:04o}", b.mode, a.mode));
    }
    if owners && (a.uid, a.gid) != (b.uid, b.gid) {
        return Some(format!("it belongs to {}:{} instead of {}:{}", b.uid, b.gid, a.uid, a.gid));
    }
    if a.mtime != b.mtime {
        return Some("its modification time differs".into());
    }
    if a.xattrs != b.xattrs {
        return Some("its extended attributes differ".into());
    }
    None
}

struct TreeReader<'v> {
    lists: ChunkReader<'v>,
    opener: Opener,
    buffer: Vec<u8>,
}

impl TreeReader<'_> {
    /// Reads a file and compares it chunk by chunk with what was stored; returns the bytes read.
    fn same_bytes(&mut self, stored: &Stored, within: &dyn Directory) -> std::result::Result<u64, String> {
        let content = within.open(stored.node.name()).map_err(|error| error.to_string())?;
        let Self { lists, opener, buffer } = self;
        let mut offset = 0u64;
        let mut trouble = None;
        let mut check = |extent: &Extent| {
            let mut left = extent.length();
            while left > 0 && trouble.is_none() {
                let part = match extent {
                    Extent::Chunk { .. } => left,
                    Extent::Hole { .. } => left.min(1 << 20),
                };
                buffer.resize(usize::try_from(part).expect("chunks are at most 4 MiB"), 0);
                let got = content.read_at(offset, buffer).unwrap_or(0);
                let same = got == buffer.len()
                    && match extent {
                        Extent::Chunk { id, .. } => opener.is_chunk(id, buffer),
                        Extent::Hole { .. } => buffer.iter().all(|byte| *byte == 0),
                    };
                if !same {
                    trouble = Some(format!("its bytes differ at or after offset {offset}"));
                }
                offset += part;
                left -= part;
            }
            Ok(())
        };
        lists.extents(&stored.contents, &mut check).map_err(|error| error.to_string())?;
        trouble.map_or(Ok(offset), Err)
    }
}
