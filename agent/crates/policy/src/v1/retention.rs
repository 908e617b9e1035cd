//! Retention: the question in the WIT's words, the answer checked.

use std::sync::Arc;

use backstop_model::backup::Tier;
use backstop_model::policy::retention::{KeptBackup, ReleaseQuestion, ReleaseVerdict, TiersAnswer, TiersQuestion};
use backstop_model::policy::{Asked, Fault};

use super::exports::retention_rules as wit;
use super::words::{Texts, civil, level, strs};
use crate::call::{Guest, bad_answer, gave_up};
use crate::state::Reach;
use crate::text::{LINE_MAX, quoted, untrusted};
use crate::witness::Witness;

/// Tiers that a policy may add to one backup.
const TIERS_MAX: usize = 8;

pub(crate) fn tiers(
    guest: &Guest,
    entry: &wit::GuestIndices,
    question: &TiersQuestion,
    witness: &Arc<Witness>,
) -> Asked<TiersAnswer> {
    let texts = Texts::of(&question.settings);
    let settings = texts.fields(&question.settings);
    let (calendar, tier_names) = (strs(&question.calendar), strs(&question.tier_names));
    let backups: Vec<_> = question.backups.iter().map(backup).collect();
    let names = names(&question.backups);
    let asked = wit::TiersQuestion {
        now: question.now,
        local: civil(&question.local),
        settings: &settings,
        workload: question.workload.as_str(),
        calendar: &calendar,
        tier_names: &tier_names,
        backups: &backups,
        names: &names,
    };
    let ask = |store: &mut _, instance: &_| entry.load(&mut *store, instance)?.call_tiers(store, asked);
    guest.ask(Reach::Nothing, witness, ask, |answer, _| checked_tiers(answer))
}

fn checked_tiers(answer: Result<wit::TiersAnswer, String>) -> Result<TiersAnswer, Fault> {
    let answer = answer.map_err(|said| gave_up(&said))?;
    if answer.tiers.len() > TIERS_MAX {
        return Err(bad_answer(format!("it named {} tiers, at most {TIERS_MAX} are taken", answer.tiers.len())));
    }
    let mut tiers: Vec<Tier> = Vec::with_capacity(answer.tiers.len());
    for name in &answer.tiers {
        let tier = name.parse().map_err(|_| {
            let rule = "1 to 32 lower-case letters, digits or `-`, beginning with a letter";
            bad_answer(format!("it named a tier {}: {rule}", quoted(name)))
        })?;
        if !tiers.contains(&tier) {
            tiers.push(tier);
        }
    }
    Ok(TiersAnswer { tiers, reason: untrusted(&answer.reason, LINE_MAX) })
}

pub(crate) fn release(
    guest: &Guest,
    entry: &wit::GuestIndices,
    question: &ReleaseQuestion,
    witness: &Arc<Witness>,
) -> Asked<Vec<ReleaseVerdict>> {
    let texts = Texts::of(&question.settings);
    let settings = texts.fields(&question.settings);
    let tier_names = strs(&question.tier_names);
    let backups: Vec<_> = question.backups.iter().map(backup).collect();
    let names = names(&question.backups);
    let asked = wit::ReleaseQuestion {
        now: question.now,
        local: civil(&question.local),
        settings: &settings,
        workload: question.workload.as_str(),
        tier_names: &tier_names,
        backups: &backups,
        names: &names,
    };
    let ask = |store: &mut _, instance: &_| entry.load(&mut *store, instance)?.call_release(store, asked);
    guest.ask(Reach::Nothing, witness, ask, |answer, _| checked_verdicts(answer, question.backups.len()))
}

fn checked_verdicts(answer: Result<Vec<wit::Verdict>, String>, backups: usize) -> Result<Vec<ReleaseVerdict>, Fault> {
    let answer = answer.map_err(|said| gave_up(&said))?;
    let mut judged = vec![false; backups];
    let checked = answer.into_iter().map(|verdict| {
        let at = verdict.backup;
        let seen = usize::try_from(at).ok().and_then(|at| judged.get_mut(at));
        let seen = seen.ok_or_else(|| bad_answer(format!("it judged backup {at} of {backups}, counted from 0")))?;
        if std::mem::replace(seen, true) {
            return Err(bad_answer(format!("it judged backup {at} twice")));
        }
        Ok(ReleaseVerdict { backup: at, release: verdict.release, reason: untrusted(&verdict.reason, LINE_MAX) })
    });
    checked.collect()
}

/// One text for all of them: a guest that asks for none of their names does not pay for each.
fn names(backups: &[KeptBackup]) -> String {
    let mut names = String::with_capacity(backups.iter().map(|kept| kept.name.len() + 1).sum());
    for (at, kept) in backups.iter().enumerate() {
        if at > 0 {
            names.push('\n');
        }
        names.push_str(&kept.name);
    }
    names
}

fn backup(kept: &KeptBackup) -> wit::Backup {
    wit::Backup {
        created: kept.created,
        local: kept.created.saturating_add(kept.local.offset.into()),
        tiers: kept.tiers,
        size: kept.size,
        complete: kept.complete,
        held: kept.held,
        level: level(kept.level),
        copies: kept.copies,
        offsite: kept.offsite,
        releasable: kept.releasable,
    }
}
