//! A vault of format 1 as it was written when the format was fixed. It must be readable for ever.
//!
//! `golden/format-1` holds the vault, `golden/format-1.json` what is in it. Both are written anew by
//! `BLESS=1 cargo test -p backstop-vault golden`: only ever beside a new format, in a folder of its own.
#![allow(clippy::disallowed_methods)] // reads and writes the fixture in the source tree

use std::path::{Path, PathBuf};

use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};

use super::damage::check;
use crate::{Contents, PruneRequest};

use super::*;

const RAW: &str = "backstop-key-1:6f6e6c7920666f7220746865207465737473206f66206f6c64207661756c7473";
const PASSPHRASE: &str = "ein altes Wort, für immer";

/// What a fixture holds, for this test and for readers in other languages.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    raw_key: String,
    passphrase: String,
    vault: String,
    epochs: u32,
    snapshots: Vec<ExpectedSnapshot>,
    trashed: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ExpectedSnapshot {
    id: String,
    backup: String,
    count: usize,
    /// BLAKE3 of all entries as JSON, each with a newline.
    listing: String,
    /// Those entries that are of interest one by one.
    entries: Vec<ExpectedEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ExpectedEntry {
    /// Hexadecimal: names need not be UTF-8.
    path: String,
    kind: String,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    links: u64,
    size: u64,
    /// BLAKE3 of the contents.
    digest: String,
    xattrs: Vec<(String, String)>,
    /// Extents in the entry, or lists.
    extents: usize,
    lists: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/format-1")
}

fn key(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// The fixture in memory, so that no test can change it.
fn stored() -> Arc<InMemory> {
    let inner = Arc::new(InMemory::new());
    let store = Store::new(Arc::clone(&inner) as _, None, "memory");
    let mut folders = vec![folder()];
    while let Some(open) = folders.pop() {
        for entry in
            std::fs::read_dir(&open).expect("the fixture is there").map(|entry| entry.expect("readable").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder()).expect("below").to_str().expect("hexadecimal").to_owned();
                store.put_new(&name, std::fs::read(&entry).expect("readable")).expect("puts");
            }
        }
    }
    inner
}

fn opened(inner: &Arc<InMemory>, secret: &Secret) -> Vault {
    let clock = Hand(AtomicI64::new(400 * 86_400_000));
    Vault::open(parts(inner, &Arc::new(clock), &Arc::new(Seeded::new(99))), secret).expect("opens")
}

/// Everything a vault holds, read entry by entry.
fn contents_of(vault: &Vault) -> Expected {
    let (snapshots, bad) = vault.snapshots().expect("lists");
    assert!(bad.is_empty(), "{bad:?}");
    let of = |snapshot: crate::Snapshot| {
        let mut entries: Vec<ExpectedEntry> =
            vault.entries(&snapshot).map(|stored| entry_of(vault, &stored.expect("reads"))).collect();
        let mut listing = blake3::Hasher::new();
        for entry in &entries {
            listing.update(serde_json::to_string(entry).expect("strings and numbers").as_bytes()).update(b"\n");
        }
        let count = entries.len();
        entries.retain(|entry| !entry.path.starts_with(&crate::keyring::hex(b"srv/many/")));
        ExpectedSnapshot {
            id: snapshot.id.to_string(),
            backup: snapshot.about.backup.to_string(),
            count,
            listing: listing.finalize().to_hex().to_string(),
            entries,
        }
    };
    let trashed = vault.trashed().expect("lists");
    trashed.iter().for_each(|trashed| drop(vault.trashed_snapshot(trashed).expect("reads")));
    Expected {
        raw_key: RAW.into(),
        passphrase: PASSPHRASE.into(),
        vault: vault.id().into(),
        epochs: vault.ring().newest_epoch(),
        snapshots: snapshots.into_iter().map(of).collect(),
        trashed: trashed.iter().map(|trashed| trashed.id.to_string()).collect(),
    }
}

