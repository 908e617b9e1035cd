//! Plans that purge released backups whose window is over, and give back the space nothing refers to.

use std::collections::BTreeSet;

use backstop_model::{Action, Backup, BackupState, CopyState, Place, Plan, Timestamp, Verb};

/// Whether the backup's time in the trash is over.
#[must_use]
pub fn is_purgeable(backup: &Backup, now: Timestamp) -> bool {
    matches!(backup.state, BackupState::Trashed { purge_after, .. } if purge_after <= now)
}

/// Plans the purge of `backups` (those in the trash past their window; others are passed over), then the pruning of
/// every vault they stood in and of `vaults`.
///
/// A backup's copies go first and its record last, so a crash leaves a record of something that may be gone and never
/// something that nobody knows of. Pruning one vault does not depend on another, nor does any purge depend on it.
#[must_use]
pub fn plan(backups: &[&Backup], vaults: &BTreeSet<Place>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing(Verb::Prune, now, "");
    plan.reasons.clear();
    let mut vaults: BTreeSet<Place> = vaults.iter().filter(|place| place.vault().is_some()).cloned().collect();
    for backup in backups.iter().filter(|b| is_purgeable(b, now)) {
        if let BackupState::Trashed { since, purge_after } = backup.state {
            plan.reasons.push(format!("{}: released {since}, its window ended {purge_after}", backup.name));
        }
        for copy in backup.copies.iter().filter(|copy| copy.state == CopyState::Trashed) {
            plan.push(Action::PurgeCopy {
                backup: backup.name.clone(),
                place: copy.place.clone(),
                snapshot: copy.snapshot,
            });
            vaults.extend(copy.place.vault().map(|_| copy.place.clone()));
        }
        plan.push(Action::RecordState { backup: backup.name.clone(), state: BackupState::Purged { at: now } });
    }
    for place in vaults {
        plan.reasons.push(format!("{place}: packs that nothing refers to"));
        plan.push(Action::PrunePacks { place }).optional = true;
    }
    if plan.steps.is_empty() {
        plan.reasons.push("no released backup has outlived its window".to_owned());
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, offsite, place, t};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn trashed(name: &str, purge_after: &str) -> Backup {
        let mut b = offsite(backup(name, t("2026-04-01T02:00:00Z"), &[]));
        b.state = BackupState::Trashed { since: t("2026-05-10T00:00:00Z"), purge_after: t(purge_after) };
        b.copies.iter_mut().for_each(|c| c.state = CopyState::Trashed);
        b
    }

    #[test]
    fn only_what_outlived_its_window_is_purged_and_its_vaults_are_pruned_last() {
        let (over, open) = (trashed("over", NOW), trashed("open", "2026-05-20T12:00:01Z"));
        let kept = backup("kept", t(NOW), &[]);
        let plan = plan(&[&over, &open, &kept], &BTreeSet::new(), t(NOW));
        let steps: Vec<String> = plan.steps.iter().map(|s| s.action.describe()).collect();
        assert_eq!(
            steps,
            [
                "purge over from the trash of vault:main",
                "purge over from the trash of vault:offsite",
                "record the new state of over",
                "prune unreferenced packs of vault:main",
                "prune unreferenced packs of vault:offsite"
            ]
        );
    }

    #[test]
    fn a_vault_can_be_pruned_by_itself_and_nothing_is_said_so() {
        let plan_of = |vaults: &[&str]| plan(&[], &vaults.iter().map(|v| place(v)).collect(), t(NOW));
        assert_eq!(plan_of(&["vault:main"]).steps.len(), 1);
        assert_eq!(plan_of(&[]).reasons, ["no released backup has outlived its window"]);
    }
}
