//! Manifests: what a snapshot holds, entry by entry, in canonical order.
//!
//! Entries stand in *segments* of about 24, cut where a hash of the entry's path says so: a changed file changes its
//! own segment and no other, so the next snapshot shares the rest. *Branches* list segments with the path each begins
//! with, so one path is found without reading everything. Segments and branches are ordinary chunks; the snapshot
//! names the branches. A manifest also serves as the file cache of the next backup, which reads it side by side with
//! the directory walk.

use backstop_model::tree::{Cut, Meta, Node, NodeKind};

use crate::code::{Decoder, Encoder, Malformed};
use crate::id::ChunkId;
use crate::pack::BLOCK_MAX;

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Bytes of a chunk.
    Chunk {
        /// Which.
        id: ChunkId,
        /// Its length.
        length: u32,
    },
    /// Zeros that take no space.
    Hole {
        /// How many.
        length: u64,
    },
}

impl Extent {
    /// How many bytes of the file it covers.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Extent::Chunk { length, .. } => u64::from(*length),
            Extent::Hole { length } => *length,
        }
    }
}

/// What a file consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Its extents in order.
    Extents(Vec<Extent>),
    /// Chunks that hold lists of extents, with the length each list covers.
    Lists(Vec<(ChunkId, u64)>),
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The entry.
    pub node: Node,
    /// For files: what it consists of.
    pub contents: Contents,
    /// It kept changing while it was read; never taken as unchanged.
    pub torn: bool,
}

impl Stored {
    /// An entry without contents.
    #[must_use]
    pub fn bare(node: Node) -> Self {
        Self { node, contents: Contents::Extents(Vec::new()), torn: false }
    }
}

/// Most extents that stand in the entry itself.
pub(crate) const LIST: usize = 512;
/// Most extents in one list that is read.
pub(crate) const LIST_MAX: usize = 64 << 10;

/// Paths longer than this are nonsense; a backup reports them instead of storing them.
pub(crate) const PATH_MAX: usize = 1 << 20;

/// Most bytes the paths of one segment have together once written out. They share what they begin with, so a short
/// segment could otherwise claim any amount of memory.
const PATHS_MAX: usize = 8 << 20;

/// A segment has at least so many entries, unless it is the last.
const SEGMENT_LEAST: u64 = 12;
/// And so many more on average. Of segments of 500 a day's scattered changes leave hardly one as it was; of segments of
/// 24 half, and what names a segment still costs less than one of its entries.
const SEGMENT_MORE: u64 = 12;

const TORN: u8 = 0x80;
const BLOCKS: u8 = 0x40;
const XATTRS: u8 = 0x20;
const LISTS: u8 = 0x10;

pub(crate) fn encode_extents(extents: &[Extent], out: &mut Encoder) {
    out.number(extents.len() as u64);
    for extent in extents {
        // A chunk's length is below 2^32: the low bit tells holes apart.
        match extent {
            Extent::Chunk { id, length } => {
                out.number(u64::from(*length) << 1);
                out.raw(&id.0);
            }
            Extent::Hole { length } => out.number(length << 1 | 1),
        }
    }
}

fn decode_extents(input: &mut Decoder<'_>) -> Result<Vec<Extent>, Malformed> {
    let count = input.count(1)?;
    if count > LIST_MAX {
        return Err(Malformed("more extents than a list may have"));
    }
    let mut extents = Vec::with_capacity(count);
    for _ in 0..count {
        let word = input.number()?;
        extents.push(if word & 1 == 1 {
            Extent::Hole { length: word >> 1 }
        } else {
            let length = u32::try_from(word >> 1).map_err(|_| Malformed("chunk too long"))?;
            if length as usize > BLOCK_MAX {
                return Err(Malformed("chunk too long"));
            }
            Extent::Chunk { id: ChunkId(input.array()?), length }
        });
    }
    Ok(extents)
}

