//! Sources and targets: a small tree with one of everything is written as the vault would, and must be found again.

use std::collections::BTreeMap;
use std::io;

use backstop_model::plan::Overwrite;
use backstop_model::tree::{Cut, Meta, Node, NodeKind, compare};

use crate::source::{Content, Directory, Found, Source};
use crate::target::{Target, Written};

/// A place to write a tree to, and to read it from again.
pub struct Pair<'a> {
    /// A target in the place, always the same one.
    pub target: &'a dyn Fn(Overwrite) -> Box<dyn Target>,
    /// The tree in the place as a source, presented under the paths that the nodes had.
    pub source: &'a dyn Fn() -> Box<dyn Source>,
    /// Owner and group that this process may give a file.
    pub owner: (u32, u32),
}

/// Length of the large file, most of it a hole.
const LARGE: u64 = 3 << 20;
/// Where its data stand.
const ISLANDS: [(u64, usize); 3] = [(0, 70_000), (1 << 20, 4096), (LARGE - 5, 5)];

/// Runs all of the suite on an empty place.
///
/// # Panics
/// When the place gives back another tree than the one written, or breaks another part of the contracts.
pub fn round_trip(pair: &Pair<'_>) {
    let tree = tree(pair.owner);
    write(&*(pair.target)(Overwrite::Never), &tree);
    let first = read(&*(pair.source)());
    same(&tree, &first);
    same(&tree, &read(&*(pair.source)()));
    kept(pair, &tree);
    same(&tree, &read(&*(pair.source)()));
    replaced(pair, &tree);
}

struct Entry {
    node: Node,
    contents: Vec<u8>,
    /// Another name of the file at this path.
    link_of: Option<Vec<u8>>,
}

fn tree(owner: (u32, u32)) -> Vec<Entry> {
    let mut inode = 0;
    let mut entry = |path: &[u8], kind: NodeKind, contents: Vec<u8>| {
        inode += 1;
        let mode = match kind {
            NodeKind::Directory => 0o750,
            NodeKind::Symlink { .. } => 0o777,
            _ => 0o640,
        };
        let (uid, gid) = owner;
        let mtime = (1_600_000_000 + inode as i64, 123_456_789);
        let meta = Meta { mode, uid, gid, mtime, inode, links: 1, ..Meta::default() };
        Entry { node: Node { path: path.to_vec(), kind, meta }, contents, link_of: None }
    };
    let file = |size: usize| NodeKind::File { size: size as u64, cut: Cut::Content };
    let text = b"hello, world\n".to_vec();
    let mut entries = vec![
        entry(b"top", NodeKind::Directory, Vec::new()),
        entry(b"top/a", NodeKind::Directory, Vec::new()),
        entry(b"top/a/empty", file(0), Vec::new()),
        entry(b"top/a/deep", NodeKind::Directory, Vec::new()),
        entry(b"top/a/deep/text", file(text.len()), text.clone()),
        entry(b"top/a.b", file(1), b"x".to_vec()),
        entry(b"top/hollow", NodeKind::Directory, Vec::new()),
        entry(b"top/large", NodeKind::File { size: LARGE, cut: Cut::Blocks }, large()),
        entry(b"top/link", NodeKind::Symlink { target: b"../nowhere at all".to_vec() }, Vec::new()),
        entry(b"top/name\nwith \xff bytes", file(3), b"odd".to_vec()),
        entry(b"top/other name", file(text.len()), text),
        entry(b"top/pipe", NodeKind::Fifo, Vec::new()),
    ];
    let first = entries[4].node.clone();
    let other = &mut entries[10];
    other.node.meta = Meta { links: 2, ..first.meta };
    other.link_of = Some(first.path);
    entries[4].node.meta.links = 2;
    entries.sort_by(|a, b| compare(&a.node.path, &b.node.path));
    entries
}

fn large() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(LARGE).expect("small")];
    for (at, length) in ISLANDS {
        let at = usize::try_from(at).expect("small");
        bytes[at..at + length].iter_mut().enumerate().for_each(|(n, byte)| *byte = (n % 250 + 1) as u8);
    }
    bytes
}

fn is_directory(entry: &&Entry) -> bool {
    entry.node.kind == NodeKind::Directory
}

