//! Copies into the trash, back out of it, and gone for good; space given back. The firewall has the last word.

use backstop_model::run::StepOutput;
use backstop_model::{BackupName, BackupState, CopyState, Fault, Place, SnapshotId};
use backstop_vault::PruneRequest;

use super::{Done, Worker, vault_fault};
use crate::{firewall, release};

impl Worker<'_> {
    pub(super) fn trash_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Done {
        let record = self.record(backup)?;
        // The firewall looks again, at the world as it is now and not as it was when the plan was made.
        if matches!(record.state, BackupState::Present) && record.copies.iter().all(|c| c.state != CopyState::Trashed) {
            release::firewall_agrees(self.ctx, &record, firewall::check)?;
        }
        let vault = self.ctx.vault_at(place)?;
        if let Err(error) = vault.trash(snapshot) {
            // The answer may be all that was lost. If this fails as well, the next proof brings the copy back.
            let _ = vault.recover(snapshot);
            return Err(vault_fault(&error));
        }
        self.ctx.catalog.set_copy_state(backup, place, CopyState::Trashed)?;
        Ok(StepOutput::Nothing)
    }

    pub(super) fn recover_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Result<(), Fault> {
        self.ctx.vault_at(place)?.recover(snapshot).map_err(|error| vault_fault(&error))?;
        Ok(self.ctx.catalog.set_copy_state(backup, place, CopyState::Present)?)
    }

    pub(super) fn purge_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Done {
        let record = self.record(backup)?;
        let first = record.copies.iter().all(|copy| copy.state != CopyState::Purged);
        if first {
            release::firewall_agrees(self.ctx, &record, firewall::check_purge)?;
        }
        self.ctx.vault_at(place)?.purge(snapshot).map_err(|error| vault_fault(&error))?;
        self.ctx.catalog.set_copy_state(backup, place, CopyState::Purged)?;
        Ok(StepOutput::Nothing)
    }

    pub(super) fn prune_packs(&self, place: &Place, waste_ppm: u32) -> Done {
        let vault = self.ctx.vault_at(place)?;
        self.progress.stage(&format!("pruning {place}"));
        let request = PruneRequest {
            grace: self.ctx.config.limits.prune_grace,
            at_once: self.run.plan.reasons.iter().any(|reason| reason == crate::prune::AT_ONCE),
            waste_ppm,
            dry_run: false,
        };
        let pruned = vault.prune(&request, self.progress).map_err(|error| vault_fault(&error))?;
        // Even a prune at once leaves the young ones: nothing tells whether somebody elsewhere is still writing them.
        if let Some(Ok(config)) = place.vault().map(|name| self.ctx.vault_config(name)) {
            self.ctx.outside.files.sweep(&config.url, self.ctx.outside.clock.now(), request.grace)?;
        }
        Ok(StepOutput::Freed { bytes: pruned.freed, packs: pruned.removed, marked: pruned.marked })
    }
}
