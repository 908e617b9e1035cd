//! `audit show` and `audit verify`: who did what, why, and whether the log is as it was written.

use backstop_catalog::{AuditCheck, AuditFilter};
use backstop_model::{AuditEntry, Fault, Timestamp};
use serde::Serialize;

use crate::Context;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Of this verb, as `backup hold`.
    pub verb: Option<String>,
    /// About exactly this.
    pub subject: Option<String>,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// Entries of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Entries {
    /// When this was read.
    pub now: Timestamp,
    /// Newest first.
    pub entries: Vec<AuditEntry>,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether every entry is as it was written and none is missing.
    pub whole: bool,
    /// How many entries there are, if it is whole.
    pub entries: Option<u64>,
    /// Number of the first entry that is not as written, or missing.
    pub broken_at: Option<u64>,
    /// How it shows.
    pub why: Option<&'static str>,
}

/// Shows entries.
///
/// # Errors
/// A catalog that cannot be read.
pub fn show(ctx: &Context, request: &Request) -> Result<Entries, Fault> {
    let filter = AuditFilter {
        since: request.since,
        verb: request.verb.clone(),
        subject: request.subject.clone(),
        limit: request.limit,
    };
    Ok(Entries { now: ctx.outside.clock.now(), entries: ctx.catalog.audit(&filter)? })
}

/// Recomputes the chain from its beginning.
///
/// # Errors
/// A catalog that cannot be read; a broken chain is an answer.
pub fn verify(ctx: &Context) -> Result<Verified, Fault> {
    Ok(match ctx.catalog.audit_verify()? {
        AuditCheck::Whole { entries } => Verified { whole: true, entries: Some(entries), broken_at: None, why: None },
        AuditCheck::Broken { seq, why } => {
            Verified { whole: false, entries: None, broken_at: Some(seq), why: Some(why) }
        }
    })
}
