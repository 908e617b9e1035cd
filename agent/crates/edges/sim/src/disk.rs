//! A file system in memory: the live trees, scratch space, small files. It outlives every process.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use backstop_model::tree::{Cut, Meta, Node, NodeKind, compare};
use backstop_seams::Clock;

use crate::UNPOISONED;
use crate::clock::SimClock;

/// A path below `/`, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot(pub Vec<u8>);

impl Ord for Spot {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for Spot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How an entry behaves towards a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Reads like any other.
    #[default]
    Willing,
    /// Cannot be opened.
    Unreadable,
    /// Is listed, and gone when it is opened.
    Vanishing,
}

/// One name.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub kind: NodeKind,
    pub meta: Meta,
    pub contents: Arc<Vec<u8>>,
    pub mood: Mood,
}

impl Entry {
    pub(crate) fn node(&self, path: &[u8]) -> Node {
        Node { path: path.to_vec(), kind: self.kind.clone(), meta: self.meta.clone() }
    }
}

/// Everything on the disk.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub all: BTreeMap<Spot, Entry>,
    last_inode: u64,
}

/// The disk of the machine the agent runs on.
#[derive(Debug)]
pub struct SimDisk {
    clock: Arc<SimClock>,
    entries: Mutex<Entries>,
}

/// A path as the entries are keyed: without the leading `/`.
#[must_use]
pub fn key(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec()
}

pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    slash.map(|at| &path[..at])
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|rest| rest.starts_with(b"/"))
}

impl Entries {
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.all.get(&Spot(path.to_vec()))
    }

    pub(crate) fn get_mut(&mut self, path: &[u8]) -> Option<&mut Entry> {
        self.all.get_mut(&Spot(path.to_vec()))
    }

    pub(crate) fn inode(&mut self) -> u64 {
        self.last_inode += 1;
        self.last_inode
    }

    /// The entry at `top`, if there is one, and all below it, in canonical order.
    pub(crate) fn tree<'a>(&'a self, top: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Entry)> {
        let all = self.all.range(Spot(top.to_vec())..).map(|(spot, entry)| (spot.0.as_slice(), entry));
        all.take_while(move |(path, _)| *path == top || is_below(path, top))
    }

    pub(crate) fn insert(&mut self, path: &[u8], entry: Entry) -> io::Result<()> {
        match parent(path).map(|above| self.get(above).map(|entry| &entry.kind)) {
            None | Some(Some(NodeKind::Directory)) => {}
            Some(Some(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(None) => return Err(io::ErrorKind::NotFound.into()),
        }
        self.all.insert(Spot(path.to_vec()), entry);
        Ok(())
    }

    pub(crate) fn directories(&mut self, path: &[u8], mode: u32, now: (i64, u32)) -> io::Result<()> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]).filter(|end| *end > 0) {
            match self.get(&path[..end]).map(|entry| &entry.kind) {
                Some(NodeKind::Directory) => {}
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let inode = self.inode();
                    let meta = Meta { mode, mtime: now, ctime: now, inode, device: 1, links: 2, ..Meta::default() };
                    let entry =
                        Entry { kind: NodeKind::Directory, meta, contents: Arc::default(), mood: Mood::Willing };
                    self.insert(&path[..end], entry)?;
                }
            }
        }
        Ok(())
    }

    /// Removes a name with everything below it; other names of its files have one fewer.
    pub(crate) fn remove(&mut self, top: &[u8]) -> usize {
        let gone: Vec<(Spot, u64)> =
            self.tree(top).map(|(path, entry)| (Spot(path.to_vec()), entry.meta.inode)).collect();
        for (spot, inode) in &gone {
            let last = self.all.remove(spot);
            if last.is_some_and(|entry| entry.meta.links > 1 && entry.kind != NodeKind::Directory) {
                self.names_of(*inode).for_each(|entry| entry.meta.links -= 1);
            }
        }
        gone.len()
    }

    /// Every name of a file.
    pub(crate) fn names_of(&mut self, inode: u64) -> impl Iterator<Item = &mut Entry> {
        let is_file = move |entry: &&mut Entry| entry.meta.inode == inode && entry.kind != NodeKind::Directory;
        self.all.values_mut().filter(is_file)
    }

    /// Moves a name with everything below it.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) {
        let moved: Vec<(Vec<u8>, Entry)> =
            self.tree(from).map(|(path, entry)| (path.to_vec(), entry.clone())).collect();
        for (path, entry) in moved {
            self.all.remove(&Spot(path.clone()));
            self.all.insert(Spot([to, &path[from.len()..]].concat()), entry);
        }
    }
}

