//! Directory contents: what an edge finds, what the vault stores, what a restore makes again.
//!
//! Paths are raw bytes, relative to the root of the file system, without a leading `/`: names need not be UTF-8
//! and may hold anything but `/` and NUL. Entries stand in canonical order: a directory before its contents,
//! siblings by the bytes of their names ([`compare`]).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// One entry of a tree, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Path below `/`, e.g. `srv/docs/a.txt`. The root itself is the empty path.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: NodeKind,
    /// Its metadata.
    pub meta: Meta,
}

impl Node {
    /// The last component of the path.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file of so many bytes.
    File {
        /// Length in bytes.
        size: u64,
        /// How its contents are best cut into chunks.
        cut: Cut,
    },
    /// A symbolic link and the bytes it points to.
    Symlink {
        /// Where it points, as stored.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// How contents are cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Content-defined, about 1 MiB: inserted bytes move everything after them.
    Content,
    /// Aligned blocks of 64 KiB: disk images and database files, written in place.
    Blocks,
}

/// Metadata of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky (`st_mode & 0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds and nanoseconds since 1970, UTC.
    pub mtime: (i64, u32),
    /// Change time, for recognising unchanged files; not restored.
    pub ctime: (i64, u32),
    /// Inode number, for recognising unchanged files and hard links.
    pub inode: u64,
    /// Device number, for recognising hard links.
    pub device: u64,
    /// Number of names; more than 1 for a file means hard links.
    pub links: u64,
    /// Extended attributes, sorted by name; POSIX ACLs are among them.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Something about an entry that did not go as it should. The run is `Partial`, the rest is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The path, invalid UTF-8 and control characters escaped.
    pub path: String,
    /// What happened.
    pub kind: TroubleKind,
    /// The cause in words.
    pub detail: String,
}

/// What went wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// It could not be read, so it is not in the backup.
    Unreadable,
    /// It was there when listed and gone when read. Not an error of anybody; counted, does not make a run partial.
    Vanished,
    /// It kept changing while it was read: what is stored may mix two states.
    Changed,
    /// It is of a kind that is not backed up (a socket). Counted, does not make a run partial.
    Skipped,
    /// It could not be written back as recorded.
    Unwritable,
    /// It existed and the overwrite rule said to keep it.
    Kept,
}

impl TroubleKind {
    /// Whether an entry of this kind makes the result incomplete.
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            TroubleKind::Unreadable | TroubleKind::Changed | TroubleKind::Unwritable => true,
            TroubleKind::Vanished | TroubleKind::Skipped | TroubleKind::Kept => false,
        }
    }
}

/// Canonical order of paths: component by component, a directory before its contents.
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // Comparing with `/` as the smallest byte is the same as comparing component lists, without splitting.
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    for (x, y) in a.iter().zip(b) {
        if x != y {
            return rank(*x).cmp(&rank(*y));
        }
    }
    a.len().cmp(&b.len())
}

/// A path for people: UTF-8 as it is, everything else and control characters escaped.
#[must_use]
pub fn show_path(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    out.push('/');
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_before_its_contents_and_after_its_smaller_siblings() {
        let mut paths: Vec<&[u8]> = vec![b"a.b", b"a/z", b"a", b"b", b"a/b/c", b"", b"a/b"];
        paths.sort_by(|x, y| compare(x, y));
        assert_eq!(paths, [&b""[..], b"a", b"a/b", b"a/b/c", b"a/z", b"a.b", b"b"]);
    }

    #[test]
    fn strange_names_are_shown_unambiguously() {
        assert_eq!(show_path(b"a\nb\xff"), "/a\\nb\\xff");
    }
}