/// Reads a list chunk.
///
/// # Errors
/// Bytes that are no list.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<Extent>, Malformed> {
    let mut input = Decoder::new(bytes);
    let extents = decode_extents(&mut input)?;
    if input.is_empty() { Ok(extents) } else { Err(Malformed("bytes left over")) }
}

fn encode_entry(before: &[u8], entry: &Stored, out: &mut Encoder) {
    let Node { path, kind, meta } = &entry.node;
    let shared = before.iter().zip(path).take_while(|(a, b)| a == b).count();
    out.number(shared as u64);
    out.blob(&path[shared..]);
    let mut tag = match kind {
        NodeKind::Directory => 0,
        NodeKind::File { cut: Cut::Content, .. } => 1,
        NodeKind::File { cut: Cut::Blocks, .. } => 1 | BLOCKS,
        NodeKind::Symlink { .. } => 2,
        NodeKind::Fifo => 3,
        NodeKind::BlockDevice { .. } => 4,
        NodeKind::CharDevice { .. } => 5,
    };
    tag |= if entry.torn { TORN } else { 0 };
    tag |= if meta.xattrs.is_empty() { 0 } else { XATTRS };
    tag |= if matches!(entry.contents, Contents::Lists(_)) { LISTS } else { 0 };
    out.bytes.push(tag);
    out.number(u64::from(meta.mode));
    out.number(u64::from(meta.uid));
    out.number(u64::from(meta.gid));
    out.signed(meta.mtime.0);
    out.number(u64::from(meta.mtime.1));
    out.signed(meta.ctime.0.wrapping_sub(meta.mtime.0));
    out.number(u64::from(meta.ctime.1));
    out.number(meta.inode);
    out.number(meta.links);
    if meta.links > 1 {
        out.number(meta.device);
    }
    match kind {
        NodeKind::Directory | NodeKind::Fifo => {}
        NodeKind::File { size, .. } => {
            out.number(*size);
            match &entry.contents {
                Contents::Extents(extents) => encode_extents(extents, out),
                Contents::Lists(lists) => {
                    out.number(lists.len() as u64);
                    for (id, covers) in lists {
                        out.raw(&id.0);
                        out.number(*covers);
                    }
                }
            }
        }
        NodeKind::Symlink { target } => out.blob(target),
        NodeKind::BlockDevice { major, minor } | NodeKind::CharDevice { major, minor } => {
            out.number(u64::from(*major));
            out.number(u64::from(*minor));
        }
    }
    if !meta.xattrs.is_empty() {
        out.number(meta.xattrs.len() as u64);
        for (name, value) in &meta.xattrs {
            out.blob(name);
            out.blob(value);
        }
    }
}

fn decode_entry(before: &[u8], input: &mut Decoder<'_>) -> Result<Stored, Malformed> {
    let shared: usize = input.small()?;
    let prefix = before.get(..shared).ok_or(Malformed("path shares more than there is"))?;
    let suffix = input.blob()?;
    if shared + suffix.len() > PATH_MAX {
        return Err(Malformed("path too long"));
    }
    let path = [prefix, suffix].concat();
    if !well_formed(&path) {
        return Err(Malformed("path with empty, `.` or `..` component"));
    }
    let tag = input.byte()?;
    let mut meta = Meta {
        mode: input.small()?,
        uid: input.small()?,
        gid: input.small()?,
        mtime: (input.signed()?, input.small()?),
        ..Meta::default()
    };
    meta.ctime = (meta.mtime.0.wrapping_add(input.signed()?), input.small()?);
    meta.inode = input.number()?;
    meta.links = input.number()?;
    if meta.links > 1 {
        meta.device = input.number()?;
    }
    let mut contents = Contents::Extents(Vec::new());
    let kind = match tag & 0x0f {
        0 => NodeKind::Directory,
        1 => {
            let size = input.number()?;
            let covered = if tag & LISTS == 0 {
                let extents = decode_extents(input)?;
                let covered = extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.length()));
                contents = Contents::Extents(extents);
                covered
            } else {
                let count = input.count(33)?;
                let mut lists = Vec::with_capacity(count);
                for _ in 0..count {
                    lists.push((ChunkId(input.array()?), input.number()?));
                }
                let covered = lists.iter().try_fold(0u64, |sum, (_, covers)| sum.checked_add(*covers));
                contents = Contents::Lists(lists);
                covered
            };
            if covered != Some(size) {
                return Err(Malformed("extents do not add up to the file"));
            }
            NodeKind::File { size, cut: if tag & BLOCKS == 0 { Cut::Content } else { Cut::Blocks } }
        }
        2 => NodeKind::Symlink { target: input.blob()?.to_vec() },
        3 => NodeKind::Fifo,
        4 => NodeKind::BlockDevice { major: input.small()?, minor: input.small()? },
        5 => NodeKind::CharDevice { major: input.small()?, minor: input.small()? },
        _ => return Err(Malformed("unknown kind of entry")),
    };
    if tag & XATTRS != 0 {
        for _ in 0..input.count(2)? {
            meta.xattrs.push((input.blob()?.to_vec(), input.blob()?.to_vec()));
        }
    }
    Ok(Stored { node: Node { path, kind, meta }, contents, torn: tag & TORN != 0 })
}

