//! The source tree as the checks see it: files and folders that belong to the project.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Everything that may stand at the top. More than this is a drawer.
const TOP_LEVEL: [&str; 19] = [
    ".ci",
    ".config",
    ".git",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "agent",
    "clippy.toml",
    "deny.toml",
    "examples",
    "plugins",
    "policies",
    "rustfmt.toml",
    "target",
    "tests",
    "wit",
];

/// The root of the source tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the workspace").to_owned()
}

/// Every file of the project, relative to the root, sorted. Leaves out what `.gitignore` leaves out.
pub fn files() -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the source tree") {
            let entry = entry.expect("a readable folder");
            let name = entry.file_name();
            let name = name.to_str().expect("names in the source tree are UTF-8");
            if matches!(name, "target" | ".git" | ".tools" | "__pycache__") || name.ends_with(".tmp") {
                continue;
            }
            let path = entry.path();
            if entry.file_type().expect("a readable entry").is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).expect("below the root").to_owned());
            }
        }
    }
    assert!(found.len() > 30, "found only {} files, so every check would pass", found.len());
    found.sort();
    found
}

/// Files whose name ends in `.extension`, with their text.
pub fn texts(extension: &str) -> Vec<(PathBuf, String)> {
    let wanted = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    files().into_iter().filter(wanted).map(|path| (path.clone(), read(&path))).collect()
}

/// The text of a file, by its path below the root.
pub fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_top_level_holds_only_what_the_design_names() {
    let strange = fs::read_dir(root())
        .expect("the root")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("`{name}` has no place at the top level: put it into a folder"))
        .collect();
    super::assert_tidy(strange);
}

#[test]
fn every_script_can_be_run() {
    let mut scripts = 0;
    let mut findings = Vec::new();
    for path in files() {
        let script = ["tests", "examples", ".ci"].iter().any(|folder| path.starts_with(folder));
        let bytes = if script { fs::read(root().join(&path)).expect("a file") } else { continue };
        let mode = fs::metadata(root().join(&path)).expect("a file").permissions().mode();
        let (begins, named_run) = (bytes.starts_with(b"#!"), path.file_name().is_some_and(|name| name == "run"));
        scripts += u32::from(begins);
        if begins && mode & 0o111 != 0o111 {
            findings.push(format!("{}: `chmod +x` is missing", path.display()));
        }
        if named_run && !begins {
            findings.push(format!("{}: does not say with `#!` what runs it", path.display()));
        }
    }
    assert!(scripts > 0, "no script found at all");
    super::assert_tidy(findings);
}
