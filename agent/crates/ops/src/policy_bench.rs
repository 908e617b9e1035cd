//! `policy bench`: how long a call takes, with a fresh instance each, as every call has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop_model::Fault;
use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion, TiersQuestion};
use backstop_model::policy::validation::{Request, ValidationQuestion};
use backstop_model::policy::{Asked, CivilTime, Fault as PolicyFault, Shown, World};
use backstop_policy::Policy;
use serde::Serialize;

use crate::context::Outside;
use crate::policy_ask::{loose, only};
use crate::policy_test::engine;

/// How long each question is repeated.
const FOR: Duration = Duration::from_millis(400);
const DAY: i64 = 86_400;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Benched {
    /// The component.
    pub component: PathBuf,
    /// Reading, checking and compiling it, or fetching it compiled, in microseconds.
    pub load_micros: u64,
    /// Question by question.
    pub questions: Vec<Timed>,
}

/// One question.
#[derive(Debug, Clone, Serialize)]
pub struct Timed {
    /// What was asked.
    pub question: String,
    /// How often.
    pub calls: u32,
    /// The median of the calls, in microseconds of wall clock.
    pub median_micros: f64,
    /// The slowest but one in a hundred.
    pub p99_micros: f64,
    /// Instructions of the guest.
    pub fuel: u64,
    /// Why there was no answer, if there was none.
    pub fault: Option<String>,
}

/// Measures a component of a pure world.
///
/// # Errors
/// A file that is no policy, or of a world that depends on what is outside.
pub fn bench(outside: &Outside, state_dir: Option<&Path>, component: &Path) -> Result<Benched, Fault> {
    let engine = engine(outside, state_dir)?;
    let began = outside.clock.monotonic();
    let set = loose(outside, &engine, component, None)?;
    let policy = only(&set)?;
    let load = outside.clock.monotonic().saturating_sub(began);
    let mut questions = Vec::new();
    match policy.config().world {
        World::Retention => {
            for count in [1, 100, 10_000] {
                let release = release(count);
                questions.push(timed(outside, &format!("release of {count} backups"), || policy.ask_release(&release)));
            }
            let tiers = tiers(100);
            questions.push(timed(outside, "tiers with 100 backups", || policy.ask_tiers(&tiers)));
        }
        World::Validation => {
            let check = check();
            questions.push(timed(outside, "one request", || policy.ask_validation(&check)));
        }
        world @ (World::AlertSink | World::HealthCheck) => {
            return Err(Fault::usage(
                format!("how long a policy of the world {world} takes depends on what it talks to"),
                "retention and validation can be measured",
            ));
        }
    }
    let load_micros = u64::try_from(load.as_micros()).unwrap_or(u64::MAX);
    Ok(Benched { component: component.to_owned(), load_micros, questions })
}

/// Asks a policy of a pure world the simplest question with its own settings: how it fails at all it fails there.
pub(crate) fn simplest(policy: &Policy, now: backstop_model::Timestamp) -> Option<PolicyFault> {
    let settings = policy.config().settings.clone();
    let (seconds, local) = (now.as_second(), CivilTime::utc(now));
    match policy.config().world {
        World::Retention => {
            let tiers =
                TiersQuestion { now: seconds, local, settings: settings.clone(), backups: Vec::new(), ..tiers(0) };
            let release = ReleaseQuestion { now: seconds, local, settings, backups: Vec::new(), ..release(0) };
            policy.ask_tiers(&tiers).answer.err().or_else(|| policy.ask_release(&release).answer.err())
        }
        World::Validation => {
            policy.ask_validation(&ValidationQuestion { now: seconds, local, settings, ..check() }).answer.err()
        }
        World::AlertSink | World::HealthCheck => None,
    }
}

fn timed<A>(outside: &Outside, question: &str, ask: impl Fn() -> Asked<A>) -> Timed {
    let clock = &outside.clock;
    let (mut calls, mut fuel, mut fault) = (Vec::new(), 0, None);
    let began = clock.monotonic();
    while calls.len() < 10 || (clock.monotonic().saturating_sub(began) < FOR && calls.len() < 20_000) {
        let before = clock.monotonic();
        let asked = ask();
        calls.push(clock.monotonic().saturating_sub(before).as_nanos());
        fuel = asked.fuel;
        fault = asked.answer.err().map(|fault| fault.message);
    }
    calls.sort_unstable();
    let micros = |nanos: u128| nanos as f64 / 1000.0;
    Timed {
        question: question.to_owned(),
        calls: u32::try_from(calls.len()).unwrap_or(u32::MAX),
        median_micros: micros(calls[calls.len() / 2]),
        p99_micros: micros(calls[(calls.len() * 99 / 100).min(calls.len() - 1)]),
        fuel,
        fault,
    }
}

/// The present of every question: a Wednesday in the middle of a day.
const NOW: i64 = 1_779_278_400;

fn civil(at: i64) -> CivilTime {
    CivilTime::utc(backstop_model::Timestamp::from_second(at).expect("in range"))
}

fn backups(count: u32) -> Vec<KeptBackup> {
    let one = |index: u32| {
        let created = NOW - i64::from(count - index) * DAY;
        KeptBackup {
            name: format!("docs-backup-daily-{index:05}"),
            created,
            local: civil(created),
            tiers: 1 | u32::from(index.is_multiple_of(7)) << 1 | u32::from(index.is_multiple_of(30)) << 2,
            size: 1 << 30,
            complete: true,
            held: false,
            level: Shown::Consistent,
            copies: 2,
            offsite: true,
            releasable: index + 30 < count,
        }
    };
    (0..count).map(one).collect()
}

fn names() -> Vec<String> {
    ["daily", "weekly", "monthly"].map(str::to_owned).to_vec()
}

fn release(count: u32) -> ReleaseQuestion {
    ReleaseQuestion {
        now: NOW,
        local: civil(NOW),
        settings: Vec::new(),
        workload: "docs".parse().expect("a valid name"),
        tier_names: names(),
        backups: backups(count),
    }
}

fn tiers(count: u32) -> TiersQuestion {
    TiersQuestion {
        now: NOW,
        local: civil(NOW),
        settings: Vec::new(),
        workload: "docs".parse().expect("a valid name"),
        calendar: vec!["daily".to_owned()],
        tier_names: names(),
        backups: backups(count),
    }
}

fn check() -> ValidationQuestion {
    let request = Request {
        verb: "restore".to_owned(),
        workload: Some("docs".parse().expect("a valid name")),
        backup: Some("docs-backup-daily-00001".to_owned()),
        by: "ann@ops".to_owned(),
        reason: "measured".to_owned(),
        scheduled: false,
        fields: Vec::new(),
    };
    ValidationQuestion { now: NOW, local: civil(NOW), settings: Vec::new(), request }
}