fn entry_of(vault: &Vault, stored: &crate::Stored) -> ExpectedEntry {
    let hex = crate::keyring::hex;
    let Node { path, kind, meta } = &stored.node;
    let (kind, size) = match kind {
        NodeKind::Directory => ("directory".to_owned(), 0),
        NodeKind::File { size, cut } => (format!("file {cut:?}").to_lowercase(), *size),
        NodeKind::Symlink { target } => (format!("symlink {}", hex(target)), 0),
        NodeKind::Fifo => ("fifo".to_owned(), 0),
        NodeKind::BlockDevice { major, minor } => (format!("block {major}:{minor}"), 0),
        NodeKind::CharDevice { major, minor } => (format!("char {major}:{minor}"), 0),
    };
    let mut hasher = blake3::Hasher::new();
    vault.write_contents(stored, &mut hasher).expect("reads");
    let (extents, lists) = match &stored.contents {
        Contents::Extents(extents) => (extents.len(), 0),
        Contents::Lists(lists) => (0, lists.len()),
    };
    ExpectedEntry {
        path: hex(path),
        kind,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        mtime: meta.mtime,
        links: meta.links,
        size,
        digest: hasher.finalize().to_hex().to_string(),
        xattrs: meta.xattrs.iter().map(|(name, value)| (hex(name), hex(value))).collect(),
        extents,
        lists,
    }
}

/// Writes the fixture with what the engine can do: every kind of entry, both cuts, lists, an epoch more, a moved block,
/// a mark, a snapshot in the trash.
fn bless() {
    let _ = std::fs::remove_dir_all(folder());
    std::fs::create_dir_all(folder()).expect("makes the folder");
    let inner = LocalFileSystem::new_with_prefix(folder()).expect("a folder");
    let clock = Arc::new(Hand(AtomicI64::new(0)));
    let store = Store::new(Arc::new(inner), None, "golden");
    let entropy = Arc::new(Seeded::new(1));
    let parts = Parts { store, clock: Arc::clone(&clock) as _, entropy, threads: 1 };
    let vault = Vault::init(parts, &key(RAW), "raw").expect("made");
    vault.add_slot(&key(PASSPHRASE), "words").expect("added");
    let tree = sample();
    let back_up = |name: &str, before: Option<&Made>| {
        clock.advance(Span::from_secs(3600));
        let request = BackupRequest {
            about: about(name, clock.now()),
            compare_with: before.map(|made| made.snapshot.id),
            grace: Span::from_days(2),
        };
        vault.back_up(&tree, &request, &Silent).expect("backs up")
    };
    let going = back_up("going", None);
    vault.rotate(&key(RAW), None).expect("rotates");
    tree.remove("srv/going");
    tree.put("srv/new", b"written under the second epoch", Cut::Content);
    let moved = back_up("moved", Some(&going));
    vault.trash(&going.snapshot.id).expect("moves");
    vault.purge(&going.snapshot.id).expect("purges");
    let request = PruneRequest { grace: Span::from_days(2), at_once: false, waste_ppm: 0, dry_run: false };
    assert!(vault.prune(&request, &Silent).expect("prunes").rewritten > 0);
    clock.advance(Span::from_days(3));
    assert!(vault.prune(&request, &Silent).expect("prunes").removed > 0);
    tree.put("srv/trashed", &noise(77, 20_000), Cut::Content);
    let trashed = back_up("trashed", Some(&moved));
    tree.remove("srv/trashed");
    tree.put("srv/a.txt", b"changed at last", Cut::Content);
    back_up("last", Some(&trashed));
    vault.trash(&trashed.snapshot.id).expect("moves");
    let text = serde_json::to_string_pretty(&contents_of(&vault)).expect("strings and numbers");
    std::fs::write(folder().with_extension("json"), text + "\n").expect("writes");
}

fn sample() -> Tree {
    let tree = Tree::with(&[("srv/a.txt", b"hello"), ("srv/empty", b""), ("srv/keys/id", b"secret")]);
    // Repeating text compresses to nothing: the fixture stays small, the blocks are full ones.
    tree.put("srv/going", &b"this file goes, and its block with it\n".repeat(32_000), Cut::Content);
    let half: Vec<u8> = noise(20, 700_000).iter().map(|byte| b"ab"[usize::from(byte & 1)]).collect();
    tree.put("srv/chunks", &half, Cut::Content);
    let mut disk = Vec::new();
    for n in 0..300u32 {
        disk.extend([vec![b'0' + (n % 3) as u8; 65_536], vec![0; 65_536]].concat());
    }
    disk.extend([vec![7; 1000], vec![0; 5_000_000]].concat());
    tree.put("srv/disk.img", &disk, Cut::Blocks);
    tree.put("srv/zeros", &vec![0; 300_000], Cut::Content);
    for n in 0..250 {
        tree.put(&format!("srv/many/f{n:04}"), format!("file {n}").as_bytes(), Cut::Content);
    }
    let mut entries = tree.entries.lock().expect("ours");
    let (mut node, contents) = entries[&b"srv/a.txt".to_vec()].clone();
    node.meta.links = 2;
    node.meta.device = 5;
    entries.insert(node.path.clone(), (node.clone(), contents.clone()));
    node.path = b"srv/another-name".to_vec();
    entries.insert(node.path.clone(), (node.clone(), contents));
    node.meta = Meta { links: 1, device: 0, mode: 0o4750, uid: 1000, gid: 100, mtime: (-3, 999_999_999), ..node.meta };
    node.meta.xattrs = vec![(b"user.a".to_vec(), vec![0, 255]), (b"user.b".to_vec(), Vec::new())];
    for (path, kind) in [
        (&b"srv/caf\xe9"[..], NodeKind::File { size: 4, cut: Cut::Content }),
        (b"srv/link", NodeKind::Symlink { target: b"../etc/\xff".to_vec() }),
        (b"srv/pipe", NodeKind::Fifo),
        (b"srv/sda", NodeKind::BlockDevice { major: 8, minor: 1 << 19 }),
        (b"srv/tty", NodeKind::CharDevice { major: 5, minor: 1 }),
    ] {
        let contents = if matches!(kind, NodeKind::File { .. }) { b"caf\xe9".to_vec() } else { Vec::new() };
        entries.insert(path.to_vec(), (Node { path: path.to_vec(), kind, meta: node.meta.clone() }, contents));
    }
    drop(entries);
    tree
}

