//! What verbs that change something are asked.

use std::path::PathBuf;

use backstop_model::config::{Config, Workload};
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::{Fault, Level, Mode, Place, RunId, Tier, Timestamp, VaultName, WorkloadName};

use crate::configure;

/// `backup trigger`.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// What to back up.
    pub workload: WorkloadName,
    /// This tier instead of what the calendar says.
    pub tier: Option<Tier>,
    /// Read so much.
    pub mode: Option<Mode>,
    /// Only plan.
    pub dry_run: bool,
}

/// Which backup to restore.
#[derive(Debug, Clone, Default)]
pub enum Pick {
    /// The newest that can be read.
    #[default]
    Newest,
    /// By name, or a beginning of it.
    Named(String),
    /// As it was at that instant.
    At(Timestamp),
}

/// `backup restore`.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Whose backup.
    pub workload: WorkloadName,
    /// Which.
    pub pick: Pick,
    /// From this copy.
    pub from: Option<Place>,
    /// Into this directory; `None` is in place.
    pub to: Option<PathBuf>,
    /// Which entries.
    pub selection: Selection,
    /// What happens to files that exist.
    pub overwrite: Overwrite,
    /// Why (kept in the audit log).
    pub reason: String,
    /// Only plan.
    pub dry_run: bool,
}

/// Which place is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// This one.
    Place(Place),
    /// That of the vault in this region: which one that is depends on the workload's schedule.
    Region(String),
}

impl Whereabouts {
    /// The place for one workload.
    ///
    /// # Errors
    /// As [`configure::place_in`].
    pub(crate) fn of(&self, config: &Config, workload: &Workload) -> Result<Place, Fault> {
        let schedule = &workload.schedule;
        match self {
            Self::Place(place) => Ok(place.clone()),
            Self::Region(region) => configure::place_in(config, region, Some(&schedule.home), &schedule.copies),
        }
    }
}

/// `backup replicate`, `backup replicate-all`.
#[derive(Debug, Clone)]
pub struct Replicate {
    /// One workload, or all.
    pub workload: Option<WorkloadName>,
    /// One backup.
    pub backup: Option<String>,
    /// To this place instead of those the schedule names.
    pub to: Option<Whereabouts>,
    /// How many workloads at a time.
    pub max_parallel: usize,
    /// Only plan.
    pub dry_run: bool,
}

/// `backup verify`, `backup verify-all`.
#[derive(Debug, Clone)]
pub struct Verify {
    /// One workload, or all.
    pub workload: Option<WorkloadName>,
    /// One backup.
    pub backup: Option<String>,
    /// Only the copy there.
    pub place: Option<Place>,
    /// To this level.
    pub level: Option<Level>,
    /// Also what was proved recently.
    pub again: bool,
    /// Share of the packs to read at L1, parts per million.
    pub sample_ppm: u32,
    /// How many at a time.
    pub max_parallel: usize,
    /// Only plan.
    pub dry_run: bool,
}

/// `dr test`, `dr test-all`.
#[derive(Debug, Clone)]
pub struct DrTestRequest {
    /// One workload, or all that promise rehearsals.
    pub workload: Option<WorkloadName>,
    /// One backup.
    pub backup: Option<String>,
    /// From this copy.
    pub from: Option<Whereabouts>,
    /// Only plan.
    pub dry_run: bool,
}

/// `backup delete`, and the release of what is past retention.
#[derive(Debug, Clone)]
pub struct Release {
    /// Past retention, of this workload or all; used when `backups` is empty.
    pub workload: Option<WorkloadName>,
    /// These.
    pub backups: Vec<String>,
    /// Why.
    pub reason: String,
    /// Only plan.
    pub dry_run: bool,
}

/// `vault prune`.
#[derive(Debug, Clone)]
pub struct Prune {
    /// Which vault, or all.
    pub vault: Option<VaultName>,
    /// Purge and remove what may go without waiting for the grace period of packs; nobody else may be writing.
    pub at_once: bool,
    /// Share of a vault that may stay as waste in packs that are needed, parts per million.
    pub waste_ppm: u32,
    /// Only plan.
    pub dry_run: bool,
}

impl Default for Prune {
    fn default() -> Self {
        Self { vault: None, at_once: false, waste_ppm: backstop_model::plan::WASTE_PPM, dry_run: false }
    }
}

/// `run resume`, `run cancel`.
#[derive(Debug, Clone)]
pub struct Settle {
    /// Which run, or a beginning of its id.
    pub run: String,
    /// Steps to pass over that a person settled by hand.
    pub skip: Vec<u32>,
    /// Why.
    pub reason: String,
}

/// `restore undo`.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The run of the restore; the newest of the workload when `None`.
    pub run: Option<RunId>,
    /// Whose.
    pub workload: WorkloadName,
    /// Why.
    pub reason: String,
}
