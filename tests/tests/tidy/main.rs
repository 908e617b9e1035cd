//! The house keeps its order: arrows between floors, file sizes, names, links, released interfaces.
//!
//! Each check is a function over plain values that returns what it found wrong, in words that say what to do; the test
//! applies it to the tree, and its neighbours show that it finds what it is for.
#![allow(clippy::disallowed_methods)] // reads the source tree and asks cargo; nothing here is part of the program

mod arrows;
mod frozen;
mod links;
mod sources;
mod tree;

/// Fails with every finding on a line of its own.
#[track_caller]
fn assert_tidy(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
