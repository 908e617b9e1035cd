//! What is listed, what is left out, and what is said about the rest.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests own the file system they make.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use backstop_files::TreeSource;
use backstop_model::config::FilesSpec;
use backstop_model::tree::{Cut, NodeKind, TroubleKind};
use backstop_seams::{Found, Source};

use support::{list, node_path, spec};

fn touch(root: &Path, files: &[&str]) {
    for file in files {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), b"x").unwrap();
    }
}

fn with_excludes(root: &Path, globs: &[&str]) -> String {
    let exclude = globs.iter().map(|glob| (*glob).to_owned()).collect();
    let spec = FilesSpec { exclude, ..spec(root) };
    list(&TreeSource::new(&spec).unwrap()).below(root)
}

#[test]
fn directories_above_roots_come_once_and_before_them() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a/b/c/file", "a/b/d", "a/z/file", "a-b/file", "unwanted"]);
    let at = |path: &str| dir.path().join(path);
    let spec = FilesSpec { paths: vec![at("a-b"), at("a/z"), at("a/b/d"), at("a/b/c")], ..spec(dir.path()) };
    let tree = list(&TreeSource::new(&spec).unwrap());
    assert_eq!(tree.below(dir.path()), "a a/b a/b/c a/b/c/file a/b/d a/z a/z/file a-b a-b/file");
    assert_eq!(tree.paths()[0], "tmp".to_owned());
    let above = tree.get(&String::from_utf8(node_path(&at("a"))).unwrap());
    assert_eq!(above.meta.inode, fs::metadata(at("a")).unwrap().ino());
}

#[test]
fn excluded_entries_do_not_appear_nor_what_is_below_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    touch(&root, &["a.tmp", "b", "d/a.tmp", "d/c", "cache/x/y", "tmp/x", "d/tmp/x"]);
    assert_eq!(with_excludes(&root, &["*.tmp", "cache"]), "b d d/c d/tmp d/tmp/x tmp tmp/x");
    assert_eq!(with_excludes(&root, &["tmp/*", "cache/", "a.tmp/"]), "a.tmp b d d/a.tmp d/c d/tmp d/tmp/x tmp");
    let absolute = format!("{}/d/*", root.display());
    assert_eq!(with_excludes(&root, &[&absolute, "cache", "root"]), "a.tmp b d tmp tmp/x");
}

#[test]
fn caches_are_left_out_by_a_valid_tag_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    touch(&root, &["cache/a", "cache/z/b", "false/a", "false/CACHEDIR.TAG"]);
    fs::write(root.join("cache/CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55\n# more").unwrap();
    fs::write(root.join("false/CACHEDIR.TAG"), b"Signature: 00000000000000000000000000000000\n# no cache").unwrap();
    let spec = FilesSpec { exclude_caches: true, ..spec(&root) };
    let tree = list(&TreeSource::new(&spec).unwrap());
    assert_eq!(tree.below(&root), "cache cache/CACHEDIR.TAG false false/CACHEDIR.TAG false/a");
    assert!(with_excludes(&root, &[]).contains("cache/z/b"), "without the option everything is listed");

    let spec = FilesSpec { exclude_caches: true, ..support::spec(&root.join("cache")) };
    let tree = list(&TreeSource::new(&spec).unwrap());
    assert_eq!(tree.below(&root.join("cache")), "CACHEDIR.TAG");
    assert_eq!(tree.troubles[0].kind, TroubleKind::Skipped, "a root that is a cache is not passed over in silence");
}

#[test]
fn another_file_system_is_not_entered_when_asked() {
    let inside = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &str| fs::metadata(path).unwrap().dev();
    assert_ne!(device("/dev"), device("/dev/shm"), "this test needs `/dev/shm` to be a mount below `/dev`");
    let wanted = inside.path().to_str().unwrap().trim_start_matches('/').to_owned();
    for one_file_system in [false, true] {
        let spec = FilesSpec { one_file_system, ..spec(Path::new("/dev")) };
        let paths = list(&TreeSource::new(&spec).unwrap()).paths();
        assert!(paths.contains(&"dev/shm".to_owned()), "the mount point itself is kept");
        assert_eq!(paths.contains(&wanted), !one_file_system);
    }
}

#[test]
fn what_vanishes_meanwhile_is_said_to_have_vanished() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a", "b", "c/d", "e"]);
    let source = TreeSource::at(dir.path(), b"top").unwrap();
    let mut found = source.list().unwrap();
    assert!(matches!(found.next(), Some(Found::Entry { .. })));
    let Some(Found::Entry { node, within: Some(within) }) = found.next() else { panic!("`a` comes next") };
    assert_eq!(node.path, b"top/a");
    for gone in ["a", "b"] {
        fs::remove_file(dir.path().join(gone)).unwrap();
    }
    fs::remove_dir_all(dir.path().join("c")).unwrap();
    assert_eq!(within.open(b"a").err().unwrap().kind(), ErrorKind::NotFound);
    let mut vanished = Vec::new();
    let mut listed = Vec::new();
    for found in found {
        match found {
            Found::Entry { node, .. } => listed.push(node.path),
            Found::Trouble(trouble) => vanished.push((trouble.kind, trouble.path)),
        }
    }
    assert_eq!(listed, [b"top/e"]);
    let gone = |path: &str| (TroubleKind::Vanished, path.to_owned());
    assert_eq!(vanished, [gone("/top/b"), gone("/top/c")]);
}

