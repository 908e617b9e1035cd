//! Damage: each kind gives its own clear answer, names what it touches, and leaves the rest restorable.

use super::fragile::{End, Fragile};
use super::*;
use crate::{CheckRequest, CheckSummary, Ledger, PackCheck, VaultError};

pub(crate) struct Forgetful;

impl Ledger for Forgetful {
    fn last_intact(&self, _: &str) -> Option<Timestamp> {
        None
    }
    fn checked(&self, _: &PackCheck) {}
}

pub(crate) fn check(vault: &Vault) -> CheckSummary {
    let request =
        CheckRequest { snapshots: None, read: true, sample_ppm: 1_000_000, not_since: None, ledger: &Forgetful };
    vault.check(&request, &Silent).expect("checks")
}

/// Two backups of different trees, so that each has a pack of its own.
fn two() -> (World, Tree, Made, Tree, Made) {
    let world = World::new(11);
    let (a, b) = (Tree::with(&[("srv/a", &noise(1, 400_000))]), Tree::with(&[("srv/b", &noise(2, 400_000))]));
    let first = world.back_up("first", &a, None);
    let second = world.back_up("second", &b, None);
    (world, a, first, b, second)
}

/// The largest pack a snapshot needs: its contents.
fn pack_of(world: &World, made: &Made) -> (String, Vec<u8>) {
    let loaded = world.vault.loaded();
    let mut best = (0, String::new());
    crate::read::visit_chunks(&world.vault, &made.snapshot, &mut Default::default(), &mut |id| {
        let at = loaded.index.find(id).expect("known");
        let row = &loaded.index.packs[loaded.index.block(at.block).pack as usize];
        best = best.clone().max((row.size, row.id.pack_path()));
    })
    .expect("reads");
    let bytes = world.store().get(&best.1).expect("there").to_vec();
    (best.1, bytes)
}

fn replace(world: &World, path: &str, bytes: &[u8]) {
    world.store().delete(path).expect("deletes");
    world.store().put_new(path, bytes.to_vec()).expect("puts");
}

fn assert_first_is_hurt(world: &World, a: &Made, b_tree: &Tree, b: &Made, words: &str) {
    let vault = world.reopened().expect("opens");
    let summary = check(&vault);
    let names: Vec<&str> = summary.affected.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["first"], "{summary:?}");
    assert!(summary.faults.iter().any(|fault| fault.contains(words)), "{:?} lacks {words:?}", summary.faults);
    let (_, summary) = restore(&vault, a);
    assert_eq!(summary.expect("reports").trouble_count, 1);
    assert_restores(&vault, b, b_tree);
}

#[test]
fn sound_bytes_check_sound() {
    let (world, ..) = two();
    let summary = check(&world.vault);
    assert_eq!((summary.faults.len(), summary.affected.len(), summary.sound.len()), (0, 0, 2));
    assert_eq!(summary.bytes_read, summary.bytes);
}

#[test]
fn a_flipped_bit_hurts_the_backups_that_need_it_and_no_other() {
    let (world, _, a, b_tree, b) = two();
    let (path, mut bytes) = pack_of(&world, &a);
    bytes[5000] ^= 4;
    replace(&world, &path, &bytes);
    assert_first_is_hurt(&world, &a, &b_tree, &b, "does not authenticate");
}

#[test]
fn a_truncated_pack_is_told_from_a_missing_one() {
    let (world, _, a, b_tree, b) = two();
    let (path, bytes) = pack_of(&world, &a);
    replace(&world, &path, &bytes[..bytes.len() / 2]);
    assert_first_is_hurt(&world, &a, &b_tree, &b, "bytes instead of");
    world.store().delete(&path).expect("deletes");
    assert_first_is_hurt(&world, &a, &b_tree, &b, "is missing");
}

