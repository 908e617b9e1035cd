//! Trees of the simulated machine as sources.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use backstop_model::config::FilesSpec;
use backstop_model::plan::Overwrite;
use backstop_model::tree::{Meta, NodeKind, show_path};
use backstop_model::{Advice, ExitCode, Fault, Timestamp};
use backstop_seams::{Clock, Content, Directory, Found, Source, SourceFault, Target, Trees};

use crate::UNPOISONED;
use crate::clock::SimClock;
use crate::disk::{Entry, Mood, SimDisk, key};
use crate::files::gone;
use crate::life::{Life, Touch};
use crate::target::SimTarget;

/// What a tree looked like when the agent began to capture it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The roots of the workload.
    pub roots: Vec<PathBuf>,
    /// The wall clock then.
    pub at: Timestamp,
    /// See [`SimDisk::picture`]; paths are those of the backup.
    pub picture: Vec<String>,
}

/// Sources and targets on the disk as one process reaches it. Excludes are not applied: nothing that is configured to
/// be left out stands in a simulated tree.
pub struct SimTrees {
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) life: Arc<Life>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Trees for SimTrees {
    fn source(&self, spec: &FilesSpec) -> Result<Box<dyn Source>, Fault> {
        let picture = spec.paths.iter().flat_map(|path| self.disk.picture(&path.to_string_lossy(), "/")).collect();
        let seen = Seen { roots: spec.paths.clone(), at: self.clock.now(), picture };
        self.seen.lock().expect(UNPOISONED).push(seen);
        let roots = spec.paths.iter().map(|path| key(path)).collect();
        let (disk, life) = (Arc::clone(&self.disk), Arc::clone(&self.life));
        Ok(Box::new(SimSource { disk, life, roots, mounted: None }))
    }

    fn restored(&self, dir: &Path, prefix: &[u8]) -> Result<Box<dyn Source>, Fault> {
        let (disk, life) = (Arc::clone(&self.disk), Arc::clone(&self.life));
        Ok(Box::new(SimSource { disk, life, roots: vec![key(dir)], mounted: Some(prefix.to_vec()) }))
    }

    fn target(&self, dir: &Path, strip: &[u8], overwrite: Overwrite) -> Result<Box<dyn Target>, Fault> {
        let (disk, life) = (Arc::clone(&self.disk), Arc::clone(&self.life));
        let top = key(dir);
        if disk.lock().get(&top).is_none_or(|entry| entry.kind != NodeKind::Directory) {
            let message = format!("cannot open `{}`: it is no directory", dir.display());
            return Err(Fault::new(ExitCode::Failed, Advice::CallAPerson, message, ""));
        }
        Ok(Box::new(SimTarget::new(disk, life, top, strip.to_vec(), overwrite)))
    }
}

struct SimSource {
    disk: Arc<SimDisk>,
    life: Arc<Life>,
    roots: Vec<Vec<u8>>,
    /// The path under which the only root appears, where that is another one than its own.
    mounted: Option<Vec<u8>>,
}

impl SimSource {
    fn found(&self, path: &[u8], shown: Vec<u8>, entry: &Entry) -> Found {
        let mut node = entry.node(&shown);
        if let Some(cut) = shown.ends_with(b".img").then_some(backstop_model::tree::Cut::Blocks)
            && let NodeKind::File { cut: known, .. } = &mut node.kind
        {
            *known = cut;
        }
        let within = matches!(node.kind, NodeKind::File { .. }).then(|| {
            let dir = crate::disk::parent(path).unwrap_or_default().to_vec();
            let (disk, life) = (Arc::clone(&self.disk), Arc::clone(&self.life));
            Arc::new(OpenDirectory { disk, life, dir }) as Arc<dyn Directory>
        });
        Found::Entry { node, within }
    }
}

fn joined(prefix: &[u8], rest: &[u8]) -> Vec<u8> {
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    if prefix.is_empty() || rest.is_empty() { [prefix, rest].concat() } else { [prefix, b"/", rest].concat() }
}

impl Source for SimSource {
    fn list(&self) -> Result<Box<dyn Iterator<Item = Found> + Send + '_>, SourceFault> {
        let fault = |path: &[u8], detail: &str| SourceFault { path: show_path(path), detail: detail.to_owned() };
        if self.life.touch("list a tree") != Touch::Alive {
            return Err(fault(&self.roots[0], "the process has ended"));
        }
        let entries = self.disk.lock();
        let mut found: Vec<(Vec<u8>, Found)> = Vec::new();
        for root in &self.roots {
            if entries.get(root).is_none() {
                return Err(fault(root, "no such file or directory"));
            }
            let above = root.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &root[..at]);
            for path in above.filter(|_| self.mounted.is_none()) {
                let entry = entries.get(path).expect("directories stand above everything");
                found.push((path.to_vec(), self.found(path, path.to_vec(), entry)));
            }
            for (path, entry) in entries.tree(root) {
                let shown = match &self.mounted {
                    None => path.to_vec(),
                    Some(prefix) => joined(prefix, &path[root.len()..]),
                };
                // A tree that stands for `/` does not list itself.
                if !shown.is_empty() {
                    found.push((shown.clone(), self.found(path, shown, entry)));
                }
            }
        }
        drop(entries);
        found.sort_by(|(a, _), (b, _)| backstop_model::tree::compare(a, b));
        found.dedup_by(|(a, _), (b, _)| a == b);
        Ok(Box::new(found.into_iter().map(|(_, found)| found)))
    }
}

struct OpenDirectory {
    disk: Arc<SimDisk>,
    life: Arc<Life>,
    dir: Vec<u8>,
}

impl Directory for OpenDirectory {
    fn open(&self, name: &[u8]) -> io::Result<Box<dyn Content>> {
        if self.life.has_ended() {
            return Err(gone());
        }
        match self.disk.lock().get(&joined(&self.dir, name)) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Entry { mood: Mood::Vanishing, .. }) => Err(io::ErrorKind::NotFound.into()),
            Some(Entry { mood: Mood::Unreadable, .. }) => Err(io::ErrorKind::PermissionDenied.into()),
            Some(Entry { kind: NodeKind::File { .. }, meta, contents, .. }) => {
                let meta = Meta { xattrs: Vec::new(), ..meta.clone() };
                Ok(Box::new(OpenFile { meta, contents: Arc::clone(contents) }))
            }
            Some(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

struct OpenFile {
    meta: Meta,
    contents: Arc<Vec<u8>>,
}

/// Holes are told of in units of this size.
const BLOCK: usize = 4096;

impl Content for OpenFile {
    fn state(&self) -> io::Result<(Meta, u64)> {
        Ok((self.meta.clone(), self.contents.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.contents.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn next_data(&self, offset: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
        let size = size.min(self.contents.len() as u64);
        if offset >= size {
            return Ok(None);
        }
        let is_data = |block: usize| {
            let end = ((block + 1) * BLOCK).min(self.contents.len());
            self.contents[block * BLOCK..end].iter().any(|byte| *byte != 0)
        };
        let blocks = usize::try_from(size.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
        let from = usize::try_from(offset / BLOCK as u64).unwrap_or(usize::MAX);
        let Some(start) = (from..blocks).find(|block| is_data(*block)) else { return Ok(None) };
        let end = (start..blocks).find(|block| !is_data(*block)).unwrap_or(blocks);
        Ok(Some((offset.max((start * BLOCK) as u64), size.min((end * BLOCK) as u64))))
    }
}
