//! How much would be lost if the workload were lost now, against the objective.

use backstop_model::{Backup, BackupName, BackupState, Copy, CopyState, Level, Place, Span, Timestamp, WorkloadName};
use serde::Serialize;

/// The recovery point a workload stands at. Each age is that of the newest backup of its kind; `None`: there is none,
/// and everything would be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The workload.
    pub workload: WorkloadName,
    /// The newest backup that is at some place.
    pub newest: Option<BackupName>,
    /// Its age.
    pub age_millis: Option<u64>,
    /// Age of the newest backup that has reached the promised level.
    pub proved_age_millis: Option<u64>,
    /// Age of the newest backup with a copy outside the home region.
    pub offsite_age_millis: Option<u64>,
    /// The objective (RPO).
    pub target_millis: u64,
    /// Whether the newest backup is no older than the objective.
    pub met: bool,
}

/// The exposure of a workload at `now`. Backups dated in the future (more than the five minutes by which clocks may
/// differ) are left out: nobody can tell what they hold.
#[must_use]
pub fn exposure(
    workload: &WorkloadName,
    backups: &[Backup],
    promised: Level,
    offsite: &[Place],
    target: Span,
    now: Timestamp,
) -> Exposure {
    let latest_plausible = Span::from_secs(300).after(now);
    let newest = |kind: &dyn Fn(&Copy) -> bool| {
        let there = |b: &&Backup| {
            b.state == BackupState::Present
                && b.created <= latest_plausible
                && b.copies.iter().any(|copy| copy.state == CopyState::Present && kind(copy))
        };
        backups.iter().filter(there).max_by_key(|b| b.created)
    };
    let age = |backup: Option<&Backup>| backup.map(|b| Span::between(b.created, now).as_millis());
    let any = newest(&|_| true);
    Exposure {
        workload: workload.clone(),
        newest: any.map(|b| b.name.clone()),
        age_millis: age(any),
        proved_age_millis: age(newest(&|copy| copy.level() >= Some(promised))),
        offsite_age_millis: age(newest(&|copy| offsite.contains(&copy.place))),
        target_millis: target.as_millis(),
        met: age(any).is_some_and(|age| age <= target.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, copy, place, proof, t};

    const HOUR: u64 = 3_600_000;

    fn exposed(backups: &[Backup]) -> Exposure {
        let workload = "docs".parse().expect("valid");
        let (target, now) = (Span::from_secs(86_400), t("2026-05-20T12:00:00Z"));
        exposure(&workload, backups, Level::L3, &[place("vault:offsite")], target, now)
    }

    #[test]
    fn each_kind_of_evidence_has_its_own_age() {
        let mut old = backup("old", t("2026-05-19T12:00:00Z"));
        old.copies[0].proofs.push(proof(Level::L3, true, t("2026-05-19T13:00:00Z")));
        let mut older = backup("older", t("2026-05-18T12:00:00Z"));
        older.copies.push(copy("vault:offsite", older.created));
        let exposure = exposed(&[old, older, backup("new", t("2026-05-20T10:00:00Z"))]);
        assert_eq!(exposure.newest.expect("one").as_str(), "new");
        let ages = (exposure.age_millis, exposure.proved_age_millis, exposure.offsite_age_millis);
        assert_eq!(ages, (Some(2 * HOUR), Some(24 * HOUR), Some(48 * HOUR)));
        assert!(exposure.met);
    }

    #[test]
    fn an_objective_is_met_at_its_very_end_and_missed_after_it() {
        assert!(exposed(&[backup("a", t("2026-05-19T12:00:00Z"))]).met);
        assert!(!exposed(&[backup("a", t("2026-05-19T11:59:59Z"))]).met);
    }

    #[test]
    fn lost_released_and_future_backups_protect_nothing() {
        let mut lost = backup("lost", t("2026-05-20T10:00:00Z"));
        lost.copies[0].state = CopyState::Lost;
        let mut released = backup("released", t("2026-05-20T10:00:00Z"));
        released.state = BackupState::Trashed { since: released.created, purge_after: released.created };
        let exposure = exposed(&[lost, released, backup("future", t("2026-05-20T12:06:00Z"))]);
        assert_eq!((exposure.newest, exposure.age_millis, exposure.met), (None, None, false));
    }
}
