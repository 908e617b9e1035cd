//! What a restore leaves alone, replaces, refuses and reports.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests own the file system and processes they make.

mod support;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use backstop_files::{TargetOptions, TreeSource, TreeTarget};
use backstop_model::plan::Overwrite;
use backstop_model::tree::{Meta, Node, NodeKind, TroubleKind};
use backstop_seams::{Target, Written};

use support::{directory_node, file_node, list, target};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn link_node(path: &str, to: &str) -> Node {
    let mut node = file_node(path, 0, 1000);
    node.kind = NodeKind::Symlink { target: to.as_bytes().to_vec() };
    node
}

fn plain(dir: &Path, overwrite: Overwrite) -> TreeTarget {
    target(dir, Path::new(""), overwrite)
}

#[test]
fn never_keeps_every_kind_of_entry_that_exists() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"mine").unwrap();
    fs::write(dir.path().join("link"), b"mine").unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::set_permissions(dir.path().join("d"), Permissions::from_mode(0o751)).unwrap();
    let target = plain(dir.path(), Overwrite::Never);
    assert_eq!(target.whole_file(&file_node("file", 3, 1), b"new").unwrap(), Written::Kept);
    assert!(target.begin_file(&file_node("file", 3, 1)).unwrap().is_none());
    assert_eq!(target.special(&link_node("link", "x")).unwrap(), Written::Kept);
    assert_eq!(target.directory(&directory_node("d", 0o700)).unwrap(), Written::Kept);
    assert_eq!(target.whole_file(&file_node("d/new", 3, 1), b"new").unwrap(), Written::Made);
    assert_eq!(target.hard_link(&file_node("file", 3, 1), &file_node("d/new", 3, 1)).unwrap(), Written::Kept);
    target.finish_directory(&directory_node("d", 0o700)).unwrap();
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"mine");
    assert_eq!(fs::read(dir.path().join("link")).unwrap(), b"mine");
    assert_eq!(mode(&dir.path().join("d")), 0o751, "an existing directory is used as it is");
}

#[test]
fn always_replaces_by_renaming_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["file", "large", "link", "other"] {
        fs::write(path(name), b"mine").unwrap();
    }
    let mut old = fs::File::open(path("file")).unwrap();
    let target = plain(dir.path(), Overwrite::Always);
    assert_eq!(target.whole_file(&file_node("file", 3, 1), b"new").unwrap(), Written::Made);
    let writer = target.begin_file(&file_node("large", 3, 1)).unwrap().unwrap();
    writer.write_at(0, b"new").unwrap();
    assert_eq!(fs::read(path("large")).unwrap(), b"mine", "the old one is whole until the new one is");
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(target.special(&link_node("link", "x")).unwrap(), Written::Made);
    assert_eq!(target.hard_link(&file_node("other", 3, 1), &file_node("file", 3, 1)).unwrap(), Written::Made);
    assert_eq!(target.hard_link(&file_node("other", 3, 1), &file_node("file", 3, 1)).unwrap(), Written::Kept);

    assert_eq!(fs::read(path("file")).unwrap(), b"new");
    assert_eq!(fs::metadata(path("file")).unwrap().mtime(), 1);
    assert_eq!(fs::read(path("large")).unwrap(), b"new");
    assert_eq!(fs::read_link(path("link")).unwrap(), Path::new("x"));
    assert_eq!(fs::metadata(path("other")).unwrap().ino(), fs::metadata(path("file")).unwrap().ino());
    assert_eq!(std::io::read_to_string(&mut old).unwrap(), "mine", "who has it open keeps the old contents");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "nothing temporary is left");
}

#[test]
fn if_newer_replaces_only_what_is_older() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"mine").unwrap();
    let now = fs::metadata(dir.path().join("file")).unwrap().mtime();
    let target = plain(dir.path(), Overwrite::IfNewer);
    assert_eq!(target.whole_file(&file_node("file", 3, now - 1), b"old").unwrap(), Written::Kept);
    assert_eq!(target.whole_file(&file_node("file", 3, now + 2), b"new").unwrap(), Written::Made);
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"new");
}

