//! Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go. The settings
//! `daily`, `weekly` and `monthly` say otherwise.

use backstop_policy_sdk::retention::{Backup, ReleaseQuestion, Retention, Verdict};
use backstop_policy_sdk::{Date, Field, Settings, log};

struct Policy;

struct Rule {
    key: &'static str,
    keep: i64,
    /// The number of the period that a day falls into; later periods have greater numbers.
    period: fn(Date) -> i64,
    /// The oldest of the newest periods that are kept.
    oldest: i64,
    /// The newest period that has its backup.
    last: i64,
}

impl Retention for Policy {
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let mut rules = read(&question.settings)?;
        let counted = || {
            let counts = |backup: &&Backup| !backup.held && backup.created <= question.now && backup.complete;
            question.backups.iter().rev().filter(counts)
        };
        let newest = counted().next().map_or(i64::MIN, |backup| backup.created);
        for rule in &mut rules {
            let mut periods: Vec<i64> = counted().map(|backup| (rule.period)(backup.local.date())).collect();
            periods.dedup();
            periods.truncate(rule.keep as usize);
            rule.oldest = periods.last().copied().unwrap_or(i64::MAX);
        }
        let mut verdicts = Vec::with_capacity(question.backups.len());
        for (position, backup) in question.backups.iter().enumerate() {
            verdicts.push(match why_kept(backup, question.now, newest, &mut rules) {
                Some(why) => Verdict::keep(position, why),
                None => Verdict::release(position, "not the first of a day, week or month that is kept"),
            });
        }
        let kept = verdicts.iter().filter(|verdict| !verdict.release).count();
        log::debug(&format!("keeps {kept} of {}", verdicts.len()));
        Ok(verdicts)
    }
}

/// Called with the oldest backup first, so that the first of a period comes first.
fn why_kept(backup: &Backup, now: i64, newest: i64, rules: &mut [Rule; 3]) -> Option<String> {
    if backup.held {
        return Some("it is held".into());
    }
    if backup.created > now {
        return Some("it is dated after now".into());
    }
    if !backup.complete {
        return (backup.created > newest).then(|| "nothing complete is newer".into());
    }
    let mut reasons = Vec::new();
    for rule in rules {
        let period = (rule.period)(backup.local.date());
        if period >= rule.oldest && period > rule.last {
            rule.last = period;
            reasons.push(rule.key);
        }
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

/// A slip of the pen must not turn a rule off: what is not understood is an error.
fn read(settings: &[Field]) -> Result<[Rule; 3], String> {
    settings.only(&["daily", "weekly", "monthly"])?;
    let rule = |key, keep, period| -> Result<Rule, String> {
        let keep = settings.whole_or(key, keep)?;
        if !(0..=1000).contains(&keep) {
            return Err(format!("setting `{key}` wants a whole number from 0 to 1000"));
        }
        Ok(Rule { key, keep, period, oldest: i64::MAX, last: i64::MIN })
    };
    let rules =
        [rule("daily", 7, Date::days)?, rule("weekly", 4, Date::week_number)?, rule("monthly", 12, Date::month_number)?];
    if rules.iter().all(|rule| rule.keep == 0) {
        return Err("daily, weekly and monthly are all 0: that would keep nothing".into());
    }
    Ok(rules)
}

backstop_policy_sdk::retention!(Policy);
