//! Instants and spans. An instant is UTC; a span is a whole number of milliseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instant in UTC. Prints and parses as RFC 3339.
pub use jiff::Timestamp;

/// A length of time in whole milliseconds. Reads `90s`, `15m`, `24h`, `7d`, `2w` and prints the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    millis: u64,
}

/// Why a string is not a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: write a whole number and one of ms, s, m, h, d, w, as in `15m` or `7d`")]
pub struct BadSpan(String);

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span { millis: 0 };

    /// A span of so many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// A span of so many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { millis: secs.saturating_mul(1000) }
    }

    /// A span of so many days of 24 hours.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self { millis: days.saturating_mul(86_400_000) }
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The span in seconds, with fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.millis as f64 / 1000.0
    }

    /// The span as the standard library's type.
    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// From `earlier` to `later`; zero when the order is the other way round.
    #[must_use]
    pub fn between(earlier: Timestamp, later: Timestamp) -> Self {
        Self { millis: u64::try_from(later.as_millisecond() - earlier.as_millisecond()).unwrap_or(0) }
    }

    /// `from` moved later by this span, held at the end of time.
    #[must_use]
    pub fn after(self, from: Timestamp) -> Timestamp {
        let millis = from.as_millisecond().saturating_add(i64::try_from(self.millis).unwrap_or(i64::MAX));
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// `from` moved earlier by this span, held at the beginning of time.
    #[must_use]
    pub fn before(self, from: Timestamp) -> Timestamp {
        let millis = from.as_millisecond().saturating_sub(i64::try_from(self.millis).unwrap_or(i64::MAX));
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MIN)
    }

    /// For people: the two largest units, as in `3m 42s`, `2h 5m`, `850ms`.
    #[must_use]
    pub fn human(self) -> String {
        let (ms, s) = (self.millis % 1000, self.millis / 1000);
        match s {
            0 => format!("{ms}ms"),
            1..=9 => format!("{s}.{}s", ms / 100),
            10..=59 => format!("{s}s"),
            60..=3599 => format!("{}m {:02}s", s / 60, s % 60),
            3600..=86_399 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
            _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Weeks are not printed: an operator who wrote `14d` should read `14d`.
        let (unit, size) =
            UNITS[..5].iter().rev().find(|(_, size)| self.millis.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
        f.pad(&format!("{}{unit}", self.millis / size))
    }
}

impl FromStr for Span {
    type Err = BadSpan;
    fn from_str(raw: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(raw.chars().take(40).collect());
        let split = raw.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = raw.split_at(split);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let count: u64 = number.parse().map_err(|_| bad())?;
        count.checked_mul(*size).map(Self::from_millis).ok_or_else(bad)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_what_they_print() {
        for raw in ["0d", "1ms", "90s", "15m", "24h", "7d", "100d"] {
            let span: Span = raw.parse().expect(raw);
            assert_eq!(span.to_string().parse::<Span>(), Ok(span), "{raw}");
        }
        assert_eq!("2w".parse::<Span>(), Ok(Span::from_days(14)));
        for bad in ["", "5", "m", "-1h", "1.5h", "5 m", "99999999999999999999w"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
