//! The plan of a backup: its name, its tiers, how much is read and what it is compared with.

use backstop_model::config::Workload;
use backstop_model::{Action, Backup, BackupName, Fault, Mode, Plan, PolicyName, Span, Tier, Timestamp, Verb};

use crate::calendar::Calendar;
use crate::choice::{is_damaged, is_plausible};
use crate::policies::with_reason;
use crate::{naming, tiers};

/// What the operator asked for; nothing asked means what the schedule says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `--tier`.
    pub tier: Option<Tier>,
    /// `--full`, `--incremental`, `--differential`.
    pub mode: Option<Mode>,
    /// Tiers that retention policies add to those of the calendar.
    pub added: Vec<Added>,
}

/// A tier that a policy adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The tier.
    pub tier: Tier,
    /// Which policy.
    pub policy: PolicyName,
    /// Why, in its words; may be empty.
    pub reason: String,
}

/// Plans one backup of `workload`, whose records are `backups`. `taken` tells whether any backup, of whatever workload
/// and state, already has a name.
///
/// # Errors
/// When the schedule's time zone is unknown.
pub fn plan(
    workload: &Workload,
    backups: &[Backup],
    request: &Request,
    taken: &dyn Fn(&BackupName) -> bool,
    now: Timestamp,
) -> Result<Plan, Fault> {
    let calendar = Calendar::of(&workload.schedule)?;
    let mut tiers = tiers::of_backup_now(&calendar, backups, now, request.tier.as_ref());
    let (mode, based_on, why) = reading(workload, backups, request.mode, now);
    let names: Vec<String> = tiers.iter().map(Tier::to_string).collect();
    let forced = if request.tier.is_some() { "asked for" } else { "the first of its period, or an extra one" };
    let mut plan = Plan {
        verb: Verb::Backup,
        workload: Some(workload.name.clone()),
        decided: now,
        reasons: vec![format!("tiers {}: {forced}", names.join(", ")), why],
        steps: Vec::new(),
    };
    for added in &request.added {
        if tiers.insert(added.tier.clone()) {
            plan.reasons
                .push(with_reason(format!("tier {}: policy `{}` adds it", added.tier, added.policy), &added.reason));
        }
    }
    plan.push(Action::TakeBackup {
        backup: naming::backup_name(&workload.name, &tiers, now, taken),
        workload: workload.name.clone(),
        place: workload.schedule.home.clone(),
        mode,
        tiers,
        based_on,
    });
    Ok(plan)
}

