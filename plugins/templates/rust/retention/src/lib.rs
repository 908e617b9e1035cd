//! Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go. The settings
//! `daily`, `weekly` and `monthly` say otherwise.

use backstop_policy_sdk::retention::{Backup, Question, ReleaseQuestion, Retention, Verdict};
use backstop_policy_sdk::{Field, Period, Settings, log};

struct Policy;

const RULES: [&str; 3] = ["daily", "weekly", "monthly"];

impl Retention for Policy {
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let rules = read(&question.settings)?;
        let counts = |backup: &Backup| !backup.held && backup.complete;
        let newest = question.past().rev().find(|(_, backup)| counts(backup)).map_or(i64::MIN, |(_, it)| it.created);
        // Bit `i` is set where a backup is the first of a period that rule `i` keeps.
        let first_by = question.firsts(&rules, counts);
        let mut kept = 0;
        let mut verdicts = Vec::with_capacity(question.backups.len());
        for (position, backup) in question.backups.iter().enumerate() {
            verdicts.push(match why_kept(backup, question.now, newest, first_by[position]) {
                Some(why) => {
                    kept += 1;
                    Verdict::keep(position, why)
                }
                None => Verdict::release(position, "no period needs it"),
            });
        }
        log::debug(&format!("keeps {kept} of {}", verdicts.len()));
        Ok(verdicts)
    }
}

fn why_kept(backup: &Backup, now: i64, newest: i64, first_by: u32) -> Option<String> {
    if backup.held {
        return Some("it is held".into());
    }
    if backup.created > now {
        return Some("it is dated after now".into());
    }
    if !backup.complete && backup.created > newest {
        return Some("nothing complete is newer".into());
    }
    if first_by == 0 {
        return None;
    }
    let names = RULES.iter().enumerate().filter(|(rule, _)| first_by & (1 << rule) != 0);
    Some(names.map(|(_, name)| *name).collect::<Vec<_>>().join(", "))
}

/// A slip of the pen must not turn a rule off: what is not understood is an error.
fn read(settings: &[Field]) -> Result<[(usize, Period); 3], String> {
    settings.only(&RULES)?;
    let count = |key, default| -> Result<usize, String> {
        let count = usize::try_from(settings.whole_or(key, default)?).ok().filter(|count| *count <= 1000);
        count.ok_or_else(|| format!("setting `{key}` wants a whole number from 0 to 1000"))
    };
    let rules = [
        (count("daily", 7)?, Period::Day),
        (count("weekly", 4)?, Period::Week),
        (count("monthly", 12)?, Period::MONTH),
    ];
    if rules.iter().all(|(count, _)| *count == 0) {
        return Err("daily, weekly and monthly are all 0: that would keep nothing".into());
    }
    Ok(rules)
}

backstop_policy_sdk::retention!(Policy);
