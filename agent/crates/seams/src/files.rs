//! Directories and small files of this machine, as verbs need them around their work.

use std::path::{Path, PathBuf};

use backstop_model::config::FilesSpec;
use backstop_model::plan::Overwrite;
use backstop_model::{Bytes, Fault, Span, Timestamp};

use crate::source::Source;
use crate::target::Target;

/// Effects on directories. Everything is durable when it returns; every fault names the path.
pub trait Files: Send + Sync {
    /// Whether anything stands at the path, a dangling link included.
    ///
    /// # Errors
    /// When that cannot be told.
    fn exists(&self, path: &Path) -> Result<bool, Fault>;

    /// Device and inode of what stands at the path, links not followed; `None` when nothing does.
    ///
    /// # Errors
    /// When that cannot be told.
    fn identity(&self, path: &Path) -> Result<Option<(u64, u64)>, Fault>;

    /// The path with every symbolic link in it followed, as far as it exists; the rest stays as it is written.
    ///
    /// # Errors
    /// When that cannot be told, as for links that lead in a circle.
    fn real(&self, path: &Path) -> Result<PathBuf, Fault>;

    /// Makes an empty directory for one run alone, mode 0700, with the directories above it.
    ///
    /// # Errors
    /// When something else stands there.
    fn own_directory(&self, dir: &Path) -> Result<(), Fault>;

    /// Removes a directory with everything in it. One that is gone is fine.
    ///
    /// # Errors
    /// When something is left.
    fn remove_tree(&self, dir: &Path) -> Result<(), Fault>;

    /// Exchanges two entries in one atomic step.
    ///
    /// # Errors
    /// When they are on different file systems, or one is missing.
    fn exchange(&self, a: &Path, b: &Path) -> Result<(), Fault>;

    /// Moves an entry to a free name, atomically.
    ///
    /// # Errors
    /// When the name is taken or on another file system.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault>;

    /// What may still be written on the file system that holds the path (or the nearest directory above it).
    ///
    /// # Errors
    /// When that cannot be told.
    fn room(&self, path: &Path) -> Result<Bytes, Fault>;

    /// A small file's bytes; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault>;

    /// Writes a small file whole: after a crash it holds the old bytes or the new ones.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault>;

    /// Removes a small file. One that is gone is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, path: &Path) -> Result<(), Fault>;

    /// Removes what killed writers left half written in the store at `url`, if its last change is older than `age`;
    /// returns how many. A store that leaves nothing behind has none.
    ///
    /// # Errors
    /// When it cannot be looked at, or something cannot be removed.
    fn sweep(&self, _url: &str, _now: Timestamp, _age: Span) -> Result<u64, Fault> {
        Ok(0)
    }

    /// The regular files directly in a directory, in bytewise order; none when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, Fault>;

    /// The configuration directory's files in the order in which they are read.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_config(&self, dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Fault>;
}

/// Makes sources and targets for trees.
pub trait Trees: Send + Sync {
    /// The source a workload configures.
    ///
    /// # Errors
    /// When the configuration makes no sense to the file system.
    fn source(&self, spec: &FilesSpec) -> Result<Box<dyn Source>, Fault>;

    /// A tree restored with `strip = prefix` into `dir`, presented under the paths of its backup.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn restored(&self, dir: &Path, prefix: &[u8]) -> Result<Box<dyn Source>, Fault>;

    /// A target in an existing directory. `strip` is taken off the paths of nodes.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    fn target(&self, dir: &Path, strip: &[u8], overwrite: Overwrite) -> Result<Box<dyn Target>, Fault>;
}
