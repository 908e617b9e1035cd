//! Directories of a tree being written, kept open.
//!
//! Files are made in pack order, which is mostly directory by directory, so a bounded number of open directories
//! serves almost every file with one look-up. A directory that is not on the shelf is opened from the top of the
//! tree; no component may be a symbolic link, so nothing found in the tree leads out of it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use crate::stamp::{Writer, bequeaths_acl};

/// An open directory to write in.
pub(crate) struct Shelved {
    pub(crate) fd: OwnedFd,
    /// Entries made here inherit nothing: neither group nor ACL.
    pub(crate) plain: bool,
}

/// By path below the top: the directory and when it was last asked for.
type Places = HashMap<Box<[u8]>, (Arc<Shelved>, AtomicU64)>;

/// A bounded number of open directories below one.
pub(crate) struct Shelf {
    top: OwnedFd,
    writer: Writer,
    most: usize,
    clock: AtomicU64,
    open: RwLock<Places>,
    /// Set once the system turns out not to know `openat2`.
    step_by_step: AtomicBool,
}

impl Shelf {
    pub(crate) fn new(top: OwnedFd, writer: Writer, most: usize) -> Self {
        let (clock, open) = (AtomicU64::new(0), RwLock::new(HashMap::new()));
        Self { top, writer, most: most.max(2), clock, open, step_by_step: AtomicBool::new(false) }
    }

    /// The directory at `path` below the top; empty for the top itself.
    ///
    /// # Errors
    /// When it is not there, or a component is no directory.
    pub(crate) fn get(&self, path: &[u8]) -> io::Result<Arc<Shelved>> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        if let Some((shelved, used)) = self.open.read().expect(UNPOISONED).get(path) {
            used.store(now, Ordering::Relaxed);
            return Ok(Arc::clone(shelved));
        }
        let fd = self.open(path)?;
        let stat = fstat(&fd)?;
        let inherits_group = stat.st_mode & 0o2000 != 0 || stat.st_gid != self.writer.gid;
        let plain = !inherits_group && !bequeaths_acl(&fd);
        let shelved = Arc::new(Shelved { fd, plain });
        let mut open = self.open.write().expect(UNPOISONED);
        if open.len() >= self.most {
            make_room(&mut open);
        }
        open.insert(path.into(), (Arc::clone(&shelved), AtomicU64::new(now)));
        Ok(shelved)
    }

    /// Forgets what is known of a directory, because it changes.
    pub(crate) fn forget(&self, path: &[u8]) {
        self.open.write().expect(UNPOISONED).remove(path);
    }

    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        if path.is_empty() {
            return open_one(&self.top, b".");
        }
        let mut fd: Option<OwnedFd> = None;
        let mut rest = path;
        while !rest.is_empty() {
            let (piece, after) = split(rest);
            let from = fd.as_ref().unwrap_or(&self.top);
            fd = Some(self.open_piece(from, piece)?);
            rest = after;
        }
        Ok(fd.expect("the path has a component"))
    }

    fn open_piece(&self, from: &OwnedFd, piece: &[u8]) -> io::Result<OwnedFd> {
        if !self.step_by_step.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match openat2(from, piece, FLAGS, Mode::empty(), resolve) {
                // Sandboxes refuse calls they do not know with either.
                Err(Errno::NOSYS | Errno::PERM) => self.step_by_step.store(true, Ordering::Relaxed),
                // One of them may not be readable though it may be passed.
                Err(Errno::ACCESS | Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
        let mut names = piece.split(|byte| *byte == b'/');
        let mut fd = open_one(from, names.next().expect("splitting yields something"))?;
        for name in names {
            fd = open_one(&fd, name)?;
        }
        Ok(fd)
    }
}

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const UNPOISONED: &str = "no holder of this lock panics";

fn open_one(from: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    match openat(from, name, FLAGS, Mode::empty()) {
        // A directory that may be written but not read is still a place to make entries in.
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(openat(from, name, flags, Mode::empty())?)
        }
        result => Ok(result?),
    }
}

/// As many leading components as the system takes in one call, and the rest.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    const PIECE_MAX: usize = 4000;
    if path.len() <= PIECE_MAX {
        return (path, b"");
    }
    let end = path[..PIECE_MAX].iter().rposition(|byte| *byte == b'/').unwrap_or(PIECE_MAX);
    (&path[..end], path[end..].strip_prefix(b"/").unwrap_or(&path[end..]))
}

/// Closes the half that was used longest ago.
fn make_room(open: &mut Places) {
    let mut uses: Vec<u64> = open.values().map(|(_, used)| used.load(Ordering::Relaxed)).collect();
    let middle = uses.len() / 2;
    let (_, limit, _) = uses.select_nth_unstable(middle);
    let limit = *limit;
    open.retain(|_, (_, used)| used.load(Ordering::Relaxed) >= limit);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shelf(dir: &std::path::Path, most: usize) -> Shelf {
        Shelf::new(fs::File::open(dir).unwrap().into(), Writer::this_process(), most)
    }

    #[test]
    fn a_shelf_stays_within_its_bound_and_still_opens_everything() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path(), 4);
        for turn in 0..3 {
            for number in 0..20 {
                let name = format!("d{number}");
                if turn == 0 {
                    fs::create_dir(dir.path().join(&name)).unwrap();
                }
                shelf.get(name.as_bytes()).unwrap();
                assert!(shelf.open.read().unwrap().len() <= 4);
            }
        }
    }

    #[test]
    fn a_symbolic_link_is_no_way_in_with_or_without_openat2() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("real/below")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let shelf = shelf(dir.path(), 4);
        for step_by_step in [false, true] {
            shelf.step_by_step.store(step_by_step, Ordering::Relaxed);
            assert!(shelf.get(b"real/below").is_ok());
            assert!(shelf.get(b"link").is_err());
            assert!(shelf.get(b"link/below").is_err());
            shelf.forget(b"real/below");
        }
    }

    #[test]
    fn a_long_path_is_split_at_a_component() {
        let path = [b"n".repeat(255), b"m".repeat(200)].join(&b'/').repeat(20);
        let (head, rest) = split(&path);
        assert!(head.len() <= 4000 && !head.ends_with(b"/") && !rest.starts_with(b"/"));
        assert_eq!([head, rest].join(&b'/'), path);
    }
}
