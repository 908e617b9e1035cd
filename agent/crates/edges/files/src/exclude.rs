//! What the operator leaves out.

use backstop_seams::SourceFault;
use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Compiled exclude globs.
///
/// One without `/` matches the name of any entry below a root. One with a leading `/` matches the whole path, any
/// other one with `/` the path below a root. `*` and `?` stay within one name, `**` crosses them. A trailing `/`
/// restricts a glob to directories.
pub(crate) struct Excludes {
    anything: Patterns,
    directories: Patterns,
}

impl Excludes {
    pub(crate) fn new(globs: &[String]) -> Result<Self, SourceFault> {
        let of_directories = |glob: &&String| glob.len() > 1 && glob.ends_with('/');
        let (directories, anything): (Vec<_>, Vec<_>) = globs.iter().partition(of_directories);
        Ok(Self { anything: Patterns::new(&anything)?, directories: Patterns::new(&directories)? })
    }

    pub(crate) fn for_directories_only(&self) -> bool {
        !self.directories.is_empty()
    }

    /// Whether the entry is left out: `path` below `/`, of which the first `root_len` bytes are its root's.
    pub(crate) fn matches(&self, path: &[u8], root_len: usize, name: &[u8], is_directory: bool) -> bool {
        self.anything.matches(path, root_len, name) || is_directory && self.directories.matches(path, root_len, name)
    }
}

struct Patterns {
    names: GlobSet,
    absolute: GlobSet,
    below_root: GlobSet,
}

impl Patterns {
    fn new(globs: &[&String]) -> Result<Self, SourceFault> {
        let mut names = GlobSetBuilder::new();
        let mut absolute = GlobSetBuilder::new();
        let mut below_root = GlobSetBuilder::new();
        for written in globs {
            let glob = written.trim_end_matches('/');
            if let Some(path) = glob.strip_prefix('/') {
                absolute.add(parse(written, path)?);
            } else if glob.contains('/') {
                below_root.add(parse(written, glob)?);
            } else {
                names.add(parse(written, glob)?);
            }
        }
        let built = |set: &GlobSetBuilder| set.build().map_err(|error| fault("excludes", &error));
        Ok(Self { names: built(&names)?, absolute: built(&absolute)?, below_root: built(&below_root)? })
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.absolute.is_empty() && self.below_root.is_empty()
    }

    fn matches(&self, path: &[u8], root_len: usize, name: &[u8]) -> bool {
        let matches =
            |set: &GlobSet, subject: &[u8]| !set.is_empty() && set.is_match_candidate(&Candidate::from_bytes(subject));
        matches(&self.names, name)
            || matches(&self.absolute, path)
            || matches(&self.below_root, path[root_len..].strip_prefix(b"/").unwrap_or(&path[root_len..]))
    }
}

/// A set of globs for names, e.g. of disk images.
pub(crate) fn name_globs(globs: &[String]) -> Result<GlobSet, SourceFault> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(parse(glob, glob)?);
    }
    set.build().map_err(|error| fault("globs", &error))
}

fn parse(written: &str, glob: &str) -> Result<Glob, SourceFault> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| fault(written, &error))
}

fn fault(glob: &str, error: &globset::Error) -> SourceFault {
    SourceFault { path: glob.to_owned(), detail: format!("not a valid glob: {}", error.kind()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(glob: &str, path: &str, is_directory: bool) -> bool {
        let name = path.rsplit('/').next().unwrap();
        let excludes = Excludes::new(&[glob.to_owned()]).unwrap();
        excludes.matches(path.as_bytes(), "srv/docs".len(), name.as_bytes(), is_directory)
    }

    #[test]
    fn a_glob_without_slash_matches_a_name_at_any_depth() {
        assert!(excluded("*.tmp", "srv/docs/a/b.tmp", false));
        assert!(!excluded("*.tmp", "srv/docs/a.tmp/b", false), "the directory is pruned, not matched by its contents");
        assert!(!excluded("docs", "srv/docs/a", false), "the root's own name is not below the root");
    }

    #[test]
    fn a_glob_with_leading_slash_matches_the_whole_path() {
        assert!(excluded("/srv/docs/tmp/*", "srv/docs/tmp/x", false));
        assert!(!excluded("/srv/docs/tmp/*", "srv/docs/tmp", true));
        assert!(!excluded("/srv/docs/*", "srv/docs/tmp/x", false), "a star stays within one name");
        assert!(excluded("/srv/**/x", "srv/docs/tmp/x", false));
        assert!(!excluded("/tmp/x", "srv/docs/tmp/x", false));
    }

    #[test]
    fn a_glob_with_inner_slash_matches_below_a_root() {
        assert!(excluded("tmp/*", "srv/docs/tmp/x", false));
        assert!(!excluded("tmp/*", "srv/docs/a/tmp/x", false));
        assert!(excluded("**/tmp/*", "srv/docs/a/tmp/x", false));
    }

    #[test]
    fn a_trailing_slash_means_directories_only() {
        assert!(excluded("tmp/", "srv/docs/a/tmp", true));
        assert!(!excluded("tmp/", "srv/docs/a/tmp", false));
    }

    #[test]
    fn names_that_are_not_utf8_are_matched() {
        let excludes = Excludes::new(&["*.tmp".to_owned()]).unwrap();
        assert!(excludes.matches(b"srv/\xff.tmp", 3, b"\xff.tmp", false));
    }

    #[test]
    fn an_invalid_glob_is_named() {
        let fault = Excludes::new(&["a[".to_owned()]).err().unwrap();
        assert_eq!(fault.path, "a[");
    }
}
