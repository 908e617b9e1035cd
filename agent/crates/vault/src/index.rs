//! Where chunks are: index objects on the store, one table in memory.
//!
//! An index object lists packs with their blocks and chunks in pack order. Only the first 16 bytes of a chunk id are
//! kept: ids come from a keyed hash, so a clash of 128 bits would take 2^64 chunks, and what is read is compared with
//! the whole id anyway. In memory all chunks stand in one array by position; a table of 4-byte positions, addressed
//! by the id, finds them. That is about 29 bytes a chunk: 20 million take under 600 MB and are found in two cache misses.

use std::collections::HashMap;
use std::ops::Range;

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
    /// How far it can be trusted to stay.
    pub standing: Standing,
}

/// Whether new snapshots may rely on a pack. Ordered: of several copies of a chunk the one in the best pack is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Here to stay.
    Sound,
    /// Marked for removal: readable, but nothing new may rely on it.
    Marked,
    /// Listed but not there: removed while another process rewrote the index, or lost.
    Missing,
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

/// All chunks of a vault. Packs are added first; [`Index::settle`] then makes chunks findable.
#[derive(Debug, Clone, Default)]
pub struct Index {
    keys: Vec<Key>,
    lengths: Vec<u32>,
    blocks: Vec<BlockRow>,
    seals: Vec<(u32, [u8; 32])>,
    /// All packs.
    pub packs: Vec<PackRow>,
    by_id: HashMap<ObjectId, u32>,
    /// Position + 1 of a chunk, 0 for none; a power of two long, at most two thirds full.
    table: Vec<u32>,
}

/// What one index object says, not yet part of an index: reading it needs no index, so several are read at once.
#[derive(Debug, Default)]
pub struct Record {
    /// Index objects that it replaces. For people who look into a vault; readers read whatever objects there are.
    pub superseded: Vec<ObjectId>,
    packs: Vec<(ObjectId, u64, u32)>,
    /// Blocks as in the index, with positions counted within the record; `pack` is not set.
    blocks: Vec<BlockRow>,
    seals: Vec<(u32, [u8; 32])>,
    keys: Vec<Key>,
    lengths: Vec<u32>,
}

/// Chunks are entered in the table this many at a time, their slots read ahead: the loads then overlap.
const AHEAD: usize = 32;

impl Index {
    /// Makes room for about so many chunks, so that growing never copies a large index.
    pub fn reserve(&mut self, chunks: usize) {
        self.keys.reserve(chunks);
        self.lengths.reserve(chunks);
    }

