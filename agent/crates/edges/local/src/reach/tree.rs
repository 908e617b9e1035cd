//! Looking at a restored tree under the paths of its backup, and never at anything else.
//!
//! A restored tree may hold links to anywhere and names that somebody chose with this in mind. So every path is walked
//! name by name from the tree's directory, each directory opened relative to the one before it, and no link is followed:
//! there is no name that leads out. What is no regular file is never opened: a pipe would wait for a writer, a device
//! might do something.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, PathBuf};

use backstop_model::policy::health::RestoredTree;
use backstop_seams::reach::{ENTRIES_MAX, READ_MAX};
use backstop_seams::{FileFacts, FileKind, ReachFailure};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::{Errno, pread};

use super::{invalid, unreachable};

/// Longest path.
const PATH_MAX: usize = 4096;

/// A restored tree.
pub(super) struct Tree {
    dir: PathBuf,
    strip: Vec<Vec<u8>>,
}

/// The directory that a path's last name stands in. No name: the directory itself.
struct Spot<'a> {
    parent: OwnedFd,
    name: Option<&'a str>,
}

impl Tree {
    pub(super) fn new(tree: RestoredTree) -> Self {
        let names = tree.strip.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.as_encoded_bytes().to_vec()),
            _ => None,
        });
        Self { strip: names.collect(), dir: tree.dir }
    }

    pub(super) fn stat(&self, path: &str) -> Result<Option<FileFacts>, ReachFailure> {
        let Some(spot) = self.find(path)? else { return Ok(None) };
        let Some(stat) = spot.stat().map_err(|error| refused(path, error))? else { return Ok(None) };
        Ok(Some(FileFacts {
            kind: kind(&stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            mode: stat.st_mode & 0o7777,
        }))
    }

    pub(super) fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, ReachFailure> {
        let file = self.open(path, FileKind::File, OFlags::NONBLOCK | OFlags::NOCTTY)?;
        pread_full(&file, offset, length.min(READ_MAX) as usize)
            .map_err(|error| unreachable(format!("cannot read `{}`: {error}", path.escape_debug())))
    }

    pub(super) fn entries(&self, path: &str) -> Result<Vec<String>, ReachFailure> {
        let mut dir =
            Dir::new(self.open(path, FileKind::Directory, OFlags::DIRECTORY)?).map_err(|e| refused(path, e))?;
        let mut first = BTreeSet::new();
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(|error| refused(path, error))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            first.insert(name.to_owned());
            if first.len() > ENTRIES_MAX {
                first.pop_last();
            }
        }
        Ok(first.into_iter().collect())
    }

    /// Opens what stands at a path for reading, if it is of that kind.
    fn open(&self, path: &str, wanted: FileKind, flags: OFlags) -> Result<OwnedFd, ReachFailure> {
        let missing = || unreachable(format!("there is no `{}`", path.escape_debug()));
        let spot = self.find(path)?.ok_or_else(missing)?;
        let stat = spot.stat().map_err(|error| refused(path, error))?.ok_or_else(missing)?;
        expect_kind(path, &stat, wanted)?;
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&spot.parent, spot.name.unwrap_or("."), flags, Mode::empty());
        let opened = opened.map_err(|error| refused(path, error))?;
        // Somebody may have put something else there since.
        expect_kind(path, &fstat(&opened).map_err(|error| refused(path, error))?, wanted)?;
        Ok(opened)
    }

    /// Walks to where a path's last name stands; `None` when the way ends before, or the path is not of this tree.
    fn find<'a>(&self, path: &'a str) -> Result<Option<Spot<'a>>, ReachFailure> {
        let Some(names) = self.below(path)? else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut parent = open(&self.dir, flags, Mode::empty()).map_err(|error| refused(path, error))?;
        let Some((last, way)) = names.split_last() else { return Ok(Some(Spot { parent, name: None })) };
        for name in way {
            parent = match openat(&parent, *name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let stat = statat(&parent, *name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| refused(path, e))?;
                    if kind(&stat) != FileKind::Link {
                        return Ok(None);
                    }
                    let (name, path) = (name.escape_debug(), path.escape_debug());
                    return Err(invalid(format!("`{name}` in `{path}` is a link, and links are not followed")));
                }
                Err(error) => return Err(refused(path, error)),
            };
        }
        Ok(Some(Spot { parent, name: Some(last) }))
    }

    /// The names below the tree's directory; `None` for a path of the backup that is not part of the tree.
    fn below<'a>(&self, path: &'a str) -> Result<Option<Vec<&'a str>>, ReachFailure> {
        let wrong = |what: &str| Err(invalid(format!("the path `{}` {what}", path.escape_debug())));
        if path.len() > PATH_MAX {
            return Err(invalid(format!("the path is longer than {PATH_MAX} bytes")));
        }
        if !path.starts_with('/') {
            return wrong("is not absolute");
        }
        if path.contains('\0') {
            return wrong("holds a NUL byte");
        }
        let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.contains(&"..") {
            return wrong("holds `..`");
        }
        let stripped = names.len() >= self.strip.len()
            && self
                .strip
                .iter()
                .zip(&names)
                .all(|(strip, name)| strip.as_slice() == OsStr::new(name).as_encoded_bytes());
        Ok(stripped.then(|| names[self.strip.len()..].to_vec()))
    }
}

impl Spot<'_> {
    fn stat(&self) -> Result<Option<Stat>, Errno> {
        let stat = match self.name {
            Some(name) => statat(&self.parent, name, AtFlags::SYMLINK_NOFOLLOW),
            None => fstat(&self.parent),
        };
        match stat {
            Err(Errno::NOENT) => Ok(None),
            stat => stat.map(Some),
        }
    }
}

fn refused(path: &str, error: Errno) -> ReachFailure {
    unreachable(format!("cannot look at `{}`: {}", path.escape_debug(), io::Error::from(error)))
}

fn kind(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    }
}

fn expect_kind(path: &str, stat: &Stat, wanted: FileKind) -> Result<(), ReachFailure> {
    let found = kind(stat);
    if found == wanted {
        return Ok(());
    }
    let is = match found {
        FileKind::File => "a file",
        FileKind::Directory => "a directory",
        FileKind::Link => "a link, which is not followed",
        FileKind::Other => "no file but something that is not opened",
    };
    Err(invalid(format!("`{}` is {is}", path.escape_debug())))
}

/// Reads `length` bytes from `offset`; fewer only at the end.
pub(super) fn pread_full(file: impl AsFd, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        // No file reaches as far as the system can count.
        let Some(at) = offset.checked_add(filled as u64).filter(|at| i64::try_from(*at).is_ok()) else { break };
        match pread(&file, &mut bytes[filled..], at) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
