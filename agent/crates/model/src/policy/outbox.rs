//! Alerts on their way.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use crate::name::PolicyName;
use crate::time::Timestamp;

/// How far an alert has come at one sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutgoingState {
    /// It is still to be delivered.
    Pending,
    /// The sink took it over.
    Delivered,
    /// The sink would not take it; the fallback did.
    Fallback,
    /// Nobody took it.
    Failed,
}

impl OutgoingState {
    /// Every state.
    pub const ALL: [OutgoingState; 4] =
        [OutgoingState::Pending, OutgoingState::Delivered, OutgoingState::Fallback, OutgoingState::Failed];
}

impl fmt::Display for OutgoingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OutgoingState::Pending => "pending",
            OutgoingState::Delivered => "delivered",
            OutgoingState::Fallback => "fallback",
            OutgoingState::Failed => "failed",
        })
    }
}

/// An alert for one sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its number.
    pub id: i64,
    /// What is to be delivered.
    pub alert: Alert,
    /// The policy that delivers it; `None` where no sink is bound and only the fallback is left.
    pub sink: Option<PolicyName>,
    /// How far it has come.
    pub state: OutgoingState,
    /// Attempts begun.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the receiver calls it, or a line of its own.
    pub receipt: Option<String>,
    /// When it was put there.
    pub raised: Timestamp,
    /// When it was delivered, or given up.
    pub settled: Option<Timestamp>,
}