/// In the order in which the vault restores: directories, files, links, then the directories' metadata from below.
fn write(target: &dyn Target, tree: &[Entry]) {
    for entry in tree.iter().filter(is_directory) {
        assert_eq!(made("directory", entry, target.directory(&entry.node)), Written::Made);
    }
    for entry in tree.iter().filter(|entry| entry.link_of.is_none() && !is_directory(entry)) {
        match entry.node.kind {
            NodeKind::File { size: LARGE, .. } => write_large(target, entry),
            NodeKind::File { .. } => {
                let written = made("whole_file", entry, target.whole_file(&entry.node, &entry.contents));
                assert_eq!(written, Written::Made, "a file in an empty place");
            }
            _ => assert_eq!(made("special", entry, target.special(&entry.node)), Written::Made),
        }
    }
    for entry in tree.iter().filter(|entry| entry.link_of.is_some()) {
        let first = tree.iter().find(|other| Some(&other.node.path) == entry.link_of.as_ref()).expect("in the tree");
        assert_eq!(made("hard_link", entry, target.hard_link(&entry.node, &first.node)), Written::Made);
    }
    finish(target, tree);
    assert_eq!(target.metadata_troubles(), [], "metadata that its owner may set");
}

fn finish(target: &dyn Target, tree: &[Entry]) {
    for entry in tree.iter().rev().filter(is_directory) {
        made("finish_directory", entry, target.finish_directory(&entry.node));
    }
}

fn made<T>(what: &str, entry: &Entry, result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} of {}: {error}", backstop_model::tree::show_path(&entry.node.path)))
}

/// In several threads, last bytes first.
fn write_large(target: &dyn Target, entry: &Entry) {
    let file = made("begin_file", entry, target.begin_file(&entry.node)).expect("nothing stands there to be kept");
    std::thread::scope(|scope| {
        for (at, length) in ISLANDS.into_iter().rev() {
            let (file, start) = (&*file, usize::try_from(at).expect("small"));
            scope.spawn(move || file.write_at(at, &entry.contents[start..start + length]).expect("inside the file"));
        }
    });
    made("finish", entry, file.finish());
}

struct Seen {
    node: Node,
    contents: Vec<u8>,
}

fn read(source: &dyn Source) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let list = source.list().unwrap_or_else(|fault| panic!("the source cannot be listed: {fault}"));
    for found in list {
        let (node, within) = match found {
            Found::Entry { node, within } => (node, within),
            Found::Trouble(trouble) => panic!("trouble with a tree that has none: {trouble:?}"),
        };
        let is_file = matches!(node.kind, NodeKind::File { .. });
        assert_eq!(within.is_some(), is_file, "a directory to open it in comes with files and nothing else: {node:?}");
        let contents = within.map(|within| contents(&*within, &node)).unwrap_or_default();
        if let Some(last) = seen.last() {
            assert!(compare(&last.node.path, &node.path).is_lt(), "{:?} after {:?}", node.path, last.node.path);
        }
        seen.push(Seen { node, contents });
    }
    seen
}

fn contents(within: &dyn Directory, node: &Node) -> Vec<u8> {
    let missing = within.open(b"no such name").err().map(|error| error.kind());
    assert_eq!(missing, Some(io::ErrorKind::NotFound), "a name that is not there");
    let content = within.open(node.name()).expect("it was just listed");
    let (meta, size) = content.state().expect("an open file knows its state");
    assert_eq!(NodeKind::File { size, cut: Cut::Content }, without_cut(&node.kind), "the length of the open file");
    assert_eq!(meta, Meta { xattrs: Vec::new(), ..node.meta.clone() }, "the open file and its listing differ");
    let mut whole = vec![0; usize::try_from(size).expect("small") + 10];
    let read = content.read_at(0, &mut whole).expect("readable");
    assert_eq!(read as u64, size, "a read ends where the file does");
    whole.truncate(read);
    data_is_where_it_is_said_to_be(&*content, size, &whole);
    let past = content.read_at(size + 1, &mut [0; 4]).expect("nothing to read is no error");
    assert_eq!(past, 0, "past the end there is nothing");
    whole
}

