//! What is backed up comes back as it was, judged by `stat`, `getfattr` and the bytes.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use backstop_tests::machine::{call, is_root, skipped};
use backstop_tests::{Site, facts};

fn name(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

/// Everything a Linux file system can hold below one directory.
fn nasty(root: &Path) {
    let dir = |below: &[u8]| {
        let path = root.join(name(below));
        std::fs::create_dir_all(&path).expect("a directory");
        path
    };
    let file = |below: &[u8], contents: &[u8]| {
        let path = root.join(name(below));
        std::fs::write(&path, contents).expect("a file");
        path
    };
    dir(b"empty");
    dir(b"names");
    for odd in [
        &b"new\nline"[..],
        b"not\xff\xfeutf-8",
        b" leading",
        b"trailing ",
        b"-dash",
        b"quote'\"",
        b"back\\slash",
        b"*",
        b"tab\t",
        b"\x01",
    ] {
        file(&[b"names/", odd].concat(), odd);
    }
    file(&[b"names/".to_vec(), vec![b'n'; 255]].concat(), b"longest");
    for (bits, at) in [(0o000, "0"), (0o644, "1"), (0o4755, "2"), (0o2755, "3"), (0o1777, "4"), (0o400, "5")] {
        mode(&file(format!("mode-{at}").as_bytes(), b"m"), bits);
    }
    let sticky = dir(b"sticky");
    mode(&sticky, 0o1777);
    file(b"large", &(0..700_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    file(b"zeros", &vec![0; 3_000_000]);
    for link in ["hard-2", "empty/hard-3"] {
        std::fs::hard_link(root.join("large"), root.join(link)).expect("a hard link");
    }
    for (at, to) in [("link", "large"), ("dangling", "/no/such/place"), ("loop", "loop"), ("up", "../..")] {
        symlink(to, root.join(at)).expect("a link");
    }
    symlink(name(b"\xff\n"), root.join("link-odd")).expect("a link");
    let sparse = OpenOptions::new().write(true).create_new(true).open(root.join("sparse")).expect("a file");
    sparse.set_len(64 << 20).expect("sparse");
    sparse.write_all_at(b"in the middle", 32 << 20).expect("written");
    call("mkfifo", &[&root.join("fifo")]);
    call("setfattr", &[&"-n", &"user.comment", &"-v", &"0x00ff0a", &root.join("zeros")]);
    call("setfattr", &[&"-n", &"user.empty", &root.join("empty")]);
    call("setfacl", &[&"-m", &"u:65534:r,g:12345:rw", &root.join("mode-1")]);
    call("setfacl", &[&"-d", &"-m", &"u:65534:rwx", &sticky]);
    if is_root() {
        call("mknod", &[&root.join("null"), &"c", &"1", &"3"]);
        call("mknod", &[&root.join("disk"), &"b", &"7", &"99"]);
        call("chown", &[&"-h", &"1234:4321", &root.join("link")]);
        call("chown", &[&"65534:0", &root.join("zeros")]);
        call("setfattr", &[&"-n", &"trusted.note", &"-v", &"x", &root.join("zeros")]);
        call(
            "setfattr",
            &[
                &"-n",
                &"security.capability",
                &"-v",
                &"0x0100000200200000000000000000000000000000",
                &root.join("mode-5"),
            ],
        );
        // A set-id bit does not survive a change of owner, so it comes last.
        call("chown", &[&"7:8", &root.join("mode-2")]);
        mode(&root.join("mode-2"), 0o6755);
    }
    call("touch", &[&"-h", &"-d", &"1965-02-03 04:05:06.123456789 UTC", &root.join("link")]);
    call("touch", &[&"-d", &"2001-02-03 04:05:06.123456789 UTC", &root.join("large")]);
    call("touch", &[&"-d", &"2100-01-01 00:00:00.000000001 UTC", &root.join("empty")]);
    call(
        "touch",
        &[
            &"-d",
            &"1969-12-31 23:59:59.999999999 UTC",
            root.join("names").as_os_str().to_str().as_ref().expect("UTF-8"),
        ],
    );
}

/// The whole of it: into another directory, in place, and after a second, incremental backup.
#[test]
fn every_kind_of_file_comes_back_as_it_was() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    nasty(&site.tree());
    if !is_root() {
        skipped("device nodes and owners", "not run as root");
        mode(&site.path("srv/docs/mode-0"), 0o600);
    }
    let before = facts::of(&site.tree());
    let first = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    let summary = &site.summaries(0, &["backup", "trigger", "docs"])[0];
    assert_eq!(summary["steps"][0]["output"]["changed"], 0, "nothing changed: {summary}");
    let second = summary["backups"][0]["name"].as_str().expect("a name").to_owned();
    for backup in [&first, &second] {
        let tree = site.restored(backup, &[]);
        facts::assert_same(&before, &facts::of(&tree), backup);
        let sparse = std::fs::metadata(tree.join("sparse")).expect("restored");
        assert!(sparse.blocks() * 512 < 1 << 20, "{} bytes on disk", sparse.blocks() * 512);
    }
    site.ok(&["backup", "verify", &second, "--level", "L3"]);
    std::fs::remove_dir_all(site.tree()).expect("lost");
    site.ok(&["backup", "restore", "docs", "--yes"]);
    facts::assert_same(&before, &facts::of(&site.tree()), "in place");
}

/// A path deeper than the system takes in one call.
#[test]
fn paths_longer_than_the_system_takes_come_back() {
    let site = Site::new();
    // Made in steps by a shell, since no call takes the whole path.
    let script = "cd \"$1\" && for i in $(seq 40); do d=$(printf 'd%.0s' $(seq 200)); mkdir $d && cd -P $d || exit 1; done; echo deep > file";
    call("bash", &[&"-c", &script, &"bash", &site.tree()]);
    let name = site.backup();
    site.restored(&name, &[]);
    let script = "cd \"$1\" && while d=$(ls -d d* 2>/dev/null | head -n 1) && [ ${#d} -eq 200 ]; do cd -P $d || exit 1; done; [ \"$(cat file)\" = deep ]";
    call("bash", &[&"-c", &script, &"bash", &site.tree_below("out")]);
    site.ok(&["backup", "verify", &name, "--level", "L3"]);
    // The removal of the temporary directory needs no long path either, but be sure that nothing is left.
    call("rm", &[&"-rf", &site.tree(), &site.path("out")]);
}

/// A socket is left out with a word about it; that is no failure.
#[test]
fn a_socket_is_skipped_with_a_note() {
    let site = Site::new();
    let _listener = UnixListener::bind(site.path("srv/docs/socket")).expect("a socket");
    let answer = site.ok(&["backup", "trigger", "docs"]);
    assert!(answer.text().contains("docs/socket"), "{answer}");
    let name = site.names().remove(0);
    assert_eq!(site.json(&["backup", "show", &name])["backup"]["complete"], true);
    assert!(!site.restored(&name, &[]).join("socket").exists());
    site.ok(&["backup", "verify", &name, "--level", "L3"]);
}

/// Excludes, cache directories and images are taken from the configuration.
#[test]
fn what_is_excluded_is_not_in_the_backup() {
    let site = Site::new();
    site.add_workload("web", "exclude = [\"*.tmp\", \"/**/logs/old\"]\nexclude_caches = true\n");
    for file in ["page.html", "x.tmp", "logs/old/1", "logs/new/1", "cache/blob"] {
        site.write(&format!("srv/web/{file}"), file);
    }
    site.write("srv/web/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    site.backup_of("web");
    let to = site.text("out");
    site.ok(&["backup", "restore", "web", "--to", &to]);
    let tree = site.path("out").join(site.path("srv/web").strip_prefix("/").expect("absolute"));
    for (file, kept) in
        [("page.html", true), ("x.tmp", false), ("logs/old/1", false), ("logs/new/1", true), ("cache/blob", false)]
    {
        assert_eq!(tree.join(file).exists(), kept, "{file}");
    }
}

/// A file that grows while it is read: what is stored is a state it had, or the run says that it could not be had.
#[test]
fn a_file_that_changes_while_it_is_read_is_stored_whole_or_reported() {
    let site = Site::new();
    let path = site.write("srv/docs/log", vec![b'.'; 1_000_000]);
    let stop = AtomicBool::new(false);
    let (answer, name) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = OpenOptions::new().append(true).open(&path).expect("the log");
            let mut line = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                line += 1;
                writeln!(log, "line {line}").expect("appended");
            }
        });
        let answer = site.run(&["backup", "trigger", "docs"]);
        stop.store(true, Ordering::Relaxed);
        let name = site.names().remove(0);
        (answer, name)
    });
    let partial = site.json(&["backup", "show", &name])["backup"]["complete"] == false;
    match answer.code {
        0 => assert!(!partial, "{answer}"),
        3 => assert!(partial && answer.text().contains("docs/log"), "{answer}"),
        code => panic!("{code}: {answer}"),
    }
    let to = site.text("out");
    let restored = site.run(&["backup", "restore", "docs", "--backup", &name, "--to", &to]);
    assert!(restored.code == 0 || (restored.code == 3 && partial), "{restored}");
    let live = std::fs::read(&path).expect("read");
    let stored = std::fs::read(site.tree_below("out").join("log")).expect("restored");
    assert!(stored.len() >= 1_000_000 && live.starts_with(&stored), "{} bytes that it never was", stored.len());
    site.backup();
}

/// Files that come and go while the tree is read never fail a backup.
#[test]
fn a_tree_that_changes_while_it_is_read_is_backed_up() {
    let site = Site::new();
    for at in 0..300 {
        site.write(&format!("srv/docs/many/{at}"), vec![b'x'; 2000]);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_add(1);
                let from = site.path(format!("srv/docs/many/{}", round % 300));
                let _ = std::fs::rename(&from, site.path(format!("srv/docs/many/moved-{}", round % 7)));
                let _ = std::fs::write(&from, vec![b'y'; (round % 5000) as usize]);
            }
        });
        for _ in 0..4 {
            let answer = site.run(&["backup", "trigger", "docs"]);
            assert!(answer.code == 0 || answer.code == 3, "{answer}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let before = facts::of(&site.tree());
    let name = site.backup();
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "after the storm");
}