#[test]
fn kinds_are_not_exchanged_even_when_overwriting() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("file"), b"mine").unwrap();
    let target = plain(dir.path(), Overwrite::Always);
    let refused = |error: std::io::Error| error.kind();
    assert_eq!(target.whole_file(&file_node("d", 1, 1), b"x").map_err(refused), Err(ErrorKind::IsADirectory));
    assert_eq!(target.special(&link_node("d", "x")).map_err(refused), Err(ErrorKind::IsADirectory));
    assert_eq!(target.directory(&directory_node("file", 0o755)).map_err(refused), Err(ErrorKind::NotADirectory));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_link_in_the_target_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
    for path in [&inside, &outside] {
        fs::create_dir(path).unwrap();
    }
    symlink(&outside, inside.join("srv")).unwrap();
    symlink(outside.join("new"), inside.join("file")).unwrap();
    for overwrite in [Overwrite::Never, Overwrite::Always] {
        let target = plain(&inside, overwrite);
        assert!(target.directory(&directory_node("srv", 0o755)).is_err());
        assert!(target.directory(&directory_node("srv/d", 0o755)).is_err());
        assert!(target.whole_file(&file_node("srv/file", 1, 1), b"x").is_err());
        assert!(target.special(&link_node("srv/link", "x")).is_err());
        assert!(target.finish_directory(&directory_node("srv", 0o755)).is_err());
        target.whole_file(&file_node("file", 1, 1), b"x").unwrap();
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(fs::symlink_metadata(inside.join("file")).unwrap().is_file(), "the link itself was replaced");
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = TargetOptions { strip: b"srv/docs".to_vec(), overwrite: Overwrite::Never };
    let target = TreeTarget::new(dir.path(), options).unwrap();
    for path in ["srv/docs/../x", "srv/docs//x", "srv/docs/./x", "srv/docs2/x", "etc/x", "srv/docs", "srv"] {
        let error = target.whole_file(&file_node(path, 1, 1), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    assert_eq!(target.directory(&directory_node("srv", 0o755)).unwrap(), Written::Kept);
    target.finish_directory(&directory_node("srv", 0o711)).unwrap();
    assert_ne!(mode(dir.path()), 0o711);
    target.directory(&directory_node("srv/docs", 0o711)).unwrap();
    assert_eq!(target.whole_file(&file_node("srv/docs/x", 1, 1), b"x").unwrap(), Written::Made);
    target.finish_directory(&directory_node("srv/docs", 0o711)).unwrap();
    assert_eq!(mode(dir.path()), 0o711, "the directory becomes the one whose contents it holds");
    assert!(dir.path().join("x").exists());
}

#[test]
fn a_top_that_holds_other_things_keeps_its_metadata() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("other"), b"mine").unwrap();
    let before = mode(dir.path());
    let options = TargetOptions { strip: b"srv".to_vec(), overwrite: Overwrite::Never };
    let target = TreeTarget::new(dir.path(), options).unwrap();
    target.directory(&directory_node("srv", 0o711)).unwrap();
    target.finish_directory(&directory_node("srv", 0o711)).unwrap();
    assert_eq!(mode(dir.path()), before);
}

#[test]
fn what_an_interrupted_restore_left_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = plain(dir.path(), Overwrite::Never);
    first.directory(&directory_node("d", 0o755)).unwrap();
    assert_eq!(mode(&dir.path().join("d")), 0o1700, "closed to others until finished");
    let torn = first.begin_file(&file_node("d/large", 8, 1)).unwrap().unwrap();
    torn.write_at(0, b"half").unwrap();
    std::mem::forget(torn); // As if the process had been killed.
    assert_eq!(mode(&dir.path().join("d/large")), 0o1600);

    let again = plain(dir.path(), Overwrite::Never);
    assert_eq!(again.directory(&directory_node("d", 0o755)).unwrap(), Written::Made);
    assert_eq!(again.whole_file(&file_node("d/large", 8, 1), b"complete").unwrap(), Written::Made);
    again.finish_directory(&directory_node("d", 0o755)).unwrap();
    assert_eq!(fs::read(dir.path().join("d/large")).unwrap(), b"complete");
    assert_eq!((mode(&dir.path().join("d")), mode(&dir.path().join("d/large"))), (0o755, 0o644));
}

#[test]
fn a_file_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("old"), b"mine").unwrap();
    let target = plain(dir.path(), Overwrite::Always);
    for name in ["old", "new"] {
        let writer = target.begin_file(&file_node(name, 4, 1)).unwrap().unwrap();
        writer.write_at(0, b"half").unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read(dir.path().join("old")).unwrap(), b"mine");
}

