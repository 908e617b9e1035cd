//! The program ends at any moment, as by `kill -9` or a power cut: the next command goes on without waiting, nothing
//! that was complete is lost, and nothing is left lying about.
//!
//! The moments are spread over the time that the command takes when nothing happens, the widest gaps first, for as long
//! as a test may take. `BACKSTOP_KILLS=200` takes so many and as long as they take.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use backstop_tests::{Site, facts};

type Facts = BTreeMap<PathBuf, String>;

/// Fewer points than this show nothing.
const POINTS_MIN: u32 = 8;
/// As many as a test does when each is quick.
const POINTS_MAX: u32 = 25;
const LONGEST: Duration = Duration::from_millis(2500);

/// Kills `command` at many moments. `prepare` comes before each, `check` after it.
fn killed_anywhere(
    site: &mut Site,
    command: &[&str],
    mut prepare: impl FnMut(&mut Site),
    mut check: impl FnMut(&mut Site),
) {
    prepare(site);
    let began = Instant::now();
    site.ok(command);
    let mut whole = began.elapsed();
    check(site);
    let asked = std::env::var("BACKSTOP_KILLS").ok().and_then(|points| points.parse::<u32>().ok());
    let began = Instant::now();
    let mut alive = 0;
    for point in 0..asked.unwrap_or(POINTS_MAX) {
        if asked.is_none() && point >= POINTS_MIN && began.elapsed() > LONGEST {
            break;
        }
        prepare(site);
        // 1/2, 1/4, 3/4, 1/8, 5/8, …: the bits of the number mirrored.
        let share = f64::from((point + 1).reverse_bits()) / f64::from(u32::MAX);
        let delay = whole.mul_f64(share);
        let killed = site.start(command).kill_after(delay);
        alive += u32::from(killed);
        // Other tests run beside this one, so the time it takes is estimated as it goes.
        whole = if killed { whole.max(delay.mul_f64(1.1)) } else { delay };
        check(site);
        assert!(site.open_runs().is_empty(), "killed after {delay:?}: {:?}", site.open_runs());
        assert!(site.staging().is_empty(), "killed after {delay:?}: {:?}", site.staging());
    }
    assert!(alive * 2 >= POINTS_MIN, "only {alive} were killed while they ran");
    assert_eq!(site.json(&["audit", "verify"])["whole"], true);
}

