//! Recording backups, copies and proofs.
//!
//! A conclusion that is repeated after a crash finds its own rows and changes nothing: the same backup of the same
//! run, the same object at the same place, the same proof are recorded once.

use backstop_model::{Backup, BackupName, BackupState, Copy, CopyState, Hold, Place, Proof};
use rusqlite::{OptionalExtension, Statement, Transaction, params};

use crate::code::{Coded, Reading, count, micros};
use crate::error::CatalogError;
use crate::read;
use crate::store::Catalog;

impl Catalog {
    /// Records a new backup with its copies and proofs. Recording it again, for the same run, adds only what is new.
    ///
    /// # Errors
    /// [`CatalogError::Exists`] when the name belongs to a backup of another run or workload.
    pub fn record_backup(&self, backup: &Backup) -> Result<(), CatalogError> {
        self.write(|tx| {
            let Some((id, known)) = read::by_name(tx, &backup.name)? else {
                return Writer::prepare(tx)?.backup(backup);
            };
            if known.run != backup.run || known.workload != backup.workload {
                return Err(CatalogError::Exists { what: "backup", name: backup.name.to_string() });
            }
            backup.copies.iter().try_for_each(|copy| add_copy(tx, id, copy))
        })
    }

    /// Records a copy. One that is there already, the same object, is brought up to date and keeps its proofs;
    /// another object, or one recorded after a loss, begins without any proof but those given.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a backup.
    pub fn record_copy(&self, backup: &BackupName, copy: &Copy) -> Result<(), CatalogError> {
        self.write(|tx| add_copy(tx, backup_id(tx, backup)?, copy))
    }

    /// Records what became of a copy.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a backup or copy.
    pub fn set_copy_state(&self, backup: &BackupName, place: &Place, state: CopyState) -> Result<(), CatalogError> {
        self.write(|tx| {
            let (id, _) = copy_at(tx, backup, place)?;
            tx.execute("UPDATE copies SET state = ?2 WHERE id = ?1", params![id, state.code()])?;
            Ok(())
        })
    }

    /// Records a proof about one copy.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a backup or copy.
    pub fn record_proof(&self, backup: &BackupName, place: &Place, proof: &Proof) -> Result<(), CatalogError> {
        self.write(|tx| {
            let (id, _) = copy_at(tx, backup, place)?;
            add_proofs(tx, id, std::slice::from_ref(proof))
        })
    }

    /// Records where a backup is in its life. Its copies have states of their own.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a backup.
    pub fn set_state(&self, backup: &BackupName, state: BackupState) -> Result<(), CatalogError> {
        let (code, at, purge_after) = read::state_columns(state);
        self.write(|tx| {
            let sql = "UPDATE backups SET state = ?2, state_at = ?3, purge_after = ?4 WHERE name = ?1";
            found(backup, tx.execute(sql, params![backup.as_str(), code, at, purge_after])?)
        })
    }

    /// Places or ends a hold.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a backup.
    pub fn set_hold(&self, backup: &BackupName, hold: Option<Hold>) -> Result<(), CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE backups SET hold_reason = ?2, hold_by = ?3, hold_since = ?4 WHERE name = ?1";
            let hold = hold.as_ref();
            let (reason, by) = (hold.map(|hold| &hold.reason), hold.map(|hold| &hold.by));
            found(backup, tx.execute(sql, params![backup.as_str(), reason, by, hold.map(|hold| micros(hold.since))])?)
        })
    }
}

fn missing(backup: &BackupName) -> CatalogError {
    CatalogError::NotFound { what: "backup", name: backup.to_string() }
}

fn found(backup: &BackupName, rows: usize) -> Result<(), CatalogError> {
    if rows == 1 { Ok(()) } else { Err(missing(backup)) }
}

fn backup_id(tx: &Transaction<'_>, backup: &BackupName) -> Result<i64, CatalogError> {
    let sql = "SELECT id FROM backups WHERE name = ?1";
    tx.query_row(sql, [backup.as_str()], |row| row.get(0)).optional()?.ok_or_else(|| missing(backup))
}

