//! DR tests as they went. Their proofs stand with the copies; this is the history with its phases and times.

use backstop_model::{DrTest, Timestamp, WorkloadName};
use rusqlite::{Row, named_params, params};

use crate::code::{Reading, count, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// Which DR tests. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct DrTestFilter {
    /// Begun not before this.
    pub since: Option<Timestamp>,
    /// Of this workload.
    pub workload: Option<WorkloadName>,
    /// The newest so many.
    pub limit: Option<u32>,
}

impl Catalog {
    /// Records a DR test. The same run and copy again replace what was recorded, as a resumed run concludes anew.
    ///
    /// # Errors
    /// Those of any write.
    pub fn record_dr_test(&self, test: &DrTest) -> Result<(), CatalogError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO rehearsals (run, workload, backup, place, started, completed, passed, restore_ok, \
                 compare_ok, health_ok, cleanup_ok, rto, rto_target, error) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                 ON CONFLICT (run, workload, backup, place) DO UPDATE SET started = excluded.started, \
                 completed = excluded.completed, passed = excluded.passed, restore_ok = excluded.restore_ok, \
                 compare_ok = excluded.compare_ok, health_ok = excluded.health_ok, cleanup_ok = excluded.cleanup_ok, \
                 rto = excluded.rto, rto_target = excluded.rto_target, error = excluded.error",
                params![
                    test.run.as_str(),
                    test.workload.as_str(),
                    test.backup.as_str(),
                    test.place.to_string(),
                    micros(test.started),
                    test.completed.map(micros),
                    test.passed,
                    test.restore_ok,
                    test.compare_ok,
                    test.health_ok,
                    test.cleanup_ok,
                    test.rto.map(|rto| count(rto.as_millis())),
                    count(test.rto_target.as_millis()),
                    test.error,
                ],
            )?;
            Ok(())
        })
    }

    /// The DR tests that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn dr_tests(&self, filter: &DrTestFilter) -> Result<Vec<DrTest>, CatalogError> {
        self.read(|tx| {
            tx.prepare(
                "SELECT run, workload, backup, place, started, completed, passed, restore_ok, compare_ok, health_ok, \
                 cleanup_ok, rto, rto_target, error FROM rehearsals WHERE started >= :since \
                 AND (:workload IS NULL OR workload = :workload) ORDER BY started DESC, id DESC LIMIT :limit",
            )?
            .query_and_then(
                named_params! {
                    ":since": filter.since.map_or(i64::MIN, micros),
                    ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
                    ":limit": limit(filter.limit),
                },
                test,
            )?
            .collect()
        })
    }
}

fn test(row: &Row<'_>) -> Result<DrTest, CatalogError> {
    let reading = Reading::new("rehearsals", row);
    Ok(DrTest {
        run: reading.name(0)?,
        workload: reading.name(1)?,
        backup: reading.name(2)?,
        place: reading.name(3)?,
        started: reading.time(4)?,
        completed: reading.time_or_none(5)?,
        passed: reading.get(6)?,
        restore_ok: reading.get(7)?,
        compare_ok: reading.get(8)?,
        health_ok: reading.get(9)?,
        cleanup_ok: reading.get(10)?,
        rto: if reading.is_null(11)? { None } else { Some(reading.span(11)?) },
        rto_target: reading.span(12)?,
        error: reading.get(13)?,
    })
}

#[cfg(test)]
mod tests {
    use backstop_model::Span;

    use super::*;
    use crate::fixture::at;

    fn dr_test(run: &str, workload: &str, second: i64) -> DrTest {
        DrTest {
            run: run.parse().expect("valid"),
            workload: workload.parse().expect("valid"),
            backup: "b1".parse().expect("valid"),
            place: "vault:offsite".parse().expect("valid"),
            started: at(second),
            completed: Some(at(second + 30)),
            passed: false,
            restore_ok: Some(true),
            compare_ok: Some(true),
            health_ok: Some(false),
            cleanup_ok: None,
            rto: Some(Span::from_millis(12_500)),
            rto_target: Span::from_secs(900),
            error: Some("health command ended with 1".into()),
        }
    }

    #[test]
    fn dr_tests_read_back_newest_first_and_a_resumed_one_replaces_itself() {
        let catalog = Catalog::in_memory().expect("memory");
        let (first, second) = (dr_test("run-1", "docs", 1), dr_test("run-2", "db", 100));
        catalog.record_dr_test(&first).expect("recorded");
        catalog.record_dr_test(&second).expect("recorded");
        let first = DrTest { passed: true, health_ok: Some(true), cleanup_ok: Some(true), error: None, ..first };
        catalog.record_dr_test(&first).expect("concluded anew");
        assert_eq!(catalog.dr_tests(&DrTestFilter::default()).expect("read"), [second.clone(), first]);
        let late = DrTestFilter { since: Some(at(50)), ..DrTestFilter::default() };
        assert_eq!(catalog.dr_tests(&late).expect("read"), std::slice::from_ref(&second));
        let db = DrTestFilter { workload: Some(second.workload.clone()), ..DrTestFilter::default() };
        assert_eq!(catalog.dr_tests(&db).expect("read"), [second]);
    }

    #[test]
    fn operators_sql_finds_dr_tests_by_the_expected_columns() {
        let catalog = Catalog::in_memory().expect("memory");
        catalog.record_dr_test(&dr_test("run-1", "docs", 1)).expect("recorded");
        let row: (bool, bool, bool, bool, Option<bool>, f64, String) = catalog.raw(|db| {
            db.query_row(
                "SELECT success, restore_succeeded, boot_succeeded, connectivity_succeeded, cleanup_succeeded, \
                 rto_seconds, error_message FROM dr_tests WHERE vm_name = 'docs' AND backup_name = 'b1' \
                 AND test_region = 'vault:offsite' AND completed_at > started_at AND created_at = started_at",
                [],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?)),
            )
            .expect("one row")
        });
        assert_eq!(row, (false, true, true, false, None, 12.5, "health command ended with 1".into()));
    }
}