/// Bytes that do not compress, different for each seed.
fn noise(seed: u32, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Changes the tree: some new bytes, some files come, one goes.
fn change(site: &Site, round: u32) {
    site.write("srv/docs/large", noise(round, 2_000_000));
    for at in 0..10 {
        site.write(&format!("srv/docs/many/{round}-{at}"), round.to_string());
    }
    let _ = std::fs::remove_dir_all(site.path("srv/docs/deep"));
}

fn next(round: &Cell<u32>) -> u32 {
    round.set(round.get() + 1);
    round.get()
}

/// A backup that is known to be good, to be restored again later.
struct Known {
    name: String,
    facts: Facts,
}

#[track_caller]
fn restores(site: &Site, known: &Known, more: &[&str]) {
    facts::assert_same(&known.facts, &facts::of(&site.restored(&known.name, more)), &known.name);
}

#[test]
fn a_backup_killed_anywhere_loses_nothing_and_the_next_completes() {
    let mut site = Site::new();
    let round = Cell::new(0);
    let mut known: Vec<Known> = Vec::new();
    killed_anywhere(
        &mut site,
        &["backup", "trigger", "docs"],
        |site| change(site, next(&round)),
        |site| {
            let name = site.backup();
            known.push(Known { name, facts: facts::of(&site.tree()) });
            restores(site, &known[known.len() - 1], &[]);
            restores(site, &known[known.len() / 2], &[]);
        },
    );
    for known in &known {
        restores(&site, known, &[]);
    }
    site.ok(&["backup", "verify-all"]);
}

#[test]
fn a_copy_killed_anywhere_is_made_by_the_next_and_harms_no_other() {
    let mut site = Site::new();
    let round = Cell::new(0);
    let known = std::cell::RefCell::new(Vec::new());
    killed_anywhere(
        &mut site,
        &["backup", "replicate-all"],
        |site| {
            change(site, next(&round));
            let name = site.backup();
            known.borrow_mut().push(Known { name, facts: facts::of(&site.tree()) });
        },
        |site| {
            site.ok(&["backup", "replicate-all"]);
            let known = known.borrow();
            restores(site, &known[known.len() - 1], &["--from", "vault:offsite"]);
            restores(site, &known[known.len() / 2], &[]);
        },
    );
    site.ok(&["backup", "verify-all"]);
}

#[test]
fn a_verification_killed_anywhere_is_done_by_the_next() {
    let mut site = Site::new();
    change(&site, 1);
    let known = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    let verb = ["backup", "verify-all", "--level", "L3", "--again"];
    killed_anywhere(
        &mut site,
        &verb,
        |_| {},
        |site| {
            site.ok(&verb);
            restores(site, &known, &[]);
        },
    );
}

#[test]
fn a_rehearsal_killed_anywhere_is_cleaned_up_by_the_next() {
    let mut site = Site::new();
    change(&site, 1);
    let known = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    killed_anywhere(
        &mut site,
        &["dr", "test", "docs"],
        |_| {},
        |site| {
            let tested = site.summaries(0, &["dr", "test", "docs"]);
            assert_eq!(tested[0]["dr_test"]["passed"], true);
            facts::assert_same(&known.facts, &facts::of(&site.tree()), "the workload itself");
        },
    );
}

/// What stands beside the tree for this purpose.
fn beside(site: &Site, purpose: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(site.path("srv")).expect("the tree's parent");
    let named = |path: &PathBuf| path.to_string_lossy().contains(&format!(".docs.backstop-{purpose}-"));
    entries.map(|entry| entry.expect("an entry").path()).filter(named).collect()
}

#[track_caller]
fn is_old_or_new(live: &Facts, old: &Facts, new: &Facts) {
    if live != new {
        facts::assert_same(old, live, "neither the restored tree nor the one that was there before");
    }
}

#[test]
fn a_restore_in_place_killed_anywhere_leaves_the_old_tree_or_the_new_and_loses_neither() {
    let mut site = Site::new();
    change(&site, 1);
    let wanted = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    let round = Cell::new(1);
    let old = std::cell::RefCell::new(Facts::new());
    let command = ["backup", "restore", "docs", "--backup", &wanted.name, "--yes"];
    killed_anywhere(
        &mut site,
        &command,
        |site| {
            for kept in beside(site, "undo") {
                std::fs::remove_dir_all(kept).expect("removed");
            }
            change(site, next(&round));
            *old.borrow_mut() = facts::of(&site.tree());
        },
        |site| {
            let (old, live) = (old.borrow(), facts::of(&site.tree()));
            is_old_or_new(&live, &old, &wanted.facts);
            let was_open = !site.open_runs().is_empty();
            site.ok(&["backup", "trigger", "docs"]);
            let live = facts::of(&site.tree());
            is_old_or_new(&live, &old, &wanted.facts);
            assert!(!was_open || live == wanted.facts, "a restore that was begun is finished by the next command");
            assert!(live == *old || beside(site, "undo").iter().any(|kept| facts::of(kept) == *old), "it is lost");
            assert!(beside(site, "restore").is_empty(), "{:?}", beside(site, "restore"));
            assert!(beside(site, "undo").iter().all(|kept| kept.is_dir()), "{:?}", beside(site, "undo"));
        },
    );
}

#[test]
fn an_undo_killed_anywhere_leaves_one_tree_or_the_other_and_is_finished() {
    let mut site = Site::new();
    change(&site, 1);
    let wanted = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    let round = Cell::new(1);
    let old = std::cell::RefCell::new(Facts::new());
    killed_anywhere(
        &mut site,
        &["restore", "undo", "docs", "--yes"],
        |site| {
            for kept in beside(site, "undo").into_iter().chain(beside(site, "redo")) {
                std::fs::remove_dir_all(kept).expect("removed");
            }
            change(site, next(&round));
            *old.borrow_mut() = facts::of(&site.tree());
            site.ok(&["backup", "restore", "docs", "--backup", &wanted.name, "--yes"]);
        },
        |site| {
            let (old, live) = (old.borrow(), facts::of(&site.tree()));
            is_old_or_new(&live, &old, &wanted.facts);
            let was_open = !site.open_runs().is_empty();
            site.ok(&["backup", "trigger", "docs"]);
            let live = facts::of(&site.tree());
            is_old_or_new(&live, &old, &wanted.facts);
            assert!(!was_open || live == *old, "an undo that was begun is finished by the next command");
            let kept: Vec<PathBuf> = beside(site, "undo").into_iter().chain(beside(site, "redo")).collect();
            assert!(kept.iter().all(|kept| kept.is_dir()), "{kept:?}");
            let other = if live == *old { &wanted.facts } else { &*old };
            assert!(kept.iter().any(|kept| facts::of(kept) == *other), "the other tree is lost: {kept:?}");
        },
    );
}

#[test]
fn a_prune_killed_anywhere_removes_nothing_that_is_needed() {
    let mut site = Site::at("2031-01-01T10:00:00Z");
    site.edit("copies = [\"vault:offsite\"]\n", "");
    site.edit("verify = { every = \"7d\", level = \"L3\" }\ndr_test = { every = \"7d\" }\n", "verify = false\n");
    let day = Cell::new(0);
    let known = std::cell::RefCell::new(Vec::new());
    let later = |site: &mut Site| {
        let day = next(&day);
        site.clock(&format!("{}-{:02}-{:02}T10:00:00Z", 2031 + day / 336, day / 28 % 12 + 1, day % 28 + 1));
    };
    killed_anywhere(
        &mut site,
        &["vault", "prune", "main", "--at-once", "--yes"],
        |site| {
            let mut names = Vec::new();
            for part in 0..3 {
                later(site);
                change(site, day.get() * 10 + part);
                names.push(site.backup());
            }
            known.borrow_mut().push(Known { name: names[2].clone(), facts: facts::of(&site.tree()) });
            site.ok(&["backup", "delete", &names[0], "--reason", "space", "--yes"]);
            for _ in 0..5 {
                later(site);
            }
        },
        |site| {
            let known = known.borrow();
            restores(site, &known[known.len() - 1], &[]);
            site.ok(&["vault", "prune", "main", "--at-once", "--yes"]);
            restores(site, &known[known.len() / 2], &[]);
        },
    );
    for known in known.borrow().iter() {
        restores(&site, known, &[]);
    }
}

#[test]
fn a_key_rotation_killed_anywhere_leaves_a_vault_that_opens() {
    let mut site = Site::new();
    change(&site, 1);
    let known = std::cell::RefCell::new(vec![Known { name: site.backup(), facts: facts::of(&site.tree()) }]);
    killed_anywhere(
        &mut site,
        &["vault", "key", "rotate", "main"],
        |_| {},
        |site| {
            site.write("srv/docs/readme.txt", known.borrow().len().to_string());
            let name = site.backup();
            known.borrow_mut().push(Known { name, facts: facts::of(&site.tree()) });
            let known = known.borrow();
            restores(site, &known[known.len() - 1], &[]);
            restores(site, &known[0], &[]);
            site.ok(&["vault", "key", "rotate", "main"]);
        },
    );
    for known in known.borrow().iter() {
        restores(&site, known, &[]);
    }
}

#[test]
fn a_release_killed_anywhere_is_finished_and_can_be_taken_back() {
    let mut site = Site::at("2031-01-01T10:00:00Z");
    let known = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    for day in 2..6 {
        site.clock(&format!("2031-01-{day:02}T10:00:00Z"));
        site.backup();
    }
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    killed_anywhere(
        &mut site,
        &["backup", "delete", &known.name.clone(), "--reason", "space", "--yes"],
        |site| assert!(site.names().contains(&known.name)),
        |site| {
            // Any verb on the workload first settles what was begun.
            site.ok(&["backup", "verify-all", "docs"]);
            assert!(site.open_runs().is_empty(), "{:?}", site.open_runs());
            if !site.names().contains(&known.name) {
                site.ok(&["backup", "undelete", &known.name]);
            }
            restores(site, &known, &[]);
            restores(site, &known, &["--from", "vault:offsite"]);
        },
    );
}

#[test]
fn a_catalog_rebuild_killed_anywhere_leaves_the_old_records_or_the_new() {
    let mut site = Site::new();
    let known = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    site.backup();
    site.ok(&["backup", "hold", &known.name, "--reason", "kept through all of it"]);
    killed_anywhere(
        &mut site,
        &["catalog", "rebuild"],
        |_| {},
        |site| {
            assert_eq!(site.names().len(), 2);
            let shown = site.json(&["backup", "show", &known.name]);
            assert_eq!(shown["backup"]["hold"]["reason"], "kept through all of it", "{shown}");
            restores(site, &known, &[]);
        },
    );
}

#[test]
fn an_index_rebuild_killed_anywhere_is_done_by_the_next() {
    let mut site = Site::new();
    change(&site, 1);
    let known = Known { name: site.backup(), facts: facts::of(&site.tree()) };
    change(&site, 2);
    site.backup();
    killed_anywhere(
        &mut site,
        &["vault", "rebuild-index", "main"],
        |site| std::fs::remove_dir_all(site.path("vault/index")).expect("the index is lost"),
        |site| {
            site.ok(&["vault", "rebuild-index", "main"]);
            restores(site, &known, &[]);
        },
    );
    site.ok(&["backup", "verify-all"]);
}

#[test]
fn an_agenda_killed_anywhere_is_taken_up_by_the_next() {
    let mut site = Site::at("2031-01-01T10:00:00Z");
    site.edit("keep = 7", "keep = 2");
    let day = Cell::new(1);
    let at = |site: &mut Site, hour: u32| {
        let day = day.get();
        site.clock(&format!("2031-{:02}-{:02}T{hour}:00:00Z", day / 28 + 1, day % 28 + 1));
    };
    killed_anywhere(
        &mut site,
        &["agenda", "--run"],
        |site| {
            site.write("srv/docs/day", next(&day).to_string());
            at(site, 12);
        },
        |site| {
            // Later, for each command begins at the instant that is set.
            at(site, 13);
            site.ok(&["agenda", "--run"]);
            let left = site.json(&["agenda"]);
            let due = left["due"].as_array().expect("lines");
            assert!(due.iter().all(|line| line["verb"] == "release"), "{left}");
            let newest = site.names().remove(0);
            let tree = site.restored(&newest, &["--from", "vault:offsite"]);
            facts::assert_same(&facts::of(&site.tree()), &facts::of(&tree), "the newest copy");
        },
    );
}
