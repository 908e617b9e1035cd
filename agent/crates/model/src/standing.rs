//! A workload's backups in one small record, so that an agenda over thousands of workloads need not read every
//! backup and proof.
//!
//! A standing is a pure fold over the backups and knows no `now` and no configuration. It answers the cheap question
//! "can anything be due here?"; whoever finds that it can, reads the backups themselves and decides on those. Counts
//! and instants cover backups in state `Present` only, unless said otherwise. Future-dated backups are included as
//! they are: a `newest` later than now is itself a reason to look closer.

use serde::{Deserialize, Serialize};

use crate::backup::{Backup, BackupState, CopyState, Level, Mode, Tier};
use crate::name::{Place, WorkloadName};
use crate::size::Bytes;
use crate::time::Timestamp;

/// The sum of a workload's backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The workload.
    pub workload: WorkloadName,
    /// Backups kept.
    pub present: u32,
    /// Of these, how many are held.
    pub held: u32,
    /// Of these, how many hold no tier at all.
    pub untiered: u32,
    /// Of these, how many could not read everything.
    pub partial: u32,
    /// The oldest backup's instant.
    pub oldest: Option<Timestamp>,
    /// The newest backup's instant.
    pub newest: Option<Timestamp>,
    /// The newest backup that re-read everything.
    pub newest_full: Option<Timestamp>,
    /// Bytes a restore of the newest backup would write.
    pub size: Bytes,
    /// Bytes all present copies added to their places.
    pub stored: Bytes,
    /// Copies that are gone though nobody released them.
    pub lost: u32,
    /// Per tier, in the order of `Tier`.
    pub tiers: Vec<TierStanding>,
    /// Per place that holds a present copy, in the order of `Place`.
    pub places: Vec<PlaceStanding>,
    /// Backups in the trash.
    pub trashed: u32,
    /// When the first of them may be purged.
    pub next_purge: Option<Timestamp>,
    /// When the last passed DR test ended.
    pub last_dr_test: Option<Timestamp>,
}

/// The backups that hold one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierStanding {
    /// The tier.
    pub tier: Tier,
    /// How many hold it. More than the schedule keeps means that some may be past retention.
    pub present: u32,
    /// The oldest of them.
    pub oldest: Timestamp,
    /// The newest of them.
    pub newest: Timestamp,
    /// The oldest of those that hold no tier after this one. Retention keeps it at least as long as this tier does,
    /// so as long as it lies in the periods kept, so do all of them.
    pub oldest_as_last: Option<Timestamp>,
}

/// The copies at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceStanding {
    /// The place.
    pub place: Place,
    /// How many backups have a present copy here. Fewer than `Standing::present` means that some lack one.
    pub copies: u32,
    /// The instant of the newest backup with a copy here.
    pub newest: Timestamp,
    /// What is proved, by level: the entry at index L counts copies that stand at L or above. Levels nobody
    /// reached are left off at the end.
    pub proved: Vec<LevelStanding>,
}

/// The copies at one place that stand at a level or above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelStanding {
    /// How many. Fewer than `PlaceStanding::copies` means that some are unproved at this level.
    pub copies: u32,
    /// The oldest of their newest proofs (`Copy::proved_at`).
    pub oldest_proof: Timestamp,
    /// The instant of the newest backup among them.
    pub newest_backup: Timestamp,
}

impl Standing {
    /// The standing of a workload without a backup.
    #[must_use]
    pub fn empty(workload: WorkloadName) -> Self {
        Self {
            workload,
            present: 0,
            held: 0,
            untiered: 0,
            partial: 0,
            oldest: None,
            newest: None,
            newest_full: None,
            size: Bytes(0),
            stored: Bytes(0),
            lost: 0,
            tiers: Vec::new(),
            places: Vec::new(),
            trashed: 0,
            next_purge: None,
            last_dr_test: None,
        }
    }

