//! What is kept, where, and what was proved about it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{BackupName, BadName, Place, RunId, SnapshotId, TierName, WorkloadName};
use crate::size::Bytes;
use crate::time::{Span, Timestamp};

/// How long a backup is meant to live. The built-in three, in order of age, or one a policy named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tier {
    /// First backup of a day.
    Daily,
    /// First backup of a week.
    Weekly,
    /// First backup of a month.
    Monthly,
    /// A tier named by a policy.
    Named(TierName),
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tier::Daily => "daily",
            Tier::Weekly => "weekly",
            Tier::Monthly => "monthly",
            Tier::Named(name) => name.as_str(),
        })
    }
}

impl FromStr for Tier {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        Ok(match raw {
            "daily" => Tier::Daily,
            "weekly" => Tier::Weekly,
            "monthly" => Tier::Monthly,
            other => Tier::Named(other.parse()?),
        })
    }
}

impl TryFrom<String> for Tier {
    type Error = BadName;
    fn try_from(raw: String) -> Result<Self, BadName> {
        raw.parse()
    }
}

impl From<Tier> for String {
    fn from(tier: Tier) -> String {
        tier.to_string()
    }
}

/// What a proof showed. Ordered: a higher level includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// The copy exists at its place with the recorded size.
    L0,
    /// Bytes authenticated: all, or the sample stated.
    L1,
    /// A disk, tree or dump was materialised from this copy.
    L2,
    /// File system checked, dump loads, tree compares.
    L3,
    /// The machine or database started.
    L4,
    /// Connectivity and every bound health check passed.
    L5,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Level; 6] = [Level::L0, Level::L1, Level::L2, Level::L3, Level::L4, Level::L5];

    /// The one word that output may use for this level.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Level::L0 => "present",
            Level::L1 => "intact",
            Level::L2 => "attachable",
            Level::L3 => "consistent",
            Level::L4 => "boots",
            Level::L5 => "serves",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(["L0", "L1", "L2", "L3", "L4", "L5"][*self as usize])
    }
}

impl FromStr for Level {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        Level::ALL.into_iter().find(|level| level.to_string() == raw).ok_or_else(|| BadName {
            what: "proof level",
            shown: raw.escape_debug().take(40).collect(),
            rule: "one of L0, L1, L2, L3, L4, L5",
        })
    }
}

/// How much was read to make a backup. Whatever the mode, each backup restores alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything was read again.
    Full,
    /// What changed since the last backup was read.
    Incremental,
    /// What changed since the last full backup was read.
    Differential,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Full => "full",
            Mode::Incremental => "incremental",
            Mode::Differential => "differential",
        })
    }
}

/// Whether everything that was asked for is in the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Completeness {
    /// Everything was read.
    Complete,
    /// The backup exists and restores, but so many entries could not be read or changed while being read.
    Partial {
        /// How many entries are missing or torn.
        troubles: u64,
    },
}

/// Where the backup is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum BackupState {
    /// Kept.
    Present,
    /// Released: in the trash, `undelete` still brings it back until the given instant.
    Trashed {
        /// When it was released.
        since: Timestamp,
        /// When it may be purged.
        purge_after: Timestamp,
    },
    /// Its last trace is gone. The record stays for the history.
    Purged {
        /// When the last copy was removed.
        at: Timestamp,
    },
}

/// A promise not to release a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, in the operator's words.
    pub reason: String,
    /// Who placed it.
    pub by: String,
    /// When.
    pub since: Timestamp,
}

/// The catalog record: a workload at an instant, its tiers and the evidence about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Unique name.
    pub name: BackupName,
    /// What it protects.
    pub workload: WorkloadName,
    /// The instant whose state it holds (start of the capture).
    pub created: Timestamp,
    /// The tiers it holds; may be empty once policies decide so.
    pub tiers: BTreeSet<Tier>,
    /// How it was read.
    pub mode: Mode,
    /// The backup it was compared with, if any. Informational: each backup restores alone.
    pub based_on: Option<BackupName>,
    /// Bytes a restore would write.
    pub size: Bytes,
    /// Entries a restore would make.
    pub entries: u64,
    /// Whether anything is missing.
    pub completeness: Completeness,
    /// Where it is in its life.
    pub state: BackupState,
    /// Set while somebody wants it kept whatever the retention says.
    pub hold: Option<Hold>,
    /// Its presence at each place.
    pub copies: Vec<Copy>,
    /// The run that made it.
    pub run: RunId,
}

