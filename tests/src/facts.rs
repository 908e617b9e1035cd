//! Facts about trees, from `stat`, the files' bytes and `getfattr`: independent of how the program sees them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every entry below `root` (as `.`) with one line about it.
#[must_use]
pub fn of(root: &Path) -> BTreeMap<PathBuf, String> {
    let attributes = attributes(root);
    let mut facts = BTreeMap::new();
    let mut first_names: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    let mut paths = Vec::new();
    gather(root, &mut paths);
    paths.sort();
    for path in paths {
        let found = std::fs::symlink_metadata(&path).expect("an entry");
        let kind = found.file_type();
        let what = if kind.is_symlink() {
            format!("link to {:?}", std::fs::read_link(&path).expect("a link"))
        } else if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            format!("file of {} bytes, {}", bytes.len(), blake3::hash(&bytes).to_hex())
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else if kind.is_socket() {
            "socket".to_owned()
        } else {
            let class = if kind.is_block_device() { "block" } else { "character" };
            format!("{class} device {}", found.rdev())
        };
        let below = path.strip_prefix(root).expect("below").to_owned();
        let mut line = format!(
            "{what}, mode {:o}, owner {}:{}, modified {}.{:09}",
            found.mode() & 0o7777,
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec()
        );
        if !kind.is_dir() && found.nlink() > 1 {
            let first = first_names.entry((found.dev(), found.ino())).or_insert_with(|| below.clone());
            line += &format!(", same file as {first:?}");
        }
        if let Some(attributes) = attributes.get(&below) {
            line += &format!(", attributes {attributes}");
        }
        facts.insert(below, line);
    }
    facts
}

/// Panics with the differences unless two trees are the same.
#[track_caller]
pub fn assert_same(wanted: &BTreeMap<PathBuf, String>, found: &BTreeMap<PathBuf, String>, what: &str) {
    let mut differences = Vec::new();
    for (path, line) in wanted {
        match found.get(path) {
            None => differences.push(format!("{path:?} is missing")),
            Some(other) if other != line => {
                differences.push(format!("{path:?}\n    wanted {line}\n    found  {other}"))
            }
            Some(_) => {}
        }
    }
    let more = found.keys().filter(|path| !wanted.contains_key(*path));
    differences.extend(more.map(|path| format!("{path:?} should not be there")));
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

fn gather(path: &Path, into: &mut Vec<PathBuf>) {
    into.push(path.to_owned());
    if std::fs::symlink_metadata(path).expect("an entry").is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory") {
            gather(&entry.expect("an entry").path(), into);
        }
    }
}

/// Extended attributes with ACLs, by path below the root.
fn attributes(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut dump = Command::new("getfattr");
    dump.args(["-h", "-R", "-P", "-d", "-m", "-", "-e", "hex", "--absolute-names"]).arg(root);
    let dump = dump.output().expect("getfattr is installed; `tests/run` does it");
    let mut found: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    let mut current = PathBuf::new();
    for line in String::from_utf8(dump.stdout).expect("getfattr escapes what is no text").lines() {
        if let Some(path) = line.strip_prefix("# file: ") {
            let path = PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(&unescape(path))));
            current = path.strip_prefix(root).map(Path::to_owned).unwrap_or_default();
        } else if !line.is_empty() {
            found.entry(current.clone()).or_default().push(line.to_owned());
        }
    }
    found
        .into_iter()
        .map(|(path, mut lines)| {
            lines.sort();
            (path, lines.join(" "))
        })
        .collect()
}

/// `\ooo` becomes its byte.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| bytes[at] == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 4 } else { 1 };
    }
    out
}
