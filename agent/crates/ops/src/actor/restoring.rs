//! Directories that belong to a run, and a tree written into one.

use std::path::Path;

use backstop_catalog::NewOrphan;
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::run::{Restored, StepOutput};
use backstop_model::tree::TroubleKind;
use backstop_model::{BackupName, Fault, Place};
use backstop_seams::{Progress, Tick};
use backstop_vault::{RestoreRequest, VaultError};

use super::{Done, Worker};
use crate::select::{Selected, is_scaffold};

impl Worker<'_> {
    pub(super) fn own_directory(&self, dir: &Path) -> Done {
        let name = dir.to_string_lossy();
        let known = self.ctx.catalog.orphans(false)?.iter().any(|orphan| orphan.name == name);
        if !known {
            let at = self.ctx.outside.clock.now();
            self.ctx.catalog.add_orphan(&NewOrphan {
                kind: "directory",
                name: &name,
                container: "",
                run: Some(&self.run.id),
                at,
            })?;
        }
        Ok(StepOutput::Nothing)
    }

    pub(super) fn remove_directory(&self, dir: &Path) -> Result<(), Fault> {
        let removed = self.ctx.outside.files.remove_tree(dir);
        let at = self.ctx.outside.clock.now();
        let name = dir.to_string_lossy();
        for orphan in self.ctx.catalog.orphans(false)?.iter().filter(|orphan| orphan.name == name) {
            match &removed {
                Ok(()) => self.ctx.catalog.settle_orphan(orphan.id, at)?,
                Err(fault) => self.ctx.catalog.orphan_attempted(orphan.id, &fault.message, at)?,
            }
        }
        removed
    }

    pub(super) fn restore_into(
        &self,
        backup: &BackupName,
        from: &Place,
        dir: &Path,
        (selection, overwrite): (&Selection, Overwrite),
        blame: &dyn Fn(&VaultError) -> Fault,
    ) -> Result<Restored, Fault> {
        let vault = self.ctx.vault_at(from)?;
        let snapshot = self.snapshot_id(backup, from)?;
        // How much room it takes is not known beforehand: holes take none. A disk that fills up is told clearly.
        let known = vault.snapshot(&snapshot).map_err(|error| blame(&error))?;
        if !self.ctx.outside.files.exists(dir)? {
            self.ctx.outside.files.own_directory(dir)?;
        }
        let target = self.ctx.outside.trees.target(dir, b"", overwrite)?;
        let selected = Selected::new(selection)?;
        self.progress.stage(&format!("restoring {backup} from {from}"));
        let total = Totals { inner: self.progress, bytes: known.size };
        let request = RestoreRequest { snapshot, choose: &|node| selected.wants(node) };
        let summary = vault.restore(&request, &*target, &total).map_err(|error| blame(&landed(dir, error)))?;
        let told = summary.troubles.len() as u64;
        let mut troubles = summary.troubles;
        troubles.retain(|trouble| !is_scaffold(trouble, &known.about.roots));
        let trouble_count = summary.trouble_count + troubles.len() as u64 - told;
        for trouble in troubles.iter_mut().filter(|trouble| trouble.kind == TroubleKind::Unwritable) {
            trouble.path = below(dir, &trouble.path);
        }
        Ok(Restored { entries: summary.entries, bytes: summary.bytes, kept: summary.kept, troubles, trouble_count })
    }
}

/// What cannot be written is named by where it was to go, not by where it came from.
fn landed(dir: &Path, error: VaultError) -> VaultError {
    match error {
        VaultError::Target { path, source } => VaultError::Target { path: below(dir, &path), source },
        other => other,
    }
}

fn below(dir: &Path, path: &str) -> String {
    dir.join(path.trim_start_matches('/')).display().to_string()
}

/// Ticks that know the whole.
struct Totals<'a> {
    inner: &'a dyn Progress,
    bytes: u64,
}

impl Progress for Totals<'_> {
    fn tick(&self, tick: Tick) {
        self.inner.tick(Tick { bytes_total: Some(self.bytes), ..tick });
    }
    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}