/// How much to read, compared with what, and why.
///
/// The base is the newest backup whose copy at home is there and sound. When a newer one's copy there is damaged,
/// everything is read again: what is wrong with it may be what the next backup would build on.
fn reading(
    workload: &Workload,
    backups: &[Backup],
    wanted: Option<Mode>,
    now: Timestamp,
) -> (Mode, Option<BackupName>, String) {
    let home = &workload.schedule.home;
    let at_home = || backups.iter().filter(|b| is_plausible(b, now)).filter_map(|b| Some((b, b.copy_at(home)?)));
    let newest = at_home().max_by_key(|(b, _)| b.created);
    let full = at_home().filter(|(b, copy)| b.mode == Mode::Full && !is_damaged(copy)).max_by_key(|(b, _)| b.created);
    let everything = |why: String| (Mode::Full, None, why);
    let (Some((newest, copy)), wanted) = (newest, wanted) else {
        return everything(format!("full: no earlier backup at {home} to compare with"));
    };
    if wanted == Some(Mode::Full) {
        return everything("full: asked for".to_owned());
    }
    if is_damaged(copy) {
        return everything(format!("full: the copy of {} at {home} failed its last proof", newest.name));
    }
    let age = |b: &Backup| Span::between(b.created, now);
    if let (None, Some(every)) = (wanted, workload.schedule.full_every) {
        match full {
            None => return everything(format!("full: none at {home} yet, and one is wanted every {every}")),
            Some((b, _)) if age(b) >= every => {
                return everything(format!(
                    "full: the last is {} old, and one is wanted every {every}",
                    age(b).human()
                ));
            }
            Some(_) => {}
        }
    }
    match (wanted, full) {
        (Some(Mode::Differential), None) => everything(format!("full: no full backup at {home} to differ from")),
        (Some(Mode::Differential), Some((b, _))) => (
            Mode::Differential,
            Some(b.name.clone()),
            format!("differential: what changed since the full backup {}", b.name),
        ),
        (Some(Mode::Incremental | Mode::Full) | None, _) => {
            (Mode::Incremental, Some(newest.name.clone()), format!("incremental: what changed since {}", newest.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, proof, schedule, t};
    use backstop_model::Level;

    const NOW: &str = "2026-05-20T02:00:00Z";

    fn taken(backups: &[Backup], mode: Option<Mode>, full_every: Option<Span>) -> (Mode, Option<String>, Plan) {
        let mut workload = fixture::workload("docs", schedule("UTC"));
        workload.schedule.full_every = full_every;
        let plan =
            plan(&workload, backups, &Request { mode, ..Request::default() }, &|_| false, t(NOW)).expect("a plan");
        let [step] = &plan.steps[..] else { panic!("one step") };
        let Action::TakeBackup { mode, based_on, .. } = &step.action else { panic!("a backup") };
        (*mode, based_on.as_ref().map(BackupName::to_string), plan.clone())
    }

    fn history() -> Vec<Backup> {
        let mut full = fixture::backup("full", t("2026-05-17T02:00:00Z"), &[Tier::Daily, Tier::Weekly, Tier::Monthly]);
        full.mode = Mode::Full;
        vec![full, fixture::backup("inc", t("2026-05-19T02:00:00Z"), &[Tier::Daily])]
    }

    #[test]
    fn the_first_backup_reads_everything_and_the_next_what_changed() {
        let (mode, base, plan) = taken(&[], None, None);
        assert_eq!((mode, base), (Mode::Full, None));
        assert_eq!(plan.reasons[1], "full: no earlier backup at vault:main to compare with");
        let (mode, base, plan) = taken(&history(), None, None);
        assert_eq!((mode, base.as_deref()), (Mode::Incremental, Some("inc")));
        assert_eq!(
            plan.steps[0].action.describe(),
            "back up (incremental) to vault:main as docs-backup-daily-20260520-0200"
        );
    }

    #[test]
    fn a_differential_is_based_on_the_last_full() {
        let (mode, base, _) = taken(&history(), Some(Mode::Differential), None);
        assert_eq!((mode, base.as_deref()), (Mode::Differential, Some("full")));
        assert_eq!(taken(&history()[1..], Some(Mode::Differential), None).0, Mode::Full);
    }

    #[test]
    fn a_full_is_due_when_the_last_one_is_old_enough() {
        assert_eq!(taken(&history(), None, Some(Span::from_days(3))).0, Mode::Full);
        assert_eq!(taken(&history(), None, Some(Span::from_days(4))).0, Mode::Incremental);
        assert_eq!(taken(&history()[1..], None, Some(Span::from_days(30))).0, Mode::Full);
        assert_eq!(taken(&history(), Some(Mode::Incremental), Some(Span::from_days(3))).0, Mode::Incremental);
    }

    #[test]
    fn nothing_is_built_on_a_damaged_missing_or_future_backup() {
        let mut damaged = history();
        damaged[1].copies[0].proofs.push(proof(Level::L1, false, t(NOW)));
        assert_eq!(taken(&damaged, None, None).0, Mode::Full);
        let mut elsewhere = history();
        elsewhere[1].copies[0].place = fixture::place("vault:offsite");
        assert_eq!(taken(&elsewhere, None, None).1.as_deref(), Some("full"));
        let mut future = history();
        future[1].created = t("2026-06-19T02:00:00Z");
        assert_eq!(taken(&future, None, None).1.as_deref(), Some("full"));
    }
}