/// The current object at the place, as its row id, digest and state.
fn current(tx: &Transaction<'_>, backup: i64, place: &Place) -> Result<Option<(i64, Current)>, CatalogError> {
    tx.prepare("SELECT id, snapshot, state FROM copies WHERE backup = ?1 AND place = ?2 AND current = 1")?
        .query_and_then(params![backup, place.to_string()], |row| {
            let reading = Reading::new("copies", row);
            Ok((reading.get(0)?, Current { snapshot: reading.snapshot(1)?, state: reading.coded(2)? }))
        })?
        .next()
        .transpose()
}

struct Current {
    snapshot: backstop_model::SnapshotId,
    state: CopyState,
}

fn copy_at(tx: &Transaction<'_>, backup: &BackupName, place: &Place) -> Result<(i64, Current), CatalogError> {
    current(tx, backup_id(tx, backup)?, place)?
        .ok_or_else(|| CatalogError::NotFound { what: "copy", name: format!("{backup} at {place}") })
}

fn add_copy(tx: &Transaction<'_>, backup: i64, copy: &Copy) -> Result<(), CatalogError> {
    match current(tx, backup, &copy.place)? {
        Some((id, known)) if known.is_same(copy) => {
            let sql = "UPDATE copies SET state = ?2 WHERE id = ?1 AND state <> ?2";
            tx.execute(sql, params![id, copy.state.code()])?;
            add_proofs(tx, id, &copy.proofs)
        }
        Some((id, _)) => {
            // What was proved about the object that is gone stays as history and says nothing about this one.
            tx.execute("UPDATE copies SET current = 0 WHERE id = ?1", [id])?;
            Writer::prepare(tx)?.copy(backup, copy)
        }
        None => Writer::prepare(tx)?.copy(backup, copy),
    }
}

impl Current {
    fn is_same(&self, copy: &Copy) -> bool {
        let there = match self.state {
            CopyState::Present | CopyState::Trashed => true,
            CopyState::Lost | CopyState::Purged => copy.state == self.state,
        };
        there && self.snapshot == copy.snapshot
    }
}

/// Adds those proofs that are not there yet, and notes where they leave the copy.
fn add_proofs(tx: &Transaction<'_>, copy: i64, proofs: &[Proof]) -> Result<(), CatalogError> {
    let mut known = read::proofs_of(tx, copy)?;
    let mut writer = Writer::prepare(tx)?;
    for proof in proofs {
        let key = |p: &Proof| (micros(p.at), p.level, p.passed, p.kind, p.run.clone());
        if known.iter().all(|other| key(other) != key(proof)) {
            writer.proof(copy, proof)?;
            known.push(proof.clone());
        }
    }
    let level = Copy::level_of(&known).map(Coded::code);
    tx.execute("UPDATE copies SET level = ?2 WHERE id = ?1 AND level IS NOT ?2", params![copy, level])?;
    Ok(())
}

/// Inserts rows, with each statement prepared once: a rebuild makes a million of them.
pub(crate) struct Writer<'t> {
    backup: Statement<'t>,
    copy: Statement<'t>,
    proof: Statement<'t>,
}

