//! Picking backups and copies: which to restore, to rehearse, to compare with, to copy from.

use std::cmp::Reverse;

use backstop_model::config::{Config, Schedule};
use backstop_model::{Backup, BackupName, BackupState, Completeness, Copy, CopyState, Fault, Level, Place, Timestamp};

use crate::calendar::is_future;

/// Kept, and dated when it can have been made.
#[must_use]
pub fn is_plausible(backup: &Backup, now: Timestamp) -> bool {
    backup.state == BackupState::Present && !is_future(backup.created, now)
}

/// Whether the last word about the copy's bytes or tree (L0 to L3) is a failed proof. A failed rehearsal of the
/// levels above says something about the machine it ran on as well and does not count here.
#[must_use]
pub fn is_damaged(copy: &Copy) -> bool {
    let mut failed: Option<Level> = None;
    for proof in &copy.proofs {
        if !proof.passed && proof.level <= Level::L3 {
            failed = Some(failed.map_or(proof.level, |level| level.min(proof.level)));
        } else if proof.passed && failed.is_some_and(|level| level <= proof.level) {
            failed = None;
        }
    }
    failed.is_some()
}

/// The copies a restore may read: there, and not shown to be damaged.
pub fn sound_copies(backup: &Backup) -> impl Iterator<Item = &Copy> {
    backup.copies.iter().filter(|copy| copy.state == CopyState::Present && !is_damaged(copy))
}

/// The copy to read from: the one at `first` when that is sound, else the best proven one, the first listed of equals.
#[must_use]
pub fn source<'a>(backup: &'a Backup, first: Option<&Place>) -> Option<&'a Copy> {
    let rank = |copy: &&Copy| (first == Some(&copy.place), copy.level());
    // `max_by_key` takes the last of equals, so the order is reversed.
    sound_copies(backup).collect::<Vec<_>>().into_iter().rev().max_by_key(rank)
}

/// The newest backup that can be read: complete before partial, never one dated in the future.
#[must_use]
pub fn newest(backups: &[Backup], now: Timestamp) -> Option<&Backup> {
    let readable = backups.iter().filter(|b| is_plausible(b, now) && sound_copies(b).next().is_some());
    readable.max_by_key(|b| (b.completeness == Completeness::Complete, b.created, Reverse(&b.name)))
}

/// The newest readable backup whose state is not younger than `instant`'s.
#[must_use]
pub fn newest_at(backups: &[Backup], instant: Timestamp, now: Timestamp) -> Option<&Backup> {
    let readable = backups.iter().filter(|b| is_plausible(b, now) && sound_copies(b).next().is_some());
    readable.filter(|b| b.created <= instant).max_by_key(|b| (b.created, Reverse(&b.name)))
}

/// The kept backup of this name.
///
/// # Errors
/// Not found, with what became of it when it was released.
pub fn named<'a>(backups: &'a [Backup], name: &BackupName) -> Result<&'a Backup, Fault> {
    let backup = backups.iter().find(|b| &b.name == name);
    match backup.map(|b| (b, b.state)) {
        Some((backup, BackupState::Present)) => Ok(backup),
        Some((_, BackupState::Trashed { purge_after, .. })) => Err(Fault::not_found(
            format!("backup `{name}` is in the trash"),
            format!("`backstop backup undelete {name}` brings it back, until {purge_after}"),
        )),
        Some((_, BackupState::Purged { at })) => Err(Fault::not_found(
            format!("backup `{name}` was purged at {at}"),
            "choose another with `backstop backup list`",
        )),
        None => Err(Fault::not_found(format!("there is no backup `{name}`"), "see `backstop backup list`")),
    }
}

/// The places of a schedule's copies that stand in another region than its home. A cloud region is its own region.
#[must_use]
pub fn offsite(config: &Config, schedule: &Schedule) -> Vec<Place> {
    let region = |place: &Place| match place {
        Place::Vault(name) => config.vaults.get(name).map(|vault| vault.region.as_str().to_owned()),
        Place::Region(name) => Some(name.as_str().to_owned()),
    };
    let home = region(&schedule.home);
    schedule.copies.iter().filter(|place| region(place) != home).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, place, proof, proved, t};

    #[test]
    fn a_copy_is_damaged_from_a_failure_until_it_passes_again() {
        let mut copy = fixture::copy("vault:main", t("2026-01-01T00:00:00Z"));
        copy.proofs = vec![proof(Level::L3, true, t("2026-01-02T00:00:00Z"))];
        assert!(!is_damaged(&copy));
        copy.proofs.push(proof(Level::L2, false, t("2026-01-03T00:00:00Z")));
        assert!(is_damaged(&copy));
        copy.proofs.push(proof(Level::L1, true, t("2026-01-04T00:00:00Z")));
        assert!(is_damaged(&copy), "intact bytes do not show that the tree comes back");
        copy.proofs.push(proof(Level::L3, true, t("2026-01-05T00:00:00Z")));
        assert!(!is_damaged(&copy));
        copy.proofs.push(proof(Level::L5, false, t("2026-01-06T00:00:00Z")));
        assert!(!is_damaged(&copy), "a failed rehearsal is not a damaged copy");
    }

    #[test]
    fn the_best_proven_copy_is_the_source_unless_another_is_wanted_first() {
        let now = t("2026-01-02T00:00:00Z");
        let mut b = fixture::offsite(backup("a", now, &[]));
        assert_eq!(source(&b, None).expect("one").place, place("vault:main"), "of equals the first listed");
        b.copies[1].proofs.push(proof(Level::L3, true, now));
        assert_eq!(source(&b, None).expect("one").place, place("vault:offsite"));
        assert_eq!(source(&b, Some(&place("vault:main"))).expect("one").place, place("vault:main"));
        b.copies[0].proofs.push(proof(Level::L1, false, now));
        assert_eq!(source(&b, Some(&place("vault:main"))).expect("one").place, place("vault:offsite"), "damaged");
    }

    #[test]
    fn the_newest_backup_is_complete_readable_and_not_from_the_future() {
        let now = t("2026-01-10T00:00:00Z");
        let mut partial = backup("partial", t("2026-01-09T00:00:00Z"), &[]);
        partial.completeness = Completeness::Partial { troubles: 1 };
        let good = proved(backup("good", t("2026-01-08T00:00:00Z"), &[]), now);
        let future = backup("future", t("2026-02-01T00:00:00Z"), &[]);
        let mut damaged = backup("damaged", t("2026-01-09T12:00:00Z"), &[]);
        damaged.copies[0].proofs.push(proof(Level::L1, false, now));
        let all = [partial.clone(), good, future, damaged];
        assert_eq!(newest(&all, now).expect("one").name.as_str(), "good");
        assert_eq!(newest(&[partial], now).expect("one").name.as_str(), "partial");
        assert_eq!(newest_at(&all, t("2026-01-08T12:00:00Z"), now).expect("one").name.as_str(), "good");
        assert!(newest_at(&all, t("2026-01-01T00:00:00Z"), now).is_none());
    }

    #[test]
    fn only_places_in_another_region_than_home_are_offsite() {
        let mut schedule = fixture::schedule("UTC");
        schedule.copies.push(place("region:westus2"));
        let mut config = fixture::config(vec![]);
        assert_eq!(offsite(&config, &schedule), [place("vault:offsite"), place("region:westus2")]);
        config.vaults.get_mut(&"offsite".parse().expect("valid")).expect("there").region =
            "here".parse().expect("valid");
        assert_eq!(offsite(&config, &schedule), [place("region:westus2")]);
    }
}
