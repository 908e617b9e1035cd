//! `approval …` and `alert …`.

use backstop_model::policy::approval::{Approval, ApprovalState};
use backstop_ops::{alerts, approvals};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted};

/// Requests that wait.
pub fn approvals(look: &Look, listed: &approvals::Listed) -> String {
    if listed.approvals.is_empty() {
        return "nothing waits for approval\n".to_owned();
    }
    let mut out = String::new();
    for approval in &listed.approvals {
        let about = about(approval);
        let state = match approval.state {
            ApprovalState::Pending => look.paint(Tone::Warning, "pending"),
            state => state.to_string(),
        };
        out.push_str(&format!("{}  {state}  {about}\n", approval.id));
        out.push_str(&format!("   asked by {} {}\n", approval.asked_by, look.age(approval.asked_at)));
        out.push_str(&format!("   {}\n", approval.message));
        if let Some(by) = &approval.decided_by {
            let why = if approval.reason.is_empty() { String::new() } else { format!(": {}", approval.reason) };
            out.push_str(&format!("   {} by {by}{why}\n", approval.state));
        }
    }
    out
}

fn about(approval: &Approval) -> String {
    let request = &approval.request;
    let workload = request.workload.as_ref().map_or(String::new(), |workload| format!(" {workload}"));
    let backup = request.backup.as_ref().map_or(String::new(), |backup| format!(" {backup}"));
    let why = if request.reason.is_empty() { String::new() } else { format!(", because: {}", request.reason) };
    format!("{}{workload}{backup}{why}", request.verb)
}

/// What was decided about a request.
pub fn decided(approval: &Approval) -> String {
    let next = match approval.state {
        ApprovalState::Approved => format!("{} may give the same command again; it passes once", approval.asked_by),
        _ => "the request does not pass".to_owned(),
    };
    format!("request {} is {}: {}\n{next}\n", approval.id, approval.state, about(approval))
}

/// Alerts.
pub fn alerts(look: &Look, listed: &alerts::Listed) -> String {
    if listed.alerts.is_empty() {
        return "no alerts\n".to_owned();
    }
    let mut table = Table::new(0).right(&[0]);
    for outgoing in &listed.alerts {
        table.row([
            outgoing.id.to_string(),
            look.age(outgoing.raised),
            outgoing.alert.kind.clone(),
            outgoing.sink.as_ref().map_or_else(|| "no sink".to_owned(), ToString::to_string),
            outgoing.state.to_string(),
            counted(u64::from(outgoing.attempts), "attempt"),
            outgoing.alert.title.clone(),
            outgoing.last_error.clone().unwrap_or_default(),
        ]);
    }
    table.text()
}

/// What a delivery round did.
pub fn delivered(delivered: &alerts::Delivered) -> String {
    let mut out = format!("{} delivered, {} to be tried again\n", delivered.delivered, delivered.waiting);
    delivered.fallback.iter().for_each(|line| out.push_str(&format!("no sink took it over: {line}\n")));
    out
}
