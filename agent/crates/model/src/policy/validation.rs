//! Questions about requests. See `wit/1.0.0/validation.wit`.

use serde::{Deserialize, Serialize};

use super::{CivilTime, Field};
use crate::name::WorkloadName;

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The verb, as listed in the WIT.
    pub verb: String,
    /// The workload it concerns.
    pub workload: Option<WorkloadName>,
    /// The backup it concerns.
    pub backup: Option<String>,
    /// `user@host`.
    pub by: String,
    /// Why; empty when nothing was said.
    pub reason: String,
    /// The agent's schedule asks, no person.
    pub scheduled: bool,
    /// The rest of the request.
    pub fields: Vec<Field>,
}

/// Whether a request is acceptable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ValidationQuestion {
    pub now: i64,
    pub local: CivilTime,
    pub settings: Vec<Field>,
    pub request: Request,
}

/// What a finding does to a request; in order of care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// It goes on; the message is shown and recorded.
    Warn,
    /// It waits for another person's approval.
    AskApproval,
    /// It is refused.
    Deny,
}

/// Something to say about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it does.
    pub ruling: Ruling,
    /// What is wrong and what to do.
    pub message: String,
    /// The field it concerns.
    pub field: Option<String>,
}
