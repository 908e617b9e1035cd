//! Floor 2, pure: what the evidence adds up to, as numbers and reports. No clock, no files; nothing here decides.
//!
//! Every output is a plain struct that serialises as it is printed: instants as RFC 3339, durations as whole
//! milliseconds in fields named `…_millis`, shares in percent.
//!
//! [`rates`] — how often something went well, and how much that shows; [`rto`] — how long recovery took;
//! [`exposure`] — how much would be lost now; [`verification`], [`drtests`], [`replication`] — the reports.

pub mod drtests;
pub mod exposure;
pub mod rates;
pub mod replication;
pub mod rto;
pub mod verification;

#[cfg(test)]
mod fixture;

pub use exposure::Exposure;
pub use rates::Rate;
pub use rto::RtoSummary;

use backstop_model::Timestamp;
use serde::Serialize;

/// The time a report is about: from `from` (included) to `to` (included).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Period {
    /// Whether the instant lies in it.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        (self.from..=self.to).contains(&instant)
    }
}