#[test]
fn a_store_that_fails_is_no_damage_and_its_object_s_length_tells_a_pack_that_was_cut_off() {
    use crate::read::short_read;

    let (world, _, a, ..) = two();
    let (path, bytes) = pack_of(&world, &a);
    let end = bytes.len() as u64;
    let told = |store: &Store| {
        let source = object_store::Error::Generic { store: "fragile", source: "a bad day".into() };
        short_read(store, VaultError::Store { object: path.clone(), source }, &path, end)
    };
    let error = told(world.store());
    assert!(
        matches!(error, VaultError::Store { .. }) && !error.is_damage(),
        "whole, so the store has a bad day: {error}"
    );
    // A store that does not even tell the length says nothing about the object.
    let dying = Fragile::new(&world.inner, Some((0, End::Before)));
    let store = Store::new(Arc::clone(&dying) as _, None, "fragile");
    store.put_new("packs/x", vec![1]).expect_err("the change that fails");
    assert!(dying.is_dead());
    let error = told(&store);
    assert!(matches!(error, VaultError::Store { .. }) && !error.is_damage(), "{error}");
    replace(&world, &path, &bytes[..bytes.len() - 1]);
    let error = told(world.store());
    assert!(error.is_damage() && error.to_string().contains("shorter than recorded"), "{error}");
    world.store().delete(&path).expect("deletes");
    assert!(matches!(told(world.store()), VaultError::Missing { .. }));
}

#[test]
fn a_lost_index_is_rebuilt_from_the_packs() {
    let (world, a_tree, a, b_tree, b) = two();
    for object in world.store().list("index").expect("lists") {
        world.store().delete(&format!("index/{}", object.name)).expect("deletes");
    }
    let vault = world.reopened().expect("opens");
    assert_eq!(check(&vault).affected.len(), 2);
    let (packs, bad) = vault.rebuild_index(&Silent).expect("rebuilds");
    assert!(packs >= 4 && bad.is_empty());
    let vault = world.reopened().expect("opens");
    assert_eq!(check(&vault).affected.len(), 0);
    assert_restores(&vault, &a, &a_tree);
    assert_restores(&vault, &b, &b_tree);
}

#[test]
fn a_damaged_index_object_is_named_and_rebuilt() {
    let (world, a_tree, a, ..) = two();
    let object = world.store().list("index").expect("lists").remove(0);
    replace(&world, &format!("index/{}", object.name), b"rubbish");
    let vault = world.reopened().expect("opens all the same");
    assert_eq!(vault.status().expect("reads").unreadable.len(), 1);
    assert!(
        vault
            .prune(&crate::PruneRequest { grace: Span::ZERO, at_once: true, waste_ppm: 0, dry_run: false }, &Silent)
            .is_err()
    );
    vault.rebuild_index(&Silent).expect("rebuilds");
    assert_restores(&vault, &a, &a_tree);
    assert!(vault.status().expect("reads").unreadable.is_empty());
}

#[test]
fn a_damaged_snapshot_is_named_and_the_others_are_listed() {
    let (world, _, a, b_tree, b) = two();
    let path = format!("snapshots/{}", a.snapshot.id);
    let mut bytes = world.store().get(&path).expect("there").to_vec();
    bytes[100] ^= 1;
    replace(&world, &path, &bytes);
    let vault = world.reopened().expect("opens");
    let (snapshots, bad) = vault.snapshots().expect("lists");
    assert_eq!((snapshots.len(), bad.len()), (1, 1));
    assert!(matches!(vault.snapshot(&a.snapshot.id), Err(VaultError::Damaged { .. })));
    assert_restores(&vault, &b, &b_tree);
}

#[test]
fn a_newer_format_and_foreign_objects_are_told_apart() {
    let (world, a_tree, a, ..) = two();
    for foreign in ["packs/zz/readme.txt", "index/notes", "snapshots/notes", "keys/notes", "trash/packs/x"] {
        world.store().put_new(foreign, b"not ours".to_vec()).expect("puts");
    }
    let vault = world.reopened().expect("foreign objects do not stop anything");
    assert_restores(&vault, &a, &a_tree);
    let config = world.store().get("config").expect("there");
    let newer =
        String::from_utf8(config.to_vec()).expect("text").replace("\"backstop_vault\":1", "\"backstop_vault\":2");
    replace(&world, "config", newer.as_bytes());
    assert!(matches!(world.reopened(), Err(VaultError::NewerFormat { found: 2, known: 1 })));
    replace(&world, "config", &config[..config.len() - 10]);
    assert!(matches!(world.reopened(), Err(VaultError::Damaged { .. })));
}