    /// How many chunks there are, duplicates included.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.keys.len()
    }

    /// Position of a pack.
    #[must_use]
    pub fn pack(&self, id: &ObjectId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Finds a chunk.
    #[must_use]
    pub fn find(&self, id: &ChunkId) -> Option<ChunkAt> {
        let position = self.position(&key_of(id))?;
        Some(ChunkAt { position, block: self.block_of(position), length: self.lengths[position as usize] })
    }

    /// Whether a new snapshot may rely on a chunk: present, in a pack that is here to stay.
    #[must_use]
    pub fn may_rely_on(&self, id: &ChunkId) -> bool {
        self.position(&key_of(id)).is_some_and(|position| self.standing(position) == Standing::Sound)
    }

    fn standing(&self, position: u32) -> Standing {
        self.packs[self.blocks[self.block_of(position) as usize].pack as usize].standing
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
    pub fn chunks_of(&self, block: u32) -> Range<u32> {
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
        if !self.begin_pack(id, size) {
            return;
        }
        for block in &directory.blocks {
            let plain = block.plain | if block.compressed { COMPRESSED } else { 0 };
            self.begin_block(block.sealed, plain, (block.origin.epoch, block.origin.salt), block.origin.counter);
            for (chunk, length) in &block.chunks {
                self.keys.push(key_of(chunk));
                self.lengths.push(*length);
            }
        }
    }

    /// Adds what an index object lists; returns positions of the packs in it, those known already included.
    pub fn add_record(&mut self, record: &Record) -> Vec<u32> {
        let mut positions = Vec::with_capacity(record.packs.len());
        let mut block = 0;
        for (id, size, blocks) in &record.packs {
            let end = block + *blocks as usize;
            if self.begin_pack(*id, *size) {
                let chunk_at = |block: usize| match record.blocks.get(block) {
                    Some(row) => row.first_chunk as usize,
                    None => record.keys.len(),
                };
                for (at, row) in (block..end).zip(&record.blocks[block..end]) {
                    self.begin_block(row.sealed, row.plain, record.seals[row.seal as usize], row.counter);
                    let chunks = chunk_at(at)..chunk_at(at + 1);
                    self.keys.extend_from_slice(&record.keys[chunks.clone()]);
                    self.lengths.extend_from_slice(&record.lengths[chunks]);
                }
            }
            positions.push(self.by_id[id]);
            block = end;
        }
        positions
    }

    /// Begins a pack unless it is known.
    fn begin_pack(&mut self, id: ObjectId, size: u64) -> bool {
        let position = self.packs.len() as u32;
        if *self.by_id.entry(id).or_insert(position) != position {
            return false;
        }
        let first_block = self.blocks.len() as u32;
        self.packs.push(PackRow { id, size, first_block, blocks: 0, standing: Standing::Sound });
        true
    }

    fn begin_block(&mut self, sealed: u32, plain: u32, seal: (u32, [u8; 32]), counter: u32) {
        let pack = self.packs.last_mut().expect("a pack was begun");
        let offset = match pack.blocks {
            0 => HEADER as u32,
            // Records and directories were checked to stay within 4 GiB.
            _ => self.blocks.last().map_or(HEADER as u32, |last| last.offset.saturating_add(last.sealed)),
        };
        pack.blocks += 1;
        if self.seals.last() != Some(&seal) {
            self.seals.push(seal);
        }
        let first_chunk = u32::try_from(self.keys.len()).expect("fewer than 2^32 chunks: they would take 80 GB");
        let (pack, seal) = (self.packs.len() as u32 - 1, self.seals.len() as u32 - 1);
        self.blocks.push(BlockRow { first_chunk, pack, offset, sealed, plain, seal, counter });
    }

    /// Makes every chunk findable. A chunk may stand in several packs (two backups ran side by side, a prune moved it):
    /// the copy in the best pack is the one found.
    pub fn settle(&mut self) {
        let needed = (self.keys.len() + self.keys.len() / 2 + 8).next_power_of_two();
        self.table.clear();
        self.table.shrink_to(needed);
        self.table.resize(needed, 0);
        for standing in [Standing::Sound, Standing::Marked, Standing::Missing] {
            let mut pack = 0;
            while pack < self.packs.len() {
                // Neighbouring packs of the same standing are entered in one go.
                let run = self.packs[pack..].iter().take_while(|row| row.standing == standing).count();
                if run > 0 {
                    let last = &self.packs[pack + run - 1];
                    let first = self.packs[pack].first_block;
                    let end = last.first_block + last.blocks;
                    if first < end {
                        self.enter(self.chunks_of(first).start..self.chunks_of(end - 1).end);
                    }
                }
                pack += run.max(1);
            }
        }
    }

    fn enter(&mut self, positions: Range<u32>) {
        let mut slots = [0; AHEAD];
        let mut from = positions.start as usize;
        let end = positions.end as usize;
        while from < end {
            let to = end.min(from + AHEAD);
            let mut ahead = 0;
            for (slot, key) in slots.iter_mut().zip(&self.keys[from..to]) {
                *slot = self.slot(key);
                ahead ^= self.table[*slot];
            }
            std::hint::black_box(ahead);
            for (position, slot) in (from..to).zip(slots) {
                let mut slot = slot;
                loop {
                    match self.table[slot] {
                        0 => {
                            self.table[slot] = position as u32 + 1;
                            break;
                        }
                        found if self.keys[found as usize - 1] == self.keys[position] => break,
                        _ => slot = (slot + 1) & (self.table.len() - 1),
                    }
                }
            }
            from = to;
        }
    }

    /// Gives every pack its standing; chunks must be settled afterwards. Returns whether any changed.
    pub fn judge(&mut self, standing: impl Fn(&PackRow) -> Standing) -> bool {
        let mut changed = false;
        for pack in &mut self.packs {
            let now = standing(pack);
            changed |= now != pack.standing;
            pack.standing = now;
        }
        changed
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
}

impl Record {
    /// Reads what [`Index::encode`] wrote.
    ///
    /// # Errors
    /// Bytes that are no index record.
    pub fn decode(plain: &[u8]) -> Result<Self, Malformed> {
        let mut input = Decoder::new(plain);
        let mut out = Self::default();
        for _ in 0..input.count(32)? {
            out.superseded.push(ObjectId(input.array()?));
        }
        out.keys.reserve(plain.len() / 20);
        out.lengths.reserve(plain.len() / 20);
        for _ in 0..input.count(34)? {
            let (id, size) = (ObjectId(input.array()?), input.number()?);
            let blocks = input.count(5)?;
            // Only sums that fit are accepted, so that nobody who reckons with them later can overflow.
            let mut end = HEADER as u64;
            let mut sealed_before = false;
            for _ in 0..blocks {
                end += out.block(&mut input, &mut sealed_before)?;
            }
            if end > size || size > u64::from(u32::MAX) {
                return Err(Malformed("a pack shorter than its blocks"));
            }
            out.packs.push((id, size, u32::try_from(blocks).map_err(|_| Malformed("too many blocks"))?));
        }
        if input.is_empty() { Ok(out) } else { Err(Malformed("bytes left over")) }
    }

    /// Reads one block; returns the length of its sealed bytes.
    fn block(&mut self, input: &mut Decoder<'_>, sealed_before: &mut bool) -> Result<u64, Malformed> {
        let sealed: u32 = input.small()?;
        let plain: u32 = input.small()?;
        let flags = input.number()?;
        if flags > 3 || plain as usize > BLOCK_MAX || (sealed as usize) < TAG {
            return Err(Malformed("not a block"));
        }
        if flags & 2 != 0 {
            self.seals.push((input.small()?, input.array()?));
            *sealed_before = true;
        }
        if !*sealed_before {
            return Err(Malformed("a block without seal"));
        }
        self.blocks.push(BlockRow {
            first_chunk: u32::try_from(self.keys.len()).map_err(|_| Malformed("too many chunks"))?,
            pack: 0,
            offset: 0,
            sealed,
            plain: plain | if flags & 1 != 0 { COMPRESSED } else { 0 },
            seal: self.seals.len() as u32 - 1,
            counter: input.small()?,
        });
        let mut total = 0u64;
        for _ in 0..input.count(17)? {
            self.keys.push(input.array()?);
            let length: u32 = input.small()?;
            total += u64::from(length);
            self.lengths.push(length);
        }
        if total == u64::from(plain) { Ok(u64::from(sealed)) } else { Err(Malformed("block lengths do not add up")) }
    }
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
            compressed: b.is_multiple_of(2),
            origin: origin(b),
            chunks: (0..per_block).map(|c| (id(from + b * per_block + c), 10)).collect(),
        };
        Directory { blocks: (0..blocks).map(block).collect() }
    }

    #[test]
    fn every_chunk_is_found_where_it_was_put_after_a_round_trip() {
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), 3000, &directory(0, 20, 7));
        index.add_pack(ObjectId([2; 32]), 2000, &directory(1000, 3, 50));
        let record = Record::decode(&index.encode(0..2, &[ObjectId([9; 32])])).expect("decodes");
        assert_eq!(record.superseded, [ObjectId([9; 32])]);
        let mut read = Index::default();
        assert_eq!(read.add_record(&record), [0, 1]);
        assert_eq!(read.add_record(&record), [0, 1], "known packs are passed over");
        read.settle();
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
    fn nothing_new_relies_on_a_doubtful_pack_unless_a_second_copy_exists() {
        let one = ObjectId([1; 32]);
        for doubt in [Standing::Marked, Standing::Missing] {
            let mut index = Index::default();
            index.add_pack(one, 1000, &directory(0, 2, 5));
            index.add_pack(ObjectId([2; 32]), 1000, &directory(5, 1, 5));
            index.judge(|pack| if pack.id == one { doubt } else { Standing::Sound });
            index.settle();
            assert!(!index.may_rely_on(&id(0)));
            assert!(index.find(&id(0)).is_some(), "still known");
            assert!(index.may_rely_on(&id(7)), "its second copy takes over");
        }
    }

    #[test]
    fn records_that_would_overflow_later_do_not_decode() {
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), 47, &directory(0, 1, 1));
        assert!(Record::decode(&index.encode(0..1, &[])).is_err(), "a pack shorter than its blocks");
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), u64::MAX, &directory(0, 1, 1));
        assert!(Record::decode(&index.encode(0..1, &[])).is_err(), "a pack beyond 4 GiB");
    }

    fn record() -> Vec<u8> {
        let mut index = Index::default();
        index.add_pack(ObjectId([1; 32]), 3000, &directory(0, 20, 7));
        index.add_pack(ObjectId([2; 32]), 2000, &directory(1000, 3, 50));
        index.encode(0..2, &[ObjectId([9; 32])])
    }

    proptest! {
        #[test]
        fn any_record_decodes_or_fails(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
        }

        #[test]
        fn a_mutated_record_decodes_to_a_usable_index_or_fails(bytes in crate::tests::mutated(record())) {
            if let Ok(record) = Record::decode(&bytes) {
                let mut index = Index::default();
                index.add_record(&record);
                index.settle();
                for position in 0..index.chunks() as u32 {
                    let block = index.block(index.block_at(position));
                    let (key, length) = index.chunk(position);
                    let at = ChunkAt { position, block: block.block, length };
                    prop_assert!(index.offset_in_block(at) + length as usize <= block.plain as usize);
                    prop_assert!(block.offset + block.sealed <= index.packs[block.pack as usize].size as u32);
                    prop_assert!(index.position(&key).is_some());
                }
            }
        }
    }
}
