//! Reading a workload's tree.
//!
//! The source lists, the vault decides what to read: a file that its last backup recognises is never opened. So a
//! listing carries, with each file, the open directory it was found in; opening by directory and name works for
//! paths of any length and cannot be led elsewhere by a renamed parent.

use std::io;
use std::sync::Arc;

use backstop_model::tree::{Meta, Node, Trouble};

/// One thing the listing came upon.
pub enum Found {
    /// An entry. Files carry the directory that can open them.
    Entry {
        /// What it is.
        node: Node,
        /// Where it can be opened; `Some` exactly for regular files.
        within: Option<Arc<dyn Directory>>,
    },
    /// An entry that cannot be backed up, or a directory that cannot be listed (its own `Entry` came before).
    Trouble(Trouble),
}

/// A captured tree.
pub trait Source: Send + Sync {
    /// Lists everything, in canonical order (`model::tree::compare`), each entry once: first the directories above
    /// each root (metadata only, so that a restore can make them), then the roots and what is below.
    ///
    /// Excluded entries do not appear. Entries that vanish between listing and reading their metadata are reported
    /// as trouble `Vanished`. The iterator may be read from another thread than the files.
    ///
    /// # Errors
    /// When a configured root does not exist or cannot be read at all, so that no backup can be made.
    fn list(&self) -> Result<Box<dyn Iterator<Item = Found> + Send + '_>, SourceFault>;
}

/// Why a source cannot be listed at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot back up `{path}`: {detail}")]
pub struct SourceFault {
    /// The root in question, shown.
    pub path: String,
    /// The cause in words.
    pub detail: String,
}

/// An open directory.
pub trait Directory: Send + Sync {
    /// Opens a regular file of this directory by name, without following symbolic links, without updating its
    /// access time where the system allows that.
    ///
    /// # Errors
    /// `NotFound` when it vanished; anything else makes the entry unreadable.
    fn open(&self, name: &[u8]) -> io::Result<Box<dyn Content>>;
}

/// An open regular file.
pub trait Content: Send {
    /// Metadata now and the length, to tell whether the file changed while it was read. Without extended attributes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn state(&self) -> io::Result<(Meta, u64)>;

    /// Reads at `offset` until the buffer is full or the file ends; returns how much was read.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The next range that may hold data at or after `offset`, as (start, end); `None` when only a hole is left.
    /// A source that cannot tell returns everything up to `size`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn next_data(&self, offset: u64, size: u64) -> io::Result<Option<(u64, u64)>>;
}
