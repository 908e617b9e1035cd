//! Which entries of a backup a person means: paths and globs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstop_model::Fault;
use backstop_model::plan::Selection;
use backstop_model::tree::{Node, Trouble, TroubleKind};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A selection made ready. A pattern that begins with `/` is matched against whole paths, another against names; what
/// matches a directory takes everything below it.
pub(crate) struct Selected {
    include: Option<Patterns>,
    exclude: Option<Patterns>,
}

/// Compiled patterns.
pub(crate) struct Patterns {
    /// Whole paths as they are written, relative to `/`: one that holds `[` or `*` is still found.
    literal: Vec<Vec<u8>>,
    paths: GlobSet,
    names: GlobSet,
}

impl Patterns {
    /// Compiles patterns.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Fault> {
        let (mut paths, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut literal = Vec::new();
        for pattern in patterns {
            if let Some(path) = pattern.strip_prefix('/') {
                literal.push(path.trim_end_matches('/').as_bytes().to_vec());
            }
            let trimmed = if pattern.len() > 1 { pattern.trim_end_matches('/') } else { pattern };
            let by_path = trimmed.contains('/');
            let whole = if by_path && !trimmed.starts_with('/') { format!("**/{trimmed}") } else { trimmed.to_owned() };
            let glob = match GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build() {
                Ok(glob) => glob,
                // A whole path that is no pattern is meant as it stands.
                Err(_) if pattern.starts_with('/') => continue,
                Err(error) => {
                    let message = format!("`{pattern}` is no pattern: {}", error.kind());
                    return Err(Fault::usage(message, "use `*`, `**`, `?`, `[…]`, `{a,b}`"));
                }
            };
            if by_path {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let built =
            |set: GlobSetBuilder| set.build().map_err(|error| Fault::usage(format!("too many patterns: {error}"), ""));
        Ok(Self { literal, paths: built(paths)?, names: built(names)? })
    }

    /// Whether the entry at `path` (relative to `/`) matches by itself.
    pub(crate) fn fits(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if self.literal.iter().any(|literal| literal == path) || self.names.is_match(Path::new(OsStr::from_bytes(name)))
        {
            return true;
        }
        if self.paths.is_empty() {
            return false;
        }
        let mut whole = Vec::with_capacity(path.len() + 1);
        whole.push(b'/');
        whole.extend_from_slice(path);
        self.paths.is_match(Path::new(OsStr::from_bytes(&whole)))
    }

    /// Whether the entry or a directory above it matches.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        self.fits(path)
            || path.iter().enumerate().filter(|(_, byte)| **byte == b'/').any(|(at, _)| self.fits(&path[..at]))
    }
}

impl Selected {
    /// Makes a selection ready.
    pub(crate) fn new(selection: &Selection) -> Result<Self, Fault> {
        let compile = |patterns: &[String]| {
            if patterns.is_empty() { Ok(None) } else { Patterns::new(patterns).map(Some) }
        };
        Ok(Self { include: compile(&selection.include)?, exclude: compile(&selection.exclude)? })
    }

    /// Whether the entry is wanted.
    pub(crate) fn wants(&self, node: &Node) -> bool {
        self.include.as_ref().is_none_or(|include| include.covers(&node.path))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.covers(&node.path))
    }
}

/// Whether a trouble is about a directory above what is protected. Such are restored to hold the rest; that they are
/// somebody else's, as `/home` is, is nothing missing from the result.
pub(crate) fn is_scaffold(trouble: &Trouble, roots: &[String]) -> bool {
    let holds =
        |root: &String| root.strip_prefix(trouble.path.trim_end_matches('/')).is_some_and(|r| r.starts_with('/'));
    trouble.kind == TroubleKind::Unwritable && roots.iter().any(|root| root != "/" && holds(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_the_roots_is_scaffold() {
        let roots = ["/home/ann/docs".to_owned()];
        let trouble = |path: &str, kind| Trouble { path: path.to_owned(), kind, detail: String::new() };
        for path in ["/", "/home", "/home/ann"] {
            assert!(is_scaffold(&trouble(path, TroubleKind::Unwritable), &roots), "{path}");
            assert!(!is_scaffold(&trouble(path, TroubleKind::Unreadable), &roots), "{path}");
        }
        for path in ["/home/ann/docs", "/home/ann/docs/a", "/home/an", "/srv"] {
            assert!(!is_scaffold(&trouble(path, TroubleKind::Unwritable), &roots), "{path}");
        }
        assert!(!is_scaffold(&trouble("/", TroubleKind::Unwritable), &["/".to_owned()]));
    }

    #[test]
    fn a_directory_brings_what_is_below_it_and_a_name_matches_anywhere() {
        let patterns =
            |raw: &[&str]| Patterns::new(&raw.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).expect("valid");
        let below = patterns(&["/srv/docs/a"]);
        assert!(below.covers(b"srv/docs/a") && below.covers(b"srv/docs/a/b/c"));
        assert!(!below.covers(b"srv/docs") && !below.covers(b"srv/docs/ab"));
        let name = patterns(&["*.tmp"]);
        assert!(name.covers(b"x/y.tmp") && name.covers(b"cache.tmp/file") && !name.covers(b"x/y.txt"));
        let part = patterns(&["docs/*.txt"]);
        assert!(part.covers(b"srv/docs/a.txt") && !part.covers(b"srv/docs/x/a.txt"));
        assert!(Patterns::new(&["[".to_owned()]).is_err());
        let odd = patterns(&["/srv/a[b"]);
        assert!(odd.covers(b"srv/a[b/c") && !odd.covers(b"srv/ab"));
    }
}
