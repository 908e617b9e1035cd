//! Backups and copies as they are shown: what the catalog records, with the level each copy stands at, never more.

use backstop_model::config::Config;
use backstop_model::{
    Backup, BackupName, BackupState, Bytes, Completeness, Copy, CopyState, Hold, Level, Mode, Place, Proof, ProofKind,
    Region, RunId, Tier, Timestamp, WorkloadName,
};
use backstop_planner::{Verdict, choice};
use serde::Serialize;

/// One backup.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub name: BackupName,
    /// What it protects.
    pub workload: WorkloadName,
    /// The instant whose state it holds.
    pub created: Timestamp,
    /// The tiers it holds.
    pub tiers: Vec<Tier>,
    /// How it was read.
    pub mode: Mode,
    /// The backup it was compared with.
    pub based_on: Option<BackupName>,
    /// Bytes a restore would write.
    pub size: Bytes,
    /// Entries a restore would make.
    pub entries: u64,
    /// Whether everything that was asked for is in it.
    pub complete: bool,
    /// How many entries are missing or torn.
    pub troubles: u64,
    /// Where it is in its life.
    pub state: BackupState,
    /// Who wants it kept, and why.
    pub hold: Option<Hold>,
    /// The highest level that any of its copies stands at.
    pub level: Option<Level>,
    /// Whether retention keeps it, and why; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Its copies.
    pub copies: Vec<CopyRow>,
    /// The run that made it.
    pub run: RunId,
}

/// What retention says about a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keep {
    /// False: it is past retention and may be released.
    pub keep: bool,
    /// Why, a line each.
    pub reasons: Vec<String>,
    /// When it will be past retention if every coming period gets its backup; `None` when that cannot be told.
    pub expires: Option<Timestamp>,
}

/// One copy.
#[derive(Debug, Clone, Serialize)]
pub struct CopyRow {
    /// Where.
    pub place: Place,
    /// Where that place stands.
    pub region: Option<Region>,
    /// Whether it is there.
    pub state: CopyState,
    /// The object there.
    pub snapshot: String,
    /// Bytes it added to its place.
    pub stored: Bytes,
    /// When it was complete.
    pub created: Timestamp,
    /// The level it stands at.
    pub level: Option<Level>,
    /// The one word for that level.
    pub word: Option<&'static str>,
    /// When that level was last shown.
    pub proved: Option<Timestamp>,
    /// Whether the last word about its bytes or tree is a failed check.
    pub damaged: bool,
    /// Every check of it, newest first; only where it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// One dated result about a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// When it ended.
    pub at: Timestamp,
    /// The level attempted.
    pub level: Level,
    /// Whether it was reached.
    pub passed: bool,
    /// What produced it.
    pub kind: ProofKind,
    /// How long it took.
    pub took_millis: u64,
    /// Which share of the bytes was read, parts per million.
    pub sample_ppm: u32,
    /// The run.
    pub run: RunId,
    /// One line.
    pub detail: String,
}

impl Row {
    /// A backup as it is shown, without its checks.
    #[must_use]
    pub fn of(config: &Config, backup: &Backup) -> Self {
        let troubles = match backup.completeness {
            Completeness::Complete => 0,
            Completeness::Partial { troubles } => troubles,
        };
        Self {
            name: backup.name.clone(),
            workload: backup.workload.clone(),
            created: backup.created,
            tiers: backup.tiers.iter().cloned().collect(),
            mode: backup.mode,
            based_on: backup.based_on.clone(),
            size: backup.size,
            entries: backup.entries,
            complete: backup.completeness == Completeness::Complete,
            troubles,
            state: backup.state,
            hold: backup.hold.clone(),
            level: backup.level(),
            keep: None,
            copies: backup.copies.iter().map(|copy| CopyRow::of(config, copy)).collect(),
            run: backup.run.clone(),
        }
    }

    /// The same with every check of every copy.
    #[must_use]
    pub fn with_checks(config: &Config, backup: &Backup) -> Self {
        let mut row = Self::of(config, backup);
        for (shown, copy) in row.copies.iter_mut().zip(&backup.copies) {
            shown.checks = copy.proofs.iter().rev().map(Check::from).collect();
        }
        row
    }
}

impl CopyRow {
    fn of(config: &Config, copy: &Copy) -> Self {
        let level = copy.level();
        Self {
            region: region_of(config, &copy.place),
            place: copy.place.clone(),
            state: copy.state,
            snapshot: copy.snapshot.short(),
            stored: copy.stored,
            created: copy.created,
            level,
            word: level.map(Level::word),
            proved: level.and_then(|level| copy.proved_at(level)),
            damaged: copy.state == CopyState::Present && choice::is_damaged(copy),
            checks: Vec::new(),
        }
    }
}

impl From<&Proof> for Check {
    fn from(proof: &Proof) -> Self {
        Self {
            at: proof.at,
            level: proof.level,
            passed: proof.passed,
            kind: proof.kind,
            took_millis: proof.took.as_millis(),
            sample_ppm: proof.sample_ppm,
            run: proof.run.clone(),
            detail: proof.detail.clone(),
        }
    }
}

impl From<&Verdict> for Keep {
    fn from(verdict: &Verdict) -> Self {
        Self { keep: verdict.keep, reasons: verdict.reasons.clone(), expires: verdict.expires }
    }
}

/// Where a place stands, as far as the configuration knows it.
pub(crate) fn region_of(config: &Config, place: &Place) -> Option<Region> {
    match place {
        Place::Vault(name) => config.vaults.get(name).map(|vault| vault.region.clone()),
        Place::Region(region) => Some(region.clone()),
    }
}
