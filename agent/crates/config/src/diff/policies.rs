//! What changes between two sets of policies.
//!
//! A policy that decides about fewer workloads than before, or about none, weakens protection: what it refused, kept,
//! reported or examined there, nobody does any more. So does one that may reach more than before. Another component or
//! another setting may do anything, which no comparison can tell: `policy simulate` shows it.

use std::collections::BTreeMap;

use backstop_model::config::Config;
use backstop_model::policy::{Mode, PolicyConfig, SignerConfig};
use backstop_model::{Tier, WorkloadName};

use super::{Changes, Effect, pairs};
use crate::show::policies::{memory, value};

pub(super) fn policies(out: &mut Changes, old: &Config, new: &Config) {
    pairs(&old.signers, &new.signers, |name, pair| {
        out.about(format!("signer {name}"));
        signer(out, pair);
    });
    // What it does for a workload that is new or removed is said by that.
    let both: Vec<&WorkloadName> = old.workloads.keys().filter(|name| new.workloads.contains_key(*name)).collect();
    pairs(&old.policies, &new.policies, |name, pair| {
        out.about(format!("policy {name}"));
        match pair {
            (Some(old), None) if old.mode == Mode::Shadow => out.add("is removed; it was shadow only", Effect::Neutral),
            (Some(old), None) => out.add(format!("is removed; {}", loss(old)), Effect::Weakens),
            (None, Some(new)) if new.mode == Mode::Shadow => out.add("is new, as shadow only", Effect::Neutral),
            (None, _) => out.add("is new", Effect::Strengthens),
            (Some(old), Some(new)) => policy(out, old, new, &both),
        }
    });
}

/// What nobody does any more without it.
fn loss(policy: &PolicyConfig) -> &'static str {
    use backstop_model::policy::World;
    match policy.world {
        World::Retention => "what it kept longer may go",
        World::Validation => "what it refused is accepted",
        World::AlertSink => "alerts no longer go there",
        World::HealthCheck => "what it examined is no longer examined",
    }
}

fn signer(out: &mut Changes, pair: (Option<&SignerConfig>, Option<&SignerConfig>)) {
    match pair {
        (Some(_), None) => out.add("is no longer trusted", Effect::Neutral),
        (None, _) => out.add("is trusted", Effect::Neutral),
        (Some(old), Some(new)) => out.neutral("public key", &old.public_key, &new.public_key),
    }
}

fn policy(out: &mut Changes, old: &PolicyConfig, new: &PolicyConfig, workloads: &[&WorkloadName]) {
    if old.world != new.world {
        out.turn("world", old.world, new.world, Effect::Weakens);
    }
    if force(old.mode) != force(new.mode) {
        let effect = if force(new.mode) < force(old.mode) { Effect::Weakens } else { Effect::Strengthens };
        out.turn("mode", old.mode, new.mode, effect);
    }
    bound(out, old, new, workloads);
    out.neutral("component", old.component.display().to_string(), new.component.display().to_string());
    out.optional("digest", old.sha256.as_ref(), new.sha256.as_ref(), Effect::Neutral);
    out.optional("signer", old.signer.as_ref(), new.signer.as_ref(), Effect::Neutral);
    settings(out, old, new);
    grants(out, old, new);
    out.neutral("time limit", old.limits.time, new.limits.time);
    out.neutral("memory limit", memory(old.limits.memory), memory(new.limits.memory));
    promises(out, old, new);
}

/// The share of workloads it decides about, in percent.
fn force(mode: Mode) -> u8 {
    match mode {
        Mode::Shadow => 0,
        Mode::Canary { percent } => percent,
        Mode::Active => 100,
    }
}

/// Which workloads it is bound to: those that exist, and then the patterns, which decide about those to come.
fn bound(out: &mut Changes, old: &PolicyConfig, new: &PolicyConfig, workloads: &[&WorkloadName]) {
    let (mut lost, mut gained) = (Vec::new(), Vec::new());
    for workload in workloads {
        match (old.covers(workload), new.covers(workload)) {
            (true, false) => lost.push(workload.as_str()),
            (false, true) => gained.push(workload.as_str()),
            (true, true) | (false, false) => {}
        }
    }
    let shadow = old.mode == Mode::Shadow;
    if !lost.is_empty() {
        let effect = if shadow { Effect::Neutral } else { Effect::Weakens };
        out.add(format!("no longer applies to {}", named(&lost)), effect);
    }
    if !gained.is_empty() {
        let effect = if new.mode == Mode::Shadow { Effect::Neutral } else { Effect::Strengthens };
        out.add(format!("also applies to {}", named(&gained)), effect);
    }
    if lost.is_empty() && gained.is_empty() {
        let patterns = |policy: &PolicyConfig| match policy.applies_to.as_slice() {
            [] => "every workload".to_owned(),
            patterns => patterns.join(", "),
        };
        out.neutral("applies to", patterns(old), patterns(new));
    }
}

/// A few names, and how many more.
fn named(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn settings(out: &mut Changes, old: &PolicyConfig, new: &PolicyConfig) {
    let by_key = |policy: &PolicyConfig| -> BTreeMap<String, String> {
        policy.settings.iter().map(|setting| (setting.key.clone(), value(&setting.value))).collect()
    };
    pairs(&by_key(old), &by_key(new), |key, (old, new)| {
        out.optional(&format!("setting `{key}`"), old, new, Effect::Neutral);
    });
}

fn grants(out: &mut Changes, old: &PolicyConfig, new: &PolicyConfig) {
    let (less, more) = (("may no longer reach", Effect::Neutral), ("may also reach", Effect::Weakens));
    out.members((&old.grants.http, &new.grants.http), ToString::to_string, less, more);
    out.members((&old.grants.probes, &new.grants.probes), ToString::to_string, less, more);
    let (less, more) =
        (("may no longer use the secret", Effect::Neutral), ("may also use the secret", Effect::Weakens));
    out.members(
        (&old.grants.secrets, &new.grants.secrets),
        |(name, from)| format!("{name} = {}", String::from(from.clone())),
        less,
        more,
    );
}

fn promises(out: &mut Changes, old: &PolicyConfig, new: &PolicyConfig) {
    let by_tier = |policy: &PolicyConfig| -> BTreeMap<Tier, u32> { policy.promises.iter().cloned().collect() };
    pairs(&by_tier(old), &by_tier(new), |tier, (old, new)| {
        out.more_is_stronger(&format!("{tier} backups promised"), old, new);
    });
}
