//! Versions of the package: a guest of 1.0 on a host of 1.1, and a guest of 1.1 on this host.
//!
//! `tests/wit/1.1.0` is what a next minor version would look like: 1.0.0 with one more interface that the host offers.

use std::path::Path;

use backstop_model::policy::World;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Store};
use wit_parser::Resolve;

use super::kit::{assert_well, candidate, component, engine, module, reasonable, refusal};

#[allow(missing_docs, reason = "documented in the WIT")]
mod next {
    wasmtime::component::bindgen!({ path: "tests/wit/1.1.0", world: "retention" });
}

use next::exports::backstop::policy::retention_rules::{Backup, Level, ReleaseQuestion};

/// The host of 1.1.
struct Host;

impl next::backstop::policy::types::Host for Host {}

impl next::backstop::policy::log::Host for Host {
    fn write(&mut self, _: next::backstop::policy::log::Severity, _: String) {}
}

impl next::backstop::policy::calendar::Host for Host {
    fn days_of(&mut self, _: i16, month: u8) -> u8 {
        if month == 11 { 30 } else { 31 }
    }
}

/// Asks a component on a host of 1.1, and returns the positions of its verdicts.
fn on_the_next_host(bytes: &[u8], count: u64) -> wasmtime::Result<Vec<u32>> {
    let engine = wasmtime::Engine::new(&Config::new())?;
    let mut linker = Linker::<Host>::new(&engine);
    next::Retention::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    let mut store = Store::new(&engine, Host);
    let component = Component::from_binary(&engine, bytes)?;
    let policy = next::Retention::instantiate(&mut store, &component, &linker)?;
    let local = next::backstop::policy::types::CivilTime {
        year: 2026,
        month: 11,
        day: 21,
        hour: 0,
        minute: 0,
        second: 0,
        weekday: 6,
        offset: 0,
    };
    let backup = |at: u64| Backup {
        created: i64::try_from(at).expect("small"),
        local: i64::try_from(at).expect("small"),
        tiers: 1,
        size: 1,
        complete: true,
        held: false,
        level: Level::Intact,
        copies: 1,
        offsite: false,
        releasable: true,
    };
    let question = ReleaseQuestion {
        now: 0,
        local,
        settings: Vec::new(),
        workload: "docs".to_owned(),
        tier_names: Vec::new(),
        backups: (0..count).map(backup).collect(),
        names: (0..count).map(|at| format!("docs-{at}")).collect::<Vec<_>>().join("\n"),
    };
    let answer = policy.backstop_policy_retention_rules().call_release(&mut store, &question)?;
    Ok(answer.expect("an answer").into_iter().filter(|verdict| verdict.release).map(|verdict| verdict.backup).collect())
}

/// A guest that uses what only 1.1 offers.
fn newer_guest() -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(here.join("tests/wit/1.1.0")).expect("valid");
    let fields = std::fs::read_to_string(here.join("tests/guests/asks-calendar.wat")).expect("the guest");
    component(&resolve, package, "retention", &module(World::Retention, &fields, "1.1.0"))
}

#[test]
fn a_guest_of_1_0_runs_on_a_host_of_1_1() {
    let guest = reasonable(World::Retention, "keep-newest.wat");
    assert_eq!(on_the_next_host(&guest, 10).expect("it runs"), [0, 1, 2]);
}

#[test]
fn a_guest_that_needs_1_1_is_refused_by_this_host_in_words() {
    assert!(on_the_next_host(&newer_guest(), 1).is_ok(), "it runs where it belongs");
    let engine = engine();
    let message = refusal(&engine, candidate(World::Retention, newer_guest()));
    let expected = "it was built for `backstop:policy` 1.1.0 and wants `backstop:policy/calendar@1.1.0`; this agent knows \
                    1.0.0: a newer agent is needed";
    assert_eq!(message, expected);
    assert_well(&engine);
}

/// The fixture is the released package but for what it adds, so that this keeps testing the real interfaces.
#[test]
fn the_next_version_of_these_tests_extends_the_released_one() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("the WIT");
    for file in ["types.wit", "retention.wit"] {
        let released = read(&here.join("../../../wit/1.0.0").join(file)).replace("@1.0.0", "@1.1.0");
        let next = read(&here.join("tests/wit/1.1.0").join(file));
        assert_eq!(next.replace("    import calendar;\n", ""), released, "{file}: copy it anew from wit/1.0.0");
    }
}