    /// Folds all backups of one workload, in any order.
    #[must_use]
    pub fn of(workload: WorkloadName, backups: &[Backup], last_dr_test: Option<Timestamp>) -> Self {
        let mut standing = Self { last_dr_test, ..Self::empty(workload) };
        for backup in backups {
            match backup.state {
                BackupState::Present => standing.add(backup),
                BackupState::Trashed { purge_after, .. } => {
                    standing.trashed += 1;
                    standing.next_purge = earliest(standing.next_purge, purge_after);
                }
                BackupState::Purged { .. } => {}
            }
        }
        standing.tiers.sort_by(|a, b| a.tier.cmp(&b.tier));
        standing.places.sort_by(|a, b| a.place.cmp(&b.place));
        standing
    }

    /// The tier's part, if any backup holds it.
    #[must_use]
    pub fn tier(&self, tier: &Tier) -> Option<&TierStanding> {
        self.tiers.iter().find(|standing| &standing.tier == tier)
    }

    /// The place's part, if it holds any copy.
    #[must_use]
    pub fn place(&self, place: &Place) -> Option<&PlaceStanding> {
        self.places.iter().find(|standing| &standing.place == place)
    }

    /// The instant of the newest backup of which some present copy stands at `level` or above.
    #[must_use]
    pub fn newest_proved(&self, level: Level) -> Option<Timestamp> {
        self.places.iter().filter_map(|place| place.at(level)).map(|proved| proved.newest_backup).max()
    }

    fn add(&mut self, backup: &Backup) {
        if self.newest.is_none_or(|newest| backup.created >= newest) {
            self.size = backup.size;
        }
        self.present += 1;
        self.held += u32::from(backup.hold.is_some());
        self.untiered += u32::from(backup.tiers.is_empty());
        self.partial += u32::from(matches!(backup.completeness, crate::backup::Completeness::Partial { .. }));
        self.oldest = earliest(self.oldest, backup.created);
        self.newest = self.newest.max(Some(backup.created));
        if backup.mode == Mode::Full {
            self.newest_full = self.newest_full.max(Some(backup.created));
        }
        for tier in &backup.tiers {
            let as_last = (Some(tier) == backup.tiers.last()).then_some(backup.created);
            self.add_tier(tier, backup.created, as_last);
        }
        for copy in &backup.copies {
            match copy.state {
                CopyState::Present => self.add_copy(backup.created, copy),
                CopyState::Lost => self.lost += 1,
                CopyState::Trashed | CopyState::Purged => {}
            }
        }
    }

    fn add_tier(&mut self, tier: &Tier, created: Timestamp, as_last: Option<Timestamp>) {
        match self.tiers.iter_mut().find(|standing| &standing.tier == tier) {
            Some(standing) => {
                standing.present += 1;
                standing.oldest = standing.oldest.min(created);
                standing.newest = standing.newest.max(created);
                standing.oldest_as_last =
                    as_last.map_or(standing.oldest_as_last, |at| earliest(standing.oldest_as_last, at));
            }
            None => {
                let (oldest, newest, tier) = (created, created, tier.clone());
                self.tiers.push(TierStanding { tier, present: 1, oldest, newest, oldest_as_last: as_last });
            }
        }
    }

    fn add_copy(&mut self, created: Timestamp, copy: &crate::backup::Copy) {
        self.stored = self.stored + copy.stored;
        let index = self.places.iter().position(|standing| standing.place == copy.place).unwrap_or_else(|| {
            let (copies, newest, proved) = (0, created, Vec::new());
            self.places.push(PlaceStanding { place: copy.place.clone(), copies, newest, proved });
            self.places.len() - 1
        });
        let place = &mut self.places[index];
        place.copies += 1;
        place.newest = place.newest.max(created);
        for (index, level) in Level::ALL.into_iter().enumerate() {
            // Levels include the lower ones, so the first that is not reached ends the list without a gap.
            let Some(at) = copy.proved_at(level) else { break };
            match place.proved.get_mut(index) {
                Some(proved) => {
                    proved.copies += 1;
                    proved.oldest_proof = proved.oldest_proof.min(at);
                    proved.newest_backup = proved.newest_backup.max(created);
                }
                None => place.proved.push(LevelStanding { copies: 1, oldest_proof: at, newest_backup: created }),
            }
        }
    }
}

