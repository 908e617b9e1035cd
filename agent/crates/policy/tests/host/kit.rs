//! Guests written by hand, made into components without any toolchain, and an engine to run them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion, ReleaseVerdict, TiersQuestion};
use backstop_model::policy::validation::{Request, ValidationQuestion};
use backstop_model::policy::{
    Asked, CivilTime, Fault, FaultKind, Field, Grants, Mode, PolicyConfig, PolicyLimits, Shown, World,
};
use backstop_model::time::Span;
use backstop_policy::{Candidate, CompiledCache, Engine, EngineOutside, Policy, PolicySet, sign};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What every hand-written guest begins with: its log, memory, and an allocator that never frees. The first 4 KiB belong to
/// the guest's own data.
const PRELUDE: &str = include_str!("../guests/prelude.wat");

/// A component for a world of `wit/1.0.0` from the fields of a core module. An exported function that is missing answers
/// with zeros, which is an empty answer in every world.
pub fn guest(world: World, fields: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/1.0.0");
    let (package, _) = resolve.push_dir(folder).expect("the WIT is valid");
    component(&resolve, package, world.word(), &module(world, fields, "1.0.0"))
}

/// The text of a core module for a world.
pub fn module(world: World, fields: &str, version: &str) -> String {
    let functions: &[&str] = match world {
        World::Retention => &["retention-rules#tiers", "retention-rules#release"],
        World::Validation => &["validation-rules#check"],
        World::AlertSink => &["alert-delivery#deliver"],
        World::HealthCheck => &["health-rules#check"],
    };
    let mut text = PRELUDE.to_owned();
    for function in functions {
        let (interface, name) = function.split_once('#').expect("an interface and a function");
        let export = format!("backstop:policy/{interface}@{version}#{name}");
        if fields.contains(&format!("(export \"{name}\")")) {
            continue;
        }
        // A small question is not passed in memory.
        let question =
            if world == World::HealthCheck { "i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32" } else { "i32" };
        text += &format!("(func (export \"{export}\") (param {question}) (result i32) (i32.const 64))\n");
    }
    let mut fields = fields.to_owned();
    for function in functions {
        let (interface, name) = function.split_once('#').expect("an interface and a function");
        let export = format!("backstop:policy/{interface}@{version}#{name}");
        fields = fields.replace(&format!("(export \"{name}\")"), &format!("(export \"{export}\")"));
    }
    // Imports come first in a module.
    let (imports, rest): (Vec<&str>, Vec<&str>) = fields.lines().partition(|line| line.starts_with("(import "));
    format!("(module\n{}\n{text}\n{}\n)", imports.join("\n"), rest.join("\n")).replace("@1.0.0", &format!("@{version}"))
}

/// A component from a core module's text and a world.
pub fn component(resolve: &Resolve, package: wit_parser::PackageId, world: &str, module: &str) -> Vec<u8> {
    let world = resolve.select_world(&[package], Some(world)).expect("a world of the package");
    let mut core = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    embed_component_metadata(&mut core, resolve, world, StringEncoding::UTF8).expect("metadata");
    let mut encoder = ComponentEncoder::default().validate(true).module(&core).expect("a module for this world");
    encoder.encode().unwrap_or_else(|error| panic!("{error:?}\n{module}"))
}

/// A hostile guest by its file's name.
pub fn hostile(world: World, name: &str) -> Vec<u8> {
    guest(world, &source("hostile", name))
}

/// A reasonable guest by its file's name.
pub fn reasonable(world: World, name: &str) -> Vec<u8> {
    guest(world, &source("guests", name))
}

fn source(folder: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A cache in memory that can be looked into and tampered with.
#[derive(Default)]
pub struct Shelf {
    pub entries: Mutex<HashMap<String, Vec<u8>>>,
    pub puts: Mutex<u32>,
}

impl CompiledCache for Shelf {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.entries.lock().expect("not poisoned").get(name).cloned()
    }
    fn put(&self, name: &str, bytes: &[u8]) {
        *self.puts.lock().expect("not poisoned") += 1;
        self.entries.lock().expect("not poisoned").insert(name.to_owned(), bytes.to_owned());
    }
}

pub fn engine() -> Engine {
    engine_with(None, [3; 32])
}

pub fn engine_with(cache: Option<Arc<Shelf>>, cache_key: [u8; 32]) -> Engine {
    let start = Instant::now();
    let outside = EngineOutside {
        monotonic: Arc::new(move || start.elapsed()),
        cache: cache.map(|shelf| shelf as Arc<dyn CompiledCache>),
        cache_key,
    };
    Engine::new(outside).expect("an engine")
}

