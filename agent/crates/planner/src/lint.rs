//! Checks of a plan's shape, whatever it is for. Every builder's plans pass; so must any plan that is journalled.

use std::collections::BTreeSet;
use std::path::Path;

use backstop_model::{Action, BackupName, BackupState, Plan, StepId, Verb};

/// Something a plan must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lint {
    /// It does not say why.
    NoReason,
    /// The step's id is not its position.
    Misnumbered(StepId),
    /// The step fills a scratch directory that no earlier step owns, so a crash in it would leave an orphan.
    Unowned(StepId),
    /// The step claims a directory that no later step removes whatever happens.
    NeverRemoved(StepId),
    /// A cleaning step stands before an ordinary one.
    CleansTooEarly(StepId),
    /// What is exchanged does not stand beside its target, so the exchange could not be atomic.
    NotBeside(StepId),
    /// The step destroys in a plan whose verb does not go through the delete firewall.
    OutsideTheFirewall(StepId),
    /// The record says gone (or back) before the copies are.
    RecordedTooEarly(StepId),
    /// The step may fail although a later one builds on it.
    NotOptional(StepId),
}

/// Everything wrong with the plan; empty when it is sound.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Lint> {
    let mut found = Vec::new();
    if plan.reasons.iter().all(|reason| reason.trim().is_empty()) {
        found.push(Lint::NoReason);
    }
    let mut owned: BTreeSet<&Path> = BTreeSet::new();
    let mut recorded: BTreeSet<&BackupName> = BTreeSet::new();
    let mut cleaning = None;
    for (at, step) in plan.steps.iter().enumerate() {
        if usize::try_from(step.id.0) != Ok(at) {
            found.push(Lint::Misnumbered(step.id));
        }
        match (step.always, cleaning) {
            (true, None) => cleaning = Some(step.id),
            (false, Some(early)) => found.push(Lint::CleansTooEarly(early)),
            (true, Some(_)) | (false, None) => {}
        }
        match &step.action {
            Action::OwnDirectory { dir } => {
                owned.insert(dir);
                let removed = |later: &backstop_model::Step| {
                    later.always && matches!(&later.action, Action::RemoveDirectory { dir: gone } if gone == dir)
                };
                if !plan.steps[at..].iter().any(removed) {
                    found.push(Lint::NeverRemoved(step.id));
                }
            }
            Action::Materialise { dir, .. } | Action::RemoveDirectory { dir } => {
                // A prune removes what restores put aside, which belonged to nobody but the workload.
                if !owned.contains(dir.as_path()) && plan.verb != Verb::Prune {
                    found.push(Lint::Unowned(step.id));
                }
                if step.optional {
                    found.push(Lint::NotOptional(step.id));
                }
            }
            Action::SwapIn { staged, target, keep } => {
                let home = target.parent();
                if home.is_none_or(|home| !staged.starts_with(home)) || keep.parent() != home {
                    found.push(Lint::NotBeside(step.id));
                }
                if step.optional {
                    found.push(Lint::NotOptional(step.id));
                }
            }
            Action::TrashCopy { backup, .. }
            | Action::RecoverCopy { backup, .. }
            | Action::PurgeCopy { backup, .. } => {
                if !destroys_in(plan.verb, &step.action) {
                    found.push(Lint::OutsideTheFirewall(step.id));
                }
                if recorded.contains(backup) {
                    found.push(Lint::RecordedTooEarly(step.id));
                }
                if step.optional {
                    found.push(Lint::NotOptional(step.id));
                }
            }
            Action::RecordState { backup, state } => {
                recorded.insert(backup);
                let fits = match state {
                    BackupState::Present => plan.verb == Verb::Undelete,
                    BackupState::Trashed { .. } => plan.verb == Verb::Release,
                    BackupState::Purged { .. } => plan.verb == Verb::Prune,
                };
                if !fits {
                    found.push(Lint::OutsideTheFirewall(step.id));
                }
            }
            Action::PrunePacks { .. } => {
                if plan.verb != Verb::Prune {
                    found.push(Lint::OutsideTheFirewall(step.id));
                }
            }
            Action::TakeBackup { .. }
            | Action::SendCopy { .. }
            | Action::CheckCopy { .. }
            | Action::CompareTree { .. }
            | Action::CheckHealth { .. }
            | Action::AskHealth { .. }
            | Action::RestoreInto { .. } => {}
        }
    }
    found
}

