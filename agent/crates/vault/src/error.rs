//! What can go wrong in a vault, by what the caller can do about it.

use backstop_model::{Advice, ExitCode, Fault};

/// An error of the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The object store did not do what it was asked.
    #[error("the store failed at `{object}`")]
    Store {
        /// The object or prefix in question.
        object: String,
        /// The store's own words.
        #[source]
        source: object_store::Error,
    },
    /// There is no vault here.
    #[error("there is no vault at {place}")]
    NotAVault {
        /// Where.
        place: String,
    },
    /// Something that is not a vault is here, or a vault already.
    #[error("{place} is not empty: {found}")]
    Occupied {
        /// Where.
        place: String,
        /// What is there.
        found: String,
    },
    /// The vault was written by a newer version.
    #[error("this vault has format {found}; this program reads formats up to {known}")]
    NewerFormat {
        /// The vault's format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// No key slot opens with this secret.
    #[error("the key opens none of this vault's {slots} key slots")]
    WrongKey {
        /// How many slots were tried.
        slots: usize,
    },
    /// Bytes were read that are not what was written.
    #[error("`{object}` is damaged: {why}")]
    Damaged {
        /// The object.
        object: String,
        /// What does not fit.
        why: String,
    },
    /// An object that should be there is not.
    #[error("`{object}` is missing")]
    Missing {
        /// The object.
        object: String,
    },
    /// A chunk that a snapshot refers to is in no index.
    #[error("chunk {chunk} is in no index")]
    UnknownChunk {
        /// The chunk, shortened.
        chunk: String,
    },
    /// No snapshot of this id.
    #[error("there is no snapshot {id}")]
    NoSnapshot {
        /// The id.
        id: String,
    },
    /// No such path in the snapshot.
    #[error("the backup holds no `{path}`")]
    NoPath {
        /// The path, shown.
        path: String,
    },
    /// The workload cannot be listed.
    #[error(transparent)]
    Source(#[from] backstop_seams::SourceFault),
    /// The target cannot be written.
    #[error("cannot write `{path}`")]
    Target {
        /// The path, shown.
        path: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// Stopped on request; what was written stays useful for the next try.
    #[error("interrupted")]
    Interrupted,
    /// Another process pruned while this run was under way for longer than the grace period.
    #[error("packs this run relied on were marked for removal while it ran")]
    Overtaken,
    /// The request contradicts the vault's state.
    #[error("{0}")]
    Refused(String),
}

impl VaultError {
    /// Damage in `object`.
    pub(crate) fn damaged(object: impl Into<String>, why: impl Into<String>) -> Self {
        VaultError::Damaged { object: object.into(), why: why.into() }
    }

    /// Whether this is damage or loss of one object, which other snapshots may not share.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, VaultError::Damaged { .. } | VaultError::Missing { .. } | VaultError::UnknownChunk { .. })
    }

    /// What the doors show for it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        let full = message.contains("No space left") || message.contains("Disk quota");
        let (code, advice, hint) = match self {
            VaultError::Store { .. } | VaultError::Target { .. } if full => (
                ExitCode::Failed,
                Advice::CallAPerson,
                "the disk is full; nothing that was there is lost. make room and run the same command again",
            ),
            VaultError::Store { .. } => {
                (ExitCode::Temporary, Advice::Retry, "check that the place can be reached and written")
            }
            VaultError::NotAVault { .. } => (
                ExitCode::NotFound,
                Advice::FixConfiguration,
                "create it with `backstop vault init NAME`, or correct its `url`",
            ),
            VaultError::Occupied { .. } => {
                (ExitCode::Refused, Advice::FixConfiguration, "give the vault an empty place of its own")
            }
            VaultError::NewerFormat { .. } => {
                (ExitCode::Failed, Advice::FixConfiguration, "install a version of backstop that knows this format")
            }
            VaultError::WrongKey { .. } => {
                (ExitCode::BadKey, Advice::FixConfiguration, "check the `key` of this vault in the configuration")
            }
            VaultError::Damaged { .. } | VaultError::Missing { .. } | VaultError::UnknownChunk { .. } => (
                ExitCode::Failed,
                Advice::CallAPerson,
                "`backstop backup verify-all` names every backup this touches; the others still restore",
            ),
            VaultError::NoSnapshot { .. } | VaultError::NoPath { .. } => (
                ExitCode::NotFound,
                Advice::FixConfiguration,
                "`backstop backup list` and `backstop backup find` show what there is",
            ),
            VaultError::Source(_) => (ExitCode::Failed, Advice::FixConfiguration, "check the workload's `paths`"),
            VaultError::Target { .. } => (ExitCode::Failed, Advice::FixConfiguration, "check the place to restore to"),
            VaultError::Interrupted => return Fault::interrupted(),
            VaultError::Overtaken => (
                ExitCode::Temporary,
                Advice::Retry,
                "run the same command again; raise `prune_grace` above the longest backup",
            ),
            VaultError::Refused(_) => (ExitCode::Refused, Advice::FixConfiguration, ""),
        };
        Fault::new(code, advice, message, hint)
    }
}

/// The result of most things here.
pub type Result<T> = std::result::Result<T, VaultError>;
