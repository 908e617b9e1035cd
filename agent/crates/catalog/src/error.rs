//! What can go wrong, by what the caller can do about it.

use backstop_model::{Advice, ExitCode, Fault, Timestamp};
use rusqlite::ErrorCode;

/// Why the catalog could not do as asked. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// Another process was writing for longer than we wait.
    #[error("the catalog is busy: another process is writing to it")]
    Locked,
    /// The disk is full.
    #[error("the catalog cannot grow: the disk is full")]
    Full,
    /// The file or its directory cannot be written, or not even opened.
    #[error("the catalog cannot be written: {what}")]
    Unwritable {
        /// The system's words.
        what: String,
    },
    /// What is stored makes no sense.
    #[error("the catalog is damaged: {table}: {what}")]
    Damaged {
        /// The table, or `file`.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The file was written by a newer program.
    #[error("the catalog has format {found}, and this program knows formats up to {known}")]
    Newer {
        /// The format found.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// Nothing of that name.
    #[error("no {what} named `{name}`")]
    NotFound {
        /// `backup`, `run`, …
        what: &'static str,
        /// As asked for.
        name: String,
    },
    /// A shortened name fits more than one.
    #[error("`{prefix}` fits more than one {what}: {}", candidates.join(", "))]
    Ambiguous {
        /// `backup` or `run`.
        what: &'static str,
        /// As asked for.
        prefix: String,
        /// Some of those that fit, at most five.
        candidates: Vec<String>,
    },
    /// The name is taken by something else.
    #[error("there is already another {what} named `{name}`")]
    Exists {
        /// `backup`, `run`, …
        what: &'static str,
        /// The name.
        name: String,
    },
    /// It has been decided, used or has expired.
    #[error("{what} `{name}` is {state} already")]
    Settled {
        /// `approval`
        what: &'static str,
        /// Its number.
        name: String,
        /// Where it stands.
        state: String,
    },
    /// Somebody else holds the lease.
    #[error("`{key}` is in use by {by} until {until}")]
    Held {
        /// The key asked for.
        key: String,
        /// Its owner.
        by: String,
        /// When it ends, unless renewed.
        until: Timestamp,
    },
    /// The lease passed to somebody else, was released, or ran out: the caller must stop at once.
    #[error("the lease on `{key}` was lost: {why}")]
    LeaseLost {
        /// Its key.
        key: String,
        /// How it was lost.
        why: &'static str,
    },
    /// The value has no stored form.
    #[error("this cannot be recorded: {what}")]
    Unstorable {
        /// Why not.
        what: String,
    },
    /// SQLite refused for a reason that only a mistake of ours explains.
    #[error("the catalog refused a statement")]
    Refused(#[source] rusqlite::Error),
}

impl CatalogError {
    pub(crate) fn damaged(table: &'static str, what: impl Into<String>) -> Self {
        Self::Damaged { table, what: what.into() }
    }

    /// The error as the doors and the journal see it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let message = match self {
            // Display does not repeat the source, and a fault keeps none.
            CatalogError::Refused(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        };
        let (code, advice, hint) = match self {
            CatalogError::Locked => (ExitCode::Temporary, Advice::Wait, "try again in a moment"),
            CatalogError::Full => (ExitCode::Temporary, Advice::Retry, "free space under `state_dir` and try again"),
            CatalogError::Unwritable { .. } => (
                ExitCode::BadConfiguration,
                Advice::FixConfiguration,
                "`state_dir` must be a directory on a local disk that this user can write",
            ),
            CatalogError::Damaged { .. } => (
                ExitCode::Failed,
                Advice::CallAPerson,
                "`backstop catalog rebuild` makes it anew from what the vaults hold",
            ),
            CatalogError::Newer { .. } => {
                (ExitCode::BadConfiguration, Advice::FixConfiguration, "use the newer program")
            }
            CatalogError::NotFound { what: "backup", .. } => {
                (ExitCode::NotFound, Advice::FixConfiguration, "`backstop backup list` shows the names")
            }
            CatalogError::NotFound { what: "run", .. } => {
                (ExitCode::NotFound, Advice::FixConfiguration, "`backstop run list` shows the ids")
            }
            CatalogError::NotFound { what: "approval", .. } => {
                (ExitCode::NotFound, Advice::FixConfiguration, "`backstop approval list` shows the numbers")
            }
            CatalogError::NotFound { .. } => (ExitCode::NotFound, Advice::FixConfiguration, ""),
            CatalogError::Ambiguous { .. } => (ExitCode::Usage, Advice::FixConfiguration, "give more of the name"),
            CatalogError::Exists { .. } => (ExitCode::Failed, Advice::CallAPerson, ""),
            CatalogError::Settled { .. } => {
                (ExitCode::Refused, Advice::CallAPerson, "make the request again to ask for a new one")
            }
            CatalogError::Held { .. } => {
                (ExitCode::Busy, Advice::Wait, "wait for it; the lease of a crashed process ends by itself")
            }
            CatalogError::LeaseLost { .. } => {
                (ExitCode::Busy, Advice::Wait, "another process has taken over; nothing more was done here")
            }
            CatalogError::Unstorable { .. } => {
                (ExitCode::Failed, Advice::FixConfiguration, "paths given to the agent must be UTF-8")
            }
            CatalogError::Refused(_) => (ExitCode::Failed, Advice::CallAPerson, ""),
        };
        Fault::new(code, advice, message, hint)
    }
}

impl From<CatalogError> for Fault {
    fn from(error: CatalogError) -> Fault {
        error.fault()
    }
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        let words = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogError::Locked,
            Some(ErrorCode::DiskFull) => CatalogError::Full,
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport,
            ) => CatalogError::Unwritable { what: words },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                CatalogError::Damaged { table: "file", what: words }
            }
            _ => CatalogError::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_and_code_says_what_the_caller_can_do() {
        let held = CatalogError::Held { key: "vault:main".into(), by: "a".into(), until: Timestamp::UNIX_EPOCH };
        assert_eq!((held.fault().code, held.fault().advice), (ExitCode::Busy, Advice::Wait));
        assert!(CatalogError::damaged("backups", "x").fault().hint.contains("`backstop catalog rebuild`"));
        assert_eq!(CatalogError::Locked.fault().code, ExitCode::Temporary);
        let missing = CatalogError::NotFound { what: "backup", name: "x".into() };
        assert_eq!(missing.fault().message, "no backup named `x`");
        assert_eq!(missing.fault().code, ExitCode::NotFound);
    }
}
