//! Things made outside that must not stay. Recorded before they are made, so that a crash leaves a trace of each.

use backstop_model::{Orphan, RunId, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use crate::code::{Reading, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// Something about to be made.
#[derive(Debug, Clone)]
pub struct NewOrphan<'a> {
    /// What it is: `directory`, `snapshot`, `disk`, `machine` …
    pub kind: &'a str,
    /// Its name or path.
    pub name: &'a str,
    /// What contains it; empty when nothing does.
    pub container: &'a str,
    /// The run that makes it.
    pub run: Option<&'a RunId>,
    /// Now.
    pub at: Timestamp,
}

impl Catalog {
    /// Records it; returns its number. The same thing, not settled yet, keeps its number.
    ///
    /// # Errors
    /// Those of any write; the thing must not be made then.
    pub fn add_orphan(&self, new: &NewOrphan<'_>) -> Result<i64, CatalogError> {
        self.write(|tx| {
            let sql = "SELECT id FROM orphans WHERE kind = ?1 AND name = ?2 AND container = ?3 AND settled IS NULL";
            let known = tx.query_row(sql, params![new.kind, new.name, new.container], |row| row.get(0)).optional()?;
            if let Some(id) = known {
                return Ok(id);
            }
            let sql = "INSERT INTO orphans (kind, name, container, run, noted) VALUES (?1, ?2, ?3, ?4, ?5)";
            let run = new.run.map(RunId::as_str);
            tx.execute(sql, params![new.kind, new.name, new.container, run, micros(new.at)])?;
            Ok(tx.last_insert_rowid())
        })
    }

    /// Records that removing it was tried and failed.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such an orphan.
    pub fn orphan_attempted(&self, id: i64, error: &str, at: Timestamp) -> Result<(), CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE orphans SET attempts = attempts + 1, last_attempt = ?2, last_error = ?3 WHERE id = ?1";
            found(id, tx.execute(sql, params![id, micros(at), error])?)
        })
    }

    /// Records that it is gone, or belongs to somebody now. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such an orphan.
    pub fn settle_orphan(&self, id: i64, at: Timestamp) -> Result<(), CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE orphans SET settled = coalesce(settled, ?2) WHERE id = ?1";
            found(id, tx.execute(sql, params![id, micros(at)])?)
        })
    }

    /// What is not settled yet, oldest first; with `settled`, everything ever recorded.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn orphans(&self, settled: bool) -> Result<Vec<Orphan>, CatalogError> {
        self.read(|tx| {
            tx.prepare(
                "SELECT id, kind, name, container, run, noted, attempts, last_attempt, last_error, settled \
                 FROM orphans WHERE ?1 OR settled IS NULL ORDER BY id",
            )?
            .query_and_then([settled], orphan)?
            .collect()
        })
    }
}

fn found(id: i64, rows: usize) -> Result<(), CatalogError> {
    if rows == 1 { Ok(()) } else { Err(CatalogError::NotFound { what: "orphan", name: id.to_string() }) }
}

fn orphan(row: &Row<'_>) -> Result<Orphan, CatalogError> {
    let reading = Reading::new("orphans", row);
    Ok(Orphan {
        id: reading.get(0)?,
        kind: reading.get(1)?,
        name: reading.get(2)?,
        container: reading.get(3)?,
        run: reading.name_or_none(4)?,
        noted: reading.time(5)?,
        attempts: reading.get(6)?,
        last_attempt: reading.time_or_none(7)?,
        last_error: reading.get(8)?,
        settled: reading.time_or_none(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    #[test]
    fn an_orphan_is_listed_with_its_failed_removals_until_it_is_settled() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = "run-1".parse().expect("valid");
        let new = NewOrphan { kind: "directory", name: "/tmp/x", container: "", run: Some(&run), at: at(1) };
        let id = catalog.add_orphan(&new).expect("recorded");
        assert_eq!(catalog.add_orphan(&new).expect("again"), id);
        catalog.orphan_attempted(id, "busy", at(2)).expect("recorded");
        let open = catalog.orphans(false).expect("read");
        assert_eq!(
            (open[0].attempts, open[0].last_error.as_deref(), open[0].run.as_ref()),
            (1, Some("busy"), Some(&run))
        );
        let shown: (String, bool, i64) = catalog.raw(|db| {
            let sql = "SELECT type, cleanup_attempted, cleanup_attempts FROM orphaned_resources \
                       WHERE name = '/tmp/x' AND resource_group = '' AND last_cleanup_attempt > created_at";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("one row")
        });
        assert_eq!(shown, ("directory".into(), true, 1));
        catalog.settle_orphan(id, at(3)).expect("gone");
        catalog.settle_orphan(id, at(4)).expect("repeated");
        assert_eq!(catalog.orphans(false).expect("read"), []);
        assert_eq!(catalog.orphans(true).expect("read")[0].settled, Some(at(3)));
        assert_ne!(catalog.add_orphan(&new).expect("made once more"), id);
        assert!(matches!(catalog.settle_orphan(99, at(5)), Err(CatalogError::NotFound { .. })));
    }
}