/// Paths from a manifest go to the file system: nothing in them may climb out of the target.
fn well_formed(path: &[u8]) -> bool {
    path.is_empty()
        || (!path.contains(&0) && path.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b"..")))
}

/// A segment as a branch lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRef {
    /// Path of its first entry.
    pub first: Vec<u8>,
    /// How many entries it holds.
    pub entries: u64,
    /// Its chunk.
    pub id: ChunkId,
}

/// Builds segments and branches; `emit` turns finished bytes into a chunk.
#[derive(Default)]
pub(crate) struct Builder {
    segment: Encoder,
    first: Vec<u8>,
    before: Vec<u8>,
    entries: u64,
    path_bytes: usize,
    branch: Vec<SegmentRef>,
    branch_bytes: usize,
    branches: Vec<ChunkId>,
}

impl Builder {
    /// Adds the next entry in canonical order.
    pub(crate) fn push<E>(
        &mut self,
        entry: &Stored,
        emit: &mut impl FnMut(&[u8]) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        if self.entries == 0 {
            self.first.clone_from(&entry.node.path);
        }
        encode_entry(&self.before, entry, &mut self.segment);
        self.before.clone_from(&entry.node.path);
        self.entries += 1;
        self.path_bytes += entry.node.path.len();
        let cut_here = self.entries >= SEGMENT_LEAST && path_hash(&entry.node.path).is_multiple_of(SEGMENT_MORE);
        if cut_here || self.segment.bytes.len() >= 128 << 10 || self.path_bytes + PATH_MAX > PATHS_MAX {
            self.end_segment(emit)?;
        }
        Ok(())
    }

    fn end_segment<E>(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<ChunkId, E>) -> Result<(), E> {
        if self.entries == 0 {
            return Ok(());
        }
        let id = emit(&self.segment.bytes)?;
        self.segment.bytes.clear();
        self.before.clear();
        self.branch_bytes += self.first.len() + 40;
        self.branch.push(SegmentRef { first: std::mem::take(&mut self.first), entries: self.entries, id });
        self.entries = 0;
        self.path_bytes = 0;
        if (self.branch.len() >= 64 && id.0[31] == 0) || self.branch_bytes >= 256 << 10 {
            self.end_branch(emit)?;
        }
        Ok(())
    }

    fn end_branch<E>(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<ChunkId, E>) -> Result<(), E> {
        if self.branch.is_empty() {
            return Ok(());
        }
        let mut out = Encoder::default();
        out.number(self.branch.len() as u64);
        for segment in self.branch.drain(..) {
            out.blob(&segment.first);
            out.number(segment.entries);
            out.raw(&segment.id.0);
        }
        self.branch_bytes = 0;
        self.branches.push(emit(&out.bytes)?);
        Ok(())
    }