/// What binds a component, by its digest.
pub fn binding(world: World, component: &[u8]) -> PolicyConfig {
    PolicyConfig {
        name: "under-test".parse().expect("a name"),
        component: PathBuf::from("/etc/backstop/policies/under-test.wasm"),
        sha256: Some(sign::sha256_hex(component)),
        signer: None,
        world,
        applies_to: Vec::new(),
        mode: Mode::Active,
        settings: Vec::new(),
        grants: Grants::default(),
        limits: PolicyLimits { time: Span::from_millis(300), memory: 16 << 20 },
        promises: Vec::new(),
        origin: PathBuf::from("/etc/backstop/policies/under-test.toml"),
    }
}

pub fn candidate(world: World, component: Vec<u8>) -> Candidate {
    let config = binding(world, &component);
    Candidate { config, component: Ok(component), manifest: None, signature: None, signer: None }
}

/// A set of one policy.
pub fn load(engine: &Engine, candidate: Candidate) -> PolicySet {
    PolicySet::load(engine, vec![candidate])
}

pub fn only(set: &PolicySet) -> &Policy {
    set.policies().next().expect("one policy")
}

/// The fault of a policy that must not load.
#[track_caller]
pub fn refusal(engine: &Engine, candidate: Candidate) -> String {
    let set = load(engine, candidate);
    let fault = only(&set).fault().expect("it is refused").clone();
    assert_eq!(fault.kind, FaultKind::NotLoaded);
    assert_one_line(&fault);
    fault.message
}

/// Why there was no answer, in words fit for an operator.
#[track_caller]
pub fn fault_of<A: std::fmt::Debug>(asked: &Asked<A>) -> &Fault {
    let fault = asked.answer.as_ref().expect_err("a fault");
    assert_one_line(fault);
    fault
}

#[track_caller]
fn assert_one_line(fault: &Fault) {
    let message = &fault.message;
    assert!(!message.is_empty() && message.len() < 2000, "{message}");
    assert!(!message.chars().any(char::is_control) && !message.ends_with('.'), "{message:?}");
}

pub fn civil() -> CivilTime {
    CivilTime { year: 2026, month: 11, day: 21, hour: 2, minute: 0, second: 0, weekday: 6, offset: 3600 }
}

/// A day is 86,400 s; the newest backup is 2026-11-20.
pub fn backups(count: usize) -> Vec<KeptBackup> {
    let day = 86_400;
    let first = 1_795_132_800 - i64::try_from(count).expect("small") * day;
    let backup = |at: usize| KeptBackup {
        name: format!("docs-backup-daily-{at:08}-0200"),
        created: first + i64::try_from(at).expect("small") * day,
        local: CivilTime { day: u8::try_from(at % 28 + 1).expect("small"), ..civil() },
        tiers: 1,
        size: 1 << 30,
        complete: true,
        held: false,
        level: Shown::Consistent,
        copies: 2,
        offsite: true,
        releasable: true,
    };
    (0..count).map(backup).collect()
}

pub fn release_question(count: usize) -> ReleaseQuestion {
    ReleaseQuestion {
        now: 1_795_219_200,
        local: civil(),
        settings: Vec::new(),
        workload: "docs".parse().expect("a name"),
        tier_names: ["daily", "weekly", "monthly"].map(str::to_owned).to_vec(),
        backups: backups(count),
    }
}

pub fn tiers_question(count: usize) -> TiersQuestion {
    let ReleaseQuestion { now, local, settings, workload, tier_names, backups } = release_question(count);
    TiersQuestion { now, local, settings, workload, calendar: vec!["daily".to_owned()], tier_names, backups }
}

pub fn validation_question(reason: &str, fields: Vec<Field>) -> ValidationQuestion {
    ValidationQuestion {
        now: 1_795_219_200,
        local: civil(),
        settings: Vec::new(),
        request: Request {
            verb: "restore".to_owned(),
            workload: Some("docs".parse().expect("a name")),
            backup: None,
            by: "ada@example".to_owned(),
            reason: reason.to_owned(),
            scheduled: false,
            fields,
        },
    }
}

/// A hostile plugin has done its worst; another one on the same engine still gives its answer, at once.
#[track_caller]
pub fn assert_well(engine: &Engine) {
    let set = load(engine, candidate(World::Retention, reasonable(World::Retention, "keep-newest.wat")));
    let begun = Instant::now();
    let asked = only(&set).ask_release(&release_question(10));
    let released = |verdicts: &[ReleaseVerdict]| verdicts.iter().filter(|verdict| verdict.release).count();
    assert_eq!(asked.answer.as_deref().map(released), Ok(3), "the newest seven of ten are kept");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
