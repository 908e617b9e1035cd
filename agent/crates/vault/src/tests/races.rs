//! Two processes at one vault, one of them stopped at the worst moment.

use super::damage::check;
use super::fragile::{Fragile, open_through};
use super::*;
use crate::{PruneRequest, VaultError};

fn request() -> PruneRequest {
    PruneRequest { grace: Span::from_days(2), at_once: false, waste_ppm: 1_000_000, dry_run: false }
}

fn release(world: &World, made: &Made) {
    world.vault.trash(&made.snapshot.id).expect("moves");
    world.vault.purge(&made.snapshot.id).expect("purges");
}

/// A vault whose index lists a pack that is gone, and where the bytes of that pack were backed up again since.
fn with_a_stale_entry(seed: u64) -> (World, Tree, Made) {
    let world = World::new(seed);
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let first = world.back_up("b1", &tree, None);
    let index = world.store().list("index").expect("lists").remove(0).name;
    let index_bytes = world.store().get(&format!("index/{index}")).expect("there");
    release(&world, &first);
    let at_once = PruneRequest { at_once: true, ..request() };
    world.vault.prune(&at_once, &Silent).expect("removes");
    assert!(world.store().list("packs").expect("lists").is_empty());
    // Another process merged index objects at that moment and listed the packs again.
    world.store().put_new(&format!("index/{index}"), index_bytes).expect("puts");
    let again = world.reopened().expect("opens").back_up(&tree, &world.request("b2", None), &Silent).expect("backs up");
    (world, tree, again)
}

#[test]
fn nothing_relies_on_a_pack_that_is_listed_and_gone() {
    let (world, tree, made) = with_a_stale_entry(61);
    assert!(made.stored > 300_000, "the bytes were stored again: {}", made.stored);
    let vault = world.reopened().expect("opens");
    assert_restores(&vault, &made, &tree);
    assert!(check(&vault).faults.is_empty());
    let entry = vault.entry(&made.snapshot, b"srv/a").expect("its manifest is found, too");
    let mut bytes = Vec::new();
    vault.write_contents(&entry, &mut bytes).expect("reads");
    assert_eq!(bytes, noise(1, 300_000));
}

#[test]
fn a_stale_entry_does_not_cost_the_copy_that_is_there_and_goes_with_the_next_prune() {
    let (world, tree, made) = with_a_stale_entry(62);
    for _ in 0..3 {
        world.vault.prune(&request(), &Silent).expect("prunes");
        world.clock.advance(Span::from_days(3));
    }
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
    let loaded = world.reopened().expect("opens").loaded();
    let listed: Vec<String> = loaded.index.packs.iter().map(|pack| pack.id.to_string()).collect();
    let present = world.store().list("packs").expect("lists");
    assert!(listed.iter().all(|id| present.iter().any(|object| object.name == *id)), "no stale entry is left");
}

#[test]
fn a_pack_listed_twice_leaves_no_entry_behind() {
    let world = World::new(63);
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let made = world.back_up("b1", &tree, None);
    // Two processes adopted the same packs.
    let loaded = world.vault.loaded();
    world.vault.write_packs(&loaded.index, &[0, 1], &[]).expect("writes");
    release(&world, &made);
    world.vault.prune(&PruneRequest { at_once: true, ..request() }, &Silent).expect("removes");
    assert_eq!(world.reopened().expect("opens").loaded().index.packs.len(), 0);
}

#[test]
fn a_merge_beside_a_prune_loses_nothing() {
    let world = World::new(64);
    let tree = Tree::default();
    let mut made = Vec::new();
    for n in 0..23u64 {
        tree.put(&format!("srv/f{n}"), &noise(n, 3_000), Cut::Content);
        made.push(world.back_up(&format!("b{n}"), &tree, None));
        tree.remove(&format!("srv/f{n}"));
    }
    // Somebody adopted a pack that was listed already: one object more, and they are merged.
    world.vault.write_packs(&world.vault.loaded().index, &[0], &[]).expect("writes");
    release(&world, &made[3]);
    world.vault.prune(&request(), &Silent).expect("marks");
    world.clock.advance(Span::from_days(3));
    let fragile = Fragile::new(&world.inner, None);
    let merging = open_through(&world, &fragile).expect("opens");
    let pruning = world.reopened().expect("opens");
    fragile.before("put index/", move || {
        assert_eq!(pruning.prune(&request(), &Silent).expect("prunes").removed, 2);
    });
    merging.merge_indexes().expect("merges");
    assert!(fragile.has_happened());
    tree.put("srv/f3", &noise(3, 3_000), Cut::Content);
    let again = world.reopened().expect("opens").back_up(&tree, &world.request("again", None), &Silent);
    let again = again.expect("backs up");
    world.clock.advance(Span::from_days(3));
    world.vault.prune(&request(), &Silent).expect("prunes");
    assert_restores(&world.reopened().expect("opens"), &again, &tree);
    assert!(check(&world.vault).affected.is_empty());
}

