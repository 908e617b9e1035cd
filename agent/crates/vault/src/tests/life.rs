//! The ordinary life of a vault: back up, back up again, restore, keys.

use super::*;
use crate::{Change, VaultError};

fn sample() -> Tree {
    let big = noise(1, 9_000_000);
    let tree = Tree::with(&[("srv/a.txt", b"hello"), ("srv/empty", b""), ("srv/big.bin", &big)]);
    for n in 0..300 {
        tree.put(&format!("srv/many/f{n:03}"), format!("file {n} ").repeat(n).as_bytes(), Cut::Content);
    }
    let mut disk = vec![0u8; 5_000_000];
    disk[70_000..80_000].fill(7);
    disk[4_900_000..].fill(9);
    tree.put("srv/disk.img", &disk, Cut::Blocks);
    tree.put("srv/zeros", &vec![0; 300_000], Cut::Content);
    tree
}

#[test]
fn what_was_backed_up_comes_back_bit_by_bit() {
    let world = World::new(1);
    let tree = sample();
    let made = world.back_up("b1", &tree, None);
    assert_eq!(made.trouble_count, 0);
    assert_restores(&world.vault, &made, &tree);
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
    assert!(made.stored < 9_200_000, "holes and zeros cost nothing: {}", made.stored);
}

#[test]
fn an_unchanged_run_reads_nothing_and_stores_next_to_nothing() {
    let world = World::new(2);
    let tree = sample();
    let first = world.back_up("b1", &tree, None);
    tree.read.store(0, Ordering::Relaxed);
    let second = world.back_up("b2", &tree, Some(&first));
    assert_eq!(tree.read.load(Ordering::Relaxed), 0);
    assert_eq!(second.changed, 0);
    assert!(second.stored < 2_000, "{}", second.stored);
    assert_restores(&world.vault, &second, &tree);
}

#[test]
fn a_full_run_reads_everything_and_stores_next_to_nothing() {
    let world = World::new(3);
    let tree = sample();
    world.back_up("b1", &tree, None);
    let again = world.back_up("b2", &tree, None);
    assert!(again.read > 9_000_000);
    assert!(again.stored < 2_000, "{}", again.stored);
}

#[test]
fn scattered_writes_to_a_disk_image_cost_their_blocks() {
    let world = World::new(4);
    let mut disk = noise(9, 8_000_000);
    let tree = Tree::default();
    tree.put("srv/disk.img", &disk, Cut::Blocks);
    let first = world.back_up("b1", &tree, None);
    for at in [100_000, 3_000_000, 7_777_777] {
        disk[at] ^= 1;
    }
    tree.put("srv/disk.img", &disk, Cut::Blocks);
    let second = world.back_up("b2", &tree, Some(&first));
    assert!(second.stored < 3 * 65_536 + 20_000, "{}", second.stored);
    assert_restores(&world.vault, &second, &tree);
    assert_eq!(world.vault.snapshots().expect("lists").0.len(), 2);
}

#[test]
fn an_insertion_in_a_large_file_costs_about_a_chunk() {
    let world = World::new(5);
    let mut bytes = noise(5, 12_000_000);
    let tree = Tree::with(&[("srv/dump", &bytes)]);
    let first = world.back_up("b1", &tree, None);
    bytes.splice(6_000_000..6_000_000, *b"inserted");
    tree.put("srv/dump", &bytes, Cut::Content);
    let second = world.back_up("b2", &tree, Some(&first));
    assert!(second.stored < 5_000_000, "{}", second.stored);
    assert_restores(&world.vault, &second, &tree);
}

#[test]
fn every_difference_between_two_snapshots_is_named_once() {
    let world = World::new(6);
    let tree = sample();
    let a = world.back_up("b1", &tree, None);
    tree.put("srv/a.txt", b"hullo", Cut::Content);
    tree.put("srv/new", b"new", Cut::Content);
    tree.remove("srv/empty");
    let b = world.back_up("b2", &tree, Some(&a));
    let mut changes = Vec::new();
    world.vault.diff(&a.snapshot, &b.snapshot, &mut |change| changes.push(change)).expect("reads");
    let words: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Added(node) => format!("+{}", String::from_utf8_lossy(&node.path)),
            Change::Removed(node) => format!("-{}", String::from_utf8_lossy(&node.path)),
            Change::Contents(node, _) => format!("M{}", String::from_utf8_lossy(&node.path)),
            Change::Metadata(node, _) => format!("U{}", String::from_utf8_lossy(&node.path)),
        })
        .collect();
    assert_eq!(words, ["Msrv/a.txt", "-srv/empty", "+srv/new"]);
}

#[test]
fn one_path_is_found_without_reading_the_rest() {
    let world = World::new(7);
    let made = world.back_up("b1", &sample(), None);
    let entry = world.vault.entry(&made.snapshot, b"srv/many/f123").expect("there");
    let mut out = Vec::new();
    world.vault.write_contents(&entry, &mut out).expect("reads");
    assert_eq!(out, "file 123 ".repeat(123).as_bytes());
    assert!(matches!(world.vault.entry(&made.snapshot, b"srv/many/f9999"), Err(VaultError::NoPath { .. })));
}

#[test]
fn a_wrong_key_opens_nothing_and_the_right_one_opens_after_every_rotation() {
    let world = World::new(8);
    let tree = sample();
    let before = world.back_up("b1", &tree, None);
    let other = Secret::new(format!("{}{}", crate::RAW_PREFIX, "cd".repeat(32)).into_bytes());
    let open = |secret: &Secret| Vault::open(super::parts(&world.inner, &world.clock, &world.entropy), secret);
    assert!(matches!(open(&other), Err(VaultError::WrongKey { slots: 1 })));

    world.vault.add_slot(&other, "spare").expect("added");
    assert_eq!(world.vault.rotate(&secret(), None).expect("rotated"), 2);
    let after = world.back_up("b2", &tree, None);
    for secret in [&secret(), &other] {
        let vault = open(secret).expect("opens");
        assert_restores(&vault, &before, &tree);
        assert_restores(&vault, &after, &tree);
    }
    // Replacing the slot in use locks the old key out.
    let fresh = Secret::new(b"a passphrase".to_vec());
    world.vault.rotate(&secret(), Some((&fresh, "fresh"))).expect("rotated");
    assert!(matches!(open(&secret()), Err(VaultError::WrongKey { .. })));
    assert_restores(&open(&fresh).expect("opens"), &after, &tree);
    world.vault.remove_slot("spare").expect("removed");
    assert!(world.vault.remove_slot("fresh").is_err(), "the last slot stays");
}

#[test]
fn a_vault_is_made_once_and_never_over_something_else() {
    let world = World::new(9);
    let parts = super::parts(&world.inner, &world.clock, &world.entropy);
    assert!(matches!(Vault::init(parts, &secret(), "x"), Err(VaultError::Occupied { .. })));
    let inner = Arc::new(InMemory::new());
    let parts = super::parts(&inner, &world.clock, &world.entropy);
    parts.store.put_new("holiday.jpg", vec![1, 2, 3]).expect("put");
    assert!(matches!(Vault::open(parts.clone(), &secret()), Err(VaultError::NotAVault { .. })));
    assert!(matches!(Vault::init(parts, &secret(), "x"), Err(VaultError::Occupied { .. })));
}
