//! The backups of a question: written out one by one, or generated.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Zoned;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Value as Toml;

use super::BadCases;
use super::when::{self, Step};

/// More backups than this are a slip of the pen.
const BACKUPS_MAX: usize = 100_000;

/// The built-in tiers, in the order of their bits.
const BUILT_IN: [&str; 3] = ["daily", "weekly", "monthly"];

/// One history or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    More(Vec<Toml>),
    One(Toml),
}

/// Backups at regular intervals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    from: Toml,
    until: Option<Toml>,
    days: Option<u32>,
    count: Option<u32>,
    every: Option<String>,
    at: Option<String>,
    /// How many periods of each built-in tier have been kept so far; all when absent.
    keep: Option<BTreeMap<String, usize>>,
    name: Option<String>,
    tiers: Option<Tiers>,
    size: Option<u64>,
    complete: Option<bool>,
    held: Option<bool>,
    level: Option<String>,
    copies: Option<u16>,
    offsite: Option<bool>,
    releasable: Option<bool>,
}

/// One backup.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explicit {
    created: Toml,
    name: Option<String>,
    tiers: Option<Tiers>,
    size: Option<u64>,
    complete: Option<bool>,
    held: Option<bool>,
    level: Option<String>,
    copies: Option<u16>,
    offsite: Option<bool>,
    releasable: Option<bool>,
}

/// What is different about some of the backups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    backups: Vec<String>,
    tiers: Option<Vec<String>>,
    size: Option<u64>,
    complete: Option<bool>,
    held: Option<bool>,
    level: Option<String>,
    copies: Option<u16>,
    offsite: Option<bool>,
    releasable: Option<bool>,
}

/// Tiers by name, or `"calendar"`: what the built-in rule gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Tiers {
    Word(String),
    Names(Vec<String>),
}

/// A backup before it is written as JSON.
#[derive(Debug, Clone)]
struct Kept {
    name: String,
    created: Zoned,
    tiers: BTreeSet<String>,
    size: u64,
    complete: bool,
    held: bool,
    level: &'static str,
    copies: u16,
    offsite: bool,
    releasable: bool,
}

/// The backups of a case as the question has them, the names of all tiers, and the newest instant.
pub struct Backups {
    pub list: Vec<Value>,
    pub tier_names: Vec<String>,
    pub newest: Option<Zoned>,
}

/// Puts together what a case says about backups.
pub fn backups(
    histories: Option<&OneOrMore>,
    explicit: &[Explicit],
    changes: &[Change],
    tier_names: Option<&[String]>,
    zone: &TimeZone,
) -> Result<Backups, BadCases> {
    let mut all = Vec::new();
    let histories = match histories {
        None => &[][..],
        Some(OneOrMore::One(one)) => std::slice::from_ref(one),
        Some(OneOrMore::More(more)) => more,
    };
    for history in histories {
        let read = |error: toml::de::Error| BadCases(format!("history: {}", error.message()));
        let history: History = history.clone().try_into().map_err(read)?;
        all.extend(generate(&history, zone)?);
    }
    for one in explicit {
        all.push(one.kept(zone)?);
    }
    if all.len() > BACKUPS_MAX {
        return Err(BadCases(format!("{} backups; at most {BACKUPS_MAX}", all.len())));
    }
    all.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)));
    if let Some(twice) = all.iter().map(|kept| &kept.name).collect::<Counted>().twice {
        return Err(BadCases(format!("two backups are called `{twice}`: give them a `name`")));
    }
    for change in changes {
        change.apply(&mut all)?;
    }
    let tier_names = names(&all, tier_names)?;
    Ok(Backups {
        newest: all.last().map(|kept| kept.created.clone()),
        list: all.iter().map(|kept| kept.json(&tier_names)).collect::<Result<_, _>>()?,
        tier_names,
    })
}

/// Finds a name that occurs twice.
#[derive(Default)]
struct Counted {
    twice: Option<String>,
}

impl<'a> FromIterator<&'a String> for Counted {
    fn from_iter<T: IntoIterator<Item = &'a String>>(names: T) -> Self {
        let mut seen = BTreeSet::new();
        Self { twice: names.into_iter().find(|name| !seen.insert(*name)).cloned() }
    }
}

