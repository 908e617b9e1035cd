//! Where chunks are: index objects on the store, one table in memory.
//!
//! An index object lists packs with their blocks and chunks in pack order. Only the first 16 bytes of a chunk id are
//! kept: ids come from a keyed hash, so a clash of 128 bits would take 2^64 chunks, and what is read is compared with
//! the whole id anyway. In memory all chunks stand in one array by position; a table of 4-byte positions, addressed
//! by the id, finds them. That is about 29 bytes a chunk: 20 million take under 600 MB and are found in two cache misses.

use crate::code::{Decoder, Encoder, Malformed};
use crate::id::{ChunkId, ObjectId};
use crate::pack::{BLOCK_MAX, Directory, Origin};
use crate::seal::{HEADER, TAG};

/// The part of a chunk id that the index keeps.
pub type Key = [u8; 16];

/// The key of a chunk.
#[must_use]
pub fn key_of(id: &ChunkId) -> Key {
    *id.0.first_chunk().expect("an id has 32 bytes")
}

/// One pack as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRow {
    /// Its name.
    pub id: ObjectId,
    /// Its length.
    pub size: u64,
    /// Position of its first block.
    pub first_block: u32,
    /// How many blocks it has.
    pub blocks: u32,
    /// Marked for removal: readable, but nothing new may rely on it.
    pub marked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockRow {
    first_chunk: u32,
    pack: u32,
    offset: u32,
    sealed: u32,
    /// Plain length and, in the top bit, whether it is compressed.
    plain: u32,
    seal: u32,
    counter: u32,
}

const COMPRESSED: u32 = 1 << 31;

/// A block as needed to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockAt {
    /// Position of the pack in [`Index::packs`].
    pub pack: u32,
    /// Position of the block in the index.
    pub block: u32,
    /// Where its sealed bytes begin in the pack.
    pub offset: u32,
    /// Their length.
    pub sealed: u32,
    /// Length once decompressed.
    pub plain: u32,
    /// Whether it is a zstd frame.
    pub compressed: bool,
    /// Under what it is sealed.
    pub origin: Origin,
}

/// A chunk's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkAt {
    /// Position in the index, dense from 0: usable in bit sets.
    pub position: u32,
    /// Position of its block.
    pub block: u32,
    /// Length in bytes.
    pub length: u32,
}

/// All chunks of a vault.
#[derive(Debug, Clone, Default)]
pub struct Index {
    keys: Vec<Key>,
    lengths: Vec<u32>,
    blocks: Vec<BlockRow>,
    seals: Vec<(u32, [u8; 32])>,
    /// All packs.
    pub packs: Vec<PackRow>,
    /// Position + 1 of a chunk, 0 for none; a power of two long, at most two thirds full.
    table: Vec<u32>,
}

impl Index {
    /// Makes room for about so many chunks, so that growing never copies a large index.
    pub fn reserve(&mut self, chunks: usize) {
        self.keys.reserve(chunks);
        self.lengths.reserve(chunks);
        self.grow_table(self.keys.len() + chunks);
    }

