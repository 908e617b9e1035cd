//! The replication status: what is where, how far behind each place is, and what is under way.

use backstop_model::{
    Backup, BackupName, BackupState, Bytes, Place, Replication, ReplicationState, RunId, Span, Timestamp, WorkloadName,
};
use serde::Serialize;

/// The status of one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplicationStatus {
    /// The workload.
    pub workload: WorkloadName,
    /// Per configured place.
    pub places: Vec<PlaceStatus>,
    /// Copies being made or waiting, oldest first.
    pub open: Vec<ReplicationLine>,
    /// Copies that ended without one, newest first, and were not made since.
    pub failed: Vec<ReplicationLine>,
    /// Copies completed, newest first.
    pub completed: Vec<ReplicationLine>,
}

/// How one place stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceStatus {
    /// The place.
    pub place: Place,
    /// Kept backups with a copy there.
    pub present: u64,
    /// Kept backups without, oldest first.
    pub missing: Vec<BackupName>,
    /// The instant whose state the newest copy there holds.
    pub newest: Option<Timestamp>,
    /// What would be lost if only this place were left: from the newest copy there to the newest backup. `None` when
    /// nothing is there though there are backups.
    pub lag_millis: Option<u64>,
}

/// One replication.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplicationLine {
    /// Its number.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// What is copied.
    pub backup: BackupName,
    /// From where.
    pub from: Place,
    /// Where to.
    pub to: Place,
    /// Where it is in its life.
    pub state: ReplicationState,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub completed: Option<Timestamp>,
    /// How long it took, or has been going on.
    pub took_millis: u64,
    /// Bytes handled.
    pub bytes: Bytes,
    /// Share of the bytes handled in percent, if the total is known.
    pub percent: Option<f64>,
    /// How long it will still take at its pace so far, while it goes on.
    pub eta_millis: Option<u64>,
    /// How long nothing has been heard from it, while it goes on.
    pub silent_millis: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The status of `workload`, whose copies belong at `places`, from its backups and its replications.
#[must_use]
pub fn status(
    workload: &WorkloadName,
    backups: &[Backup],
    places: &[Place],
    replications: &[Replication],
    now: Timestamp,
) -> ReplicationStatus {
    let of_state = |wanted: fn(&Replication) -> bool| {
        let mut found: Vec<&Replication> =
            replications.iter().filter(|r| &r.workload == workload && wanted(r)).collect();
        found.sort_by_key(|r| (r.started, r.id));
        found
    };
    let is_there = |r: &Replication| backups.iter().any(|b| b.name == r.backup && b.copy_at(&r.to).is_some());
    let lines = |found: Vec<&Replication>| found.into_iter().map(|r| ReplicationLine::of(r, now)).collect::<Vec<_>>();
    let mut failed = of_state(|r| r.state == ReplicationState::Failed);
    failed.retain(|r| !is_there(r));
    failed.reverse();
    let mut completed = of_state(|r| r.state == ReplicationState::Completed);
    completed.reverse();
    ReplicationStatus {
        workload: workload.clone(),
        places: places.iter().map(|place| place_status(backups, place)).collect(),
        open: lines(of_state(|r| !r.state.ended())),
        failed: lines(failed),
        completed: lines(completed),
    }
}

fn place_status(backups: &[Backup], place: &Place) -> PlaceStatus {
    let mut kept: Vec<&Backup> = backups.iter().filter(|b| b.state == BackupState::Present).collect();
    kept.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let (there, missing): (Vec<&Backup>, Vec<&Backup>) = kept.iter().partition(|b| b.copy_at(place).is_some());
    let newest = there.last().map(|b| b.created);
    let lag = match (kept.last(), newest) {
        (Some(last), Some(newest)) => Some(Span::between(newest, last.created).as_millis()),
        (Some(_), None) => None,
        (None, _) => Some(0),
    };
    PlaceStatus {
        place: place.clone(),
        present: there.len() as u64,
        missing: missing.into_iter().map(|b| b.name.clone()).collect(),
        newest,
        lag_millis: lag,
    }
}

impl ReplicationLine {
    fn of(replication: &Replication, now: Timestamp) -> Self {
        let going = replication.state == ReplicationState::InProgress;
        let (done, total) = (replication.bytes.0, replication.total.map(|total| total.0).filter(|total| *total > 0));
        let elapsed = Span::between(replication.started, replication.updated).as_millis();
        let left = total.map(|total| total.saturating_sub(done));
        let eta = left.filter(|_| going && done > 0).map(|left| {
            // In 128 bits: bytes times milliseconds outgrow 64.
            let millis = u128::from(left) * u128::from(elapsed) / u128::from(done);
            u64::try_from(millis).unwrap_or(u64::MAX)
        });
        Self {
            id: replication.id,
            run: replication.run.clone(),
            backup: replication.backup.clone(),
            from: replication.from.clone(),
            to: replication.to.clone(),
            state: replication.state,
            started: replication.started,
            completed: replication.completed,
            took_millis: Span::between(replication.started, replication.completed.unwrap_or(now)).as_millis(),
            bytes: replication.bytes,
            percent: total.map(|total| (100.0 * done as f64 / total as f64).min(100.0)),
            eta_millis: eta,
            silent_millis: going.then(|| Span::between(replication.updated, now).as_millis()),
            error: replication.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, copy, place, replication, t};

    const NOW: &str = "2026-05-20T12:00:00Z";

    fn shown(backups: &[Backup], replications: &[Replication]) -> ReplicationStatus {
        status(&"docs".parse().expect("valid"), backups, &[place("vault:offsite")], replications, t(NOW))
    }

    #[test]
    fn lag_is_what_the_place_does_not_have_yet() {
        let mut copied = backup("copied", t("2026-05-18T02:00:00Z"));
        copied.copies.push(copy("vault:offsite", copied.created));
        let new = backup("new", t("2026-05-19T02:00:00Z"));
        let at = |backups: &[Backup]| shown(backups, &[]).places.remove(0);
        let status = at(&[new.clone(), copied.clone()]);
        assert_eq!((status.present, status.lag_millis), (1, Some(86_400_000)));
        assert_eq!(status.missing, std::slice::from_ref(&new.name));
        assert_eq!(at(&[copied]).lag_millis, Some(0));
        assert_eq!(at(&[new]).lag_millis, None);
        assert_eq!(at(&[]).lag_millis, Some(0));
    }

    #[test]
    fn progress_and_the_time_left_follow_the_pace_so_far() {
        let mut going = replication(1, ReplicationState::InProgress);
        going.bytes = Bytes(700);
        going.updated = t("2026-05-20T11:57:00Z");
        let status = shown(&[], &[going]);
        let line = &status.open[0];
        assert_eq!((line.percent, line.eta_millis), (Some(70.0), Some(180_000)), "7 minutes for 70 %, 3 for the rest");
        assert_eq!((line.silent_millis, line.took_millis), (Some(180_000), 600_000));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let mut pending = replication(1, ReplicationState::Pending);
        pending.total = Some(Bytes(0));
        let line = shown(&[], &[pending]).open.remove(0);
        assert_eq!((line.percent, line.eta_millis, line.silent_millis), (None, None, None));
    }

    #[test]
    fn a_failure_made_good_since_is_not_shown_as_one() {
        let mut b = backup("a", t("2026-05-18T02:00:00Z"));
        let failed = replication(1, ReplicationState::Failed);
        assert_eq!(shown(std::slice::from_ref(&b), std::slice::from_ref(&failed)).failed.len(), 1);
        b.copies.push(copy("vault:offsite", b.created));
        assert_eq!(shown(&[b], &[failed]).failed.len(), 0);
    }
}
