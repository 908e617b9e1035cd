//! Where a walk begins: a configured path, opened component by component with what lies above it, or a directory
//! that stands for a part of a backup.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use backstop_model::tree::{Node, NodeKind, show_path};
use backstop_seams::SourceFault;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};

use crate::attributes::AttributeReader;
use crate::directory::{Budget, OpenDirectory, meta, open_directory};
use crate::source::cause;

/// A root as it is named.
pub(crate) enum Root {
    /// An absolute path of this machine, below `/`.
    Configured { path: Vec<u8> },
    /// A directory that appears as `path`.
    Mounted { dir: PathBuf, path: Vec<u8>, listed: bool },
}

/// A root that was found and can be read.
pub(crate) struct OpenRoot {
    /// Its path in the listing.
    pub(crate) path: Vec<u8>,
    /// What a listed path is on this machine: so many leading bytes of it replaced by these.
    pub(crate) here: (usize, Vec<u8>),
    /// The directory it stands in; for `/` and mounted trees the directory itself, with the name `.`.
    pub(crate) parent: Arc<OpenDirectory>,
    pub(crate) name: CString,
    /// Whether the root's own entry is listed.
    pub(crate) listed: bool,
    /// The directories above, highest first.
    pub(crate) ancestors: Vec<Node>,
}

impl Root {
    pub(crate) fn path(&self) -> &[u8] {
        match self {
            Root::Configured { path } | Root::Mounted { path, .. } => path,
        }
    }

    /// Opens what leads to the root and checks that the root itself can be read.
    pub(crate) fn open(&self, budget: &Arc<Budget>) -> Result<OpenRoot, SourceFault> {
        let (shown, opened) = match self {
            Root::Configured { path } => (show_path(path), open_configured(path, budget)),
            Root::Mounted { dir, path, listed } => {
                (dir.display().to_string(), open_mounted(dir, path, *listed, budget))
            }
        };
        let fault = |error: &io::Error| SourceFault { path: shown.clone(), detail: cause(error) };
        let root = opened.map_err(|error| fault(&error))?;
        root.check().map_err(|error| fault(&error))?;
        Ok(root)
    }
}

impl OpenRoot {
    fn check(&self) -> io::Result<()> {
        let parent = self.parent.descriptor()?;
        let stat = statat(&*parent, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            open_directory(&*parent, &self.name)?;
        }
        Ok(())
    }
}

fn open_configured(path: &[u8], budget: &Arc<Budget>) -> io::Result<OpenRoot> {
    let mut fd = open_place(CWD, b"/")?;
    let mut ancestors = Vec::new();
    let mut reader = AttributeReader::new();
    let mut end = 0;
    while let Some(len) = path[end..].iter().position(|byte| *byte == b'/') {
        fd = open_place(&fd, &path[end..end + len])?;
        let mut meta = meta(&fstat(&fd)?);
        // Nothing of the workload is lost with an attribute of a directory above it.
        meta.xattrs = reader.of_directory(&fd).map(|found| found.pairs).unwrap_or_default();
        ancestors.push(Node { path: path[..end + len].to_vec(), kind: NodeKind::Directory, meta });
        end += len + 1;
    }
    let name = if path.is_empty() { c".".to_owned() } else { CString::new(&path[end..])? };
    let parent = OpenDirectory::anchor(fd, budget)?;
    Ok(OpenRoot { path: path.to_vec(), here: (0, b"/".to_vec()), parent, name, listed: true, ancestors })
}

fn open_mounted(dir: &Path, path: &[u8], listed: bool, budget: &Arc<Budget>) -> io::Result<OpenRoot> {
    let parent = OpenDirectory::anchor(open_place(CWD, dir.as_os_str().as_bytes())?, budget)?;
    let mut here = dir.as_os_str().as_bytes().to_vec();
    // Also where `dir` is a symbolic link: what it leads to is meant.
    here.push(b'/');
    let (here, path, name) = ((path.len(), here), path.to_vec(), c".".to_owned());
    Ok(OpenRoot { path, here, parent, name, listed, ancestors: Vec::new() })
}

/// Opens a directory as a place to go on from; it need not be readable. Follows symbolic links, as the operator who
/// named the path does.
fn open_place(at: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The names an absolute path consists of.
pub(crate) fn components(path: &Path) -> Result<Vec<&[u8]>, SourceFault> {
    let fault = |detail: &str| SourceFault { path: path.display().to_string(), detail: detail.to_owned() };
    if !path.is_absolute() {
        return Err(fault("not an absolute path"));
    }
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) if !name.as_bytes().contains(&0) => names.push(OsStr::as_bytes(name)),
            Component::Normal(_) | Component::ParentDir | Component::Prefix(_) => {
                return Err(fault("`..` and NUL are not allowed here"));
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_without_its_decoration() {
        assert_eq!(components(Path::new("//srv/./docs/")).unwrap(), [b"srv", b"docs" as &[u8]]);
        assert!(components(Path::new("/")).unwrap().is_empty());
        assert!(components(Path::new("srv")).is_err());
        assert!(components(Path::new("/srv/../etc")).is_err());
    }
}
