//! The first backup of every fiscal quarter becomes `quarterly`, that of every fiscal year `fiscal-year` as well. Both
//! are kept for so many quarters and years, and then may go.
//!
//! Bind it with `promises = { quarterly = 12, fiscal-year = 10 }`, so that `backstop policy simulate` fails when fewer
//! remain.

use backstop_policy_sdk::retention::{
    Backup, Question, ReleaseQuestion, Retention, TiersAnswer, TiersQuestion, Verdict, first_of_newest_periods,
};
use backstop_policy_sdk::{Date, Field, Settings};

const QUARTERLY: &str = "quarterly";
const FISCAL_YEAR: &str = "fiscal-year";

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

struct FiscalQuarters;

struct Rules {
    first_month: u8,
    quarters: usize,
    years: usize,
}

impl Rules {
    fn read(settings: &[Field]) -> Result<Self, String> {
        settings.only(&["first_month", "quarters", "years"])?;
        let word = settings.text_or("first_month", MONTHS[0])?.to_ascii_lowercase();
        let first_month = MONTHS.iter().position(|month| *month == word);
        let first_month = first_month
            .ok_or_else(|| format!("setting `first_month` is `{word}`; write the name of a month, as `april`"))?;
        Ok(Self {
            first_month: first_month as u8 + 1,
            quarters: settings.count_or("quarters", 12)?,
            years: settings.count_or("years", 10)?,
        })
    }

    fn quarter(&self, date: Date) -> i64 {
        let (year, quarter) = date.fiscal_quarter(self.first_month);
        i64::from(year) * 4 + i64::from(quarter) - 1
    }

    fn year(&self, date: Date) -> i64 {
        i64::from(date.fiscal_quarter(self.first_month).0)
    }
}

impl Retention for FiscalQuarters {
    fn tiers(question: &TiersQuestion) -> Result<TiersAnswer, String> {
        let rules = Rules::read(&question.settings)?;
        let today = question.local.date();
        // A partial backup does not use up its period: the next one gets the tier as well.
        let is_first = |tier: &str, same: &dyn Fn(Date) -> bool| {
            let bit = question.tier(tier);
            !question.past().any(|(_, backup)| backup.tiers & bit != 0 && backup.complete && same(backup.local.date()))
        };
        let mut tiers = Vec::new();
        if rules.quarters > 0 && is_first(QUARTERLY, &|date| rules.quarter(date) == rules.quarter(today)) {
            tiers.push(QUARTERLY.to_owned());
        }
        if rules.years > 0 && is_first(FISCAL_YEAR, &|date| rules.year(date) == rules.year(today)) {
            tiers.push(FISCAL_YEAR.to_owned());
        }
        let (year, quarter) = today.fiscal_quarter(rules.first_month);
        let reason = match tiers.is_empty() {
            true => String::new(),
            false => format!("the first of quarter {quarter} of the fiscal year that began in {year}"),
        };
        Ok(TiersAnswer { tiers, reason })
    }

    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let rules = Rules::read(&question.settings)?;
        let (quarterly, yearly) = (question.tier(QUARTERLY), question.tier(FISCAL_YEAR));
        let kept_quarters = kept(question, quarterly, rules.quarters, |date| rules.quarter(date));
        let kept_years = kept(question, yearly, rules.years, |date| rules.year(date));
        Ok(question
            .past()
            .map(|(position, backup)| {
                if kept_years.contains(&position) {
                    Verdict::keep(position, format!("the first of one of the newest {} fiscal years", rules.years))
                } else if kept_quarters.contains(&position) {
                    Verdict::keep(position, format!("the first of one of the newest {} quarters", rules.quarters))
                } else if backup.tiers & (quarterly | yearly) != 0 {
                    Verdict::release(position, "its quarter and its fiscal year are past what is kept")
                } else {
                    Verdict::release(position, "neither quarterly nor of a fiscal year")
                }
            })
            .collect())
    }
}

/// Holders of a tier that stand for its newest periods: complete ones among themselves, and a partial one while its period
/// is among the newest of all.
fn kept(question: &ReleaseQuestion, bit: u32, count: usize, period: impl Fn(Date) -> i64) -> Vec<usize> {
    let holders = || question.past().filter(|(_, backup)| backup.tiers & bit != 0);
    let number = |(position, backup): (usize, &Backup)| (position, period(backup.local.date()));
    let mut kept = first_of_newest_periods(holders().filter(|(_, backup)| backup.complete).map(number), count);
    kept.extend(first_of_newest_periods(holders().map(number), count));
    kept
}

backstop_policy_sdk::retention!(FiscalQuarters);
