//! Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go. The settings
//! `daily`, `weekly` and `monthly` say otherwise.

use backstop_policy_sdk::retention::{Backup, ReleaseQuestion, Retention, Verdict, first_of_newest_periods};
use backstop_policy_sdk::{Date, Field, Settings, log};

struct Policy;

struct Rule {
    key: &'static str,
    keep: usize,
    /// The number of the period that a day falls into; later periods have greater numbers.
    period: fn(Date) -> i64,
}

impl Retention for Policy {
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let rules = read(&question.settings)?;
        let counts = |backup: &Backup| !backup.held && backup.created <= question.now && backup.complete;
        let counted = || question.backups.iter().enumerate().filter(|(_, backup)| counts(backup));
        let newest = counted().next_back().map_or(i64::MIN, |(_, backup)| backup.created);

        let mut kept_by = vec![Vec::new(); question.backups.len()];
        for Rule { key, keep, period } in &rules {
            let periods = counted().map(|(position, backup)| (position, period(backup.local.date())));
            for position in first_of_newest_periods(periods, *keep) {
                kept_by[position].push(*key);
            }
        }
        let verdicts: Vec<Verdict> = question
            .backups
            .iter()
            .enumerate()
            .map(|(position, backup)| match why_kept(backup, question.now, newest, &kept_by[position]) {
                Some(why) => Verdict::keep(position, why),
                None => Verdict::release(position, "not the first of a day, week or month that is kept"),
            })
            .collect();
        let kept = verdicts.iter().filter(|verdict| !verdict.release).count();
        log::debug(&format!("keeps {kept} of {}", verdicts.len()));
        Ok(verdicts)
    }
}

fn why_kept(backup: &Backup, now: i64, newest: i64, kept_by: &[&str]) -> Option<String> {
    if backup.held {
        return Some("it is held".into());
    }
    if backup.created > now {
        return Some("it is dated after now".into());
    }
    if !backup.complete && backup.created > newest {
        return Some("nothing complete is newer".into());
    }
    (!kept_by.is_empty()).then(|| kept_by.join(", "))
}

/// A slip of the pen must not turn a rule off: what is not understood is an error.
fn read(settings: &[Field]) -> Result<[Rule; 3], String> {
    settings.only(&["daily", "weekly", "monthly"])?;
    let rule = |key, keep, period| -> Result<Rule, String> {
        let keep = settings.whole_or(key, keep)?;
        let keep = usize::try_from(keep).ok().filter(|keep| *keep <= 1000);
        let keep = keep.ok_or_else(|| format!("setting `{key}` wants a whole number from 0 to 1000"))?;
        Ok(Rule { key, keep, period })
    };
    let rules = [
        rule("daily", 7, Date::days)?,
        rule("weekly", 4, Date::week_number)?,
        rule("monthly", 12, Date::month_number)?,
    ];
    if rules.iter().all(|rule| rule.keep == 0) {
        return Err("daily, weekly and monthly are all 0: that would keep nothing".into());
    }
    Ok(rules)
}

backstop_policy_sdk::retention!(Policy);