impl SimDisk {
    pub(crate) fn new(clock: Arc<SimClock>) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect(UNPOISONED)
    }

    /// The time that files get, from the wall clock.
    pub(crate) fn stamp(&self) -> (i64, u32) {
        let now = self.clock.now();
        (now.as_second(), now.subsec_nanosecond().unsigned_abs())
    }

    /// Whether something stands at the path.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.lock().get(&key(Path::new(path))).is_some()
    }

    /// The names below a path, at any depth.
    #[must_use]
    pub fn below(&self, path: &str) -> Vec<String> {
        let top = key(Path::new(path));
        let entries = self.lock();
        let below = entries.tree(&top).filter(|(path, _)| *path != top.as_slice());
        below.map(|(path, _)| String::from_utf8_lossy(path).into_owned()).collect()
    }

    /// Writes a file with this mode, and the directories above it; a new inode if it is new.
    pub fn write(&self, path: &str, contents: Vec<u8>) {
        let (path, now) = (key(Path::new(path)), self.stamp());
        let mut entries = self.lock();
        entries.directories(parent(&path).unwrap_or_default(), 0o755, now).expect("directories stand above");
        let known = entries.get(&path).map(|entry| entry.meta.clone());
        let inode = known.as_ref().map_or_else(|| entries.inode(), |meta| meta.inode);
        let fresh = Meta { mode: 0o644, inode, device: 1, links: 1, ..Meta::default() };
        let meta = Meta { mtime: now, ctime: now, ..known.unwrap_or(fresh) };
        let kind = NodeKind::File { size: contents.len() as u64, cut: Cut::Content };
        let entry = Entry { kind, meta, contents: Arc::new(contents), mood: Mood::Willing };
        let shared = entry.meta.links > 1;
        if shared {
            entries.names_of(inode).for_each(|name| *name = entry.clone());
        } else {
            entries.insert(&path, entry).expect("directories stand above");
        }
    }

    /// Removes a name with everything below it.
    pub fn remove(&self, path: &str) {
        self.lock().remove(&key(Path::new(path)));
    }

    /// Changes how a file behaves; like any change of its permissions, that gives it a new change time.
    pub fn set_mood(&self, path: &str, mood: Mood) {
        let now = self.stamp();
        if let Some(entry) = self.lock().get_mut(&key(Path::new(path))) {
            entry.mood = mood;
            entry.meta.ctime = now;
        }
    }

    /// What a restore of this tree must bring back, in a form that compares: everything that can be read, with the
    /// metadata a restore sets. Paths are relative to `strip`.
    #[must_use]
    pub fn picture(&self, top: &str, strip: &str) -> Vec<String> {
        let (top, strip) = (key(Path::new(top)), key(Path::new(strip)));
        let entries = self.lock();
        let readable = entries.tree(&top).filter(|(_, entry)| entry.mood == Mood::Willing);
        let mut first_names: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut lines = Vec::new();
        for (path, entry) in readable {
            let path = path.strip_prefix(strip.as_slice()).unwrap_or(path);
            let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
            let shown = backstop_model::tree::show_path(&path);
            let what = match &entry.kind {
                NodeKind::Directory => "directory".to_owned(),
                NodeKind::File { size, .. } => format!("{size} {}", blake3::hash(&entry.contents).to_hex()),
                other => format!("{other:?}"),
            };
            let Meta { mode, uid, gid, mtime, inode, links, .. } = entry.meta;
            let is_link = links > 1 && entry.kind != NodeKind::Directory;
            let first = if is_link { first_names.entry(inode).or_insert(path).clone() } else { Vec::new() };
            let first = backstop_model::tree::show_path(&first);
            lines.push(format!("{shown} {what} {mode:o} {uid}:{gid} {}.{:09} {first}", mtime.0, mtime.1));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_what_stands_below_and_nothing_beside() {
        let disk = SimDisk::new(Arc::default());
        for path in ["/srv/docs/a", "/srv/docs/b/c", "/srv/docs.old/x", "/srv/docs-2"] {
            disk.write(path, b"x".to_vec());
        }
        assert_eq!(disk.below("/srv/docs"), ["srv/docs/a", "srv/docs/b", "srv/docs/b/c"]);
        assert_eq!(disk.picture("/srv/docs", "/srv").len(), 4);
        disk.remove("/srv/docs");
        assert_eq!(disk.below("/srv"), ["srv/docs-2", "srv/docs.old", "srv/docs.old/x"]);
    }

    #[test]
    fn a_picture_shows_contents_and_hides_what_cannot_be_read() {
        let disk = SimDisk::new(Arc::default());
        disk.write("/srv/a", b"one".to_vec());
        let before = disk.picture("/srv", "/");
        disk.write("/srv/b", b"two".to_vec());
        disk.set_mood("/srv/b", Mood::Unreadable);
        assert_eq!(disk.picture("/srv", "/"), before);
        disk.write("/srv/a", b"One".to_vec());
        assert_ne!(disk.picture("/srv", "/"), before);
    }
}