fn generate(history: &History, zone: &TimeZone) -> Result<Vec<Kept>, BadCases> {
    let at = time_of_day(history.at.as_deref())?;
    let step = Step::parse(history.every.as_deref().unwrap_or("1d"))?;
    let from = when::instant(&history.from, zone, at)?;
    let until = history.until.as_ref().map(|until| when::instant(until, zone, at)).transpose()?;
    let end = match (history.days, history.count, until) {
        (Some(days), None, None) => End::Before(Step::Days(1).after(&from, i64::from(days))?),
        (None, Some(count), None) => End::Count(count as usize),
        (None, None, Some(until)) => End::With(until),
        _ => return Err(BadCases("a history has exactly one of `days`, `count`, `until`".to_owned())),
    };
    let mut made = Vec::new();
    loop {
        let created = step.after(&from, made.len() as i64)?;
        let over = match &end {
            End::Before(end) => created >= *end,
            End::With(last) => created > *last,
            End::Count(count) => made.len() >= *count,
        };
        if over || made.len() > BACKUPS_MAX {
            break;
        }
        let pattern = if step.is_short() { "{date}T{time}" } else { "{date}" };
        made.push(Kept {
            name: named(history.name.as_deref().unwrap_or(pattern), &created),
            created,
            tiers: BTreeSet::new(),
            size: history.size.unwrap_or(1_000_000),
            complete: history.complete.unwrap_or(true),
            held: history.held.unwrap_or(false),
            level: level(history.level.as_deref())?,
            copies: history.copies.unwrap_or(2),
            offsite: history.offsite.unwrap_or(true),
            releasable: history.releasable.unwrap_or(true),
        });
    }
    match history.tiers.clone().unwrap_or_else(|| Tiers::Word("calendar".to_owned())) {
        Tiers::Names(names) => made.iter_mut().for_each(|kept| kept.tiers = names.iter().cloned().collect()),
        Tiers::Word(word) if word == "calendar" => by_calendar(&mut made),
        Tiers::Word(word) => {
            return Err(BadCases(format!("`tiers` is `{word}`: write `\"calendar\"` or a list of names")));
        }
    }
    if let Some(keep) = &history.keep {
        thin(&mut made, keep)?;
    }
    Ok(made)
}

enum End {
    Before(Zoned),
    With(Zoned),
    Count(usize),
}

/// The period of a built-in tier that an instant falls into.
fn period(tier: &str, at: &Zoned) -> (i16, i16) {
    match tier {
        "daily" => (at.year(), at.day_of_year()),
        "weekly" => (at.date().iso_week_date().year(), i16::from(at.date().iso_week_date().week())),
        _ => (at.year(), i16::from(at.month())),
    }
}

/// The built-in rule: the first backup of a day, week and month gets that tier.
fn by_calendar(made: &mut [Kept]) {
    for tier in BUILT_IN {
        let mut seen = BTreeSet::new();
        for kept in &mut *made {
            if seen.insert(period(tier, &kept.created)) {
                kept.tiers.insert(tier.to_owned());
            }
        }
    }
}

/// Leaves what the built-in rule would have kept: holders of a tier in its newest periods.
fn thin(made: &mut Vec<Kept>, keep: &BTreeMap<String, usize>) -> Result<(), BadCases> {
    if let Some(strange) = keep.keys().find(|tier| !BUILT_IN.contains(&tier.as_str())) {
        return Err(BadCases(format!("`keep` names `{strange}`; it counts daily, weekly and monthly")));
    }
    let mut stays = vec![false; made.len()];
    for (tier, count) in keep {
        let mut seen = BTreeSet::new();
        for (position, kept) in made.iter().enumerate().rev().filter(|(_, kept)| kept.tiers.contains(tier)) {
            seen.insert(period(tier, &kept.created));
            stays[position] |= seen.len() <= *count;
        }
    }
    let mut stays = stays.into_iter();
    made.retain(|_| stays.next().unwrap_or(true));
    Ok(())
}

