//! The effects: what each step of a plan does, and its undo. Decides nothing.

use std::path::{Path, PathBuf};

use backstop_catalog::{NewOrphan, NewReplication};
use backstop_model::config::WorkloadKind;
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::run::{Checked, Restored, SnapshotMade, StepOutput};
use backstop_model::tree::TroubleKind;
use backstop_model::{
    Action, Advice, Backup, BackupName, BackupState, Bytes, CopyState, ExitCode, Fault, Level, Place, ReplicationState,
    Run, SnapshotId, Step, Timestamp,
};
use backstop_saga::{Actor, Outputs, Token};
use backstop_seams::{ProbeAnswer, Progress, Tick};
use backstop_vault::{
    BackupRequest, CheckRequest, Description, PruneRequest, RestoreRequest, Snapshot, Vault, VaultError,
};

use crate::context::Context;
use crate::ledger::CatalogLedger;
use crate::select::{Selected, is_scaffold};
use crate::{firewall, release};

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

fn findings(message: String, hint: &str) -> Fault {
    Fault::new(ExitCode::Findings, Advice::CallAPerson, message, hint)
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
        let made = vault.back_up(&*source, &request, self.progress).map_err(|error| vault_fault(&error))?;
        Ok(StepOutput::Snapshot(SnapshotMade {
            stored: made.stored,
            read: made.read,
            changed: made.changed,
            troubles: made.troubles,
            trouble_count: made.trouble_count,
            ..made_of(&made.snapshot, made.stored)
        }))
    }

    fn send_copy(&self, backup: &BackupName, from: &Place, to: &Place) -> Done {
        let record = self.record(backup)?;
        let (source, target) = (self.ctx.vault_at(from)?, self.ctx.vault_at(to)?);
        let region = |place: &Place| match place.vault().map(|name| self.ctx.vault_config(name)) {
            Some(Ok(config)) => config.region.to_string(),
            _ => String::new(),
        };
        let at = self.ctx.outside.clock.now();
        let job = self.ctx.catalog.begin_replication(&NewReplication {
            run: self.run.id.clone(),
            backup: backup.clone(),
            workload: record.workload.clone(),
            from: from.clone(),
            to: to.clone(),
            source_region: region(from),
            target_region: region(to),
            state: ReplicationState::InProgress,
            at,
            total: None,
        })?;
        self.progress.stage(&format!("copying {backup} to {to}"));
        let noting = NotedProgress::new(self.ctx, job, self.progress);
        let id = self.snapshot_id(backup, from)?;
        let copied = source.copy_to(&id, &target, &noting).map_err(|error| vault_fault(&error));
        let at = self.ctx.outside.clock.now();
        match copied {
            Ok(copied) => {
                // A repeated step finds its row ended already.
                let _ = self.ctx.catalog.update_replication(job, Bytes(copied.read), Some(Bytes(copied.read)), at);
                self.ctx.catalog.finish_replication(job, Ok(copied.snapshot.id), at)?;
                Ok(StepOutput::Snapshot(SnapshotMade { read: copied.read, ..made_of(&copied.snapshot, copied.stored) }))
            }
            Err(fault) => {
                // An interrupted copy goes on with the next attempt; its row ends with that one.
                self.ctx.catalog.finish_replication(job, Err(&fault.message), at)?;
                Err(fault)
            }
        }
    }

    fn check_copy(&self, backup: &BackupName, place: &Place, level: Level, how_much: (u32, Option<Timestamp>)) -> Done {
        let vault = self.ctx.vault_at(place)?;
        let name = place.vault().expect("vault_at accepted it");
        let ledger = CatalogLedger::new(&self.ctx.catalog, name)?;
        self.progress.stage(&format!("checking {backup} at {place}"));
        self.note_if_lost(backup, place)?;
        let request = CheckRequest {
            snapshots: Some(vec![self.snapshot_id(backup, place)?]),
            read: level >= Level::L1,
            sample_ppm: how_much.0,
            not_since: how_much.1.or(Some(self.run.started)),
            ledger: &ledger,
        };
        let summary = vault.check(&request, self.progress).map_err(|error| self.blamed(backup, place, &error))?;
        ledger.flush()?;
        if let Some((_, _, why)) = summary.affected.first() {
            return Err(findings(
                format!("the copy of {backup} at {place} is not {}: {why}", level.word()),
                "make it again with `backstop backup replicate`, or release it",
            ));
        }
        let share = |part: u64, whole: u64| match whole {
            0 => 1_000_000,
            _ => u32::try_from(u128::from(part) * 1_000_000 / u128::from(whole)).unwrap_or(1_000_000),
        };
        let detail = match level {
            Level::L0 => {
                format!("{} packs of {} present with their recorded size", summary.packs, Bytes(summary.bytes))
            }
            _ => format!("{} of {} authenticated", Bytes(summary.bytes_covered), Bytes(summary.bytes)),
        };
        let sample_ppm = if level == Level::L0 { 0 } else { share(summary.bytes_covered, summary.bytes) };
        Ok(StepOutput::Checked(Checked { level, bytes: summary.bytes_read, sample_ppm, detail }))
    }

    /// What a proof came upon. Damage and loss are what it was looking for, and speak about the copy; a store that
    /// cannot be reached does not.
    fn blamed(&self, backup: &BackupName, place: &Place, error: &VaultError) -> Fault {
        if error.is_damage() || matches!(error, VaultError::NoSnapshot { .. }) {
            return findings(
                format!("the copy of {backup} at {place} cannot be read: {error}"),
                "make it again with `backstop backup replicate`, or release it",
            );
        }
        vault_fault(error)
    }

    /// A copy that is not where it should be comes back from the trash, where a release that was cut short may have left
    /// it, or is recorded as lost, so that replication makes it again.
    fn note_if_lost(&self, backup: &BackupName, place: &Place) -> Result<(), Fault> {
        let record = self.record(backup)?;
        let Some(copy) = record.copy_at(place) else { return Ok(()) };
        let vault = self.ctx.vault_at(place)?;
        let is_missing = matches!(vault.snapshot(&copy.snapshot), Err(VaultError::NoSnapshot { .. }));
        if is_missing && matches!(vault.recover(&copy.snapshot), Err(VaultError::NoSnapshot { .. })) {
            self.ctx.catalog.set_copy_state(backup, place, CopyState::Lost)?;
        }
        Ok(())
    }

    fn own_directory(&self, dir: &Path) -> Done {
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

    fn remove_directory(&self, dir: &Path) -> Result<(), Fault> {
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

    fn materialise(&self, backup: &BackupName, from: &Place, dir: &Path) -> Done {
        // Whatever an earlier attempt left is not trusted: the proof is about this copy, now.
        self.ctx.outside.files.remove_tree(dir)?;
        let (selection, blame) = (Selection::default(), |error: &VaultError| self.blamed(backup, from, error));
        self.note_if_lost(backup, from)?;
        let restored = self.restore_into(backup, from, dir, (&selection, Overwrite::Never), &blame)?;
        let unreadable = restored.troubles.iter().find(|trouble| trouble.kind == TroubleKind::Unreadable);
        if let Some(trouble) = unreadable {
            return Err(findings(
                format!(
                    "{} entries of {backup} cannot be restored from {from}; first `{}`: {}",
                    restored.trouble_count, trouble.path, trouble.detail
                ),
                "`backstop backup verify-all --level L1` names every backup that damage touches",
            ));
        }
        // Owners and attributes that this process may not set are compared, or left out, by the comparison.
        Ok(StepOutput::Restored(Restored { troubles: Vec::new(), trouble_count: 0, ..restored }))
    }

    fn restore_into(
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
        let summary = vault.restore(&request, &*target, &total).map_err(|error| blame(&error))?;
        let told = summary.troubles.len() as u64;
        let mut troubles = summary.troubles;
        troubles.retain(|trouble| !is_scaffold(trouble, &known.about.roots));
        let trouble_count = summary.trouble_count + troubles.len() as u64 - told;
        Ok(Restored { entries: summary.entries, bytes: summary.bytes, kept: summary.kept, troubles, trouble_count })
    }

    fn compare_tree(&self, backup: &BackupName, from: &Place, dir: &Path) -> Done {
        let vault = self.ctx.vault_at(from)?;
        let tree = self.ctx.outside.trees.restored(dir, b"")?;
        self.progress.stage(&format!("comparing {backup} with its manifest"));
        let owners = self.ctx.outside.privileged;
        let snapshot = self.snapshot_id(backup, from)?;
        let compared = vault
            .compare(&snapshot, &*tree, owners, self.progress)
            .map_err(|error| self.blamed(backup, from, &error))?;
        if let Some(first) = compared.differences.first() {
            return Err(findings(
                format!(
                    "the tree restored from {from} differs from {backup} in {} entries; first `{}`: {}",
                    compared.difference_count, first.path, first.detail
                ),
                "",
            ));
        }
        let detail = format!("{} entries and {} compared, all equal", compared.entries, Bytes(compared.bytes));
        Ok(StepOutput::Checked(Checked { level: Level::L3, bytes: compared.bytes, sample_ppm: 1_000_000, detail }))
    }

    fn check_health(&self, argv: &[String], dir: &Path, timeout: backstop_model::Span) -> Done {
        self.progress.stage("running the health command");
        let root = self.restored_root(dir);
        let argv: Vec<String> = argv.iter().map(|part| part.replace("{}", &root.to_string_lossy())).collect();
        match self.ctx.outside.probe.run(&argv, &root, timeout) {
            ProbeAnswer::Ended { code: 0, tail } => {
                let detail = format!("`{}` passed{}", argv.join(" "), last_line(&tail));
                Ok(StepOutput::Checked(Checked { level: Level::L5, bytes: 0, sample_ppm: 1_000_000, detail }))
            }
            ProbeAnswer::Ended { code, tail } => {
                Err(findings(format!("the health command ended with {code}{}", last_line(&tail)), ""))
            }
            ProbeAnswer::TimedOut => Err(findings(format!("the health command did not end within {timeout}"), "")),
            ProbeAnswer::NotStarted { why } => {
                Err(findings(format!("the health command did not start: {why}"), "check `health.command`"))
            }
        }
    }

    /// Where the workload's tree stands inside a directory it was restored into: the root, if it has one alone.
    fn restored_root(&self, dir: &Path) -> PathBuf {
        let workload = self.run.workload.as_ref().and_then(|name| self.ctx.config.workloads.get(name));
        match workload.map(|workload| &workload.kind) {
            Some(WorkloadKind::Files(spec)) if spec.paths.len() == 1 => {
                dir.join(spec.paths[0].strip_prefix("/").unwrap_or(&spec.paths[0]))
            }
            _ => dir.to_owned(),
        }
    }

    /// First the restored tree takes the name under which the old one will be kept, then the two change places.
    /// A small file beside them, written before the exchange, tells after a crash whether it has happened.
    fn swap_in(&self, staged: &Path, target: &Path, keep: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        let marker = marker_of(keep);
        if let Some(identity) = self.marked(&marker)? {
            if files.identity(target)? != Some(identity) && files.identity(keep)? == Some(identity) {
                self.exchange_or_move(keep, target)?;
            }
            files.write(&note_of(keep), format!("{}\n", self.run.id).as_bytes(), 0o600)?;
            return files.remove(&marker);
        }
        if files.exists(staged)? {
            if files.exists(keep)? {
                return Err(Fault::refused(
                    format!("`{}` is in the way", keep.display()),
                    "move it aside and resume the run",
                ));
            }
            files.rename(staged, keep)?;
        } else if !files.exists(keep)? {
            // Nothing staged and nothing kept: the target did not exist before and has been moved in.
            return Ok(());
        } else {
            // Renamed, but the marker was not written yet; or all done and the marker removed. The note tells.
            let done = note_of(keep);
            if files.exists(&done)? {
                return Ok(());
            }
        }
        let identity =
            files.identity(keep)?.ok_or_else(|| Fault::not_found(format!("`{}` is gone", keep.display()), ""))?;
        files.write(&marker, format!("{} {}\n", identity.0, identity.1).as_bytes(), 0o600)?;
        self.exchange_or_move(keep, target)?;
        files.write(&note_of(keep), format!("{}\n", self.run.id).as_bytes(), 0o600)?;
        files.remove(&marker)
    }

    fn exchange_or_move(&self, keep: &Path, target: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        if files.exists(target)? { files.exchange(keep, target) } else { files.rename(keep, target) }
    }

    fn marked(&self, marker: &Path) -> Result<Option<(u64, u64)>, Fault> {
        let Some(bytes) = self.ctx.outside.files.read(marker)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(device)), Some(Ok(inode))) => Ok(Some((device, inode))),
            _ => Err(Fault::refused(
                format!("`{}` does not read", marker.display()),
                "look which tree is the live one, remove it, and resume",
            )),
        }
    }

    /// The way back, with the same marker: it says which tree is the restored one, so that a repeated undo cannot
    /// exchange twice.
    fn swap_back(&self, staged: &Path, target: &Path, keep: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        let (marker, note) = (marker_of(keep), note_of(keep));
        let mut restored = self.marked(&marker)?;
        if restored.is_none() && files.exists(&note)? {
            restored = files.identity(target)?;
            if let Some((device, inode)) = restored {
                files.write(&marker, format!("{device} {inode}\n").as_bytes(), 0o600)?;
            }
        }
        files.remove(&note)?;
        if restored.is_some() && files.identity(target)? == restored {
            if files.exists(keep)? { files.exchange(keep, target)? } else { files.rename(target, keep)? }
        }
        if files.exists(keep)? && !files.exists(staged)? {
            files.rename(keep, staged)?;
        }
        files.remove(&marker)
    }

    fn trash_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Done {
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

    fn recover_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Result<(), Fault> {
        self.ctx.vault_at(place)?.recover(snapshot).map_err(|error| vault_fault(&error))?;
        Ok(self.ctx.catalog.set_copy_state(backup, place, CopyState::Present)?)
    }

    fn purge_copy(&self, backup: &BackupName, place: &Place, snapshot: &SnapshotId) -> Done {
        let record = self.record(backup)?;
        let first = record.copies.iter().all(|copy| copy.state != CopyState::Purged);
        if first {
            release::firewall_agrees(self.ctx, &record, firewall::check_purge)?;
        }
        self.ctx.vault_at(place)?.purge(snapshot).map_err(|error| vault_fault(&error))?;
        self.ctx.catalog.set_copy_state(backup, place, CopyState::Purged)?;
        Ok(StepOutput::Nothing)
    }

    fn prune_packs(&self, place: &Place) -> Done {
        let vault = self.ctx.vault_at(place)?;
        self.progress.stage(&format!("pruning {place}"));
        let request = PruneRequest {
            grace: self.ctx.config.limits.prune_grace,
            at_once: self.run.plan.reasons.iter().any(|reason| reason == crate::prune::AT_ONCE),
            waste_ppm: 50_000,
            dry_run: false,
        };
        let pruned = vault.prune(&request, self.progress).map_err(|error| vault_fault(&error))?;
        Ok(StepOutput::Freed { bytes: pruned.freed, packs: pruned.removed, marked: pruned.marked })
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
            Action::RemoveDirectory { dir } => self.remove_directory(dir).map(|()| StepOutput::Nothing),
            Action::RestoreInto { backup, from, dir, selection, overwrite } => {
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
            Action::PrunePacks { place } => self.prune_packs(place),
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
            | Action::RemoveDirectory { .. }
            | Action::RestoreInto { .. }
            | Action::PurgeCopy { .. }
            | Action::PrunePacks { .. } => Ok(()),
        }
    }
}

