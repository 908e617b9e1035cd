//! A directory of this machine as the target of a restore.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use backstop_model::plan::Overwrite;
use backstop_model::tree::{Node, NodeKind, show_path};
use backstop_seams::{FileWriter, Target, Written};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, linkat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::landing::{Landing, LargeFile, is_newer, is_unfinished, may_replace, remove_if_there, temporary_name};
use crate::limit::raise_open_files;
use crate::places;
use crate::shelf::{Shelf, Shelved};
use crate::special;
use crate::stamp::{self, Causes, UNFINISHED_DIRECTORY, Writer};

/// How a tree is laid out below its directory, and what happens to files that stand there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetOptions {
    /// Leading part of node paths to take away, e.g. `srv/docs`, so that the directory holds the contents of that
    /// one. Empty: the directory stands for `/`. Nodes above it are passed over, nodes elsewhere are errors.
    pub strip: Vec<u8>,
    /// What happens to files that exist.
    pub overwrite: Overwrite,
}

/// Writes a tree below one directory, and nowhere else: no symbolic link in it is followed.
///
/// Directories that stood there keep their metadata under `Overwrite::Never`, get the backup's under `Always`, and
/// under `IfNewer` where the backup's modification time is newer. What an interrupted restore left unfinished is
/// recognised by its mode (sticky, owner only) and made anew; the top directory counts as such while it is empty.
pub struct TreeTarget {
    shelf: Shelf,
    options: TargetOptions,
    writer: Writer,
    /// Directories that stood there and keep their metadata.
    left_alone: Mutex<HashSet<Vec<u8>>>,
    notes: Arc<Notes>,
}

/// Metadata that could not be applied.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<(String, String)>>);

impl Notes {
    pub(crate) fn add(&self, path: &[u8], causes: Causes) {
        if !causes.is_empty() {
            self.0.lock().expect(UNPOISONED).push((show_path(path), causes.join("; ")));
        }
    }
}

/// Where a node goes.
enum Spot<'a> {
    /// Above what is restored.
    Above,
    /// The target's own directory.
    Top,
    /// An entry of a directory below it.
    Below { directory: &'a [u8], name: &'a [u8], path: &'a [u8] },
}

impl TreeTarget {
    /// A target in `dir`, which must be a directory. A symbolic link that leads to it is followed here.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new(dir: &Path, options: TargetOptions) -> io::Result<Self> {
        let writer = Writer::this_process();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat(CWD, dir, flags, Mode::empty())?;
        let shelf = Shelf::new(top, writer, (raise_open_files() / 4).min(4096));
        Ok(Self { shelf, options, writer, left_alone: Mutex::default(), notes: Arc::default() })
    }

    fn spot<'a>(&self, node: &'a Node) -> io::Result<Spot<'a>> {
        let strip = self.options.strip.as_slice();
        let path = match node.path.strip_prefix(strip) {
            Some(rest) if strip.is_empty() => rest,
            Some(b"") => return Ok(Spot::Top),
            Some([b'/', rest @ ..]) => rest,
            _ if node.path.is_empty()
                || strip.strip_prefix(node.path.as_slice()).is_some_and(|r| r.starts_with(b"/")) =>
            {
                return Ok(Spot::Above);
            }
            _ => return Err(invalid("outside of what is restored here")),
        };
        if path.is_empty() {
            return Ok(Spot::Top);
        }
        if path.split(|byte| *byte == b'/').any(|name| matches!(name, b"" | b"." | b"..")) {
            return Err(invalid("not a path of a backup"));
        }
        let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        Ok(Spot::Below { directory, name, path })
    }

    /// Where an entry other than a directory goes.
    fn leaf<'a>(&self, node: &'a Node) -> io::Result<(Arc<Shelved>, &'a [u8])> {
        match self.spot(node)? {
            Spot::Above | Spot::Top => Err(invalid("only a directory can stand here")),
            Spot::Below { directory, name, .. } => Ok((self.shelf.get(directory)?, name)),
        }
    }

    fn top(&self, node: &Node) -> io::Result<Written> {
        let top = self.shelf.get(b"")?;
        let stat = fstat(&top.fd)?;
        let ours = stat.st_mode & 0o7777 == UNFINISHED_DIRECTORY && stat.st_uid == self.writer.uid;
        if !ours && !places::is_empty(&top.fd)? {
            return self.adopt(b"", node, &top.fd);
        }
        if !ours && stat.st_uid == self.writer.uid {
            self.notes.add(&node.path, stamp::forget_inheritance(&top.fd));
            self.shelf.forget(b"");
        }
        Ok(Written::Kept)
    }

    /// Uses a directory that stands there.
    fn adopt(&self, path: &[u8], node: &Node, fd: &OwnedFd) -> io::Result<Written> {
        let stat = fstat(fd)?;
        let stamped = match self.options.overwrite {
            Overwrite::Never => false,
            Overwrite::IfNewer => is_newer(&node.meta, &stat),
            Overwrite::Always => true,
        };
        if !stamped {
            self.left_alone.lock().expect(UNPOISONED).insert(path.to_vec());
        } else if stat.st_uid == self.writer.uid && stat.st_mode & 0o700 != 0o700 {
            // It gets its recorded mode at the end; until then we must be able to write in it.
            fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7777 | 0o700))?;
        }
        Ok(Written::Kept)
    }

    fn existing_directory(&self, path: &[u8], parent: &Shelved, name: &[u8], node: &Node) -> io::Result<Written> {
        let stat = statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "something that is no directory stands here"));
        }
        if stat.st_mode & 0o7777 == UNFINISHED_DIRECTORY && stat.st_uid == self.writer.uid {
            return Ok(Written::Made);
        }
        let found = self.shelf.get(path)?;
        self.adopt(path, node, &found.fd)
    }
}

