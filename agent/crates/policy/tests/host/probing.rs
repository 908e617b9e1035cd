//! Health checks look at the restored system, as far as they are granted to, and at nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop_model::policy::health::{Health, HealthAnswer, HealthQuestion};
use backstop_model::policy::{ProbeGrant, World};
use backstop_policy::{FileFacts, ProbeFailure, ProbeFailureKind, ProbeResponse, Probes, ProgramEnd};

use super::kit::{candidate, engine, guest, load, only, reasonable};

/// A restored tree with one file; everything else is out of reach.
#[derive(Default)]
struct Tree {
    asked: Mutex<Vec<(String, u32, Duration)>>,
    lacks: bool,
}

fn nothing<A>() -> Result<A, ProbeFailure> {
    Err(ProbeFailure { kind: ProbeFailureKind::NotAvailable, message: "a tree has no ports".to_owned() })
}

impl Probes for Tree {
    fn tcp(&self, _: u16, _: &[u8], _: u32, _: Duration) -> Result<Vec<u8>, ProbeFailure> {
        nothing()
    }
    fn http(&self, _: u16, _: &str, _: &[(String, String)], _: Duration) -> Result<ProbeResponse, ProbeFailure> {
        nothing()
    }
    fn run(&self, _: &[String], _: Duration) -> Result<ProgramEnd, ProbeFailure> {
        nothing()
    }
    fn stat(&self, _: &str, _: Duration) -> Result<Option<FileFacts>, ProbeFailure> {
        nothing()
    }
    fn read(&self, path: &str, _: u64, length: u32, left: Duration) -> Result<Vec<u8>, ProbeFailure> {
        self.asked.lock().expect("not poisoned").push((path.to_owned(), length, left));
        if self.lacks {
            let message = "no such file:\n/tmp/restore-7/plan.txt".to_owned();
            return Err(ProbeFailure { kind: ProbeFailureKind::Invalid, message });
        }
        Ok(b"the plan".to_vec())
    }
    fn entries(&self, _: &str, _: Duration) -> Result<Vec<String>, ProbeFailure> {
        nothing()
    }
    fn serial_log(&self, _: u32, _: Duration) -> Result<String, ProbeFailure> {
        nothing()
    }
}

fn question() -> HealthQuestion {
    HealthQuestion {
        now: 1_795_219_200,
        settings: Vec::new(),
        workload: "docs".parse().expect("a name"),
        kind: "files".to_owned(),
        backup: "docs-backup-daily-20261120-0200".parse().expect("a name"),
        created: 1_795_132_800,
        paths: vec!["/srv/docs".to_owned()],
    }
}

fn check(grants: Vec<ProbeGrant>, tree: &Arc<Tree>) -> HealthAnswer {
    let engine = engine();
    let mut bound = candidate(World::HealthCheck, reasonable(World::HealthCheck, "reads-a-file.wat"));
    bound.config.grants.probes = grants;
    let set = load(&engine, bound);
    only(&set).check_health(&question(), Arc::clone(tree) as Arc<dyn Probes>).answer.expect("an answer")
}

#[test]
fn a_granted_probe_brings_what_is_there_within_size_and_time() {
    let tree = Arc::new(Tree::default());
    let answer = check(vec![ProbeGrant::Tcp(22), ProbeGrant::File], &tree);
    assert_eq!((answer.health, answer.findings[0].detail.as_str()), (Health::Healthy, "the plan"));
    let asked = tree.asked.lock().expect("not poisoned");
    let (path, length, left) = &asked[0];
    assert_eq!((path.as_str(), *length), ("/srv/docs/plan.txt", 1 << 20), "it wanted 4 GiB");
    assert!(*left <= Duration::from_millis(300), "{left:?}");
}

#[test]
fn a_probe_that_is_not_granted_is_not_made() {
    let tree = Arc::new(Tree::default());
    let answer = check(vec![ProbeGrant::Tcp(22), ProbeGrant::Serial], &tree);
    let detail = "`file` is not granted (`grants.probes`)";
    assert_eq!((answer.health, answer.findings[0].detail.as_str()), (Health::Unhealthy, detail));
    assert!(tree.asked.lock().expect("not poisoned").is_empty());
}

/// The plugin says `healthy` with a finding that did not pass: that is unhealthy. What the probe says is one line.
#[test]
fn healthy_with_a_finding_that_did_not_pass_is_unhealthy() {
    let tree = Arc::new(Tree { lacks: true, ..Tree::default() });
    let answer = check(vec![ProbeGrant::File], &tree);
    let detail = r"no such file:\n/tmp/restore-7/plan.txt";
    assert_eq!((answer.health, answer.findings[0].detail.as_str()), (Health::Unhealthy, detail));
}

#[test]
fn healthy_without_having_looked_at_anything_is_unknown() {
    let engine = engine();
    let set = load(&engine, candidate(World::HealthCheck, guest(World::HealthCheck, "")));
    let answer = only(&set).check_health(&question(), Arc::new(Tree::default())).answer.expect("an answer");
    assert_eq!((answer.health, answer.findings), (Health::Unknown, Vec::new()));
}
