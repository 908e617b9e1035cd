use backstop_model::policy::{Fault, FaultKind, LogLine, LogSeverity};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixture::at;

fn question(backups: usize, now: i64) -> Value {
    let backups: Vec<Value> =
        (0..backups).map(|n| json!({ "name": format!("docs-backup-daily-{n}"), "size": n })).collect();
    json!({ "now": now, "settings": [], "workload": "docs", "backups": backups })
}

fn asked(policy: &str, second: i64, question: Value) -> Decision {
    Decision {
        id: 0,
        at: at(second),
        generation: "g1".into(),
        policy: policy.parse().expect("valid"),
        world: World::Retention,
        function: "release".into(),
        mode: Mode::Canary { percent: 10 },
        component: "abc".into(),
        workload: Some("docs".parse().expect("valid")),
        question,
        answer: Ok(json!([{ "backup": 0, "release": true, "reason": "" }])),
        effect: "in force".into(),
        diverged: false,
        log: vec![LogLine { severity: LogSeverity::Info, line: "looked".into() }],
        took: Span::from_millis(3),
        fuel: 12_345,
    }
}

fn fault() -> Fault {
    Fault { kind: FaultKind::Trapped, message: "unreachable".into(), backtrace: vec!["release".into()] }
}

fn rows(catalog: &Catalog, table: &str) -> i64 {
    catalog.raw(|db| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("counted"))
}

#[test]
fn a_decision_reads_back_as_it_was_recorded() {
    let catalog = Catalog::in_memory().expect("memory");
    let mut written = vec![
        asked("legal-hold", 1, question(200, 1)),
        Decision { answer: Err(fault()), mode: Mode::Shadow, diverged: true, ..asked("legal-hold", 2, question(0, 2)) },
        Decision { workload: None, mode: Mode::Active, ..asked("two-people", 3, json!("no object")) },
    ];
    let ids = catalog.record_decisions(&written).expect("recorded");
    for (decision, id) in written.iter_mut().zip(&ids) {
        decision.id = *id;
    }
    for decision in &written {
        assert_eq!(&catalog.decision(decision.id).expect("there"), decision);
    }
    let only = |filter: DecisionFilter| {
        let found = catalog.decisions(&filter).expect("read");
        found.iter().map(|decision| decision.at.as_second()).collect::<Vec<_>>()
    };
    let all = DecisionFilter::default();
    assert_eq!(only(all.clone()), [3, 2, 1]);
    assert_eq!(only(DecisionFilter { policy: Some("legal-hold".parse().expect("valid")), ..all.clone() }), [2, 1]);
    assert_eq!(only(DecisionFilter { workload: Some("docs".parse().expect("valid")), ..all.clone() }), [2, 1]);
    assert_eq!(only(DecisionFilter { since: Some(at(2)), until: Some(at(3)), ..all.clone() }), [2]);
    assert_eq!(only(DecisionFilter { faults: true, diverged: true, ..all.clone() }), [2]);
    assert_eq!(only(DecisionFilter { before: Some(ids[2]), limit: Some(1), ..all.clone() }), [2]);
    assert_eq!(only(DecisionFilter { function: Some("tiers".into()), ..all }), [0_i64; 0]);
    assert!(matches!(catalog.decision(99), Err(CatalogError::NotFound { .. })));
}

#[test]
fn the_same_backups_are_stored_once_for_all_who_are_asked_about_them() {
    let catalog = Catalog::in_memory().expect("memory");
    for second in 1..=5 {
        let asked: Vec<Decision> =
            ["a", "b", "c"].iter().map(|policy| asked(policy, second, question(10_000, second))).collect();
        catalog.record_decisions(&asked).expect("recorded");
    }
    assert_eq!((rows(&catalog, "decisions"), rows(&catalog, "question_parts")), (15, 1));
    catalog.record_decisions(&[asked("a", 6, question(10_001, 6))]).expect("recorded");
    assert_eq!(rows(&catalog, "question_parts"), 2);
}

