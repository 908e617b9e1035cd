//! Policies: what the TOML binds, what is asked, what may be answered.
//!
//! The questions and answers mirror the package `backstop:policy` in `wit/`, where every field is documented; here they
//! are plain records that can be written down, so that a recorded decision can be asked again. [`binding`] and [`grant`]
//! are what an operator writes, [`retention`], [`validation`], [`alert`] and [`health`] are the four worlds' words,
//! [`decision`] is one question with what came of it, [`standing`] how a policy fares over many. [`approval`] is what
//! waits for a second person, [`outbox`] what waits for its delivery.

pub mod alert;
pub mod approval;
pub mod binding;
pub mod decision;
pub mod grant;
pub mod health;
pub mod outbox;
pub mod retention;
pub mod standing;
pub mod validation;

use serde::{Deserialize, Serialize};

use crate::backup;
use crate::time::Timestamp;

pub use approval::{Approval, ApprovalState};
pub use binding::{Grants, Mode, PolicyConfig, PolicyLimits, SignerConfig, World};
pub use decision::{Asked, Decision, Fault, FaultKind, LogLine, LogSeverity};
pub use grant::{BadGrant, HttpGrant, ProbeGrant};
pub use outbox::{Outgoing, OutgoingState};
pub use standing::{PolicyStanding, SteppedBack};

/// An instant in a schedule's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CivilTime {
    /// Gregorian year.
    pub year: i16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
    /// Seconds east of UTC.
    pub offset: i32,
}

impl CivilTime {
    /// The civil time of an instant that already stands in its zone.
    #[must_use]
    pub fn of(zoned: &jiff::Zoned) -> Self {
        let small = |value: i8| u8::try_from(value).unwrap_or(0);
        Self {
            year: zoned.year(),
            month: small(zoned.month()),
            day: small(zoned.day()),
            hour: small(zoned.hour()),
            minute: small(zoned.minute()),
            second: small(zoned.second()),
            weekday: small(zoned.weekday().to_monday_one_offset()),
            offset: zoned.offset().seconds(),
        }
    }

    /// The civil time of an instant in UTC.
    #[must_use]
    pub fn utc(at: Timestamp) -> Self {
        Self::of(&at.to_zoned(jiff::tz::TimeZone::UTC))
    }
}

/// The value of a setting or field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction; finite.
    Real(f64),
    /// Text.
    Text(String),
    /// Texts. Stands before the numbers so that an empty list that was written down reads back as this.
    Texts(Vec<String>),
    /// Whole numbers; never empty.
    Wholes(Vec<i64>),
}

/// A named value. Lists of them have unique keys in bytewise order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Dotted where it was a table.
    pub key: String,
    /// Its value.
    pub value: Value,
}

impl Field {
    /// A field.
    #[must_use]
    pub fn new(key: impl Into<String>, value: Value) -> Self {
        Self { key: key.into(), value }
    }
}

/// The highest level shown, as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Shown {
    Nothing,
    Present,
    Intact,
    Attachable,
    Consistent,
    Boots,
    Serves,
}

impl From<Option<backup::Level>> for Shown {
    fn from(level: Option<backup::Level>) -> Self {
        use backup::Level;
        match level {
            None => Shown::Nothing,
            Some(Level::L0) => Shown::Present,
            Some(Level::L1) => Shown::Intact,
            Some(Level::L2) => Shown::Attachable,
            Some(Level::L3) => Shown::Consistent,
            Some(Level::L4) => Shown::Boots,
            Some(Level::L5) => Shown::Serves,
        }
    }
}