#[test]
fn a_run_longer_than_the_grace_period_notices_that_its_packs_were_removed() {
    let world = World::new(65);
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let fragile = Fragile::new(&world.inner, None);
    let slow = open_through(&world, &fragile).expect("opens");
    let pruning = world.reopened().expect("opens");
    let clock = Arc::clone(&world.clock);
    // Its packs are uploaded, its snapshot is not written: to a prune nobody needs them.
    fragile.before("put index/", move || {
        assert_eq!(pruning.prune(&request(), &Silent).expect("marks").marked, 2);
        clock.advance(Span::from_days(3));
        assert_eq!(pruning.prune(&request(), &Silent).expect("removes").removed, 2);
    });
    let made = slow.back_up(&tree, &world.request("b1", None), &Silent);
    assert!(fragile.has_happened());
    assert!(matches!(made, Err(VaultError::Overtaken)), "{made:?}");
    let again = slow.back_up(&tree, &world.request("b1", None), &Silent).expect("the next try stores them again");
    assert_restores(&world.reopened().expect("opens"), &again, &tree);
}

#[test]
fn a_long_file_taken_over_unread_does_not_rely_on_marked_packs() {
    let world = World::new(66);
    let tree = Tree::default();
    // Every other block is a hole: more extents than stand in an entry.
    let mut disk = Vec::new();
    for n in 0..300u64 {
        disk.extend([noise(n % 3, 65_536), vec![0; 65_536]].concat());
    }
    tree.put("srv/disk", &disk, Cut::Blocks);
    let first = world.back_up("b1", &tree, None);
    let entry = world.vault.entry(&first.snapshot, b"srv/disk").expect("there");
    assert!(matches!(entry.contents, crate::Contents::Lists(_)));
    // A mark that has become wrong and stands until the next prune, on the packs with the contents alone.
    let mut reader = crate::read::ChunkReader::new(&world.vault);
    let mut packs = std::collections::BTreeSet::new();
    let loaded = world.vault.loaded();
    reader
        .extents(&entry.contents, &mut |extent| {
            if let crate::Extent::Chunk { id, .. } = extent {
                let at = loaded.index.find(id).expect("known");
                packs.insert(loaded.index.packs[loaded.index.block(at.block).pack as usize].id);
            }
            Ok(())
        })
        .expect("reads");
    for pack in &packs {
        world.store().put_new(&format!("trash/packs/{pack}.1700000000000"), Vec::new()).expect("marks");
    }
    let second = world.back_up("b2", &tree, Some(&first));
    assert_eq!((second.unchanged, second.changed), (0, 1), "it is read again");
    for pack in &packs {
        world.store().delete(&pack.pack_path()).expect("removes");
    }
    assert_restores(&world.reopened().expect("opens"), &second, &tree);
}

#[test]
fn a_snapshot_brought_back_while_a_prune_reads_is_not_missed() {
    let world = World::new(67);
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let made = world.back_up("b1", &tree, None);
    let at_once = PruneRequest { at_once: true, ..request() };
    for (call, to_trash) in [("list trash/snapshots", true), ("list snapshots", true), ("list trash/snapshots", false)]
    {
        let id = made.snapshot.id;
        if to_trash { world.vault.recover(&id) } else { world.vault.trash(&id) }.expect("moves");
        let fragile = Fragile::new(&world.inner, None);
        let pruning = open_through(&world, &fragile).expect("opens");
        let moving = world.reopened().expect("opens");
        fragile.before(call, move || if to_trash { moving.trash(&id) } else { moving.recover(&id) }.expect("moves"));
        match pruning.prune(&at_once, &Silent) {
            Ok(done) => assert_eq!(done.removed, 0),
            Err(error) => assert!(matches!(error, VaultError::Refused(_)), "{error}"),
        }
        assert!(fragile.has_happened());
    }
    world.vault.recover(&made.snapshot.id).expect("comes back");
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
}

