//! How much a decision costs, against the limits that the project sets itself. Thread CPU time, so that it holds on a busy
//! machine; the median of many calls.
//!
//! `cargo run --release -p backstop-policy --example speed`; exit code 1 when a limit is missed.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement reads files and clocks, and prints"
)]

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion, ReleaseVerdict, TiersQuestion};
use backstop_model::policy::validation::{Request, ValidationQuestion};
use backstop_model::policy::{CivilTime, Field, Grants, Mode, PolicyConfig, PolicyLimits, Shown, Value, World};
use backstop_policy::{Candidate, CompiledCache, Engine, EngineOutside, PolicySet, sign};
use rustix::time::{ClockId, clock_gettime};

mod wit {
    wasmtime::component::bindgen!({ path: "../../../wit/1.0.0", world: "retention" });
}

#[allow(dead_code, reason = "only its guests are needed")]
#[path = "../tests/host/kit.rs"]
mod kit;

#[derive(Default)]
struct Shelf(Mutex<HashMap<String, Vec<u8>>>);

impl CompiledCache for Shelf {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }
    fn put(&self, name: &str, bytes: &[u8]) {
        self.0.lock().unwrap().insert(name.to_owned(), bytes.to_owned());
    }
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// The median CPU time of so many runs.
fn median<A>(runs: usize, mut work: impl FnMut() -> A) -> Duration {
    let mut times: Vec<_> = (0..runs)
        .map(|_| {
            let begun = cpu();
            std::hint::black_box(work());
            cpu() - begun
        })
        .collect();
    times.sort_unstable();
    times[runs / 2]
}

struct Table {
    missed: bool,
}

impl Table {
    fn row(&mut self, what: &str, took: Duration, most: Option<Duration>) {
        let verdict = match most {
            Some(most) if took > most => "MISSED",
            Some(_) => "ok",
            None => "",
        };
        self.missed |= verdict == "MISSED";
        let most = most.map(|most| format!("< {most:?}")).unwrap_or_default();
        println!("{what:<58} {:>12} {most:>10} {verdict}", format!("{took:.2?}"));
    }
}

fn component(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../policies").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn candidate(name: &str, world: World, settings: Vec<Field>) -> Candidate {
    let bytes = component(&format!("{name}.wasm"));
    let config = PolicyConfig {
        name: name.parse().unwrap(),
        component: format!("/policies/{name}.wasm").into(),
        sha256: Some(sign::sha256_hex(&bytes)),
        signer: None,
        world,
        applies_to: Vec::new(),
        mode: Mode::Active,
        settings,
        grants: Grants::default(),
        limits: PolicyLimits::of(world),
        promises: Vec::new(),
        origin: "/policies/speed.toml".into(),
    };
    Candidate { config, component: Ok(bytes), manifest: None, signature: None, signer: None }
}

fn engine(shelf: &Arc<Shelf>) -> Engine {
    let start = Instant::now();
    let outside = EngineOutside {
        monotonic: Arc::new(move || start.elapsed()),
        cache: Some(Arc::clone(shelf) as Arc<dyn CompiledCache>),
        cache_key: [0; 32],
    };
    Engine::new(outside).unwrap()
}

fn settings() -> Vec<Field> {
    ["daily", "monthly", "weekly", "yearly"].map(|key| Field::new(key, Value::Whole(7))).to_vec()
}

const NOW: i64 = 1_795_219_200;

fn civil(at: i64) -> CivilTime {
    CivilTime::utc(backstop_model::Timestamp::from_second(at).unwrap())
}

fn backups(count: usize) -> Vec<KeptBackup> {
    let backup = |at: usize| {
        let created = NOW - i64::try_from(count - at).unwrap() * 86_400;
        KeptBackup {
            name: format!("docs-backup-daily-{at:08}-0200"),
            created,
            local: civil(created),
            tiers: 1 | u32::from(at.is_multiple_of(7)) << 1 | u32::from(at.is_multiple_of(30)) << 2,
            size: 1 << 30,
            complete: true,
            held: false,
            level: Shown::Consistent,
            copies: 2,
            offsite: true,
            releasable: true,
        }
    };
    (0..count).map(backup).collect()
}

