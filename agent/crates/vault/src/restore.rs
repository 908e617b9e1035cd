//! A snapshot becomes a tree again.
//!
//! The manifest is read in windows of bounded size. Within a window, directories are made as they come; the pieces of
//! all files are sorted by where they stand in packs, neighbouring blocks are fetched in one read, and each block is
//! opened once, whoever needs it. Small files are written in one go, large ones piece by piece. Hard links come last,
//! then directories get their metadata, deepest first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use backstop_model::SnapshotId;
use backstop_model::tree::{Node, NodeKind, Trouble, TroubleKind, show_path};
use backstop_seams::{FileWriter, Progress, Target, Tick, Written};

use crate::error::{Result, VaultError};
use crate::id::ChunkId;
use crate::index::{BlockAt, Index};
use crate::manifest::{Extent, Stored};
use crate::open::{Loaded, Vault};
use crate::read::{ChunkReader, Opener, in_object, short_read};

/// What to restore.
pub struct RestoreRequest<'a> {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Which entries; directories above a chosen entry are made as needed. Must be cheap.
    pub choose: &'a (dyn Fn(&Node) -> bool + Sync),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestoreSummary {
    /// Entries made.
    pub entries: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries that existed and were kept.
    pub kept: u64,
    /// The first hundred things that did not go as recorded.
    pub troubles: Vec<Trouble>,
    /// How many there were in all.
    pub trouble_count: u64,
}

/// A window ends at so many pieces or files.
const WINDOW: usize = 32_000;
/// Blocks are fetched together up to this many bytes, gaps up to `GAP` included.
const READ_MAX: u64 = 4 << 20;
const GAP: u64 = 128 << 10;
const TROUBLES_SHOWN: usize = 100;
/// Files up to this size whose bytes are one chunk are written in one go.
const WHOLE_MAX: u64 = 8 << 20;

struct FileState {
    node: Node,
    /// Opened when its first piece arrives; `None` inside when an existing file is kept or opening failed.
    writer: OnceLock<Option<Box<dyn FileWriter>>>,
    pieces_left: AtomicU32,
    broken: AtomicBool,
}

/// A chunk wanted somewhere.
struct Piece {
    block: u32,
    at: u32,
    length: u32,
    id: ChunkId,
    file: u32,
    offset: u64,
}

struct Job<'a> {
    vault: &'a Vault,
    loaded: &'a Loaded,
    target: &'a dyn Target,
    progress: &'a dyn Progress,
    out: Mutex<RestoreSummary>,
    bytes: AtomicU64,
    entries: AtomicU64,
    fatal: Mutex<Option<VaultError>>,
    stop: AtomicBool,
}

