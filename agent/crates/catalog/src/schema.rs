//! Formats of the file and how an older one becomes the newest.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::CatalogError;

/// One script per format; the first makes format 1 from an empty file. Scripts are never changed once released.
const MIGRATIONS: &[&str] = &[include_str!("schema/0001-first.sql")];

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

    #[test]
    fn a_newer_format_is_refused_by_number() {
        let mut connection = fresh();
        connection.pragma_update(None, "user_version", 99).expect("set");
        let error = migrate(&mut connection).expect_err("newer");
        assert!(matches!(error, CatalogError::Newer { found: 99, known: 1 }), "{error}");
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
        let scripts = [MIGRATIONS[0], "CREATE TABLE half (x); CREATE TABLE backups (x);"];
        apply(&mut connection, &scripts).expect_err("the second statement cannot work");
        assert_eq!(version(&connection).expect("version"), 1);
        let half = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'half'", [], |row| row.get(0));
        assert_eq!(half, Ok(0_i64));
    }
}
