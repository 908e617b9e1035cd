//! Plans of restores: into another directory, in place, and the undo of one in place.
//!
//! A restore in place never writes into the live tree. Each root is restored completely beside it, on the same file
//! system, and only when all of them are there are they exchanged, each in one atomic rename; the old trees stay
//! beside the new ones as safety points. A crash before the exchange leaves the old tree, one after it the new.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use backstop_model::config::{Workload, WorkloadKind};
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::{
    Action, Backup, BackupName, BackupState, Completeness, Copy, Fault, Outcome, Place, Plan, Run, RunId, Timestamp,
    Verb,
};

use crate::{backup, choice};

/// Which backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Which {
    /// The newest complete one that can be read.
    #[default]
    Newest,
    /// This one.
    Named(BackupName),
    /// The state the workload had then: the newest backup not younger.
    At(Timestamp),
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into this directory, by absolute path; the backup's paths appear below it.
    Directory(PathBuf),
    /// Where it was.
    InPlace,
}

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which backup.
    pub which: Which,
    /// From the copy at this place; otherwise from home, or the best proven one.
    pub from: Option<Place>,
    /// Where to.
    pub to: Destination,
    /// Which entries; in place, anything but everything is written into the live tree after a safety backup.
    pub selection: Selection,
    /// What happens to files that exist.
    pub overwrite: Overwrite,
}

/// Plans a restore of `workload`. `run` is the id the attempt will have: it names what stands beside the live tree.
/// `taken` tells whether a backup has a name already (for the safety backup).
///
/// # Errors
/// When there is no such backup or copy, when the destination is no absolute path, or when a root cannot be exchanged.
pub fn plan(
    workload: &Workload,
    backups: &[Backup],
    request: &Request,
    run: &RunId,
    taken: &dyn Fn(&BackupName) -> bool,
    now: Timestamp,
) -> Result<Plan, Fault> {
    let (backup, why) = chosen(workload, backups, &request.which, now)?;
    let copy = origin(workload, backup, request.from.as_ref())?;
    let mut plan = Plan::nothing(Verb::Restore, now, format!("{}: {why}", backup.name));
    plan.workload = Some(workload.name.clone());
    let level =
        copy.level().map_or("not proved yet".to_owned(), |level| format!("proved to {level} ({})", level.word()));
    plan.reasons.push(format!("from {}: {level}", copy.place));
    if let Completeness::Partial { troubles } = backup.completeness {
        plan.reasons.push(format!("the backup is partial: {troubles} entries are missing from it or torn"));
    }
    match &request.to {
        Destination::Directory(dir) if !dir.is_absolute() => {
            return Err(Fault::usage(format!("`{}` is not an absolute path", dir.display()), "write it from `/` on"));
        }
        Destination::Directory(dir) => into(&mut plan, backup, copy, dir, request),
        Destination::InPlace if request.selection == Selection::default() => {
            exchange(&mut plan, workload, backup, copy, run)?;
        }
        Destination::InPlace => {
            let safety = backup::plan(workload, backups, &backup::Request::default(), taken, now)?;
            plan.reasons.push("a selection is written into the live tree: it is backed up first".to_owned());
            for step in safety.steps {
                plan.push(step.action);
            }
            into(&mut plan, backup, copy, Path::new("/"), request);
        }
    }
    Ok(plan)
}

