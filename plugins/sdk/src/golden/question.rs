//! Questions as the cases have them → questions as policies get them.
//!
//! A question comes complete and well formed from `cases`; what is not is a mistake of ours, and panics in the test.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::alert_sink::{self, Alert, Severity};
use crate::date::Date;
use crate::health_check;
use crate::retention::{Backup, ReleaseQuestion, TiersQuestion};
use crate::validation::{self, Request};
use crate::{CivilTime, Field, Level, Value};

/// A part of a question.
struct Read<'a>(&'a Json);

impl<'a> Read<'a> {
    fn at(&self, key: &str) -> Read<'a> {
        Read(self.0.get(key).unwrap_or(&Json::Null))
    }

    fn as_<T: DeserializeOwned>(&self) -> T {
        T::deserialize(self.0).unwrap_or_else(|error| panic!("a question of a golden case: {}: {error}", self.0))
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> T {
        self.at(key).as_()
    }

    fn list<T>(&self, key: &str, read: impl Fn(Read<'a>) -> T) -> Vec<T> {
        self.at(key).0.as_array().into_iter().flatten().map(|item| read(Read(item))).collect()
    }
}

pub fn tiers(question: &Json) -> TiersQuestion {
    let q = Read(question);
    TiersQuestion {
        now: q.get("now"),
        local: civil(&q.at("local")),
        settings: q.list("settings", field),
        workload: q.get("workload"),
        calendar: q.get("calendar"),
        tier_names: q.get("tier_names"),
        backups: q.list("backups", backup),
        names: q.list("backups", |backup| backup.get::<String>("name")).join("\n"),
    }
}

pub fn release(question: &Json) -> ReleaseQuestion {
    let q = Read(question);
    ReleaseQuestion {
        now: q.get("now"),
        local: civil(&q.at("local")),
        settings: q.list("settings", field),
        workload: q.get("workload"),
        tier_names: q.get("tier_names"),
        backups: q.list("backups", backup),
        names: q.list("backups", |backup| backup.get::<String>("name")).join("\n"),
    }
}

pub fn check(question: &Json) -> validation::Question {
    let q = Read(question);
    let request = q.at("request");
    validation::Question {
        now: q.get("now"),
        local: civil(&q.at("local")),
        settings: q.list("settings", field),
        request: Request {
            verb: request.get("verb"),
            workload: request.get("workload"),
            backup: request.get("backup"),
            by: request.get("by"),
            reason: request.get("reason"),
            scheduled: request.get("scheduled"),
            fields: request.list("fields", field),
        },
    }
}

pub fn deliver(question: &Json) -> alert_sink::Question {
    let q = Read(question);
    let alert = q.at("alert");
    let at = alert.get::<String>("at").parse::<jiff::Timestamp>().expect("an alert has a time").as_second();
    alert_sink::Question {
        now: q.get("now"),
        settings: q.list("settings", field),
        alert: Alert {
            id: alert.get("id"),
            group: alert.get("group"),
            at,
            local: utc(at),
            severity: match alert.get::<String>("severity").as_str() {
                "info" => Severity::Info,
                "warning" => Severity::Warning,
                _ => Severity::Critical,
            },
            kind: alert.get("kind"),
            title: alert.get("title"),
            text: alert.get("text"),
            workload: alert.get("workload"),
            backup: alert.get("backup"),
            run: alert.get("run"),
            host: alert.get("host"),
            recovered: alert.get("recovered"),
            attempt: q.get("attempt"),
            facts: alert.list("facts", field),
        },
    }
}

pub fn health(question: &Json) -> health_check::Question {
    let q = Read(question);
    health_check::Question {
        now: q.get("now"),
        settings: q.list("settings", field),
        workload: q.get("workload"),
        kind: q.get("kind"),
        backup: q.get("backup"),
        created: q.get("created"),
        paths: q.get("paths"),
    }
}

fn backup(b: Read<'_>) -> Backup {
    Backup {
        created: b.get("created"),
        local: civil(&b.at("local")).seconds(),
        tiers: b.get("tiers"),
        size: b.get("size"),
        complete: b.get("complete"),
        held: b.get("held"),
        level: Level::parse(&b.get::<String>("level")).expect("a level of a golden case is one of those there are"),
        copies: b.get("copies"),
        offsite: b.get("offsite"),
        releasable: b.get("releasable"),
    }
}

fn civil(time: &Read<'_>) -> CivilTime {
    CivilTime {
        year: time.get("year"),
        month: time.get("month"),
        day: time.get("day"),
        hour: time.get("hour"),
        minute: time.get("minute"),
        second: time.get("second"),
        weekday: time.get("weekday"),
        offset: time.get("offset"),
    }
}

fn utc(instant: i64) -> CivilTime {
    let (date, second) = (Date::from_days(instant.div_euclid(86_400)), instant.rem_euclid(86_400));
    CivilTime {
        year: date.year as i16,
        month: date.month,
        day: date.day,
        hour: (second / 3600) as u8,
        minute: (second / 60 % 60) as u8,
        second: (second % 60) as u8,
        weekday: date.weekday(),
        offset: 0,
    }
}

fn field(field: Read<'_>) -> Field {
    let value = match field.at("value").0 {
        Json::String(text) => Value::Text(text.clone()),
        Json::Bool(truth) => Value::Truth(*truth),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Real(field.get("value")), Value::Whole),
        Json::Array(items) if items.first().is_some_and(Json::is_number) => Value::Wholes(field.get("value")),
        _ => Value::Texts(field.get("value")),
    };
    Field { key: field.get("key"), value }
}