impl Target for TreeTarget {
    fn directory(&self, node: &Node) -> io::Result<Written> {
        let (directory, name, path) = match self.spot(node)? {
            Spot::Above => return Ok(Written::Kept),
            Spot::Top => return self.top(node),
            Spot::Below { directory, name, path } => (directory, name, path),
        };
        let parent = self.shelf.get(directory)?;
        match mkdirat(&parent.fd, name, Mode::from_raw_mode(UNFINISHED_DIRECTORY)) {
            Ok(()) if parent.plain => Ok(Written::Made),
            Ok(()) => {
                let made = self.shelf.get(path)?;
                self.notes.add(&node.path, stamp::forget_inheritance(&made.fd));
                self.shelf.forget(path);
                Ok(Written::Made)
            }
            Err(Errno::EXIST) => self.existing_directory(path, &parent, name, node),
            Err(error) => Err(error.into()),
        }
    }

    fn whole_file(&self, node: &Node, contents: &[u8]) -> io::Result<Written> {
        let (directory, name) = self.leaf(node)?;
        let begun = Landing::begin(&directory, name, &node.meta, self.options.overwrite, self.writer)?;
        let Some(landing) = begun else { return Ok(Written::Kept) };
        landing.write_at(0, contents)?;
        self.notes.add(&node.path, landing.land(&node.meta, self.writer)?);
        Ok(Written::Made)
    }

    fn begin_file(&self, node: &Node) -> io::Result<Option<Box<dyn FileWriter>>> {
        let NodeKind::File { size, .. } = node.kind else { return Err(invalid("not a regular file")) };
        let (directory, name) = self.leaf(node)?;
        let begun = Landing::begin(&directory, name, &node.meta, self.options.overwrite, self.writer)?;
        let Some(landing) = begun else { return Ok(None) };
        landing.set_size(size)?;
        let notes = Arc::clone(&self.notes);
        Ok(Some(Box::new(LargeFile { landing, node: node.clone(), writer: self.writer, notes })))
    }

    fn hard_link(&self, node: &Node, existing: &Node) -> io::Result<Written> {
        let (from, old) = self.leaf(existing)?;
        let (directory, name) = self.leaf(node)?;
        match linkat(&from.fd, old, &directory.fd, name, AtFlags::empty()) {
            Ok(()) => return Ok(Written::Made),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let found = statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let first = statat(&from.fd, old, AtFlags::SYMLINK_NOFOLLOW)?;
        if (found.st_dev, found.st_ino) == (first.st_dev, first.st_ino) {
            return Ok(Written::Kept);
        }
        if !is_unfinished(&found, self.writer) && !may_replace(&found, &node.meta, self.options.overwrite)? {
            return Ok(Written::Kept);
        }
        let temporary = temporary_name(name);
        remove_if_there(&directory, &temporary)?;
        linkat(&from.fd, old, &directory.fd, temporary.as_slice(), AtFlags::empty())?;
        put_over(&directory, &temporary, name)?;
        Ok(Written::Made)
    }

    fn special(&self, node: &Node) -> io::Result<Written> {
        let (directory, name) = self.leaf(node)?;
        match special::make(&directory, name, &node.kind) {
            Ok(()) => {
                self.notes.add(&node.path, special::stamp(&directory, name, node, self.writer)?);
                return Ok(Written::Made);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let found = statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if !is_unfinished(&found, self.writer) && !may_replace(&found, &node.meta, self.options.overwrite)? {
            return Ok(Written::Kept);
        }
        let temporary = temporary_name(name);
        remove_if_there(&directory, &temporary)?;
        special::make(&directory, &temporary, &node.kind)?;
        self.notes.add(&node.path, special::stamp(&directory, &temporary, node, self.writer)?);
        put_over(&directory, &temporary, name)?;
        Ok(Written::Made)
    }

    fn finish_directory(&self, node: &Node) -> io::Result<()> {
        let path = match self.spot(node)? {
            Spot::Above => return Ok(()),
            Spot::Top => b"",
            Spot::Below { path, .. } => path,
        };
        if self.left_alone.lock().expect(UNPOISONED).contains(path) {
            return Ok(());
        }
        let directory = self.shelf.get(path)?;
        self.notes.add(&node.path, stamp::directory(&directory.fd, &node.meta, self.writer));
        Ok(())
    }

    fn metadata_troubles(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.notes.0.lock().expect(UNPOISONED))
    }
}

const UNPOISONED: &str = "no holder of this lock panics";

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn put_over(directory: &Shelved, temporary: &[u8], name: &[u8]) -> io::Result<()> {
    if let Err(error) = renameat(&directory.fd, temporary, &directory.fd, name) {
        remove_if_there(directory, temporary)?;
        return Err(error.into());
    }
    // Renaming one name of a file over another name of the same file does nothing and reports success.
    match unlinkat(&directory.fd, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
