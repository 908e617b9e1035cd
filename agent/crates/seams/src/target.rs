//! Writing a tree back.
//!
//! The vault drives: it makes directories first (parents before children), then writes files in the order their
//! bytes stand in packs, from several threads, then links, and at last gives directories their metadata, deepest
//! first — a directory's times would not survive the writing of its contents, nor would a read-only one admit any.

use std::io;

use backstop_model::tree::Node;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Made as recorded.
    Made,
    /// Something is there already and the overwrite rule says to keep it; for a directory, it is used as it is.
    Kept,
}

/// Where a tree is written. Paths in nodes are those of the backup; the target maps them to where they go.
///
/// Every method may be called from several threads. Metadata that cannot be applied (owner without privilege) is
/// reported through [`Target::metadata_troubles`] rather than as an error, once per path.
pub trait Target: Send + Sync {
    /// Makes a directory, usable for writing until `finish_directory`.
    ///
    /// # Errors
    /// When it cannot be made or something that is no directory stands there.
    fn directory(&self, node: &Node) -> io::Result<Written>;

    /// Makes a whole small file at once, with its metadata.
    ///
    /// # Errors
    /// Whatever the system says.
    fn whole_file(&self, node: &Node, contents: &[u8]) -> io::Result<Written>;

    /// Begins a large file of the node's size, all holes. `None` when an existing file is kept.
    ///
    /// # Errors
    /// Whatever the system says.
    fn begin_file(&self, node: &Node) -> io::Result<Option<Box<dyn FileWriter>>>;

    /// Makes `node` another name of the file already restored at `existing`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn hard_link(&self, node: &Node, existing: &Node) -> io::Result<Written>;

    /// Makes a symbolic link, a pipe or a device node, with its metadata.
    ///
    /// # Errors
    /// Whatever the system says; device nodes need privilege.
    fn special(&self, node: &Node) -> io::Result<Written>;

    /// Gives a directory its owner, mode, attributes and times. Called once all its contents are written.
    ///
    /// # Errors
    /// Whatever the system says.
    fn finish_directory(&self, node: &Node) -> io::Result<()>;

    /// Paths (shown) whose metadata could not be applied in full, with the cause, since the last call.
    fn metadata_troubles(&self) -> Vec<(String, String)>;
}

/// A large file being written, in any order of offsets, from several threads.
pub trait FileWriter: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Applies the metadata and puts the finished file in its place. Called once, after every write.
    ///
    /// # Errors
    /// Whatever the system says.
    fn finish(&self) -> io::Result<()>;
}
