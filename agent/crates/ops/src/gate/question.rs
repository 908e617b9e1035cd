//! What policies are shown. Pure: the same facts always make the same question, so that recorded ones can be asked
//! again and simulated ones are the real ones.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::config::{Workload, WorkloadKind};
use backstop_model::policy::health::HealthQuestion;
use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion, TiersQuestion};
use backstop_model::policy::validation::{Request, ValidationQuestion};
use backstop_model::policy::{CivilTime, Field, PolicyConfig, Shown, Value};
use backstop_model::{Backup, BackupName, BackupState, Completeness, CopyState, Place, Tier, Timestamp};
use backstop_planner::Calendar;
use backstop_planner::retention::Verdict;
use serde_json::Value as Json;

/// Most tiers that a question can name.
const TIERS_MAX: usize = 32;

/// What the questions about one workload's backups are made from.
pub(crate) struct Scene<'a> {
    pub workload: &'a Workload,
    pub calendar: &'a Calendar,
    /// Every record of the workload.
    pub backups: &'a [Backup],
    /// Built-in retention's words about the kept ones.
    pub verdicts: &'a [Verdict],
    /// Places outside the home region.
    pub offsite: &'a [Place],
    pub now: Timestamp,
}

impl Scene<'_> {
    /// Which tiers a backup made now is to get, beside those of the calendar.
    pub(crate) fn tiers(&self, policy: &PolicyConfig, calendar: &BTreeSet<Tier>) -> TiersQuestion {
        let (tier_names, backups) = self.kept(&BTreeSet::new());
        TiersQuestion {
            now: self.now.as_second(),
            local: self.calendar.civil(self.now),
            settings: policy.settings.clone(),
            workload: self.workload.name.clone(),
            calendar: calendar.iter().map(Tier::to_string).collect(),
            tier_names,
            backups,
        }
    }

    /// Which backups may be released. Those somebody named for release count as releasable.
    pub(crate) fn release(&self, policy: &PolicyConfig, named: &BTreeSet<BackupName>) -> ReleaseQuestion {
        let (tier_names, backups) = self.kept(named);
        ReleaseQuestion {
            now: self.now.as_second(),
            local: self.calendar.civil(self.now),
            settings: policy.settings.clone(),
            workload: self.workload.name.clone(),
            tier_names,
            backups,
        }
    }

    fn kept(&self, named: &BTreeSet<BackupName>) -> (Vec<String>, Vec<KeptBackup>) {
        let mut present: Vec<&Backup> =
            self.backups.iter().filter(|backup| backup.state == BackupState::Present).collect();
        present.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let names = tier_names(&present);
        let open: BTreeSet<&BackupName> = self
            .verdicts
            .iter()
            .filter(|verdict| backstop_planner::policies::is_open(verdict))
            .map(|verdict| &verdict.backup)
            .collect();
        let bits: BTreeMap<&Tier, u32> = names.iter().zip(0u32..).map(|(tier, bit)| (tier, 1 << bit)).collect();
        let kept = present.into_iter().map(|backup| {
            let copies = backup.copies.iter().filter(|copy| copy.state == CopyState::Present);
            KeptBackup {
                name: backup.name.to_string(),
                created: backup.created.as_second(),
                local: self.calendar.civil(backup.created),
                tiers: backup.tiers.iter().filter_map(|tier| bits.get(tier)).sum(),
                size: backup.size.0,
                complete: backup.completeness == Completeness::Complete,
                held: backup.hold.is_some(),
                level: Shown::from(backup.level()),
                copies: u16::try_from(copies.clone().count()).unwrap_or(u16::MAX),
                offsite: copies.clone().any(|copy| self.offsite.contains(&copy.place)),
                releasable: open.contains(&backup.name) || named.contains(&backup.name),
            }
        });
        let kept = kept.collect();
        (names.iter().map(Tier::to_string).collect(), kept)
    }
}