#[test]
fn two_rotations_at_once_do_not_hide_what_the_other_seals() {
    let world = World::new(68);
    let tree = Tree::with(&[("srv/a", &noise(1, 30_000))]);
    let fragile = Fragile::new(&world.inner, None);
    let slow = open_through(&world, &fragile).expect("opens");
    let (sender, receiver) = std::sync::mpsc::channel();
    let other = world.reopened().expect("opens");
    let about = world.request("b1", None);
    fragile.before("put keys/", move || {
        other.rotate(&secret(), None).expect("rotates");
        let tree = Tree::with(&[("srv/a", &noise(1, 30_000))]);
        sender.send(other.back_up(&tree, &about, &Silent).expect("backs up")).expect("received");
    });
    let rotated = slow.rotate(&secret(), None);
    assert!(matches!(rotated, Err(VaultError::Refused(_))), "{rotated:?}");
    let made = receiver.recv().expect("sent");
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
    // A process that opened the vault before may rotate later: it builds on the ring as it is.
    slow.rotate(&secret(), None).expect("rotates");
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
}

#[test]
fn a_planted_slot_is_neither_shown_nor_given_the_ring() {
    let (world, strange) = (World::new(69), World::new(70));
    let theirs = Secret::new(format!("{}{}", crate::RAW_PREFIX, "ef".repeat(32)).into_bytes());
    let planted = strange.vault.add_slot(&theirs, "planted").expect("made elsewhere");
    crate::slots::write_slot(world.store(), &planted).expect("planted");
    assert_eq!(world.vault.slots().expect("reads").len(), 1);
    assert!(world.vault.remove_slot(&world.vault.slots().expect("reads")[0].slot).is_err(), "it is still the last one");
    world.vault.rotate(&secret(), None).expect("rotates");
    assert!(matches!(Vault::open(world.vault.parts.clone(), &theirs), Err(VaultError::WrongKey { .. })));
    world.reopened().expect("opens");
}

#[test]
fn a_rewrite_is_done_once() {
    let world = World::new(71);
    let tree = Tree::default();
    for n in 0..8 {
        tree.put(&format!("srv/f{n}"), &noise(n, 300_000), Cut::Content);
    }
    let all = world.back_up("all", &tree, None);
    // Half of each block goes: blocks move whole, and what is wasted inside of them cannot be gained.
    (0..8).filter(|n| n % 2 == 0).for_each(|n| tree.remove(&format!("srv/f{n}")));
    let few = world.back_up("few", &tree, Some(&all));
    release(&world, &all);
    let tight = PruneRequest { waste_ppm: 0, ..request() };
    world.vault.prune(&tight, &Silent).expect("prunes");
    world.clock.advance(Span::from_days(3));
    world.vault.prune(&tight, &Silent).expect("prunes");
    let again = world.vault.prune(&tight, &Silent).expect("prunes");
    assert_eq!((again.rewritten, again.written, again.marked), (0, 0, 0), "{again:?}");
    assert_restores(&world.reopened().expect("opens"), &few, &tree);
}

#[test]
fn what_only_the_index_tells_survives_a_rebuild() {
    let world = World::new(72);
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let made = world.back_up("b1", &tree, None);
    for object in world.store().list("packs").expect("lists") {
        // The end mark is damaged: the pack no longer says what it holds.
        let path = format!("packs/{}/{}", &object.name[..2], object.name);
        let mut bytes = world.store().get(&path).expect("there").to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        world.store().delete(&path).expect("deletes");
        world.store().put_new(&path, bytes).expect("puts");
    }
    let (read, bad) = world.vault.rebuild_index(&Silent).expect("rebuilds");
    assert_eq!((read, bad.len()), (0, 2));
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
}

#[test]
fn a_rebuild_by_a_process_with_older_keys_keeps_what_it_cannot_read() {
    let world = World::new(73);
    let outdated = world.reopened().expect("opens");
    world.vault.rotate(&secret(), None).expect("rotates");
    let tree = Tree::with(&[("srv/a", &noise(1, 300_000))]);
    let made = world.back_up("b1", &tree, None);
    outdated.rebuild_index(&Silent).expect("rebuilds what it can");
    assert_restores(&world.reopened().expect("opens"), &made, &tree);
}

#[test]
fn an_object_with_other_bytes_under_its_name_is_replaced() {
    let world = World::new(74);
    let store = world.store();
    store.put_new("index/x", b"half".to_vec()).expect("puts");
    assert_eq!(store.put_exact("index/x", b"half and half".to_vec()).expect("puts"), crate::store::Put::New);
    assert_eq!(store.put_exact("index/x", b"half and half".to_vec()).expect("puts"), crate::store::Put::Existed);
    assert_eq!(store.get("index/x").expect("there")[..], b"half and half"[..]);
}
