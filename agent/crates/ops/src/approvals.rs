//! `approval list`, `approval approve`, `approval deny`: requests that wait for another person.
//!
//! What makes a request the same when it is made again is a digest over all of it: the verb, what it concerns, who asks
//! and why, and every field. So an approval is for exactly what was shown to whoever approved, and passes once.

use backstop_catalog::{ApprovalFilter, ApprovalRuling, NewApproval};
use backstop_model::policy::approval::{Approval, ApprovalState};
use backstop_model::policy::validation::Request;
use backstop_model::{Advice, ExitCode, Fault, PolicyName, Span, Timestamp};
use serde::Serialize;

use crate::context::Context;

/// For how long a request waits, and for how long an approval counts.
pub const LASTS: Span = Span::from_days(1);

/// Requests and what became of them.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// When this was read.
    pub now: Timestamp,
    /// Newest first.
    pub approvals: Vec<Approval>,
}

/// Lists requests that wait, or all.
///
/// # Errors
/// When the catalog cannot be read.
pub fn list(ctx: &Context, all: bool, limit: Option<u32>) -> Result<Listed, Fault> {
    let now = ctx.now()?;
    let states = if all { Vec::new() } else { vec![ApprovalState::Pending, ApprovalState::Approved] };
    let approvals = ctx.catalog.approvals(&ApprovalFilter { states, limit, fingerprint: None }, now)?;
    Ok(Listed { now, approvals })
}

/// Approves a request that somebody else made, or denies it.
///
/// # Errors
/// An unknown or decided request; `Refused` when whoever decides made it.
pub fn decide(ctx: &Context, id: i64, approve: bool, reason: &str) -> Result<Approval, Fault> {
    let now = ctx.now()?;
    let approval = ctx.catalog.approval(id, now)?;
    if approval.state != ApprovalState::Pending {
        return Err(Fault::usage(format!("request {id} is {}", approval.state), "make the request again"));
    }
    let by = &ctx.outside.by;
    if approve && *by == approval.asked_by {
        return Err(Fault::new(
            ExitCode::Refused,
            Advice::CallAPerson,
            format!("request {id} is your own: {by} made it"),
            "another person must approve it",
        ));
    }
    let verb = if approve { "approval approve" } else { "approval deny" };
    let details = serde_json::json!({ "approval": id, "request": approval.request, "policy": approval.policy });
    ctx.audit(verb, &id.to_string(), reason, details)?;
    Ok(ctx.catalog.approval_decide(id, &ApprovalRuling { approve, by, reason, at: now })?)
}

/// What makes a request the same when it is made again.
fn fingerprint(request: &Request) -> String {
    let text = serde_json::to_string(request).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Whether the request would pass.
pub(crate) fn is_approved(ctx: &Context, request: &Request) -> Result<bool, Fault> {
    Ok(last(ctx, request)?.is_some_and(|approval| approval.state == ApprovalState::Approved))
}

fn last(ctx: &Context, request: &Request) -> Result<Option<Approval>, Fault> {
    let fingerprint = Some(fingerprint(request));
    let filter = ApprovalFilter { fingerprint, limit: Some(1), ..ApprovalFilter::default() };
    Ok(ctx.catalog.approvals(&filter, ctx.outside.clock.now())?.pop())
}

/// Lets an approved request pass, once. Any other is put where another person finds it.
///
/// # Errors
/// `Refused` while nobody has approved it.
pub(crate) fn pass(ctx: &Context, request: &Request, policy: &PolicyName, held: &[String]) -> Result<String, Fault> {
    let now = ctx.outside.clock.now();
    let digest = fingerprint(request);
    if let Some(used) = ctx.catalog.approval_use(&digest, now)? {
        return Ok(format!("request {} was approved by {}", used.id, used.decided_by.unwrap_or_default()));
    }
    let last = last(ctx, request)?;
    if let Some(denied) = last.filter(|known| known.state == ApprovalState::Denied && known.expires > now) {
        let why = if denied.reason.is_empty() { String::new() } else { format!(": {}", denied.reason) };
        let message = format!("request {} was denied by {}{why}", denied.id, denied.decided_by.unwrap_or_default());
        return Err(Fault::refused(message, "ask for something else, or talk to whoever denied it"));
    }
    let asked = ctx.catalog.approval_ask(&NewApproval {
        fingerprint: &digest,
        request,
        policy,
        message: &held.join("; "),
        by: &ctx.outside.by,
        at: now,
        expires: LASTS.after(now),
    })?;
    Err(Fault::refused(
        held.join("; "),
        format!("ask somebody else: `backstop approval approve {}`, then give the same command again", asked.id),
    ))
}