/// The built-in tiers, then those that kept backups hold.
fn tier_names(present: &[&Backup]) -> Vec<Tier> {
    let mut names = vec![Tier::Daily, Tier::Weekly, Tier::Monthly];
    let held: BTreeSet<&Tier> = present.iter().flat_map(|backup| &backup.tiers).collect();
    names.extend(held.into_iter().filter(|tier| matches!(tier, Tier::Named(_))).cloned());
    names.truncate(TIERS_MAX);
    names
}

/// Whether a request is acceptable. `local` is the present where the workload lives.
pub(crate) fn validation(
    policy: &PolicyConfig,
    request: &Request,
    now: Timestamp,
    local: CivilTime,
) -> ValidationQuestion {
    ValidationQuestion { now: now.as_second(), local, settings: policy.settings.clone(), request: request.clone() }
}

/// Whether what came back is healthy.
pub(crate) fn health(policy: &PolicyConfig, workload: &Workload, backup: &Backup, now: Timestamp) -> HealthQuestion {
    let WorkloadKind::Files(spec) = &workload.kind;
    HealthQuestion {
        now: now.as_second(),
        settings: policy.settings.clone(),
        workload: workload.name.clone(),
        kind: "files".to_owned(),
        backup: backup.name.clone(),
        created: backup.created.as_second(),
        paths: spec.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    }
}

/// The configuration of a workload, every value under its name in TOML.
pub(crate) fn fields_of(workload: &Workload) -> Vec<Field> {
    let mut found = BTreeMap::new();
    if let Ok(Json::Object(mut table)) = serde_json::to_value(workload) {
        for beside in ["name", "origin"] {
            table.remove(beside);
        }
        if let Some(Json::Object(kind)) = table.remove("kind") {
            table.extend(kind);
        }
        if let Some(Json::Object(schedule)) = table.get_mut("schedule") {
            schedule.retain(|_, value| !value.is_null());
        }
        flatten("", &Json::Object(table), &mut found);
    }
    found.into_iter().map(|(key, value)| Field::new(key, value)).collect()
}

fn flatten(prefix: &str, json: &Json, out: &mut BTreeMap<String, Value>) {
    let value = match json {
        Json::Null => return,
        Json::Object(table) if clock_of(table).is_some() => Value::Text(clock_of(table).unwrap_or_default()),
        Json::Object(table) => {
            for (key, inner) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, inner, out);
            }
            return;
        }
        Json::Bool(truth) => Value::Truth(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Whole(whole),
            (None, real) => Value::Real(real.unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(list) => {
            let wholes: Option<Vec<i64>> = list.iter().map(Json::as_i64).collect();
            match wholes.filter(|wholes| !wholes.is_empty()) {
                Some(wholes) => Value::Wholes(wholes),
                None => Value::Texts(list.iter().map(text_of).collect()),
            }
        }
    };
    out.insert(prefix.to_owned(), value);
}

/// A time of day as TOML writes it.
fn clock_of(table: &serde_json::Map<String, Json>) -> Option<String> {
    let part = |key: &str| table.get(key).and_then(Json::as_u64);
    (table.len() == 2).then_some(())?;
    Some(format!("{:02}:{:02}", part("hour")?, part("minute")?))
}

fn text_of(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::context;

    #[test]
    fn a_workloads_values_stand_under_their_names_in_toml_in_bytewise_order() {
        let (ctx, _) = context();
        let fields = fields_of(&ctx.config.workloads[&"docs".parse().expect("valid")]);
        let of = |key: &str| fields.iter().find(|field| field.key == key).map(|field| field.value.clone());
        assert_eq!(of("schedule.daily.keep"), Some(Value::Whole(2)), "{fields:?}");
        assert_eq!(of("schedule.daily.at"), Some(Value::Text("02:00".into())));
        assert_eq!(of("paths"), Some(Value::Texts(vec!["/home/docs".into()])));
        assert_eq!(of("kind"), Some(Value::Text("files".into())));
        assert_eq!(of("schedule.home"), Some(Value::Text("vault:main".into())));
        assert_eq!(of("enabled"), Some(Value::Truth(true)));
        assert!(of("origin").is_none() && of("schedule.weekly").is_none());
        assert!(fields.is_sorted_by(|a, b| a.key < b.key), "{fields:?}");
    }
}