#[test]
fn a_vault_of_format_1_is_read_as_it_was_written() {
    if std::env::var_os("BLESS").is_some() {
        bless();
    }
    let text = std::fs::read_to_string(folder().with_extension("json")).expect("the fixture is there");
    let expected: Expected = serde_json::from_str(&text).expect("reads");
    let inner = stored();
    for secret in [RAW, PASSPHRASE] {
        let vault = opened(&inner, &key(secret));
        assert_eq!(contents_of(&vault), expected);
        let summary = check(&vault);
        assert!(summary.faults.is_empty() && summary.affected.is_empty(), "{summary:?}");
    }
    assert!(Vault::open(opened(&inner, &key(RAW)).parts, &key("another word")).is_err());
}

#[test]
fn the_fixture_of_format_1_shows_what_the_format_can_say() {
    let inner = stored();
    let vault = opened(&inner, &key(RAW));
    let found = contents_of(&vault);
    let entries: Vec<&ExpectedEntry> = found.snapshots.iter().flat_map(|snapshot| &snapshot.entries).collect();
    assert!(found.snapshots.len() >= 2 && !found.trashed.is_empty() && found.epochs >= 2);
    let kinds = ["directory", "file content", "file blocks", "symlink", "fifo", "block", "char"];
    for kind in kinds {
        assert!(entries.iter().any(|entry| entry.kind.starts_with(kind)), "{kind}");
    }
    assert!(entries.iter().any(|entry| entry.lists > 1));
    assert!(entries.iter().any(|entry| entry.kind == "file content" && entry.extents > 1));
    assert!(entries.iter().any(|entry| entry.links == 2) && entries.iter().any(|entry| !entry.xattrs.is_empty()));
    let loaded = vault.loaded();
    let mut moved = false;
    for pack in &loaded.index.packs {
        let directory = vault.directory(pack.id, pack.size).expect("reads");
        let salts: std::collections::BTreeSet<_> = directory.blocks.iter().map(|block| block.origin.salt).collect();
        let head = vault.store().get_range(&pack.id.pack_path(), 0, 48).expect("reads");
        moved |= salts.iter().any(|salt| salt != &head[16..48]);
    }
    assert!(moved, "a block stands in another pack than it was sealed for");
}

#[test]
fn a_vault_of_format_1_goes_on_living() {
    let vault = opened(&stored(), &key(RAW));
    let (snapshots, _) = vault.snapshots().expect("lists");
    let last = snapshots.last().expect("several");
    let tree = sample();
    let request = BackupRequest {
        about: about("more", Timestamp::UNIX_EPOCH),
        compare_with: Some(last.id),
        grace: Span::from_days(2),
    };
    let made = vault.back_up(&tree, &request, &Silent).expect("backs up");
    // Chunk ids and cuts are still the same: only what was removed or changed in the fixture's last snapshot is stored.
    assert!(made.stored < 60_000, "{}", made.stored);
    let id = vault.trashed().expect("lists")[0].id;
    vault.recover(&id).expect("comes back");
    vault
        .prune(&PruneRequest { grace: Span::ZERO, at_once: true, waste_ppm: 0, dry_run: false }, &Silent)
        .expect("prunes");
    assert!(check(&vault).affected.is_empty());
}
