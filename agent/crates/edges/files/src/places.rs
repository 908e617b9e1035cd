//! Whole directories: made, exchanged, moved, removed.
//!
//! What is renamed here is durable when the call returns: the directories that hold the names are synced.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstop_model::Bytes;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, RenameFlags, chmodat, fchmod, fstat, fsync, mkdirat, openat,
    renameat_with, statat, statvfs, syncfs, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::directory::identity;

pub use crate::source::cause;

/// Whether this process may give files to other owners.
#[must_use]
pub fn is_privileged() -> bool {
    geteuid().is_root()
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What this process may still write.
    pub free: Bytes,
    /// Its whole size.
    pub total: Bytes,
    /// How many more files it admits; `None` where it has no such limit.
    pub files_free: Option<u64>,
}

/// The room on the file system that holds `path`.
///
/// # Errors
/// When the path cannot be reached.
pub fn room(path: &Path) -> io::Result<Room> {
    let found = statvfs(path)?;
    Ok(Room {
        free: Bytes(found.f_bavail.saturating_mul(found.f_frsize)),
        total: Bytes(found.f_blocks.saturating_mul(found.f_frsize)),
        files_free: (found.f_files != 0).then_some(found.f_favail),
    })
}

/// Whether a directory has no entries.
///
/// # Errors
/// When it cannot be read, or is not there.
pub fn is_empty_dir(dir: &Path) -> io::Result<bool> {
    is_empty(openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The same for an open one, whose position is left where it was.
pub(crate) fn is_empty(dir: impl AsFd) -> io::Result<bool> {
    // Its own position: the one of a shared descriptor may stand anywhere.
    let dir = openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = Vec::with_capacity(4096);
    let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a directory for one run alone: mode 0700, durable. An empty one that is there already is taken.
///
/// # Errors
/// `DirectoryNotEmpty` when something is in it, `NotADirectory` when something else stands there (also a symbolic
/// link), `NotFound` when its parent is missing.
pub fn create_owned_dir(dir: &Path) -> io::Result<()> {
    let (parent, name) = open_parent(dir)?;
    match mkdirat(&parent, &name, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let found = open_to_empty(&parent, &name)?;
            if !is_empty(&found)? {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(fsync(&parent)?)
}

/// Exchanges two entries in one atomic step. Both must be on one file system.
///
/// # Errors
/// `NotFound` when either is missing, `CrossesDevices` when they are on different file systems, `InvalidInput` when
/// the file system cannot exchange.
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    rename(a, b, RenameFlags::EXCHANGE)
}

/// Moves an entry to a name that is free, atomically.
///
/// # Errors
/// `AlreadyExists` when the name is taken, `CrossesDevices` when it is on another file system.
pub fn rename_durable(from: &Path, to: &Path) -> io::Result<()> {
    rename(from, to, RenameFlags::NOREPLACE)
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    let (from_parent, from_name) = open_parent(from)?;
    let (to_parent, to_name) = open_parent(to)?;
    renameat_with(&from_parent, &from_name, &to_parent, &to_name, flags)?;
    fsync(&to_parent)?;
    Ok(fsync(&from_parent)?)
}

/// Makes everything written below `dir` durable, with the rest of its file system.
///
/// # Errors
/// When it cannot be opened, or the device reports that writing failed.
pub fn sync_tree(dir: &Path) -> io::Result<()> {
    Ok(syncfs(openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?)
}

/// Removes a directory with everything in it; nothing is done when it is not there.
///
/// Goes by descriptor and name, so no symbolic link is followed and no path is too long; never enters another file
/// system. Directories of ours that their mode closes are opened up. Stopped half way it can be repeated.
///
/// # Errors
/// `NotADirectory` when `dir` is something else (also a symbolic link), `CrossesDevices` when another file system is
/// mounted inside, and whatever the system says.
pub fn remove_tree(dir: &Path) -> io::Result<()> {
    let opened = open_parent(dir).and_then(|(parent, name)| {
        let top = open_to_empty(&parent, &name)?;
        Ok((parent, name, top))
    });
    let (parent, name, top) = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    empty(top)?;
    unlinkat(&parent, &name, AtFlags::REMOVEDIR)?;
    Ok(fsync(&parent)?)
}

/// A directory being emptied.
struct Level {
    /// `None` while too deep below it; found again by `..`.
    fd: Option<OwnedFd>,
    identity: (u64, u64),
    /// Directories in it that are still to be removed; the last one is being emptied.
    left: Vec<CString>,
    /// How often the last one was entered.
    entered: u32,
}

fn empty(top: OwnedFd) -> io::Result<()> {
    const OPEN_LEVELS_MAX: usize = 64;
    // A file system may hide entries while others are removed; somebody else may put new ones in. Not for ever.
    const ENTERED_MAX: u32 = 16;
    let device = fstat(&top)?.st_dev;
    let mut levels = vec![Level::new(top, device)?];
    while let Some(depth) = levels.len().checked_sub(1) {
        let level = &mut levels[depth];
        let fd = level.fd.as_ref().expect("the deepest level is open");
        let Some(name) = level.left.last() else {
            let done = levels.pop().expect("there is one");
            if let Some(above) = levels.last_mut() {
                above.return_from(&done)?;
            }
            continue;
        };
        match unlinkat(fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {
                level.left.pop();
                level.entered = 0;
                continue;
            }
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.entered < ENTERED_MAX => {}
            Err(error) => return Err(error.into()),
        }
        let below = Level::new(open_to_empty(fd, name)?, device)?;
        level.entered += 1;
        if depth >= OPEN_LEVELS_MAX {
            level.fd = None;
        }
        levels.push(below);
    }
    Ok(())
}

impl Level {
    /// Removes everything but directories.
    fn new(fd: OwnedFd, device: u64) -> io::Result<Self> {
        let identity = identity(&fstat(&fd)?);
        if identity.0 != device {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let mut left = Vec::new();
        let mut buffer = Vec::with_capacity(64 << 10);
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() == FileType::Directory {
                left.push(name.to_owned());
                continue;
            }
            match unlinkat(&fd, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                // Its kind was not told, or changed.
                Err(Errno::ISDIR) => left.push(name.to_owned()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { fd: Some(fd), identity, left, entered: 0 })
    }

    fn return_from(&mut self, below: &Level) -> io::Result<()> {
        if self.fd.is_none() {
            let fd = open_to_empty(below.fd.as_ref().expect("the deepest level is open"), c"..")?;
            if identity(&fstat(&fd)?) != self.identity {
                return Err(io::Error::new(io::ErrorKind::NotFound, "a directory moved away while it was emptied"));
            }
            self.fd = Some(fd);
        }
        Ok(())
    }
}

/// Opens a directory and makes sure we may empty it.
fn open_to_empty(at: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match openat(&at, name, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let place = openat(&at, name, flags | OFlags::PATH, Mode::empty())?;
            chmodat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU, AtFlags::empty())?;
            openat(&at, name, flags | OFlags::RDONLY, Mode::empty())?
        }
        Err(Errno::LOOP) => return Err(io::ErrorKind::NotADirectory.into()),
        result => result?,
    };
    let stat = fstat(&fd)?;
    let us = geteuid();
    if !us.is_root() && stat.st_uid == us.as_raw() && stat.st_mode & 0o700 != 0o700 {
        fchmod(&fd, Mode::RWXU)?;
    }
    Ok(fd)
}

/// The directory that holds `path`, and the name in it.
fn open_parent(path: &Path) -> io::Result<(OwnedFd, CString)> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no last name");
    let name = path.file_name().ok_or_else(no_name)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fd = openat(CWD, parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((fd, CString::new(name.as_bytes())?))
}

/// Whether something stands at `path`, also a symbolic link that leads nowhere.
///
/// # Errors
/// When the directory that would hold it cannot be searched.
pub fn exists(path: &Path) -> io::Result<bool> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn removing_a_tree_follows_no_link_and_can_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("precious"), b"x").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink(&victim, tree.join("a/link")).unwrap();
        fs::write(tree.join("a/b/file"), b"x").unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!exists(&tree).unwrap());
        remove_tree(&tree).unwrap();
        assert!(victim.join("precious").exists());

        symlink(&victim, &tree).unwrap();
        assert_eq!(remove_tree(&tree).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert!(victim.join("precious").exists());
    }

    #[test]
    fn removing_goes_deeper_than_paths_and_open_levels_allow() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let name = CString::new("d".repeat(100)).unwrap();
        let mut fd = OwnedFd::from(fs::File::open(&tree).unwrap());
        for _ in 0..200 {
            mkdirat(&fd, &name, Mode::RWXU).unwrap();
            mkdirat(&fd, c"beside", Mode::RWXU).unwrap();
            fd = openat(&fd, &name, OFlags::RDONLY, Mode::empty()).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!exists(&tree).unwrap());
    }

    #[test]
    fn an_owned_directory_is_private_and_was_empty() {
        let dir = tempfile::tempdir().unwrap();
        let owned = dir.path().join("owned");
        create_owned_dir(&owned).unwrap();
        assert_eq!(fs::metadata(&owned).unwrap().permissions().mode() & 0o7777, 0o700);
        create_owned_dir(&owned).unwrap();
        fs::write(owned.join("file"), b"x").unwrap();
        assert_eq!(create_owned_dir(&owned).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        assert!(!is_empty_dir(&owned).unwrap());
        assert_eq!(create_owned_dir(&dir.path().join("no/where")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(create_owned_dir(&owned.join("file")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn exchanging_swaps_and_moving_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b, c) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        fs::write(a.join("from-a"), b"").unwrap();
        exchange(&a, &b).unwrap();
        assert!(b.join("from-a").exists() && is_empty_dir(&a).unwrap());
        assert_eq!(rename_durable(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        rename_durable(&b, &c).unwrap();
        assert!(c.join("from-a").exists() && !exists(&b).unwrap());
        assert_eq!(exchange(&a, &b).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn room_is_told() {
        let room = room(Path::new("/tmp")).unwrap();
        assert!(room.total >= room.free && room.total > Bytes(0));
    }
}
