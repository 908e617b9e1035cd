//! Open directories and files of a tree being read.
//!
//! A listing hands out directories faster than the vault gives them back, and a tree may be deeper than the process
//! may have descriptors. So an [`OpenDirectory`] can give its descriptor up and find it again: from its parent by
//! name, and the parent from its parent. Device and inode number are compared, so that what is found again is what
//! was listed.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use backstop_model::tree::Meta;
use backstop_seams::{Content, Directory};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat, fstat, openat, seek};
use rustix::io::{Errno, pread};

/// Descriptors the directories of one source hold, and how many they should.
pub(crate) struct Budget {
    open: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), most })
    }

    pub(crate) fn exceeded(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.most
    }
}

/// A directory of the tree, open or able to open itself again.
pub(crate) struct OpenDirectory {
    parent: Option<Arc<OpenDirectory>>,
    name: CString,
    identity: (u64, u64),
    slot: Mutex<Option<Arc<OwnedFd>>>,
    budget: Arc<Budget>,
}

impl OpenDirectory {
    /// A directory reached by a path that people configured. It never gives its descriptor up.
    pub(crate) fn anchor(fd: OwnedFd, budget: &Arc<Budget>) -> io::Result<Arc<Self>> {
        let identity = identity(&fstat(&fd)?);
        Ok(Self::made(None, CString::default(), identity, fd, budget))
    }

    /// Opens the directory `name` of `parent`; a symbolic link is an error.
    pub(crate) fn open_below(parent: &Arc<Self>, name: &CStr) -> io::Result<Arc<Self>> {
        let fd = open_directory(&*parent.descriptor()?, name)?;
        let identity = identity(&fstat(&fd)?);
        Ok(Self::made(Some(Arc::clone(parent)), name.to_owned(), identity, fd, &parent.budget))
    }

    fn made(
        parent: Option<Arc<Self>>,
        name: CString,
        identity: (u64, u64),
        fd: OwnedFd,
        budget: &Arc<Budget>,
    ) -> Arc<Self> {
        budget.open.fetch_add(1, Ordering::Relaxed);
        let slot = Mutex::new(Some(Arc::new(fd)));
        Arc::new(Self { parent, name, identity, slot, budget: Arc::clone(budget) })
    }

    /// The descriptor, opened again if it was given up.
    pub(crate) fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = &*self.slot() {
            return Ok(Arc::clone(fd));
        }
        let mut missing = vec![self];
        let mut above = self.parent.as_deref();
        let mut fd = loop {
            let directory = above.expect("an anchor never gives its descriptor up");
            if let Some(fd) = &*directory.slot() {
                break Arc::clone(fd);
            }
            missing.push(directory);
            above = directory.parent.as_deref();
        };
        for directory in missing.into_iter().rev() {
            let found = open_directory(&*fd, &directory.name)?;
            if identity(&fstat(&found)?) != directory.identity {
                return Err(Errno::NOENT.into());
            }
            fd = Arc::new(found);
        }
        if !self.budget.exceeded() {
            self.put(&fd);
        }
        Ok(fd)
    }

    /// Closes the descriptor until it is needed again. Anchors keep theirs.
    pub(crate) fn release(&self) {
        if self.parent.is_some() && self.slot().take().is_some() {
            self.budget.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Finds a descriptor that was given up from an open child: one step instead of a walk from the anchor.
    pub(crate) fn return_from(&self, child: &OpenDirectory) {
        if self.slot().is_some() {
            return;
        }
        // A child that moved elsewhere leads to another directory; then `descriptor` takes the long way.
        let Some(child) = child.slot().clone() else { return };
        if let Ok(fd) = open_directory(&*child, c"..")
            && fstat(&fd).is_ok_and(|stat| identity(&stat) == self.identity)
        {
            self.put(&Arc::new(fd));
        }
    }

    fn put(&self, fd: &Arc<OwnedFd>) {
        if self.slot().replace(Arc::clone(fd)).is_none() {
            self.budget.open.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<OwnedFd>>> {
        self.slot.lock().expect("no holder of this lock panics")
    }
}

impl Drop for OpenDirectory {
    fn drop(&mut self) {
        if self.slot().is_some() {
            self.budget.open.fetch_sub(1, Ordering::Relaxed);
        }
        // Without this loop a very deep tree would be dropped by recursion.
        let mut above = self.parent.take();
        while let Some(mut directory) = above.and_then(Arc::into_inner) {
            above = directory.parent.take();
        }
    }
}

impl Directory for OpenDirectory {
    fn open(&self, name: &[u8]) -> io::Result<Box<dyn Content>> {
        let fd = open_file(&*self.descriptor()?, name)?;
        Ok(Box::new(OpenFile { fd, data_until: Cell::new(None) }))
    }
}

struct OpenFile {
    fd: OwnedFd,
    /// A range known to be data, so that reading a dense file in pieces does not ask the system about each.
    data_until: Cell<Option<(u64, u64)>>,
}

impl Content for OpenFile {
    fn state(&self) -> io::Result<(Meta, u64)> {
        let stat = fstat(&self.fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no longer a regular file"));
        }
        Ok((meta(&stat), size(&stat)))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match pread(&self.fd, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    fn next_data(&self, offset: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
        if offset >= size {
            return Ok(None);
        }
        if let Some((start, end)) = self.data_until.get()
            && (start..end).contains(&offset)
        {
            return Ok(Some((offset, end.min(size))));
        }
        let start = match seek(&self.fd, SeekFrom::Data(offset)) {
            Ok(start) if start >= size => return Ok(None),
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((offset, size))),
            Err(error) => return Err(error.into()),
        };
        let end = match seek(&self.fd, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            // It shrank meanwhile; reading will show that.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error.into()),
        };
        self.data_until.set(Some((start, end)));
        Ok(Some((start, end)))
    }
}

pub(crate) fn open_directory(at: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    quietly(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, |flags| openat(&at, name, flags, Mode::empty()))
}

/// Opens for reading what should be a regular file. A pipe or terminal that took its place neither blocks nor
/// becomes ours; its reads fail.
pub(crate) fn open_file(at: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    quietly(flags, |flags| openat(&at, name, flags, Mode::empty()))
}

/// Without updating the access time, which only the owner and root may ask for.
fn quietly(flags: OFlags, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => Ok(open(flags)?),
        result => Ok(result?),
    }
}

pub(crate) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What the system says about an entry, without extended attributes.
#[allow(clippy::unnecessary_cast)] // Widths differ between architectures.
pub(crate) fn meta(stat: &Stat) -> Meta {
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        ctime: (stat.st_ctime, stat.st_ctime_nsec as u32),
        inode: stat.st_ino,
        device: stat.st_dev,
        links: stat.st_nlink as u64,
        xattrs: Vec::new(),
    }
}
