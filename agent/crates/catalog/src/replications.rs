//! Copies under way: what moves where, how far it is, how it ended.

use backstop_model::{
    BackupName, Bytes, Place, Replication, ReplicationState, RunId, SnapshotId, Timestamp, WorkloadName,
};
use rusqlite::{OptionalExtension, Row, named_params, params};

use crate::code::{Coded, Reading, count, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// A replication about to be begun, or planned.
#[derive(Debug, Clone)]
pub struct NewReplication {
    /// The run that carries it out.
    pub run: RunId,
    /// What is copied.
    pub backup: BackupName,
    /// The workload it belongs to.
    pub workload: WorkloadName,
    /// From this copy.
    pub from: Place,
    /// To this place.
    pub to: Place,
    /// Region of `from`, as the configuration names it.
    pub source_region: String,
    /// Region of `to`.
    pub target_region: String,
    /// `Pending` when only planned, else `InProgress`.
    pub state: ReplicationState,
    /// Now.
    pub at: Timestamp,
    /// Bytes expected, if known.
    pub total: Option<Bytes>,
}

/// Which replications. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct ReplicationFilter {
    /// In this state.
    pub state: Option<ReplicationState>,
    /// Of this workload.
    pub workload: Option<WorkloadName>,
    /// Of this backup.
    pub backup: Option<BackupName>,
    /// Begun not before this.
    pub since: Option<Timestamp>,
    /// The newest so many.
    pub limit: Option<u32>,
}

impl Catalog {
    /// Records a replication; returns its number. The same run, backup and target again — a resumed step, or a
    /// pending one that begins — are the same replication.
    ///
    /// # Errors
    /// Those of any write.
    pub fn begin_replication(&self, new: &NewReplication) -> Result<i64, CatalogError> {
        self.write(|tx| {
            // A completed one stays completed: the step is only looked at again.
            Ok(tx.query_row(
                "INSERT INTO replications (run, backup, workload, from_place, to_place, source_region, target_region, \
                 state, started, updated, total) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10) \
                 ON CONFLICT (run, backup, to_place) DO UPDATE SET state = max(excluded.state, state % 3), \
                 completed = CASE state WHEN 2 THEN completed END, error = NULL, updated = excluded.updated, \
                 total = coalesce(excluded.total, total), from_place = excluded.from_place, \
                 source_region = excluded.source_region RETURNING id",
                params![
                    new.run.as_str(),
                    new.backup.as_str(),
                    new.workload.as_str(),
                    new.from.to_string(),
                    new.to.to_string(),
                    new.source_region,
                    new.target_region,
                    new.state.code(),
                    micros(new.at),
                    new.total.map(|total| count(total.0)),
                ],
                |row| row.get(0),
            )?)
        })
    }

    /// Records how far it is.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a replication under way.
    pub fn update_replication(
        &self,
        id: i64,
        bytes: Bytes,
        total: Option<Bytes>,
        at: Timestamp,
    ) -> Result<(), CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE replications SET state = 1, bytes = ?2, total = coalesce(?3, total), updated = ?4 \
                       WHERE id = ?1 AND state < 2";
            let total = total.map(|total| count(total.0));
            found(id, tx.execute(sql, params![id, count(bytes.0), total, micros(at)])?)
        })
    }

    /// Records how it ended: the object made, or why there is none. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a replication.
    pub fn finish_replication(
        &self,
        id: i64,
        result: Result<SnapshotId, &str>,
        at: Timestamp,
    ) -> Result<(), CatalogError> {
        self.write(|tx| {
            let state = if result.is_ok() { ReplicationState::Completed } else { ReplicationState::Failed };
            let (snapshot, error) = (result.as_ref().ok().map(|id| id.0.to_vec()), result.err());
            let sql = "UPDATE replications SET state = ?2, snapshot = ?3, error = ?4, completed = ?5, updated = ?5, \
                       bytes = CASE WHEN ?2 = 2 THEN max(bytes, coalesce(total, bytes)) ELSE bytes END \
                       WHERE id = ?1 AND state < 2";
            if tx.execute(sql, params![id, state.code(), snapshot, error, micros(at)])? == 1 {
                return Ok(());
            }
            let known = tx.query_row("SELECT 1 FROM replications WHERE id = ?1", [id], |_| Ok(())).optional()?;
            found(id, usize::from(known.is_some()))
        })
    }

    /// The replications that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn replications(&self, filter: &ReplicationFilter) -> Result<Vec<Replication>, CatalogError> {
        self.read(|tx| {
            tx.prepare(
                "SELECT id, run, backup, workload, from_place, to_place, source_region, target_region, state, started, \
                 updated, completed, bytes, total, snapshot, error FROM replications \
                 WHERE (:state IS NULL OR state = :state) AND (:workload IS NULL OR workload = :workload) \
                 AND (:backup IS NULL OR backup = :backup) AND started >= :since \
                 ORDER BY started DESC, id DESC LIMIT :limit",
            )?
            .query_and_then(
                named_params! {
                    ":state": filter.state.map(Coded::code),
                    ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
                    ":backup": filter.backup.as_ref().map(BackupName::as_str),
                    ":since": filter.since.map_or(i64::MIN, micros),
                    ":limit": limit(filter.limit),
                },
                replication,
            )?
            .collect()
        })
    }
}

