//! Paths as written: absolute, without `..`, and which of two holds the other.
//!
//! Nothing is looked up, so a symbolic link can still lead one path into another; the edges look again.

use std::path::{Path, PathBuf};

use backstop_model::config::FilesSpec;
use globset::{GlobBuilder, GlobMatcher};

/// The path in its shortest form.
///
/// # Errors
/// In words, when it is empty, relative, contains `..` or a NUL.
pub(crate) fn absolute(raw: &str) -> Result<PathBuf, &'static str> {
    if raw.is_empty() {
        return Err("it is empty");
    }
    if raw.contains('\0') {
        return Err("it contains a NUL character");
    }
    if !raw.starts_with('/') {
        return Err("it is not absolute");
    }
    let parts: Vec<&str> = raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("it contains `..`");
    }
    Ok(PathBuf::from(format!("/{}", parts.join("/"))))
}

/// Whether one is the other or lies below it.
pub(crate) fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// The directory a `file:` URL names.
///
/// # Errors
/// In words, when the URL is of another form.
pub(crate) fn of_file_url(url: &str) -> Result<PathBuf, &'static str> {
    let path = url.strip_prefix("file://").ok_or("it does not begin with `file:///`")?;
    if !path.starts_with('/') {
        return Err("a `file:` URL names an absolute path of this machine: `file:///path`");
    }
    if path.contains(['%', '?', '#']) {
        return Err("`%`, `?` and `#` have no meaning here: the path is taken as it is written");
    }
    match absolute(path)? {
        path if path == Path::new("/") => Err("a vault cannot be the root of the file system"),
        path => Ok(path),
    }
}

/// What a pattern is compared with.
enum Against {
    /// The name of an entry: no `/` but a trailing one.
    Name,
    /// The path from the root of the file system: a leading `/`.
    WholePath,
    /// The path below a root of the workload.
    BelowRoot,
}

/// A compiled exclusion. A trailing `/` restricts it to directories, which makes no difference here.
pub(crate) struct Exclusion {
    against: Against,
    glob: GlobMatcher,
}

/// Compiles a pattern of `exclude`.
///
/// # Errors
/// What is wrong with the pattern, in words.
pub(crate) fn exclusion(pattern: &str) -> Result<Exclusion, String> {
    let pattern = pattern.trim_end_matches('/');
    let (against, pattern) = match pattern.strip_prefix('/') {
        Some(rest) => (Against::WholePath, rest),
        None if pattern.contains('/') => (Against::BelowRoot, pattern),
        None => (Against::Name, pattern),
    };
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.contains('\0') {
        return Err("it contains a NUL character".to_owned());
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    Ok(Exclusion { against, glob: glob.map_err(|error| error.kind().to_string())?.compile_matcher() })
}

impl Exclusion {
    /// Whether nothing at all is left of any root.
    pub(crate) fn takes_everything(&self) -> bool {
        ["a", ".a.b", "ä"].iter().all(|name| self.matches(Path::new("/"), &Path::new("/").join(name)))
    }

    fn matches(&self, root: &Path, path: &Path) -> bool {
        match self.against {
            Against::Name => path.file_name().is_some_and(|name| self.glob.is_match(name)),
            Against::WholePath => path.strip_prefix("/").is_ok_and(|path| self.glob.is_match(path)),
            Against::BelowRoot => path.strip_prefix(root).is_ok_and(|path| self.glob.is_match(path)),
        }
    }
}

/// Whether the exclusions of a workload cut `path`, which lies below its root, out of what is read.
#[must_use]
pub fn is_excluded(spec: &FilesSpec, root: &Path, path: &Path) -> bool {
    // The root itself cannot be excluded, hence only what lies strictly below it counts.
    let cut: Vec<&Path> = path.ancestors().take_while(|ancestor| *ancestor != root).collect();
    let exclusions = spec.exclude.iter().filter_map(|pattern| exclusion(pattern).ok());
    exclusions.into_iter().any(|exclusion| cut.iter().any(|ancestor| exclusion.matches(root, ancestor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_has_one_spelling() {
        for raw in ["/srv/docs", "/srv//docs/", "/./srv/docs/."] {
            assert_eq!(absolute(raw), Ok(PathBuf::from("/srv/docs")), "{raw}");
        }
        assert_eq!(absolute("/"), Ok(PathBuf::from("/")));
        for bad in ["", "srv", "./x", "~/x", "/srv/../etc", "/a\0b"] {
            assert!(absolute(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_only_begins_alike_does_not_overlap() {
        assert!(!overlap(Path::new("/srv/docs"), Path::new("/srv/docs2")));
        assert!(overlap(Path::new("/srv/docs"), Path::new("/srv/docs/a")));
        assert!(overlap(Path::new("/srv"), Path::new("/")));
    }

    #[test]
    fn only_local_absolute_file_urls_name_a_directory() {
        assert_eq!(of_file_url("file:///mnt/my disk/"), Ok(PathBuf::from("/mnt/my disk")));
        for bad in ["file://host/x", "file:/x", "file://x", "file:///", "file:///a%20b", "s3://b", "/x"] {
            assert!(of_file_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_leaves_nothing_is_recognised() {
        let everything = |glob: &str| exclusion(glob).expect(glob).takes_everything();
        assert!(everything("*") && everything("**") && everything("/**") && everything("**/*") && everything("/*"));
        assert!(!everything("*.*") && !everything("a") && !everything("/srv/*"));
    }

    #[test]
    fn an_excluded_parent_excludes_what_is_below_it() {
        let with = |exclude: &str| FilesSpec {
            paths: vec![],
            exclude: vec![exclude.to_owned()],
            one_file_system: false,
            exclude_caches: true,
            images: vec![],
        };
        let cut = |glob: &str| is_excluded(&with(glob), Path::new("/var"), Path::new("/var/lib/backstop/vault"));
        for glob in
            ["vault", "backstop/", "lib/backstop", "lib/backstop/*", "/var/lib/*", "/var/lib/backstop/", "**/vault"]
        {
            assert!(cut(glob), "{glob}");
        }
        for glob in ["*.tmp", "lib/other", "var", "/var", "backstop/vault", "/lib/backstop", "/var/*/vault"] {
            assert!(!cut(glob), "{glob}");
        }
    }
}
