//! Reading files of a source into chunks: small ones whole, large ones piece by piece, each checked for change.

use std::sync::Arc;

use backstop_model::tree::{Cut, Meta, Node, NodeKind, Trouble, TroubleKind, show_path};
use backstop_seams::{Content, Directory};
use crossbeam_channel::{Sender, TrySendError};

use crate::code::Encoder;
use crate::id::ChunkId;
use crate::intake::{Intake, Joiner, RawBlock, Stream};
use crate::manifest::{Contents, Extent, LIST, Stored, encode_extents};
use crate::open::Cuts;
use crate::press::Press;

/// A file to be read.
pub(crate) struct Wanted {
    pub node: Node,
    pub within: Arc<dyn Directory>,
}

/// What became of it: an entry unless it could not be read, and what is to be reported about it.
pub(crate) struct Read {
    pub stored: Option<Stored>,
    pub trouble: Option<Trouble>,
    pub bytes: u64,
}

/// Files up to this size are read whole.
pub(crate) const SMALL: u64 = 1 << 20;
/// Below this, asking for holes costs more than it can save.
const HOLES_FROM: u64 = 64 << 10;
/// How often a file that changes while it is read is read again before it is stored as it came.
const TRIES: u32 = 3;

/// One thread's tools.
pub(crate) struct Reader<'a, 'v> {
    intake: &'a Intake<'v>,
    cutter: Cutter,
    block: usize,
    pub press: Press,
    contents: Joiner,
    lists: Joiner,
    buffer: Vec<u8>,
    /// Where full blocks go when this thread should go on reading; pressed here when the queue is full.
    spill: Option<Sender<RawBlock>>,
}

/// Where content-defined chunks end. The gear tables are mixed with a seed of the vault.
pub(crate) struct Cutter {
    sizes: (usize, usize, usize),
    masks: (u64, u64),
    gear: Vec<u64>,
    gear_shifted: Vec<u64>,
}

impl Cutter {
    pub(crate) fn new(cuts: Cuts, seed: u64) -> Self {
        use fastcdc::v2020::{Normalization, get_gear_with_seed, select_masks};
        let (gear, shifted) = get_gear_with_seed(seed);
        Self {
            sizes: (cuts.min as usize, cuts.avg as usize, cuts.max as usize),
            masks: select_masks(cuts.avg as usize, Normalization::Level1),
            gear: gear.into_owned(),
            gear_shifted: shifted.into_owned(),
        }
    }

    /// Length of the first chunk of `bytes`, which must be at least the largest chunk or the end of the contents.
    fn cut(&self, bytes: &[u8]) -> usize {
        let (min, avg, max) = self.sizes;
        if bytes.len() <= min {
            return bytes.len();
        }
        let (strict, loose) = self.masks;
        let (gear, shifted) = (&self.gear, &self.gear_shifted);
        let (_, length) =
            fastcdc::v2020::cut_gear(bytes, min, avg, max, strict, loose, strict << 1, loose << 1, gear, shifted);
        length
    }
}

/// Extents of a file as they come; moved to list chunks once they are many.
///
/// Lists end where the contents say so — block files at multiples of `span`, others after chunks whose id ends in a
/// zero byte — and not after so many extents: else a hole filled near the front of a disk would change every list.
struct Extents {
    open: Vec<Extent>,
    lists: Vec<(ChunkId, u64)>,
    /// Ends of lists within `open`, while it is not known yet whether there will be lists at all.
    ends: Vec<usize>,
    /// How far the extents reach into the file.
    reach: u64,
    span: Option<u64>,
}

/// A list has at least this many extents, unless it is the last.
const LIST_LEAST: usize = 64;
/// And ends after this many at the latest.
const LIST_MOST: usize = 8 << 10;

impl Extents {
    fn new(blocks: bool, size: u64) -> Self {
        // The larger the disk, the longer its lists: their ids stand in one entry, which must stay a small chunk.
        let span = match size >> 40 {
            0 => 32 << 20,
            1..32 => 512 << 20,
            _ => 8 << 30,
        };
        Self { open: Vec::new(), lists: Vec::new(), ends: Vec::new(), reach: 0, span: blocks.then_some(span) }
    }

    fn push(&mut self, extent: Extent) {
        let before = self.reach;
        self.reach += extent.length();
        self.open.push(extent);
        let length = self.open.len() - self.ends.last().unwrap_or(&0);
        let at_end = match (self.span, extent) {
            (Some(span), _) => before / span != self.reach / span,
            (None, Extent::Chunk { id, .. }) => id.0[31] == 0,
            (None, Extent::Hole { .. }) => false,
        };
        if length >= LIST_MOST || at_end && length >= LIST_LEAST {
            self.ends.push(self.open.len());
        }
    }
}