impl Vault {
    /// Restores a snapshot into a target.
    ///
    /// Entries that cannot be read or written are reported and the others restored.
    ///
    /// # Errors
    /// `NoSnapshot`, a manifest that cannot be read, `Interrupted`, a full or read-only target, the store's.
    pub fn restore(
        &self,
        request: &RestoreRequest<'_>,
        target: &dyn Target,
        progress: &dyn Progress,
    ) -> Result<RestoreSummary> {
        let snapshot = self.snapshot(&request.snapshot)?;
        // What other processes wrote, moved or removed since the vault was opened.
        self.reload()?;
        self.take_stock()?;
        let loaded = self.loaded();
        let job = Job {
            vault: self,
            loaded: &loaded,
            target,
            progress,
            out: Mutex::default(),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            fatal: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        let mut entries = self.entries(&snapshot);
        let mut lists = ChunkReader::new(self);
        let mut above: Vec<(Node, bool)> = Vec::new();
        let mut directories: Vec<Node> = Vec::new();
        let mut first_names: HashMap<(u64, u64), Node> = HashMap::new();
        let mut links: Vec<(Node, Node)> = Vec::new();
        loop {
            let mut files: Vec<FileState> = Vec::new();
            let mut pieces: Vec<Piece> = Vec::new();
            let mut more = false;
            for entry in entries.by_ref() {
                let entry = entry?;
                while above.last().is_some_and(|(parent, _)| !is_below(&entry.node.path, &parent.path)) {
                    above.pop();
                }
                if !(request.choose)(&entry.node) {
                    if entry.node.kind == NodeKind::Directory {
                        above.push((entry.node, false));
                    }
                    continue;
                }
                for (parent, made) in above.iter_mut().filter(|(_, made)| !made) {
                    *made = true;
                    job.directory(parent, &mut directories)?;
                }
                match &entry.node.kind {
                    NodeKind::Directory => {
                        job.directory(&entry.node, &mut directories)?;
                        above.push((entry.node, true));
                    }
                    NodeKind::File { .. } => {
                        let meta = &entry.node.meta;
                        if meta.links > 1 {
                            let key = (meta.device, meta.inode);
                            if let Some(first) = first_names.get(&key) {
                                links.push((entry.node, first.clone()));
                                continue;
                            }
                            first_names.insert(key, entry.node.clone());
                        }
                        job.plan_file(entry, &mut lists, &mut files, &mut pieces)?;
                    }
                    _ => job.settle(&entry.node, target.special(&entry.node))?,
                }
                if pieces.len() >= WINDOW || files.len() >= WINDOW {
                    more = true;
                    break;
                }
            }
            job.fill(&files, pieces)?;
            if !more {
                break;
            }
        }
        for (node, first) in &links {
            job.settle(node, target.hard_link(node, first))?;
        }
        for node in directories.iter().rev() {
            if let Err(error) = target.finish_directory(node) {
                job.trouble(node, TroubleKind::Unwritable, &error.to_string());
            }
        }
        let mut out = job.out.into_inner().expect("no thread panics holding it");
        for (path, detail) in target.metadata_troubles() {
            out.trouble_count += 1;
            if out.troubles.len() < TROUBLES_SHOWN {
                out.troubles.push(Trouble { path, kind: TroubleKind::Unwritable, detail });
            }
        }
        out.bytes = job.bytes.load(Ordering::Relaxed);
        out.entries = job.entries.load(Ordering::Relaxed);
        Ok(out)
    }
}

fn is_below(path: &[u8], parent: &[u8]) -> bool {
    parent.is_empty() || (path.starts_with(parent) && path.get(parent.len()) == Some(&b'/'))
}

/// Errors that will meet every further file as well.
fn is_fatal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

impl Job<'_> {
    fn trouble(&self, node: &Node, kind: TroubleKind, detail: &str) {
        let mut out = self.out.lock().expect("no thread panics holding it");
        out.trouble_count += 1;
        if out.troubles.len() < TROUBLES_SHOWN {
            out.troubles.push(Trouble { path: show_path(&node.path), kind, detail: detail.to_owned() });
        }
    }

    fn settle(&self, node: &Node, written: std::io::Result<Written>) -> Result<()> {
        match written {
            Ok(Written::Made) => {
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Written::Kept) => self.out.lock().expect("no thread panics holding it").kept += 1,
            Err(source) if is_fatal(&source) => {
                return Err(VaultError::Target { path: show_path(&node.path), source });
            }
            Err(error) => self.trouble(node, TroubleKind::Unwritable, &error.to_string()),
        }
        Ok(())
    }

    fn directory(&self, node: &Node, made: &mut Vec<Node>) -> Result<()> {
        match self.target.directory(node) {
            Ok(Written::Made) => {
                self.entries.fetch_add(1, Ordering::Relaxed);
                made.push(node.clone());
                Ok(())
            }
            // A directory that was there keeps its own metadata.
            Ok(Written::Kept) => Ok(()),
            Err(source) => self.settle(node, Err(source)),
        }
    }

