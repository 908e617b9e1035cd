//! Reasonable plugins get the whole question and their answers arrive.

use backstop_model::WorkloadName;
use backstop_model::policy::validation::{Finding, Ruling};
use backstop_model::policy::{Field, Mode, Value, World};
use backstop_policy::PolicySet;

use super::kit::{candidate, engine, load, only, reasonable, release_question, tiers_question, validation_question};

#[test]
fn a_rule_in_a_component_decides_as_the_same_rule_here() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, reasonable(World::Retention, "keep-newest.wat")));
    for count in [0, 1, 7, 8, 100, 5000] {
        let mut question = release_question(count);
        for backup in question.backups.iter_mut().step_by(3) {
            backup.releasable = false;
        }
        let answer = only(&set).ask_release(&question).answer.expect("an answer");
        let expected: Vec<_> = (0..count).filter(|at| at % 3 != 0).map(|at| (at, at + 7 < count)).collect();
        let found: Vec<_> = answer.iter().map(|verdict| (verdict.backup as usize, verdict.release)).collect();
        assert_eq!(found, expected, "{count}");
    }
}

#[test]
fn an_empty_answer_is_an_answer() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, reasonable(World::Retention, "keep-newest.wat")));
    let tiers = only(&set).ask_tiers(&tiers_question(3)).answer.expect("an answer");
    assert_eq!((tiers.tiers, tiers.reason), (Vec::new(), String::new()));
}

#[test]
fn findings_arrive_with_their_outcome_message_and_field() {
    let engine = engine();
    let set = load(&engine, candidate(World::Validation, reasonable(World::Validation, "wants-reason.wat")));
    let ask = |reason: &str, in_place: bool| {
        let fields = vec![
            Field::new("from", Value::Texts(vec!["a".to_owned(), "b".to_owned()])),
            Field::new("in-place", Value::Truth(in_place)),
            Field::new("paths", Value::Wholes(Vec::new())),
        ];
        only(&set).ask_validation(&validation_question(reason, fields)).answer.expect("an answer")
    };
    assert_eq!(ask("disk died", false), []);
    let finding = |ruling, message: &str, field: &str| Finding {
        ruling,
        message: message.to_owned(),
        field: Some(field.to_owned()),
    };
    let why = finding(Ruling::Warn, "say why: nobody will know it in a year", "reason");
    let who = finding(Ruling::AskApproval, "a restore in place needs the approval of another person", "in-place");
    assert_eq!(ask("", false), std::slice::from_ref(&why));
    assert_eq!(ask("", true), [why, who]);
}

/// The same question costs the same fuel every time: a guest has no clock and no chance.
#[test]
fn fuel_is_the_same_for_the_same_question() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, reasonable(World::Retention, "keep-newest.wat")));
    let fuel = |count| only(&set).ask_release(&release_question(count)).fuel;
    let of_100 = fuel(100);
    assert!(of_100 > 1000 && of_100 < fuel(200), "{of_100}");
    assert_eq!((0..5).map(|_| fuel(100)).collect::<Vec<_>>(), [of_100; 5]);
}

/// The same component in different modes: who is asked, and whose answer counts.
#[test]
fn a_binding_says_for_which_workloads_a_policy_counts() {
    let engine = engine();
    let component = reasonable(World::Retention, "keep-newest.wat");
    let bound = |name: &str, mode, applies_to: &[&str]| {
        let mut candidate = candidate(World::Retention, component.clone());
        candidate.config.name = name.parse().expect("a name");
        candidate.config.mode = mode;
        candidate.config.applies_to = applies_to.iter().map(|glob| (*glob).to_owned()).collect();
        candidate
    };
    let set = PolicySet::load(
        &engine,
        vec![
            bound("all", Mode::Active, &[]),
            bound("databases", Mode::Active, &["db-*", "postgres"]),
            bound("shadow", Mode::Shadow, &["docs"]),
            bound("canary", Mode::Canary { percent: 94 }, &[]),
            bound("unreadable", Mode::Active, &["a[", "docs"]),
        ],
    );
    let bound_to = |workload: Option<&str>| {
        let workload = workload.map(|name| name.parse::<WorkloadName>().expect("a name"));
        let bound = set.bound_to(World::Retention, workload.as_ref());
        bound.iter().map(|(policy, counts)| (policy.config().name.to_string(), *counts)).collect::<Vec<_>>()
    };
    let list = |names: &[(&str, bool)]| names.iter().map(|(name, counts)| ((*name).to_owned(), *counts)).collect();
    let expected: Vec<_> = list(&[("all", true), ("shadow", false), ("canary", false), ("unreadable", true)]);
    assert_eq!(bound_to(Some("docs")), expected);
    let expected: Vec<_> = list(&[("all", true), ("databases", true), ("canary", true), ("unreadable", true)]);
    assert_eq!(bound_to(Some("db-1")), expected);
    let expected: Vec<_> = list(&[("all", true), ("canary", false), ("unreadable", true)]);
    assert_eq!(bound_to(None), expected);
    let unreadable = set.get(&"unreadable".parse().expect("a name")).and_then(|policy| policy.fault());
    assert!(unreadable.is_some_and(|fault| fault.message.contains("`applies_to` cannot be read")), "{unreadable:?}");
    assert!(set.bound_to(World::Validation, None).is_empty());
}

#[test]
fn a_generation_changes_with_every_setting_and_every_byte() {
    let engine = engine();
    let component = reasonable(World::Retention, "keep-newest.wat");
    let generation = |change: &dyn Fn(&mut backstop_policy::Candidate)| {
        let mut candidate = candidate(World::Retention, component.clone());
        change(&mut candidate);
        load(&engine, candidate).generation().to_owned()
    };
    let plain = generation(&|_| ());
    assert_eq!(generation(&|_| ()), plain);
    assert_ne!(generation(&|candidate| candidate.config.mode = Mode::Shadow), plain);
    assert_ne!(generation(&|candidate| candidate.component = Err("gone".to_owned())), plain);
    assert_ne!(generation(&|candidate| candidate.component.as_mut().expect("bytes").push(0)), plain);
}
