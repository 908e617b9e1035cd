//! What people read when a configuration is wrong, exactly. Each `mistakes/*.case` holds the files of one
//! configuration and, after `=== expected`, every problem as it is shown. `BLESS=1 cargo test -p backstop-config`
//! writes what is shown now into the cases.
// The cases are files, and blessing is a wish of whoever runs the test.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use backstop_config::{Overrides, SourceFile, load};

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let entries = std::fs::read_dir(directory).expect("the cases are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
    paths.sort();
    paths
}

/// The files of a case, and the text that is expected.
fn read(case: &str) -> (Vec<SourceFile>, &str) {
    let (inputs, expected) = case.split_once("=== expected\n").expect("a case says what it expects");
    let files = inputs.split("=== ").skip(1).map(|part| {
        let (path, text) = part.split_once('\n').expect("a path stands on its own line");
        SourceFile { path: path.into(), bytes: text.as_bytes().to_vec() }
    });
    (files.collect(), expected)
}

#[test]
fn every_mistake_is_shown_as_agreed() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 20, "cases are missing");
    for path in cases {
        let case = std::fs::read_to_string(&path).expect("a case is text");
        let (files, expected) = read(&case);
        let shown = match load(&files, &Overrides::default()) {
            Ok(_) => "(valid)\n".to_owned(),
            Err(invalid) => format!("{invalid}\n"),
        };
        assert!(!shown.contains("horse"), "{}: a pasted key is shown", path.display());
        if shown != expected {
            if bless {
                let inputs = &case[..case.len() - expected.len()];
                std::fs::write(&path, format!("{inputs}{shown}")).expect("a case can be written");
            } else {
                wrong.push(format!("{}\n--- expected\n{expected}--- shown\n{shown}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nif this is better: BLESS=1 cargo test -p backstop-config", wrong.join("\n"));
}

#[test]
fn a_mistake_is_the_same_as_data() {
    let files = [SourceFile { path: "a.toml".into(), bytes: b"x = 1".to_vec() }];
    let invalid = load(&files, &Overrides::default()).expect_err("unknown key");
    let problem = &invalid.problems[0];
    assert_eq!(
        (problem.line, problem.column, problem.message.as_str()),
        (1, 1, "unknown key `x` at the top of the file")
    );
}
