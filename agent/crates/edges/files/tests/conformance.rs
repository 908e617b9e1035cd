//! The edge passes the suite of its seams.

#![allow(clippy::disallowed_methods, reason = "asks the file system who owns what the tests make")]

use std::os::unix::fs::MetadataExt;

use backstop_files::{TargetOptions, TreeSource, TreeTarget};
use backstop_seams::conformance::trees;

#[test]
fn directories_are_sources_and_targets_as_the_seams_promise() {
    let dir = tempfile::tempdir().expect("temporary");
    let made = std::fs::metadata(dir.path()).expect("there");
    trees::round_trip(&trees::Pair {
        target: &|overwrite| {
            let options = TargetOptions { strip: Vec::new(), overwrite };
            Box::new(TreeTarget::new(dir.path(), options).expect("the directory opens"))
        },
        source: &|| Box::new(TreeSource::at(dir.path(), b"").expect("the directory opens")),
        owner: (made.uid(), made.gid()),
    });
}
