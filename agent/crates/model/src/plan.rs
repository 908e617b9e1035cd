//! A complete, printable decision. The executor has nothing left to decide; `--dry-run` stops here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backup::{Level, Mode, Tier};
use crate::name::{BackupName, Place, PolicyName, SnapshotId, WorkloadName};
use crate::time::{Span, Timestamp};

/// What a plan is for. The journal and the audit log use these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make a backup.
    Backup,
    /// Copy backups to another place.
    Replicate,
    /// Prove copies.
    Verify,
    /// Bring a backup back for use.
    Restore,
    /// Put the old tree back after a restore in place.
    RestoreUndo,
    /// Rehearse recovery.
    DrTest,
    /// Release backups that are past retention, or that a person named.
    Release,
    /// Bring a released backup back from the trash.
    Undelete,
    /// Remove released backups whose window is over and packs nothing refers to.
    Prune,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verb::Backup => "backup",
            Verb::Replicate => "replicate",
            Verb::Verify => "verify",
            Verb::Restore => "restore",
            Verb::RestoreUndo => "restore-undo",
            Verb::DrTest => "dr-test",
            Verb::Release => "release",
            Verb::Undelete => "undelete",
            Verb::Prune => "prune",
        })
    }
}

/// Position of a step in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// A decision: what will be done, to what, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is for.
    pub verb: Verb,
    /// The workload it concerns, when it is one.
    pub workload: Option<WorkloadName>,
    /// When it was decided.
    pub decided: Timestamp,
    /// Why, a line each. A plan without steps says here why there is nothing to do.
    pub reasons: Vec<String>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// One idempotent action with its undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Position in the plan.
    pub id: StepId,
    /// What it does.
    pub action: Action,
    /// A step that may fail without failing those after it (one backup of many); the run is then `Partial`.
    pub optional: bool,
    /// Must run even when an earlier step failed: cleaning up. Performed once the others ended.
    pub always: bool,
}

/// What a step does. The undo of each is stated here and carried out by `ops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    /// Capture the workload and write a snapshot. Undo: none needed; an unrecorded snapshot is adopted or pruned.
    TakeBackup {
        /// The name of the backup to be.
        backup: BackupName,
        /// What to back up.
        workload: WorkloadName,
        /// Where to.
        place: Place,
        /// How much to read.
        mode: Mode,
        /// Tiers it will hold.
        tiers: BTreeSet<Tier>,
        /// The backup to compare with.
        based_on: Option<BackupName>,
    },
    /// Copy a snapshot to another place. Undo: none needed; the copy is complete or invisible.
    SendCopy {
        /// Which backup.
        backup: BackupName,
        /// From this copy.
        from: Place,
        /// To this place.
        to: Place,
    },
    /// Prove one copy. Undo: remove the scratch directory.
    CheckCopy {
        /// Which backup.
        backup: BackupName,
        /// Which copy.
        place: Place,
        /// Level to reach.
        level: Level,
        /// Share of packs to read at L1, parts per million.
        sample_ppm: u32,
        /// Packs found intact since then count as read: those of an earlier attempt, and those that another copy
        /// checked by the same command shares.
        #[serde(default)]
        not_since: Option<Timestamp>,
    },
    /// Undo-only: nothing is done, but undoing it removes the directory. Stands before `Materialise`.
    OwnDirectory {
        /// The directory this run owns.
        dir: PathBuf,
    },
    /// Restore a backup into an empty directory this run owns. Undo: see `OwnDirectory`.
    Materialise {
        /// Which backup.
        backup: BackupName,
        /// From this copy.
        from: Place,
        /// Into this directory.
        dir: PathBuf,
    },
    /// Compare a materialised tree with the backup's manifest. Undo: none.
    CompareTree {
        /// Which backup.
        backup: BackupName,
        /// The manifest of this copy.
        from: Place,
        /// The tree.
        dir: PathBuf,
    },
    /// Run the configured health command on a materialised tree. Undo: none.
    CheckHealth {
        /// Program and arguments.
        argv: Vec<String>,
        /// The tree.
        dir: PathBuf,
        /// Limit.
        timeout: Span,
    },
    /// Show a materialised tree to a health-check policy. Undo: none.
    AskHealth {
        /// Which policy.
        policy: PolicyName,
        /// Which backup it was made from.
        backup: BackupName,
        /// The tree.
        dir: PathBuf,
    },
    /// Remove a directory this run owns. Undo: none; it was ours.
    RemoveDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// Restore (parts of) a backup into a directory that may hold other things. Undo: none; existing files stay
    /// unless the overwrite rule allows it.
    RestoreInto {
        /// Which backup.
        backup: BackupName,
        /// From this copy.
        from: Place,
        /// Into this directory.
        dir: PathBuf,
        /// Which entries.
        selection: Selection,
        /// What happens to files that exist.
        overwrite: Overwrite,
    },
    /// Exchange a restored tree with the live one in one atomic rename. Undo: exchange back.
    SwapIn {
        /// The restored tree, beside the live one on the same file system.
        staged: PathBuf,
        /// The live path.
        target: PathBuf,
        /// Where the old tree is kept as safety point afterwards.
        keep: PathBuf,
    },
    /// Move a copy to its place's trash. Undo: bring it back.
    TrashCopy {
        /// Which backup.
        backup: BackupName,
        /// Which copy.
        place: Place,
        /// Its object.
        snapshot: SnapshotId,
    },
    /// Bring a copy back from its place's trash. Undo: trash it again.
    RecoverCopy {
        /// Which backup.
        backup: BackupName,
        /// Which copy.
        place: Place,
        /// Its object.
        snapshot: SnapshotId,
    },
    /// Remove a copy's last trace. Undo: impossible; the firewall agreed before.
    PurgeCopy {
        /// Which backup.
        backup: BackupName,
        /// Which copy.
        place: Place,
        /// Its object.
        snapshot: SnapshotId,
    },
    /// Record that a backup was released (after its copies went to trash) or recovered. Undo: the opposite record.
    RecordState {
        /// Which backup.
        backup: BackupName,
        /// The state to record.
        state: crate::backup::BackupState,
    },
    /// Mark and sweep packs nothing refers to. Undo: none needed; marked packs are recoverable until swept.
    PrunePacks {
        /// Which vault.
        place: Place,
        /// Share of the vault that may stay as waste in packs that are needed, parts per million.
        #[serde(default = "waste_ppm")]
        waste_ppm: u32,
    },
}

