//! The open file: how it is opened, read and written.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backstop_model::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::CatalogError;
use crate::schema;

/// How long a statement waits for another process before it says [`CatalogError::Locked`].
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// The open catalog. Shared between threads; one statement runs at a time. A change that returned is on disk.
pub struct Catalog {
    connection: Mutex<Connection>,
}

impl Catalog {
    /// Opens the file, making its tables when it is new and bringing an older format up to date, and notes `now`
    /// ([`Catalog::note_time`]).
    ///
    /// The directory and the file's permission bits are the caller's business; SQLite gives its side files those of
    /// the file itself.
    ///
    /// # Errors
    /// [`CatalogError::Newer`] for a format of a newer program, `Unwritable` and `Full` when the place does not
    /// admit a database, `Damaged` when the file is none of ours.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, CatalogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(LOCK_WAIT_MAX)?;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            let what = format!("this file system cannot hold a write-ahead log (journal mode `{mode}`)");
            return Err(CatalogError::Unwritable { what });
        }
        let catalog = Self::prepared(connection)?;
        catalog.note_time(now)?;
        Ok(catalog)
    }

    /// A catalog that lives as long as the value, for tests and dry runs.
    ///
    /// # Errors
    /// None in practice.
    pub fn in_memory() -> Result<Self, CatalogError> {
        Self::prepared(Connection::open_in_memory()?)
    }

    fn prepared(mut connection: Connection) -> Result<Self, CatalogError> {
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Values of the file are outside input: views and triggers must not reach functions that touch the outside.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Checks the file's structure from end to end; for `doctor`. Takes about a second per 100 MB.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] with SQLite's first finding.
    pub fn check_file(&self) -> Result<(), CatalogError> {
        self.read(|transaction| {
            let found: String = transaction.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if found == "ok" { Ok(()) } else { Err(CatalogError::damaged("file", found)) }
        })
    }

    /// One consistent view for several statements.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let result = work(&transaction)?;
        transaction.finish()?;
        Ok(result)
    }

    /// All or nothing, and durable when it returns.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// A panic elsewhere rolled its transaction back, so the connection is as good as before.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn raw<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&self.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn shared<T: Send + Sync>() {}

    #[test]
    fn a_catalog_can_be_shared_between_threads() {
        shared::<Catalog>();
    }

    #[test]
    fn what_was_written_is_there_after_opening_again_and_for_a_second_process() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        let first = Catalog::open(&path, fixture::at(1)).expect("new");
        let backup = fixture::backup("docs", 1);
        first.record_backup(&backup).expect("recorded");
        let second = Catalog::open(&path, fixture::at(2)).expect("beside the first");
        assert_eq!(second.backup(&backup.name).expect("read"), Some(backup));
        let (synchronous, mode) = first.raw(|connection| {
            let number: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("pragma");
            let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("pragma");
            (number, mode)
        });
        assert_eq!((synchronous, mode.as_str()), (2, "wal"));
        first.check_file().expect("whole");
    }

    #[test]
    fn a_place_that_admits_no_database_is_named_unwritable() {
        let dir = tempfile::tempdir().expect("temporary");
        for path in [dir.path().join("missing/catalog.db"), dir.path().to_owned()] {
            let Err(error) = Catalog::open(&path, fixture::at(1)) else { panic!("{}", path.display()) };
            assert!(matches!(error, CatalogError::Unwritable { .. }), "{error}");
        }
        let catalog = Catalog::in_memory().expect("memory");
        catalog.raw(|connection| connection.pragma_update(None, "query_only", true)).expect("pragma");
        let error = catalog.record_backup(&fixture::backup("docs", 1)).expect_err("read-only");
        assert!(matches!(error, CatalogError::Unwritable { .. }), "{error}");
    }

    #[test]
    fn a_full_disk_is_named_and_nothing_is_half_written() {
        let dir = tempfile::tempdir().expect("temporary");
        let catalog = Catalog::open(&dir.path().join("catalog.db"), fixture::at(1)).expect("new");
        catalog.raw(|connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pragma");
            connection.pragma_update(None, "max_page_count", pages).expect("pragma");
        });
        let mut recorded = Vec::new();
        let error = (0..10_000).find_map(|n| {
            let backup = fixture::backup("docs", n);
            let result = catalog.record_backup(&backup);
            recorded.push(backup.name);
            result.err()
        });
        assert!(matches!(error, Some(CatalogError::Full)), "{error:?}");
        let last = recorded.pop().expect("one failed");
        assert_eq!(catalog.backup(&last).expect("readable"), None);
        assert_eq!(catalog.backups(&crate::BackupFilter::default()).expect("readable").len(), recorded.len());
    }

    #[test]
    fn a_file_that_is_no_database_is_damaged_not_overwritten() {
        let mut file = tempfile::NamedTempFile::new().expect("temporary");
        std::io::Write::write_all(&mut file, &[b'x'; 5000]).expect("written");
        let Err(error) = Catalog::open(file.path(), fixture::at(1)) else { panic!("opened") };
        assert!(matches!(error, CatalogError::Damaged { table: "file", .. }), "{error}");
    }

    #[test]
    fn a_writer_that_does_not_end_is_waited_for_and_then_named() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        let (first, second) =
            (Catalog::open(&path, fixture::at(1)).expect("new"), Catalog::open(&path, fixture::at(1)).expect("same"));
        second.raw(|connection| connection.busy_timeout(Duration::from_millis(20))).expect("shorter");
        first.raw(|connection| connection.execute_batch("BEGIN IMMEDIATE")).expect("begun");
        let error = second.record_backup(&fixture::backup("docs", 1)).expect_err("locked");
        assert!(matches!(error, CatalogError::Locked), "{error}");
        assert_eq!(second.backups(&crate::BackupFilter::default()).expect("readers never wait").len(), 0);
    }
}
