//! `doctor`: everything that would make a backup or a restore fail later, looked for now, each with what to do.

use std::path::Path;

use backstop_model::config::{VaultConfig, WorkloadKind};
use backstop_model::{Bytes, Fault, Span, Timestamp};
use serde::Serialize;

use crate::context::Outside;
use crate::{Context, agenda, apart, config_check, policy_list};

/// Room below which the next backup is in doubt, whatever its size.
const ROOM_MIN: Bytes = Bytes(1_000_000_000);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// As it should be.
    Fine,
    /// Not wrong, but worth a thought.
    Note,
    /// Will do harm if it stays.
    Warning,
    /// Backups or restores fail because of it.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// What it is about.
    pub subject: String,
    /// What was found.
    pub what: String,
    /// What to do; empty when nothing is.
    pub todo: String,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// When.
    pub now: Timestamp,
    /// The worst of the findings.
    pub worst: Gravity,
    /// In the order in which things are looked at.
    pub findings: Vec<Finding>,
}

/// Looks at everything. `ctx` is the context, or why there is none: a broken configuration is a finding as well.
///
/// # Errors
/// None of its own; whatever cannot be looked at is a finding.
pub fn doctor(outside: &Outside, ctx: Result<&Context, Fault>) -> Result<Diagnosis, Fault> {
    let now = ctx.as_ref().map_or(outside.clock.now(), |ctx| ctx.outside.clock.now());
    let mut findings = Findings(Vec::new());
    findings.configuration(ctx.as_ref().map_or(outside, |ctx| &ctx.outside));
    match ctx {
        Err(fault) => findings.fault("the agent", &fault),
        Ok(ctx) => {
            findings.state(ctx, now);
            for vault in ctx.config.vaults.values() {
                findings.vault(ctx, vault);
            }
            findings.workloads(ctx);
            findings.left_behind(ctx, now);
            findings.policies(ctx);
        }
    }
    let worst = findings.0.iter().map(|finding| finding.gravity).max().unwrap_or(Gravity::Fine);
    Ok(Diagnosis { now, worst, findings: findings.0 })
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, gravity: Gravity, subject: impl Into<String>, what: impl Into<String>, todo: impl Into<String>) {
        self.0.push(Finding { gravity, subject: subject.into(), what: what.into(), todo: todo.into() });
    }

    fn fault(&mut self, subject: impl Into<String>, fault: &Fault) {
        self.add(Gravity::Error, subject, &fault.message, &fault.hint);
    }

    fn configuration(&mut self, outside: &Outside) {
        let subject = "configuration";
        match config_check::check(outside) {
            Err(fault) => self.fault(subject, &fault),
            Ok(checked) if !checked.valid => {
                let what = format!("invalid; problems in {}: {}", checked.config_dir.display(), checked.problems.len());
                self.add(Gravity::Error, subject, what, "`backstop config check` names each with its line");
            }
            Ok(checked) => {
                let what = format!("valid; vaults: {}, workloads: {}", checked.vaults, checked.workloads);
                self.add(Gravity::Fine, subject, what, "");
                for policy in checked.not_in_force {
                    let what = format!("not in force: {}; meanwhile {}", policy.why, policy.safe_default);
                    let todo = format!("`backstop policy inspect {}` shows what it is", policy.policy);
                    self.add(Gravity::Error, format!("policy {}", policy.policy), what, todo);
                }
                for objection in checked.objections {
                    let subject = format!("workload {}", objection.workload);
                    self.add(
                        Gravity::Warning,
                        subject,
                        objection.line,
                        "change its configuration, or what the policy asks for",
                    );
                }
                for note in checked.notes {
                    self.add(Gravity::Note, subject, note, "");
                }
            }
        }
        if !outside.privileged {
            let what = "not running as root: owners and other users' files may be out of reach";
            self.add(Gravity::Note, "the agent", what, "run it as root, or protect only what this user owns");
        }
    }

    /// Policies that stepped back by themselves. What cannot be loaded was told with the configuration.
    fn policies(&mut self, ctx: &Context) {
        match policy_list::lacking(ctx) {
            Err(fault) => self.fault("policies", &fault),
            Ok(lacking) => {
                for policy in lacking.into_iter().filter(|policy| policy.stepped_back) {
                    let what = format!("stepped back: {}; meanwhile {}", policy.why, policy.safe_default);
                    let todo = "change its component, its settings or its limits";
                    self.add(Gravity::Error, format!("policy {}", policy.policy), what, todo);
                }
            }
        }
    }

    fn state(&mut self, ctx: &Context, now: Timestamp) {
        let dir = &ctx.config.state_dir;
        let subject = "state directory";
        let probe = dir.join(".doctor");
        let written = ctx.outside.files.write(&probe, b"", 0o600).and_then(|()| ctx.outside.files.remove(&probe));
        match written {
            Ok(()) => self.add(Gravity::Fine, subject, format!("{} can be written", dir.display()), ""),
            Err(fault) => self.fault(subject, &fault),
        }
        self.room(ctx, subject, dir);
        match ctx.catalog.check_file() {
            Ok(()) => self.add(Gravity::Fine, "catalog", "the file is sound", ""),
            Err(error) => self.fault("catalog", &error.fault()),
        }
        match ctx.catalog.implausible(now) {
            Ok(None) => {}
            Ok(Some(doubt)) => {
                let what =
                    format!("reads {now}, {} before {}, which was seen already", doubt.behind.human(), doubt.highest);
                self.add(Gravity::Error, "clock", what, "set the clock right; until then nothing is released");
            }
            Err(error) => self.fault("clock", &error.fault()),
        }
        match crate::audit::verify(ctx) {
            Ok(verified) if verified.whole => {}
            Ok(verified) => {
                let what = format!(
                    "entry {} is not as it was written: {}",
                    verified.broken_at.unwrap_or(0),
                    verified.why.unwrap_or("")
                );
                self.add(Gravity::Error, "audit log", what, "find out who changed the catalog's file");
            }
            Err(fault) => self.fault("audit log", &fault),
        }
    }

    fn room(&mut self, ctx: &Context, subject: &str, dir: &Path) {
        match ctx.outside.files.room(dir) {
            Ok(room) if room < ROOM_MIN => {
                let what = format!("only {room} left at {}", dir.display());
                self.add(Gravity::Warning, subject, what, "make room before the next backup");
            }
            Ok(_) => {}
            Err(fault) => self.fault(subject, &fault),
        }
    }

    fn vault(&mut self, ctx: &Context, vault: &VaultConfig) {
        let subject = format!("vault {}", vault.name);
        if let Err(fault) = apart::vault(&*ctx.outside.files, &ctx.config, &vault.name) {
            self.fault(&subject, &fault);
        }
        if let Err(fault) = (ctx.outside.resolve)(&vault.key) {
            self.fault(&subject, &fault);
            return;
        }
        match ctx.vault(&vault.name).and_then(|opened| opened.status().map_err(|error| error.fault())) {
            Err(fault) => self.fault(&subject, &fault),
            Ok(status) if !status.unreadable.is_empty() => {
                let what = format!("{} objects cannot be read", status.unreadable.len());
                let todo = format!("`backstop vault rebuild-index {}`, then `backstop backup verify-all`", vault.name);
                self.add(Gravity::Error, &subject, what, todo);
            }
            Ok(status) => {
                let what = format!(
                    "opens; snapshots: {}, packs: {}, bytes: {}",
                    status.snapshots, status.packs, status.packed
                );
                self.add(Gravity::Fine, &subject, what, "");
                if status.slots == 1 {
                    let todo =
                        format!("`backstop vault key add {} --key REF --label spare`, kept somewhere else", vault.name);
                    self.add(Gravity::Note, &subject, "one key slot: if its key is lost, everything is", todo);
                }
            }
        }
        if let Some(path) = vault.url.strip_prefix("file://") {
            self.room(ctx, &subject, Path::new(path));
        }
    }

    fn workloads(&mut self, ctx: &Context) {
        for workload in ctx.config.workloads.values().filter(|workload| workload.enabled) {
            let WorkloadKind::Files(spec) = &workload.kind;
            if let Err(fault) = apart::workload(&*ctx.outside.files, &ctx.config, workload) {
                self.fault(format!("workload {}", workload.name), &fault);
            }
            for path in &spec.paths {
                match ctx.outside.files.exists(path) {
                    Ok(true) => {}
                    Ok(false) => {
                        let what = format!("{} is not there", path.display());
                        let todo = format!("correct `paths` in {}, or mount it", workload.origin.display());
                        self.add(Gravity::Error, format!("workload {}", workload.name), what, todo);
                    }
                    Err(fault) => self.fault(format!("workload {}", workload.name), &fault),
                }
            }
        }
    }

    fn left_behind(&mut self, ctx: &Context, now: Timestamp) {
        match agenda::interrupted(ctx) {
            Err(fault) => self.fault("runs", &fault),
            Ok(runs) => {
                for run in runs {
                    let what = format!("{} of {} was interrupted", run.verb, run.started);
                    let todo = format!("`backstop run resume {}`, or `run cancel` to undo it", run.id);
                    self.add(Gravity::Warning, "runs", what, todo);
                }
            }
        }
        let stuck = backstop_catalog::RunFilter { outcome: Some(backstop_model::Outcome::Stuck), ..Default::default() };
        for run in ctx.catalog.runs(&stuck).unwrap_or_default() {
            let what = format!("{} {} is stuck: an undo failed", run.verb, run.id);
            self.add(Gravity::Error, "runs", what, format!("`backstop run show {}` says at which step", run.id));
        }
        for lease in ctx.catalog.leases(now).unwrap_or_default() {
            if !(ctx.outside.may_live)(&lease.owner) {
                let what = format!("`{}` is still leased to {}, which is gone", lease.key, lease.owner);
                let left = Span::between(now, lease.expires).human();
                self.add(Gravity::Note, "leases", what, format!("nothing: it ends by itself in {left}"));
            }
        }
        for orphan in ctx.catalog.orphans(false).unwrap_or_default() {
            let what = format!("{} `{}` of {} was never removed", orphan.kind, orphan.name, orphan.noted);
            let todo = "`backstop agenda --run` tries again; remove it by hand if that fails";
            self.add(Gravity::Warning, "left behind", what, todo);
        }
    }
}