fn chosen<'a>(
    workload: &Workload,
    backups: &'a [Backup],
    which: &Which,
    now: Timestamp,
) -> Result<(&'a Backup, String), Fault> {
    let none = |what: String| Fault::not_found(what, format!("see `backstop backup list {}`", workload.name));
    match which {
        Which::Named(name) => Ok((choice::named(backups, name)?, "asked for".to_owned())),
        Which::Newest => choice::newest(backups, now)
            .map(|b| (b, format!("the newest readable backup, of {}", b.created)))
            .ok_or_else(|| {
                let fault = none(format!("`{}` has no backup that could be restored whole", workload.name));
                // Every copy is damaged or lost: what is left of one still comes back if a person names it.
                match backups.iter().rev().find(|backup| backup.state == BackupState::Present) {
                    Some(left) => {
                        Fault { hint: format!("`--backup {}` restores what is left of it", left.name), ..fault }
                    }
                    None => fault,
                }
            }),
        Which::At(instant) => choice::newest_at(backups, *instant, now)
            .map(|b| (b, format!("the newest readable backup at {instant}, of {}", b.created)))
            .ok_or_else(|| none(format!("`{}` has no backup from {instant} or before", workload.name))),
    }
}

fn origin<'a>(workload: &Workload, backup: &'a Backup, from: Option<&Place>) -> Result<&'a Copy, Fault> {
    let copy = match from {
        Some(place) => backup.copy_at(place),
        // A damaged copy is better than none when that is all there is; each read is authenticated.
        None => choice::source(backup, Some(&workload.schedule.home))
            .or_else(|| backup.copies.iter().find_map(|copy| backup.copy_at(&copy.place))),
    };
    copy.ok_or_else(|| {
        let place = from.map_or("at any place".to_owned(), |place| format!("at {place}"));
        Fault::not_found(
            format!("backup `{}` has no copy {place}", backup.name),
            format!("see `backstop backup show {}`", backup.name),
        )
    })
}

fn into(plan: &mut Plan, backup: &Backup, copy: &Copy, dir: &Path, request: &Request) {
    plan.push(Action::RestoreInto {
        backup: backup.name.clone(),
        from: copy.place.clone(),
        dir: dir.to_owned(),
        selection: request.selection.clone(),
        overwrite: request.overwrite,
    });
}

/// Restores every root beside the live one, then exchanges them, then removes what is left of the scaffolding.
fn exchange(plan: &mut Plan, workload: &Workload, backup: &Backup, copy: &Copy, run: &RunId) -> Result<(), Fault> {
    let WorkloadKind::Files(spec) = &workload.kind;
    let mut swaps = Vec::new();
    let mut stages = Vec::new();
    for root in &spec.paths {
        let (stage, keep) = (beside(root, "restore", run)?, beside(root, "undo", run)?);
        plan.push(Action::OwnDirectory { dir: stage.clone() });
        plan.push(Action::RestoreInto {
            backup: backup.name.clone(),
            from: copy.place.clone(),
            dir: stage.clone(),
            selection: Selection { include: vec![root.display().to_string()], exclude: Vec::new() },
            overwrite: Overwrite::Never,
        });
        // The restore makes the backup's full path below the stage; the root itself is what is exchanged.
        let staged = stage.join(root.strip_prefix("/").unwrap_or(root));
        plan.reasons.push(format!("{}: the present state stays at {}", root.display(), keep.display()));
        swaps.push(Action::SwapIn { staged, target: root.clone(), keep });
        stages.push(stage);
    }
    for swap in swaps {
        plan.push(swap);
    }
    for dir in stages {
        plan.push(Action::RemoveDirectory { dir }).always = true;
    }
    Ok(())
}

/// `.NAME.backstop-PURPOSE-RUN` beside `root`. A name too long for the file system with that added is cut.
fn beside(root: &Path, purpose: &str, run: &RunId) -> Result<PathBuf, Fault> {
    const LONGEST: usize = 120;
    let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
        return Err(Fault::usage(
            format!("`{}` cannot be exchanged in place", root.display()),
            "restore with `--to` into a directory instead",
        ));
    };
    let mut out = OsString::from(".");
    if name.len() <= LONGEST {
        out.push(name);
    } else {
        let shown = name.to_string_lossy();
        let cut = (0..=LONGEST).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0);
        out.push(&shown[..cut]);
    }
    out.push(format!(".backstop-{purpose}-{run}"));
    Ok(parent.join(out))
}