impl Backup {
    /// The highest level any present copy has reached and not lost again, if any.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.copies.iter().filter_map(Copy::level).max()
    }

    /// The copy at `place`, if it is there.
    #[must_use]
    pub fn copy_at(&self, place: &Place) -> Option<&Copy> {
        self.copies.iter().find(|copy| &copy.place == place && copy.state == CopyState::Present)
    }
}

/// Whether a copy is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyState {
    /// There.
    Present,
    /// In the place's trash.
    Trashed,
    /// Was there and is not any more, though nobody released it.
    Lost,
    /// Removed by a purge.
    Purged,
}

/// A backup's presence at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Where.
    pub place: Place,
    /// The immutable object there.
    pub snapshot: SnapshotId,
    /// Whether it is still there.
    pub state: CopyState,
    /// Bytes this copy added to its place when it was written.
    pub stored: Bytes,
    /// When it was complete at its place.
    pub created: Timestamp,
    /// Dated results about this copy alone, oldest first. A copy never inherits another's proofs.
    pub proofs: Vec<Proof>,
}

impl Copy {
    /// The level this copy stands at: that of its newest passing proof, lowered by every later failure.
    ///
    /// A failed proof at level L shows that L is not reached any more, so nothing at L or above counts before it.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        if self.state == CopyState::Present { Self::level_of(&self.proofs) } else { None }
    }

    /// Where proofs, oldest first, leave a copy that is present.
    #[must_use]
    pub fn level_of(proofs: &[Proof]) -> Option<Level> {
        let mut best: Option<Level> = None;
        for proof in proofs {
            if proof.passed {
                best = best.max(Some(proof.level));
            } else {
                best = best.and_then(|level| {
                    Level::ALL.into_iter().take_while(|l| *l < proof.level).filter(|l| *l <= level).max()
                });
            }
        }
        best
    }

    /// The newest passing proof of at least `level`, unless a failure came after it.
    #[must_use]
    pub fn proved_at(&self, level: Level) -> Option<Timestamp> {
        if self.level()? < level {
            return None;
        }
        self.proofs.iter().filter(|p| p.passed && p.level >= level).map(|p| p.at).max()
    }
}

/// What produced a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofKind {
    /// Made while writing: the copy was seen at its place.
    Write,
    /// `backup verify`.
    Verify,
    /// `dr test`.
    DrTest,
    /// A restore that somebody needed.
    Restore,
}

/// A dated result about one copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When the check ended.
    pub at: Timestamp,
    /// What was attempted; reached if `passed`.
    pub level: Level,
    /// Whether it was reached.
    pub passed: bool,
    /// What produced it.
    pub kind: ProofKind,
    /// How long the check took on a monotonic clock.
    pub took: Span,
    /// Which share of the bytes was read, in parts per million; 1_000_000 means all.
    pub sample_ppm: u32,
    /// The run that produced it.
    pub run: RunId,
    /// One line: what was compared, or the first error.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(level: Level, passed: bool, second: i64) -> Proof {
        Proof {
            at: Timestamp::from_second(second).expect("in range"),
            level,
            passed,
            kind: ProofKind::Verify,
            took: Span::ZERO,
            sample_ppm: 1_000_000,
            run: "run-1".parse().expect("valid"),
            detail: String::new(),
        }
    }

    fn copy(proofs: Vec<Proof>) -> Copy {
        Copy {
            place: "vault:main".parse().expect("valid"),
            snapshot: SnapshotId([0; 32]),
            state: CopyState::Present,
            stored: Bytes(1),
            created: Timestamp::UNIX_EPOCH,
            proofs,
        }
    }

    #[test]
    fn a_later_failure_takes_the_level_away() {
        let copy = copy(vec![proof(Level::L3, true, 1), proof(Level::L1, false, 2)]);
        assert_eq!(copy.level(), Some(Level::L0));
        assert_eq!(copy.proved_at(Level::L3), None);
    }

    #[test]
    fn a_failed_drill_leaves_what_verification_showed() {
        let copy = copy(vec![proof(Level::L3, true, 1), proof(Level::L5, false, 2)]);
        assert_eq!(copy.level(), Some(Level::L3));
        assert_eq!(copy.proved_at(Level::L3), Some(Timestamp::from_second(1).expect("in range")));
    }

    #[test]
    fn a_copy_that_is_gone_has_no_level() {
        let mut copy = copy(vec![proof(Level::L3, true, 1)]);
        copy.state = CopyState::Lost;
        assert_eq!(copy.level(), None);
    }
}