fn release(count: usize) -> ReleaseQuestion {
    ReleaseQuestion {
        now: NOW,
        local: civil(NOW),
        settings: settings(),
        workload: "docs".parse().unwrap(),
        tier_names: ["daily", "weekly", "monthly"].map(str::to_owned).to_vec(),
        backups: backups(count),
    }
}

fn tiers(count: usize) -> TiersQuestion {
    let ReleaseQuestion { now, local, settings, workload, tier_names, backups } = release(count);
    TiersQuestion { now, local, settings, workload, calendar: vec!["daily".to_owned()], tier_names, backups }
}

fn names() -> Vec<Field> {
    let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    vec![Field::new("names", texts(&["docs", "*-prod"])), Field::new("places", texts(&["vault:*"]))]
}

fn restore(settings: Vec<Field>) -> ValidationQuestion {
    let fields = vec![
        Field::new("from", Value::Text("vault:main".to_owned())),
        Field::new("in-place", Value::Truth(true)),
        Field::new("overwrite", Value::Text("never".to_owned())),
    ];
    ValidationQuestion {
        now: NOW,
        local: civil(NOW),
        settings,
        request: Request {
            verb: "restore".to_owned(),
            workload: Some("docs".parse().unwrap()),
            backup: Some("docs-backup-daily-20261120-0200".to_owned()),
            by: "ada@files-1".to_owned(),
            reason: "a disk died".to_owned(),
            scheduled: false,
            fields,
        },
    }
}

/// A rule of the same kind in native code, for the price of the wall between.
fn native(question: &ReleaseQuestion) -> Vec<ReleaseVerdict> {
    let count = question.backups.len();
    let mut months = std::collections::BTreeSet::new();
    let judged = question.backups.iter().enumerate().rev().map(|(at, backup)| {
        let first = months.insert((backup.local.year, backup.local.month));
        let release = backup.releasable && at + 7 < count && !(first && months.len() <= 7);
        let reason = if release { "older than what is kept" } else { "kept" };
        ReleaseVerdict { backup: u32::try_from(at).unwrap(), release, reason: reason.to_owned() }
    });
    judged.collect()
}

/// What one live instance adds to the process's memory, after one call over 100 backups.
fn memory_per_instance() -> u64 {
    struct Host;
    impl wit::backstop::policy::types::Host for Host {}
    impl wit::backstop::policy::log::Host for Host {
        fn write(&mut self, _: wit::backstop::policy::log::Severity, _: String) {}
    }
    use wit::exports::backstop::policy::retention_rules as rules;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let engine = wasmtime::Engine::default();
    let mut linker = wasmtime::component::Linker::<Host>::new(&engine);
    wit::Retention::add_to_linker::<_, wasmtime::component::HasSelf<Host>>(&mut linker, |host| host).unwrap();
    let component = wasmtime::component::Component::from_binary(&engine, &component("gfs.wasm")).unwrap();
    let pre = wit::RetentionPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    let wit_civil = |time: CivilTime| {
        let CivilTime { year, month, day, hour, minute, second, weekday, offset } = time;
        wit::backstop::policy::types::CivilTime { year, month, day, hour, minute, second, weekday, offset }
    };
    let asked = release(100);
    let kept = |backup: &KeptBackup| rules::Backup {
        created: backup.created,
        local: backup.created + i64::from(backup.local.offset),
        tiers: backup.tiers,
        size: backup.size,
        complete: true,
        held: false,
        level: rules::Level::Consistent,
        copies: 2,
        offsite: true,
        releasable: true,
    };
    let question = rules::ReleaseQuestion {
        now: asked.now,
        local: wit_civil(asked.local),
        settings: Vec::new(),
        workload: "docs".to_owned(),
        tier_names: asked.tier_names.clone(),
        backups: asked.backups.iter().map(kept).collect(),
        names: asked.backups.iter().map(|backup| backup.name.as_str()).collect::<Vec<_>>().join("\n"),
    };
    let live = |count: usize| {
        let instance = |_| {
            let mut store = wasmtime::Store::new(&engine, Host);
            let policy = pre.instantiate(&mut store).unwrap();
            let _ = policy.backstop_policy_retention_rules().call_release(&mut store, &question).unwrap();
            store
        };
        (0..count).map(instance).collect::<Vec<_>>()
    };
    drop(live(2));
    let before = resident();
    let stores = live(64);
    let grown = resident() - before;
    drop(stores);
    grown / 64
}