/// Plans the undo of the restore in place that `restored` carried out: the old trees return, the restored ones stay
/// beside them as `.NAME.backstop-redo-RUN`. `run` is the id of the attempt at undoing.
///
/// # Errors
/// When that run exchanged nothing, or is not over.
pub fn undo(restored: &Run, run: &RunId, now: Timestamp) -> Result<Plan, Fault> {
    match restored.outcome {
        Some(Outcome::Done | Outcome::Partial) => {}
        Some(Outcome::Undone | Outcome::Failed) => {
            return Err(Fault::usage(format!("run `{}` left nothing to undo", restored.id), "see `backstop run list`"));
        }
        Some(Outcome::Stuck) | None => {
            return Err(Fault::usage(
                format!("run `{}` is not over", restored.id),
                format!("`backstop run resume {0}` or `backstop run cancel {0}` first", restored.id),
            ));
        }
    }
    let mut plan = Plan::nothing(Verb::RestoreUndo, now, format!("undoes run {}: asked for", restored.id));
    plan.workload = restored.workload.clone();
    for step in restored.plan.steps.iter().rev() {
        if let Action::SwapIn { target, keep, .. } = &step.action {
            plan.push(Action::SwapIn {
                staged: keep.clone(),
                target: target.clone(),
                keep: beside(target, "redo", run)?,
            });
        }
    }
    if plan.steps.is_empty() {
        return Err(Fault::usage(
            format!("run `{}` exchanged nothing in place", restored.id),
            "only a restore in place can be undone; see `backstop run list`",
        ));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, offsite, proof, schedule, t};
    use backstop_model::{ExitCode, Level};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn request(to: Destination) -> Request {
        Request { which: Which::Newest, from: None, to, selection: Selection::default(), overwrite: Overwrite::Never }
    }

    fn planned(roots: &[&str], request: &Request) -> Result<Plan, Fault> {
        let mut workload = fixture::workload("docs", schedule("UTC"));
        let WorkloadKind::Files(spec) = &mut workload.kind;
        spec.paths = roots.iter().map(PathBuf::from).collect();
        let backups = [
            fixture::backup("old", t("2026-05-01T02:00:00Z"), &[]),
            offsite(fixture::backup("new", t("2026-05-19T02:00:00Z"), &[])),
        ];
        plan(&workload, &backups, request, &"run-9".parse().expect("valid"), &|_| false, t(NOW))
    }

    fn steps(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(|s| s.action.describe()).collect()
    }

    #[test]
    fn in_place_every_root_is_restored_beside_before_any_is_exchanged() {
        let plan = planned(&["/srv/docs", "/etc/app"], &request(Destination::InPlace)).expect("a plan");
        assert_eq!(
            steps(&plan),
            [
                "claim /srv/.docs.backstop-restore-run-9 for this run",
                "restore new from vault:main into /srv/.docs.backstop-restore-run-9",
                "claim /etc/.app.backstop-restore-run-9 for this run",
                "restore new from vault:main into /etc/.app.backstop-restore-run-9",
                "put the restored tree at /srv/docs; keep the old one at /srv/.docs.backstop-undo-run-9",
                "put the restored tree at /etc/app; keep the old one at /etc/.app.backstop-undo-run-9",
                "remove /srv/.docs.backstop-restore-run-9",
                "remove /etc/.app.backstop-restore-run-9",
            ]
        );
        let Action::SwapIn { staged, .. } = &plan.steps[4].action else { panic!("an exchange") };
        assert_eq!(staged, Path::new("/srv/.docs.backstop-restore-run-9/srv/docs"));
        let Action::RestoreInto { selection, .. } = &plan.steps[1].action else { panic!("a restore") };
        assert_eq!(selection.include, ["/srv/docs"]);
    }

    #[test]
    fn undo_returns_the_old_trees_in_reverse_order() {
        let plan = planned(&["/srv/docs", "/etc/app"], &request(Destination::InPlace)).expect("a plan");
        let mut run = Run {
            id: "run-9".parse().expect("valid"),
            verb: Verb::Restore,
            workload: plan.workload.clone(),
            plan,
            started: t(NOW),
            finished: Some(t(NOW)),
            outcome: Some(Outcome::Done),
            by: "ann@ops".into(),
        };
        let undoing = "run-10".parse().expect("valid");
        let plan = undo(&run, &undoing, t(NOW)).expect("a plan");
        assert_eq!(
            steps(&plan),
            [
                "put the restored tree at /etc/app; keep the old one at /etc/.app.backstop-redo-run-10",
                "put the restored tree at /srv/docs; keep the old one at /srv/.docs.backstop-redo-run-10",
            ]
        );
        let Action::SwapIn { staged, .. } = &plan.steps[1].action else { panic!("an exchange") };
        assert_eq!(staged, Path::new("/srv/.docs.backstop-undo-run-9"));
        run.outcome = None;
        assert!(undo(&run, &undoing, t(NOW)).is_err());
        run.outcome = Some(Outcome::Undone);
        assert!(undo(&run, &undoing, t(NOW)).is_err());
    }

    #[test]
    fn a_selection_in_place_is_preceded_by_a_safety_backup() {
        let mut request = request(Destination::InPlace);
        request.selection.include = vec!["/srv/docs/a.txt".into()];
        request.overwrite = Overwrite::Always;
        let plan = planned(&["/srv/docs"], &request).expect("a plan");
        assert!(matches!(plan.steps[0].action, Action::TakeBackup { .. }));
        let Action::RestoreInto { dir, overwrite, .. } = &plan.steps[1].action else { panic!("a restore") };
        assert_eq!((dir.as_path(), *overwrite), (Path::new("/"), Overwrite::Always));
    }

    #[test]
    fn a_time_chooses_the_newest_backup_not_younger() {
        let mut request = request(Destination::Directory("/tmp/out".into()));
        request.which = Which::At(t("2026-05-10T00:00:00Z"));
        let plan = planned(&["/srv/docs"], &request).expect("a plan");
        assert_eq!(steps(&plan), ["restore old from vault:main into /tmp/out"]);
        assert_eq!(plan.reasons[1], "from vault:main: not proved yet");
        request.which = Which::At(t("2026-04-10T00:00:00Z"));
        assert_eq!(planned(&["/srv/docs"], &request).expect_err("none").code, ExitCode::NotFound);
    }

    #[test]
    fn a_damaged_home_copy_is_passed_over() {
        let workload = fixture::workload("docs", schedule("UTC"));
        let mut b = offsite(fixture::backup("a", t("2026-05-19T02:00:00Z"), &[]));
        b.copies[0].proofs.push(proof(Level::L1, false, t(NOW)));
        let run = "run-9".parse().expect("valid");
        let to = request(Destination::Directory("/tmp/out".into()));
        let plan = plan(&workload, &[b], &to, &run, &|_| false, t(NOW)).expect("a plan");
        assert_eq!(steps(&plan), ["restore a from vault:offsite into /tmp/out"]);
    }

    #[test]
    fn relative_destinations_and_the_root_directory_are_refused() {
        let relative = request(Destination::Directory("out".into()));
        assert_eq!(planned(&["/srv/docs"], &relative).expect_err("refused").code, ExitCode::Usage);
        assert_eq!(planned(&["/"], &request(Destination::InPlace)).expect_err("refused").code, ExitCode::Usage);
    }

    #[test]
    fn names_beside_a_root_fit_the_file_system() {
        let root = PathBuf::from("/srv").join("é".repeat(120));
        let beside = beside(&root, "restore", &"r".repeat(64).parse().expect("valid")).expect("a name");
        assert!(beside.file_name().expect("a name").len() <= 255, "{beside:?}");
    }
}
