//! What retention policies make of the verdicts of built-in retention. They can only say less.
//!
//! Built-in retention says what may go. With policies in force a backup goes only when every one of them agrees; where
//! one says nothing about it, or found no answer, it stays. A backup kept for nothing but a tier that a policy named
//! goes when at least one policy is in force and all agree. What the built-in tiers or the evidence keep is none of a
//! policy's business, and the delete firewall stands above all of this.

use std::collections::BTreeMap;

use backstop_model::{BackupName, PolicyName};

use crate::retention::Verdict;

/// What one retention policy in force said about the backups of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Which policy.
    pub policy: PolicyName,
    /// Its words, or why there are none.
    pub said: Result<BTreeMap<BackupName, Word>, String>,
}

/// What a policy says about one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// It may go.
    pub release: bool,
    /// Why; may be empty.
    pub reason: String,
}

impl Ruling {
    /// Why this policy keeps a backup; `None` when it agrees to let it go.
    fn objection(&self, backup: &BackupName) -> Option<String> {
        let keeps = |reason: &str| with_reason(format!("policy `{}` keeps it", self.policy), reason);
        match &self.said {
            Err(why) => Some(keeps(&format!("it found no answer: {why}"))),
            Ok(words) => match words.get(backup) {
                None => Some(keeps("it says nothing about it")),
                Some(word) if word.release => None,
                Some(word) => Some(keeps(&word.reason)),
            },
        }
    }

    fn agreement(&self, backup: &BackupName) -> String {
        let reason = self.said.as_ref().ok().and_then(|words| words.get(backup)).map_or("", |word| &word.reason);
        with_reason(format!("policy `{}` lets it go", self.policy), reason)
    }
}

/// Narrows verdicts to what every policy agrees to.
#[must_use]
pub fn heed(mut verdicts: Vec<Verdict>, rulings: &[Ruling]) -> Vec<Verdict> {
    if rulings.is_empty() {
        return verdicts;
    }
    for verdict in verdicts.iter_mut().filter(|verdict| is_open(verdict)) {
        let objections: Vec<String> = rulings.iter().filter_map(|ruling| ruling.objection(&verdict.backup)).collect();
        verdict.keep = !objections.is_empty();
        match verdict.keep {
            true => verdict.reasons.extend(objections),
            false => verdict.reasons.extend(rulings.iter().map(|ruling| ruling.agreement(&verdict.backup))),
        }
    }
    verdicts
}

/// Whether policies have a say in it: built-in retention would let it go, or keeps it only for a tier of theirs.
#[must_use]
pub fn is_open(verdict: &Verdict) -> bool {
    !verdict.keep || verdict.only_named
}

/// The objections of policies to a backup that somebody wants to release by name.
#[must_use]
pub fn objections(backup: &BackupName, rulings: &[Ruling]) -> Vec<String> {
    rulings.iter().filter_map(|ruling| ruling.objection(backup)).collect()
}

/// The same decision as [`heed`], for those who need no words.
pub(crate) fn may_go(backup: &BackupName, releasable: bool, only_named: bool, rulings: &[Ruling]) -> bool {
    (releasable || (only_named && !rulings.is_empty()))
        && rulings
            .iter()
            .all(|ruling| ruling.said.as_ref().is_ok_and(|words| words.get(backup).is_some_and(|word| word.release)))
}

