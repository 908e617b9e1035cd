//! `backup hold` and `backup release-hold`: a promise not to release a backup, and its end. Written into the audit log
//! before it takes effect.

use backstop_model::{BackupState, Fault, Hold, Timestamp};
use serde::Serialize;

use crate::Context;
use crate::row::Row;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which backups: names or beginnings of them.
    pub backups: Vec<String>,
    /// Why.
    pub reason: String,
}

/// What was changed.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// When.
    pub now: Timestamp,
    /// Whether they are held now.
    pub held: bool,
    /// The backups as they are recorded now.
    pub backups: Vec<Row>,
}

/// Holds backups. Holding one that is held renews the reason.
///
/// # Errors
/// No such backup, or one that is gone for ever; nothing is changed then.
pub fn hold(ctx: &Context, request: &Request) -> Result<Held, Fault> {
    if request.reason.trim().is_empty() {
        return Err(Fault::usage("a hold needs a reason", "say why with `--reason TEXT`"));
    }
    let now = ctx.now()?;
    let hold = Hold { reason: request.reason.clone(), by: ctx.outside.by.clone(), since: now };
    set(ctx, request, "backup hold", Some(&hold), now)
}

/// Ends the hold of backups. One that is not held stays so.
///
/// # Errors
/// As [`hold`].
pub fn release_hold(ctx: &Context, request: &Request) -> Result<Held, Fault> {
    let now = ctx.now()?;
    set(ctx, request, "backup release-hold", None, now)
}

fn set(ctx: &Context, request: &Request, verb: &str, hold: Option<&Hold>, now: Timestamp) -> Result<Held, Fault> {
    let mut backups = Vec::new();
    for shortened in &request.backups {
        let backup = ctx.backup(shortened)?;
        if let BackupState::Purged { at } = backup.state {
            let message = format!("backup `{}` was purged at {at}", backup.name);
            return Err(Fault::not_found(message, "`backstop backup list` shows what is kept"));
        }
        backups.push(backup);
    }
    for backup in &mut backups {
        let before = backup.hold.as_ref().map(|hold| hold.reason.clone());
        let details = serde_json::json!({ "held_before": before });
        ctx.audit(verb, backup.name.as_str(), &request.reason, details)?;
        ctx.catalog.set_hold(&backup.name, hold.cloned())?;
        backup.hold = hold.cloned();
    }
    let rows = backups.iter().map(|backup| Row::of(&ctx.config, backup)).collect();
    Ok(Held { now, held: hold.is_some(), backups: rows })
}