    /// How many chunks there are, duplicates included.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.keys.len()
    }

    /// Finds a chunk.
    #[must_use]
    pub fn find(&self, id: &ChunkId) -> Option<ChunkAt> {
        let position = self.position(&key_of(id))?;
        Some(ChunkAt { position, block: self.block_of(position), length: self.lengths[position as usize] })
    }

    /// Whether a new snapshot may rely on a chunk: present, in a pack that is not marked for removal.
    #[must_use]
    pub fn may_rely_on(&self, id: &ChunkId) -> bool {
        let Some(position) = self.position(&key_of(id)) else { return false };
        let block = self.block_of(position);
        !self.packs[self.blocks[block as usize].pack as usize].marked
    }

    fn slot(&self, key: &Key) -> usize {
        let word = u64::from_le_bytes(*key.first_chunk().expect("a key has 16 bytes"));
        word as usize & (self.table.len() - 1)
    }

    fn position(&self, key: &Key) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        let mut slot = self.slot(key);
        loop {
            match self.table[slot] {
                0 => return None,
                found if self.keys[found as usize - 1] == *key => return Some(found - 1),
                _ => slot = (slot + 1) & (self.table.len() - 1),
            }
        }
    }

    /// The block that holds the chunk at a position.
    #[must_use]
    pub fn block_at(&self, position: u32) -> u32 {
        self.block_of(position)
    }

    fn block_of(&self, position: u32) -> u32 {
        (self.blocks.partition_point(|block| block.first_chunk <= position) - 1) as u32
    }

    /// A block by position.
    #[must_use]
    pub fn block(&self, block: u32) -> BlockAt {
        let row = &self.blocks[block as usize];
        let (epoch, salt) = self.seals[row.seal as usize];
        BlockAt {
            pack: row.pack,
            block,
            offset: row.offset,
            sealed: row.sealed,
            plain: row.plain & !COMPRESSED,
            compressed: row.plain & COMPRESSED != 0,
            origin: Origin { epoch, salt, counter: row.counter },
        }
    }

    /// Positions of the chunks of a block.
    #[must_use]
    pub fn chunks_of(&self, block: u32) -> std::ops::Range<u32> {
        let first = self.blocks[block as usize].first_chunk;
        let end = self.blocks.get(block as usize + 1).map_or(self.keys.len() as u32, |next| next.first_chunk);
        first..end
    }

    /// Key and length of the chunk at a position.
    #[must_use]
    pub fn chunk(&self, position: u32) -> (Key, u32) {
        (self.keys[position as usize], self.lengths[position as usize])
    }

    /// Where a chunk stands inside its plain block.
    #[must_use]
    pub fn offset_in_block(&self, at: ChunkAt) -> usize {
        let first = self.blocks[at.block as usize].first_chunk as usize;
        self.lengths[first..at.position as usize].iter().map(|length| *length as usize).sum()
    }

    /// Adds a pack.
    pub fn add_pack(&mut self, id: ObjectId, size: u64, directory: &Directory) {
        self.begin_pack(id, size);
        for block in &directory.blocks {
            self.begin_block(block.sealed, block.plain, block.compressed, block.origin);
            for (chunk, length) in &block.chunks {
                self.add_chunk(key_of(chunk), *length);
            }
        }
    }

    fn begin_pack(&mut self, id: ObjectId, size: u64) {
        self.packs.push(PackRow { id, size, first_block: self.blocks.len() as u32, blocks: 0, marked: false });
    }

    fn begin_block(&mut self, sealed: u32, plain: u32, compressed: bool, origin: Origin) {
        let pack = self.packs.last_mut().expect("a pack was begun");
        let offset = match pack.blocks {
            0 => HEADER as u32,
            _ => self.blocks.last().map_or(HEADER as u32, |last| last.offset.saturating_add(last.sealed)),
        };
        pack.blocks += 1;
        let seal = (origin.epoch, origin.salt);
        if self.seals.last() != Some(&seal) {
            self.seals.push(seal);
        }
        self.blocks.push(BlockRow {
            first_chunk: self.keys.len() as u32,
            pack: self.packs.len() as u32 - 1,
            offset,
            sealed,
            plain: plain | if compressed { COMPRESSED } else { 0 },
            seal: self.seals.len() as u32 - 1,
            counter: origin.counter,
        });
    }

    fn add_chunk(&mut self, key: Key, length: u32) {
        self.grow_table(self.keys.len() + 1);
        let position = u32::try_from(self.keys.len()).expect("fewer than 2^32 chunks");
        self.keys.push(key);
        self.lengths.push(length);
        let mut slot = self.slot(&key);
        loop {
            match self.table[slot] {
                0 => {
                    self.table[slot] = position + 1;
                    return;
                }
                // The same chunk twice: two backups ran side by side. The first copy serves until its pack is marked.
                found if self.keys[found as usize - 1] == key => return,
                _ => slot = (slot + 1) & (self.table.len() - 1),
            }
        }
    }

    fn grow_table(&mut self, chunks: usize) {
        let needed = (chunks + chunks / 2 + 8).next_power_of_two();
        if needed <= self.table.len() {
            return;
        }
        self.table = vec![0; needed];
        for position in 0..self.keys.len() {
            let key = self.keys[position];
            let mut slot = self.slot(&key);
            while self.table[slot] != 0 && self.keys[self.table[slot] as usize - 1] != key {
                slot = (slot + 1) & (self.table.len() - 1);
            }
            if self.table[slot] == 0 {
                self.table[slot] = position as u32 + 1;
            }
        }
    }

    /// Marks packs for removal and lets second copies of their chunks, if any, take over.
    pub fn mark(&mut self, marked: impl Fn(&ObjectId) -> bool) {
        let mut any = false;
        for pack in &mut self.packs {
            pack.marked = marked(&pack.id);
            any |= pack.marked;
        }
        if !any {
            return;
        }
        for block in 0..self.blocks.len() as u32 {
            if self.packs[self.blocks[block as usize].pack as usize].marked {
                continue;
            }
            for position in self.chunks_of(block) {
                let key = self.keys[position as usize];
                let mut slot = self.slot(&key);
                while self.table[slot] != 0 && self.keys[self.table[slot] as usize - 1] != key {
                    slot = (slot + 1) & (self.table.len() - 1);
                }
                let holder = self.table[slot];
                let replace = holder == 0 || {
                    let block = self.block_of(holder - 1);
                    self.packs[self.blocks[block as usize].pack as usize].marked
                };
                if replace {
                    self.table[slot] = position + 1;
                }
            }
        }
    }

    /// Writes the given packs of this index as the record of one index object that replaces `superseded`.
    #[must_use]
    pub fn encode(&self, packs: impl Iterator<Item = u32>, superseded: &[ObjectId]) -> Vec<u8> {
        let packs: Vec<u32> = packs.collect();
        let mut out = Encoder::default();
        out.number(superseded.len() as u64);
        superseded.iter().for_each(|id| out.raw(&id.0));
        out.number(packs.len() as u64);
        for number in packs {
            let pack = &self.packs[number as usize];
            out.raw(&pack.id.0);
            out.number(pack.size);
            out.number(u64::from(pack.blocks));
            let mut before = None;
            for block in pack.first_block..pack.first_block + pack.blocks {
                let row = &self.blocks[block as usize];
                // A block's seal is written only where it differs from that of the block before.
                let changed = before != Some(row.seal);
                before = Some(row.seal);
                out.number(u64::from(row.sealed));
                out.number(u64::from(row.plain & !COMPRESSED));
                out.number(u64::from(row.plain & COMPRESSED != 0) | u64::from(changed) << 1);
                if changed {
                    let (epoch, salt) = self.seals[row.seal as usize];
                    out.number(u64::from(epoch));
                    out.raw(&salt);
                }
                out.number(u64::from(row.counter));
                let chunks = self.chunks_of(block);
                out.number(chunks.len() as u64);
                for position in chunks {
                    out.raw(&self.keys[position as usize]);
                    out.number(u64::from(self.lengths[position as usize]));
                }
            }
        }
        out.bytes
    }

    /// Adds what an index object lists; returns the index objects it replaces. Packs known already are passed over.
    ///
    /// # Errors
    /// Bytes that are no index record; the index is then as before.
    pub fn decode_into(&mut self, plain: &[u8]) -> Result<Vec<ObjectId>, Malformed> {
        // First a walk that changes nothing, so that a malformed record cannot leave half of itself behind.
        let superseded = walk(plain, &mut Nobody)?;
        let known: std::collections::HashSet<ObjectId> = self.packs.iter().map(|pack| pack.id).collect();
        walk(plain, &mut Into { index: self, known, skip: false })?;
        Ok(superseded)
    }
}

