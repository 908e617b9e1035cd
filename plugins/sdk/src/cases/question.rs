//! Completes a question: what the case says, and sensible values for what it does not.

use jiff::Zoned;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toml::{Table, Value as Toml};

use super::file::{Entry, File};
use super::{BadCases, Function, history, when};

/// The present of a case that does not say.
const NOW: &str = "2026-01-15T12:00:00Z";

/// A request as a case writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestEntry {
    verb: String,
    workload: Option<String>,
    backup: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    scheduled: Option<bool>,
    #[serde(default)]
    fields: Table,
}

/// An alert as a case writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertEntry {
    id: Option<String>,
    group: Option<String>,
    at: Option<Toml>,
    severity: Option<String>,
    kind: Option<String>,
    title: Option<String>,
    text: Option<String>,
    workload: Option<String>,
    backup: Option<String>,
    run: Option<String>,
    host: Option<String>,
    recovered: Option<bool>,
    attempt: Option<u32>,
    #[serde(default)]
    facts: Table,
}

/// What was restored, as a case writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredEntry {
    kind: Option<String>,
    backup: Option<String>,
    created: Option<Toml>,
    #[serde(default)]
    paths: Vec<String>,
}

pub fn question(function: Function, file: &File, entry: &Entry) -> Result<Value, BadCases> {
    let zone = zone(file, entry)?;
    let given = entry.now.as_ref().or(file.now.as_ref());
    let given = given.map(|now| when::instant(now, &zone, Time::midnight())).transpose()?;
    let mut question = Map::new();
    let mut put = |key: &str, value: Value| question.insert(key.to_owned(), value);
    put("settings", settings(&file.settings, &entry.settings)?);
    let now = match function {
        Function::Tiers | Function::Release => {
            let tier_names = entry.tier_names.as_deref();
            let backups = history::backups(entry.history.as_ref(), &entry.backups, &entry.change, tier_names, &zone)?;
            put("backups", Value::Array(backups.list));
            put("tier_names", json!(backups.tier_names));
            put("workload", json!(workload(file, entry)));
            if function == Function::Tiers {
                put("calendar", json!(entry.calendar.clone().unwrap_or_else(|| vec!["daily".to_owned()])));
            }
            given.or(backups.newest).unwrap_or(default_now(&zone)?)
        }
        Function::Check => {
            let request =
                entry.request.as_ref().ok_or_else(|| BadCases("`request = { verb = … }` is missing".to_owned()))?;
            put("request", request.json(file, entry)?);
            given.unwrap_or(default_now(&zone)?)
        }
        Function::Deliver => {
            let now = given.unwrap_or(default_now(&zone)?);
            let alert = entry.alert.as_ref();
            put("attempt", json!(alert.and_then(|alert| alert.attempt).unwrap_or(1)));
            put("alert", alert.unwrap_or(&AlertEntry::default()).json(&now, &zone)?);
            now
        }
        Function::Health => {
            let now = given.unwrap_or(default_now(&zone)?);
            let fallback = RestoredEntry::default();
            let restored = entry.restored.as_ref().unwrap_or(&fallback);
            let created = restored.created(&now, &zone)?;
            put("workload", json!(workload(file, entry)));
            put("kind", json!(restored.kind.as_deref().unwrap_or("files")));
            put("backup", json!(restored.backup.as_deref().unwrap_or("docs-backup-daily-20260115-0200")));
            put("created", json!(when::seconds(&created)));
            put("paths", json!(restored.paths));
            now
        }
    };
    put("now", json!(when::seconds(&now)));
    if function != Function::Health {
        put("local", when::civil(&now));
    }
    Ok(Value::Object(question))
}

/// The zone of a case.
pub fn zone(file: &File, entry: &Entry) -> Result<TimeZone, BadCases> {
    when::zone(entry.zone.as_deref().or(file.zone.as_deref()).unwrap_or("UTC"))
}

