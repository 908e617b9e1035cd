//! Plans that prove copies: those whose proof at the promised level is missing or older than promised.
//!
//! One plan per copy: each is proved, and its scratch directory removed, by itself, so that scratch space holds one
//! tree at a time and a copy that fails says nothing about the next.

use std::path::{Path, PathBuf};

use backstop_model::config::Workload;
use backstop_model::{
    Action, Backup, BackupName, BackupState, Copy, CopyState, Fault, Level, Place, Plan, Span, Timestamp, Verb,
};

use crate::choice;

/// What the operator asked for; nothing asked means what the schedule promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Only this backup.
    pub backup: Option<BackupName>,
    /// Only copies at this place.
    pub place: Option<Place>,
    /// To this level instead of the promised one.
    pub level: Option<Level>,
    /// Copies with a fresh proof, too.
    pub again: bool,
    /// Share of the packs to read at L1, parts per million.
    pub sample_ppm: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self { backup: None, place: None, level: None, again: false, sample_ppm: 1_000_000 }
    }
}

/// How long a copy whose proof failed is left alone before the agenda asks again.
pub const RETRY_WAIT: Span = Span::from_days(1);

/// Why a copy is to be proved, and since when; `Err` with the instant at which it will be.
///
/// `every` is the oldest a proof may be. A failed attempt stands for [`RETRY_WAIT`] or `every`, whichever is shorter.
pub(crate) fn due(copy: &Copy, level: Level, every: Span, now: Timestamp) -> Result<(Timestamp, Missing), Timestamp> {
    let wait = every.min(RETRY_WAIT);
    let proved = copy.proved_at(level).filter(|at| !crate::calendar::is_future(*at, now));
    let failed = copy.proofs.iter().filter(|p| !p.passed && p.level <= level).map(|p| p.at).max();
    let (since, missing) = match proved {
        Some(at) => (every.after(at), Missing::Stale(at)),
        None => (copy.created, Missing::Never),
    };
    // A failure dated in the future holds nothing back.
    let again = failed.filter(|at| *at <= now).map(|at| wait.after(at));
    match again.filter(|again| *again > now && proved.is_none()) {
        Some(again) => Err(again),
        None if since <= now || proved.is_none() => Ok((since.min(now), missing)),
        None => Err(since),
    }
}

/// What is wrong with the evidence about a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No proof at the level, or it was lost again.
    Never,
    /// The proof was made then.
    Stale(Timestamp),
}

/// Plans the proofs of `workload` that are due, or asked for: one plan per copy, the longest unproved first.
///
/// Scratch directories are made below `staging`, an absolute path that the caller owns.
///
/// # Errors
/// When the named backup is not kept, or the level is one that only `dr test` reaches.
pub fn plans(
    workload: &Workload,
    backups: &[Backup],
    request: &Request,
    staging: &Path,
    now: Timestamp,
) -> Result<Vec<Plan>, Fault> {
    let schedule = &workload.schedule;
    let level = request.level.unwrap_or_else(|| schedule.promised_level().min(Level::L3));
    if level > Level::L3 {
        return Err(Fault::usage(
            format!("verification reaches L0 to L3, not {level}"),
            format!("`backstop dr test {}` reaches the levels above", workload.name),
        ));
    }
    let every = schedule.verify.map_or(Span::from_millis(u64::MAX), |rule| rule.every);
    let wanted: Vec<&Backup> = match &request.backup {
        Some(name) => vec![choice::named(backups, name)?],
        None => backups.iter().filter(|b| b.state == BackupState::Present).collect(),
    };
    let mut found = Vec::new();
    for backup in wanted {
        let at_place = |copy: &&Copy| request.place.as_ref().is_none_or(|place| place == &copy.place);
        for copy in backup.copies.iter().filter(|c| c.state == CopyState::Present).filter(at_place) {
            let proved = copy.proved_at(level);
            let asked = request.again || (request.backup.is_some() && proved.is_none());
            match due(copy, level, every, now) {
                Ok((since, missing)) => found.push((proved, since, backup, copy, words(missing, level, every))),
                Err(_) if asked => found.push((proved, now, backup, copy, "asked for".to_owned())),
                Err(_) => {}
            }
        }
    }
    found.sort_by(|a, b| (a.0, a.1, &a.2.name, &a.3.place).cmp(&(b.0, b.1, &b.2.name, &b.3.place)));
    Ok(found
        .into_iter()
        .map(|(_, _, backup, copy, why)| one(workload, backup, copy, level, request, staging, why, now))
        .collect())
}

fn words(missing: Missing, level: Level, every: Span) -> String {
    match missing {
        Missing::Never => format!("not proved to {level} ({}) yet", level.word()),
        Missing::Stale(at) => format!("last proved to {level} ({}) at {at}, promised every {every}", level.word()),
    }
}

