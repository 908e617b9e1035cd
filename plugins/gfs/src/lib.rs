//! Grandfather, father, son: of the newest days, weeks, months and years, the first complete backup each. The rest may
//! go.
//!
//! Unlike the built-in calendar it looks at dates and not at tiers, and it knows years. The tier `yearly` marks the first
//! backup of a year, so that the built-in rule, which knows no years, leaves it to policies.

use backstop_policy_sdk::retention::{Question, ReleaseQuestion, Retention, TiersAnswer, TiersQuestion, Verdict};
use backstop_policy_sdk::{Field, Period, Settings};

const YEARLY: &str = "yearly";
const YEAR: Period = Period::year(1);

/// The rules by name.
const RULES: [(&str, Period); 4] =
    [("daily", Period::Day), ("weekly", Period::Week), ("monthly", Period::MONTH), (YEARLY, YEAR)];

struct Gfs;

/// How many periods of each kind are kept, in the order of [`RULES`].
fn read(settings: &[Field]) -> Result<[usize; 4], String> {
    settings.only(&RULES.map(|(name, _)| name))?;
    let counts = [
        settings.count_or("daily", 7)?,
        settings.count_or("weekly", 4)?,
        settings.count_or("monthly", 12)?,
        settings.count_or(YEARLY, 3)?,
    ];
    match counts {
        [0, 0, 0, 0] => {
            Err("all counts are 0, so everything would go: set at least one of daily, weekly, monthly, yearly".into())
        }
        counts => Ok(counts),
    }
}

impl Retention for Gfs {
    fn tiers(question: &TiersQuestion) -> Result<TiersAnswer, String> {
        let [.., yearly] = read(&question.settings)?;
        if yearly == 0 {
            return Ok(TiersAnswer::none());
        }
        let bit = question.tier(YEARLY);
        let this_year = YEAR.begin(question.local.seconds());
        let has_one =
            question.past().any(|(_, backup)| backup.tiers & bit != 0 && YEAR.begin(backup.local) == this_year);
        Ok(match has_one {
            true => TiersAnswer::none(),
            false => {
                TiersAnswer { tiers: vec![YEARLY.into()], reason: format!("the first of {}", question.local.year) }
            }
        })
    }

    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let counts = read(&question.settings)?;
        let rules: [(usize, Period); 4] = std::array::from_fn(|rule| (counts[rule], RULES[rule].1));
        // Complete backups are counted among themselves, and all together, so that no number of partial ones displaces
        // a complete one and the newest days have something at least.
        let mut stands_for = question.firsts(&rules, |backup| backup.complete);
        if question.backups.iter().any(|backup| !backup.complete) {
            for (whole, any) in stands_for.iter_mut().zip(question.firsts(&rules, |_| true)) {
                *whole |= any;
            }
        }
        let mut verdicts = Vec::with_capacity(question.backups.len());
        verdicts.extend(question.past().map(|(position, _)| match stands_for[position] {
            0 => Verdict::release(position, "no period needs it"),
            rules => Verdict::keep(position, names(rules)),
        }));
        Ok(verdicts)
    }
}

fn names(rules: u32) -> String {
    let mut names = String::with_capacity("daily, weekly, monthly, yearly".len());
    for (rule, (name, _)) in RULES.iter().enumerate() {
        if rules & (1 << rule) != 0 {
            names += if names.is_empty() { "" } else { ", " };
            names += name;
        }
    }
    names
}

backstop_policy_sdk::retention!(Gfs);