impl Explicit {
    fn kept(&self, zone: &TimeZone) -> Result<Kept, BadCases> {
        let created = when::instant(&self.created, zone, time_of_day(None)?)?;
        let tiers = match self.tiers.clone() {
            None => [BUILT_IN[0].to_owned()].into(),
            Some(Tiers::Names(names)) => names.into_iter().collect(),
            Some(Tiers::Word(word)) => [word].into(),
        };
        Ok(Kept {
            name: named(self.name.as_deref().unwrap_or("{date}"), &created),
            created,
            tiers,
            size: self.size.unwrap_or(1_000_000),
            complete: self.complete.unwrap_or(true),
            held: self.held.unwrap_or(false),
            level: level(self.level.as_deref())?,
            copies: self.copies.unwrap_or(2),
            offsite: self.offsite.unwrap_or(true),
            releasable: self.releasable.unwrap_or(true),
        })
    }
}

impl Change {
    fn apply(&self, all: &mut [Kept]) -> Result<(), BadCases> {
        for name in &self.backups {
            let kept = all
                .iter_mut()
                .find(|kept| kept.name == *name)
                .ok_or_else(|| BadCases(format!("`change` names `{name}`, which is no backup of this case")))?;
            if let Some(tiers) = &self.tiers {
                kept.tiers = tiers.iter().cloned().collect();
            }
            if self.level.is_some() {
                kept.level = level(self.level.as_deref())?;
            }
            kept.size = self.size.unwrap_or(kept.size);
            kept.complete = self.complete.unwrap_or(kept.complete);
            kept.held = self.held.unwrap_or(kept.held);
            kept.copies = self.copies.unwrap_or(kept.copies);
            kept.offsite = self.offsite.unwrap_or(kept.offsite);
            kept.releasable = self.releasable.unwrap_or(kept.releasable);
        }
        Ok(())
    }
}

impl Kept {
    fn json(&self, tier_names: &[String]) -> Result<Value, BadCases> {
        let mut bits = 0_u32;
        for tier in &self.tiers {
            let bit = tier_names.iter().position(|name| name == tier);
            let bit =
                bit.ok_or_else(|| BadCases(format!("`{}` holds `{tier}`, which `tier_names` lacks", self.name)))?;
            bits |= 1 << bit;
        }
        Ok(json!({
            "name": self.name, "created": when::seconds(&self.created), "local": when::civil(&self.created),
            "tiers": bits, "size": self.size, "complete": self.complete, "held": self.held, "level": self.level,
            "copies": self.copies, "offsite": self.offsite, "releasable": self.releasable,
        }))
    }
}

/// The built-in tiers, then the others in use by name.
fn names(all: &[Kept], given: Option<&[String]>) -> Result<Vec<String>, BadCases> {
    let mut names: Vec<String> = match given {
        Some(given) => given.to_vec(),
        None => BUILT_IN.map(str::to_owned).to_vec(),
    };
    if names.len() < 3 || names[..3] != BUILT_IN {
        return Err(BadCases("`tier_names` begins with daily, weekly, monthly".to_owned()));
    }
    if given.is_none() {
        let others: BTreeSet<&String> = all.iter().flat_map(|kept| &kept.tiers).collect();
        let others: Vec<String> = others.into_iter().filter(|tier| !names.contains(tier)).cloned().collect();
        names.extend(others);
    }
    if names.len() > 32 { Err(BadCases(format!("{} tiers; at most 32", names.len()))) } else { Ok(names) }
}

fn named(pattern: &str, at: &Zoned) -> String {
    pattern.replace("{date}", &at.date().to_string()).replace("{time}", &at.strftime("%H%M").to_string())
}

fn time_of_day(raw: Option<&str>) -> Result<Time, BadCases> {
    let raw = raw.unwrap_or("02:00");
    raw.parse().map_err(|_| BadCases(format!("`{raw}` is not a time of day: write one as `02:00`")))
}

fn level(raw: Option<&str>) -> Result<&'static str, BadCases> {
    const LEVELS: [(&str, &str); 7] = [
        ("nothing", "nothing"),
        ("L0", "present"),
        ("L1", "intact"),
        ("L2", "attachable"),
        ("L3", "consistent"),
        ("L4", "boots"),
        ("L5", "serves"),
    ];
    let raw = raw.unwrap_or("L1");
    let found = LEVELS.iter().find(|(short, word)| *short == raw || *word == raw);
    found.map(|(_, word)| *word).ok_or_else(|| BadCases(format!("`{raw}` is not a level: L0 to L5, or `nothing`")))
}
