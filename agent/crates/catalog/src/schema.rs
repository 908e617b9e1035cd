//! Formats of the file and how an older one becomes the newest.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::CatalogError;

/// One script per format; the first makes format 1 from an empty file. Scripts are never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001-first.sql"),
    include_str!("schema/0002-policies.sql"),
    include_str!("schema/0003-runs.sql"),
];

/// Marks the file as ours ("BSTP"), so that another program's database is not taken for a damaged catalog.
const APPLICATION_ID: i64 = 1_112_757_328;

/// Brings the file to the newest format, all or nothing.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), CatalogError> {
    apply(connection, MIGRATIONS)
}

fn apply(connection: &mut Connection, migrations: &[&str]) -> Result<(), CatalogError> {
    let known = i64::try_from(migrations.len()).expect("a handful");
    if version(connection)? == known {
        return is_ours(connection);
    }
    // Another process may be at the same: whoever comes second finds nothing left to do.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found > known || found < 0 {
        return Err(CatalogError::Newer { found, known });
    }
    if found > 0 {
        is_ours(&transaction)?;
    } else if transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? > 0 {
        return Err(foreign());
    }
    for script in migrations.iter().skip(usize::try_from(found).expect("not negative")) {
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, CatalogError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn is_ours(connection: &Connection) -> Result<(), CatalogError> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id == APPLICATION_ID { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> CatalogError {
    CatalogError::damaged("file", "this is a database of another program")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection).expect("first format");
        connection
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = fresh();
        connection.execute("INSERT INTO trusted_time VALUES (1, 5)", []).expect("insert");
        migrate(&mut connection).expect("again");
        let kept: i64 = connection.query_row("SELECT highest FROM trusted_time", [], |row| row.get(0)).expect("kept");
        assert_eq!(kept, 5);
    }

    /// A file of version 1 with something in it.
    fn first_format(path: &std::path::Path) {
        let mut connection = Connection::open(path).expect("new");
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).expect("wal");
        apply(&mut connection, &MIGRATIONS[..1]).expect("first format");
        let rows = "INSERT INTO backups (id, name, workload, created, tiers, mode, size, entries, state, run) \
                    VALUES (1, 'docs-backup-daily-1', 'docs', 5, 'daily', 1, 10, 3, 0, 'run-1'); \
                    INSERT INTO trusted_time VALUES (1, 7);";
        connection.execute_batch(rows).expect("rows");
    }

    #[test]
    fn a_file_of_version_1_keeps_its_rows_and_gains_the_tables_of_policies() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        first_format(&path);
        let catalog = crate::Catalog::open(&path, crate::fixture::at(9)).expect("brought up to date");
        assert_eq!(catalog.backups(&crate::BackupFilter::default()).expect("read").len(), 1);
        assert_eq!(catalog.decisions(&crate::DecisionFilter::default()).expect("read"), []);
        assert_eq!(catalog.outbox(&crate::OutboxFilter::default()).expect("read"), []);
        catalog.check_file().expect("whole");
    }

    #[test]
    fn of_several_processes_that_open_an_old_file_one_brings_it_up_to_date() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        first_format(&path);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let catalog = crate::Catalog::open(&path, crate::fixture::at(9)).expect("opened");
                    assert_eq!(catalog.backups(&crate::BackupFilter::default()).expect("read").len(), 1);
                });
            }
        });
    }

    #[test]
    fn a_newer_format_is_refused_by_number() {
        let mut connection = fresh();
        connection.pragma_update(None, "user_version", 99).expect("set");
        let error = migrate(&mut connection).expect_err("newer");
        assert!(matches!(error, CatalogError::Newer { found: 99, known: 3 }), "{error}");
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 0;").expect("theirs");
        let error = migrate(&mut connection).expect_err("foreign");
        assert!(error.to_string().contains("another program"), "{error}");
        connection.pragma_update(None, "user_version", 1).expect("set");
        assert!(migrate(&mut connection).is_err());
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let mut connection = fresh();
        let mut scripts = MIGRATIONS.to_vec();
        scripts.push("CREATE TABLE half (x); CREATE TABLE backups (x);");
        apply(&mut connection, &scripts).expect_err("the second statement cannot work");
        assert_eq!(version(&connection).expect("version"), 3);
        let half = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'half'", [], |row| row.get(0));
        assert_eq!(half, Ok(0_i64));
    }
}