#[test]
fn always_gives_an_existing_directory_the_recorded_metadata_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path().join("d");
    fs::create_dir(&d).unwrap();
    rustix::fs::setxattr(&d, "user.surplus", b"x", rustix::fs::XattrFlags::empty()).unwrap();
    fs::set_permissions(&d, Permissions::from_mode(0o500)).unwrap();
    let target = plain(dir.path(), Overwrite::Always);
    let mut node = directory_node("d", 0o750);
    node.meta.xattrs = vec![(b"user.kept".to_vec(), b"y".to_vec())];
    target.directory(&node).unwrap();
    target.whole_file(&file_node("d/file", 1, 1), b"x").unwrap();
    target.finish_directory(&node).unwrap();
    let tree = list(&TreeSource::at(dir.path(), b"").unwrap());
    let found = tree.get("d");
    assert_eq!((found.meta.mode, found.meta.mtime), (0o750, node.meta.mtime));
    assert_eq!(found.meta.xattrs, node.meta.xattrs);
}

/// Runs the named test of this program again as a user without privilege, when this one has it.
fn again_without_privilege(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    // A program open for writing, even in a process just forked for the other test, cannot be started.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    // The program itself may lie where others cannot reach it.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args([test, "--exact", "--nocapture"])
        .env("TMPDIR", dir.path())
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn without_privilege_owners_are_reported_once_and_setuid_is_not_given() {
    if again_without_privilege("without_privilege_owners_are_reported_once_and_setuid_is_not_given") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = plain(dir.path(), Overwrite::Never);
    let mut node = file_node("file", 1, 1);
    node.meta = Meta { uid: 0, gid: 0, mode: 0o6755, ..node.meta };
    node.meta.xattrs = vec![(b"trusted.x".to_vec(), b"y".to_vec())];
    assert_eq!(target.whole_file(&node, b"x").unwrap(), Written::Made);
    let pipe = Node { path: b"pipe".to_vec(), kind: NodeKind::Fifo, meta: node.meta.clone() };
    target.special(&pipe).unwrap();
    let troubles = target.metadata_troubles();
    assert_eq!(troubles.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/file", "/pipe"]);
    assert!(troubles[0].1.contains("owner 0:0") && troubles[0].1.contains("`trusted.x`"), "{troubles:?}");
    assert!(target.metadata_troubles().is_empty());
    assert_eq!(mode(&dir.path().join("file")), 0o755);
    assert_eq!(mode(&dir.path().join("pipe")), 0o755);
    let mut device = pipe.clone();
    device.path = b"null".to_vec();
    device.kind = NodeKind::CharDevice { major: 1, minor: 3 };
    assert_eq!(target.special(&device).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn without_privilege_closed_entries_are_troubles_and_the_rest_is_read() {
    if again_without_privilege("without_privilege_closed_entries_are_troubles_and_the_rest_is_read") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("closed")).unwrap();
    fs::write(dir.path().join("open"), b"x").unwrap();
    fs::write(dir.path().join("secret"), b"x").unwrap();
    rustix::fs::setxattr(dir.path().join("secret"), "user.x", b"y", rustix::fs::XattrFlags::empty()).unwrap();
    for name in ["closed", "secret"] {
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o000)).unwrap();
    }
    let tree = list(&TreeSource::at(dir.path(), b"").unwrap());
    assert_eq!(tree.paths(), ["closed", "open", "secret"]);
    let troubles: Vec<_> = tree.troubles.iter().map(|trouble| (trouble.kind, trouble.path.as_str())).collect();
    assert_eq!(troubles, [(TroubleKind::Unreadable, "/closed"), (TroubleKind::Unreadable, "/secret")]);
    let secret = tree.entries[2].within.as_ref().unwrap();
    assert_eq!(secret.open(b"secret").err().unwrap().kind(), ErrorKind::PermissionDenied);
    // Files of another owner are read too, though their access time cannot be left alone.
    let passwd = list(&TreeSource::new(&support::spec(Path::new("/etc/passwd"))).unwrap());
    assert!(passwd.entries[1].within.as_ref().unwrap().open(b"passwd").is_ok());
    backstop_files::places::remove_tree(&dir.path().join("closed")).unwrap();
}
