//! Packs: chunks in sealed blocks, with a directory at the end.
//!
//! ```text
//! header (48) │ block │ block │ … │ directory │ trailer (16)
//! ```
//! A block is one or more chunks joined, compressed if that pays, sealed. Small chunks share a block of about 1 MiB:
//! compression sees more, deduplication still works chunk by chunk. The directory names every chunk, so a lost index
//! is rebuilt from the ends of the packs alone. A block that a prune moved here stays sealed as it was; the directory
//! says under which header and counter.

use crate::code::{Decoder, Encoder, Malformed};
use crate::id::{ChunkId, ObjectId};
use crate::keyring::Ring;
use crate::seal::{HEADER, Header, Kind, Role, Seal, TAG};

/// A block's plain bytes never exceed this: the largest chunk plus a nearly full block.
pub const BLOCK_MAX: usize = 8 << 20;
const TRAILER: usize = 16;
const TRAILER_MAGIC: &[u8; 8] = b"BSTOPEND";

/// Where a block's bytes came from before sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The epoch of the pack it was first sealed in.
    pub epoch: u32,
    /// That pack's salt.
    pub salt: [u8; 32],
    /// Its counter there.
    pub counter: u32,
}

/// A block in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where its sealed bytes begin in the pack.
    pub offset: u32,
    /// Length of the sealed bytes, tag included.
    pub sealed: u32,
    /// Length once opened and decompressed.
    pub plain: u32,
    /// Whether it is a zstd frame.
    pub compressed: bool,
    /// Under what it is sealed.
    pub origin: Origin,
    /// The chunks joined in it, in order, with their lengths.
    pub chunks: Vec<(ChunkId, u32)>,
}

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// A block ready to be placed: compressed or not, not yet sealed.
#[derive(Debug)]
pub struct LooseBlock<'a> {
    /// The bytes to seal.
    pub payload: &'a [u8],
    /// Whether `payload` is a zstd frame.
    pub compressed: bool,
    /// Length once decompressed.
    pub plain: u32,
    /// The chunks joined in it.
    pub chunks: Vec<(ChunkId, u32)>,
}

/// A pack being filled in memory.
pub struct Builder {
    header: Header,
    seal: Seal,
    bytes: Vec<u8>,
    directory: Directory,
    counter: u32,
}

/// A pack complete with directory and name.
#[derive(Debug)]
pub struct Finished {
    /// Its name.
    pub id: ObjectId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it holds.
    pub directory: Directory,
}

impl Builder {
    /// An empty pack. `buffer` is reused for its bytes.
    #[must_use]
    pub fn new(ring: &Ring, salt: [u8; 32], mut buffer: Vec<u8>) -> Self {
        let header = Header { kind: Kind::Pack, epoch: ring.newest_epoch(), salt };
        let seal = Seal::new(ring, &header).expect("the newest epoch is in the ring");
        buffer.clear();
        buffer.extend_from_slice(&header.encode());
        Self { header, seal, bytes: buffer, directory: Directory::default(), counter: 0 }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directory.blocks.is_empty()
    }

    /// Seals a block at the end.
    pub fn add(&mut self, block: LooseBlock<'_>) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(block.payload);
        self.seal.close(u64::from(self.counter), Role::Body, &mut self.bytes, offset);
        let origin = Origin { epoch: self.header.epoch, salt: self.header.salt, counter: self.counter };
        self.counter += 1;
        self.list(offset, block.plain, block.compressed, origin, block.chunks);
    }

    /// Places a block that is sealed already, byte for byte.
    pub fn move_in(&mut self, sealed: &[u8], block: &Block) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(sealed);
        self.list(offset, block.plain, block.compressed, block.origin, block.chunks.clone());
    }

    fn list(&mut self, offset: usize, plain: u32, compressed: bool, origin: Origin, chunks: Vec<(ChunkId, u32)>) {
        let small = |length: usize| u32::try_from(length).expect("packs stay far below 4 GiB");
        let (sealed, offset) = (small(self.bytes.len() - offset), small(offset));
        self.directory.blocks.push(Block { offset, sealed, plain, compressed, origin, chunks });
    }

    /// Seals the directory and names the pack.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let mut out = Encoder::default();
        self.directory.encode(&self.header, &mut out);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&out.bytes);
        self.seal.close(0, Role::Last, &mut self.bytes, at);
        let length = u32::try_from(self.bytes.len() - at).expect("packs stay far below 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(TRAILER_MAGIC);
        Finished { id: ObjectId::of(&self.bytes), bytes: self.bytes, directory: self.directory }
    }
}

