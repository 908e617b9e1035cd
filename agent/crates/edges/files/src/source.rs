//! A tree of this machine as a source.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstop_model::config::FilesSpec;
use backstop_model::tree::compare;
use backstop_seams::{Found, Source, SourceFault};
use globset::GlobSet;

use crate::directory::Budget;
use crate::exclude::{Excludes, name_globs};
use crate::limit::raise_open_files;
use crate::roots::{Root, components};
use crate::walk::Walk;

/// Directories and files of this machine, read as they are now.
///
/// A configured root that is a symbolic link is listed as that link, with a `Skipped` trouble that says so. Where a
/// directory above a root is reached through a symbolic link, it is listed as the directory it leads to.
pub struct TreeSource {
    pub(crate) roots: Vec<Root>,
    pub(crate) rules: Rules,
    pub(crate) descriptors_max: usize,
}

/// What is left out, and how contents are cut.
pub(crate) struct Rules {
    pub(crate) excludes: Excludes,
    pub(crate) exclude_caches: bool,
    pub(crate) one_file_system: bool,
    pub(crate) images: GlobSet,
}

impl TreeSource {
    /// The source a workload configures. Excludes apply below roots only: what is named as a root is wanted.
    ///
    /// # Errors
    /// When a glob is invalid or a root is no absolute path without `..`.
    pub fn new(spec: &FilesSpec) -> Result<Self, SourceFault> {
        let mut roots = Vec::with_capacity(spec.paths.len());
        for path in &spec.paths {
            roots.push(Root::Configured { path: components(path)?.join(&b'/') });
        }
        roots.sort_by(|a, b| compare(a.path(), b.path()));
        roots.dedup_by(|a, b| a.path() == b.path());
        let rules = Rules {
            excludes: Excludes::new(&spec.exclude)?,
            exclude_caches: spec.exclude_caches,
            one_file_system: spec.one_file_system,
            images: name_globs(&spec.images)?,
        };
        Ok(Self { roots, rules, descriptors_max: raise_open_files() / 2 })
    }

    /// A restored tree, presented under the paths of its backup: the inverse of a target with `strip = prefix`.
    ///
    /// `dir` itself is listed as `prefix`; with an empty prefix it stands for `/`, which a backup holds only when `/`
    /// is a root, and is not listed unless [`TreeSource::with_top`] asks for it. Directories above the prefix do not
    /// appear, nothing is excluded.
    ///
    /// # Errors
    /// None of the tree is looked at before it is listed; only the prefix is checked.
    pub fn at(dir: &Path, prefix: &[u8]) -> Result<Self, SourceFault> {
        let shown = Path::new("/").join(Path::new(std::ffi::OsStr::from_bytes(prefix)));
        let node = components(&shown)?.join(&b'/');
        let roots = vec![Root::Mounted { dir: dir.to_owned(), listed: !node.is_empty(), path: node }];
        let rules = Rules {
            excludes: Excludes::new(&[])?,
            exclude_caches: false,
            one_file_system: false,
            images: GlobSet::empty(),
        };
        Ok(Self { roots, rules, descriptors_max: raise_open_files() / 2 })
    }

    /// Whether the top directory of a tree made by [`TreeSource::at`] is listed.
    #[must_use]
    pub fn with_top(mut self, wanted: bool) -> Self {
        for root in &mut self.roots {
            if let Root::Mounted { listed, .. } = root {
                *listed = wanted;
            }
        }
        self
    }

    /// Bounds the descriptors that directories keep open at once. Fewer cost time, never entries.
    #[must_use]
    pub fn with_open_directories(mut self, most: usize) -> Self {
        self.descriptors_max = most;
        self
    }
}

impl Source for TreeSource {
    fn list(&self) -> Result<Box<dyn Iterator<Item = Found> + Send + '_>, SourceFault> {
        let budget = Budget::new(self.descriptors_max);
        let mut roots = Vec::with_capacity(self.roots.len());
        for root in &self.roots {
            roots.push(root.open(&budget)?);
        }
        Ok(Box::new(Walk::new(&self.rules, roots, budget)))
    }
}

/// The cause without the number that `io::Error` appends.
#[must_use]
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}
