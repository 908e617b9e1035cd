//! A regular file on its way to its place.
//!
//! Where nothing stands yet it is made under its own name, marked as unfinished by its mode. Where something is
//! replaced it is made under a temporary name beside and renamed over, so the old one is whole until the new one is.
//! The temporary name follows from the final one, so a restore begun again removes what an interrupted one left.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backstop_model::plan::Overwrite;
use backstop_model::tree::{Meta, Node};
use backstop_seams::FileWriter;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, pwrite};

use crate::shelf::Shelved;
use crate::stamp::{self, UNFINISHED_FILE, Writer};
use crate::target::Notes;

/// A file being made in `directory`, to become `name`.
pub(crate) struct Landing {
    directory: Arc<Shelved>,
    name: Vec<u8>,
    temporary: Option<Vec<u8>>,
    fd: OwnedFd,
    landed: AtomicBool,
}

impl Landing {
    /// Begins the file, or `None` when what stands there is kept.
    pub(crate) fn begin(
        directory: &Arc<Shelved>,
        name: &[u8],
        meta: &Meta,
        overwrite: Overwrite,
        writer: Writer,
    ) -> io::Result<Option<Self>> {
        let made = |fd, temporary| {
            let (directory, name) = (Arc::clone(directory), name.to_vec());
            Ok(Some(Self { directory, name, temporary, fd, landed: AtomicBool::new(false) }))
        };
        match create(directory, name) {
            Ok(fd) => return made(fd, None),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let found = match statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It went away just now.
            Err(Errno::NOENT) => return made(create(directory, name)?, None),
            found => found?,
        };
        if is_unfinished(&found, writer) {
            unlinkat(&directory.fd, name, AtFlags::empty())?;
            return made(create(directory, name)?, None);
        }
        if !may_replace(&found, meta, overwrite)? {
            return Ok(None);
        }
        let temporary = temporary_name(name);
        remove_if_there(directory, &temporary)?;
        made(create(directory, &temporary)?, Some(temporary))
    }

    pub(crate) fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn set_size(&self, size: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&self.fd, size)?)
    }

    /// Applies the metadata and puts the file in its place; returns what could not be applied.
    pub(crate) fn land(&self, meta: &Meta, writer: Writer) -> io::Result<stamp::Causes> {
        let causes = stamp::file(&self.fd, meta, writer, self.directory.plain);
        if let Some(temporary) = &self.temporary {
            renameat(&self.directory.fd, temporary.as_slice(), &self.directory.fd, self.name.as_slice())?;
        }
        self.landed.store(true, Ordering::Relaxed);
        Ok(causes)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.landed.load(Ordering::Relaxed) {
            let name = self.temporary.as_ref().unwrap_or(&self.name);
            // If this fails too, the mark of the unfinished stays and the next attempt removes it.
            let _ = unlinkat(&self.directory.fd, name.as_slice(), AtFlags::empty());
        }
    }
}

/// A large file, written by the vault in any order.
pub(crate) struct LargeFile {
    pub(crate) landing: Landing,
    pub(crate) node: Node,
    pub(crate) writer: Writer,
    pub(crate) notes: Arc<Notes>,
}

impl FileWriter for LargeFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.landing.write_at(offset, bytes)
    }

    fn finish(&self) -> io::Result<()> {
        let causes = self.landing.land(&self.node.meta, self.writer)?;
        self.notes.add(&self.node.path, causes);
        Ok(())
    }
}

/// Whether what stands there gives way. A directory never does.
pub(crate) fn may_replace(found: &Stat, meta: &Meta, overwrite: Overwrite) -> io::Result<bool> {
    let wanted = match overwrite {
        Overwrite::Never => false,
        Overwrite::IfNewer => is_newer(meta, found),
        Overwrite::Always => true,
    };
    if wanted && FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory stands where this would be written"));
    }
    Ok(wanted)
}

/// Whether the backup's entry was modified later than the one found.
pub(crate) fn is_newer(meta: &Meta, found: &Stat) -> bool {
    meta.mtime > crate::directory::meta(found).mtime
}

/// Whether it is a file, pipe or device that an interrupted restore of ours left.
pub(crate) fn is_unfinished(found: &Stat, writer: Writer) -> bool {
    let leaf = !matches!(FileType::from_raw_mode(found.st_mode), FileType::Directory | FileType::Symlink);
    leaf && found.st_mode & 0o7777 == UNFINISHED_FILE && found.st_uid == writer.uid
}

/// Where the replacement of `name` is made: a function of the name, short whatever its length.
pub(crate) fn temporary_name(name: &[u8]) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!(".backstop-partial-{:016x}", hasher.finish()).into_bytes()
}

pub(crate) fn remove_if_there(directory: &Shelved, name: &[u8]) -> io::Result<()> {
    match unlinkat(&directory.fd, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn create(directory: &Shelved, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&directory.fd, name, flags, Mode::from_raw_mode(UNFINISHED_FILE))
}
