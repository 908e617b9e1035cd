//! Names of chunks and objects.

use std::fmt;

/// A chunk: BLAKE3 of its bytes under the vault's id key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 32]);

/// An object (pack, index): plain BLAKE3 of its sealed bytes, so that anyone can check it without a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

macro_rules! shows_hex {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}
shows_hex!(ChunkId);
shows_hex!(ObjectId);

impl ObjectId {
    /// The id of sealed bytes.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Self {
        Self(*blake3::hash(sealed).as_bytes())
    }

    /// Parses 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        backstop_model::name::parse_hex(text).map(Self)
    }

    /// Where a pack of this id lives. Two digits of folder keep directories small on file systems.
    #[must_use]
    pub fn pack_path(&self) -> String {
        let name = self.to_string();
        format!("packs/{}/{name}", &name[..2])
    }

    /// Where an index of this id lives.
    #[must_use]
    pub fn index_path(&self) -> String {
        format!("index/{self}")
    }
}
