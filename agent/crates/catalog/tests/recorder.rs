//! What the flight recorder costs a large site: four decisions for each of 1,000 workloads with 30 backups each, in
//! well under half a second of one processor, whatever else the machine does. The numbers with
//! `cargo test --release -p backstop-catalog --test recorder -- --nocapture`.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod stopwatch;

use std::time::Duration;

use backstop_catalog::{Catalog, DecisionFilter, DecisionsKept};
use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion};
use backstop_model::policy::{CivilTime, Decision, Mode, Shown, World};
use backstop_model::{Span, Timestamp};
use stopwatch::timed;

const WORKLOADS: i64 = 1_000;
const BACKUPS_EACH: i64 = 30;
const RECORDING_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 1_000 });

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

fn question(workload: i64, round: i64) -> ReleaseQuestion {
    let backup = |n: i64| KeptBackup {
        name: format!("machine-{workload:05}-backup-daily-{n:08}"),
        created: at(n * 86_400).as_second(),
        local: CivilTime::utc(at(n * 86_400)),
        tiers: 1,
        size: 123_456_789,
        complete: true,
        held: false,
        level: Shown::Consistent,
        copies: 2,
        offsite: true,
        releasable: n < 7,
    };
    ReleaseQuestion {
        now: at(round).as_second(),
        local: CivilTime::utc(at(round)),
        settings: Vec::new(),
        workload: format!("machine-{workload:05}").parse().expect("valid"),
        tier_names: vec!["daily".into(), "weekly".into(), "monthly".into()],
        backups: (0..BACKUPS_EACH).map(backup).collect(),
    }
}

fn round(round: i64) -> Vec<Decision> {
    let asked = |workload: i64, policy: i64| {
        let question = question(workload, round);
        Decision {
            id: 0,
            at: at(round),
            generation: "0123456789abcdef".into(),
            policy: format!("policy-{policy}").parse().expect("valid"),
            world: World::Retention,
            function: "release".into(),
            mode: Mode::Active,
            component: "a".repeat(64),
            workload: Some(question.workload.clone()),
            question: serde_json::to_value(&question).expect("plain"),
            answer: Ok(serde_json::json!([{ "backup": 0, "release": true, "reason": "older than the hold" }])),
            effect: "in force".into(),
            diverged: false,
            log: Vec::new(),
            took: Span::from_millis(1),
            fuel: 100_000,
        }
    };
    (0..WORKLOADS).flat_map(|workload| (0..4).map(move |policy| asked(workload, policy))).collect()
}

#[test]
fn a_large_site_records_every_decision_in_time_and_in_little_room() {
    let dir = tempfile::tempdir().expect("temporary");
    let path = dir.path().join("catalog.db");
    let catalog = Catalog::open(&path, at(0)).expect("new");
    let rounds = [round(0), round(3_600)];
    let (_, first) = timed("4,000 decisions", || catalog.record_decisions(&rounds[0]).expect("recorded"));
    let (_, second) =
        timed("4,000 decisions, nothing changed", || catalog.record_decisions(&rounds[1]).expect("recorded"));
    let workload = rounds[0][400].workload.clone();
    let filter = DecisionFilter { workload, ..DecisionFilter::default() };
    let (found, reading) = timed("decisions about one workload", || catalog.decisions(&filter).expect("read"));
    assert_eq!(found.len(), 8);
    let kept = DecisionsKept { rows: 4_000, ..DecisionsKept::default() };
    let (gone, _) = timed("forgetting half", || catalog.prune_decisions(&kept, at(3_600)).expect("pruned"));
    assert_eq!(gone, 4_000);
    drop(catalog);
    let bytes = std::fs::metadata(&path).expect("there").len();
    println!("{:<58} {:>9.1} MB", "catalog file", bytes as f64 / 1e6);
    assert!(first < RECORDING_MAX && second < RECORDING_MAX, "recording took {first:?} and {second:?}");
    assert!(reading < RECORDING_MAX / 5, "reading took {reading:?}");
    assert!(bytes < 24_000_000, "the lists of backups are stored more than once: {bytes} bytes");
}
