//! Alerts and their delivery. See `wit/1.0.0/alert-sink.wit`.

use serde::{Deserialize, Serialize};

use super::{CivilTime, Field};
use crate::name::{BackupName, RunId, WorkloadName};
use crate::time::{Span, Timestamp};

/// How much an alert matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody must look now.
    Critical,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for every attempt to deliver it.
    pub id: String,
    /// The same for an alert and for the notice that it is over.
    pub group: String,
    /// When it arose.
    pub at: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, as `backup-failed`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// A few lines.
    pub text: String,
    /// The workload, if one.
    pub workload: Option<WorkloadName>,
    /// The backup, if one.
    pub backup: Option<BackupName>,
    /// The run, if one.
    pub run: Option<RunId>,
    /// The machine whose agent speaks.
    pub host: String,
    /// What `group` was about is over.
    pub recovered: bool,
    /// Figures worth showing.
    pub facts: Vec<Field>,
}

/// Asked once per attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DeliveryQuestion {
    pub now: i64,
    pub local: CivilTime,
    pub settings: Vec<Field>,
    pub alert: Alert,
    pub attempt: u32,
}

/// What a sink says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "delivery")]
pub enum Delivery {
    /// Taken over.
    Delivered {
        /// What the receiver calls it; may be empty.
        id: String,
        /// A line for the record; may be empty.
        note: String,
    },
    /// It may go through later.
    Again {
        /// Not before.
        after: Option<Span>,
        /// Why.
        why: String,
    },
    /// It will never go through.
    Never {
        /// Why.
        why: String,
    },
}
