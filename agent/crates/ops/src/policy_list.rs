//! `policy list` and `policy inspect`: which policies there are, whether they are in force, and what holds where they
//! are not.

use std::path::{Path, PathBuf};

use backstop_model::config::Workload;
use backstop_model::policy::standing::SteppedBack;
use backstop_model::policy::validation::{Request, Ruling};
use backstop_model::policy::{CivilTime, Fault as PolicyFault, FaultKind, PolicyConfig, World};
use backstop_model::{Advice, ExitCode, Fault, PolicyName, Timestamp, WorkloadName};
use backstop_planner::Calendar;
use backstop_policy::{Facts, Manifest, Policy, PolicySet};
use serde::Serialize;

use crate::context::{Context, Outside};
use crate::gate::{load, question, record, validation};

/// The policies of the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The configuration and components in force, in one word.
    pub generation: String,
    /// By name.
    pub policies: Vec<Shown>,
}

/// One policy.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: PolicyName,
    /// What it decides.
    pub world: World,
    /// How far it is in force, as the configuration says.
    pub mode: String,
    /// Patterns over workloads; empty for all.
    pub applies_to: Vec<String>,
    /// How it stands.
    pub standing: Standing,
    /// Why it is not in force, or stepped back; in one line.
    pub why: Option<String>,
    /// What holds while it finds no answer.
    pub safe_default: &'static str,
    /// SHA-256 of the component; empty when it cannot be read.
    pub digest: String,
    /// What is configured.
    pub config: PolicyConfig,
    /// What can be told of the component.
    pub facts: Option<Facts>,
    /// Faults in a row.
    pub faults: u32,
    /// The newest fault.
    pub last_fault: Option<(Timestamp, PolicyFault)>,
    /// Since when and why it is back in shadow.
    pub stepped_back: Option<SteppedBack>,
}

/// How a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its answers count, where its mode says so.
    InForce,
    /// Asked and recorded only.
    Shadow,
    /// It failed too often.
    SteppedBack,
    /// It could not be loaded.
    NotLoaded,
}

impl Standing {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Standing::InForce => "in force",
            Standing::Shadow => "shadow",
            Standing::SteppedBack => "stepped back",
            Standing::NotLoaded => "NOT IN FORCE",
        }
    }
}

/// What holds where a policy of a world finds no answer.
#[must_use]
pub const fn safe_default(world: World) -> &'static str {
    match world {
        World::Retention => "the calendar alone gives tiers, and everything is kept",
        World::Validation => "every request it is bound to is refused",
        World::AlertSink => "alerts are tried again, then kept and logged",
        World::HealthCheck => "health is unknown, which is not a pass",
    }
}

/// Every policy of the configuration; loads all of them.
///
/// # Errors
/// When no engine can be made, or the catalog cannot be read.
pub fn list(ctx: &Context) -> Result<Listed, Fault> {
    let mut policies = Vec::new();
    for world in World::ALL {
        if ctx.config.policies.values().any(|policy| policy.world == world) {
            for policy in load::policies(ctx, world)?.policies() {
                policies.push(shown(ctx, policy)?);
            }
        }
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listed { generation: load::generation(ctx), policies })
}

/// One policy of the configuration.
///
/// # Errors
/// `NotFound` with the names there are.
pub fn named(ctx: &Context, name: &PolicyName) -> Result<Shown, Fault> {
    let config = configured(ctx, name)?;
    let set = load::policies(ctx, config.world)?;
    let policy = set.get(name).ok_or_else(|| unknown(ctx, name))?;
    shown(ctx, policy)
}

/// What binds a policy.
///
/// # Errors
/// `NotFound` with the names there are.
pub(crate) fn configured<'c>(ctx: &'c Context, name: &PolicyName) -> Result<&'c PolicyConfig, Fault> {
    ctx.config.policies.get(name).ok_or_else(|| unknown(ctx, name))
}

fn unknown(ctx: &Context, name: &PolicyName) -> Fault {
    let known: Vec<&str> = ctx.config.policies.keys().map(PolicyName::as_str).collect();
    let hint = match known.len() {
        0 => "none is configured: `[policy.NAME]` in `policies/*.toml` binds one".to_owned(),
        _ => format!("configured are: {}", known.join(", ")),
    };
    Fault::not_found(format!("there is no policy `{name}`"), hint)
}

fn shown(ctx: &Context, policy: &Policy) -> Result<Shown, Fault> {
    let config = policy.config();
    let known = record::standing(ctx, policy)?;
    let standing = match (policy.fault(), &known.stepped_back, config.mode) {
        (Some(_), ..) => Standing::NotLoaded,
        (None, Some(_), _) => Standing::SteppedBack,
        (None, None, backstop_model::policy::Mode::Shadow) => Standing::Shadow,
        (None, None, _) => Standing::InForce,
    };
    let why = policy.fault().map(|fault| fault.message.clone());
    Ok(Shown {
        name: config.name.clone(),
        world: config.world,
        mode: config.mode.to_string(),
        applies_to: config.applies_to.clone(),
        standing,
        why: why.or_else(|| known.stepped_back.as_ref().map(|back| back.why.clone())),
        safe_default: safe_default(config.world),
        digest: policy.digest().to_owned(),
        config: config.clone(),
        facts: policy.facts().cloned(),
        faults: known.faults,
        last_fault: known.last_fault,
        stepped_back: known.stepped_back,
    })
}