impl<'a, 'v> Reader<'a, 'v> {
    pub(crate) fn new(intake: &'a Intake<'v>, cuts: Cuts, seed: u64, spill: Option<Sender<RawBlock>>) -> Self {
        Self {
            intake,
            cutter: Cutter::new(cuts, seed),
            block: cuts.block as usize,
            press: Press::new(),
            contents: Joiner::new(Stream::Contents),
            lists: Joiner::new(Stream::Manifest),
            buffer: Vec::new(),
            spill,
        }
    }

    /// Ends reading: hands over what was joined so far and lets go of the queue.
    pub(crate) fn finish(mut self) -> Press {
        self.intake.flush(&mut self.contents, &mut self.press);
        self.intake.flush(&mut self.lists, &mut self.press);
        self.press
    }

    /// Reads one file. Never fails as a whole: what goes wrong is reported with the entry.
    pub(crate) fn read(&mut self, wanted: Wanted) -> Read {
        let Wanted { mut node, within } = wanted;
        let mut bytes = 0;
        let mut changed = None;
        for attempt in 0..TRIES {
            let content = match within.open(node.name()) {
                Ok(content) => content,
                Err(error) => return lost(&node, &error, bytes),
            };
            // The listing's idea of the file is good enough unless it was opened before and had changed.
            let before = match attempt {
                0 => (node.meta.clone(), file_size(&node)),
                _ => match content.state() {
                    Ok(state) => state,
                    Err(error) => return lost(&node, &error, bytes),
                },
            };
            let contents = match self.contents_of(&node, &*content, before.1, &mut bytes) {
                Ok(contents) => contents,
                Err(error) => return lost(&node, &error, bytes),
            };
            let after = match content.state() {
                Ok(state) => state,
                Err(error) => return lost(&node, &error, bytes),
            };
            let (contents, length) = contents;
            let steady = same(&before, &after) && length == after.1;
            adopt(&mut node, &after.0, length);
            let stored = Stored { node: node.clone(), contents, torn: !steady };
            if steady {
                return Read { stored: Some(stored), trouble: None, bytes };
            }
            changed = Some(stored);
        }
        let trouble = Trouble {
            path: show_path(&node.path),
            kind: TroubleKind::Changed,
            detail: format!("it changed each of the {TRIES} times it was read; what is stored may mix two states"),
        };
        Read { stored: changed, trouble: Some(trouble), bytes }
    }

    fn contents_of(
        &mut self,
        node: &Node,
        content: &dyn Content,
        size: u64,
        bytes: &mut u64,
    ) -> std::io::Result<(Contents, u64)> {
        let blocks = matches!(node.kind, NodeKind::File { cut: Cut::Blocks, .. });
        let mut extents = Extents::new(blocks, size);
        let length = if size < HOLES_FROM {
            self.range(content, 0, size, blocks, &mut extents, bytes)?
        } else {
            let mut at = 0;
            while at < size {
                let Some((start, end)) = content.next_data(at, size)? else { break };
                let end = end.min(size);
                if start >= end {
                    break;
                }
                self.hole(&mut extents, start - at);
                let reached = self.range(content, start, end, blocks, &mut extents, bytes)?;
                at = reached;
                if reached < end {
                    break;
                }
            }
            if at < size && content.state()?.1 >= size {
                self.hole(&mut extents, size - at);
                at = size;
            }
            at
        };
        Ok((self.seal_extents(extents), length))
    }