    /// The branches, once everything was pushed.
    pub(crate) fn finish<E>(mut self, emit: &mut impl FnMut(&[u8]) -> Result<ChunkId, E>) -> Result<Vec<ChunkId>, E> {
        self.end_segment(emit)?;
        self.end_branch(emit)?;
        Ok(self.branches)
    }
}

/// FNV-1a. Only decides where segments end; anything stable would do, and this is spelled out in one line.
fn path_hash(path: &[u8]) -> u64 {
    path.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)) >> 8
}

/// Reads a branch chunk.
///
/// # Errors
/// Bytes that are no branch.
pub fn decode_branch(bytes: &[u8]) -> Result<Vec<SegmentRef>, Malformed> {
    let mut input = Decoder::new(bytes);
    let count = input.count(34)?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        segments.push(SegmentRef {
            first: input.blob()?.to_vec(),
            entries: input.number()?,
            id: ChunkId(input.array()?),
        });
    }
    if input.is_empty() { Ok(segments) } else { Err(Malformed("bytes left over")) }
}

/// Reads a segment chunk.
///
/// # Errors
/// Bytes that are no segment, paths that climb, entries out of order.
pub fn decode_segment(bytes: &[u8]) -> Result<Vec<Stored>, Malformed> {
    let mut input = Decoder::new(bytes);
    let mut entries: Vec<Stored> = Vec::new();
    let mut paths = 0;
    while !input.is_empty() {
        let before = entries.last().map_or(&[][..], |entry| &entry.node.path);
        let entry = decode_entry(before, &mut input)?;
        if entries.last().is_some_and(|last| backstop_model::tree::compare(&last.node.path, &entry.node.path).is_ge()) {
            return Err(Malformed("entries out of order"));
        }
        paths += entry.node.path.len();
        if paths > PATHS_MAX {
            return Err(Malformed("paths too long together"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The chunks an entry's contents name directly: data chunks, or the chunks of its lists.
pub(crate) fn direct_chunks(contents: &Contents) -> impl Iterator<Item = ChunkId> + '_ {
    let (extents, lists): (&[Extent], &[(ChunkId, u64)]) = match contents {
        Contents::Extents(extents) => (extents, &[]),
        Contents::Lists(lists) => (&[], lists),
    };
    extents
        .iter()
        .filter_map(|extent| match extent {
            Extent::Chunk { id, .. } => Some(*id),
            Extent::Hole { .. } => None,
        })
        .chain(lists.iter().map(|(id, _)| *id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &[u8], n: u8) -> Stored {
        let extents = vec![Extent::Chunk { id: ChunkId([n; 32]), length: 100 }, Extent::Hole { length: 1 << 40 }];
        let meta = Meta {
            mode: 0o4755,
            uid: 7,
            gid: 8,
            mtime: (-5, 999_999_999),
            ctime: (1 << 33, 1),
            inode: 99,
            device: if n.is_multiple_of(2) { 3 } else { 0 },
            links: if n.is_multiple_of(2) { 2 } else { 1 },
            xattrs: vec![(b"user.x".to_vec(), vec![n; 3])],
        };
        let kind = NodeKind::File { size: 100 + (1 << 40), cut: Cut::Blocks };
        Stored { node: Node { path: path.to_vec(), kind, meta }, contents: Contents::Extents(extents), torn: n == 4 }
    }

    fn build(entries: &[Stored]) -> (Vec<Vec<u8>>, Vec<ChunkId>) {
        let mut chunks = Vec::new();
        let mut emit = |bytes: &[u8]| {
            chunks.push(bytes.to_vec());
            Ok::<_, ()>(ChunkId(*blake3::hash(bytes).as_bytes()))
        };
        let mut builder = Builder::default();
        for entry in entries {
            builder.push(entry, &mut emit).expect("emit does not fail");
        }
        let branches = builder.finish(&mut emit).expect("emit does not fail");
        (chunks, branches)
    }

    fn tree(count: u32) -> Vec<Stored> {
        (0..count).map(|n| file(format!("srv/docs/f{n:06}").as_bytes(), n as u8)).collect()
    }

    #[test]
    fn a_manifest_reads_back_entry_by_entry() {
        let entries = tree(5000);
        let (chunks, branches) = build(&entries);
        let by_id = |id: &ChunkId| chunks.iter().find(|c| ChunkId(*blake3::hash(c).as_bytes()) == *id).expect("there");
        let mut read = Vec::new();
        for branch in &branches {
            for segment in decode_branch(by_id(branch)).expect("a branch") {
                let inside = decode_segment(by_id(&segment.id)).expect("a segment");
                assert_eq!(inside.len() as u64, segment.entries);
                assert_eq!(inside[0].node.path, segment.first);
                read.extend(inside);
            }
        }
        assert_eq!(read, entries);
    }

    #[test]
    fn one_changed_entry_changes_one_segment_and_one_branch() {
        let mut entries = tree(5000);
        let (before, _) = build(&entries);
        entries[2500].node.meta.mtime.0 += 1;
        entries.remove(4000);
        let (after, _) = build(&entries);
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!(new <= 3, "two segments and a branch, not {new} chunks of {}", after.len());
        assert!(after.len() > 8, "the tree spans several segments");
    }

    #[test]
    fn changes_scattered_over_a_tree_leave_much_of_the_manifest_as_it_was() {
        let mut entries = tree(5000);
        let (before, _) = build(&entries);
        entries.iter_mut().step_by(50).for_each(|entry| entry.node.meta.mtime.0 += 1);
        let (after, _) = build(&entries);
        let bytes = |chunks: &mut dyn Iterator<Item = &Vec<u8>>| chunks.map(Vec::len).sum::<usize>();
        let (new, all) = (bytes(&mut after.iter().filter(|c| !before.contains(c))), bytes(&mut after.iter()));
        assert!(new * 10 < all * 6, "{new} of {all} bytes are new");
    }

    #[test]
    fn a_path_that_climbs_out_does_not_decode() {
        for path in [&b"../etc/passwd"[..], b"a//b", b"a/./b", b"/a", b"a/", b"a\0b"] {
            let mut out = Encoder::default();
            encode_entry(b"", &file(path, 1), &mut out);
            assert!(decode_segment(&out.bytes).is_err(), "{path:?}");
        }
    }

    fn segment() -> Vec<u8> {
        build(&tree(40)).0.swap_remove(0)
    }

    fn branch() -> Vec<u8> {
        build(&tree(3000)).0.pop().expect("the last chunk is a branch")
    }

    #[test]
    fn a_short_segment_cannot_claim_much_memory() {
        let mut out = Encoder::default();
        let mut before = Vec::new();
        for n in 0..30u32 {
            let mut path = vec![b'a'; PATH_MAX - 4];
            path.extend(format!("{n:04}").bytes());
            let mut entry = file(&path, 1);
            entry.contents = Contents::Extents(vec![Extent::Hole { length: 100 + (1 << 40) }]);
            encode_entry(&before, &entry, &mut out);
            before = path;
        }
        assert!(out.bytes.len() < 3 << 20 && decode_segment(&out.bytes).is_err());
        let mut out = Encoder::default();
        out.number(LIST_MAX as u64 + 1);
        out.raw(&vec![1; LIST_MAX + 1]);
        assert!(decode_list(&out.bytes).is_err());
    }

    proptest! {
        #[test]
        fn mutated_manifests_decode_or_fail(
            segment in crate::tests::mutated(segment()),
            branch in crate::tests::mutated(branch()),
        ) {
            if let Ok(entries) = decode_segment(&segment) {
                for entry in entries {
                    let size = match entry.node.kind { NodeKind::File { size, .. } => size, _ => 0 };
                    if let Contents::Extents(extents) = &entry.contents {
                        prop_assert_eq!(extents.iter().map(Extent::length).sum::<u64>(), size);
                    }
                }
            }
            let _ = decode_branch(&branch);
            let _ = decode_list(&segment);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>) {
            let _ = decode_segment(&bytes);
            let _ = decode_branch(&bytes);
            let _ = decode_list(&bytes);
        }
    }
}
