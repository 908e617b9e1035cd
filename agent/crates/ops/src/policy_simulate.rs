//! `policy simulate`: the coming years in memory, with the real planner, the real retention, the real delete firewall and
//! the real policies, over the recorded backups and then a calendar in which every backup succeeds.
//!
//! What a rule does to a backup that is four years old shows in four years. Here it shows now: what would be deleted on
//! which day, which restore that the schedule or a promise guarantees would fail because of it, and how much is stored.

mod guarantees;
mod life;

use std::path::{Path, PathBuf};

use backstop_config::{Overrides, SourceFile};
use backstop_model::config::Config;
use backstop_model::policy::World;
use backstop_model::{BackupName, ExitCode, Fault, Span, Timestamp, WorkloadName};
use backstop_policy::PolicySet;
use serde::Serialize;

use crate::context::Context;
use crate::gate::load;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of this workload, or of all.
    pub workload: Option<WorkloadName>,
    /// How far.
    pub years: u32,
    /// A file that binds policies, as if it stood in `policies/`.
    pub binding: Option<PathBuf>,
}

/// What would come.
#[derive(Debug, Clone, Serialize)]
pub struct Simulated {
    /// From.
    pub from: Timestamp,
    /// To.
    pub until: Timestamp,
    /// Workload by workload.
    pub workloads: Vec<Life>,
    /// What breaks, first day first.
    pub breaks: Vec<Break>,
}

/// The life of one workload's backups.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// Whose.
    pub workload: WorkloadName,
    /// What would have been deleted up to now, had these policies been in force from the first recorded backup on.
    pub past: Vec<Deletion>,
    /// Backups made.
    pub made: u64,
    /// What was deleted, first day first.
    pub deleted: Vec<Deletion>,
    /// Backups kept at the end.
    pub kept: u64,
    /// How many held each tier that a policy named.
    pub named: std::collections::BTreeMap<String, u64>,
    /// The state of every thirtieth day.
    pub curve: Vec<Point>,
}

/// One deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// When.
    pub at: Timestamp,
    /// What.
    pub backup: BackupName,
    /// The tiers it held.
    pub tiers: Vec<String>,
    /// Why.
    pub reason: String,
}

/// How much is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Backups kept.
    pub backups: u64,
    /// Bytes they added to their places, as far as that can be told from those there are.
    pub stored: u64,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Break {
    /// The first time.
    pub at: Timestamp,
    /// Whose.
    pub workload: WorkloadName,
    /// What, in one line.
    pub what: String,
    /// How often in all.
    pub times: u64,
}

/// Two futures compared.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// With the first binding.
    pub old: Simulated,
    /// With the second.
    pub new: Simulated,
    /// Deleted only with the second, or earlier; first day first.
    pub earlier: Vec<Deletion>,
    /// Deleted only with the first, or earlier.
    pub later: Vec<Deletion>,
}

impl Simulated {
    /// Broken is a finding.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        if self.breaks.is_empty() { ExitCode::Ok } else { ExitCode::Findings }
    }
}

/// Lives through the years.
///
/// # Errors
/// Unknown workloads, a binding that does not read.
pub fn simulate(ctx: &Context, request: &Request) -> Result<Simulated, Fault> {
    let bound = match &request.binding {
        Some(file) => bound_by(ctx, file)?,
        None => ctx.config.clone(),
    };
    let wanted: Vec<WorkloadName> = match &request.workload {
        Some(name) => vec![ctx.workload(name)?.name.clone()],
        None => bound.workloads.values().filter(|workload| workload.enabled).map(|w| w.name.clone()).collect(),
    };
    let files = &*ctx.outside.files;
    let candidates = bound.policies.values().filter(|policy| policy.world == World::Retention);
    let candidates: Vec<_> = candidates.map(|policy| load::candidate(files, policy, &bound)).collect();
    let set = match candidates.is_empty() {
        true => None,
        false => Some(PolicySet::load(load::engine(ctx)?, candidates)),
    };
    let from = ctx.outside.clock.now();
    let until = Span::from_days(u64::from(request.years) * 365 + u64::from(request.years) / 4).after(from);
    let mut out = Simulated { from, until, workloads: Vec::new(), breaks: Vec::new() };
    for name in wanted {
        let Some(workload) = bound.workloads.get(&name) else { continue };
        let recorded = ctx.backups_of(&name)?;
        let (life, breaks) = life::live(&bound, workload, set.as_ref(), recorded, (from, until))?;
        out.workloads.push(life);
        out.breaks.extend(breaks);
    }
    out.breaks.sort_by(|a, b| (a.at, &a.workload).cmp(&(b.at, &b.workload)));
    Ok(out)
}

/// Lives through the years twice.
///
/// # Errors
/// As [`simulate`].
pub fn compare(ctx: &Context, request: &Request, old: &Path, new: &Path) -> Result<Compared, Fault> {
    let with = |file: &Path| simulate(ctx, &Request { binding: Some(file.to_owned()), ..request.clone() });
    let (old, new) = (with(old)?, with(new)?);
    let (earlier, later) = (sooner(&new, &old), sooner(&old, &new));
    Ok(Compared { old, new, earlier, later })
}

/// What the first future deletes that the second keeps, or deletes later.
fn sooner(a: &Simulated, b: &Simulated) -> Vec<Deletion> {
    let key = |deletion: &Deletion| (deletion.backup.clone(), deletion.at);
    let other: std::collections::BTreeMap<BackupName, Timestamp> =
        b.workloads.iter().flat_map(|life| life.deleted.iter().map(key)).collect();
    let mut found: Vec<Deletion> = a
        .workloads
        .iter()
        .flat_map(|life| &life.deleted)
        .filter(|deletion| other.get(&deletion.backup).is_none_or(|at| *at > deletion.at))
        .cloned()
        .collect();
    found.sort_by(|a, b| (a.at, &a.backup).cmp(&(b.at, &b.backup)));
    found
}

/// The configuration as it would be with one more file of bindings. A policy that it binds anew replaces the other.
fn bound_by(ctx: &Context, file: &Path) -> Result<Config, Fault> {
    let files = &ctx.outside.files;
    let missing = || {
        Fault::not_found(
            format!("there is no file `{}`", file.display()),
            "it binds policies, as one in `policies/` does",
        )
    };
    let bytes = files.read(file)?.ok_or_else(missing)?;
    let named = |bytes: &[u8]| -> Vec<String> {
        let table = String::from_utf8_lossy(bytes).parse::<toml::Table>().unwrap_or_default();
        table.get("policy").and_then(toml::Value::as_table).map(|t| t.keys().cloned().collect()).unwrap_or_default()
    };
    let ours = named(&bytes);
    let same = |path: &Path| path == file || path.file_name() == file.file_name() && path.parent() == file.parent();
    let mut sources: Vec<SourceFile> = Vec::new();
    for (path, known) in files.read_config(&ctx.outside.config_dir)? {
        if !same(&path) && !named(&known).iter().any(|name| ours.contains(name)) {
            sources.push(SourceFile { path, bytes: known });
        }
    }
    sources.push(SourceFile { path: file.to_owned(), bytes });
    let overrides = Overrides { state_dir: Some(ctx.config.state_dir.clone()) };
    backstop_config::load(&sources, &overrides).map_err(|invalid| Fault::from(&invalid))
}