fn marker_of(keep: &Path) -> PathBuf {
    with_suffix(keep, ".swapping")
}

pub(crate) fn note_of(keep: &Path) -> PathBuf {
    with_suffix(keep, ".swapped")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
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

fn last_line(tail: &str) -> String {
    tail.lines().rev().find(|line| !line.trim().is_empty()).map_or(String::new(), |line| format!(": {}", line.trim()))
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

/// Ticks that also go to the replication's row, once a second, so that another terminal can watch.
struct NotedProgress<'a> {
    ctx: &'a Context,
    job: i64,
    inner: &'a dyn Progress,
    last: std::sync::atomic::AtomicU64,
}

impl<'a> NotedProgress<'a> {
    fn new(ctx: &'a Context, job: i64, inner: &'a dyn Progress) -> Self {
        Self { ctx, job, inner, last: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Progress for NotedProgress<'_> {
    fn tick(&self, tick: Tick) {
        use std::sync::atomic::Ordering;
        self.inner.tick(tick);
        let now = self.ctx.outside.clock.monotonic().as_secs();
        if self.last.swap(now, Ordering::Relaxed) != now {
            let at = self.ctx.outside.clock.now();
            // A row that cannot be written now is written by the next tick, or by the end.
            let _ = self.ctx.catalog.update_replication(self.job, Bytes(tick.bytes), tick.bytes_total.map(Bytes), at);
        }
    }
    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}
