//! The read model of the agenda: one small record per workload, kept until something about the workload changes.

use backstop_model::{Standing, WorkloadName};
use rusqlite::{Statement, Transaction, params};

use crate::code::Reading;
use crate::error::CatalogError;
use crate::kept::{decode, encode};
use crate::read::Workloads;
use crate::store::Catalog;

impl Catalog {
    /// The standing of every workload that has, or had, a backup; by name. Costs in proportion to what changed since
    /// the last call, plus a few microseconds per workload.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when a backup's rows make no sense.
    pub fn standings(&self) -> Result<Vec<Standing>, CatalogError> {
        let (mut known, stale) = self.read(kept)?;
        if stale.is_empty() {
            return Ok(known);
        }
        // Folded and kept in one transaction: what changes in between marks it again.
        let fresh = self.write(|tx| refresh(tx, stale))?;
        known.extend(fresh);
        known.sort_by(|a, b| a.workload.cmp(&b.workload));
        Ok(known)
    }

    /// The standing of one workload, empty when it has no backup.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when a backup's rows make no sense.
    pub fn standing(&self, workload: &WorkloadName) -> Result<Standing, CatalogError> {
        self.read(|tx| Fold::prepare(tx)?.of(workload.clone()))
    }
}

/// What is kept, and the workloads that changed since. A record that does not read back counts as changed: it may be
/// of another version, and it can be made anew.
fn kept(tx: &Transaction<'_>) -> Result<(Vec<Standing>, Vec<WorkloadName>), CatalogError> {
    let (mut known, mut stale) = (Vec::new(), Vec::new());
    let mut statement = tx.prepare("SELECT workload, body FROM standings ORDER BY workload")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_str_or_null().unwrap_or_default();
        let workload: WorkloadName = Reading::new("standings", row).name(0)?;
        match body.and_then(|body| decode(workload.clone(), body)) {
            Some(standing) => known.push(standing),
            None => stale.push(workload),
        }
    }
    Ok((known, stale))
}

/// Folds these workloads anew and keeps the result.
pub(crate) fn refresh(tx: &Transaction<'_>, stale: Vec<WorkloadName>) -> Result<Vec<Standing>, CatalogError> {
    let mut fold = Fold::prepare(tx)?;
    let mut keep = tx.prepare("UPDATE standings SET body = ?2 WHERE workload = ?1")?;
    stale
        .into_iter()
        .map(|workload| {
            let standing = fold.of(workload)?;
            keep.execute(params![standing.workload.as_str(), encode(&standing)?])?;
            Ok(standing)
        })
        .collect()
}

struct Fold<'t> {
    backups: Workloads<'t>,
    last_dr_test: Statement<'t>,
}

impl<'t> Fold<'t> {
    fn prepare(tx: &'t Transaction<'_>) -> Result<Self, CatalogError> {
        let sql = "SELECT max(completed) FROM rehearsals WHERE workload = ?1 AND passed = 1";
        Ok(Self { backups: Workloads::prepare(tx)?, last_dr_test: tx.prepare(sql)? })
    }

    fn of(&mut self, workload: WorkloadName) -> Result<Standing, CatalogError> {
        let mut last = self
            .last_dr_test
            .query_and_then([workload.as_str()], |row| Reading::new("rehearsals", row).time_or_none(0))?;
        let last = last.next().transpose()?.flatten();
        Ok(Standing::of(workload.clone(), &self.backups.of(&workload)?, last))
    }
}

#[cfg(test)]
mod tests {
    use backstop_model::{BackupState, CopyState, DrTest, Hold, Level, Span};
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{at, backup, copy, proof};

    fn dr_test(workload: &str, second: i64) -> DrTest {
        DrTest {
            run: format!("run-{second}").parse().expect("valid"),
            workload: workload.parse().expect("valid"),
            backup: "b1".parse().expect("valid"),
            place: "vault:main".parse().expect("valid"),
            started: at(second),
            completed: Some(at(second + 5)),
            passed: true,
            restore_ok: Some(true),
            compare_ok: Some(true),
            health_ok: None,
            cleanup_ok: Some(true),
            rto: Some(Span::from_secs(2)),
            rto_target: Span::from_secs(900),
            error: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever is recorded in whatever order, and however often standings are read in between, what is kept
        /// equals what a fold over the backups gives.
        #[test]
        fn kept_standings_never_lag_behind(deeds in prop::collection::vec((0..8_u8, 0..2_i64, 0..2_usize), 1..25)) {
            let catalog = Catalog::in_memory().expect("memory");
            for (n, (deed, which, workload)) in deeds.into_iter().enumerate() {
                let second = i64::try_from(n).expect("small");
                let workload = ["docs", "db"][workload];
                let known = backup(workload, which);
                let (name, place) = (&known.name, &known.copies[0].place);
                // What names a backup that is not there yet is refused, which is no concern of this test.
                let _ = match deed {
                    0 | 1 => catalog.record_backup(&known),
                    2 => catalog.record_copy(name, &copy("vault:offsite", u8::try_from(n).expect("small"), Vec::new())),
                    3 => catalog.record_proof(name, place, &proof(Level::L3, n % 3 > 0, second)),
                    4 => catalog.set_copy_state(name, place, CopyState::Lost),
                    5 => catalog.set_state(name, BackupState::Trashed { since: at(second), purge_after: at(second + 9) }),
                    6 => catalog.set_hold(name, Some(Hold { reason: "r".into(), by: "b".into(), since: at(second) })),
                    _ => catalog.record_dr_test(&dr_test(workload, second)),
                };
                let all = catalog.all_backups().expect("read");
                for standing in catalog.standings().expect("read") {
                    let last = catalog.dr_tests(&crate::DrTestFilter {
                        workload: Some(standing.workload.clone()), ..crate::DrTestFilter::default()
                    }).expect("read").first().and_then(|test| test.completed);
                    let folded = Standing::of(standing.workload.clone(), &all[&standing.workload], last);
                    prop_assert_eq!(&standing, &folded);
                    prop_assert_eq!(&catalog.standing(&standing.workload).expect("read"), &folded);
                }
            }
        }
    }

    #[test]
    fn a_proof_that_only_renews_the_level_shows_at_once() {
        let catalog = Catalog::in_memory().expect("memory");
        let known = backup("docs", 1);
        catalog.record_backup(&known).expect("recorded");
        let oldest = || catalog.standings().expect("read")[0].places[0].at(Level::L1).map(|level| level.oldest_proof);
        assert_eq!(oldest(), Some(at(1)));
        catalog.record_proof(&known.name, &known.copies[0].place, &proof(Level::L1, true, 9)).expect("recorded");
        assert_eq!(oldest(), Some(at(9)));
    }

    #[test]
    fn a_kept_record_of_another_version_is_made_anew() {
        let catalog = Catalog::in_memory().expect("memory");
        catalog.record_backup(&backup("docs", 1)).expect("recorded");
        let standings = catalog.standings().expect("read");
        catalog.raw(|db| db.execute("UPDATE standings SET body = '{\"old\":1}'", [])).expect("tampered");
        assert_eq!(catalog.standings().expect("read"), standings);
        assert_eq!(standings.len(), 1);
    }
}
