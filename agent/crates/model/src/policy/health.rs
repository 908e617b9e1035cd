//! Whether a restored system is healthy. See `wit/1.0.0/health-check.wit`.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Field;
use crate::name::{BackupName, WorkloadName};

/// Where a restored system can be looked at; the host's side of the probes, never shown to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restored {
    /// Where the files stand, and the part of their backup's paths that was taken off. `None` for a machine.
    pub tree: Option<RestoredTree>,
    /// The restored machine's address.
    pub address: Option<IpAddr>,
    /// How to run commands on it: program and arguments before the command's own, as `ssh -i … user@host --`.
    pub shell: Option<Vec<String>>,
    /// The file that its serial console is written to.
    pub serial: Option<PathBuf>,
}

/// A restored tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredTree {
    /// The directory.
    pub dir: PathBuf,
    /// A path of the backup `/srv/docs/a` stands at `dir/a` when this is `/srv/docs`; `/` when nothing was taken off.
    pub strip: PathBuf,
}

/// Asked after a restore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HealthQuestion {
    pub now: i64,
    pub settings: Vec<Field>,
    pub workload: WorkloadName,
    pub kind: String,
    pub backup: BackupName,
    pub created: i64,
    pub paths: Vec<String>,
}

/// The whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Everything looked at is as it should be.
    Healthy,
    /// Something is not.
    Unhealthy,
    /// It could not be told. Not a pass.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFinding {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

/// The answer, already made consistent: healthy means at least one finding and none that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthAnswer {
    /// The whole of it.
    pub health: Health,
    /// What was looked at.
    pub findings: Vec<HealthFinding>,
}
