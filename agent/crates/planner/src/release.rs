//! Plans that release backups into the trash, and that bring them back.
//!
//! Order of effects: the copies go to their places' trash first, then the record says so; recovery likewise. A crash
//! between the two leaves bytes that can be brought back and a record that still counts the backup as wanted.
//! These plans propose; the delete firewall decides which of their backups may go.

use backstop_model::config::{Limits, Workload};
use backstop_model::{Action, Backup, BackupState, CopyState, Fault, Plan, Timestamp, Verb};

use crate::retention::Verdict;

/// Plans the release of `backups`, each with the reasons for it. The operator's words are a reason, too.
#[must_use]
pub fn plan(workload: &Workload, backups: &[(&Backup, Vec<String>)], limits: &Limits, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing(Verb::Release, now, "");
    plan.workload = Some(workload.name.clone());
    plan.reasons.clear();
    let state = BackupState::Trashed { since: now, purge_after: limits.undelete_window.after(now) };
    for (backup, reasons) in backups.iter().filter(|(b, _)| b.state == BackupState::Present) {
        plan.reasons.push(format!("{}: {}", backup.name, reasons.join("; ")));
        for copy in backup.copies.iter().filter(|copy| copy.state == CopyState::Present) {
            plan.push(Action::TrashCopy {
                backup: backup.name.clone(),
                place: copy.place.clone(),
                snapshot: copy.snapshot,
            });
        }
        plan.push(Action::RecordState { backup: backup.name.clone(), state });
    }
    if plan.steps.is_empty() {
        plan.reasons.push(format!("nothing of `{}` is past retention", workload.name));
    }
    plan
}

/// What retention lets go of, oldest first, with its reasons: the proposal for [`plan`] and for the firewall.
#[must_use]
pub fn proposals<'a>(verdicts: &[Verdict], backups: &'a [Backup]) -> Vec<(&'a Backup, Vec<String>)> {
    let mut out: Vec<(&Backup, Vec<String>)> = verdicts
        .iter()
        .filter(|verdict| !verdict.keep)
        .filter_map(|verdict| Some((backups.iter().find(|b| b.name == verdict.backup)?, verdict.reasons.clone())))
        .collect();
    out.sort_by(|(a, _), (b, _)| (a.created, &a.name).cmp(&(b.created, &b.name)));
    out
}

/// Plans to bring a released backup back from the trash.
///
/// # Errors
/// When it is not in the trash.
pub fn undelete(backup: &Backup, now: Timestamp) -> Result<Plan, Fault> {
    match backup.state {
        BackupState::Trashed { .. } => {}
        BackupState::Present => {
            return Err(Fault::usage(format!("backup `{}` was not released", backup.name), "there is nothing to undo"));
        }
        BackupState::Purged { at } => {
            return Err(Fault::not_found(
                format!("backup `{}` was purged at {at}", backup.name),
                "its last trace is gone; see `backstop backup list` for others",
            ));
        }
    }
    let mut plan = Plan::nothing(Verb::Undelete, now, format!("{}: asked for", backup.name));
    plan.workload = Some(backup.workload.clone());
    for copy in backup.copies.iter().filter(|copy| copy.state == CopyState::Trashed) {
        plan.push(Action::RecoverCopy {
            backup: backup.name.clone(),
            place: copy.place.clone(),
            snapshot: copy.snapshot,
        });
    }
    plan.push(Action::RecordState { backup: backup.name.clone(), state: BackupState::Present });
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, offsite, schedule, t};

    const NOW: &str = "2026-05-20T12:00:00Z";

    #[test]
    fn copies_go_to_the_trash_before_the_record_says_so() {
        let b = offsite(backup("a", t("2026-05-01T02:00:00Z"), &[]));
        let workload = fixture::workload("docs", schedule("UTC"));
        let plan = plan(&workload, &[(&b, vec!["holds no tier".into()])], &Limits::default(), t(NOW));
        let steps: Vec<String> = plan.steps.iter().map(|s| s.action.describe()).collect();
        assert_eq!(
            steps,
            [
                "move the copy of a at vault:main to the trash",
                "move the copy of a at vault:offsite to the trash",
                "record the new state of a"
            ]
        );
        let state = BackupState::Trashed { since: t(NOW), purge_after: t("2026-05-27T12:00:00Z") };
        assert_eq!(plan.steps[2].action, Action::RecordState { backup: b.name, state });
        assert_eq!(plan.reasons, ["a: holds no tier"]);
    }

    #[test]
    fn a_released_backup_comes_back_and_a_purged_one_does_not() {
        let mut b = backup("a", t("2026-05-01T02:00:00Z"), &[]);
        assert!(undelete(&b, t(NOW)).is_err());
        b.state = BackupState::Trashed { since: t(NOW), purge_after: t(NOW) };
        b.copies[0].state = CopyState::Trashed;
        let steps: Vec<String> =
            undelete(&b, t(NOW)).expect("a plan").steps.iter().map(|s| s.action.describe()).collect();
        assert_eq!(steps, ["bring a back from the trash of vault:main", "record the new state of a"]);
        b.state = BackupState::Purged { at: t(NOW) };
        assert_eq!(undelete(&b, t(NOW)).expect_err("gone").code, backstop_model::ExitCode::NotFound);
    }
}
