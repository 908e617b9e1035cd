//! A tree that is read and written back is the same tree.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests own the file system they make.

mod support;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use backstop_files::{TreeSource, places};
use backstop_model::plan::Overwrite;
use backstop_model::tree::TroubleKind;
use backstop_seams::Target;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags, makedev, mknodat, setxattr, utimensat,
};

use support::{assert_same, list, make_deep, node_path, read, restore, spec, target};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mtime(path: &Path, sec: i64, nsec: i64) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: sec, tv_nsec: nsec },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// `user::rwx, user:1000:r--, group::r-x, mask::rwx, other::---` in the kernel's encoding.
fn acl() -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in
        [(1u16, 7u16, u32::MAX), (2, 4, 1000), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)]
    {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn make_nasty(root: &Path) {
    fs::create_dir_all(root.join("empty/also empty")).unwrap();
    fs::create_dir_all(root.join("d/e/f")).unwrap();
    fs::write(root.join("d/e/plain"), b"contents").unwrap();
    fs::write(root.join("d/nothing"), b"").unwrap();
    fs::write(root.join("d.txt"), vec![7; 300_000]).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not \xff utf8 \xc3\x28")), b"x").unwrap();
    fs::write(root.join("new\nline\tand \"quotes\" \\"), b"y").unwrap();
    fs::write(root.join("n".repeat(255)), b"z").unwrap();

    fs::hard_link(root.join("d/e/plain"), root.join("d/e/f/second name")).unwrap();
    fs::hard_link(root.join("d/e/plain"), root.join("third name")).unwrap();
    symlink("d/e/plain", root.join("link")).unwrap();
    symlink(OsStr::from_bytes(b"/no/where/\xff"), root.join("dangling")).unwrap();
    symlink("d", root.join("link to directory")).unwrap();

    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(&[1; 8192], 1 << 20).unwrap();
    sparse.write_all_at(&[2; 4096], 3 << 20).unwrap();
    sparse.set_len(5 << 20).unwrap();
    File::create(root.join("all hole")).unwrap().set_len(1 << 30).unwrap();

    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());

    fs::write(root.join("attributed"), b"a").unwrap();
    for (name, value) in [("user.z", b"last".as_slice()), ("user.a", b"\0\xff"), ("user.empty", b"")] {
        setxattr(root.join("attributed"), name, value, XattrFlags::empty()).unwrap();
    }
    setxattr(root.join("d/e"), "user.dir", b"on a directory", XattrFlags::empty()).unwrap();
    setxattr(root.join("d.txt"), "system.posix_acl_access", &acl(), XattrFlags::empty()).unwrap();
    fs::create_dir(root.join("shared")).unwrap();
    setxattr(root.join("shared"), "system.posix_acl_default", &acl(), XattrFlags::empty()).unwrap();
    fs::write(root.join("shared/inherits"), b"i").unwrap();

    fs::write(root.join("old"), b"o").unwrap();
    set_mtime(&root.join("old"), -1_000_000_001, 999_999_999);
    fs::write(root.join("future"), b"f").unwrap();
    set_mtime(&root.join("future"), 4_102_444_800, 1);
    set_mtime(&root.join("link"), 1_234_567_890, 123_456_789);
    set_mtime(&root.join("pipe"), 1_234_567_890, 5);

    if is_root() {
        let device = |name, kind, major, minor| {
            mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o600), makedev(major, minor)).unwrap();
        };
        device("null", FileType::CharacterDevice, 1, 3);
        device("loop", FileType::BlockDevice, 7, 300_000);
        chown(root.join("d/nothing"), Some(12345), Some(54321)).unwrap();
        lchown(root.join("dangling"), Some(12345), Some(54321)).unwrap();
        chown(root.join("pipe"), Some(12345), None).unwrap();
        chown(root.join("empty"), Some(12345), Some(54321)).unwrap();
        fs::write(root.join("locked"), b"l").unwrap();
        fs::set_permissions(root.join("locked"), Permissions::from_mode(0o000)).unwrap();
        setxattr(root.join("link"), "trusted.note", b"on a link", XattrFlags::empty()).unwrap();
    }
    for (name, mode) in
        [("d/e/f", 0o555), ("d/nothing", 0o6755), ("third name", 0o444), ("empty", 0o2775), ("d", 0o1777)]
    {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    set_mtime(&root.join("d/e/f"), 1_000_000_000, 42);
    set_mtime(root, 1_100_000_000, 43);
}

