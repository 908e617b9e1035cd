//! Making the records of backups anew from what the vaults hold.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::{Backup, BackupState, WorkloadName};
use rusqlite::Transaction;

use crate::code::Reading;
use crate::error::CatalogError;
use crate::record::Writer;
use crate::standings;
use crate::store::Catalog;

impl Catalog {
    /// Replaces every record of a backup by those given, in one transaction.
    ///
    /// Vaults know neither holds nor proofs made later. Where an old record can still be read, its hold stays — to
    /// lose one would release what somebody asked to keep — and so do the proofs of a copy whose object is the same.
    /// Records of purged backups stay as history. Runs, the journal, DR tests and the audit log are not touched.
    /// Returns how many backups are recorded now, the purged ones included.
    ///
    /// # Errors
    /// Those of any write; everything is as before then.
    pub fn clear_and_rebuild(&self, mut backups: Vec<Backup>) -> Result<u64, CatalogError> {
        self.write(|tx| {
            let mut old = readable(tx)?;
            for backup in &mut backups {
                if let Some(known) = old.remove(backup.name.as_str()) {
                    inherit(backup, known);
                }
            }
            let purged = old.into_values().filter(|known| matches!(known.state, BackupState::Purged { .. }));
            backups.extend(purged);
            tx.execute_batch("DELETE FROM backups; DELETE FROM standings;")?;
            // What is read together stands together in the file.
            backups.sort_by(|a, b| (&a.workload, a.created, &a.name).cmp(&(&b.workload, b.created, &b.name)));
            let mut writer = Writer::prepare(tx)?;
            backups.iter().try_for_each(|backup| writer.backup(backup))?;
            let workloads: BTreeSet<WorkloadName> = backups.iter().map(|backup| backup.workload.clone()).collect();
            standings::refresh(tx, workloads.into_iter().collect())?;
            Ok(backups.len() as u64)
        })
    }
}

/// Old records by name, as far as they can be read.
fn readable(tx: &Transaction<'_>) -> Result<BTreeMap<String, Backup>, CatalogError> {
    let names: Vec<_> = tx
        .prepare("SELECT name FROM backups")?
        .query_and_then([], |row| Reading::new("backups", row).name(0))?
        .collect();
    let mut known = BTreeMap::new();
    for name in names {
        match name.and_then(|name| crate::read::by_name(tx, &name)) {
            Ok(Some((_, backup))) => {
                known.insert(backup.name.to_string(), backup);
            }
            // Damage is what a rebuild is for.
            Ok(None) | Err(CatalogError::Damaged { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(known)
}

fn inherit(backup: &mut Backup, known: Backup) {
    if backup.hold.is_none() {
        backup.hold = known.hold;
    }
    for copy in &mut backup.copies {
        let same = known.copies.iter().find(|old| old.place == copy.place && old.snapshot == copy.snapshot);
        if let Some(old) = same {
            // What was proved about this very object stays proved; that it was found now comes on top.
            let found = std::mem::replace(&mut copy.proofs, old.proofs.clone());
            copy.proofs.extend(found);
            copy.created = old.created;
            copy.stored = old.stored;
        }
    }
}

#[cfg(test)]
mod tests {
    use backstop_model::{Hold, Level, Outcome, Plan, Run, Verb};

    use super::*;
    use crate::fixture::{at, backup, proof};
    use crate::{AuditCheck, NewAudit};

    #[test]
    fn a_rebuild_keeps_holds_proofs_of_the_same_object_and_history() {
        let catalog = Catalog::in_memory().expect("memory");
        let (held, replaced, purged, vanished) =
            (backup("docs", 1), backup("docs", 2), backup("docs", 3), backup("docs", 4));
        for backup in [&held, &replaced, &purged, &vanished] {
            catalog.record_backup(backup).expect("recorded");
        }
        let hold = Hold { reason: "court".into(), by: "root@here".into(), since: at(5) };
        catalog.set_hold(&held.name, Some(hold.clone())).expect("held");
        let proof = proof(Level::L3, true, 6);
        catalog.record_proof(&held.name, &held.copies[0].place, &proof).expect("proved");
        catalog.set_state(&purged.name, BackupState::Purged { at: at(7) }).expect("purged");
        let details = serde_json::Value::Null;
        let new = NewAudit { at: at(8), by: "b", verb: "v", subject: "s", reason: "r", details };
        catalog.audit_append(&new).expect("appended");
        let run = Run {
            id: "run-1".parse().expect("valid"),
            verb: Verb::Backup,
            workload: None,
            plan: Plan::nothing(Verb::Backup, at(1), "x"),
            started: at(1),
            finished: Some(at(2)),
            outcome: Some(Outcome::Done),
            by: "b".into(),
        };
        catalog.begin_run(&run).expect("recorded");

        let without_proofs = |backup: &Backup, digest: u8| {
            let mut backup = backup.clone();
            backup.copies[0].proofs.clear();
            backup.copies[0].snapshot.0 = [digest; 32];
            backup
        };
        let mut found_again = without_proofs(&held, 7);
        let found_proof = crate::fixture::proof(Level::L0, true, 9);
        found_again.copies[0].proofs.push(found_proof.clone());
        let found = vec![found_again, without_proofs(&replaced, 8)];
        assert_eq!(catalog.clear_and_rebuild(found).expect("rebuilt"), 3);

        let kept = catalog.backup(&held.name).expect("read").expect("there");
        assert_eq!(kept.hold, Some(hold));
        assert!(kept.copies[0].proofs.ends_with(&[proof, found_proof]));
        assert_eq!(kept.level(), Some(Level::L3), "what was proved about the same object stays proved");
        let other = catalog.backup(&replaced.name).expect("read").expect("there");
        assert_eq!(other.copies[0].proofs, [], "another object has no proof");
        assert_eq!(catalog.backup(&vanished.name).expect("read"), None);
        assert!(catalog.backup(&purged.name).expect("read").is_some());
        assert_eq!(catalog.run(&run.id).expect("read"), Some(run));
        assert_eq!(catalog.audit_verify().expect("read"), AuditCheck::Whole { entries: 1 });
        assert_eq!(catalog.standings().expect("read")[0].present, 2);
    }

    #[test]
    fn damaged_rows_do_not_stop_a_rebuild() {
        let catalog = Catalog::in_memory().expect("memory");
        let backup = backup("docs", 1);
        catalog.record_backup(&backup).expect("recorded");
        catalog.raw(|db| db.execute("UPDATE backups SET workload = '../x'", [])).expect("tampered");
        catalog.all_backups().expect_err("damaged");
        catalog.clear_and_rebuild(vec![backup.clone()]).expect("rebuilt");
        assert_eq!(catalog.backup(&backup.name).expect("read"), Some(backup));
    }

    #[test]
    fn a_rebuild_that_fails_changes_nothing() {
        let catalog = Catalog::in_memory().expect("memory");
        let backup = backup("docs", 1);
        catalog.record_backup(&backup).expect("recorded");
        catalog.clear_and_rebuild(vec![backup.clone(), backup.clone()]).expect_err("one name twice");
        assert_eq!(catalog.backup(&backup.name).expect("read"), Some(backup));
    }
}
