//! Plans that purge released backups whose window is over, and give back the space nothing refers to; and that remove
//! the trees which restores in place put aside, once they were kept long enough.

use std::collections::BTreeSet;
use std::path::PathBuf;

use backstop_model::{
    Action, Backup, BackupState, CopyState, Outcome, Place, Plan, Run, RunId, Span, Timestamp, Verb, WorkloadName,
};

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
pub fn plan(backups: &[&Backup], vaults: &BTreeSet<Place>, waste_ppm: u32, now: Timestamp) -> Plan {
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
        plan.push(Action::PrunePacks { place, waste_ppm }).optional = true;
    }
    if plan.steps.is_empty() {
        plan.reasons.push("no released backup has outlived its window".to_owned());
    }
    plan
}

/// The trees that a restore in place, or its undo, put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTrees {
    /// Whose they were.
    pub workload: WorkloadName,
    /// The run that put them aside.
    pub run: RunId,
    /// Until when they stay.
    pub until: Timestamp,
    /// Where they are, if nobody removed them.
    pub dirs: Vec<PathBuf>,
}

/// What a run put aside and keeps for `window`; `None` when it exchanged nothing or is not at a good end.
#[must_use]
pub fn kept_trees(run: &Run, window: Span) -> Option<KeptTrees> {
    let (Some(workload), Some(finished), Some(Outcome::Done | Outcome::Partial)) =
        (&run.workload, run.finished, run.outcome)
    else {
        return None;
    };
    let keep = |step: &backstop_model::Step| match &step.action {
        Action::SwapIn { keep, .. } => Some(keep.clone()),
        _ => None,
    };
    let dirs: Vec<PathBuf> = run.plan.steps.iter().filter_map(keep).collect();
    let kept = KeptTrees { workload: workload.clone(), run: run.id.clone(), until: window.after(finished), dirs };
    (!kept.dirs.is_empty()).then_some(kept)
}

/// Plans the removal of the trees of one workload that were kept long enough; the others are passed over. It is a run of
/// the workload, so that no restore or undo goes on beside it.
#[must_use]
pub fn give_up(workload: &WorkloadName, kept: &[&KeptTrees], now: Timestamp) -> Plan {
    let mut plan = Plan::nothing(Verb::Prune, now, "");
    plan.reasons.clear();
    plan.workload = Some(workload.clone());
    for trees in kept.iter().filter(|trees| &trees.workload == workload && trees.until <= now) {
        plan.reasons.push(format!("what run {} put aside was kept until {}", trees.run, trees.until));
        for dir in &trees.dirs {
            plan.push(Action::RemoveDirectory { dir: dir.clone() });
        }
    }
    if plan.steps.is_empty() {
        plan.reasons.push("no tree that a restore put aside was kept long enough".to_owned());
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
        let plan = plan(&[&over, &open, &kept], &BTreeSet::new(), 0, t(NOW));
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
        let plan_of = |vaults: &[&str]| plan(&[], &vaults.iter().map(|v| place(v)).collect(), 0, t(NOW));
        assert_eq!(plan_of(&["vault:main"]).steps.len(), 1);
        assert_eq!(plan_of(&[]).reasons, ["no released backup has outlived its window"]);
    }
}