fn found(id: i64, rows: usize) -> Result<(), CatalogError> {
    if rows == 1 { Ok(()) } else { Err(CatalogError::NotFound { what: "replication", name: id.to_string() }) }
}

fn replication(row: &Row<'_>) -> Result<Replication, CatalogError> {
    let reading = Reading::new("replications", row);
    Ok(Replication {
        id: reading.get(0)?,
        run: reading.name(1)?,
        backup: reading.name(2)?,
        workload: reading.name(3)?,
        from: reading.name(4)?,
        to: reading.name(5)?,
        source_region: reading.get(6)?,
        target_region: reading.get(7)?,
        state: reading.coded(8)?,
        started: reading.time(9)?,
        updated: reading.time(10)?,
        completed: reading.time_or_none(11)?,
        bytes: reading.bytes(12)?,
        total: if reading.is_null(13)? { None } else { Some(reading.bytes(13)?) },
        snapshot: if reading.is_null(14)? { None } else { Some(reading.snapshot(14)?) },
        error: reading.get(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    fn new(backup: &str, state: ReplicationState, second: i64) -> NewReplication {
        NewReplication {
            run: "run-1".parse().expect("valid"),
            backup: backup.parse().expect("valid"),
            workload: "docs".parse().expect("valid"),
            from: "vault:main".parse().expect("valid"),
            to: "vault:offsite".parse().expect("valid"),
            source_region: "here".into(),
            target_region: "there".into(),
            state,
            at: at(second),
            total: Some(Bytes(100)),
        }
    }

    #[test]
    fn a_replication_goes_from_planned_to_complete_under_one_number() {
        let catalog = Catalog::in_memory().expect("memory");
        let id = catalog.begin_replication(&new("b1", ReplicationState::Pending, 1)).expect("planned");
        assert_eq!(catalog.begin_replication(&new("b1", ReplicationState::InProgress, 2)).expect("begun"), id);
        catalog.update_replication(id, Bytes(40), None, at(3)).expect("moved");
        let moving = ReplicationFilter { state: Some(ReplicationState::InProgress), ..ReplicationFilter::default() };
        let found = catalog.replications(&moving).expect("read");
        assert_eq!(
            (found.len(), found[0].bytes, found[0].total, found[0].started),
            (1, Bytes(40), Some(Bytes(100)), at(1))
        );
        catalog.finish_replication(id, Ok(SnapshotId([3; 32])), at(4)).expect("ended");
        catalog.finish_replication(id, Err("too late"), at(5)).expect("repeated");
        assert_eq!(catalog.begin_replication(&new("b1", ReplicationState::InProgress, 6)).expect("resumed"), id);
        let all = catalog.replications(&ReplicationFilter::default()).expect("read");
        assert_eq!((all[0].state, all[0].completed), (ReplicationState::Completed, Some(at(4))));
        assert_eq!((all[0].snapshot, all[0].bytes), (Some(SnapshotId([3; 32])), Bytes(100)));
        assert!(catalog.update_replication(id, Bytes(1), None, at(7)).is_err());
        assert!(matches!(catalog.finish_replication(99, Err("x"), at(7)), Err(CatalogError::NotFound { .. })));
    }

    #[test]
    fn a_failed_one_begins_again() {
        let catalog = Catalog::in_memory().expect("memory");
        let id = catalog.begin_replication(&new("b1", ReplicationState::InProgress, 1)).expect("begun");
        catalog.finish_replication(id, Err("vault away"), at(2)).expect("ended");
        let failed = catalog.replications(&ReplicationFilter::default()).expect("read");
        assert_eq!((failed[0].state, failed[0].error.as_deref()), (ReplicationState::Failed, Some("vault away")));
        catalog.begin_replication(&new("b1", ReplicationState::InProgress, 3)).expect("again");
        let again = catalog.replications(&ReplicationFilter::default()).expect("read");
        assert_eq!((again.len(), again[0].state, again[0].completed), (1, ReplicationState::InProgress, None));
        assert_eq!(again[0].error, None);
    }

    #[test]
    fn operators_sql_finds_replication_jobs_by_the_expected_columns() {
        let catalog = Catalog::in_memory().expect("memory");
        let id = catalog.begin_replication(&new("b1", ReplicationState::InProgress, 1)).expect("begun");
        catalog.finish_replication(id, Err("vault away"), at(2)).expect("ended");
        let row: (String, String, String, String, String, String) = catalog.raw(|db| {
            db.query_row(
                "SELECT source_snapshot, target_region, source_resource_group, status, started_at, error_message \
                 FROM replication_jobs WHERE target_snapshot = 'b1' AND source_region = 'here' \
                 AND target_resource_group = '' AND completed_at > started_at AND created_at = started_at",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
            )
            .expect("one row")
        });
        let expected = ("b1", "there", "", "failed", "1970-01-01T00:00:01.000Z", "vault away");
        assert_eq!(
            (row.0.as_str(), row.1.as_str(), row.2.as_str(), row.3.as_str(), row.4.as_str(), row.5.as_str()),
            expected
        );
    }
}