#[allow(clippy::too_many_arguments)] // The whole question of one copy; a struct would be built and taken apart once.
fn one(
    workload: &Workload,
    backup: &Backup,
    copy: &Copy,
    level: Level,
    request: &Request,
    staging: &Path,
    why: String,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::nothing(Verb::Verify, now, format!("{} at {}: {why}", backup.name, copy.place));
    plan.workload = Some(workload.name.clone());
    if level <= Level::L1 {
        plan.push(Action::CheckCopy {
            backup: backup.name.clone(),
            place: copy.place.clone(),
            level,
            sample_ppm: request.sample_ppm,
            not_since: Some(now),
        });
        return plan;
    }
    let dir = scratch(staging, "verify", &backup.name, &copy.place);
    plan.push(Action::OwnDirectory { dir: dir.clone() });
    plan.push(Action::Materialise { backup: backup.name.clone(), from: copy.place.clone(), dir: dir.clone() });
    if level >= Level::L3 {
        plan.push(Action::CompareTree { backup: backup.name.clone(), from: copy.place.clone(), dir: dir.clone() });
    }
    plan.push(Action::RemoveDirectory { dir }).always = true;
    plan
}

/// A scratch directory that names its purpose, for the person who finds it.
pub(crate) fn scratch(staging: &Path, purpose: &str, backup: &BackupName, place: &Place) -> PathBuf {
    staging.join(format!("{purpose}-{backup}-{}", place.to_string().replace(':', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, offsite, place, proof, proved, schedule, t};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn planned(backups: &[Backup], request: &Request) -> Vec<Plan> {
        let workload = fixture::workload("docs", schedule("UTC"));
        plans(&workload, backups, request, Path::new("/scratch"), t(NOW)).expect("plans")
    }

    fn copies(plans: &[Plan]) -> Vec<String> {
        plans.iter().map(|p| p.reasons[0].split(": ").next().expect("some").to_owned()).collect()
    }

    #[test]
    fn copies_without_a_fresh_proof_are_verified_the_unproved_first() {
        let backups = [
            proved(backup("stale", t("2026-05-01T02:00:00Z"), &[]), t("2026-05-13T12:00:00Z")),
            proved(backup("fresh", t("2026-05-02T02:00:00Z"), &[]), t("2026-05-13T12:00:01Z")),
            offsite(proved(backup("half", t("2026-05-03T02:00:00Z"), &[]), t("2026-05-19T12:00:00Z"))),
        ];
        let plans = planned(&backups, &Request::default());
        assert_eq!(copies(&plans), ["half at vault:offsite", "stale at vault:main"]);
        assert_eq!(plans[0].reasons, ["half at vault:offsite: not proved to L3 (consistent) yet"]);
    }

    #[test]
    fn each_level_has_its_steps_and_scratch_is_always_removed() {
        let backups = [backup("a", t("2026-05-01T02:00:00Z"), &[])];
        let steps = |level| {
            let [plan] = &planned(&backups, &Request { level: Some(level), ..Request::default() })[..] else {
                panic!("one plan")
            };
            assert!(plan.steps.last().expect("a step").always == (level >= Level::L2));
            plan.steps.iter().map(|s| s.action.describe()).collect::<Vec<_>>()
        };
        assert_eq!(steps(Level::L1), ["prove the copy of a at vault:main to L1 (intact)"]);
        let dir = "/scratch/verify-a-vault-main";
        let mut expected = vec![
            format!("claim {dir} for this run"),
            format!("restore a from vault:main into {dir}"),
            format!("compare {dir} with the manifest"),
            format!("remove {dir}"),
        ];
        assert_eq!(steps(Level::L3), expected);
        expected.remove(2);
        assert_eq!(steps(Level::L2), expected);
    }

    #[test]
    fn a_failed_proof_is_not_repeated_at_every_wake_but_on_request() {
        let mut b = backup("a", t("2026-05-01T02:00:00Z"), &[]);
        b.copies[0].proofs.push(proof(Level::L3, false, t("2026-05-20T02:00:00Z")));
        assert!(planned(&[b.clone()], &Request::default()).is_empty());
        let named = Request { backup: Some(b.name.clone()), ..Request::default() };
        assert_eq!(planned(&[b.clone()], &named).len(), 1);
        b.copies[0].proofs[0].at = t("2026-05-19T12:00:00Z");
        assert_eq!(planned(&[b], &Request::default()).len(), 1, "a day later it is");
    }

    #[test]
    fn a_proof_dated_in_the_future_proves_nothing() {
        let b = proved(backup("a", t("2026-05-01T02:00:00Z"), &[]), t("2027-01-01T00:00:00Z"));
        assert_eq!(planned(&[b], &Request::default()).len(), 1);
    }

    #[test]
    fn fresh_copies_are_verified_again_only_when_asked() {
        let b = offsite(proved(backup("a", t("2026-05-01T02:00:00Z"), &[]), t("2026-05-20T02:00:00Z")));
        let again = Request { again: true, place: Some(place("vault:main")), ..Request::default() };
        assert_eq!(copies(&planned(std::slice::from_ref(&b), &again)), ["a at vault:main"]);
        assert_eq!(copies(&planned(&[b], &Request::default())), ["a at vault:offsite"]);
    }

    #[test]
    fn booting_is_not_verifications_business() {
        let workload = fixture::workload("docs", schedule("UTC"));
        let request = Request { level: Some(Level::L4), ..Request::default() };
        assert!(plans(&workload, &[], &request, Path::new("/scratch"), t(NOW)).is_err());
    }
}