    /// Reads `start..end` into chunks; returns where it got to (less than `end` when the file has become shorter).
    fn range(
        &mut self,
        content: &dyn Content,
        start: u64,
        end: u64,
        blocks: bool,
        extents: &mut Extents,
        bytes: &mut u64,
    ) -> std::io::Result<u64> {
        if start == end {
            return Ok(end);
        }
        let largest = if blocks { self.block } else { self.cutter.sizes.2 };
        // Whole for small files; else twice the largest chunk, so that a cut never waits for a refill.
        let room = usize::try_from((end - start).min(2 * largest as u64).max(SMALL)).expect("at most 8 MiB");
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let mut filled = 0;
        let mut read_to = start;
        let mut ended = false;
        let mut done = start;
        while !(ended && filled == 0) {
            if !ended && filled < room {
                let want = room.min(filled + usize::try_from(end - read_to).unwrap_or(room));
                let got = content.read_at(read_to, &mut buffer[filled..want])?;
                *bytes += got as u64;
                read_to += got as u64;
                ended = read_to == end || got < want - filled;
                filled += got;
            }
            let mut from = 0;
            while from < filled && !self.intake.is_stopped() {
                let rest = &buffer[from..filled];
                if !ended && rest.len() < largest {
                    break;
                }
                // Blocks stay aligned to the file: a data range may begin anywhere.
                let length = if blocks {
                    let to_boundary = self.block - usize::try_from(done % self.block as u64).expect("below a block");
                    rest.len().min(to_boundary)
                } else {
                    self.cutter.cut(rest)
                };
                self.chunk(&buffer[from..from + length], extents);
                from += length;
                done += length as u64;
            }
            if self.intake.is_stopped() {
                break;
            }
            buffer.copy_within(from..filled, 0);
            filled -= from;
        }
        self.buffer = buffer;
        Ok(done)
    }

    fn chunk(&mut self, bytes: &[u8], extents: &mut Extents) {
        if bytes.len() >= 4096 && is_zero(bytes) {
            return self.hole(extents, bytes.len() as u64);
        }
        let (id, block) = self.intake.take(&mut self.contents, bytes);
        if let Some(block) = block {
            match self.spill.as_ref().map(|spill| spill.try_send(block)) {
                Some(Ok(())) => {}
                Some(Err(TrySendError::Full(block) | TrySendError::Disconnected(block))) => {
                    self.intake.store_block(&mut self.press, block);
                }
                None => unreachable!("every reader has a queue to spill to"),
            }
        }
        let length = u32::try_from(bytes.len()).expect("chunks are at most 4 MiB");
        self.extent(extents, Extent::Chunk { id, length });
    }

    fn hole(&mut self, extents: &mut Extents, length: u64) {
        if length == 0 {
            return;
        }
        if extents.ends.last() != Some(&extents.open.len())
            && let Some(Extent::Hole { length: before }) = extents.open.last_mut()
        {
            *before += length;
            extents.reach += length;
            return;
        }
        self.extent(extents, Extent::Hole { length });
    }

    fn extent(&mut self, extents: &mut Extents, extent: Extent) {
        extents.push(extent);
        if extents.open.len() > LIST || !extents.lists.is_empty() {
            let mut from = 0;
            for end in std::mem::take(&mut extents.ends) {
                let list = self.list(&extents.open[from..end]);
                extents.lists.push(list);
                from = end;
            }
            extents.open.drain(..from);
        }
    }

    fn list(&mut self, part: &[Extent]) -> (ChunkId, u64) {
        let mut out = Encoder::default();
        encode_extents(part, &mut out);
        let id = self.intake.add(&mut self.lists, &mut self.press, &out.bytes);
        (id, part.iter().map(Extent::length).sum())
    }

    fn seal_extents(&mut self, mut extents: Extents) -> Contents {
        if extents.lists.is_empty() && extents.open.len() <= LIST {
            return Contents::Extents(extents.open);
        }
        if !extents.open.is_empty() {
            let list = self.list(&extents.open);
            extents.lists.push(list);
        }
        Contents::Lists(extents.lists)
    }
}

fn file_size(node: &Node) -> u64 {
    match node.kind {
        NodeKind::File { size, .. } => size,
        _ => 0,
    }
}

/// Takes over what the open file says about itself; attributes and cut stay as listed.
fn adopt(node: &mut Node, now: &Meta, length: u64) {
    let xattrs = std::mem::take(&mut node.meta.xattrs);
    node.meta = Meta { xattrs, ..now.clone() };
    if let NodeKind::File { size, .. } = &mut node.kind {
        *size = length;
    }
}

fn same(a: &(Meta, u64), b: &(Meta, u64)) -> bool {
    a.1 == b.1 && a.0.mtime == b.0.mtime && a.0.ctime == b.0.ctime && a.0.inode == b.0.inode
}

fn is_zero(bytes: &[u8]) -> bool {
    // The first bytes decide nearly always; the rest is compared in large words by the compiler.
    bytes.iter().take(64).all(|b| *b == 0) && bytes.chunks(4096).all(|part| part.iter().fold(0, |or, b| or | b) == 0)
}

fn lost(node: &Node, error: &std::io::Error, bytes: u64) -> Read {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => TroubleKind::Vanished,
        _ => TroubleKind::Unreadable,
    };
    let trouble = Trouble { path: show_path(&node.path), kind, detail: error.to_string() };
    Read { stored: None, trouble: Some(trouble), bytes }
}
