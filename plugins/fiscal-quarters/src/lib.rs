//! The first backup of every fiscal quarter becomes `quarterly`, that of every fiscal year `fiscal-year` as well. Both
//! are kept for so many quarters and years, and then may go.
//!
//! Bind it with `promises = { quarterly = 12, fiscal-year = 10 }`, so that `backstop policy simulate` fails when fewer
//! remain.

use backstop_policy_sdk::retention::{Question, ReleaseQuestion, Retention, TiersAnswer, TiersQuestion, Verdict};
use backstop_policy_sdk::{Field, Period, Settings};

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

    fn quarter(&self) -> Period {
        Period::quarter(self.first_month)
    }

    fn year(&self) -> Period {
        Period::year(self.first_month)
    }
}

impl Retention for FiscalQuarters {
    fn tiers(question: &TiersQuestion) -> Result<TiersAnswer, String> {
        let rules = Rules::read(&question.settings)?;
        let now = question.local.seconds();
        // A partial backup does not use up its period: the next one gets the tier as well.
        let is_first = |tier: &str, period: Period| {
            let (bit, this) = (question.tier(tier), period.begin(now));
            let same = |local| period.begin(local) == this;
            !question.past().any(|(_, backup)| backup.tiers & bit != 0 && backup.complete && same(backup.local))
        };
        let mut tiers = Vec::new();
        if rules.quarters > 0 && is_first(QUARTERLY, rules.quarter()) {
            tiers.push(QUARTERLY.to_owned());
        }
        if rules.years > 0 && is_first(FISCAL_YEAR, rules.year()) {
            tiers.push(FISCAL_YEAR.to_owned());
        }
        let (year, quarter) = question.local.date().fiscal_quarter(rules.first_month);
        let reason = match tiers.is_empty() {
            true => String::new(),
            false => format!("the first of quarter {quarter} of the fiscal year that began in {year}"),
        };
        Ok(TiersAnswer { tiers, reason })
    }

    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let rules = Rules::read(&question.settings)?;
        let (quarterly, yearly) = (question.tier(QUARTERLY), question.tier(FISCAL_YEAR));
        let kept_quarters = kept(question, quarterly, (rules.quarters, rules.quarter()));
        let kept_years = kept(question, yearly, (rules.years, rules.year()));
        let mut verdicts = Vec::with_capacity(question.backups.len());
        verdicts.extend(question.past().map(|(position, backup)| {
            if kept_years[position] != 0 {
                Verdict::keep(position, format!("the first of one of the newest {} fiscal years", rules.years))
            } else if kept_quarters[position] != 0 {
                Verdict::keep(position, format!("the first of one of the newest {} quarters", rules.quarters))
            } else if backup.tiers & (quarterly | yearly) != 0 {
                Verdict::release(position, "past what is kept")
            } else {
                Verdict::release(position, "holds neither tier")
            }
        }));
        Ok(verdicts)
    }
}

/// Holders of a tier that stand for its newest periods: complete ones among themselves, and a partial one while its period
/// is among the newest of all.
fn kept(question: &ReleaseQuestion, bit: u32, rule: (usize, Period)) -> Vec<u32> {
    let mut kept = question.firsts(&[rule], |backup| backup.tiers & bit != 0 && backup.complete);
    for (whole, any) in kept.iter_mut().zip(question.firsts(&[rule], |backup| backup.tiers & bit != 0)) {
        *whole |= any;
    }
    kept
}

backstop_policy_sdk::retention!(FiscalQuarters);