fn workload<'a>(file: &'a File, entry: &'a Entry) -> &'a str {
    entry.workload.as_deref().or(file.workload.as_deref()).unwrap_or("docs")
}

fn default_now(zone: &TimeZone) -> Result<Zoned, BadCases> {
    when::instant(&Toml::String(NOW.to_owned()), zone, Time::midnight())
}

impl RequestEntry {
    fn json(&self, file: &File, entry: &Entry) -> Result<Value, BadCases> {
        let workload = self.workload.clone().or_else(|| entry.workload.clone()).or_else(|| file.workload.clone());
        Ok(json!({
            "verb": self.verb,
            "workload": workload,
            "backup": self.backup,
            "by": self.by.as_deref().unwrap_or("ada@ops"),
            "reason": self.reason.as_deref().unwrap_or_default(),
            "scheduled": self.scheduled.unwrap_or(false),
            "fields": settings(&Table::new(), &self.fields)?,
        }))
    }
}

impl AlertEntry {
    fn json(&self, now: &Zoned, zone: &TimeZone) -> Result<Value, BadCases> {
        let at = self.at.as_ref().map(|at| when::instant(at, zone, Time::midnight())).transpose()?;
        let severity = self.severity.as_deref().unwrap_or("warning");
        if !["info", "warning", "critical"].contains(&severity) {
            return Err(BadCases(format!("`severity` is `{severity}`; it is info, warning or critical")));
        }
        Ok(json!({
            "id": self.id.as_deref().unwrap_or("alert-1"),
            "group": self.group.as_deref().unwrap_or("group-1"),
            "at": at.as_ref().unwrap_or(now).timestamp().to_string(),
            "severity": severity,
            "kind": self.kind.as_deref().unwrap_or("backup-failed"),
            "title": self.title.as_deref().unwrap_or("backup of docs failed"),
            "text": self.text.as_deref().unwrap_or_default(),
            "workload": self.workload,
            "backup": self.backup,
            "run": self.run,
            "host": self.host.as_deref().unwrap_or("ops"),
            "recovered": self.recovered.unwrap_or(false),
            "facts": settings(&Table::new(), &self.facts)?,
        }))
    }
}

impl RestoredEntry {
    /// The instant whose state was restored; ten hours ago when the case does not say.
    fn created(&self, now: &Zoned, zone: &TimeZone) -> Result<Zoned, BadCases> {
        match &self.created {
            Some(created) => when::instant(created, zone, Time::midnight()),
            None => when::Step::Minutes(-600).after(now, 1),
        }
    }
}

/// Fields from TOML: tables flattened to dotted keys, in bytewise order. Those of the case replace those of the file.
fn settings(shared: &Table, own: &Table) -> Result<Value, BadCases> {
    let mut flat = std::collections::BTreeMap::new();
    for table in [shared, own] {
        flatten("", table, &mut flat)?;
    }
    Ok(flat.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect())
}

fn flatten(prefix: &str, table: &Table, into: &mut std::collections::BTreeMap<String, Value>) -> Result<(), BadCases> {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let strange =
            || BadCases(format!("`{key}` is neither a text, a number, a truth nor a list of texts or whole numbers"));
        let plain = match value {
            Toml::Table(inner) => {
                flatten(&key, inner, into)?;
                continue;
            }
            Toml::String(text) => json!(text),
            Toml::Datetime(time) => json!(time.to_string()),
            Toml::Integer(whole) => json!(whole),
            Toml::Boolean(truth) => json!(truth),
            Toml::Float(real) if real.is_finite() => json!(real),
            Toml::Float(_) => return Err(strange()),
            Toml::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(Toml::as_str).collect();
                let wholes: Option<Vec<i64>> = items.iter().map(Toml::as_integer).collect();
                texts.map(|texts| json!(texts)).or(wholes.map(|wholes| json!(wholes))).ok_or_else(strange)?
            }
        };
        into.insert(key, plain);
    }
    Ok(())
}
