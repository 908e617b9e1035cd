//! Whatever else goes, the newest backups that were proved stay: so many at or above a level, and the newest of them that
//! has a copy outside the home region.
//!
//! While fewer are proved than wanted, nothing goes: what is let go now might be proved tomorrow.

use backstop_policy_sdk::retention::{Backup, Question, ReleaseQuestion, Retention, Verdict};
use backstop_policy_sdk::{Level, Settings};

struct KeepLastVerified;

impl Retention for KeepLastVerified {
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        question.settings.only(&["keep", "level", "offsite"])?;
        let keep = question.settings.count_or("keep", 3)?.max(1);
        let level = question.settings.text_or("level", "L3")?;
        let level =
            Level::parse(level).ok_or_else(|| format!("setting `level` is `{level}`; write one of L0 to L5"))?;
        let offsite = question.settings.truth_or("offsite", true)?;

        let proved = |backup: &Backup| backup.level >= level && backup.complete;
        let newest_proved: Vec<usize> = question
            .past()
            .rev()
            .filter(|(_, backup)| proved(backup))
            .map(|(position, _)| position)
            .take(keep)
            .collect();
        if newest_proved.len() < keep {
            let why = format!("only {} of {keep} are proved to {}", newest_proved.len(), level.word());
            return Ok(question.past().map(|(position, _)| Verdict::keep(position, &*why)).collect());
        }
        let may_go = format!("{keep} newer ones are proved");
        let newest_offsite = question
            .past()
            .rev()
            .find(|(_, backup)| offsite && backup.offsite && proved(backup))
            .map(|(position, _)| position);
        let mut verdicts = Vec::with_capacity(question.backups.len());
        verdicts.extend(question.past().map(|(position, _)| {
            if newest_proved.contains(&position) {
                Verdict::keep(position, format!("one of the newest {keep} proved to {}", level.word()))
            } else if newest_offsite == Some(position) {
                Verdict::keep(position, format!("the newest off-site proved to {}", level.word()))
            } else {
                Verdict::release(position, &*may_go)
            }
        }));
        Ok(verdicts)
    }
}

backstop_policy_sdk::retention!(KeepLastVerified);
