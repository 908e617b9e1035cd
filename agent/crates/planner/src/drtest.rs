//! The plan of a DR test: recovery rehearsed in a scratch place, measured, and always cleaned up.

use std::path::Path;

use backstop_model::config::Workload;
use backstop_model::{Action, Backup, BackupName, Copy, Fault, Place, Plan, PolicyName, Timestamp, Verb};

use crate::choice;
use crate::verify::scratch;

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// This backup instead of the newest complete one.
    pub backup: Option<BackupName>,
    /// From the copy at this place. Otherwise from the first place of the schedule's copies that has a sound one: the
    /// disaster to rehearse is the one in which home is gone.
    pub from: Option<Place>,
    /// Health-check policies that what was restored is shown to.
    pub policies: Vec<PolicyName>,
}

/// Plans a DR test of `workload` below `staging`, an absolute path that the caller owns.
///
/// # Errors
/// When there is no backup to test, or none at the place asked for.
pub fn plan(
    workload: &Workload,
    backups: &[Backup],
    request: &Request,
    staging: &Path,
    now: Timestamp,
) -> Result<Plan, Fault> {
    let backup = match &request.backup {
        Some(name) => choice::named(backups, name)?,
        None => choice::newest(backups, now).ok_or_else(|| {
            Fault::not_found(
                format!("`{}` has no backup that could be tested", workload.name),
                format!("make one with `backstop backup trigger {}`", workload.name),
            )
        })?,
    };
    let (copy, why) = origin(workload, backup, request)?;
    let dir = scratch(staging, "dr-test", &backup.name, &copy.place);
    let chosen = if request.backup.is_some() { "asked for" } else { "the newest readable backup" };
    let mut plan = Plan::nothing(Verb::DrTest, now, format!("{}: {chosen}", backup.name));
    plan.reasons.push(format!("{}: {why}", copy.place));
    plan.workload = Some(workload.name.clone());
    let (name, from) = (&backup.name, &copy.place);
    plan.push(Action::OwnDirectory { dir: dir.clone() });
    plan.push(Action::Materialise { backup: name.clone(), from: from.clone(), dir: dir.clone() });
    plan.push(Action::CompareTree { backup: name.clone(), from: from.clone(), dir: dir.clone() });
    match &workload.health {
        Some(health) => {
            plan.push(Action::CheckHealth { argv: health.argv.clone(), dir: dir.clone(), timeout: health.timeout });
        }
        None if request.policies.is_empty() => {
            plan.reasons.push("no health command is configured: the tree is compared, nothing is started".to_owned());
        }
        None => {}
    }
    for policy in &request.policies {
        plan.push(Action::AskHealth { policy: policy.clone(), backup: name.clone(), dir: dir.clone() });
    }
    plan.push(Action::RemoveDirectory { dir }).always = true;
    Ok(plan)
}

fn origin<'a>(workload: &Workload, backup: &'a Backup, request: &Request) -> Result<(&'a Copy, String), Fault> {
    if let Some(place) = &request.from {
        // A copy with a failed proof may be tested: that is how it gets a new one.
        return backup.copy_at(place).map(|copy| (copy, "asked for".to_owned())).ok_or_else(|| {
            Fault::not_found(
                format!("backup `{}` has no copy at {place}", backup.name),
                format!("see `backstop backup show {}`", backup.name),
            )
        });
    }
    let away = workload
        .schedule
        .copies
        .iter()
        .find_map(|place| choice::sound_copies(backup).find(|copy| &copy.place == place));
    if let Some(copy) = away {
        return Ok((copy, "rehearses the loss of home".to_owned()));
    }
    choice::source(backup, Some(&workload.schedule.home))
        .map(|copy| (copy, "no sound copy stands elsewhere".to_owned()))
        .ok_or_else(|| {
            Fault::not_found(format!("no copy of `{}` can be read", backup.name), "see `backstop backup list`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, offsite, place, proof, schedule, t};
    use backstop_model::config::HealthCommand;
    use backstop_model::{Level, Span};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn planned(backups: &[Backup], request: &Request, health: bool) -> Result<Vec<String>, Fault> {
        let mut workload = fixture::workload("docs", schedule("UTC"));
        workload.health =
            health.then(|| HealthCommand { argv: vec!["/bin/check".into()], timeout: Span::from_secs(5) });
        let plan = plan(&workload, backups, request, Path::new("/scratch"), t(NOW))?;
        assert!(plan.steps.last().expect("steps").always);
        Ok(plan.steps.iter().map(|s| s.action.describe()).collect())
    }

    #[test]
    fn the_newest_backup_is_rehearsed_from_outside_home_with_its_health_check() {
        let backups =
            [offsite(backup("new", t("2026-05-19T02:00:00Z"), &[])), backup("old", t("2026-05-18T02:00:00Z"), &[])];
        let dir = "/scratch/dr-test-new-vault-offsite";
        assert_eq!(
            planned(&backups, &Request::default(), true).expect("a plan"),
            [
                format!("claim {dir} for this run"),
                format!("restore new from vault:offsite into {dir}"),
                format!("compare {dir} with the manifest"),
                "run the health command `/bin/check`".to_owned(),
                format!("remove {dir}"),
            ]
        );
    }

    #[test]
    fn home_is_used_when_nothing_sound_is_elsewhere() {
        let mut b = offsite(backup("a", t("2026-05-19T02:00:00Z"), &[]));
        b.copies[1].proofs.push(proof(Level::L2, false, t(NOW)));
        assert!(planned(&[b.clone()], &Request::default(), false).expect("a plan")[1].contains("vault:main"));
        let asked = Request { backup: Some(b.name.clone()), from: Some(place("vault:offsite")), policies: Vec::new() };
        assert!(planned(&[b], &asked, false).expect("a plan")[1].contains("vault:offsite"));
    }

    #[test]
    fn without_a_backup_there_is_nothing_to_test() {
        let fault = planned(&[], &Request::default(), false).expect_err("nothing there");
        assert_eq!(fault.code, backstop_model::ExitCode::NotFound);
    }
}
