//! What a court may ask for stays: backups by name, or made within a time, until a date or for ever.
//!
//! Everything beyond the hold may go as far as this policy is concerned. To hold whole workloads, bind it to them with
//! `applies_to` and give no names.

use backstop_policy_sdk::retention::{Question, ReleaseQuestion, Retention, Verdict};
use backstop_policy_sdk::{Date, Settings, glob};

struct LegalHold;

impl Retention for LegalHold {
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let settings = &question.settings;
        settings.only(&["names", "made_from", "made_until", "until", "matter"])?;
        let names = settings.texts_or("names", &["*"])?;
        let (made_from, made_until) = (settings.find_date("made_from")?, settings.find_date("made_until")?);
        let until = settings.find_date("until")?;
        let matter = settings.text_or("matter", "a legal hold")?;
        if names.is_empty() {
            return Err("setting `names` is an empty list, which holds nothing: leave it out to hold everything".into());
        }

        let over = until.is_some_and(|last| question.local.date() > last);
        let held = match until {
            Some(last) => format!("held for {matter} until {last}"),
            None => format!("held for {matter}"),
        };
        let no_longer = format!("the hold for {matter} is over");
        let no_part = format!("not part of {matter}");
        let (first, last) = (made_from.map_or(i64::MIN, Date::days), made_until.map_or(i64::MAX, Date::days));
        let mut verdicts = Vec::with_capacity(question.backups.len());
        let named = question.backups.iter().zip(question.names()).enumerate();
        for (position, (backup, name)) in named.filter(|(_, (backup, _))| backup.created <= question.now) {
            let meant = (first..=last).contains(&backup.day()) && glob::fits_any(&names, name);
            verdicts.push(match (meant, over) {
                (true, false) => Verdict::keep(position, &*held),
                (true, true) => Verdict::release(position, &*no_longer),
                (false, _) => Verdict::release(position, &*no_part),
            });
        }
        Ok(verdicts)
    }
}

backstop_policy_sdk::retention!(LegalHold);
