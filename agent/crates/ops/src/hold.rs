//! `backup hold` and `backup release-hold`: a promise not to release a backup, and its end. Written into the audit log
//! before it takes effect.

use backstop_model::{BackupState, Fault, Hold, Timestamp};
use serde::Serialize;

use crate::Context;
use crate::gate::validation::{Asked, validate};
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
    for backup in &backups {
        let word = if hold.is_some() { "hold" } else { "release-hold" };
        let asked = Asked::new(word, Some(&backup.workload)).backup(Some(&backup.name)).because(&request.reason);
        validate(ctx, asked, false)?;
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

#[cfg(test)]
mod tests {
    use backstop_model::Level;

    use super::*;
    use crate::fixture::{backup, context, t};

    fn asked(reason: &str) -> Request {
        Request { backups: vec!["b1".into()], reason: reason.into() }
    }

    #[test]
    fn a_hold_is_recorded_with_who_and_why_and_ends_again() {
        let (ctx, _) = context();
        ctx.catalog.record_backup(&backup("b1", "2026-05-20T02:00:00Z", Level::L3)).expect("recorded");
        hold(&ctx, &asked("audit")).expect("held");
        let held = ctx.backup("b1").expect("there").hold.expect("held");
        assert_eq!((held.by.as_str(), held.reason.as_str()), ("ann@ops", "audit"));
        release_hold(&ctx, &asked("over")).expect("released");
        assert_eq!(ctx.backup("b1").expect("there").hold, None);
        let log = ctx.catalog.audit(&Default::default()).expect("read");
        let log: Vec<(&str, &str)> = log.iter().map(|entry| (entry.verb.as_str(), entry.reason.as_str())).collect();
        assert_eq!(log, [("backup release-hold", "over"), ("backup hold", "audit")]);
    }

    #[test]
    fn a_hold_without_a_reason_or_on_what_is_gone_changes_nothing() {
        let (ctx, _) = context();
        let mut gone = backup("b1", "2026-05-20T02:00:00Z", Level::L3);
        gone.state = BackupState::Purged { at: t("2026-05-20T03:00:00Z") };
        ctx.catalog.record_backup(&gone).expect("recorded");
        assert_eq!(hold(&ctx, &asked(" ")).expect_err("no reason").code, backstop_model::ExitCode::Usage);
        assert_eq!(hold(&ctx, &asked("audit")).expect_err("purged").code, backstop_model::ExitCode::NotFound);
        assert!(ctx.catalog.audit(&Default::default()).expect("read").is_empty());
    }
}
