//! The process ends at every change it makes to the store: before it, after it, and in the middle of a put. Each time
//! the vault opens, every earlier snapshot restores bit by bit, and doing the same again completes.

use super::damage::check;
use super::fragile::{End, Fragile, open_through, open_with};
use super::*;
use crate::{PruneRequest, VaultError};

/// A vault, what must always restore from it, and the operation under test.
struct Case<'a> {
    world: &'a World,
    kept: &'a [(&'a Made, &'a Tree)],
    run: &'a dyn Fn(&Vault) -> crate::Result<()>,
    /// What must hold once the operation has completed after all.
    then: &'a dyn Fn(&Vault),
}

impl Case<'_> {
    /// Goes through all points; returns how many there were.
    fn enumerate(&self) -> usize {
        let mut points = 0;
        for end in [End::Before, End::After, End::Torn] {
            for at in 0.. {
                let store = Arc::new(self.world.inner.fork());
                let fragile = Fragile::new(&store, Some((at, end)));
                let vault = open_through(self.world, &fragile).expect("opening changes nothing");
                let outcome = (self.run)(&vault);
                if !fragile.is_dead() {
                    outcome.expect("nothing went wrong");
                    break;
                }
                assert!(
                    outcome.is_err(),
                    "{end:?} {at}: success was reported although the end is not known to be stored"
                );
                points += 1;
                self.survives(&store, end, at);
            }
        }
        points
    }

    fn survives(&self, store: &Arc<InMemory>, end: End, at: u64) {
        let reopen = || open_with(self.world, Arc::clone(store) as _).expect("opens");
        let vault = reopen();
        self.assert_kept(&vault);
        let (_, bad) = vault.snapshots().expect("lists");
        let unreadable = vault.status().expect("reads").unreadable;
        if end == End::Torn {
            // A store that tears has broken its promise: it is noticed, and what the messages advise mends it.
            bad.iter().for_each(|error| discard(&vault, error));
            if !unreadable.is_empty() {
                vault.rebuild_index(&Silent).expect("rebuilds");
            }
        } else {
            assert!(bad.is_empty() && unreadable.is_empty(), "{end:?} {at}: {bad:?} {unreadable:?}");
        }
        (self.run)(&vault).unwrap_or_else(|error| panic!("{end:?} {at}: the next run fails: {error}"));
        let vault = reopen();
        self.assert_kept(&vault);
        let summary = check(&vault);
        assert_eq!((&summary.affected[..], &summary.faults[..]), (&[][..], &[][..]), "{end:?} {at}");
        (self.then)(&vault);
        // And a prune long after still finds everything it needs and takes nothing that is.
        let at_once = PruneRequest { grace: Span::ZERO, at_once: true, waste_ppm: 0, dry_run: false };
        vault.prune(&at_once, &Silent).unwrap_or_else(|error| panic!("{end:?} {at}: no prune any more: {error}"));
        self.assert_kept(&reopen());
    }

    fn assert_kept(&self, vault: &Vault) {
        self.kept.iter().for_each(|(made, tree)| assert_restores(vault, made, tree));
    }
}

/// What an operator does about a damaged snapshot: bring it back from the trash, or let it go.
fn discard(vault: &Vault, error: &VaultError) {
    let VaultError::Damaged { object, .. } = error else { panic!("{error}") };
    let id = object.strip_prefix("snapshots/").expect("a snapshot").parse().expect("named like one");
    if vault.recover(&id).and_then(|()| vault.snapshot(&id)).is_err() {
        vault.trash(&id).expect("moves");
        vault.purge(&id).expect("purges");
    }
}

fn nothing(_: &Vault) {}

fn small(seed: u64) -> Tree {
    let tree = Tree::with(&[("srv/a", &noise(seed, 90_000)), ("srv/text", &b"line\n".repeat(4000))]);
    tree.put("srv/disk", &[noise(seed + 1, 70_000), vec![0; 200_000], noise(seed + 2, 9_000)].concat(), Cut::Blocks);
    tree
}

/// The newest snapshot restores to the tree.
fn newest_is(vault: &Vault, name: &str, tree: &Tree) {
    let (snapshots, _) = vault.snapshots().expect("lists");
    let snapshot = snapshots.into_iter().rfind(|s| s.about.backup.to_string() == name).expect("it was made");
    let target = Arc::new(Tree::default());
    let request = RestoreRequest { snapshot: snapshot.id, choose: &|_| true };
    vault.restore(&request, &Into(Arc::clone(&target)), &Silent).expect("restores");
    assert!(target.same_as(tree), "the restored tree differs");
}

