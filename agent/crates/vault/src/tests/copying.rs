//! Copies to other vaults: sealed between siblings, anew between strangers.

use super::damage::check;
use super::*;
use crate::VaultError;

fn sample() -> Tree {
    let tree = Tree::with(&[("srv/big", &noise(3, 3_000_000))]);
    for n in 0..200 {
        tree.put(&format!("srv/f{n:03}"), format!("line {n}\n").repeat(50).as_bytes(), Cut::Content);
    }
    let mut disk = noise(8, 40 << 20);
    disk[1 << 20..2 << 20].fill(0);
    tree.put("srv/disk.img", &disk, Cut::Blocks);
    tree
}

fn copy_and_check(from: &World, to: &Vault, made: &Made, tree: &Tree) -> crate::Copied {
    let copied = from.vault.copy_to(&made.snapshot.id, to, &Silent).expect("copies");
    let made = Made { snapshot: copied.snapshot.clone(), ..made.clone() };
    assert_restores(to, &made, tree);
    assert!(check(to).affected.is_empty());
    copied
}

#[test]
fn a_stranger_gets_a_copy_under_its_own_key() {
    let (here, there) = (World::new(31), World::new(32));
    let tree = sample();
    let made = here.back_up("b1", &tree, None);
    let copied = copy_and_check(&here, &there.vault, &made, &tree);
    assert_eq!(copied.snapshot.about, made.snapshot.about);
    let again = here.vault.copy_to(&made.snapshot.id, &there.vault, &Silent).expect("copies");
    assert!(again.existed && again.stored == 0);
}

#[test]
fn the_next_copy_reads_and_stores_only_what_changed() {
    let (here, there) = (World::new(33), World::new(34));
    let tree = sample();
    let first = here.back_up("b1", &tree, None);
    copy_and_check(&here, &there.vault, &first, &tree);
    tree.put("srv/f100", b"changed", Cut::Content);
    let second = here.back_up("b2", &tree, Some(&first));
    let copied = copy_and_check(&here, &there.vault, &second, &tree);
    assert!(copied.read < 3_000_000, "{}", copied.read);
    assert!(copied.stored < 200_000, "{}", copied.stored);
}

#[test]
fn siblings_move_sealed_packs() {
    let here = World::new(35);
    let inner = Arc::new(InMemory::new());
    let there =
        Vault::init_like(super::parts(&inner, &here.clock, &here.entropy), &secret(), "x", &here.vault).expect("made");
    let tree = sample();
    let first = here.back_up("b1", &tree, None);
    let copied = copy_and_check(&here, &there, &first, &tree);
    assert!(!copied.existed);
    let names = |store: &Store| store.list("packs").expect("lists").into_iter().map(|o| o.name).collect::<Vec<_>>();
    assert!(names(there.store()).iter().any(|name| names(here.store()).contains(name)), "a pack moved under its name");
    tree.put("srv/f100", b"changed", Cut::Content);
    let second = here.back_up("b2", &tree, Some(&first));
    let copied = copy_and_check(&here, &there, &second, &tree);
    assert!(copied.stored < 200_000, "{}", copied.stored);
}

#[test]
fn nothing_damaged_is_copied() {
    let (here, there) = (World::new(36), World::new(37));
    let made = here.back_up("b1", &Tree::with(&[("srv/a", &noise(1, 900_000))]), None);
    let largest = here.store().list("packs").expect("lists").into_iter().max_by_key(|o| o.size).expect("a pack");
    let path = format!("packs/{}/{}", &largest.name[..2], largest.name);
    let mut bytes = here.store().get(&path).expect("there").to_vec();
    bytes[1000] ^= 1;
    here.store().delete(&path).expect("deletes");
    here.store().put_new(&path, bytes).expect("puts");
    let copied = here.vault.copy_to(&made.snapshot.id, &there.vault, &Silent);
    assert!(matches!(copied, Err(VaultError::Damaged { .. })));
    assert!(there.vault.snapshots().expect("lists").0.is_empty());
}
