//! A standing as the catalog keeps it: a JSON list without names, instants as microseconds.
//!
//! A command of a large site reads ten thousand of these. Written so, one fits into a page of the file beside its
//! neighbours and reads back in a few microseconds; with names and dates it did neither.

use backstop_model::standing::{LevelStanding, PlaceStanding, TierStanding};
use backstop_model::{Bytes, Standing, Timestamp, WorkloadName};

use crate::code::{json, micros};
use crate::error::CatalogError;

/// Changes with the meaning of any place in the list, so that what an older program kept is made anew.
const VERSION: u8 = 2;

type Whole<'a> = (
    u8,
    (u32, u32, u32, u32),
    (Option<i64>, Option<i64>, Option<i64>),
    (u64, u64, u32),
    Vec<TierRow<'a>>,
    Vec<PlaceRow<'a>>,
    (u32, Option<i64>, Option<i64>),
);
type TierRow<'a> = (&'a str, u32, i64, i64, Option<i64>);
type PlaceRow<'a> = (&'a str, u32, i64, Vec<(u32, i64, i64)>);

/// The record of a standing.
pub(crate) fn encode(standing: &Standing) -> Result<String, CatalogError> {
    let or_none = |at: Option<Timestamp>| at.map(micros);
    let tiers: Vec<String> = standing.tiers.iter().map(|tier| tier.tier.to_string()).collect();
    let places: Vec<String> = standing.places.iter().map(|place| place.place.to_string()).collect();
    let levels = |level: &LevelStanding| (level.copies, micros(level.oldest_proof), micros(level.newest_backup));
    let whole: Whole<'_> = (
        VERSION,
        (standing.present, standing.held, standing.untiered, standing.partial),
        (or_none(standing.oldest), or_none(standing.newest), or_none(standing.newest_full)),
        (standing.size.0, standing.stored.0, standing.lost),
        (standing.tiers.iter().zip(&tiers))
            .map(|(t, word)| (&**word, t.present, micros(t.oldest), micros(t.newest), or_none(t.oldest_as_last)))
            .collect(),
        (standing.places.iter().zip(&places))
            .map(|(p, word)| (&**word, p.copies, micros(p.newest), p.proved.iter().map(levels).collect()))
            .collect(),
        (standing.trashed, or_none(standing.next_purge), or_none(standing.last_dr_test)),
    );
    json(&whole)
}

/// The standing of a record; `None` when it is of another version or none of ours.
pub(crate) fn decode(workload: WorkloadName, record: &str) -> Option<Standing> {
    let whole: Whole<'_> = serde_json::from_str(record).ok()?;
    let (version, counts, instants, sizes, tiers, places, (trashed, next_purge, last_dr_test)) = whole;
    if version != VERSION {
        return None;
    }
    let tier = |(word, present, oldest, newest, last): TierRow<'_>| {
        Some(TierStanding {
            tier: word.parse().ok()?,
            present,
            oldest: instant(oldest)?,
            newest: instant(newest)?,
            oldest_as_last: or_none(last)?,
        })
    };
    let level = |(copies, proof, backup)| {
        Some(LevelStanding { copies, oldest_proof: instant(proof)?, newest_backup: instant(backup)? })
    };
    let place = |(word, copies, newest, proved): PlaceRow<'_>| {
        Some(PlaceStanding {
            place: word.parse().ok()?,
            copies,
            newest: instant(newest)?,
            proved: proved.into_iter().map(level).collect::<Option<_>>()?,
        })
    };
    Some(Standing {
        workload,
        present: counts.0,
        held: counts.1,
        untiered: counts.2,
        partial: counts.3,
        oldest: or_none(instants.0)?,
        newest: or_none(instants.1)?,
        newest_full: or_none(instants.2)?,
        size: Bytes(sizes.0),
        stored: Bytes(sizes.1),
        lost: sizes.2,
        tiers: tiers.into_iter().map(tier).collect::<Option<_>>()?,
        places: places.into_iter().map(place).collect::<Option<_>>()?,
        trashed,
        next_purge: or_none(next_purge)?,
        last_dr_test: or_none(last_dr_test)?,
    })
}

fn instant(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}

/// The outer `None` says that the number is no instant.
fn or_none(micros: Option<i64>) -> Option<Option<Timestamp>> {
    micros.map_or(Some(None), |micros| instant(micros).map(Some))
}

#[cfg(test)]
mod tests {
    use backstop_model::{BackupState, Level, Tier};

    use super::*;
    use crate::fixture::{at, backup, copy, proof};

    #[test]
    fn a_standing_reads_back_whole_and_no_other_version_does() {
        let mut kept = backup("docs", 1);
        kept.tiers.insert(Tier::Named("quarterly".parse().expect("valid")));
        kept.copies.push(copy("vault:offsite", 7, vec![proof(Level::L3, true, 9)]));
        let mut gone = backup("docs", 2);
        gone.state = BackupState::Trashed { since: at(3), purge_after: at(4) };
        let standing = Standing::of("docs".parse().expect("valid"), &[kept, gone], Some(at(5)));
        let record = encode(&standing).expect("plain");
        let read = |record: &str| decode("docs".parse().expect("valid"), record);
        assert_eq!(read(&record), Some(standing));
        assert_eq!(read(&record.replacen('2', "3", 1)), None, "{record}");
        assert_eq!(read("{\"workload\":\"docs\"}"), None);
        assert_eq!(read(&record[..record.len() - 1]), None);
    }
}