#[test]
fn a_first_backup_that_ends_anywhere_is_made_by_the_next_run() {
    let (world, tree) = (World::new(41), small(1));
    let run = |vault: &Vault| vault.back_up(&tree, &world.request("b1", None), &Silent).map(drop);
    let then = |vault: &Vault| newest_is(vault, "b1", &tree);
    let points = Case { world: &world, kept: &[], run: &run, then: &then }.enumerate();
    assert_eq!(points, 3 * 4, "two packs, an index, a snapshot");
}

#[test]
fn an_incremental_backup_that_ends_anywhere_hurts_no_earlier_one() {
    let world = World::new(42);
    let (before, after) = (small(1), small(1));
    after.put("srv/new", &noise(50, 120_000), Cut::Content);
    let first = world.back_up("b1", &before, None);
    let run = |vault: &Vault| vault.back_up(&after, &world.request("b2", Some(&first)), &Silent).map(drop);
    let then = |vault: &Vault| newest_is(vault, "b2", &after);
    let points = Case { world: &world, kept: &[(&first, &before)], run: &run, then: &then }.enumerate();
    assert_eq!(points, 3 * 4, "two packs, an index, a snapshot");
}

#[test]
fn a_copy_that_ends_anywhere_is_made_by_the_next_run() {
    let (here, strange) = (World::new(43), World::new(44));
    let tree = small(3);
    let made = here.back_up("b1", &tree, None);
    let then = |vault: &Vault| newest_is(vault, "b1", &tree);
    let run = |vault: &Vault| here.vault.copy_to(&made.snapshot.id, vault, &Silent).map(drop);
    let to_stranger = Case { world: &strange, kept: &[], run: &run, then: &then }.enumerate();
    assert_eq!(to_stranger, 3 * 4);

    let inner = Arc::new(InMemory::new());
    let parts = parts(&inner, &here.clock, &here.entropy);
    let vault = Vault::init_like(parts, &secret(), "x", &here.vault).expect("made");
    let sibling = World { inner, clock: Arc::clone(&here.clock), entropy: Arc::clone(&here.entropy), vault };
    let to_sibling = Case { world: &sibling, kept: &[], run: &run, then: &then }.enumerate();
    assert_eq!(to_sibling, 3 * 5, "a pack under its own name, one with blocks of the other, two indexes, a snapshot");
}

fn request() -> PruneRequest {
    PruneRequest { grace: Span::from_days(2), at_once: false, waste_ppm: 10_000, dry_run: false }
}

#[test]
fn a_prune_that_ends_anywhere_in_marking_or_removing_loses_nothing_needed() {
    let world = World::new(45);
    let (stays, goes) = (small(1), small(20));
    let kept = world.back_up("stays", &stays, None);
    let gone = world.back_up("goes", &goes, None);
    world.vault.trash(&gone.snapshot.id).expect("moves");
    world.vault.purge(&gone.snapshot.id).expect("purges");
    let run = |vault: &Vault| vault.prune(&request(), &Silent).map(drop);
    let case = Case { world: &world, kept: &[(&kept, &stays)], run: &run, then: &nothing };
    assert_eq!(case.enumerate(), 3 * 2, "two marks");

    world.vault.prune(&request(), &Silent).expect("marks");
    world.clock.advance(Span::from_days(3));
    let then = |vault: &Vault| assert_eq!(vault.store().list("packs").expect("lists").len(), 2);
    // The index object that lists only what goes is not replaced; then come itself, two packs and their marks.
    assert_eq!(Case { then: &then, ..case }.enumerate(), 3 * 5);
}

#[test]
fn a_prune_that_ends_anywhere_in_rewriting_loses_nothing_needed() {
    let world = World::new(46);
    let tree = Tree::default();
    for n in 0..6 {
        tree.put(&format!("srv/f{n}"), &noise(n, 500_000), Cut::Content);
    }
    let all = world.back_up("all", &tree, None);
    (1..6).for_each(|n| tree.remove(&format!("srv/f{n}")));
    let few = world.back_up("few", &tree, Some(&all));
    world.vault.trash(&all.snapshot.id).expect("moves");
    world.vault.purge(&all.snapshot.id).expect("purges");
    let run = |vault: &Vault| vault.prune(&request(), &Silent).map(drop);
    let points = Case { world: &world, kept: &[(&few, &tree)], run: &run, then: &nothing }.enumerate();
    assert!(points >= 3 * 4, "a new pack, its index, marks on the old: {points}");
}

