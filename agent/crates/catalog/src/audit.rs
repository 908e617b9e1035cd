//! The audit log: append-only, each entry chained to the one before by its hash.
//!
//! An entry's hash covers the hash before it and every column of its own, so that altering, inserting or removing
//! an entry breaks the chain at that place; `audit_head` repeats the newest hash, so that cutting the end off shows
//! too. Triggers refuse changes by SQL. Whoever can write the file can forge all of it — the chain makes that
//! noticeable against any hash noted elsewhere, it does not make it impossible.

use backstop_model::{AuditEntry, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use crate::code::{Reading, json, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// What is to be written into the audit log.
#[derive(Debug, Clone)]
pub struct NewAudit<'a> {
    /// When.
    pub at: Timestamp,
    /// Who, as `user@host`.
    pub by: &'a str,
    /// What was done: a verb of the command line.
    pub verb: &'a str,
    /// To what.
    pub subject: &'a str,
    /// Why, in the operator's words; may be empty.
    pub reason: &'a str,
    /// Whatever else is worth keeping.
    pub details: serde_json::Value,
}

/// Which entries. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Of this verb.
    pub verb: Option<String>,
    /// About exactly this.
    pub subject: Option<String>,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCheck {
    /// Every entry is as written.
    Whole {
        /// How many there are.
        entries: u64,
    },
    /// The chain breaks; everything before is as written.
    Broken {
        /// Number of the first entry that is not, or that is missing.
        seq: u64,
        /// How it shows.
        why: &'static str,
    },
}

/// The columns a hash covers, as stored.
struct Covered {
    seq: i64,
    at: i64,
    by: String,
    verb: String,
    subject: String,
    reason: String,
    details: String,
}

impl Covered {
    /// Hash over the previous hash and the columns as one JSON array, which keeps their borders.
    fn hash(&self, previous: &[u8]) -> Result<[u8; 32], CatalogError> {
        let columns = json(&(self.seq, self.at, &self.by, &self.verb, &self.subject, &self.reason, &self.details))?;
        let mut hasher = blake3::Hasher::new_derive_key("backstop 2026 audit entry 1");
        hasher.update(previous).update(columns.as_bytes());
        Ok(*hasher.finalize().as_bytes())
    }
}

impl Catalog {
    /// Appends an entry; returns its number. Durable when it returns, so that it can stand before the deed.
    ///
    /// # Errors
    /// Those of any write.
    pub fn audit_append(&self, new: &NewAudit<'_>) -> Result<u64, CatalogError> {
        self.write(|tx| append(tx, new))
    }

    /// The entries that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, CatalogError> {
        self.read(|tx| {
            tx.prepare(
                "SELECT seq, at, by, verb, subject, reason, details, hash FROM audit WHERE at >= :since \
                 AND (:verb IS NULL OR verb = :verb) AND (:subject IS NULL OR subject = :subject) \
                 ORDER BY seq DESC LIMIT :limit",
            )?
            .query_and_then(
                named_params! {
                    ":since": filter.since.map_or(i64::MIN, micros),
                    ":verb": filter.verb,
                    ":subject": filter.subject,
                    ":limit": limit(filter.limit),
                },
                entry,
            )?
            .collect()
        })
    }

    /// Recomputes the whole chain.
    ///
    /// # Errors
    /// Only when the catalog cannot be read; a broken chain is a result.
    pub fn audit_verify(&self) -> Result<AuditCheck, CatalogError> {
        self.read(|tx| {
            let (last, newest) = head(tx)?;
            let mut previous = Vec::new();
            let mut expected = 1_i64;
            let mut statement =
                tx.prepare("SELECT seq, at, by, verb, subject, reason, details, hash FROM audit ORDER BY seq")?;
            for row in statement.query_and_then([], |row| Ok::<_, CatalogError>((covered(row)?, row.get(7)?)))? {
                let (covered, hash): (Covered, Vec<u8>) = row?;
                if covered.seq != expected {
                    return Ok(broken(expected, "it is missing"));
                }
                if covered.hash(&previous)?[..] != hash[..] {
                    return Ok(broken(expected, "it was altered, or the one before it was"));
                }
                previous = hash;
                expected += 1;
            }
            if expected - 1 < last {
                return Ok(broken(expected, "it is missing"));
            }
            if expected - 1 > last || previous != newest {
                return Ok(broken(expected - 1, "it is not the newest that was written"));
            }
            Ok(AuditCheck::Whole { entries: last.unsigned_abs() })
        })
    }
}

/// Appends an entry within a transaction; returns its number.
pub(crate) fn append(tx: &Transaction<'_>, new: &NewAudit<'_>) -> Result<u64, CatalogError> {
    let (last, previous) = head(tx)?;
    let covered = Covered {
        seq: last + 1,
        at: micros(new.at),
        by: new.by.to_owned(),
        verb: new.verb.to_owned(),
        subject: new.subject.to_owned(),
        reason: new.reason.to_owned(),
        details: json(&new.details)?,
    };
    let hash = covered.hash(&previous)?;
    let Covered { seq, at, by, verb, subject, reason, details } = &covered;
    tx.execute(
        "INSERT INTO audit (seq, at, by, verb, subject, reason, details, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![seq, at, by, verb, subject, reason, details, &hash[..]],
    )?;
    tx.execute(
        "INSERT INTO audit_head (id, seq, hash) VALUES (1, ?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        params![seq, &hash[..]],
    )?;
    u64::try_from(*seq).map_err(|_| CatalogError::damaged("audit_head", "a negative number"))
}

