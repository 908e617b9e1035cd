//! Questions about how long backups live. See `wit/1.0.0/retention.wit`.

use serde::{Deserialize, Serialize};

use super::{CivilTime, Field, Shown};
use crate::backup::Tier;
use crate::name::WorkloadName;

/// A kept backup, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct KeptBackup {
    pub name: String,
    pub created: i64,
    pub local: CivilTime,
    /// Bit `i` set: it holds `tier_names[i]`.
    pub tiers: u32,
    pub size: u64,
    pub complete: bool,
    pub held: bool,
    pub level: Shown,
    pub copies: u16,
    pub offsite: bool,
    pub releasable: bool,
}

/// Which tiers a backup gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TiersQuestion {
    pub now: i64,
    pub local: CivilTime,
    pub settings: Vec<Field>,
    pub workload: WorkloadName,
    pub calendar: Vec<String>,
    pub tier_names: Vec<String>,
    pub backups: Vec<KeptBackup>,
}

/// The tiers to add to those of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TiersAnswer {
    /// At most 8, each once.
    pub tiers: Vec<Tier>,
    /// Why; may be empty.
    pub reason: String,
}

/// Which backups may be released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReleaseQuestion {
    pub now: i64,
    pub local: CivilTime,
    pub settings: Vec<Field>,
    pub workload: WorkloadName,
    pub tier_names: Vec<String>,
    pub backups: Vec<KeptBackup>,
}

/// What is to become of one backup of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseVerdict {
    /// Its position in the question; checked, and each at most once.
    pub backup: u32,
    /// Whether it may go.
    pub release: bool,
    /// Why; may be empty.
    pub reason: String,
}
