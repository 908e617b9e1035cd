//! The effects: what each step of a plan does, and its undo. Decides nothing.

mod exchange;
mod proving;
mod restoring;
mod sending;
mod trash;

use std::path::Path;

use backstop_model::config::WorkloadKind;
use backstop_model::run::{SnapshotMade, StepOutput};
use backstop_model::{
    Action, Advice, Backup, BackupName, BackupState, CopyState, ExitCode, Fault, Place, Run, SnapshotId, Span, Step,
    Verb,
};
use backstop_saga::{Actor, Outputs, Token};
use backstop_seams::Progress;
use backstop_vault::{BackupRequest, Description, Snapshot, Vault, VaultError};

pub(crate) use self::exchange::note_of;
use crate::context::Context;
use crate::prune;

/// Carries out the steps of one run.
pub(crate) struct Worker<'a> {
    ctx: &'a Context,
    run: &'a Run,
    progress: &'a dyn Progress,
}

type Done = Result<StepOutput, Fault>;

fn vault_fault(error: &VaultError) -> Fault {
    error.fault()
}

impl<'a> Worker<'a> {
    pub(crate) fn new(ctx: &'a Context, run: &'a Run, progress: &'a dyn Progress) -> Self {
        Self { ctx, run, progress }
    }

    fn record(&self, backup: &BackupName) -> Result<Backup, Fault> {
        self.ctx.catalog.backup(backup)?.ok_or_else(|| Fault::not_found(format!("there is no backup `{backup}`"), ""))
    }

    fn snapshot_id(&self, backup: &BackupName, place: &Place) -> Result<SnapshotId, Fault> {
        let record = self.record(backup)?;
        record.copies.iter().find(|copy| &copy.place == place).map(|copy| copy.snapshot).ok_or_else(|| {
            Fault::not_found(format!("backup `{backup}` has no copy at {place}"), "see `backstop backup show`")
        })
    }

    /// Whether the directory was made for this run and holds nothing but what it put there.
    fn owns(&self, dir: &Path) -> bool {
        let steps = &self.run.plan.steps;
        steps.iter().any(|step| matches!(&step.action, Action::OwnDirectory { dir: owned } if owned == dir))
    }

    fn take_backup(&self, step: &Step, token: &Token) -> Done {
        let Action::TakeBackup { backup, workload, place, mode, tiers, based_on } = &step.action else {
            unreachable!("called for this action")
        };
        let vault = self.ctx.vault_at(place)?;
        if token.again()
            && let Some(known) = find_snapshot(&vault, backup)?
        {
            return Ok(StepOutput::Snapshot(made_of(&known, 0)));
        }
        let workload = self.ctx.workload(workload)?;
        let WorkloadKind::Files(spec) = &workload.kind;
        let source = self.ctx.outside.trees.source(spec)?;
        let compare_with = match based_on {
            Some(earlier) => self.snapshot_id(earlier, place).ok().filter(|id| vault.snapshot(id).is_ok()),
            None => None,
        };
        let about = Description {
            backup: backup.clone(),
            workload: workload.name.clone(),
            kind: "files".into(),
            captured: self.ctx.outside.clock.now(),
            tiers: tiers.clone(),
            mode: *mode,
            based_on: based_on.clone(),
            roots: spec.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            host: self.ctx.outside.host.clone(),
            run: self.run.id.clone(),
        };
        self.progress.stage(&format!("backing up {}", workload.name));
        let request = BackupRequest { about, compare_with, grace: self.ctx.config.limits.prune_grace };
        let made = vault.back_up(&*source, &request, self.progress).map_err(|error| match error {
            VaultError::Overtaken => overtaken(request.grace),
            other => vault_fault(&other),
        })?;
        Ok(StepOutput::Snapshot(SnapshotMade {
            stored: made.stored,
            read: made.read,
            changed: made.changed,
            troubles: made.troubles,
            trouble_count: made.trouble_count,
            ..made_of(&made.snapshot, made.stored)
        }))
    }
}

