//! Schedules: tiers with their times, and the objectives a workload may override.

use backstop_model::Span;
use backstop_model::backup::Level;
use backstop_model::config::{Daily, DrTestRule, Monthly, TimeOfDay, VerifyRule, Weekday, Weekly};
use jiff::tz::TimeZoneDatabase;

use super::{HOUR, MINUTE, Objectives, SECOND, ScheduleDraft, YEAR};
use crate::reader::{Field, Fields};
use crate::suggest;

/// Most days, weeks and months that may be kept: ten, ten and twenty years.
const KEEP_MAX: [u32; 3] = [3650, 520, 240];
pub(crate) const DEFAULT_DAILY: Daily = Daily { at: TimeOfDay { hour: 2, minute: 0 }, keep: 7 };
pub(crate) const DEFAULT_WEEKLY: Weekly = Weekly { on: Weekday::Sunday, at: TimeOfDay { hour: 3, minute: 0 }, keep: 4 };
pub(crate) const DEFAULT_MONTHLY: Monthly = Monthly { on: 1, at: TimeOfDay { hour: 4, minute: 0 }, keep: 12 };

pub(super) fn schedule(table: &Fields<'_>) -> Option<ScheduleDraft> {
    let daily = table.get("daily").and_then(|field| tier(&field, daily));
    let weekly = table.get("weekly").and_then(|field| tier(&field, weekly));
    let monthly = table.get("monthly").and_then(|field| tier(&field, monthly));
    Some(ScheduleDraft { daily, weekly, monthly, objectives: objectives(table) })
}

/// A tier's table; `false` turns the tier off, like leaving it out.
fn tier<T>(field: &Field<'_>, read: fn(&Fields<'_>) -> T) -> Option<T> {
    if field.is_off() {
        return None;
    }
    let table = field.table()?;
    let tier = read(&table);
    table.finish();
    Some(tier)
}

fn daily(table: &Fields<'_>) -> Daily {
    let default = DEFAULT_DAILY;
    Daily { at: at(table, default.at), keep: keep(table, "keep", 0).unwrap_or(default.keep) }
}

fn weekly(table: &Fields<'_>) -> Weekly {
    let default = DEFAULT_WEEKLY;
    let on = table.get("on").and_then(|field| {
        let day = field.text()?;
        let found = WEEKDAYS.iter().find(|(name, _)| *name == day).map(|(_, day)| *day);
        if found.is_none() {
            let names = WEEKDAYS.map(|(name, _)| name);
            field.report(format!("`{}` is not a day of the week", field.title), suggest::hint(day, names));
        }
        found
    });
    let keep = keep(table, "keep", 1).unwrap_or(default.keep);
    Weekly { on: on.unwrap_or(default.on), at: at(table, default.at), keep }
}

fn monthly(table: &Fields<'_>) -> Monthly {
    let default = DEFAULT_MONTHLY;
    let on = table.get("on").and_then(|field| field.whole(1..=28, "as a day that every month has", ""));
    let keep = keep(table, "keep", 2).unwrap_or(default.keep);
    Monthly { on: on.map_or(default.on, |day| day as u8), at: at(table, default.at), keep }
}

pub(crate) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

fn keep(table: &Fields<'_>, key: &'static str, tier: usize) -> Option<u32> {
    table.get(key).and_then(|field| keep_number(&field, tier))
}

pub(super) fn keep_number(field: &Field<'_>, tier: usize) -> Option<u32> {
    let name = ["daily", "weekly", "monthly"][tier];
    let hint = format!("a tier is turned off by `{name} = false`");
    field.whole(1..=KEEP_MAX[tier], ["days", "weeks", "months"][tier], &hint)
}

fn at(table: &Fields<'_>, default: TimeOfDay) -> TimeOfDay {
    let Some(field) = table.get("at") else { return default };
    let Some(text) = field.text() else { return default };
    let digits =
        |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u8>().ok());
    let read = text.split_once(':').and_then(|(hour, minute)| Some((digits(hour)??, digits(minute)??)));
    match read {
        Some((hour @ 0..=23, minute @ 0..=59)) => TimeOfDay { hour, minute },
        _ => {
            field.report(format!("`{}` is not a time of day", field.title), "write `HH:MM`, from `00:00` to `23:59`");
            default
        }
    }
}

pub(super) fn objectives(table: &Fields<'_>) -> Objectives {
    Objectives {
        timezone: table.get("timezone").and_then(|field| timezone(&field)),
        rpo: table.get("rpo").and_then(|field| field.span(MINUTE..=YEAR)),
        rto: table.get("rto").and_then(|field| field.span(SECOND..=Span::from_days(30))),
        home: table.get("home").and_then(|field| Some(field.spot(field.parsed()?))),
        copies: table.get("copies").map(|field| {
            let places =
                field.list().unwrap_or_default().iter().filter_map(|place| Some(place.spot(place.parsed()?))).collect();
            field.spot(places)
        }),
        verify: table.get("verify").and_then(|field| rule(&field, verify)),
        dr_test: table.get("dr_test").and_then(|field| rule(&field, dr_test)),
        full_every: table.get("full_every").and_then(|field| match field.is_off() {
            true => Some(None),
            false => field.span(Span::from_days(1)..=Span::from_days(3660)).map(Some),
        }),
    }
}

fn timezone(field: &Field<'_>) -> Option<String> {
    let name = field.text()?;
    let zones = TimeZoneDatabase::bundled();
    match zones.get(name) {
        Ok(zone) => Some(zone.iana_name().unwrap_or(name).to_owned()),
        Err(_) => {
            let known: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
            let hint = match suggest::nearest(name, &known.iter().map(String::as_str).collect::<Vec<_>>()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write an IANA name, as in `UTC` or `Europe/Berlin`".to_owned(),
            };
            field.report(format!("`{}` names no time zone", field.title), hint);
            None
        }
    }
}

/// A promise with a table of its own; `false` is no promise.
fn rule<T>(field: &Field<'_>, read: fn(&Fields<'_>) -> Option<T>) -> Option<Option<T>> {
    if field.is_off() {
        return Some(None);
    }
    let table = field.table()?;
    let rule = read(&table);
    table.finish();
    rule.map(Some)
}

pub(crate) const DEFAULT_VERIFY: VerifyRule = VerifyRule { every: Span::from_days(7), level: Level::L3 };

fn verify(table: &Fields<'_>) -> Option<VerifyRule> {
    let every = table.get("every").map_or(Some(DEFAULT_VERIFY.every), |field| field.span(HOUR..=YEAR));
    let level = table.get("level").map_or(Some(DEFAULT_VERIFY.level), |field| {
        let level: Level = field.parsed()?;
        if level > Level::L3 {
            field.report(
                format!("`{}` is {level}; `verify` reaches L0 to L3", field.title),
                "L4 and L5 are reached by a DR test: `dr_test = { every = \"7d\" }`",
            );
            return None;
        }
        Some(level)
    });
    Some(VerifyRule { every: every?, level: level? })
}

fn dr_test(table: &Fields<'_>) -> Option<DrTestRule> {
    let every = table.need("every", "say how often recovery is rehearsed, as in `every = \"7d\"`")?;
    Some(DrTestRule { every: every.span(HOUR..=YEAR)? })
}
