//! Sealing: AES-256-GCM with nonces that cannot repeat.
//!
//! Every object is sealed under a key of its own, derived from the vault's secret, the object's kind and a random
//! salt in its header; within the object the nonce is a counter. So no nonce is ever used twice under one key, with
//! no state to keep. The header is the associated data of every frame: a frame moved to another object, another
//! position or another role does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use crate::keyring::Ring;

/// Bytes that sealing adds.
pub const TAG: usize = 16;
/// Length of an object's header.
pub const HEADER: usize = 48;
/// The format this program writes.
pub const FORMAT: u8 = 1;

const MAGIC: &[u8; 8] = b"BACKSTOP";

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Chunks.
    Pack = 1,
    /// Where chunks are.
    Index = 2,
    /// A snapshot.
    Snapshot = 3,
}

impl Kind {
    /// The context string of the kind's keys; part of the format.
    pub(crate) const fn context(self) -> &'static str {
        match self {
            Kind::Pack => "backstop vault 1: pack",
            Kind::Index => "backstop vault 1: index",
            Kind::Snapshot => "backstop vault 1: snapshot",
        }
    }
}

/// What a frame is for; the high four bytes of its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of several.
    Body = 0,
    /// The last of its object: a cut object has none.
    Last = 1,
}

/// The clear text at the start of every object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the object is.
    pub kind: Kind,
    /// Which of the ring's secrets its key comes from.
    pub epoch: u32,
    /// What makes its key its own.
    pub salt: [u8; 32],
}

/// Why a header does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// Not one of our objects at all.
    Foreign,
    /// Written by a newer version.
    Newer(u8),
    /// Another kind than asked for.
    OtherKind,
}

impl Header {
    /// The header as it stands in the object: magic, kind, format, two zero bytes, epoch (little-endian), salt.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8] = self.kind as u8;
        out[9] = FORMAT;
        out[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..].copy_from_slice(&self.salt);
        out
    }

    /// Reads a header of the given kind off the front of `bytes`.
    pub fn decode(bytes: &[u8], kind: Kind) -> Result<Self, BadHeader> {
        let head: &[u8; HEADER] =
            bytes.get(..HEADER).and_then(|head| head.try_into().ok()).ok_or(BadHeader::Foreign)?;
        if &head[..8] != MAGIC {
            return Err(BadHeader::Foreign);
        }
        if head[9] > FORMAT {
            return Err(BadHeader::Newer(head[9]));
        }
        if head[9] == 0 || head[10..12] != [0, 0] {
            return Err(BadHeader::Foreign);
        }
        if head[8] != kind as u8 {
            return Err(BadHeader::OtherKind);
        }
        let mut epoch = [0; 4];
        epoch.copy_from_slice(&head[12..16]);
        let mut salt = [0; 32];
        salt.copy_from_slice(&head[16..]);
        Ok(Self { kind, epoch: u32::from_le_bytes(epoch), salt })
    }
}

/// Seals and opens the frames of one object.
#[derive(Clone)]
pub struct Seal {
    key: LessSafeKey,
    header: [u8; HEADER],
}

impl Seal {
    /// The seal of the object with this header; `None` when the ring lacks its epoch.
    #[must_use]
    pub fn new(ring: &Ring, header: &Header) -> Option<Self> {
        let secret = ring.object_secret(header.epoch, header.kind)?;
        let key = blake3::keyed_hash(&secret, &header.salt);
        let key = UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("the key has the algorithm's length");
        Some(Self { key: LessSafeKey::new(key), header: header.encode() })
    }

    fn nonce(counter: u64, role: Role) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&(role as u32).to_le_bytes());
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `buffer[from..]` in place and appends the tag. Each (counter, role) must be used once.
    pub fn close(&self, counter: u64, role: Role, buffer: &mut Vec<u8>, from: usize) {
        let tag = self
            .key
            .seal_in_place_separate_tag(Self::nonce(counter, role), Aad::from(&self.header), &mut buffer[from..])
            .expect("frames are far below the algorithm's limit of 64 GiB");
        buffer.extend_from_slice(tag.as_ref());
    }

    /// Decrypts `sealed` (ciphertext and tag) into `out`, replacing its contents. `None` when it was tampered with.
    #[must_use]
    pub fn open(&self, counter: u64, role: Role, sealed: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let split = sealed.len().checked_sub(TAG)?;
        let (cipher, tag) = sealed.split_at(split);
        let tag = Tag::from(<[u8; TAG]>::try_from(tag).ok()?);
        out.clear();
        out.extend_from_slice(cipher);
        let nonce = Self::nonce(counter, role);
        self.key.open_in_place_separate_tag(nonce, Aad::from(&self.header), tag, out, 0..).ok()?;
        Some(())
    }
}