/// Whether a plan for `verb` may do this to a copy.
fn destroys_in(verb: Verb, action: &Action) -> bool {
    match action {
        Action::TrashCopy { .. } => verb == Verb::Release,
        Action::RecoverCopy { .. } => verb == Verb::Undelete,
        Action::PurgeCopy { .. } => verb == Verb::Prune,
        Action::TakeBackup { .. }
        | Action::SendCopy { .. }
        | Action::CheckCopy { .. }
        | Action::OwnDirectory { .. }
        | Action::Materialise { .. }
        | Action::CompareTree { .. }
        | Action::CheckHealth { .. }
        | Action::AskHealth { .. }
        | Action::RemoveDirectory { .. }
        | Action::RestoreInto { .. }
        | Action::SwapIn { .. }
        | Action::RecordState { .. }
        | Action::PrunePacks { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, schedule, t};
    use crate::{drtest, prune, release, replicate, restore, verify};
    use backstop_model::config::Limits;
    use backstop_model::plan::{Overwrite, Selection};
    use backstop_model::{CopyState, Level};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn all_plans() -> Vec<Plan> {
        let (now, workload) = (t(NOW), fixture::workload("docs", schedule("UTC")));
        let mut gone = backup("gone", t("2026-05-01T02:00:00Z"), &[]);
        gone.state = BackupState::Trashed { since: now, purge_after: now };
        gone.copies[0].state = CopyState::Trashed;
        let kept = backup("kept", t("2026-05-02T02:00:00Z"), &[]);
        let backups = [gone.clone(), kept.clone()];
        let (scratch, run) = (Path::new("/scratch"), "run-9".parse().expect("valid"));
        let in_place = restore::Request {
            which: restore::Which::Newest,
            from: None,
            to: restore::Destination::InPlace,
            selection: Selection::default(),
            overwrite: Overwrite::Never,
        };
        let mut plans = vec![
            crate::backup::plan(&workload, &backups, &Default::default(), &|_| false, now).expect("backup"),
            replicate::plan(&workload, &backups, &Default::default(), now).expect("replicate"),
            drtest::plan(&workload, &backups, &Default::default(), scratch, now).expect("dr test"),
            restore::plan(&workload, &backups, &in_place, &run, &|_| false, now).expect("restore"),
            release::plan(&workload, &[(&kept, vec!["why".into()])], &Limits::default(), now),
            release::undelete(&gone, now).expect("undelete"),
            prune::plan(&[&gone], &BTreeSet::new(), 0, now),
        ];
        for level in [Level::L1, Level::L2, Level::L3] {
            let request = verify::Request { level: Some(level), ..Default::default() };
            plans.extend(verify::plans(&workload, &backups, &request, scratch, now).expect("verify"));
        }
        plans
    }

    #[test]
    fn every_builders_plan_is_sound_and_does_something() {
        for plan in all_plans() {
            assert_eq!(check(&plan), [], "{plan:#?}");
            assert!(!plan.steps.is_empty(), "{plan:#?}");
        }
    }

    fn without(plan: &Plan, at: usize) -> Plan {
        let mut broken = plan.clone();
        broken.steps.remove(at);
        broken.steps.iter_mut().zip(0..).for_each(|(step, id)| step.id = StepId(id));
        broken
    }

    #[test]
    fn a_scratch_directory_that_is_not_owned_or_not_removed_is_noticed() {
        for plan in all_plans() {
            for (at, step) in plan.steps.iter().enumerate() {
                let guards = matches!(step.action, Action::OwnDirectory { .. } | Action::RemoveDirectory { .. });
                assert_eq!(check(&without(&plan, at)).is_empty(), !guards, "without {step:?}: {plan:#?}");
            }
        }
    }

    #[test]
    fn a_plan_without_a_reason_or_with_wrong_numbers_is_noticed() {
        for mut plan in all_plans() {
            plan.steps[0].id = StepId(7);
            assert_eq!(check(&plan), [Lint::Misnumbered(StepId(7))]);
            plan.steps[0].id = StepId(0);
            plan.reasons.clear();
            assert_eq!(check(&plan), [Lint::NoReason]);
        }
    }

    #[test]
    fn destroying_under_another_verb_or_recording_first_is_noticed() {
        let mut plan = release::plan(
            &fixture::workload("docs", schedule("UTC")),
            &[(&backup("a", t(NOW), &[]), vec!["why".into()])],
            &Limits::default(),
            t(NOW),
        );
        let mut swapped = plan.clone();
        swapped.steps.reverse();
        swapped.steps.iter_mut().zip(0..).for_each(|(step, id)| step.id = StepId(id));
        assert_eq!(check(&swapped), [Lint::RecordedTooEarly(StepId(1))]);
        plan.verb = Verb::Backup;
        assert_eq!(check(&plan), [Lint::OutsideTheFirewall(StepId(0)), Lint::OutsideTheFirewall(StepId(1))]);
    }
}