fn broken(seq: i64, why: &'static str) -> AuditCheck {
    AuditCheck::Broken { seq: seq.unsigned_abs(), why }
}

/// Number and hash of the newest entry.
fn head(tx: &Transaction<'_>) -> Result<(i64, Vec<u8>), CatalogError> {
    let found = tx.query_row("SELECT seq, hash FROM audit_head", [], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

fn covered(row: &Row<'_>) -> Result<Covered, CatalogError> {
    let reading = Reading::new("audit", row);
    Ok(Covered {
        seq: reading.get(0)?,
        at: reading.get(1)?,
        by: reading.get(2)?,
        verb: reading.get(3)?,
        subject: reading.get(4)?,
        reason: reading.get(5)?,
        details: reading.get(6)?,
    })
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, CatalogError> {
    let reading = Reading::new("audit", row);
    Ok(AuditEntry {
        seq: reading.count(0)?,
        at: reading.time(1)?,
        by: reading.get(2)?,
        verb: reading.get(3)?,
        subject: reading.get(4)?,
        reason: reading.get(5)?,
        details: reading.json(6)?,
        hash: reading.snapshot(7)?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::at;

    fn log(entries: i64) -> Catalog {
        let catalog = Catalog::in_memory().expect("memory");
        for n in 1..=entries {
            let details = serde_json::json!({ "z": n, "a": [1, "x"] });
            let subject = format!("docs-{n}");
            let new =
                NewAudit { at: at(n), by: "root@here", verb: "delete", subject: &subject, reason: "old", details };
            assert_eq!(catalog.audit_append(&new).expect("appended"), n.unsigned_abs());
        }
        catalog
    }

    /// Changes the file as somebody would who knows how.
    fn tamper(catalog: &Catalog, sql: &str) {
        catalog.raw(|db| {
            db.execute_batch("DROP TRIGGER audit_keeps_entries; DROP TRIGGER audit_keeps_all;").expect("dropped");
            assert_eq!(db.execute(sql, []).expect(sql), 1, "{sql}");
        });
    }

    #[test]
    fn an_untouched_log_is_whole_and_reads_back() {
        assert_eq!(log(0).audit_verify().expect("read"), AuditCheck::Whole { entries: 0 });
        let catalog = log(3);
        assert_eq!(catalog.audit_verify().expect("read"), AuditCheck::Whole { entries: 3 });
        let filter = AuditFilter { since: Some(at(2)), limit: Some(1), ..AuditFilter::default() };
        let newest = catalog.audit(&filter).expect("read");
        assert_eq!((newest.len(), newest[0].seq, newest[0].subject.as_str()), (1, 3, "docs-3"));
        assert_eq!(newest[0].details["z"], 3);
        let filter = AuditFilter { subject: Some("docs-1".into()), ..AuditFilter::default() };
        assert_eq!(catalog.audit(&filter).expect("read").len(), 1);
    }

    #[test]
    fn sql_cannot_change_replace_or_delete_an_entry() {
        let catalog = log(2);
        for sql in [
            "UPDATE audit SET reason = 'none'",
            "DELETE FROM audit",
            "INSERT OR REPLACE INTO audit SELECT 1, at, by, verb, subject, 'none', details, hash FROM audit LIMIT 1",
        ] {
            let error = catalog.raw(|db| db.execute(sql, [])).expect_err(sql);
            assert!(error.to_string().contains("append-only"), "{error}");
        }
        assert_eq!(catalog.audit_verify().expect("read"), AuditCheck::Whole { entries: 2 });
    }

    #[test]
    fn a_log_whose_end_was_cut_off_is_broken_there() {
        let catalog = log(4);
        tamper(&catalog, "DELETE FROM audit WHERE seq = 4");
        assert_eq!(catalog.audit_verify().expect("read"), AuditCheck::Broken { seq: 4, why: "it is missing" });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever column of whatever entry is altered, or the entry removed: the check names it.
        #[test]
        fn tampering_with_one_entry_is_named(entries in 1..12_i64, pick in 0..12_i64, how in 0..8_usize) {
            let seq = pick % entries + 1;
            let change = [
                "at = at + 1", "by = by || 'x'", "verb = 'hold'", "subject = ''", "reason = 'other'",
                "details = '{}'", "hash = zeroblob(32)",
            ];
            let catalog = log(entries);
            match change.get(how) {
                Some(change) => tamper(&catalog, &format!("UPDATE audit SET {change} WHERE seq = {seq}")),
                None => tamper(&catalog, &format!("DELETE FROM audit WHERE seq = {seq}")),
            }
            let AuditCheck::Broken { seq: named, .. } = catalog.audit_verify().expect("read") else {
                return Err(TestCaseError::fail("taken for whole"));
            };
            prop_assert_eq!(named, seq.unsigned_abs());
        }
    }
}