/// Receives an index record piece by piece.
trait Sink {
    fn pack(&mut self, id: ObjectId, size: u64);
    fn block(&mut self, sealed: u32, plain: u32, compressed: bool, origin: Origin);
    fn chunk(&mut self, key: Key, length: u32);
}

struct Nobody;

impl Sink for Nobody {
    fn pack(&mut self, _: ObjectId, _: u64) {}
    fn block(&mut self, _: u32, _: u32, _: bool, _: Origin) {}
    fn chunk(&mut self, _: Key, _: u32) {}
}

struct Into<'a> {
    index: &'a mut Index,
    known: std::collections::HashSet<ObjectId>,
    skip: bool,
}

impl Sink for Into<'_> {
    fn pack(&mut self, id: ObjectId, size: u64) {
        self.skip = !self.known.insert(id);
        if !self.skip {
            self.index.begin_pack(id, size);
        }
    }
    fn block(&mut self, sealed: u32, plain: u32, compressed: bool, origin: Origin) {
        if !self.skip {
            self.index.begin_block(sealed, plain, compressed, origin);
        }
    }
    fn chunk(&mut self, key: Key, length: u32) {
        if !self.skip {
            self.index.add_chunk(key, length);
        }
    }
}

fn walk(plain: &[u8], sink: &mut impl Sink) -> Result<Vec<ObjectId>, Malformed> {
    let mut input = Decoder::new(plain);
    let superseded = input.count(32)?;
    let superseded = (0..superseded).map(|_| input.array().map(ObjectId)).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..input.count(34)? {
        sink.pack(ObjectId(input.array()?), input.number()?);
        let mut seal = None;
        for _ in 0..input.count(5)? {
            let sealed: u32 = input.small()?;
            let plain: u32 = input.small()?;
            let flags = input.number()?;
            if flags > 3 || plain as usize > BLOCK_MAX || (sealed as usize) < TAG {
                return Err(Malformed("not a block"));
            }
            if flags & 2 != 0 {
                seal = Some((input.small()?, input.array()?));
            }
            let (epoch, salt) = seal.ok_or(Malformed("a block without seal"))?;
            let counter = input.small()?;
            sink.block(sealed, plain, flags & 1 != 0, Origin { epoch, salt, counter });
            let mut total = 0u64;
            for _ in 0..input.count(17)? {
                let key = input.array()?;
                let length: u32 = input.small()?;
                total += u64::from(length);
                sink.chunk(key, length);
            }
            if total != u64::from(plain) {
                return Err(Malformed("block lengths do not add up"));
            }
        }
    }
    if input.is_empty() { Ok(superseded) } else { Err(Malformed("bytes left over")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Block;
    use proptest::prelude::*;

    fn id(n: u64) -> ChunkId {
        ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn directory(from: u64, blocks: u64, per_block: u64) -> Directory {
        let origin = |b| Origin { epoch: 1, salt: [from as u8; 32], counter: b as u32 };
        let block = |b: u64| Block {
            offset: 48 + b as u32 * 100,
            sealed: 100,
            plain: per_block as u32 * 10,
            compressed: b % 2 == 0,
            origin: origin(b),
            chunks: (0..per_block).map(|c| (id(from + b * per_block + c), 10)).collect(),
        };
        Directory { blocks: (0..blocks).map(block).collect() }
    }

    #[test]
    fn every_chunk_is_found_where_it_was_put_after_a_round_trip() {
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), 1000, &directory(0, 20, 7));
        index.add_pack(ObjectId([2; 32]), 2000, &directory(1000, 3, 50));
        let record = index.encode(0..2, &[ObjectId([9; 32])]);
        let mut read = Index::default();
        assert_eq!(read.decode_into(&record), Ok(vec![ObjectId([9; 32])]));
        assert_eq!(read.decode_into(&record), Ok(vec![ObjectId([9; 32])]), "known packs are passed over");
        assert_eq!(read.chunks(), 290);
        for n in 0..140 {
            let at = read.find(&id(n)).expect("present");
            let block = read.block(at.block);
            assert_eq!((u64::from(block.origin.counter), block.pack), (n / 7, 0));
            assert_eq!(read.offset_in_block(at), (n % 7) as usize * 10);
            assert_eq!(block.offset, 48 + (n / 7) as u32 * 100);
            assert_eq!(block.compressed, (n / 7) % 2 == 0);
        }
        assert!(read.find(&id(5000)).is_none());
    }

    #[test]
    fn nothing_new_relies_on_a_marked_pack_unless_a_second_copy_exists() {
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), 1000, &directory(0, 2, 5));
        index.add_pack(ObjectId([2; 32]), 1000, &directory(5, 1, 5));
        index.mark(|pack| *pack == ObjectId([1; 32]));
        assert!(!index.may_rely_on(&id(0)));
        assert!(index.find(&id(0)).is_some(), "still readable");
        assert!(index.may_rely_on(&id(7)), "its second copy takes over");
    }

    proptest! {
        #[test]
        fn any_record_decodes_or_fails_and_failing_changes_nothing(bytes: Vec<u8>) {
            let mut index = Index::default();
            if index.decode_into(&bytes).is_err() {
                prop_assert_eq!(index.chunks(), 0);
                prop_assert!(index.packs.is_empty());
            }
        }
    }
}
