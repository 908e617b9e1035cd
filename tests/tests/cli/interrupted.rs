//! Signals, and two processes at once.

use std::path::PathBuf;
use std::time::Duration;

use backstop_tests::{Answer, Site, Started, facts};

/// A copy that waits, in the middle of its run, for the key of the other vault until a file appears.
struct Gate {
    reached: PathBuf,
    open: PathBuf,
}

impl Gate {
    /// Puts the gate before the key of vault `offsite`.
    fn at(site: &Site) -> Self {
        let gate = Gate { reached: site.path("gate-reached"), open: site.path("gate-open") };
        let key = site.text("keys/offsite.key");
        let script = format!(
            "#!/bin/sh\n: > {}\nn=0\nwhile [ ! -e {} ] && [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done\ncat {key}\n",
            gate.reached.display(),
            gate.open.display()
        );
        let script = site.write("gate.sh", script);
        backstop_tests::machine::call("chmod", &[&"755", &script]);
        site.edit(&format!("file:{key}"), &format!("command:{}", script.display()));
        gate
    }

    /// Closes the gate, starts a copy, and returns when it stands before it.
    fn hold(&self, site: &Site) -> Started {
        let _ = std::fs::remove_file(&self.open);
        let _ = std::fs::remove_file(&self.reached);
        let started = site.start(&["backup", "replicate-all", "docs"]);
        wait_until("the copy has begun", || self.reached.exists());
        started
    }

    fn open(&self) {
        std::fs::write(&self.open, "").expect("opened");
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain until {what}");
}

#[track_caller]
fn open_run(site: &Site) -> String {
    let open = site.json(&["run", "list", "--open"]);
    let runs = open["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1, "one run stays open: {open}");
    runs[0]["run"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn is_stopped(site: &Site, answer: &Answer, code: i32) {
    assert_eq!(answer.code, code, "{answer}");
    answer.says(&["interrupted", "hint:", &open_run(site)]);
}

/// ^C once: a clean stop with the run left open; the same command completes it.
#[test]
fn an_interrupted_copy_stops_cleanly_and_the_same_command_completes() {
    let site = Site::new();
    let gate = Gate::at(&site);
    for (round, signal, code) in [(1, "INT", 130), (2, "TERM", 143)] {
        site.write("srv/docs/round", round.to_string());
        let before = facts::of(&site.tree());
        let name = site.backup();
        let started = gate.hold(&site);
        started.signal(signal);
        gate.open();
        is_stopped(&site, &started.wait(), code);
        site.ok(&["backup", "replicate-all", "docs"]);
        assert!(site.open_runs().is_empty(), "{:?}", site.open_runs());
        facts::assert_same(&before, &facts::of(&site.restored(&name, &["--from", "vault:offsite"])), signal);
    }
}

/// ^C in the middle of a backup, wherever it meets it.
#[test]
fn an_interrupted_backup_stops_cleanly_and_the_same_command_completes() {
    let site = Site::new();
    let mut met = false;
    for round in 0..20_u32 {
        // Each round has more to do than the one before, so that a busy machine gets its signal through too.
        for at in 0..16 * (round + 1) {
            let mut bytes = vec![0; 1_000_000];
            let mut seed = blake3::Hasher::new();
            seed.update(&[round.to_le_bytes(), at.to_le_bytes()].concat()).finalize_xof().fill(&mut bytes);
            site.write(&format!("srv/docs/noise-{at}"), bytes);
        }
        let mut started = site.start(&["backup", "trigger", "docs"]);
        wait_until("the backup has begun", || !site.open_runs().is_empty() || !started.is_running());
        started.signal("INT");
        let answer = started.wait();
        // It may have been quicker than the signal; then once more.
        met = answer.code != 0;
        if met {
            is_stopped(&site, &answer, 130);
            break;
        }
    }
    assert!(met, "twenty backups were quicker than the signal");
    let before = facts::of(&site.tree());
    let name = site.backup();
    assert!(site.open_runs().is_empty());
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "after the interruption");
}

/// ^C twice ends at once; the next command needs no waiting.
#[test]
fn a_second_interrupt_ends_at_once_and_nothing_waits_for_it() {
    let site = Site::new();
    let gate = Gate::at(&site);
    let name = site.backup();
    let mut started = gate.hold(&site);
    started.signal("INT");
    std::thread::sleep(Duration::from_millis(50));
    assert!(started.is_running(), "the first only asks, and the gate is closed");
    started.signal("INT");
    wait_until("it has ended", || !started.is_running());
    assert_eq!(started.wait().code, 130);
    gate.open();
    site.ok(&["backup", "replicate-all", "docs"]);
    site.restored(&name, &["--from", "vault:offsite"]);
    assert!(site.open_runs().is_empty());
}

/// An interrupted run is resumed or cancelled by name as well.
#[test]
fn an_interrupted_run_is_resumed_or_cancelled_by_name() {
    let site = Site::new();
    let gate = Gate::at(&site);
    site.backup();
    for (verb, code) in [("cancel", 6), ("resume", 0)] {
        let started = gate.hold(&site);
        started.signal("INT");
        gate.open();
        is_stopped(&site, &started.wait(), 130);
        let open = open_run(&site);
        let _ = site.run(&["run", verb, &open, "--reason", "asked for"]).expect(code);
        assert!(site.open_runs().is_empty());
        site.fails(2, &["run", verb, &open]);
    }
    let copies = site.json(&["backup", "list"]);
    assert_eq!(copies["backups"][0]["copies"].as_array().map(Vec::len), Some(2), "{copies}");
}

/// Two processes on one workload: the second is told who is at it; on two workloads both succeed; readers always do.
#[test]
fn two_processes_share_the_catalog_but_not_a_workload() {
    let site = Site::new();
    site.add_workload("other", "");
    site.write("srv/other/file", "x");
    let gate = Gate::at(&site);
    site.backup();
    let started = gate.hold(&site);
    for verb in [
        &["backup", "trigger", "docs"][..],
        &["backup", "verify-all", "docs"],
        &["dr", "test", "docs"],
        &["backup", "restore", "docs", "--yes"],
        &["vault", "prune", "main", "--at-once", "--yes"],
    ] {
        site.fails(11, verb).says(&["hint:"]);
    }
    site.backup_of("other");
    for question in [&["backup", "list"][..], &["status"], &["agenda"], &["run", "list"], &["vault", "status", "main"]]
    {
        site.ok(question);
    }
    gate.open();
    let _ = started.wait().expect(0);
    site.backup();
    assert!(site.open_runs().is_empty());
    site.ok(&["backup", "verify-all"]);
}

/// Eight at once on one workload: each makes a good backup or is told who is at it; nothing breaks.
#[test]
fn many_at_once_leave_one_good_backup_each() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let all: Vec<Started> = (0..8).map(|_| site.start(&["backup", "trigger", "docs"])).collect();
    let mut made = 0;
    for started in all {
        let answer = started.wait();
        match answer.code {
            0 => made += 1,
            11 => {}
            _ => panic!("{answer}"),
        }
    }
    let names = site.names();
    assert!(made >= 1 && names.len() == made, "{made} said so, {names:?}");
    for name in &names {
        facts::assert_same(&before, &facts::of(&site.restored(name, &[])), name);
    }
    assert!(site.open_runs().is_empty());
    assert_eq!(site.json(&["audit", "verify"])["whole"], true);
}