impl Directory {
    fn encode(&self, own: &Header, out: &mut Encoder) {
        let mut seals: Vec<(u32, [u8; 32])> = vec![(own.epoch, own.salt)];
        for block in &self.blocks {
            let seal = (block.origin.epoch, block.origin.salt);
            if !seals.contains(&seal) {
                seals.push(seal);
            }
        }
        out.number(seals.len() as u64 - 1);
        for (epoch, salt) in &seals[1..] {
            out.number(u64::from(*epoch));
            out.raw(salt);
        }
        out.number(self.blocks.len() as u64);
        for block in &self.blocks {
            let seal = seals.iter().position(|s| *s == (block.origin.epoch, block.origin.salt)).expect("listed above");
            out.number(u64::from(block.sealed));
            out.number(u64::from(block.plain));
            out.number(u64::from(block.compressed));
            out.number(seal as u64);
            out.number(u64::from(block.origin.counter));
            out.number(block.chunks.len() as u64);
            for (id, length) in &block.chunks {
                out.raw(&id.0);
                out.number(u64::from(*length));
            }
        }
    }

    fn decode(own: &Header, plain: &[u8]) -> Result<Self, Malformed> {
        let mut input = Decoder::new(plain);
        let foreign = input.count(33)?;
        let mut seals = vec![(own.epoch, own.salt)];
        for _ in 0..foreign {
            seals.push((input.small()?, input.array()?));
        }
        let count = input.count(6)?;
        let mut blocks = Vec::with_capacity(count);
        let mut offset = u32::try_from(HEADER).expect("a small constant");
        for _ in 0..count {
            let sealed: u32 = input.small()?;
            let plain: u32 = input.small()?;
            let compressed = match input.number()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed("unknown compression")),
            };
            let seal: usize = input.small()?;
            let (epoch, salt) = *seals.get(seal).ok_or(Malformed("unknown seal"))?;
            let counter = input.small()?;
            let inside = input.count(33)?;
            let mut chunks = Vec::with_capacity(inside);
            let mut total = 0u64;
            for _ in 0..inside {
                let id = ChunkId(input.array()?);
                let length: u32 = input.small()?;
                total += u64::from(length);
                chunks.push((id, length));
            }
            if total != u64::from(plain) || plain as usize > BLOCK_MAX || (sealed as usize) < TAG {
                return Err(Malformed("block lengths do not add up"));
            }
            blocks.push(Block { offset, sealed, plain, compressed, origin: Origin { epoch, salt, counter }, chunks });
            offset = offset.checked_add(sealed).ok_or(Malformed("pack too long"))?;
        }
        if !input.is_empty() {
            return Err(Malformed("bytes left over"));
        }
        Ok(Self { blocks })
    }
}

/// How many bytes at the end of a pack of `size` bytes to fetch for a first look at its directory.
#[must_use]
pub fn tail_guess(size: u64) -> u64 {
    (size / 64).clamp(64 << 10, 4 << 20).min(size)
}

/// What the end of a pack says.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    /// The directory.
    Directory(Directory),
    /// The directory is longer than what was given: come again with so many bytes from the end.
    More(u64),
}