impl<'t> Writer<'t> {
    pub(crate) fn prepare(tx: &'t Transaction<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            backup: tx.prepare(
                "INSERT INTO backups (name, workload, created, tiers, mode, based_on, size, entries, troubles, state, \
                 state_at, purge_after, hold_reason, hold_by, hold_since, run) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?,
            copy: tx.prepare(
                "INSERT INTO copies (backup, place, snapshot, state, stored, created, level) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            proof: tx.prepare(
                "INSERT INTO proofs (copy, at, level, passed, kind, took, sample_ppm, run, detail) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
        })
    }

    /// A backup that is not there yet, with everything below it.
    pub(crate) fn backup(&mut self, backup: &Backup) -> Result<(), CatalogError> {
        let (state, state_at, purge_after) = read::state_columns(backup.state);
        let hold = backup.hold.as_ref();
        let id = self.backup.insert(params![
            backup.name.as_str(),
            backup.workload.as_str(),
            micros(backup.created),
            read::tier_words(backup),
            backup.mode.code(),
            backup.based_on.as_ref().map(BackupName::as_str),
            count(backup.size.0),
            count(backup.entries),
            read::troubles_column(backup.completeness),
            state,
            state_at,
            purge_after,
            hold.map(|hold| &hold.reason),
            hold.map(|hold| &hold.by),
            hold.map(|hold| micros(hold.since)),
            backup.run.as_str(),
        ])?;
        backup.copies.iter().try_for_each(|copy| self.copy(id, copy))
    }

    fn copy(&mut self, backup: i64, copy: &Copy) -> Result<(), CatalogError> {
        let id = self.copy.insert(params![
            backup,
            copy.place.to_string(),
            &copy.snapshot.0[..],
            copy.state.code(),
            count(copy.stored.0),
            micros(copy.created),
            Copy::level_of(&copy.proofs).map(Coded::code),
        ])?;
        copy.proofs.iter().try_for_each(|proof| self.proof(id, proof))
    }

    fn proof(&mut self, copy: i64, proof: &Proof) -> Result<(), CatalogError> {
        self.proof.execute(params![
            copy,
            micros(proof.at),
            proof.level.code(),
            proof.passed,
            proof.kind.code(),
            count(proof.took.as_millis()),
            proof.sample_ppm,
            proof.run.as_str(),
            proof.detail,
        ])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use backstop_model::{Completeness, Level, ProofKind, Tier};

    use super::*;
    use crate::fixture::{at, backup, copy, proof};
    use crate::{BackupFilter, ProofFilter, StateKind};

    fn catalog(backups: &[Backup]) -> Catalog {
        let catalog = Catalog::in_memory().expect("memory");
        backups.iter().for_each(|backup| catalog.record_backup(backup).expect("recorded"));
        catalog
    }

    fn again(catalog: &Catalog, backup: &Backup) -> Backup {
        catalog.backup(&backup.name).expect("read").expect("there")
    }

    #[test]
    fn a_backup_reads_back_as_recorded_in_every_detail() {
        let mut full = backup("docs", 1);
        full.tiers = [Tier::Weekly, Tier::Named("quarterly".parse().expect("valid"))].into();
        full.based_on = Some("docs-backup-daily-0".parse().expect("valid"));
        full.completeness = Completeness::Partial { troubles: 0 };
        full.state = BackupState::Trashed { since: at(5), purge_after: at(9) };
        full.hold = Some(Hold { reason: "a court's word".into(), by: "root@here".into(), since: at(3) });
        full.copies.push(copy("region:westus2", 9, vec![proof(Level::L5, true, 9), proof(Level::L0, false, 4)]));
        full.copies[1].state = CopyState::Lost;
        let mut bare = backup("docs", 2);
        (bare.tiers, bare.copies, bare.state) = ([].into(), Vec::new(), BackupState::Purged { at: at(7) });
        let catalog = catalog(&[full.clone(), bare.clone()]);
        assert_eq!(again(&catalog, &full), full);
        assert_eq!(catalog.all_backups().expect("read")[&full.workload], [full.clone(), bare.clone()]);
        assert_eq!(catalog.backups(&BackupFilter::default()).expect("read"), [bare, full]);
    }

    #[test]
    fn a_conclusion_that_is_repeated_changes_nothing() {
        let backup = backup("docs", 1);
        let catalog = catalog(&[backup.clone(), backup.clone()]);
        let (place, proof) = (&backup.copies[0].place, &backup.copies[0].proofs[0]);
        catalog.record_copy(&backup.name, &backup.copies[0]).expect("again");
        catalog.record_proof(&backup.name, place, proof).expect("again");
        assert_eq!(again(&catalog, &backup), backup);
        let other = Backup { run: "run-2".parse().expect("valid"), ..backup };
        assert!(matches!(catalog.record_backup(&other), Err(CatalogError::Exists { .. })));
    }

    #[test]
    fn a_copy_made_anew_after_a_loss_inherits_no_proof() {
        let mut backup = backup("docs", 1);
        let catalog = catalog(&[backup.clone()]);
        let place = backup.copies[0].place.clone();
        catalog.set_copy_state(&backup.name, &place, CopyState::Lost).expect("lost");
        assert_eq!(again(&catalog, &backup).level(), None);
        backup.copies[0].proofs.clear();
        catalog.record_copy(&backup.name, &backup.copies[0]).expect("made anew");
        assert_eq!(again(&catalog, &backup), backup);
        assert_eq!(catalog.proofs(&ProofFilter::default()).expect("read").len(), 1, "the history stays");
    }

    #[test]
    fn a_copy_brought_back_from_the_trash_keeps_its_proofs() {
        let backup = backup("docs", 1);
        let catalog = catalog(std::slice::from_ref(&backup));
        let place = &backup.copies[0].place;
        catalog.set_copy_state(&backup.name, place, CopyState::Trashed).expect("trashed");
        catalog.record_copy(&backup.name, &backup.copies[0]).expect("seen again");
        assert_eq!(again(&catalog, &backup), backup);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let (known, unknown) = (backup("docs", 1), backup("docs", 2));
        let catalog = catalog(std::slice::from_ref(&known));
        let (main, offsite) = (&known.copies[0].place, "vault:offsite".parse().expect("valid"));
        let proof = proof(Level::L1, true, 1);
        for result in [
            catalog.set_state(&unknown.name, BackupState::Present),
            catalog.set_hold(&unknown.name, None),
            catalog.record_copy(&unknown.name, &known.copies[0]),
            catalog.record_proof(&unknown.name, main, &proof),
            catalog.record_proof(&known.name, &offsite, &proof),
            catalog.set_copy_state(&known.name, &offsite, CopyState::Lost),
        ] {
            assert!(matches!(result, Err(CatalogError::NotFound { .. })), "{result:?}");
        }
    }

    #[test]
    fn filters_narrow_by_each_of_their_parts() {
        let (mut a, b, mut c) = (backup("docs", 10), backup("docs", 20), backup("db", 30));
        a.tiers = [Tier::Weekly, Tier::Monthly].into();
        a.copies.push(copy("vault:offsite", 1, vec![proof(Level::L3, true, 11)]));
        c.state = BackupState::Trashed { since: at(40), purge_after: at(50) };
        c.hold = Some(Hold { reason: "r".into(), by: "b".into(), since: at(41) });
        let catalog = catalog(&[a.clone(), b.clone(), c.clone()]);
        let all = BackupFilter::default;
        for (filter, expected) in [
            (all(), vec![&c, &b, &a]),
            (BackupFilter { workload: Some(a.workload.clone()), ..all() }, vec![&b, &a]),
            (BackupFilter { tier: Some(Tier::Monthly), ..all() }, vec![&a]),
            (BackupFilter { since: Some(at(20)), until: Some(at(30)), ..all() }, vec![&b]),
            (BackupFilter { states: vec![StateKind::Trashed, StateKind::Purged], ..all() }, vec![&c]),
            (BackupFilter { unverified_below: Some(Level::L3), ..all() }, vec![&c, &b]),
            (BackupFilter { unverified_below: Some(Level::L1), ..all() }, vec![]),
            (BackupFilter { text: Some("daily-1".into()), ..all() }, vec![&a]),
            (BackupFilter { held: true, ..all() }, vec![&c]),
            (BackupFilter { limit: Some(2), ..all() }, vec![&c, &b]),
        ] {
            let found = catalog.backups(&filter).expect("read");
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
        catalog.record_proof(&b.name, &b.copies[0].place, &proof(Level::L1, false, 60)).expect("recorded");
        let unverified = catalog.backups(&BackupFilter { unverified_below: Some(Level::L1), ..all() }).expect("read");
        assert_eq!(unverified.len(), 1, "a failed proof takes the level away");
    }

    #[test]
    fn names_may_be_shortened_while_they_are_unique() {
        let catalog = catalog(&[backup("docs", 1), backup("docs", 10), backup("db", 1)]);
        let found = |short: &str| catalog.find_backup(short).map(|name| name.to_string());
        assert_eq!(found("db-").ok().as_deref(), Some("db-backup-daily-1"));
        assert_eq!(found("docs-backup-daily-1").ok().as_deref(), Some("docs-backup-daily-1"), "exact wins");
        let error = found("docs").expect_err("two");
        assert_eq!(error.to_string(), "`docs` fits more than one backup: docs-backup-daily-1, docs-backup-daily-10");
        assert!(matches!(found("x%' OR 1=1 --"), Err(CatalogError::NotFound { .. })));
        assert!(matches!(found(""), Err(CatalogError::NotFound { .. })));
        assert_eq!(catalog.taken_names("docs-backup-").expect("read").len(), 2);
        assert_eq!(catalog.workloads().expect("read").len(), 2);
    }

    #[test]
    fn proofs_are_found_by_workload_time_and_kind() {
        let catalog = catalog(&[backup("docs", 10), backup("db", 20)]);
        let drill = Proof { kind: ProofKind::DrTest, ..proof(Level::L5, false, 30) };
        let known = backup("db", 20);
        catalog.record_proof(&known.name, &known.copies[0].place, &drill).expect("recorded");
        let count = |filter: &ProofFilter| catalog.proofs(filter).expect("read").len();
        assert_eq!(count(&ProofFilter::default()), 3);
        assert_eq!(count(&ProofFilter { since: Some(at(20)), ..ProofFilter::default() }), 2);
        assert_eq!(count(&ProofFilter { workload: Some(known.workload.clone()), ..ProofFilter::default() }), 2);
        let drills = catalog.proofs(&ProofFilter { kind: Some(ProofKind::DrTest), ..ProofFilter::default() });
        let drills = drills.expect("read");
        assert_eq!((drills.len(), &drills[0].backup, &drills[0].proof), (1, &known.name, &drill));
    }

    #[test]
    fn operators_sql_finds_verifications_by_the_expected_columns() {
        let mut known = backup("docs", 1);
        known.copies[0].proofs = vec![proof(Level::L3, true, 2), proof(Level::L1, false, 3)];
        let catalog = catalog(&[known]);
        type Columns = (bool, Option<bool>, Option<bool>, Option<bool>, Option<bool>, Option<String>, f64);
        let rows: Vec<Columns> = catalog.raw(|db| {
            db.prepare(
                "SELECT success, disk_readable, size_matches, test_disk_created, test_disk_deleted, error_message, \
                 verification_time_seconds FROM verifications WHERE vm_name = 'docs' \
                 AND backup_name = 'docs-backup-daily-1' AND verified_at = created_at ORDER BY id",
            )
            .expect("columns")
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?)))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("values")
        });
        let yes = Some(true);
        assert_eq!(rows[0], (true, yes, yes, yes, yes, None, 1.5));
        assert_eq!(rows[1], (false, Some(false), None, None, None, Some("a.txt differs".into()), 1.5));
    }

    #[test]
    fn rows_that_make_no_sense_are_named_and_never_panic() {
        for (sql, expected) in [
            ("UPDATE backups SET name = 'a b'", "backups: column `name`: `a b` is not a valid backup name"),
            ("UPDATE backups SET mode = 7", "backups: column `mode`: 7 is no mode"),
            ("UPDATE backups SET state = 9", "backups: column `state`: 9 is no backup state"),
            ("UPDATE backups SET state = 1", "backups: column `state_at`: a value of another type"),
            ("UPDATE backups SET size = -1", "backups: column `size`: a negative count"),
            ("UPDATE backups SET created = 9223372036854775807", "backups: column `created`: no instant"),
            ("UPDATE backups SET created = -9223372036854775808", "backups: column `created`: no instant"),
            ("UPDATE backups SET tiers = 'daily,Über'", "backups: column `tiers`: `Über` is not a valid tier name"),
            ("UPDATE backups SET name = CAST(x'ff' AS TEXT)", "backups: column `name`: not text"),
            ("UPDATE copies SET place = 'moon'", "copies: column `place`: `moon` is not a valid place"),
            ("UPDATE copies SET snapshot = x'00'", "copies: column `snapshot`: not 32 bytes"),
            ("UPDATE copies SET state = -1", "copies: column `state`: -1 is no copy state"),
            ("UPDATE proofs SET level = 6", "proofs: column `level`: 6 is no proof level"),
            ("UPDATE proofs SET sample_ppm = 99999999999", "proofs: column `sample_ppm`: a value of another type"),
            ("UPDATE proofs SET run = ''", "proofs: column `run`: `` is not a valid run id"),
        ] {
            let catalog = catalog(&[backup("docs", 1)]);
            catalog.raw(|db| {
                db.pragma_update(None, "ignore_check_constraints", true).expect("pragma");
                db.execute(sql, []).expect(sql);
            });
            for error in [
                catalog.all_backups().map(|_| ()).expect_err(sql),
                catalog.backups(&BackupFilter::default()).map(|_| ()).expect_err(sql),
            ] {
                assert!(matches!(error, CatalogError::Damaged { .. }), "{sql}: {error:?}");
                assert!(error.to_string().contains(expected), "{sql}: {error}");
            }
        }
    }
}