#[test]
fn a_file_that_was_replaced_by_a_link_or_pipe_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a", "b"]);
    let tree = list(&TreeSource::at(dir.path(), b"").unwrap());
    let within = tree.entries[0].within.as_ref().unwrap();
    for name in ["a", "b"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    symlink("/etc/passwd", dir.path().join("a")).unwrap();
    let pipe = dir.path().join("b");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(within.open(b"a").is_err());
    let content = within.open(b"b").unwrap();
    assert!(content.state().is_err());
    assert!(content.read_at(0, &mut [0; 8]).is_err());
}

#[test]
fn a_directory_that_was_replaced_is_not_taken_for_the_one_listed() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a/b/c/file", "d/file"]);
    // With no descriptor to spare, directories are opened again when their files are read.
    let tree = list(&TreeSource::at(dir.path(), b"").unwrap().with_open_directories(0));
    let open = |path: &str| {
        let entry = tree.entries.iter().find(|entry| entry.node.path == path.as_bytes()).unwrap();
        entry.within.as_ref().unwrap().open(b"file").map(|content| content.state().unwrap().1)
    };
    assert_eq!((open("a/b/c/file").unwrap(), open("d/file").unwrap()), (1, 1));
    fs::rename(dir.path().join("a/b"), dir.path().join("moved")).unwrap();
    touch(dir.path(), &["a/b/c/file"]);
    assert_eq!(open("a/b/c/file").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(open("d/file").unwrap(), 1);
}

#[test]
fn reading_tells_what_changed_grew_or_shrank() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a"]);
    let tree = list(&TreeSource::at(dir.path(), b"").unwrap());
    let content = tree.entries[0].within.as_ref().unwrap().open(b"a").unwrap();
    assert_eq!(content.state().unwrap().1, 1);
    fs::write(dir.path().join("a"), b"longer now").unwrap();
    let (meta, size) = content.state().unwrap();
    assert_eq!(size, 10);
    assert_ne!((meta.mtime, meta.ctime), (tree.entries[0].node.meta.mtime, tree.entries[0].node.meta.ctime));
    let mut buffer = [0; 64];
    assert_eq!(content.read_at(2, &mut buffer).unwrap(), 8, "a read stops at the end");
    assert_eq!(&buffer[..8], b"nger now");
    fs::write(dir.path().join("a"), b"").unwrap();
    assert_eq!(content.read_at(2, &mut buffer).unwrap(), 0);
}

#[test]
fn a_root_that_is_a_link_is_kept_as_the_link_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["real/file"]);
    let link = dir.path().join("link");
    symlink("real", &link).unwrap();
    let tree = list(&TreeSource::new(&spec(&link)).unwrap());
    assert_eq!(tree.entries.last().unwrap().node.kind, NodeKind::Symlink { target: b"real".to_vec() });
    assert_eq!(tree.troubles[0].kind, TroubleKind::Skipped);
    // Above a root a link is followed, and what it leads to appears as a directory.
    let tree = list(&TreeSource::new(&spec(&link.join("file"))).unwrap());
    assert_eq!(tree.entries.len(), node_path(&link).split(|byte| *byte == b'/').count() + 1);
    assert!(tree.entries.last().unwrap().within.is_some());
}

#[test]
fn a_root_that_is_missing_is_a_fault_that_names_it() {
    let missing = PathBuf::from("/no/such/place");
    let fault = TreeSource::new(&spec(&missing)).unwrap().list().err().unwrap();
    assert_eq!((fault.path.as_str(), fault.detail.as_str()), ("/no/such/place", "no such file or directory"));
    assert!(TreeSource::at(&missing, b"srv").unwrap().list().is_err());
    assert!(TreeSource::new(&spec(Path::new("relative"))).is_err());
}

#[test]
fn the_whole_machine_as_root_begins_with_the_empty_path() {
    let source = TreeSource::new(&spec(Path::new("/"))).unwrap();
    let mut found = source.list().unwrap();
    let Some(Found::Entry { node, .. }) = found.next() else { panic!("the root comes first") };
    assert!(node.path.is_empty());
    let Some(Found::Entry { node, .. }) = found.next() else { panic!("its contents follow") };
    assert!(!node.path.contains(&b'/'));
}

#[test]
fn a_restored_tree_appears_under_the_paths_of_its_backup() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a", "d/b"]);
    let paths = |source: TreeSource| list(&source).paths().join(" ");
    assert_eq!(paths(TreeSource::at(dir.path(), b"srv/docs").unwrap()), "srv/docs srv/docs/a srv/docs/d srv/docs/d/b");
    assert_eq!(paths(TreeSource::at(dir.path(), b"").unwrap()), "a d d/b");
    assert_eq!(paths(TreeSource::at(dir.path(), b"").unwrap().with_top(true)), " a d d/b");

    // Also by a link to it.
    rustix::fs::setxattr(dir.path(), "user.x", b"y", rustix::fs::XattrFlags::empty()).unwrap();
    let beside = tempfile::tempdir().unwrap();
    symlink(dir.path(), beside.path().join("link")).unwrap();
    let tree = list(&TreeSource::at(&beside.path().join("link"), b"srv").unwrap());
    assert_eq!(tree.get("srv").meta.xattrs, [(b"user.x".to_vec(), b"y".to_vec())]);
}

#[test]
fn images_are_cut_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["disk.img", "table.ibd", "text"]);
    let spec = FilesSpec { images: vec!["*.ibd".to_owned()], ..spec(dir.path()) };
    let tree = list(&TreeSource::new(&spec).unwrap());
    let cuts: Vec<_> = tree
        .entries
        .iter()
        .filter_map(|entry| match entry.node.kind {
            NodeKind::File { cut, .. } => Some(cut),
            _ => None,
        })
        .collect();
    assert_eq!(cuts, [Cut::Blocks, Cut::Blocks, Cut::Content]);
}
