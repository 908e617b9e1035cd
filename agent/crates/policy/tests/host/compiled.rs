//! Compiled code from the cache: used when it is ours, and ignored when it is anything else.

use std::sync::Arc;

use backstop_model::policy::World;

use super::kit::{Shelf, candidate, engine_with, hostile, load, only, reasonable, release_question};

fn puts(shelf: &Shelf) -> u32 {
    *shelf.puts.lock().expect("not poisoned")
}

/// Loads the good policy with a fresh engine and asks it; returns how many verdicts let a backup go.
fn released(shelf: &Arc<Shelf>, key: u8) -> usize {
    let engine = engine_with(Some(Arc::clone(shelf)), [key; 32]);
    let set = load(&engine, candidate(World::Retention, reasonable(World::Retention, "keep-newest.wat")));
    let verdicts = only(&set).ask_release(&release_question(10)).answer.expect("an answer");
    verdicts.iter().filter(|verdict| verdict.release).count()
}

#[test]
fn compiled_code_is_kept_from_one_start_to_the_next() {
    let shelf = Arc::new(Shelf::default());
    assert_eq!((released(&shelf, 1), puts(&shelf)), (3, 1));
    assert_eq!((released(&shelf, 1), puts(&shelf)), (3, 1));
}

#[test]
fn cached_code_that_was_tampered_with_is_compiled_anew() {
    let shelf = Arc::new(Shelf::default());
    released(&shelf, 1);
    let (name, good) = shelf
        .entries
        .lock()
        .expect("not poisoned")
        .iter()
        .next()
        .map(|(k, v)| (k.clone(), v.clone()))
        .expect("an entry");
    let step = good.len() / 37;
    let turned = (0..good.len()).step_by(step).map(|at| {
        let mut entry = good.clone();
        entry[at] ^= 1;
        entry
    });
    let cut = [0, 1, 15, 16, 47, 48, good.len() - 1].map(|length| good[..length].to_vec());
    let longer = [good.clone(), vec![0]].concat();
    for entry in turned.chain(cut).chain([longer]) {
        let before = puts(&shelf);
        shelf.entries.lock().expect("not poisoned").insert(name.clone(), entry);
        assert_eq!((released(&shelf, 1), puts(&shelf)), (3, before + 1), "compiled once more, and right");
        assert_eq!(shelf.entries.lock().expect("not poisoned")[&name].len(), good.len(), "and replaced");
    }
}

#[test]
fn code_that_another_agent_compiled_is_not_run() {
    let shelf = Arc::new(Shelf::default());
    released(&shelf, 1);
    assert_eq!((released(&shelf, 2), puts(&shelf)), (3, 2));
}

/// An entry says which component it was made from: another's, though genuine, does not take its place.
#[test]
fn the_code_of_another_component_is_not_run() {
    let shelf = Arc::new(Shelf::default());
    let engine = engine_with(Some(Arc::clone(&shelf)), [1; 32]);
    let evil = load(&engine, candidate(World::Retention, hostile(World::Retention, "release-everything.wat")));
    assert_eq!(only(&evil).fault(), None);
    let foreign = shelf.entries.lock().expect("not poisoned").values().next().cloned().expect("an entry");
    assert_eq!(released(&shelf, 1), 3);
    let mut entries = shelf.entries.lock().expect("not poisoned");
    entries.values_mut().for_each(|entry| entry.clone_from(&foreign));
    drop(entries);
    assert_eq!((released(&shelf, 1), puts(&shelf)), (3, 3));
}