/// Reads the directory from the last bytes of a pack. `head` is the first 48 bytes.
///
/// # Errors
/// What does not fit, in words.
pub fn read_tail(ring: &Ring, head: &[u8], tail: &[u8], size: u64) -> Result<Tail, String> {
    let header = Header::decode(head, Kind::Pack).map_err(|bad| format!("it is not a pack ({bad:?})"))?;
    let trailer: &[u8; TRAILER] = tail.last_chunk().ok_or("it is too short")?;
    if &trailer[8..] != TRAILER_MAGIC {
        return Err("it is cut off: the end mark is missing".to_owned());
    }
    let length = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]);
    let needed = u64::from(length) + TRAILER as u64;
    if needed + HEADER as u64 > size {
        return Err("its directory is longer than the pack".to_owned());
    }
    let Some(from) = (tail.len() as u64).checked_sub(needed) else { return Ok(Tail::More(needed)) };
    let seal = Seal::new(ring, &header).ok_or("it is sealed under a key this slot does not hold")?;
    let mut plain = Vec::new();
    let sealed = &tail[from as usize..tail.len() - TRAILER];
    seal.open(0, Role::Last, sealed, &mut plain).ok_or("its directory does not authenticate")?;
    let directory = Directory::decode(&header, &plain).map_err(|why| format!("its directory: {}", why.0))?;
    let end = directory.blocks.last().map_or(HEADER as u64, |b| u64::from(b.offset) + u64::from(b.sealed));
    if end + needed != size {
        return Err("its length does not match its directory".to_owned());
    }
    Ok(Tail::Directory(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(ring: &Ring) -> Finished {
        let mut pack = Builder::new(ring, [3; 32], Vec::new());
        for n in 0..5u8 {
            let chunks = vec![(ChunkId([n; 32]), 10), (ChunkId([n + 100; 32]), 20)];
            pack.add(LooseBlock { payload: &[n; 30], compressed: false, plain: 30, chunks });
        }
        pack.finish()
    }

    #[test]
    fn the_directory_reads_back_from_the_end_of_the_pack() {
        let ring = Ring::for_tests(1);
        let pack = sample(&ring);
        let size = pack.bytes.len() as u64;
        let head = &pack.bytes[..HEADER];
        assert_eq!(read_tail(&ring, head, &pack.bytes, size), Ok(Tail::Directory(pack.directory.clone())));
        let short = &pack.bytes[pack.bytes.len() - 20..];
        let Ok(Tail::More(needed)) = read_tail(&ring, head, short, size) else { panic!("asks for more") };
        let tail = &pack.bytes[pack.bytes.len() - needed as usize..];
        assert_eq!(read_tail(&ring, head, tail, size), Ok(Tail::Directory(pack.directory)));
    }

    #[test]
    fn a_moved_block_opens_under_the_seal_of_its_first_pack() {
        let ring = Ring::for_tests(1);
        let old = sample(&ring);
        let block = &old.directory.blocks[2];
        let sealed = &old.bytes[block.offset as usize..(block.offset + block.sealed) as usize];
        let mut pack = Builder::new(&ring, [9; 32], Vec::new());
        pack.move_in(sealed, block);
        let new = pack.finish();
        let size = new.bytes.len() as u64;
        let Ok(Tail::Directory(directory)) = read_tail(&ring, &new.bytes[..HEADER], &new.bytes, size) else {
            panic!("reads")
        };
        let moved = &directory.blocks[0];
        let header = Header { kind: Kind::Pack, epoch: moved.origin.epoch, salt: moved.origin.salt };
        let mut plain = Vec::new();
        let bytes = &new.bytes[moved.offset as usize..(moved.offset + moved.sealed) as usize];
        let seal = Seal::new(&ring, &header).expect("known epoch");
        assert!(seal.open(u64::from(moved.origin.counter), Role::Body, bytes, &mut plain).is_some());
        assert_eq!(plain, vec![2; 30]);
    }

    fn encoded() -> Vec<u8> {
        let ring = Ring::for_tests(1);
        let own = Header { kind: Kind::Pack, epoch: 1, salt: [4; 32] };
        let mut out = Encoder::default();
        sample(&ring).directory.encode(&own, &mut out);
        out.bytes
    }

    proptest! {
        #[test]
        fn mutated_directories_decode_or_fail(bytes in crate::tests::mutated(encoded())) {
            let own = Header { kind: Kind::Pack, epoch: 1, salt: [4; 32] };
            if let Ok(directory) = Directory::decode(&own, &bytes) {
                for block in directory.blocks {
                    prop_assert!(block.offset.checked_add(block.sealed).is_some());
                    let total: u64 = block.chunks.iter().map(|(_, length)| u64::from(*length)).sum();
                    prop_assert!(total == u64::from(block.plain) && block.plain as usize <= BLOCK_MAX);
                }
            }
        }

        #[test]
        fn mutated_packs_read_or_fail(bytes in crate::tests::mutated(sample(&Ring::for_tests(1)).bytes)) {
            let head = &bytes[..bytes.len().min(HEADER)];
            let read = read_tail(&Ring::for_tests(1), head, &bytes, bytes.len() as u64);
            if let Ok(Tail::More(needed)) = read {
                prop_assert!(needed <= bytes.len() as u64);
            }
        }

        #[test]
        fn any_directory_bytes_decode_or_fail(bytes: Vec<u8>) {
            let own = Header { kind: Kind::Pack, epoch: 1, salt: [0; 32] };
            let _ = Directory::decode(&own, &bytes);
            let _ = read_tail(&Ring::for_tests(1), &bytes, &bytes, bytes.len() as u64);
        }
    }
}
