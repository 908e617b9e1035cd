//! What the stories share: reading a source into memory and writing it through a target, as the vault would.

// Each story uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use backstop_files::{TargetOptions, TreeSource, TreeTarget};
use backstop_model::config::FilesSpec;
use backstop_model::plan::Overwrite;
use backstop_model::tree::{Cut, Meta, Node, NodeKind, Trouble, compare};
use backstop_seams::{Directory, Found, Source, Target, Written};
use rustix::fs::{Mode, OFlags, mkdirat, openat};

/// A tree in memory.
#[derive(Default)]
pub struct Tree {
    pub entries: Vec<Entry>,
    pub troubles: Vec<Trouble>,
}

pub struct Entry {
    pub node: Node,
    pub within: Option<Arc<dyn Directory>>,
    /// Data of a file: (offset, bytes) between holes.
    pub extents: Vec<(u64, Vec<u8>)>,
}

pub fn spec(root: &Path) -> FilesSpec {
    FilesSpec {
        paths: vec![root.to_owned()],
        exclude: Vec::new(),
        one_file_system: false,
        exclude_caches: false,
        images: Vec::new(),
    }
}

/// Lists only.
pub fn list(source: &TreeSource) -> Tree {
    let mut tree = Tree::default();
    for found in source.list().unwrap() {
        match found {
            Found::Entry { node, within } => {
                assert_eq!(within.is_some(), matches!(node.kind, NodeKind::File { .. }));
                tree.entries.push(Entry { node, within, extents: Vec::new() });
            }
            Found::Trouble(trouble) => tree.troubles.push(trouble),
        }
    }
    for pair in tree.entries.windows(2) {
        assert!(compare(&pair[0].node.path, &pair[1].node.path).is_lt(), "not in canonical order");
    }
    tree
}

/// Lists, then reads all contents.
pub fn read(source: &TreeSource) -> Tree {
    let mut tree = list(source);
    for entry in &mut tree.entries {
        let Some(within) = &entry.within else { continue };
        let content = within.open(entry.node.name()).unwrap();
        let (meta, size) = content.state().unwrap();
        assert_eq!(Meta { xattrs: Vec::new(), ..entry.node.meta.clone() }, meta);
        let mut at = 0;
        while let Some((start, end)) = content.next_data(at, size).unwrap() {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            assert_eq!(content.read_at(start, &mut bytes).unwrap(), bytes.len());
            entry.extents.push((start, bytes));
            at = end;
        }
    }
    tree
}

impl Tree {
    pub fn paths(&self) -> Vec<String> {
        self.entries.iter().map(|entry| String::from_utf8_lossy(&entry.node.path).into_owned()).collect()
    }

    /// Names below `root`, joined by spaces.
    pub fn below(&self, root: &Path) -> String {
        let prefix = format!("{}/", root.to_str().unwrap().trim_start_matches('/'));
        let below: Vec<_> =
            self.paths().iter().filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned)).collect();
        below.join(" ")
    }

    pub fn get(&self, path: &str) -> &Node {
        &self.entries.iter().find(|entry| entry.node.path == path.as_bytes()).unwrap().node
    }
}

/// Writes the tree the way the contract of `Target` describes; returns what was kept.
pub fn restore(tree: &Tree, target: &TreeTarget) -> Vec<String> {
    let mut kept = Vec::new();
    let mut first_names: BTreeMap<(u64, u64), &Node> = BTreeMap::new();
    for entry in tree.entries.iter().filter(|entry| entry.node.kind == NodeKind::Directory) {
        target.directory(&entry.node).unwrap();
    }
    for entry in &tree.entries {
        let written = match &entry.node.kind {
            NodeKind::Directory => continue,
            NodeKind::File { size, .. } => {
                let identity = (entry.node.meta.device, entry.node.meta.inode);
                if let Some(first) = first_names.get(&identity) {
                    target.hard_link(&entry.node, first).unwrap()
                } else {
                    first_names.insert(identity, &entry.node);
                    write_file(entry, *size, target)
                }
            }
            _ => target.special(&entry.node).unwrap(),
        };
        if written == Written::Kept {
            kept.push(String::from_utf8_lossy(&entry.node.path).into_owned());
        }
    }
    for entry in tree.entries.iter().rev().filter(|entry| entry.node.kind == NodeKind::Directory) {
        target.finish_directory(&entry.node).unwrap();
    }
    kept
}

