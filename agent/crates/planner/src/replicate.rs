//! Plans that bring missing copies to their places, oldest backup first, from the best proven copy.

use backstop_model::config::Workload;
use backstop_model::{Action, Backup, BackupName, BackupState, Fault, Place, Plan, Timestamp, Verb};

use crate::choice;

/// What the operator asked for; nothing asked means every backup and every place of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Only this backup.
    pub backup: Option<BackupName>,
    /// Only this place, which need not be in the schedule.
    pub to: Option<Place>,
}

/// Plans the copies of `workload` that are missing.
///
/// Copies into a vault are independent, so one that fails leaves the rest to go on. Copies into a cloud region follow
/// each other in order of creation, and a failure ends the plan there.
///
/// # Errors
/// When the named backup is not kept, or the place asked for is the workload's home.
pub fn plan(workload: &Workload, backups: &[Backup], request: &Request, now: Timestamp) -> Result<Plan, Fault> {
    if request.to.as_ref() == Some(&workload.schedule.home) {
        return Err(Fault::usage(
            format!("{} is the home of `{}` already", workload.schedule.home, workload.name),
            "name another place",
        ));
    }
    let mut wanted: Vec<&Backup> = match &request.backup {
        Some(name) => vec![choice::named(backups, name)?],
        None => backups.iter().filter(|b| b.state == BackupState::Present).collect(),
    };
    wanted.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let places: &[Place] = request.to.as_ref().map_or(&workload.schedule.copies[..], std::slice::from_ref);

    let mut plan = Plan::nothing(Verb::Replicate, now, "");
    plan.workload = Some(workload.name.clone());
    plan.reasons.clear();
    for place in places {
        let (mut missing, mut unreadable) = (0, 0);
        for backup in wanted.iter().filter(|b| b.copy_at(place).is_none()) {
            let Some(from) = choice::source(backup, None) else {
                unreadable += 1;
                continue;
            };
            missing += 1;
            let step = plan.push(Action::SendCopy {
                backup: backup.name.clone(),
                from: from.place.clone(),
                to: place.clone(),
            });
            step.optional = place.vault().is_some();
        }
        plan.reasons.push(match missing {
            0 => format!("{place} has every backup that can be copied"),
            count => format!("{place} lacks {count} of {} backups", wanted.len()),
        });
        if unreadable > 0 {
            plan.reasons.push(format!("{unreadable} backups have no sound copy to send to {place}"));
        }
    }
    if places.is_empty() {
        plan.reasons.push(format!("no place for copies is configured for `{}`", workload.name));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, offsite, place, proof, schedule, t};
    use backstop_model::{CopyState, Level};

    fn planned(backups: &[Backup], request: &Request) -> Vec<String> {
        let workload = fixture::workload("docs", schedule("UTC"));
        let plan = plan(&workload, backups, request, t("2026-05-20T12:00:00Z")).expect("a plan");
        plan.steps.iter().map(|step| step.action.describe()).collect()
    }

    #[test]
    fn missing_copies_go_oldest_first() {
        let backups = [
            backup("new", t("2026-05-19T02:00:00Z"), &[]),
            offsite(backup("there", t("2026-05-18T02:00:00Z"), &[])),
            backup("old", t("2026-05-17T02:00:00Z"), &[]),
        ];
        assert_eq!(
            planned(&backups, &Request::default()),
            ["copy old from vault:main to vault:offsite", "copy new from vault:main to vault:offsite"]
        );
    }

    #[test]
    fn the_best_proven_copy_is_sent_and_a_damaged_one_never() {
        let mut b = offsite(backup("a", t("2026-05-19T02:00:00Z"), &[]));
        b.copies[1].proofs.push(proof(Level::L3, true, t("2026-05-19T03:00:00Z")));
        let request = Request { backup: None, to: Some(place("vault:third")) };
        assert_eq!(planned(&[b.clone()], &request), ["copy a from vault:offsite to vault:third"]);
        b.copies[1].proofs.push(proof(Level::L1, false, t("2026-05-19T04:00:00Z")));
        assert_eq!(planned(&[b.clone()], &request), ["copy a from vault:main to vault:third"]);
        b.copies.remove(0);
        assert!(planned(&[b], &request).is_empty());
    }

    #[test]
    fn a_lost_copy_is_sent_again_and_a_released_backup_is_not() {
        let mut b = offsite(backup("a", t("2026-05-19T02:00:00Z"), &[]));
        b.copies[1].state = CopyState::Lost;
        assert_eq!(planned(&[b.clone()], &Request::default()).len(), 1);
        b.state = BackupState::Trashed { since: b.created, purge_after: b.created };
        assert!(planned(&[b], &Request::default()).is_empty());
    }

    #[test]
    fn home_is_no_place_to_copy_to() {
        let workload = fixture::workload("docs", schedule("UTC"));
        let request = Request { backup: None, to: Some(place("vault:main")) };
        let fault = plan(&workload, &[], &request, t("2026-05-20T12:00:00Z")).expect_err("refused");
        assert_eq!(fault.code, backstop_model::ExitCode::Usage);
    }
}