impl Actor for Worker<'_> {
    fn perform(&mut self, step: &Step, token: &Token, _: &Outputs) -> Done {
        match &step.action {
            Action::TakeBackup { .. } => self.take_backup(step, token),
            Action::SendCopy { backup, from, to } => self.send_copy(backup, from, to),
            Action::CheckCopy { backup, place, level, sample_ppm, not_since } => {
                self.check_copy(backup, place, *level, (*sample_ppm, *not_since))
            }
            Action::OwnDirectory { dir } => self.own_directory(dir),
            Action::Materialise { backup, from, dir } => self.materialise(backup, from, dir),
            Action::CompareTree { backup, from, dir } => self.compare_tree(backup, from, dir),
            Action::CheckHealth { argv, dir, timeout } => self.check_health(argv, dir, *timeout),
            Action::AskHealth { policy, backup, dir } => self.ask_health(policy, backup, dir),
            Action::RemoveDirectory { dir } => {
                if self.run.verb == Verb::Prune {
                    prune::may_remove(self.ctx, dir)?;
                }
                self.remove_directory(dir).map(|()| StepOutput::Nothing)
            }
            Action::RestoreInto { backup, from, dir, selection, overwrite } => {
                if token.again() && self.owns(dir) {
                    // What an earlier attempt left would be kept as it is, and when the power failed, names of files may
                    // have reached the disk without their bytes.
                    self.ctx.outside.files.remove_tree(dir)?;
                }
                self.restore_into(backup, from, dir, (selection, *overwrite), &vault_fault).map(StepOutput::Restored)
            }
            Action::SwapIn { staged, target, keep } => self.swap_in(staged, target, keep).map(|()| StepOutput::Nothing),
            Action::TrashCopy { backup, place, snapshot } => self.trash_copy(backup, place, snapshot),
            Action::RecoverCopy { backup, place, snapshot } => {
                self.recover_copy(backup, place, snapshot).map(|()| StepOutput::Nothing)
            }
            Action::PurgeCopy { backup, place, snapshot } => self.purge_copy(backup, place, snapshot),
            Action::RecordState { backup, state } => {
                self.ctx.catalog.set_state(backup, *state)?;
                Ok(StepOutput::Nothing)
            }
            Action::PrunePacks { place, waste_ppm } => self.prune_packs(place, *waste_ppm),
        }
    }

    fn undo(&mut self, step: &Step, _: &Token, _: &Outputs) -> Result<(), Fault> {
        match &step.action {
            Action::OwnDirectory { dir } => self.remove_directory(dir),
            Action::SwapIn { staged, target, keep } => self.swap_back(staged, target, keep),
            Action::TrashCopy { backup, place, snapshot } => self.recover_copy(backup, place, snapshot),
            Action::RecoverCopy { backup, place, snapshot } => {
                self.ctx.vault_at(place)?.trash(snapshot).map_err(|error| vault_fault(&error))?;
                Ok(self.ctx.catalog.set_copy_state(backup, place, CopyState::Trashed)?)
            }
            Action::RecordState { backup, state } => {
                let before = match state {
                    BackupState::Present | BackupState::Purged { .. } => return Ok(()),
                    BackupState::Trashed { .. } => BackupState::Present,
                };
                Ok(self.ctx.catalog.set_state(backup, before)?)
            }
            Action::TakeBackup { .. }
            | Action::SendCopy { .. }
            | Action::CheckCopy { .. }
            | Action::Materialise { .. }
            | Action::CompareTree { .. }
            | Action::CheckHealth { .. }
            | Action::AskHealth { .. }
            | Action::RemoveDirectory { .. }
            | Action::RestoreInto { .. }
            | Action::PurgeCopy { .. }
            | Action::PrunePacks { .. } => Ok(()),
        }
    }
}

/// Nothing is lost: what this try stored is used by the next, unless that takes as long.
fn overtaken(grace: Span) -> Fault {
    let message = format!(
        "prunes gave back space that this backup relied on: it took longer than `limits.prune_grace` ({grace})"
    );
    let hint = "raise `limits.prune_grace` above the longest backup, then run the same command again";
    Fault::new(ExitCode::Temporary, Advice::Retry, message, hint)
}

/// The kept snapshot of a backup, by its name inside.
pub(crate) fn find_snapshot(vault: &Vault, backup: &BackupName) -> Result<Option<Snapshot>, Fault> {
    let (snapshots, _) = vault.snapshots().map_err(|error| vault_fault(&error))?;
    Ok(snapshots.into_iter().find(|snapshot| &snapshot.about.backup == backup))
}

fn made_of(snapshot: &Snapshot, stored: u64) -> SnapshotMade {
    let trouble_count = match snapshot.completeness {
        backstop_model::Completeness::Complete => 0,
        backstop_model::Completeness::Partial { troubles } => troubles,
    };
    SnapshotMade {
        snapshot: snapshot.id,
        captured: snapshot.about.captured,
        size: snapshot.size,
        entries: snapshot.entries,
        stored,
        read: 0,
        changed: 0,
        troubles: Vec::new(),
        trouble_count,
    }
}