fn write_file(entry: &Entry, size: u64, target: &TreeTarget) -> Written {
    match entry.extents.as_slice() {
        [] if size == 0 => target.whole_file(&entry.node, b"").unwrap(),
        [(0, bytes)] if bytes.len() as u64 == size => target.whole_file(&entry.node, bytes).unwrap(),
        extents => {
            let Some(writer) = target.begin_file(&entry.node).unwrap() else { return Written::Kept };
            for (offset, bytes) in extents.iter().rev() {
                writer.write_at(*offset, bytes).unwrap();
            }
            writer.finish().unwrap();
            Written::Made
        }
    }
}

/// Both trees are the same in everything a restore can bring back.
pub fn assert_same(a: &Tree, b: &Tree) {
    for (a, b) in a.entries.iter().zip(&b.entries) {
        let path = backstop_model::tree::show_path(&a.node.path);
        assert_eq!(a.node.path, b.node.path);
        assert_eq!(a.node.kind, b.node.kind, "kind of {path}");
        assert_eq!(restorable(&a.node), restorable(&b.node), "metadata of {path}");
        assert!(a.extents == b.extents, "contents of {path}");
    }
    assert_eq!(a.paths(), b.paths());
    assert_eq!(link_groups(a), link_groups(b));
}

fn restorable(node: &Node) -> Meta {
    let links = if node.kind == NodeKind::Directory { 0 } else { node.meta.links };
    Meta { ctime: (0, 0), inode: 0, device: 0, links, ..node.meta.clone() }
}

fn link_groups(tree: &Tree) -> Vec<Vec<&[u8]>> {
    let mut groups: BTreeMap<(u64, u64), Vec<&[u8]>> = BTreeMap::new();
    for entry in tree.entries.iter().filter(|entry| entry.node.meta.links > 1 && entry.within.is_some()) {
        groups.entry((entry.node.meta.device, entry.node.meta.inode)).or_default().push(&entry.node.path);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort();
    groups
}

pub fn target(dir: &Path, strip: &Path, overwrite: Overwrite) -> TreeTarget {
    TreeTarget::new(dir, TargetOptions { strip: node_path(strip), overwrite }).unwrap()
}

pub fn node_path(path: &Path) -> Vec<u8> {
    path.to_str().unwrap().trim_start_matches('/').as_bytes().to_vec()
}

pub fn file_node(path: &str, size: usize, mtime: i64) -> Node {
    Node {
        path: path.as_bytes().to_vec(),
        kind: NodeKind::File { size: size as u64, cut: Cut::Content },
        meta: Meta { mode: 0o644, mtime: (mtime, 0), ..us() },
    }
}

pub fn directory_node(path: &str, mode: u32) -> Node {
    let meta = Meta { mode, mtime: (1_000_000_000, 0), ..us() };
    Node { path: path.as_bytes().to_vec(), kind: NodeKind::Directory, meta }
}

fn us() -> Meta {
    Meta {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        links: 1,
        ..Meta::default()
    }
}

/// Makes a chain of directories by descriptor, however long its path becomes; a file stands in the last one.
pub fn make_deep(top: &Path, name: &str, depth: usize) {
    let name = CString::new(name).unwrap();
    let mut fd = OwnedFd::from(File::open(top).unwrap());
    for _ in 0..depth {
        mkdirat(&fd, &name, Mode::RWXU).unwrap();
        fd = openat(&fd, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let file = openat(&fd, c"bottom", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"deep").unwrap();
}
