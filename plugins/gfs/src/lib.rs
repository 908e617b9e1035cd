//! Grandfather, father, son: of the newest days, weeks, months and years, the first complete backup each. The rest may
//! go.
//!
//! Unlike the built-in calendar it looks at dates and not at tiers, and it knows years. The tier `yearly` marks the first
//! backup of a year, so that the built-in rule, which knows no years, leaves it to policies.

use backstop_policy_sdk::retention::{
    Backup, Question, ReleaseQuestion, Retention, TiersAnswer, TiersQuestion, Verdict, first_of_newest_periods,
};
use backstop_policy_sdk::{Date, Field, Settings};

const YEARLY: &str = "yearly";

struct Gfs;

/// How many periods of each kind are kept.
struct Counts {
    daily: usize,
    weekly: usize,
    monthly: usize,
    yearly: usize,
}

impl Counts {
    fn read(settings: &[Field]) -> Result<Self, String> {
        settings.only(&["daily", "weekly", "monthly", YEARLY])?;
        let counts = Self {
            daily: settings.count_or("daily", 7)?,
            weekly: settings.count_or("weekly", 4)?,
            monthly: settings.count_or("monthly", 12)?,
            yearly: settings.count_or(YEARLY, 3)?,
        };
        match counts {
            Counts { daily: 0, weekly: 0, monthly: 0, yearly: 0 } => {
                Err("all counts are 0, so everything would go: set at least one of daily, weekly, monthly, yearly"
                    .into())
            }
            counts => Ok(counts),
        }
    }
}

/// Gives a date the number of its period; numbers grow with time.
type Period = fn(Date) -> i64;

impl Retention for Gfs {
    fn tiers(question: &TiersQuestion) -> Result<TiersAnswer, String> {
        if Counts::read(&question.settings)?.yearly == 0 {
            return Ok(TiersAnswer::none());
        }
        let bit = question.tier(YEARLY);
        let year = question.local.year;
        let has_one = question.past().any(|(_, backup)| backup.tiers & bit != 0 && backup.local.year == year);
        Ok(match has_one {
            true => TiersAnswer::none(),
            false => TiersAnswer { tiers: vec![YEARLY.into()], reason: format!("the first of {year}") },
        })
    }

    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let counts = Counts::read(&question.settings)?;
        let rules: [(&str, usize, Period); 4] = [
            ("daily", counts.daily, Date::days),
            ("weekly", counts.weekly, Date::week_number),
            ("monthly", counts.monthly, Date::month_number),
            (YEARLY, counts.yearly, |date| i64::from(date.year)),
        ];
        // What keeps each backup, a bit per rule: no text is made for a backup before it is known.
        let mut kept_by = vec![0_u8; question.backups.len()];
        let some_partial = question.backups.iter().any(|backup| !backup.complete);
        for (bit, (_, count, period)) in rules.iter().enumerate() {
            for position in chosen(question, *count, *period, some_partial) {
                kept_by[position] |= 1 << bit;
            }
        }
        Ok(question.past().map(|(position, _)| verdict(position, kept_by[position], &rules)).collect())
    }
}

/// Positions of what stands for the newest periods. Complete backups are counted among themselves, and all together, so
/// that no number of partial ones displaces a complete one and the newest days have something at least.
fn chosen(question: &ReleaseQuestion, count: usize, period: Period, some_partial: bool) -> Vec<usize> {
    let number = |(position, backup): (usize, &Backup)| (position, period(backup.local.date()));
    let mut chosen = first_of_newest_periods(question.past().filter(|(_, backup)| backup.complete).map(number), count);
    if some_partial {
        chosen.extend(first_of_newest_periods(question.past().map(number), count));
    }
    chosen
}

fn verdict(position: usize, kept_by: u8, rules: &[(&str, usize, Period); 4]) -> Verdict {
    if kept_by == 0 {
        return Verdict::release(position, "not the first of a day, week, month or year that is kept");
    }
    let names = rules.iter().enumerate().filter(|(bit, _)| kept_by & (1 << bit) != 0).map(|(_, (name, ..))| *name);
    Verdict::keep(position, names.collect::<Vec<_>>().join(", "))
}

backstop_policy_sdk::retention!(Gfs);