#[test]
fn people_read_the_whole_question_by_sql() {
    let catalog = Catalog::in_memory().expect("memory");
    let whole = Decision { answer: Err(fault()), ..asked("a", 1, question(100, 1)) };
    catalog.record_decisions(std::slice::from_ref(&whole)).expect("recorded");
    let shown: (String, String, String, String, String) = catalog.raw(|db| {
        let sql = "SELECT decided_at, mode, fault, fault_message, question FROM policy_decisions";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
            .expect("shown")
    });
    let (decided, mode, kind, message, question) = shown;
    assert_eq!((decided.as_str(), mode.as_str()), ("1970-01-01T00:00:01.000Z", "canary 10 %"));
    assert_eq!((kind.as_str(), message.as_str()), ("trapped", "unreachable"));
    assert_eq!(serde_json::from_str::<Value>(&question).expect("JSON"), whole.question);
}

#[test]
fn the_past_is_bounded_by_age_by_rows_and_by_bytes_and_the_newest_stays() {
    let catalog = Catalog::in_memory().expect("memory");
    let all: Vec<Decision> =
        (1..=100).map(|n| asked("a", n, question(100 + usize::try_from(n).expect("small"), n))).collect();
    catalog.record_decisions(&all).expect("recorded");
    let newest = |catalog: &Catalog| {
        let found = catalog.decisions(&DecisionFilter::default()).expect("read");
        (found.len(), found[0].at.as_second())
    };
    let kept = DecisionsKept { age: Span::from_secs(79), ..DecisionsKept::default() };
    assert_eq!(catalog.prune_decisions(&kept, at(100)).expect("pruned"), 20);
    assert_eq!(newest(&catalog), (80, 100));
    let kept = DecisionsKept { rows: 50, ..DecisionsKept::default() };
    assert_eq!(catalog.prune_decisions(&kept, at(100)).expect("pruned"), 30);
    assert_eq!((newest(&catalog), rows(&catalog, "question_parts")), ((50, 100), 50));
    let kept = DecisionsKept { bytes: 100_000, ..DecisionsKept::default() };
    assert!(catalog.prune_decisions(&kept, at(100)).expect("pruned") > 0);
    let (left, last) = newest(&catalog);
    assert!((5..50).contains(&left) && last == 100, "{left} left");
    let bytes: i64 = catalog.raw(|db| {
        let sql = "SELECT (SELECT sum(length(question) + length(answer) + length(log)) FROM decisions) \
                   + (SELECT sum(length(body)) FROM question_parts)";
        db.query_row(sql, [], |row| row.get(0)).expect("counted")
    });
    assert!(bytes <= 100_000, "{bytes}");
    assert_eq!(catalog.prune_decisions(&kept, at(100)).expect("nothing left to do"), 0);
}

#[test]
fn decisions_that_cannot_all_be_recorded_are_not_recorded_at_all() {
    let catalog = Catalog::in_memory().expect("memory");
    catalog.raw(|db| {
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON decisions WHEN NEW.policy = 'b' \
                       BEGIN SELECT RAISE(ABORT, 'full'); END";
        db.execute_batch(trigger).expect("made");
    });
    let both = [asked("a", 1, question(100, 1)), asked("b", 1, question(100, 1))];
    catalog.record_decisions(&both).expect_err("the second fails");
    assert_eq!((rows(&catalog, "decisions"), rows(&catalog, "question_parts")), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a question looks like, and whichever of its members is taken out, it reads back.
    #[test]
    fn any_question_reads_back(
        members in prop::collection::btree_map("[a-z\"\\.\\$\u{e9} -]{0,6}", prop::collection::vec(any::<i32>(), 0..400), 0..5)
    ) {
        let catalog = Catalog::in_memory().expect("memory");
        let question = json!(members);
        let id = catalog.record_decisions(&[asked("a", 1, question.clone())]).expect("recorded")[0];
        prop_assert_eq!(catalog.decision(id).expect("there").question, question);
    }
}