#[test]
fn moves_to_the_trash_and_back_that_end_anywhere_keep_the_snapshot() {
    let world = World::new(47);
    let (tree, other) = (small(1), small(9));
    let made = world.back_up("b1", &tree, None);
    let kept = world.back_up("b2", &other, None);
    let id = made.snapshot.id;
    // Time goes on between the tries, so a move that was cut short leaves an entry of its own.
    let trash = |vault: &Vault| {
        world.clock.advance(Span::from_secs(1));
        vault.trash(&id)
    };
    let back = |vault: &Vault| {
        vault.recover(&id).expect("comes back");
        assert_restores(vault, &made, &tree);
    };
    let kept = [(&kept, &other)];
    let points = Case { world: &world, kept: &kept, run: &trash, then: &back }.enumerate();
    assert_eq!(points, 3 * 2);
    world.vault.trash(&id).expect("moves");
    let points = Case { world: &world, kept: &kept, run: &|vault| vault.recover(&id), then: &back }.enumerate();
    assert_eq!(points, 3 * 2);
    let gone = |vault: &Vault| assert!(vault.recover(&id).is_err() && vault.trashed().expect("lists").is_empty());
    let points = Case { world: &world, kept: &kept, run: &|vault| vault.purge(&id), then: &gone }.enumerate();
    assert_eq!(points, 3);
}

#[test]
fn a_rotation_that_ends_anywhere_locks_nobody_out() {
    let (world, tree) = (World::new(48), small(1));
    let made = world.back_up("b1", &tree, None);
    let spare = Secret::new(format!("{}{}", crate::RAW_PREFIX, "cd".repeat(32)).into_bytes());
    world.vault.add_slot(&spare, "spare").expect("added");
    let then = |vault: &Vault| {
        let after = vault.back_up(&tree, &world.request("after", None), &Silent).expect("backs up");
        let again = Vault::open(vault.parts.clone(), &spare).expect("the spare key opens, too");
        assert_restores(&again, &after, &tree);
        assert_restores(&again, &made, &tree);
    };
    let run = |vault: &Vault| {
        let again = Vault::open(Parts { store: vault.store().clone(), ..world.vault.parts.clone() }, &spare)?;
        assert_restores(&again, &made, &tree);
        vault.rotate(&secret(), None).map(drop)
    };
    let points = Case { world: &world, kept: &[(&made, &tree)], run: &run, then: &then }.enumerate();
    assert_eq!(points, 3 * 4, "two slots written, two removed");
}

#[test]
fn index_work_that_ends_anywhere_forgets_no_pack() {
    let world = World::new(49);
    let tree = Tree::default();
    let mut made = Vec::new();
    for n in 0..23u64 {
        tree.put(&format!("srv/f{n}"), &noise(n, 3_000), Cut::Content);
        made.push((world.back_up(&format!("b{n}"), &tree, None), small_copy(&tree)));
    }
    let kept: Vec<(&Made, &Tree)> = made.iter().step_by(22).map(|(made, tree)| (made, tree)).collect();
    let rebuild = |vault: &Vault| vault.rebuild_index(&Silent).map(|(_, bad)| assert!(bad.is_empty()));
    let points = Case { world: &world, kept: &kept, run: &rebuild, then: &nothing }.enumerate();
    assert_eq!(points, 3 * 24, "one written, all others removed");
    // One more index object and they are merged.
    tree.put("srv/last", &noise(99, 3_000), Cut::Content);
    let merge = |vault: &Vault| vault.back_up(&tree, &world.request("last", None), &Silent).map(drop);
    let then = |vault: &Vault| newest_is(vault, "last", &tree);
    let points = Case { world: &world, kept: &kept, run: &merge, then: &then }.enumerate();
    assert_eq!(points, 3 * (4 + 1 + 24), "a backup, the merged index, the merged ones removed");
}

fn small_copy(tree: &Tree) -> Tree {
    Tree { entries: Mutex::new(tree.entries.lock().expect("ours").clone()), read: Arc::default() }
}