/// A policy that is not in force though it is configured to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// Which.
    pub policy: PolicyName,
    /// Why.
    pub why: String,
    /// Whether it went back by itself, rather than never having been loaded.
    pub stepped_back: bool,
    /// What holds meanwhile.
    pub safe_default: &'static str,
}

/// Those that stepped back or could not be loaded when they were last asked. Reads the catalog only and loads nothing.
///
/// # Errors
/// When the catalog cannot be read.
pub fn lacking(ctx: &Context) -> Result<Vec<Lacking>, Fault> {
    if ctx.config.policies.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for standing in ctx.catalog.policy_standings()? {
        let Some(config) = ctx.config.policies.get(&standing.policy) else { continue };
        let not_loaded =
            standing.last_fault.as_ref().filter(|(_, fault)| standing.faults > 0 && fault.kind == FaultKind::NotLoaded);
        let why = match (&standing.stepped_back, not_loaded) {
            (Some(back), _) => back.why.clone(),
            (None, Some((_, fault))) => fault.message.clone(),
            (None, None) => continue,
        };
        let (policy, stepped_back) = (standing.policy.clone(), standing.stepped_back.is_some());
        found.push(Lacking { policy, why, stepped_back, safe_default: safe_default(config.world) });
    }
    Ok(found)
}

/// What validation says about a workload as it is configured.
#[derive(Debug, Clone, Serialize)]
pub struct Objection {
    /// The workload.
    pub workload: WorkloadName,
    /// How much it weighs.
    pub ruling: Ruling,
    /// The policy and what it says.
    pub line: String,
}

/// What came of trying every policy of a configuration.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tried {
    /// Those that cannot be loaded, or fail the simplest question.
    pub not_in_force: Vec<Lacking>,
    /// What those that are in force say about the workloads.
    pub objections: Vec<Objection>,
}

/// Loads every policy of a configuration, asks the pure ones the simplest question, and validation about each workload:
/// files are edited by hand, and no other verb would ask about that.
///
/// # Errors
/// When no engine can be made.
pub fn tried(outside: &Outside, config: &backstop_model::config::Config) -> Result<Tried, Fault> {
    if config.policies.is_empty() {
        return Ok(Tried::default());
    }
    let known = outside.files.exists(&config.state_dir)?;
    let engine = crate::policy_test::engine(outside, known.then_some(config.state_dir.as_path()))?;
    let candidates = config.policies.values().map(|policy| load::candidate(&*outside.files, policy, config)).collect();
    let set = PolicySet::load(&engine, candidates);
    let lacking = set.policies().filter_map(|policy| {
        let fault = policy.fault().cloned().or_else(|| crate::policy_bench::simplest(policy, outside.clock.now()))?;
        let world = policy.config().world;
        let (policy, why) = (policy.config().name.clone(), fault.message);
        Some(Lacking { policy, why, stepped_back: false, safe_default: safe_default(world) })
    });
    let not_in_force = lacking.collect();
    let objections = config.workloads.values().flat_map(|workload| objections(outside, &set, workload)).collect();
    Ok(Tried { not_in_force, objections })
}

fn objections(outside: &Outside, set: &PolicySet, workload: &Workload) -> Vec<Objection> {
    let request = Request {
        verb: "reload".to_owned(),
        workload: Some(workload.name.clone()),
        backup: None,
        by: outside.by.clone(),
        reason: String::new(),
        scheduled: false,
        fields: question::fields_of(workload),
    };
    let now = outside.clock.now();
    let local = Calendar::of(&workload.schedule).map_or_else(|_| CivilTime::utc(now), |calendar| calendar.civil(now));
    let mut found = Vec::new();
    let in_force = |(policy, in_force): (_, bool)| in_force.then_some(policy);
    for policy in set.bound_to(World::Validation, Some(&workload.name)).into_iter().filter_map(in_force) {
        let name = &policy.config().name;
        let asked = policy.ask_validation(&question::validation(policy.config(), &request, now, local));
        // One that finds no answer is named among those not in force already.
        for finding in asked.answer.unwrap_or_default() {
            let line = validation::words(name.as_str(), &finding);
            found.push(Objection { workload: workload.name.clone(), ruling: finding.ruling, line });
        }
    }
    found
}

/// A component's file, whether it is bound or not.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// The file.
    pub path: PathBuf,
    /// What can be told of it.
    pub facts: Facts,
    /// Its manifest, or why it cannot be read.
    pub manifest: Option<Result<Manifest, String>>,
    /// Whether a signature stands beside it.
    pub signed: bool,
}

/// Looks at a component without running it.
///
/// # Errors
/// A file that is not there, or that is no component for one of the worlds.
pub fn file(outside: &Outside, path: &Path) -> Result<File, Fault> {
    let missing = || Fault::not_found(format!("there is no file `{}`", path.display()), "");
    let bytes = outside.files.read(path)?.ok_or_else(missing)?;
    let facts = backstop_policy::inspect(&bytes).map_err(|fault| no_policy(path, &fault.message))?;
    let manifest = outside.files.read(&path.with_extension("manifest"))?.map(|bytes| Manifest::parse(&bytes));
    let signed = outside.files.exists(&path.with_extension("sig"))?;
    Ok(File { path: path.to_owned(), facts, manifest, signed })
}

fn no_policy(path: &Path, why: &str) -> Fault {
    Fault::new(
        ExitCode::Findings,
        Advice::CallAPerson,
        format!("`{}` is no policy: {why}", path.display()),
        "`backstop policy new` makes a project that builds one",
    )
}
