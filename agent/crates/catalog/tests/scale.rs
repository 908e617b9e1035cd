//! What a large site asks of the catalog: 10,000 workloads, 250,000 backups, two copies and three proofs each, and
//! an answer in 0.3 s of one processor. A tenth of that in the dev profile; the whole and the numbers with
//! `cargo test --release -p backstop-catalog --test scale -- --nocapture`.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod stopwatch;

use std::time::Duration;

use backstop_catalog::{BackupFilter, Catalog, StateKind};
use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, Level, Mode, Proof, ProofKind, SnapshotId, Span, Tier,
    Timestamp,
};
use stopwatch::timed;

const WORKLOADS: u32 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
const BACKUPS_EACH: u32 = 25;
const ANSWER_MAX: Duration = Duration::from_millis(300);

fn at(second: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(second)).expect("in range")
}

fn proof(level: Level, second: u32) -> Proof {
    Proof {
        at: at(second),
        level,
        passed: true,
        kind: ProofKind::Verify,
        took: Span::from_secs(2),
        sample_ppm: 1_000_000,
        run: format!("20260101T020000-{second}").parse().expect("valid"),
        detail: "compared 1200 entries with the manifest".into(),
    }
}

fn copy(place: &str, digest: u32, second: u32, proofs: Vec<Proof>) -> Copy {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&digest.to_le_bytes());
    Copy {
        place: place.parse().expect("valid"),
        snapshot: SnapshotId(id),
        state: CopyState::Present,
        stored: Bytes(1_000_000),
        created: at(second),
        proofs,
    }
}

fn backup(workload: u32, n: u32) -> Backup {
    let second = n * 86_400 + workload;
    let mut tiers = std::collections::BTreeSet::from([Tier::Daily]);
    if n.is_multiple_of(7) {
        tiers.insert(Tier::Weekly);
    }
    let proofs = vec![proof(Level::L1, second + 60), proof(Level::L3, second + 3600)];
    Backup {
        name: format!("machine-{workload:05}-backup-daily-{n:08}").parse().expect("valid"),
        workload: format!("machine-{workload:05}").parse().expect("valid"),
        created: at(second),
        tiers,
        mode: Mode::Incremental,
        based_on: None,
        size: Bytes(10_000_000),
        entries: 1200,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![
            copy("vault:main", workload, second, proofs),
            copy("vault:offsite", workload, second, vec![proof(Level::L1, second + 90)]),
        ],
        run: format!("20260101T020000-{workload}-{n}").parse().expect("valid"),
    }
}

#[test]
fn a_large_site_gets_its_answers_in_time() {
    let dir = tempfile::tempdir().expect("temporary");
    let path = dir.path().join("catalog.db");
    let catalog = Catalog::open(&path, at(0)).expect("new");
    let backups: Vec<Backup> =
        (0..BACKUPS_EACH).flat_map(|n| (0..WORKLOADS).map(move |workload| backup(workload, n))).collect();
    println!("{WORKLOADS} workloads, {} backups", backups.len());
    timed("rebuild from nothing", || catalog.clear_and_rebuild(backups).expect("rebuilt"));
    let first = catalog.standings().expect("read");
    drop(catalog);

    // What a command pays: a fresh process that opens the catalog and asks once.
    let (catalog, opening) = timed("open", || Catalog::open(&path, at(1)).expect("there"));
    let (standings, agenda) = timed("standings, for the agenda", || catalog.standings().expect("read"));
    assert_eq!(standings, first);
    assert_eq!(standings.len(), WORKLOADS as usize);
    assert!(standings.iter().all(|standing| standing.present == BACKUPS_EACH && standing.places.len() == 2));

    let one = BackupFilter { workload: Some(standings[77].workload.clone()), ..BackupFilter::default() };
    let (listed, listing) = timed("backups of one workload", || catalog.backups(&one).expect("read"));
    assert_eq!(listed.len(), BACKUPS_EACH as usize);
    let newest = BackupFilter { states: vec![StateKind::Present], limit: Some(100), ..BackupFilter::default() };
    let (_, newest) = timed("the newest 100 backups of all", || catalog.backups(&newest).expect("read"));
    let unverified = BackupFilter { unverified_below: Some(Level::L4), ..one };
    let (_, unverified) = timed("unverified backups of one workload", || catalog.backups(&unverified).expect("read"));
    let (_, finding) = timed("a shortened name", || catalog.find_backup("machine-00077-backup-daily-00000003"));

    let place = "vault:main".parse().expect("valid");
    timed("record 100 proofs", || {
        for backup in listed.iter().cycle().zip(0..100_u32).map(|(backup, n)| (backup, proof(Level::L1, n))) {
            catalog.record_proof(&backup.0.name, &place, &backup.1).expect("recorded");
        }
    });
    let (_, again) = timed("standings after one workload changed", || catalog.standings().expect("read"));
    // After a night's work the first to ask pays for the others.
    for standing in standings.iter().take(WORKLOADS as usize / 10) {
        let name = format!("{}-backup-daily-00000024", standing.workload).parse().expect("valid");
        catalog.record_proof(&name, &place, &proof(Level::L3, 9_999_999)).expect("recorded");
    }
    timed("standings after a tenth of the workloads changed", || catalog.standings().expect("read"));
    for (what, took) in [
        ("agenda", opening + agenda),
        ("agenda after a change", again),
        ("list", opening + listing),
        ("newest", newest),
        ("unverified", unverified),
        ("find", finding),
    ] {
        assert!(took < ANSWER_MAX, "{what} took {took:?}");
    }
    timed("every backup, in full", || catalog.all_backups().expect("read").len());
    println!("{:<58} {:>9.1} MB", "catalog file", std::fs::metadata(&path).expect("there").len() as f64 / 1e6);
}