#[test]
fn a_nasty_tree_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (root, copy) = (dir.path().join("root"), dir.path().join("copy"));
    fs::create_dir(&root).unwrap();
    make_nasty(&root);
    places::create_owned_dir(&copy).unwrap();

    let source = TreeSource::new(&spec(&root)).unwrap();
    let original = read(&source);
    let [socket] = original.troubles.as_slice() else { panic!("{:?}", original.troubles) };
    assert_eq!((socket.kind, socket.path.ends_with("/root/socket")), (TroubleKind::Skipped, true));
    let hole = original.entries.iter().find(|entry| entry.node.path.ends_with(b"all hole")).unwrap();
    assert!(hole.extents.is_empty(), "a hole is not read");
    assert!(original.entries.iter().any(|entry| entry.node.meta.xattrs.len() == 3));

    let writer = target(&copy, &root, Overwrite::Never);
    assert!(restore(&original, &writer).is_empty());
    assert_eq!(writer.metadata_troubles(), []);

    let mut wanted = original;
    wanted.entries.retain(|entry| entry.node.path.starts_with(&node_path(&root)));
    assert_same(&wanted, &read(&TreeSource::at(&copy, &node_path(&root)).unwrap()));
    places::remove_tree(&copy).unwrap();
}

#[test]
fn what_the_target_directory_bequeaths_does_not_reach_the_restored_tree() {
    let dir = tempfile::tempdir().unwrap();
    let (root, copy) = (dir.path().join("root"), dir.path().join("copy"));
    for path in [&root, &copy] {
        fs::create_dir(path).unwrap();
    }
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/file"), b"x").unwrap();
    fs::write(root.join("file"), b"x").unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    setxattr(&copy, "system.posix_acl_default", &acl(), XattrFlags::empty()).unwrap();
    if is_root() {
        chown(&copy, None, Some(54321)).unwrap();
    }
    fs::set_permissions(&copy, Permissions::from_mode(0o2755)).unwrap();

    let original = read(&TreeSource::at(&root, b"").unwrap());
    restore(&original, &target(&copy, Path::new(""), Overwrite::Never));
    assert_same(&original, &read(&TreeSource::at(&copy, b"").unwrap()));
}

#[test]
fn a_tree_deeper_than_paths_may_be_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (root, copy) = (dir.path().join("root"), dir.path().join("copy"));
    for path in [&root, &copy] {
        fs::create_dir(path).unwrap();
    }
    make_deep(&root, &"d".repeat(200), 300);

    let original = read(&TreeSource::at(&root, b"").unwrap());
    assert_eq!(original.entries.len(), 301);
    assert!(original.entries.last().unwrap().node.path.len() > 60_000);
    restore(&original, &target(&copy, Path::new(""), Overwrite::Never));
    assert_same(&original, &read(&TreeSource::at(&copy, b"").unwrap()));
    places::remove_tree(&root).unwrap();
    places::remove_tree(&copy).unwrap();
}

#[test]
fn few_descriptors_suffice_for_a_deep_and_a_wide_tree() {
    let dir = tempfile::tempdir().unwrap();
    make_deep(dir.path(), "deep", 100);
    for number in 0..50 {
        let branch = dir.path().join(format!("deep/deep/deep/deep/wide{number:02}"));
        fs::create_dir(&branch).unwrap();
        fs::write(branch.join("file"), b"w").unwrap();
    }
    let source = TreeSource::at(dir.path(), b"").unwrap().with_open_directories(5);
    // Opens every file after the listing ended, while all directories are still referred to.
    let tree = read(&source);
    assert_eq!(tree.entries.len(), 100 + 1 + 100);
    assert_eq!(tree.entries.iter().filter(|entry| entry.extents.len() == 1).count(), 51);

    let before = fs::read_dir("/proc/self/fd").unwrap().count();
    let tree = list(&source);
    let held = fs::read_dir("/proc/self/fd").unwrap().count().saturating_sub(before);
    // Other tests of this process open files too; without the bound it would be 150 at least.
    assert!(held < 100, "{held} descriptors held");
    drop(tree);
    places::remove_tree(&dir.path().join("deep")).unwrap();
}