fn data_is_where_it_is_said_to_be(content: &dyn Content, size: u64, whole: &[u8]) {
    let mut at = 0;
    while let Some((start, end)) = content.next_data(at, size).expect("told") {
        assert!(start >= at && start < end && end <= size, "data at {start}..{end}, asked from {at} of {size}");
        let hole = &whole[usize::try_from(at).expect("small")..usize::try_from(start).expect("small")];
        assert!(hole.iter().all(|byte| *byte == 0), "a hole holds data between {at} and {start}");
        at = end;
    }
    let rest = &whole[usize::try_from(at).expect("small")..];
    assert!(rest.iter().all(|byte| *byte == 0), "data after {at} were not told of");
}

/// How contents are cut is a guess of the source.
fn without_cut(kind: &NodeKind) -> NodeKind {
    match kind {
        NodeKind::File { size, .. } => NodeKind::File { size: *size, cut: Cut::Content },
        other => other.clone(),
    }
}

fn same(tree: &[Entry], seen: &[Seen]) {
    let below: Vec<&Seen> = seen.iter().filter(|seen| seen.node.path.starts_with(b"top")).collect();
    let shown = |path: &[u8]| backstop_model::tree::show_path(path);
    let names = |paths: &mut dyn Iterator<Item = &Vec<u8>>| paths.map(|path| shown(path)).collect::<Vec<_>>();
    let wanted = names(&mut tree.iter().map(|entry| &entry.node.path));
    assert_eq!(names(&mut below.iter().map(|seen| &seen.node.path)), wanted, "the entries of the tree");
    let mut inodes: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
    for (entry, seen) in tree.iter().zip(&below) {
        let path = shown(&entry.node.path);
        assert_eq!(without_cut(&seen.node.kind), without_cut(&entry.node.kind), "kind of {path}");
        assert!(seen.contents == entry.contents, "contents of {path}");
        let (is, was) = (&seen.node.meta, &entry.node.meta);
        let is_link = matches!(entry.node.kind, NodeKind::Symlink { .. });
        assert!(is_link || is.mode == was.mode, "mode of {path}: {:o}, not {:o}", is.mode, was.mode);
        assert_eq!((is.uid, is.gid, is.mtime), (was.uid, was.gid, was.mtime), "owner and time of {path}");
        if matches!(entry.node.kind, NodeKind::File { .. }) {
            assert_eq!(is.links, was.links, "number of names of {path}");
            inodes.entry((is.device, is.inode)).or_default().push(entry.node.path.clone());
        }
    }
    let shared: Vec<&Vec<Vec<u8>>> = inodes.values().filter(|names| names.len() > 1).collect();
    assert_eq!(shared, [&vec![b"top/a/deep/text".to_vec(), b"top/other name".to_vec()]], "files with several names");
}

/// What is there stays, and a directory that is there is used.
fn kept(pair: &Pair<'_>, tree: &[Entry]) {
    let target = (pair.target)(Overwrite::Never);
    for entry in tree.iter().filter(is_directory) {
        assert_eq!(made("directory", entry, target.directory(&entry.node)), Written::Kept, "a directory that is there");
    }
    let file = tree.iter().find(|entry| entry.node.path == b"top/a.b").expect("in the tree");
    assert_eq!(made("whole_file", file, target.whole_file(&file.node, b"y")), Written::Kept, "`never` overwrites");
    let large = tree.iter().find(|entry| entry.node.path == b"top/large").expect("in the tree");
    assert!(made("begin_file", large, target.begin_file(&large.node)).is_none(), "`never` overwrites a large file");
    finish(&*target, tree);
}

/// What is there gives way as a whole.
fn replaced(pair: &Pair<'_>, tree: &[Entry]) {
    let target = (pair.target)(Overwrite::Always);
    let file = tree.iter().find(|entry| entry.node.path == b"top/a.b").expect("in the tree");
    assert_eq!(made("whole_file", file, target.whole_file(&file.node, b"y")), Written::Made, "`always` keeps");
    let seen = read(&*(pair.source)());
    let seen = seen.iter().find(|seen| seen.node.path == b"top/a.b").expect("still there");
    assert_eq!(seen.contents, b"y", "the replaced file");
    assert_eq!(seen.node.meta.mtime, file.node.meta.mtime, "time of the replaced file");
}
