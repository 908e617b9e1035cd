//! A time in which nothing may change: days of the week, hours, dates, in the zone of the schedule.

use backstop_policy_sdk::{CivilTime, Date, Field, Settings};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A window. All its conditions hold at once; one that is not written always holds.
#[derive(Debug)]
pub struct Window<'a> {
    pub name: &'a str,
    days: Vec<u8>,
    hours: Option<(u32, u32)>,
    dates: Option<(Date, Date)>,
}

impl<'a> Window<'a> {
    /// Reads every `window.NAME` of the settings.
    pub fn all(settings: &'a [Field]) -> Result<Vec<Self>, String> {
        let mut names: Vec<&str> = Vec::new();
        for key in settings.keys().filter_map(|key| key.strip_prefix("window.")) {
            let (name, rule) = key.rsplit_once('.').unwrap_or(("", key));
            if name.is_empty() || !["days", "hours", "dates"].contains(&rule) {
                return Err(format!("setting `window.{key}` is not known: a window has days, hours and dates"));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter().map(|name| Self::read(settings, name)).collect()
    }

    fn read(settings: &[Field], name: &'a str) -> Result<Self, String> {
        let key = |rule: &str| format!("window.{name}.{rule}");
        let days = settings.texts(&key("days"))?;
        let days = days.into_iter().map(|day| weekday(day, &key("days"))).collect::<Result<_, _>>()?;
        let hours = settings.find_text(&key("hours"))?.map(|text| hours(text, &key("hours"))).transpose()?;
        let dates = settings.find_text(&key("dates"))?.map(|text| dates(text, &key("dates"))).transpose()?;
        Ok(Self { name, days, hours, dates })
    }

    /// Whether an instant lies within. A window over midnight belongs to the day on which it began.
    pub fn holds(&self, at: &CivilTime) -> bool {
        let minute = at.minute_of_day();
        let today = at.date();
        let begun_on = match self.hours {
            None => Some(today),
            Some((from, until)) if from < until => (from..until).contains(&minute).then_some(today),
            Some((from, _)) if minute >= from => Some(today),
            Some((_, until)) => (minute < until).then(|| today.plus_days(-1)),
        };
        begun_on.is_some_and(|day| {
            (self.days.is_empty() || self.days.contains(&day.weekday()))
                && self.dates.is_none_or(|(first, last)| (first..=last).contains(&day))
        })
    }
}

fn weekday(word: &str, key: &str) -> Result<u8, String> {
    let found = DAYS.iter().position(|day| *day == word.to_ascii_lowercase());
    found.map(|at| at as u8 + 1).ok_or_else(|| format!("setting `{key}` has `{word}`; write days as `friday`"))
}

/// `18:00-08:00`; the end is the first minute outside.
fn hours(text: &str, key: &str) -> Result<(u32, u32), String> {
    let minute = |part: &str| {
        let (hour, minute) = part.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour * 60 + minute <= 24 * 60 && minute < 60).then_some(hour * 60 + minute)
    };
    let both = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    both.filter(|(from, until)| from != until)
        .ok_or_else(|| format!("setting `{key}` is `{text}`; write hours as `18:00-08:00`"))
}

/// `2026-12-20..2027-01-06`, both included, or a single date.
fn dates(text: &str, key: &str) -> Result<(Date, Date), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let both = Date::parse(first.trim()).zip(Date::parse(last.trim()));
    both.filter(|(first, last)| first <= last)
        .ok_or_else(|| format!("setting `{key}` is `{text}`; write dates as `2026-12-20..2027-01-06`"))
}