impl PlaceStanding {
    /// The copies here that stand at `level` or above; `None` when there is none.
    #[must_use]
    pub fn at(&self, level: Level) -> Option<&LevelStanding> {
        self.proved.get(level as usize)
    }
}

fn earliest(known: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(other, |known| known.min(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Completeness, Copy, Proof, ProofKind};
    use crate::name::SnapshotId;
    use crate::time::Span;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn copy(place: &str, proofs: &[(Level, bool, i64)]) -> Copy {
        let proof = |&(level, passed, second): &(Level, bool, i64)| Proof {
            at: at(second),
            level,
            passed,
            kind: ProofKind::Verify,
            took: Span::ZERO,
            sample_ppm: 1_000_000,
            run: "r".parse().expect("valid"),
            detail: String::new(),
        };
        Copy {
            place: place.parse().expect("valid"),
            snapshot: SnapshotId([0; 32]),
            state: CopyState::Present,
            stored: Bytes(10),
            created: at(0),
            proofs: proofs.iter().map(proof).collect(),
        }
    }

    fn backup(second: i64, tiers: &[Tier], copies: Vec<Copy>) -> Backup {
        Backup {
            name: format!("b{second}").parse().expect("valid"),
            workload: "docs".parse().expect("valid"),
            created: at(second),
            tiers: tiers.iter().cloned().collect(),
            mode: Mode::Incremental,
            based_on: None,
            size: Bytes(u64::try_from(second).expect("positive")),
            entries: 1,
            completeness: Completeness::Complete,
            state: BackupState::Present,
            hold: None,
            copies,
            run: "r".parse().expect("valid"),
        }
    }

    #[test]
    fn a_standing_counts_what_lacks_a_copy_or_a_proof() {
        let backups = [
            backup(100, &[Tier::Daily, Tier::Weekly], vec![copy("vault:main", &[(Level::L3, true, 110)])]),
            backup(
                200,
                &[Tier::Daily],
                vec![
                    copy("vault:main", &[(Level::L1, true, 210), (Level::L1, true, 250)]),
                    copy("vault:off", &[(Level::L3, true, 220), (Level::L1, false, 230)]),
                ],
            ),
        ];
        let standing = Standing::of("docs".parse().expect("valid"), &backups, None);
        let main = standing.place(&"vault:main".parse().expect("valid")).expect("has copies");
        let off = standing.place(&"vault:off".parse().expect("valid")).expect("has copies");
        assert_eq!((standing.present, main.copies, off.copies), (2, 2, 1));
        assert_eq!(main.at(Level::L1).map(|l| (l.copies, l.oldest_proof)), Some((2, at(110))));
        assert_eq!(main.at(Level::L3).map(|l| (l.copies, l.newest_backup)), Some((1, at(100))));
        assert_eq!(main.at(Level::L4), None);
        assert_eq!(off.at(Level::L1), None, "a later failure takes the level away");
        assert_eq!(standing.newest_proved(Level::L3), Some(at(100)));
        assert_eq!(standing.tier(&Tier::Daily).map(|t| (t.present, t.oldest, t.newest)), Some((2, at(100), at(200))));
        let as_last = |tier| standing.tier(&tier).and_then(|t| t.oldest_as_last);
        assert_eq!((as_last(Tier::Daily), as_last(Tier::Weekly)), (Some(at(200)), Some(at(100))));
        assert_eq!((standing.newest, standing.size, standing.stored), (Some(at(200)), Bytes(200), Bytes(30)));
    }

    #[test]
    fn what_was_released_counts_only_as_trash() {
        let mut released = backup(100, &[Tier::Daily], vec![copy("vault:main", &[])]);
        released.state = BackupState::Trashed { since: at(300), purge_after: at(400) };
        let standing = Standing::of("docs".parse().expect("valid"), &[released], Some(at(7)));
        assert_eq!((standing.present, standing.trashed, standing.next_purge), (0, 1, Some(at(400))));
        assert_eq!((standing.newest, standing.places.len(), standing.last_dr_test), (None, 0, Some(at(7))));
    }
}
