//! Directories of the simulated machine as targets of a restore.

use std::io;
use std::sync::{Arc, Mutex};

use backstop_model::plan::Overwrite;
use backstop_model::tree::{Cut, Meta, Node, NodeKind};
use backstop_seams::{FileWriter, Target, Written};

use crate::UNPOISONED;
use crate::disk::{Entry, Mood, SimDisk};
use crate::files::gone;
use crate::life::{End, Life, Touch};

pub(crate) struct SimTarget {
    disk: Arc<SimDisk>,
    life: Arc<Life>,
    top: Vec<u8>,
    strip: Vec<u8>,
    overwrite: Overwrite,
    /// Directories that stood there and keep their metadata.
    left_alone: Mutex<Vec<Vec<u8>>>,
}

impl SimTarget {
    pub(crate) fn new(disk: Arc<SimDisk>, life: Arc<Life>, top: Vec<u8>, strip: Vec<u8>, overwrite: Overwrite) -> Self {
        Self { disk, life, top, strip, overwrite, left_alone: Mutex::default() }
    }

    /// Where a node goes; `None` for the directories above what is restored.
    fn spot(&self, node: &Node) -> io::Result<Option<Vec<u8>>> {
        let rest = match node.path.strip_prefix(self.strip.as_slice()) {
            Some(rest) if self.strip.is_empty() || rest.is_empty() || rest.starts_with(b"/") => rest,
            _ if self.strip.starts_with(&node.path) => return Ok(None),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        Ok(Some(if rest.is_empty() { self.top.clone() } else { [self.top.as_slice(), b"/", rest].concat() }))
    }

    /// Does it, unless the process is gone; or does it and is.
    fn touched<T>(&self, what: &str, node: &Node, effect: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.life.touch(&format!("{what} {}", backstop_model::tree::show_path(&node.path))) {
            Touch::Alive => effect(),
            Touch::Ends(End::After) => effect().and(Err(gone())),
            Touch::Ends(End::Before) | Touch::Gone => Err(gone()),
        }
    }

    fn may_replace(&self, node: &Node, there: &Entry) -> bool {
        match self.overwrite {
            Overwrite::Never => false,
            Overwrite::IfNewer => node.meta.mtime > there.meta.mtime,
            Overwrite::Always => true,
        }
    }

    /// Puts a finished entry at its place.
    fn land(&self, what: &str, node: &Node, contents: &[u8]) -> io::Result<Written> {
        self.touched(what, node, || {
            let path = self.spot(node)?.ok_or(io::ErrorKind::InvalidInput)?;
            let mut entries = self.disk.lock();
            match entries.get(&path) {
                Some(there) if !self.may_replace(node, there) => return Ok(Written::Kept),
                Some(Entry { kind: NodeKind::Directory, .. }) => return Err(io::ErrorKind::IsADirectory.into()),
                Some(_) => drop(entries.remove(&path)),
                None => {}
            }
            let inode = entries.inode();
            let ctime = self.disk.stamp();
            let meta = Meta { inode, device: 1, links: 1, ctime, ..node.meta.clone() };
            let kind = match &node.kind {
                NodeKind::File { .. } => NodeKind::File { size: contents.len() as u64, cut: Cut::Content },
                other => other.clone(),
            };
            entries.insert(&path, Entry { kind, meta, contents: Arc::new(contents.to_vec()), mood: Mood::Willing })?;
            Ok(Written::Made)
        })
    }
}

impl Target for SimTarget {
    fn directory(&self, node: &Node) -> io::Result<Written> {
        self.touched("make directory", node, || {
            let Some(path) = self.spot(node)? else { return Ok(Written::Kept) };
            let now = self.disk.stamp();
            let mut entries = self.disk.lock();
            match entries.get(&path) {
                Some(there @ Entry { kind: NodeKind::Directory, .. }) => {
                    // An empty top is as good as one just made.
                    let fresh = path == self.top && entries.tree(&path).count() == 1;
                    if !fresh && !self.may_replace(node, there) {
                        self.left_alone.lock().expect(UNPOISONED).push(path);
                    }
                    Ok(Written::Kept)
                }
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    entries.directories(&path, 0o700, now)?;
                    Ok(Written::Made)
                }
            }
        })
    }

    fn whole_file(&self, node: &Node, contents: &[u8]) -> io::Result<Written> {
        self.land("make file", node, contents)
    }

    fn begin_file(&self, node: &Node) -> io::Result<Option<Box<dyn FileWriter>>> {
        if self.life.has_ended() {
            return Err(gone());
        }
        let path = self.spot(node)?.ok_or(io::ErrorKind::InvalidInput)?;
        if self.disk.lock().get(&path).is_some_and(|there| !self.may_replace(node, there)) {
            return Ok(None);
        }
        let NodeKind::File { size, .. } = node.kind else { return Err(io::ErrorKind::InvalidInput.into()) };
        let contents = vec![0; usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?];
        let target = Self::new(
            Arc::clone(&self.disk),
            Arc::clone(&self.life),
            self.top.clone(),
            self.strip.clone(),
            self.overwrite,
        );
        Ok(Some(Box::new(LargeFile { target, node: node.clone(), contents: Mutex::new(contents) })))
    }

    fn hard_link(&self, node: &Node, existing: &Node) -> io::Result<Written> {
        self.touched("link", node, || {
            let path = self.spot(node)?.ok_or(io::ErrorKind::InvalidInput)?;
            let first = self.spot(existing)?.ok_or(io::ErrorKind::InvalidInput)?;
            let mut entries = self.disk.lock();
            match entries.get(&path) {
                Some(there) if !self.may_replace(node, there) => return Ok(Written::Kept),
                Some(_) => drop(entries.remove(&path)),
                None => {}
            }
            let mut entry = entries.get(&first).cloned().ok_or(io::ErrorKind::NotFound)?;
            entry.meta.links += 1;
            let links = entry.meta.links;
            entries.names_of(entry.meta.inode).for_each(|name| name.meta.links = links);
            entries.insert(&path, entry)?;
            Ok(Written::Made)
        })
    }

    fn special(&self, node: &Node) -> io::Result<Written> {
        self.land("make special", node, b"")
    }

    fn finish_directory(&self, node: &Node) -> io::Result<()> {
        self.touched("finish directory", node, || {
            let Some(path) = self.spot(node)? else { return Ok(()) };
            if self.left_alone.lock().expect(UNPOISONED).contains(&path) {
                return Ok(());
            }
            let ctime = self.disk.stamp();
            let mut entries = self.disk.lock();
            let there = entries.get_mut(&path).ok_or(io::ErrorKind::NotFound)?;
            let Meta { inode, device, links, .. } = there.meta;
            there.meta = Meta { inode, device, links, ctime, ..node.meta.clone() };
            Ok(())
        })
    }

    fn metadata_troubles(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

struct LargeFile {
    target: SimTarget,
    node: Node,
    contents: Mutex<Vec<u8>>,
}

impl FileWriter for LargeFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.contents.lock().expect(UNPOISONED);
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let place = at.checked_add(bytes.len()).and_then(|end| contents.get_mut(at..end));
        place.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        let contents = self.contents.lock().expect(UNPOISONED);
        self.target.land("make large file", &self.node, &contents).map(drop)
    }
}