    fn plan_file(
        &self,
        entry: Stored,
        lists: &mut ChunkReader<'_>,
        files: &mut Vec<FileState>,
        pieces: &mut Vec<Piece>,
    ) -> Result<()> {
        let file = u32::try_from(files.len()).expect("a window holds far fewer files");
        let index = &self.loaded.index;
        let before = pieces.len();
        let mut offset = 0;
        let planned = lists.extents(&entry.contents, &mut |extent| {
            if let Extent::Chunk { id, length } = extent {
                let found = index.find(id).filter(|at| at.length == *length);
                let at = found.ok_or_else(|| VaultError::UnknownChunk { chunk: format!("{id:?}") })?;
                let in_block = u32::try_from(index.offset_in_block(at)).expect("blocks are at most 8 MiB");
                pieces.push(Piece { block: at.block, at: in_block, length: *length, id: *id, file, offset });
            }
            offset += extent.length();
            Ok(())
        });
        match planned {
            Ok(()) => {}
            Err(error) if error.is_damage() => {
                pieces.truncate(before);
                self.trouble(&entry.node, TroubleKind::Unreadable, &error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let wanted = pieces.len() - before;
        // A whole hole, or nothing at all, needs no bytes from a pack.
        if wanted == 0 {
            let size = file_size(&entry.node);
            if size == 0 {
                return self.settle(&entry.node, self.target.whole_file(&entry.node, &[]));
            }
            let done = match self.target.begin_file(&entry.node) {
                Ok(Some(writer)) => writer.finish().map(|()| Written::Made),
                Ok(None) => Ok(Written::Kept),
                Err(error) => Err(error),
            };
            return self.settle(&entry.node, done);
        }
        files.push(FileState {
            node: entry.node,
            writer: OnceLock::new(),
            pieces_left: AtomicU32::new(u32::try_from(wanted).expect("a file has fewer than 2^32 pieces")),
            broken: AtomicBool::new(false),
        });
        Ok(())
    }

    /// Reads all pieces in pack order and writes them where they belong.
    fn fill(&self, files: &[FileState], mut pieces: Vec<Piece>) -> Result<()> {
        let index = &self.loaded.index;
        pieces.sort_unstable_by_key(|piece| (piece.block, piece.at));
        let (to_workers, work) = crossbeam_channel::bounded::<&[Piece]>(self.vault.threads() * 2);
        std::thread::scope(|scope| {
            for _ in 0..self.vault.threads() {
                let work = work.clone();
                scope.spawn(move || {
                    let mut worker = Worker { opener: Opener::new(self.vault.ring()), plain: Vec::new() };
                    for pieces in work {
                        if let Err(error) = self.read_run(&mut worker, files, pieces) {
                            self.fatal.lock().expect("no thread panics holding it").get_or_insert(error);
                            self.stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
            drop(work);
            for run in runs(index, &pieces) {
                if self.progress.cancelled() {
                    self.fatal.lock().expect("no thread panics holding it").get_or_insert(VaultError::Interrupted);
                    self.stop.store(true, Ordering::Relaxed);
                }
                if self.stop.load(Ordering::Relaxed) || to_workers.send(run).is_err() {
                    break;
                }
            }
            drop(to_workers);
        });
        match self.fatal.lock().expect("no thread panics holding it").take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// One read of neighbouring blocks, and everything in it.
    fn read_run(&self, worker: &mut Worker, files: &[FileState], pieces: &[Piece]) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let index = &self.loaded.index;
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(()) };
        let (first, last) = (index.block(first.block), index.block(last.block));
        let path = index.packs[first.pack as usize].id.pack_path();
        let end = u64::from(last.offset) + u64::from(last.sealed);
        let read = self.vault.store().get_range(&path, u64::from(first.offset), end);
        let read = match read.map_err(|error| short_read(self.vault.store(), error, &path, end)) {
            Ok(read) => read,
            Err(error) if error.is_damage() => return self.give_up(files, pieces, &error),
            Err(error) => return Err(error),
        };
        for of_block in pieces.chunk_by(|a, b| a.block == b.block) {
            let block = index.block(of_block[0].block);
            let from = u64::from(block.offset) - u64::from(first.offset);
            let from = usize::try_from(from).expect("a run is at most a few blocks long");
            let opened = match read.get(from..from + block.sealed as usize) {
                Some(sealed) => worker.opener.open(&block, sealed, &mut worker.plain),
                None => Err(VaultError::damaged(path.clone(), "a block lies outside of it")),
            };
            if let Err(error) = opened {
                self.give_up(files, of_block, &in_object(error, &path))?;
                continue;
            }
            for same in of_block.chunk_by(|a, b| a.at == b.at) {
                let at = same[0].at as usize;
                let bytes = worker.plain.get(at..at + same[0].length as usize);
                match bytes.filter(|bytes| worker.opener.is_chunk(&same[0].id, bytes)) {
                    Some(bytes) => {
                        same.iter().try_for_each(|piece| self.write_piece(&files[piece.file as usize], piece, bytes))?
                    }
                    None => {
                        let error = VaultError::damaged(path.clone(), "a chunk is not the one it was named after");
                        self.give_up(files, same, &error)?;
                    }
                }
            }
        }
        let entries = self.entries.load(Ordering::Relaxed);
        self.progress.tick(Tick { entries, bytes: self.bytes.load(Ordering::Relaxed), ..Tick::default() });
        Ok(())
    }

    /// Reports the files of pieces that cannot be read, each once.
    fn give_up(&self, files: &[FileState], pieces: &[Piece], error: &VaultError) -> Result<()> {
        for piece in pieces {
            let file = &files[piece.file as usize];
            if !file.broken.swap(true, Ordering::Relaxed) {
                self.trouble(&file.node, TroubleKind::Unreadable, &error.to_string());
            }
        }
        Ok(())
    }

    fn write_piece(&self, file: &FileState, piece: &Piece, bytes: &[u8]) -> Result<()> {
        let size = file_size(&file.node);
        if u64::from(piece.length) == size && size <= WHOLE_MAX {
            let written = self.target.whole_file(&file.node, bytes);
            if matches!(written, Ok(Written::Made)) {
                self.bytes.fetch_add(size, Ordering::Relaxed);
            }
            return self.settle(&file.node, written);
        }
        let mut kept = false;
        let mut failed = None;
        let writer = file.writer.get_or_init(|| match self.target.begin_file(&file.node) {
            Ok(writer) => {
                kept = writer.is_none();
                writer
            }
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        if kept {
            self.settle(&file.node, Ok(Written::Kept))?;
        }
        if failed.is_none()
            && let Some(writer) = writer
            && !file.broken.load(Ordering::Relaxed)
        {
            match writer.write_at(piece.offset, bytes) {
                Ok(()) => {
                    self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                Err(error) => failed = Some(error),
            }
        }
        let last = file.pieces_left.fetch_sub(1, Ordering::AcqRel) == 1;
        if let Some(error) = failed {
            file.broken.store(true, Ordering::Relaxed);
            return self.settle(&file.node, Err(error));
        }
        if last
            && let Some(writer) = writer
            && !file.broken.load(Ordering::Relaxed)
        {
            return self.settle(&file.node, writer.finish().map(|()| Written::Made));
        }
        Ok(())
    }
}

struct Worker {
    opener: Opener,
    plain: Vec<u8>,
}

fn file_size(node: &Node) -> u64 {
    match node.kind {
        NodeKind::File { size, .. } => size,
        _ => 0,
    }
}

/// Splits sorted pieces into runs whose blocks lie close together in one pack.
fn runs<'p>(index: &Index, pieces: &'p [Piece]) -> Vec<&'p [Piece]> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut first: Option<BlockAt> = None;
    let mut end = 0u64;
    for (at, piece) in pieces.iter().enumerate() {
        let block = index.block(piece.block);
        let (offset, sealed) = (u64::from(block.offset), u64::from(block.sealed));
        let joins = first.is_some_and(|first| {
            first.pack == block.pack && offset <= end + GAP && offset + sealed - u64::from(first.offset) <= READ_MAX
        });
        if !joins {
            if at > from {
                out.push(&pieces[from..at]);
            }
            from = at;
            first = Some(block);
        }
        end = offset + sealed;
    }
    if from < pieces.len() {
        out.push(&pieces[from..]);
    }
    out
}
