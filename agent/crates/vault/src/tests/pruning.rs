//! Two-phase deletion: nothing needed goes, everything else does in the end.

use super::damage::check;
use super::*;
use crate::{PruneRequest, Pruned, VaultError};

fn request(waste_ppm: u32) -> PruneRequest {
    PruneRequest { grace: Span::from_days(2), at_once: false, waste_ppm, dry_run: false }
}

fn prune(world: &World, waste_ppm: u32) -> Pruned {
    world.vault.prune(&request(waste_ppm), &Silent).expect("prunes")
}

#[test]
fn a_released_backup_can_come_back_until_it_is_purged_and_pruned() {
    let world = World::new(21);
    let tree = Tree::with(&[("srv/a", &noise(1, 400_000))]);
    let made = world.back_up("b1", &tree, None);
    world.vault.trash(&made.snapshot.id).expect("moves");
    world.vault.trash(&made.snapshot.id).expect("twice is fine");
    assert!(world.vault.snapshots().expect("lists").0.is_empty());
    world.clock.advance(Span::from_days(30));
    prune(&world, 0);
    world.clock.advance(Span::from_days(30));
    assert_eq!(prune(&world, 0).removed, 0, "the trash still needs its bytes");
    world.vault.recover(&made.snapshot.id).expect("comes back");
    world.vault.recover(&made.snapshot.id).expect("twice is fine");
    assert_restores(&world.vault, &made, &tree);
    assert!(world.vault.purge(&made.snapshot.id).is_err(), "a kept snapshot is never purged");

    world.vault.trash(&made.snapshot.id).expect("moves");
    world.vault.purge(&made.snapshot.id).expect("purges");
    let first = prune(&world, 0);
    assert!(first.marked >= 2 && first.removed == 0, "{first:?}");
    assert_eq!(prune(&world, 0).removed, 0, "the grace period stands");
    world.clock.advance(Span::from_days(3));
    let last = prune(&world, 0);
    assert_eq!(last.removed, first.marked);
    assert!(world.store().list("packs").expect("lists").is_empty());
    assert!(world.store().list("trash/packs").expect("lists").is_empty());
    assert!(world.vault.status().expect("reads").chunks == 0);
}

#[test]
fn a_pack_needed_again_loses_its_mark() {
    let world = World::new(22);
    let tree = Tree::with(&[("srv/a", &noise(1, 400_000))]);
    let made = world.back_up("b1", &tree, None);
    // Another process opened the vault before the prune and finishes its backup after.
    let other = world.reopened().expect("opens");
    world.vault.trash(&made.snapshot.id).expect("moves");
    world.vault.purge(&made.snapshot.id).expect("purges");
    assert!(prune(&world, 0).marked > 0);
    let again = other.back_up(&tree, &world.request("b2", None), &Silent).expect("backs up");
    world.clock.advance(Span::from_days(3));
    prune(&world, 0);
    assert_restores(&world.reopened().expect("opens"), &again, &tree);
}

#[test]
fn a_backup_that_outlasts_the_grace_period_notices_marks() {
    let world = World::new(23);
    let tree = Tree::with(&[("srv/a", &noise(1, 400_000))]);
    let made = world.back_up("b1", &tree, None);
    let footing = world.vault.loaded();
    world.vault.trash(&made.snapshot.id).expect("moves");
    world.vault.purge(&made.snapshot.id).expect("purges");
    prune(&world, 0);
    assert!(matches!(world.vault.check_footing(&footing, &[]), Err(VaultError::Overtaken)));
}

#[test]
fn waste_is_squeezed_out_without_losing_what_shares_its_packs() {
    let world = World::new(24);
    let tree = Tree::default();
    for n in 0..40 {
        tree.put(&format!("srv/f{n:02}"), &noise(n, 300_000), Cut::Content);
    }
    let all = world.back_up("all", &tree, None);
    for n in (0..40).filter(|n| n % 4 != 0) {
        tree.remove(&format!("srv/f{n:02}"));
    }
    let few = world.back_up("few", &tree, Some(&all));
    world.vault.trash(&all.snapshot.id).expect("moves");
    world.vault.purge(&all.snapshot.id).expect("purges");
    let before = world.vault.status().expect("reads").packed.0;
    let dry = world.vault.prune(&PruneRequest { dry_run: true, ..request(50_000) }, &Silent).expect("plans");
    let done = prune(&world, 50_000);
    assert_eq!((dry.rewritten, dry.marked), (done.rewritten, done.marked));
    assert!(done.rewritten > 0);
    world.clock.advance(Span::from_days(3));
    prune(&world, 50_000);
    let after = world.vault.status().expect("reads").packed.0;
    assert!(after < before / 3, "{before} → {after}");
    assert!(check(&world.reopened().expect("opens")).affected.is_empty());
    assert_restores(&world.vault, &few, &tree);
}

#[test]
fn a_prune_that_cannot_read_everything_changes_nothing() {
    let world = World::new(25);
    let a = world.back_up("b1", &Tree::with(&[("srv/a", &noise(1, 400_000))]), None);
    world.back_up("b2", &Tree::with(&[("srv/b", &noise(2, 400_000))]), None);
    let path = format!("snapshots/{}", a.snapshot.id);
    world.store().delete(&path).expect("deletes");
    world.store().put_new(&path, b"rubbish".to_vec()).expect("puts");
    let at_once = PruneRequest { at_once: true, ..request(0) };
    assert!(world.vault.prune(&at_once, &Silent).is_err());
    assert!(world.store().list("trash/packs").expect("lists").is_empty());
}

#[test]
fn many_small_packs_become_few() {
    let world = World::new(26);
    let tree = Tree::default();
    let mut last = None;
    for n in 0..40 {
        tree.put(&format!("srv/f{n:02}"), &noise(n, 20_000), Cut::Content);
        last = Some(world.back_up(&format!("b{n}"), &tree, last.as_ref()));
    }
    let before = world.vault.status().expect("reads").packs;
    assert!(before >= 80, "{before}");
    assert!(prune(&world, 50_000).rewritten >= 80);
    world.clock.advance(Span::from_days(3));
    prune(&world, 50_000);
    assert!(world.vault.status().expect("reads").packs <= 2);
    assert_eq!(prune(&world, 50_000).rewritten, 0, "not again and again");
    assert_restores(&world.vault, &last.expect("made"), &tree);
}
