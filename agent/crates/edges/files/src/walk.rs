//! The walk itself: depth first, siblings in order of their names' bytes.
//!
//! Per entry it costs one `statat` and one listing of attributes, and no memory but the node's own: names of a
//! directory stand in one buffer, sorted by their first eight bytes where these differ.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::io;
use std::sync::Arc;

use backstop_model::tree::{Node, NodeKind, Trouble, TroubleKind, show_path};
use backstop_seams::{Directory, Found};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Stat, major, minor, readlinkat, statat};
use rustix::io::Errno;

use crate::attributes::AttributeReader;
use crate::cut;
use crate::directory::{Budget, OpenDirectory, meta, open_file, size};
use crate::names::{Name, Names};
use crate::roots::OpenRoot;
use crate::source::{Rules, cause};

const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
const DIRENTS_SIZE: usize = 64 << 10;

/// The iterator behind `Source::list`.
pub(crate) struct Walk<'a> {
    rules: &'a Rules,
    roots: std::vec::IntoIter<OpenRoot>,
    /// See `OpenRoot::here`, of the root being walked.
    here: (usize, Vec<u8>),
    /// The path of the last directory above a root that was listed.
    last_above: Vec<u8>,
    stack: Vec<Frame>,
    /// The descriptor of the top frame's directory, so that it is not asked for once per entry.
    top: Option<Arc<OwnedFd>>,
    /// Frames below this one gave their descriptors up.
    released: usize,
    ready: VecDeque<Found>,
    dirents: Vec<u8>,
    attributes: AttributeReader,
    budget: Arc<Budget>,
}

/// A directory being walked.
struct Frame {
    directory: Arc<OpenDirectory>,
    /// Its path in the listing, and how much of it is the root's.
    path: Vec<u8>,
    root_len: usize,
    root_device: u64,
    names: Names,
}

