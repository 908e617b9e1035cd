//! What a copy is worth: checks, rehearsals and comparisons. Only what speaks about the copy is a finding.

use std::path::{Path, PathBuf};

use backstop_model::config::WorkloadKind;
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::policy::health::{Restored as Standing, RestoredTree};
use backstop_model::run::{Checked, Restored, StepOutput};
use backstop_model::tree::TroubleKind;
use backstop_model::{Advice, BackupName, Bytes, CopyState, ExitCode, Fault, Level, Place, PolicyName, Timestamp};
use backstop_seams::ProbeAnswer;
use backstop_vault::{CheckRequest, VaultError};

use super::{Done, Worker, vault_fault};
use crate::gate::health;
use crate::ledger::CatalogLedger;

impl Worker<'_> {
    pub(super) fn check_copy(
        &self,
        backup: &BackupName,
        place: &Place,
        level: Level,
        how_much: (u32, Option<Timestamp>),
    ) -> Done {
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
    pub(super) fn blamed(&self, backup: &BackupName, place: &Place, error: &VaultError) -> Fault {
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
    pub(super) fn note_if_lost(&self, backup: &BackupName, place: &Place) -> Result<(), Fault> {
        let record = self.record(backup)?;
        let Some(copy) = record.copy_at(place) else { return Ok(()) };
        let vault = self.ctx.vault_at(place)?;
        let is_missing = matches!(vault.snapshot(&copy.snapshot), Err(VaultError::NoSnapshot { .. }));
        if is_missing && matches!(vault.recover(&copy.snapshot), Err(VaultError::NoSnapshot { .. })) {
            self.ctx.catalog.set_copy_state(backup, place, CopyState::Lost)?;
        }
        Ok(())
    }

    pub(super) fn materialise(&self, backup: &BackupName, from: &Place, dir: &Path) -> Done {
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

    pub(super) fn compare_tree(&self, backup: &BackupName, from: &Place, dir: &Path) -> Done {
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

    pub(super) fn check_health(&self, argv: &[String], dir: &Path, timeout: backstop_model::Span) -> Done {
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

    /// Shows the tree to a policy. One that is bound no more has nothing to say.
    pub(super) fn ask_health(&self, policy: &PolicyName, backup: &BackupName, dir: &Path) -> Done {
        self.progress.stage(&format!("asking the health check {policy}"));
        let record = self.record(backup)?;
        let workload = self.ctx.workload_of(&record)?;
        let tree = RestoredTree { dir: dir.to_owned(), strip: "/".into() };
        let restored = Standing { tree: Some(tree), ..Standing::default() };
        let judged = health::check(self.ctx, Some(policy), workload, &record, &restored)?;
        let words: Vec<String> = judged.iter().map(|judged| judged.words.clone()).collect();
        if judged.iter().any(|judged| !judged.passed) {
            return Err(findings(words.join("; "), "`backstop policy explain` shows what it was asked"));
        }
        let detail = if words.is_empty() { format!("policy `{policy}` is bound no more") } else { words.join("; ") };
        Ok(StepOutput::Checked(Checked { level: Level::L5, bytes: 0, sample_ppm: 1_000_000, detail }))
    }

    /// Where the workload's tree stands inside a directory it was restored into: the root, if it has one alone.
    pub(super) fn restored_root(&self, dir: &Path) -> PathBuf {
        let workload = self.run.workload.as_ref().and_then(|name| self.ctx.config.workloads.get(name));
        match workload.map(|workload| &workload.kind) {
            Some(WorkloadKind::Files(spec)) if spec.paths.len() == 1 => {
                dir.join(spec.paths[0].strip_prefix("/").unwrap_or(&spec.paths[0]))
            }
            _ => dir.to_owned(),
        }
    }
}

fn findings(message: String, hint: &str) -> Fault {
    Fault::new(ExitCode::Findings, Advice::CallAPerson, message, hint)
}

fn last_line(tail: &str) -> String {
    tail.lines().rev().find(|line| !line.trim().is_empty()).map_or(String::new(), |line| format!(": {}", line.trim()))
}