/// A line with its reason, if there is one.
pub(crate) fn with_reason(line: String, reason: &str) -> String {
    if reason.is_empty() { line } else { format!("{line}: {reason}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use backstop_model::{Backup, Level, Span, Tier};
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::Calendar;
    use crate::fixture::{backup, offsite, place, proved, schedule, t};
    use crate::retention::{Terms, verdicts};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn named() -> Tier {
        "quarter".parse().expect("valid")
    }

    fn judged(backups: &[Backup]) -> Vec<Verdict> {
        let calendar = Calendar::of(&schedule("UTC")).expect("known zone");
        let away = [place("vault:offsite")];
        let terms =
            Terms { calendar: &calendar, promised: Some(Level::L3), offsite: &away, enabled: true, now: t(NOW) };
        verdicts(&terms, backups)
    }

    fn ruling(name: &str, words: &[(&str, bool)]) -> Ruling {
        let word = |(backup, release): &(&str, bool)| {
            (backup.parse().expect("valid"), Word { release: *release, reason: String::new() })
        };
        Ruling { policy: name.parse().expect("valid"), said: Ok(words.iter().map(word).collect()) }
    }

    /// Daily backups, d0 made today; those of which `dice` says so hold a named tier, or are proved and off-site.
    fn history(dice: &[(bool, bool, u8)]) -> Vec<Backup> {
        let made = |(i, (named_too, sound, tiers)): (usize, &(bool, bool, u8))| {
            let at = Span::from_days(i as u64).before(t("2026-05-20T02:00:00Z"));
            let mut held: Vec<Tier> = [Tier::Daily, Tier::Weekly, Tier::Monthly]
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| tiers & (1 << bit) != 0)
                .map(|(_, tier)| tier)
                .collect();
            held.extend(named_too.then(named));
            let one = backup(&format!("d{i}"), at, &held);
            if *sound { offsite(proved(one, at)) } else { one }
        };
        dice.iter().enumerate().map(made).collect()
    }

    fn gone(verdicts: &[Verdict]) -> BTreeSet<BackupName> {
        verdicts.iter().filter(|verdict| !verdict.keep).map(|verdict| verdict.backup.clone()).collect()
    }

    #[test]
    fn one_policy_that_keeps_is_enough_and_its_words_are_the_reason() {
        let mut backups = history(&[(false, true, 1); 9]);
        backups.iter_mut().for_each(|b| *b = offsite(b.clone()));
        let agree = ruling("a", &[("d7", true), ("d8", true)]);
        let mut keep = ruling("b", &[("d7", true), ("d8", false)]);
        keep.said.as_mut().expect("words").get_mut(&backups[8].name).expect("d8").reason = "a court asked".into();
        let heeded = heed(judged(&backups), &[agree.clone(), keep]);
        let of = |name: &str| heeded.iter().find(|verdict| verdict.backup.as_str() == name).expect("there");
        assert!(!of("d7").keep && of("d8").keep);
        assert_eq!(of("d8").reasons.last().expect("a reason"), "policy `b` keeps it: a court asked");
        assert_eq!(of("d7").reasons.last().expect("a reason"), "policy `b` lets it go");
        let broken = Ruling { policy: "c".parse().expect("valid"), said: Err("it trapped".into()) };
        let heeded = heed(judged(&backups), &[agree, broken]);
        assert!(gone(&heeded).is_empty());
        let reasons = heeded.iter().map(|verdict| verdict.reasons.join("; ")).collect::<String>();
        assert!(reasons.contains("policy `c` keeps it: it found no answer: it trapped"), "{reasons}");
    }

    #[test]
    fn what_only_a_named_tier_keeps_goes_when_a_policy_in_force_says_so_and_never_by_itself() {
        let mut backups = history(&[(false, true, 1); 9]);
        backups[8].tiers.insert(named());
        let verdicts = judged(&backups);
        assert!(heed(verdicts.clone(), &[]).iter().any(|v| v.keep && v.only_named && v.backup.as_str() == "d8"));
        let yes = ruling("quarters", &[("d8", true)]);
        assert!(gone(&heed(verdicts.clone(), &[yes])).contains(&backups[8].name));
        assert!(!gone(&heed(verdicts, &[ruling("quarters", &[("d7", true)])])).contains(&backups[8].name));
    }

    /// A word of a policy in a generated case: says nothing, keeps, or lets go; or the policy is broken.
    fn rulings() -> impl Strategy<Value = Vec<Ruling>> {
        let words = prop::collection::vec(0u8..3, 40);
        prop::collection::vec((any::<bool>(), words), 0..4).prop_map(|policies| {
            let said = |(index, (broken, words)): (usize, (bool, Vec<u8>))| {
                let words = words.into_iter().enumerate().filter(|(_, word)| *word > 0).map(|(i, word)| {
                    let name = format!("d{i}").parse().expect("valid");
                    (name, Word { release: word == 2, reason: String::new() })
                });
                let said = if broken { Err("broken".to_owned()) } else { Ok(words.collect()) };
                Ruling { policy: format!("p{index}").parse().expect("valid"), said }
            };
            policies.into_iter().enumerate().map(said).collect()
        })
    }

    proptest! {
        /// Whatever policies answer: what built-in retention keeps for a period or for its evidence stays, and what
        /// goes was agreed to by all. With none in force, a tier of theirs keeps for ever.
        #[test]
        fn no_answer_of_policies_makes_the_built_in_tiers_lose_a_backup(
            dice in prop::collection::vec((any::<bool>(), any::<bool>(), 0u8..8), 1..40),
            rulings in rulings(),
        ) {
            let backups = history(&dice);
            let mut plain = backups.clone();
            plain.iter_mut().for_each(|b| { b.tiers.remove(&named()); });
            // Without tiers of policies, built-in retention would let go of exactly these.
            let most = gone(&judged(&plain));
            let verdicts = judged(&backups);
            let heeded = heed(verdicts.clone(), &rulings);
            let left = gone(&heeded);
            prop_assert!(left.is_subset(&most), "{left:?} of {most:?}");
            if rulings.is_empty() {
                prop_assert_eq!(&left, &gone(&verdicts));
                prop_assert!(backups.iter().all(|b| !b.tiers.contains(&named()) || !left.contains(&b.name)));
            }
            for name in &left {
                prop_assert!(objections(name, &rulings).is_empty());
            }
            // The agenda announces exactly what would be proposed.
            for verdict in &verdicts {
                let announced = may_go(&verdict.backup, !verdict.keep, verdict.only_named, &rulings);
                prop_assert_eq!(announced, left.contains(&verdict.backup));
            }
            // Saying "release everything" changes nothing but what was open to policies.
            let all = ruling("all", &backups.iter().map(|b| (b.name.as_str(), true)).collect::<Vec<_>>());
            let open: BTreeSet<BackupName> =
                verdicts.iter().filter(|verdict| is_open(verdict)).map(|verdict| verdict.backup.clone()).collect();
            prop_assert_eq!(gone(&heed(verdicts, &[all])), open);
        }
    }
}
