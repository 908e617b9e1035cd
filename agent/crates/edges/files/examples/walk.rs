//! Lists a tree, reads its files too, or copies it, and says how long that took: `walk list|read|copy DIR [TO]`.
//! Run it under `perf stat` or `time` for the processor's share.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)] // A stopwatch for developers.

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstop_files::{TargetOptions, TreeSource, TreeTarget};
use backstop_model::config::FilesSpec;
use backstop_model::tree::NodeKind;
use backstop_seams::{Found, Source, Target};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, root, rest @ ..] = arguments.as_slice() else { panic!("walk list|read|copy DIR [TO]") };
    let spec = FilesSpec {
        paths: vec![PathBuf::from(root)],
        exclude: vec!["*.tmp".to_owned(), "/no/such/*".to_owned()],
        one_file_system: true,
        exclude_caches: true,
        images: Vec::new(),
    };
    let source = TreeSource::new(&spec).unwrap();
    let target = rest.first().map(|to| {
        let strip = root.trim_matches('/').as_bytes().to_vec();
        TreeTarget::new(Path::new(to), TargetOptions { strip, ..TargetOptions::default() }).unwrap()
    });
    let began = Instant::now();
    let (mut entries, mut troubles, mut bytes) = (0u64, 0u64, 0u64);
    let mut directories = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    for found in source.list().unwrap() {
        let Found::Entry { node, within } = found else {
            troubles += 1;
            continue;
        };
        entries += 1;
        let mut len = 0;
        if verb != "list"
            && let Some(within) = &within
        {
            let content = within.open(node.name()).unwrap();
            len = content.read_at(0, &mut buffer).unwrap();
            bytes += len as u64;
        }
        if let Some(target) = &target {
            match node.kind {
                NodeKind::Directory => {
                    target.directory(&node).unwrap();
                    directories.push(node);
                }
                NodeKind::File { .. } => {
                    target.whole_file(&node, &buffer[..len]).unwrap();
                }
                _ => {
                    target.special(&node).unwrap();
                }
            }
        }
    }
    for node in directories.iter().rev() {
        target.as_ref().expect("it made them").finish_directory(node).unwrap();
    }
    println!("{entries} entries, {bytes} bytes, {troubles} troubles in {:.3} s", began.elapsed().as_secs_f64());
}