impl Iterator for Walk<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Some(found);
            }
            match self.stack.last_mut().map(|frame| frame.names.next()) {
                Some(Some(name)) => self.visit(name),
                Some(None) => self.leave(),
                None => {
                    let root = self.roots.next()?;
                    self.begin(root);
                }
            }
        }
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(rules: &'a Rules, roots: Vec<OpenRoot>, budget: Arc<Budget>) -> Self {
        Self {
            rules,
            roots: roots.into_iter(),
            here: (0, Vec::new()),
            last_above: Vec::new(),
            stack: Vec::new(),
            top: None,
            released: 0,
            ready: VecDeque::new(),
            dirents: Vec::with_capacity(DIRENTS_SIZE),
            attributes: AttributeReader::new(),
            budget,
        }
    }

    fn begin(&mut self, root: OpenRoot) {
        self.here = root.here;
        for node in root.ancestors {
            // Roots stand in order, so a directory above two of them was listed for the one just before.
            let seen = self.last_above == node.path
                || self.last_above.strip_prefix(node.path.as_slice()).is_some_and(|rest| rest.starts_with(b"/"));
            if !seen {
                self.last_above.clone_from(&node.path);
                self.ready.push_back(Found::Entry { node, within: None });
            }
        }
        let fd = match root.parent.descriptor() {
            Ok(fd) => fd,
            Err(error) => return self.unreadable(&root.path, &error),
        };
        let stat = match statat(&*fd, &root.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return self.gone_or_unreadable(&root.path, error),
        };
        let listed = !root.listed || self.entry(&root.parent, &fd, &root.name, root.path.clone(), &stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if listed => {
                let root_len = root.path.len();
                self.descend(&root.parent, &root.name, root.path, root_len, stat.st_dev);
            }
            FileType::Symlink if listed => self.trouble(
                &root.path,
                TroubleKind::Skipped,
                "a configured path is a symbolic link: the link is backed up, not what it points to".to_owned(),
            ),
            _ => {}
        }
    }

    /// Lists the next entry of the top frame and descends into it if it is a directory.
    fn visit(&mut self, name: Name) {
        let frame = self.stack.last().expect("visited from its frame");
        let (directory, root_len, root_device) = (Arc::clone(&frame.directory), frame.root_len, frame.root_device);
        let buffer = frame.names.buffer();
        let name_c = name.within(&buffer);
        let path = join(&frame.path, name_c.to_bytes());
        self.visit_named(&directory, name_c, name.kind, path, root_len, root_device);
    }

    fn visit_named(
        &mut self,
        directory: &Arc<OpenDirectory>,
        name: &CStr,
        kind: FileType,
        path: Vec<u8>,
        root_len: usize,
        root_device: u64,
    ) {
        let fd = match self.top_descriptor(directory) {
            Ok(fd) => fd,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.trouble(&path, TroubleKind::Vanished, "its directory vanished".to_owned());
            }
            Err(error) => return self.unreadable(&path, &error),
        };
        let excludes = &self.rules.excludes;
        let excluded = |is_directory| excludes.matches(&path, root_len, name.to_bytes(), is_directory);
        if excluded(kind == FileType::Directory) {
            return;
        }
        let stat = match statat(&*fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return self.gone_or_unreadable(&path, error),
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        // Some file systems do not tell kinds when listing.
        if is_directory && kind != FileType::Directory && excludes.for_directories_only() && excluded(true) {
            return;
        }
        if !is_directory {
            self.entry(directory, &fd, name, path, &stat);
        } else if self.entry(directory, &fd, name, path.clone(), &stat) {
            let elsewhere = stat.st_dev != root_device;
            if !(elsewhere && self.rules.one_file_system) {
                self.descend(directory, name, path, root_len, root_device);
            }
        }
    }

    /// Puts one entry into the listing; false when it is not there.
    fn entry(&mut self, directory: &Arc<OpenDirectory>, fd: &OwnedFd, name: &CStr, path: Vec<u8>, stat: &Stat) -> bool {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let mut within = None;
        let kind = match file_type {
            FileType::Directory => NodeKind::Directory,
            FileType::RegularFile => {
                within = Some(Arc::clone(directory) as Arc<dyn Directory>);
                let size = size(stat);
                NodeKind::File { size, cut: cut::choose(&self.rules.images, fd, name.to_bytes(), size) }
            }
            FileType::Symlink => match readlinkat(fd, name, Vec::with_capacity(256)) {
                Ok(target) => NodeKind::Symlink { target: target.into_bytes() },
                Err(error) => {
                    self.gone_or_unreadable(&path, error);
                    return false;
                }
            },
            FileType::Fifo => NodeKind::Fifo,
            FileType::BlockDevice => NodeKind::BlockDevice { major: major(stat.st_rdev), minor: minor(stat.st_rdev) },
            FileType::CharacterDevice => {
                NodeKind::CharDevice { major: major(stat.st_rdev), minor: minor(stat.st_rdev) }
            }
            FileType::Socket => {
                self.trouble(&path, TroubleKind::Skipped, "a socket is not backed up".to_owned());
                return false;
            }
            FileType::Unknown => {
                self.trouble(&path, TroubleKind::Unreadable, "of a kind unknown here".to_owned());
                return false;
            }
        };
        let mut meta = meta(stat);
        let unreadable = match self.attributes.of_entry(fd, name, file_type, (&self.here.1, &path[self.here.0..])) {
            Ok(found) => {
                meta.xattrs = found.pairs;
                found.unreadable
            }
            Err(Errno::NOENT) => {
                self.gone_or_unreadable(&path, Errno::NOENT);
                return false;
            }
            Err(error) => Some(format!("extended attributes: {}", cause(&error.into()))),
        };
        let shown = unreadable.map(|detail| (path.clone(), detail));
        self.ready.push_back(Found::Entry { node: Node { path, kind, meta }, within });
        if let Some((path, detail)) = shown {
            self.trouble(&path, TroubleKind::Unreadable, detail);
        }
        true
    }

    fn descend(&mut self, parent: &Arc<OpenDirectory>, name: &CStr, path: Vec<u8>, root_len: usize, root_device: u64) {
        let opened = OpenDirectory::open_below(parent, name).and_then(|directory| {
            let fd = directory.descriptor()?;
            Ok((directory, fd))
        });
        let (directory, fd) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.trouble(&path, TroubleKind::Vanished, "it vanished before it was listed".to_owned());
            }
            Err(error) => return self.unreadable(&path, &error),
        };
        let (mut names, failure) = Names::read(&fd, &mut self.dirents);
        match failure {
            // The kernel's answer for a directory that was removed while open.
            None | Some(Errno::NOENT) => {}
            Some(error) => self.unreadable(&path, &error.into()),
        }
        if self.rules.exclude_caches && names.contains(CACHE_TAG) && is_cache(&fd) {
            names.keep_only(CACHE_TAG);
            if path.len() == root_len {
                let detail = "a configured path is marked as a cache: its contents are left out".to_owned();
                self.trouble(&path, TroubleKind::Skipped, detail);
            }
        }
        self.stack.push(Frame { directory, path, root_len, root_device, names });
        self.top = Some(fd);
        self.make_room();
    }

    fn leave(&mut self) {
        let left = self.stack.pop().expect("left from its frame");
        self.top = None;
        if let Some(frame) = self.stack.last() {
            frame.directory.return_from(&left.directory);
        }
        self.released = self.released.min(self.stack.len());
        // Files of it may still be waiting to be read; then they open it again.
        if self.budget.exceeded() {
            left.directory.release();
        }
    }

    /// Closes the directories furthest up while too many are open.
    fn make_room(&mut self) {
        while self.budget.exceeded() && self.released + 2 < self.stack.len() {
            self.stack[self.released].directory.release();
            self.released += 1;
        }
    }

    fn top_descriptor(&mut self, directory: &OpenDirectory) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = &self.top {
            return Ok(Arc::clone(fd));
        }
        let fd = directory.descriptor()?;
        self.top = Some(Arc::clone(&fd));
        Ok(fd)
    }

    fn gone_or_unreadable(&mut self, path: &[u8], error: Errno) {
        if error == Errno::NOENT {
            self.trouble(path, TroubleKind::Vanished, "it vanished while it was listed".to_owned());
        } else {
            self.unreadable(path, &error.into());
        }
    }

    fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.trouble(path, TroubleKind::Unreadable, cause(error));
    }

    fn trouble(&mut self, path: &[u8], kind: TroubleKind, detail: String) {
        self.ready.push_back(Found::Trouble(Trouble { path: show_path(path), kind, detail }));
    }
}

fn is_cache(dir: &OwnedFd) -> bool {
    let mut head = [0; CACHE_SIGNATURE.len()];
    let Ok(fd) = open_file(dir, CACHE_TAG) else { return false };
    rustix::io::pread(&fd, &mut head[..], 0).is_ok_and(|len| len == head.len()) && head == *CACHE_SIGNATURE
}

/// Path of an entry, in one allocation of the right size.
fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    if !parent.is_empty() {
        path.extend_from_slice(parent);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
