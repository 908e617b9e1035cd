//! What can go wrong on this machine, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use backstop_model::{Advice, ExitCode, Fault};

/// Why something on this machine did not work.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or directory that must exist does not.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// Something is there, but of the wrong kind, as a file where a directory must be.
    #[error("`{}` is not a {wanted}", path.display())]
    WrongKind {
        /// What is there.
        path: PathBuf,
        /// What it must be.
        wanted: &'static str,
    },
    /// The system forbids it to this user.
    #[error("may not {action} `{}`", path.display())]
    Denied {
        /// What was attempted, as in `write to`.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("cannot {action} `{}`: its file system is read-only", path.display())]
    ReadOnly {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// No space or no quota is left. What was there before is untouched.
    #[error("cannot {action} `{}`: no space is left", path.display())]
    Full {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// Others can read or change what only this program may.
    #[error("`{}` {why}", path.display())]
    Exposed {
        /// What is open to others.
        path: PathBuf,
        /// How.
        why: &'static str,
        /// What to do.
        hint: String,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// The URL names no place this build can reach.
    #[error("`{url}` cannot be opened: this build knows `file:///path`")]
    UnknownUrl {
        /// The URL.
        url: String,
    },
    /// A secret cannot be had. Names the reference, never the secret.
    #[error("the secret `{reference}` cannot be read: {why}")]
    Secret {
        /// The reference.
        reference: String,
        /// The cause in words.
        why: String,
    },
    /// Anything else the system says.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LocalError {
    /// Sorts an error of the system by what can be done about it.
    pub(crate) fn from_io(action: &'static str, path: &Path, source: io::Error) -> LocalError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => LocalError::Missing { path },
            io::ErrorKind::NotADirectory => LocalError::WrongKind { path, wanted: "directory" },
            io::ErrorKind::PermissionDenied => LocalError::Denied { action, path },
            io::ErrorKind::ReadOnlyFilesystem => LocalError::ReadOnly { action, path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LocalError::Full { action, path },
            _ => LocalError::Io { action, path, source },
        }
    }

    /// What the caller can do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            LocalError::Missing { .. }
            | LocalError::WrongKind { .. }
            | LocalError::Denied { .. }
            | LocalError::Exposed { .. }
            | LocalError::TooLarge { .. }
            | LocalError::UnknownUrl { .. }
            | LocalError::Secret { .. } => Advice::FixConfiguration,
            LocalError::ReadOnly { .. } | LocalError::Io { .. } => Advice::CallAPerson,
            LocalError::Full { .. } => Advice::Retry,
        }
    }

    /// The next thing to try, one line; empty when the message says it all.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            LocalError::Missing { .. } => "create it, mount it, or correct the path".to_owned(),
            LocalError::Denied { .. } => "run as a user who may, or correct the permissions".to_owned(),
            LocalError::ReadOnly { .. } => "mount it for writing, or choose another place".to_owned(),
            LocalError::Full { .. } => "free some space and run the same command again".to_owned(),
            LocalError::Exposed { hint, .. } => hint.clone(),
            LocalError::WrongKind { .. }
            | LocalError::TooLarge { .. }
            | LocalError::UnknownUrl { .. }
            | LocalError::Secret { .. }
            | LocalError::Io { .. } => String::new(),
        }
    }

    fn code(&self) -> ExitCode {
        match self {
            LocalError::Missing { .. } => ExitCode::NotFound,
            LocalError::Denied { .. } | LocalError::Secret { .. } => ExitCode::BadKey,
            LocalError::UnknownUrl { .. } | LocalError::Exposed { .. } => ExitCode::BadConfiguration,
            LocalError::WrongKind { .. } | LocalError::TooLarge { .. } => ExitCode::BadConfiguration,
            LocalError::Full { .. } => ExitCode::Temporary,
            LocalError::ReadOnly { .. } | LocalError::Io { .. } => ExitCode::Failed,
        }
    }
}

impl From<&LocalError> for Fault {
    fn from(error: &LocalError) -> Fault {
        let message = match error {
            LocalError::Io { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        Fault::new(error.code(), error.advice(), message, error.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_read_only_one_are_told_apart() {
        let fault = |errno: rustix::io::Errno| {
            Fault::from(&LocalError::from_io("write to", Path::new("/x"), io::Error::from(errno)))
        };
        let full = fault(rustix::io::Errno::NOSPC);
        assert_eq!((full.code, full.message.as_str()), (ExitCode::Temporary, "cannot write to `/x`: no space is left"));
        let read_only = fault(rustix::io::Errno::ROFS);
        assert_eq!(read_only.message, "cannot write to `/x`: its file system is read-only");
        assert_eq!(fault(rustix::io::Errno::DQUOT).code, ExitCode::Temporary);
        assert_eq!(fault(rustix::io::Errno::ACCESS).message, "may not write to `/x`");
        assert_eq!(fault(rustix::io::Errno::NOENT).code, ExitCode::NotFound);
    }
}
