//! A released WIT folder never changes: plugins built against it must load for ever.
//!
//! `wit/released` lists every file of every released folder with its BLAKE3 digest, as `b3sum` prints them. Releasing
//! a version is adding its lines; the folder `wit/next`, if there is one, is not released yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::tree;

/// Digest by path, both as text.
type Digests = BTreeMap<String, String>;

fn parse(list: &str) -> Digests {
    list.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect()
}

fn findings(released: &Digests, present: &Digests) -> Vec<String> {
    let mut found = Vec::new();
    for (path, digest) in present {
        match released.get(path) {
            Some(known) if known == digest => {}
            Some(_) => found.push(format!("{path}: is released and was changed; make a new version instead")),
            None => {
                found.push(format!("{path}: is not in wit/released; to release it, add the line\n{digest}  {path}"))
            }
        }
    }
    let gone = released.keys().filter(|path| !present.contains_key(*path));
    found.extend(gone.map(|path| format!("{path}: is released and was removed")));
    found
}

#[test]
fn released_interfaces_are_frozen() {
    let in_version = |path: &&std::path::PathBuf| path.starts_with("wit") && path.components().count() > 2;
    let present: Digests = tree::files()
        .iter()
        .filter(in_version)
        .filter(|path| !path.starts_with("wit/next"))
        .map(|path| {
            let bytes = fs::read(tree::root().join(path)).expect("a file");
            (path.display().to_string(), blake3::hash(&bytes).to_hex().to_string())
        })
        .collect();
    let list = Path::new("wit/released");
    let released = if tree::root().join(list).exists() { parse(&tree::read(list)) } else { Digests::new() };
    super::assert_tidy(findings(&released, &present));
}

#[test]
fn a_changed_added_or_removed_file_of_a_release_is_found() {
    let released = parse("# digest  path\naa  wit/1/a.wit\nbb  wit/1/b.wit\n");
    assert_eq!(findings(&released, &released), Vec::<String>::new());
    assert_eq!(findings(&Digests::new(), &Digests::new()), Vec::<String>::new());
    assert_eq!(findings(&released, &parse("aa  wit/1/a.wit\ncc  wit/1/b.wit")).len(), 1);
    assert_eq!(findings(&released, &parse("aa  wit/1/a.wit")).len(), 1);
    assert_eq!(findings(&released, &parse("aa  wit/1/a.wit\nbb  wit/1/b.wit\ncc  wit/1/c.wit")).len(), 1);
}
