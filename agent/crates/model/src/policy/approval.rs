//! Requests that wait for another person.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::validation::Request;
use crate::name::PolicyName;
use crate::time::Timestamp;

/// Where an approval is in its life. Only `approved` lets a request pass, and passing makes it `used`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Nobody has decided.
    Pending,
    /// The request may pass once.
    Approved,
    /// The request may not pass.
    Denied,
    /// The request has passed.
    Used,
    /// It came to nothing in time: nobody decided, or the request was not made again.
    Expired,
}

impl ApprovalState {
    /// Every state.
    pub const ALL: [ApprovalState; 5] = [
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Used,
        ApprovalState::Expired,
    ];
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ApprovalState::Pending => "pending",
            ApprovalState::Approved => "approved",
            ApprovalState::Denied => "denied",
            ApprovalState::Used => "used",
            ApprovalState::Expired => "expired",
        })
    }
}

/// A request that a validation policy wants another person to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its number; never given twice.
    pub id: i64,
    /// What makes the request the same when it is made again.
    pub fingerprint: String,
    /// The request.
    pub request: Request,
    /// The policy that asks for it.
    pub policy: PolicyName,
    /// Why, in the policy's words.
    pub message: String,
    /// Who made the request, as `user@host`.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// From then on it counts for nothing.
    pub expires: Timestamp,
    /// Where it is.
    pub state: ApprovalState,
    /// Who approved or denied it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// When the request passed.
    pub used_at: Option<Timestamp>,
}
