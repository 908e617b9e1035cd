//! Times in cases: instants and civil times, in a zone.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};

use super::BadCases;

/// The zone that a case reckons in.
pub fn zone(name: &str) -> Result<TimeZone, BadCases> {
    TimeZone::get(name)
        .map_err(|_| BadCases(format!("`{name}` is not a time zone: write one as `Europe/Berlin` or `UTC`")))
}

/// Reads `2026-01-31T02:00:00Z`, `2026-01-31T02:00` (in the zone) or `2026-01-31` (at `at` in the zone).
pub fn instant(raw: &toml::Value, zone: &TimeZone, at: Time) -> Result<Zoned, BadCases> {
    let text = match raw {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(time) => time.to_string(),
        other => return Err(BadCases(format!("{other} is not a time: write one as `2026-01-31T02:00:00Z`"))),
    };
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.to_zoned(zone.clone()));
    }
    let civil = match text.parse::<Date>() {
        Ok(date) if !text.contains(':') => Ok(date.to_datetime(at)),
        _ => text.parse::<DateTime>(),
    };
    civil.and_then(|civil| civil.to_zoned(zone.clone())).map_err(|_| {
        BadCases(format!(
            "`{text}` is not a time: write one as `2026-01-31T02:00:00Z`, `2026-01-31T02:00` or `2026-01-31`"
        ))
    })
}

/// Seconds since 1970.
pub fn seconds(at: &Zoned) -> i64 {
    at.timestamp().as_second()
}

/// The civil time in the shape of the question.
pub fn civil(at: &Zoned) -> Value {
    json!({
        "year": at.year(), "month": at.month(), "day": at.day(),
        "hour": at.hour(), "minute": at.minute(), "second": at.second(),
        "weekday": at.weekday().to_monday_one_offset(), "offset": at.offset().seconds(),
    })
}

/// A step between two backups: whole days keep the time of day, hours and minutes do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Days(i64),
    Minutes(i64),
}

impl Step {
    pub fn parse(raw: &str) -> Result<Self, BadCases> {
        let bad = || BadCases(format!("`{raw}` is not a step: write one as `1d`, `1w`, `6h` or `30m`"));
        let (number, unit) = raw.split_at(raw.len().saturating_sub(1));
        let number: i64 = number.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(bad)?;
        match unit {
            "w" => Ok(Step::Days(7 * number)),
            "d" => Ok(Step::Days(number)),
            "h" => Ok(Step::Minutes(60 * number)),
            "m" => Ok(Step::Minutes(number)),
            _ => Err(bad()),
        }
    }

    /// The instant `times` steps after another.
    pub fn after(self, from: &Zoned, times: i64) -> Result<Zoned, BadCases> {
        let span = match self {
            Step::Days(days) => jiff::Span::new().try_days(days * times),
            Step::Minutes(minutes) => jiff::Span::new().try_minutes(minutes * times),
        };
        let civil_steps = matches!(self, Step::Days(_));
        span.and_then(|span| {
            if civil_steps {
                from.datetime().checked_add(span)?.to_zoned(from.time_zone().clone())
            } else {
                from.checked_add(span)
            }
        })
        .map_err(|_| BadCases("the history goes beyond the calendar: make it shorter".to_owned()))
    }

    /// Whether several backups may fall on one day.
    pub fn is_short(self) -> bool {
        matches!(self, Step::Minutes(_))
    }
}
