//! Policies and signers as text.

use std::fmt::Write as _;

use backstop_model::config::Config;
use backstop_model::policy::{Grants, Mode, PolicyConfig, Value};

use super::{line, list, path, quoted, section, span};
use crate::draft::MEMORY_UNITS;

pub(super) fn policies(out: &mut String, config: &Config) {
    for (name, signer) in &config.signers {
        section(out, &format!("signer.{name}"));
        line(out, "public_key", &quoted(&signer.public_key));
    }
    for (name, policy) in &config.policies {
        section(out, &format!("policy.{name}"));
        let _ = writeln!(out, "# from {}", policy.origin.display());
        body(out, policy);
    }
}

fn body(out: &mut String, policy: &PolicyConfig) {
    line(out, "component", &path(&policy.component));
    if let Some(sha256) = &policy.sha256 {
        line(out, "sha256", &quoted(sha256));
    }
    if let Some(signer) = &policy.signer {
        line(out, "signer", &quoted(signer.as_str()));
    }
    line(out, "world", &quoted(policy.world.word()));
    if !policy.applies_to.is_empty() {
        line(out, "applies_to", &list(policy.applies_to.iter().map(|pattern| quoted(pattern))));
    }
    match policy.mode {
        Mode::Shadow => line(out, "mode", "\"shadow\""),
        Mode::Canary { percent } => {
            line(out, "mode", "\"canary\"");
            line(out, "canary", &percent.to_string());
        }
        Mode::Active => line(out, "mode", "\"active\""),
    }
    table(out, "settings", policy.settings.iter().map(|setting| (quoted(&setting.key), value(&setting.value))));
    grants(out, &policy.grants);
    let limits = [("time", span(policy.limits.time)), ("memory", quoted(&memory(policy.limits.memory)))];
    table(out, "limits", limits.into_iter().map(|(key, value)| (key.to_owned(), value)));
    table(out, "promises", policy.promises.iter().map(|(tier, keep)| (tier.to_string(), keep.to_string())));
}

fn grants(out: &mut String, grants: &Grants) {
    let mut shown = Vec::new();
    if !grants.http.is_empty() {
        shown.push(("http".to_owned(), list(grants.http.iter().map(|host| quoted(&host.to_string())))));
    }
    if !grants.secrets.is_empty() {
        let secrets = grants.secrets.iter().map(|(name, found)| (quoted(name), quoted(&String::from(found.clone()))));
        shown.push(("secrets".to_owned(), inline(secrets)));
    }
    if !grants.probes.is_empty() {
        shown.push(("probes".to_owned(), list(grants.probes.iter().map(|probe| quoted(&probe.to_string())))));
    }
    table(out, "grants", shown.into_iter());
}

/// An inline table on a line of its own; none when it is empty.
fn table(out: &mut String, key: &str, entries: impl Iterator<Item = (String, String)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        line(out, key, &inline(entries));
    }
}

fn inline(entries: impl Iterator<Item = (String, String)>) -> String {
    format!("{{ {} }}", entries.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", "))
}

/// A setting's value as TOML.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Truth(truth) => truth.to_string(),
        Value::Whole(number) => number.to_string(),
        Value::Real(number) => toml::Value::Float(*number).to_string(),
        Value::Text(text) => quoted(text),
        Value::Wholes(numbers) => list(numbers.iter().map(ToString::to_string)),
        Value::Texts(texts) => list(texts.iter().map(|text| quoted(text))),
    }
}

/// An amount of memory in the largest unit that leaves a whole number.
pub(crate) fn memory(bytes: u64) -> String {
    let (unit, size) = MEMORY_UNITS.iter().find(|(_, size)| bytes.is_multiple_of(*size)).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / size)
}