fn main() -> ExitCode {
    let mut table = Table { missed: false };
    let shelf = Arc::new(Shelf::default());
    let bound = || {
        vec![
            candidate("gfs", World::Retention, settings()),
            candidate("two-person", World::Validation, Vec::new()),
            candidate("naming-and-residency", World::Validation, Vec::new()),
        ]
    };
    let begun = cpu();
    let set = PolicySet::load(&engine(&shelf), bound());
    table.row("compile and load three Rust policies", cpu() - begun, None);
    let engine = engine(&shelf);
    let one = || vec![candidate("gfs", World::Retention, settings())];
    let millis = |millis| Some(Duration::from_millis(millis));
    let micros = |micros| Some(Duration::from_micros(micros));
    let load = median(200, || PolicySet::load(&engine, one()));
    table.row("load one from the cache", load, millis(5));

    let gfs = set.get(&"gfs".parse().unwrap()).unwrap();
    let two = set.get(&"two-person".parse().unwrap()).unwrap();
    let naming = set.get(&"naming-and-residency".parse().unwrap()).unwrap();
    for policy in set.policies() {
        assert_eq!(policy.fault(), None);
    }
    for (count, runs, most) in [(1, 2000, None), (100, 2000, micros(60)), (10_000, 100, millis(3))] {
        let question = release(count);
        let asked = gfs.ask_release(&question);
        let verdicts = asked.answer.expect("an answer").len();
        let what = format!("release, gfs, {count} backups, {verdicts} verdicts, fuel {}", asked.fuel);
        table.row(&what, median(runs, || gfs.ask_release(&question)), most);
        table.row("  the same kind of rule in native code", median(runs, || native(&question)), None);
    }
    let small = kit::candidate(World::Retention, kit::reasonable(World::Retention, "keep-newest.wat"));
    let small = PolicySet::load(&engine, vec![small]);
    let small = small.policies().next().unwrap();
    for (count, runs) in [(1, 2000), (100, 2000), (10_000, 100)] {
        let question = release(count);
        let fuel = small.ask_release(&question).fuel;
        let what = format!("release, written by hand, {count} backups, fuel {fuel}");
        table.row(&what, median(runs, || small.ask_release(&question)), None);
    }
    let (question, released) = (tiers(100), release(100));
    table.row("tiers, gfs, 100 backups", median(2000, || gfs.ask_tiers(&question)), micros(60));
    let (asked, named) = (restore(Vec::new()), restore(names()));
    for answer in [two.ask_validation(&asked).answer, naming.ask_validation(&named).answer] {
        answer.expect("an answer");
    }
    table.row("validation, two-person", median(2000, || two.ask_validation(&asked)), micros(40));
    table.row("validation, naming-and-residency", median(2000, || naming.ask_validation(&named)), micros(40));

    let begun = cpu();
    for _ in 0..1000 {
        std::hint::black_box(gfs.ask_tiers(&question));
        std::hint::black_box(gfs.ask_release(&released));
        std::hint::black_box(two.ask_validation(&asked));
        std::hint::black_box(naming.ask_validation(&named));
    }
    table.row("1,000 workloads, 4 decisions each, 100 backups", cpu() - begun, millis(500));
    println!("{:<58} {:>8} KiB", "memory per live instance of gfs", memory_per_instance());
    if table.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