/// Waste that a prune leaves when nothing else is asked for: rewriting packs for less costs more than it gives.
pub const WASTE_PPM: u32 = 50_000;

fn waste_ppm() -> u32 {
    WASTE_PPM
}

/// Which entries of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Globs or paths to bring; none means everything.
    pub include: Vec<String>,
    /// Globs or paths to leave out.
    pub exclude: Vec<String>,
}

/// What happens to files that exist where a restore wants to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// They stay, and are reported.
    #[default]
    Never,
    /// Replaced where the backup's modification time is newer.
    IfNewer,
    /// Replaced.
    Always,
}

impl Plan {
    /// A plan with no steps and the reason for it.
    #[must_use]
    pub fn nothing(verb: Verb, decided: Timestamp, reason: impl Into<String>) -> Self {
        Self { verb, workload: None, decided, reasons: vec![reason.into()], steps: Vec::new() }
    }

    /// Appends a step.
    pub fn push(&mut self, action: Action) -> &mut Step {
        let id = StepId(u32::try_from(self.steps.len()).expect("a plan is far smaller than 2^32 steps"));
        self.steps.push(Step { id, action, optional: false, always: false });
        self.steps.last_mut().expect("just pushed")
    }
}

impl Action {
    /// One line for people: what will be done to what.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Action::TakeBackup { backup, place, mode, .. } => format!("back up ({mode}) to {place} as {backup}"),
            Action::SendCopy { backup, from, to } => format!("copy {backup} from {from} to {to}"),
            Action::CheckCopy { backup, place, level, .. } => {
                format!("prove the copy of {backup} at {place} to {level} ({})", level.word())
            }
            Action::OwnDirectory { dir } => format!("claim {} for this run", dir.display()),
            Action::Materialise { backup, from, dir } => format!("restore {backup} from {from} into {}", dir.display()),
            Action::CompareTree { dir, .. } => format!("compare {} with the manifest", dir.display()),
            Action::AskHealth { policy, .. } => format!("show it to the health check `{policy}`"),
            Action::CheckHealth { argv, .. } => format!("run the health command `{}`", argv.join(" ")),
            Action::RemoveDirectory { dir } => format!("remove {}", dir.display()),
            Action::RestoreInto { backup, from, dir, .. } => {
                format!("restore {backup} from {from} into {}", dir.display())
            }
            Action::SwapIn { target, keep, .. } => {
                format!("put the restored tree at {}; keep the old one at {}", target.display(), keep.display())
            }
            Action::TrashCopy { backup, place, .. } => format!("move the copy of {backup} at {place} to the trash"),
            Action::RecoverCopy { backup, place, .. } => format!("bring {backup} back from the trash of {place}"),
            Action::PurgeCopy { backup, place, .. } => format!("purge {backup} from the trash of {place}"),
            Action::RecordState { backup, .. } => format!("record the new state of {backup}"),
            Action::PrunePacks { place, .. } => format!("prune unreferenced packs of {place}"),
        }
    }
}