/// Seals a record of any length as one object: header, then frames of at most 4 MiB, each after its sealed length.
#[must_use]
pub fn seal_object(ring: &Ring, kind: Kind, salt: [u8; 32], plain: &[u8]) -> Vec<u8> {
    let header = Header { kind, epoch: ring.newest_epoch(), salt };
    let seal = Seal::new(ring, &header).expect("the newest epoch is in the ring");
    let frames = plain.len().div_ceil(FRAME).max(1);
    let mut out = Vec::with_capacity(HEADER + plain.len() + frames * (TAG + 4));
    out.extend_from_slice(&header.encode());
    for number in 0..frames {
        let part = &plain[number * FRAME..plain.len().min((number + 1) * FRAME)];
        let role = if number + 1 == frames { Role::Last } else { Role::Body };
        out.extend_from_slice(&u32::try_from(part.len() + TAG).expect("frames are 4 MiB").to_le_bytes());
        let from = out.len();
        out.extend_from_slice(part);
        seal.close(number as u64, role, &mut out, from);
    }
    out
}

const FRAME: usize = 4 << 20;

/// Opens what [`seal_object`] made; the error says what does not fit.
pub fn open_object(ring: &Ring, kind: Kind, sealed: &[u8]) -> Result<Vec<u8>, String> {
    let header = Header::decode(sealed, kind).map_err(|bad| match bad {
        BadHeader::Foreign => "it is not an object of a vault".to_owned(),
        BadHeader::Newer(format) => format!("it has format {format}, newer than this program"),
        BadHeader::OtherKind => "it is an object of another kind".to_owned(),
    })?;
    let seal = Seal::new(ring, &header).ok_or("it is sealed under a key this slot does not hold")?;
    let mut plain = Vec::with_capacity(sealed.len());
    let mut frame = Vec::new();
    let mut rest = &sealed[HEADER..];
    let mut number = 0u64;
    loop {
        let (length, after) = rest.split_first_chunk::<4>().ok_or("it ends early")?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > after.len() {
            return Err("it ends early".to_owned());
        }
        let (body, after) = after.split_at(length);
        let role = if after.is_empty() { Role::Last } else { Role::Body };
        seal.open(number, role, body, &mut frame).ok_or("a frame does not authenticate")?;
        plain.extend_from_slice(&frame);
        if role == Role::Last {
            return Ok(plain);
        }
        rest = after;
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_opens_whole_and_no_flipped_or_missing_byte_goes_unnoticed() {
        let ring = Ring::for_tests(7);
        let plain: Vec<u8> = (0..3000u32).flat_map(u32::to_le_bytes).collect();
        let sealed = seal_object(&ring, Kind::Snapshot, [5; 32], &plain);
        assert_eq!(open_object(&ring, Kind::Snapshot, &sealed).as_deref(), Ok(&plain[..]));
        for at in (0..sealed.len()).step_by(7).chain([8, 9, 12, 47, sealed.len() - 1]) {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            let opened = open_object(&ring, Kind::Snapshot, &bad);
            assert!(opened.is_err(), "flip at {at}");
        }
        for length in [0, 10, HEADER, HEADER + 3, sealed.len() - 1] {
            assert!(open_object(&ring, Kind::Snapshot, &sealed[..length]).is_err(), "cut at {length}");
        }
        assert!(open_object(&Ring::for_tests(8), Kind::Snapshot, &sealed).is_err());
        assert!(open_object(&ring, Kind::Index, &sealed).is_err());
    }

    proptest::proptest! {
        #[test]
        fn mutated_objects_open_to_what_was_sealed_or_not_at_all(
            bytes in crate::tests::mutated(seal_object(&Ring::for_tests(7), Kind::Index, [5; 32], &[9; 700])),
        ) {
            if let Ok(plain) = open_object(&Ring::for_tests(7), Kind::Index, &bytes) {
                proptest::prop_assert_eq!(plain, vec![9; 700]);
            }
        }
    }

    #[test]
    fn an_object_cut_between_frames_does_not_open() {
        let ring = Ring::for_tests(7);
        let sealed = seal_object(&ring, Kind::Index, [5; 32], &vec![1; FRAME + 10]);
        assert!(open_object(&ring, Kind::Index, &sealed[..HEADER + 4 + FRAME + TAG]).is_err());
    }
}
