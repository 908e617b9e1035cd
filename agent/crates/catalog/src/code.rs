//! How values are written as columns and read back. Reading trusts nothing.

use std::fmt;
use std::str::FromStr;

use backstop_model::name::BadName;
use backstop_model::policy::{ApprovalState, OutgoingState};
use backstop_model::{
    Bytes, CopyState, Level, Mode, Outcome, ProofKind, ReplicationState, SnapshotId, Span, Timestamp, Verb,
};
use rusqlite::Row;
use rusqlite::types::FromSql;

use crate::error::CatalogError;

/// A closed set of values with a small number each. The position in the list is the number, for ever.
pub(crate) trait Coded: Sized + PartialEq + Copy + 'static {
    /// Its words for messages, and the values in the order of their numbers.
    const WHAT: &'static str;
    const ORDER: &'static [Self];

    fn code(self) -> i64 {
        let position = Self::ORDER.iter().position(|value| *value == self).expect("the list is complete (tested)");
        i64::try_from(position).expect("a handful")
    }
}

impl Coded for Mode {
    const WHAT: &'static str = "mode";
    const ORDER: &'static [Self] = &[Mode::Full, Mode::Incremental, Mode::Differential];
}

impl Coded for CopyState {
    const WHAT: &'static str = "copy state";
    const ORDER: &'static [Self] = &[CopyState::Present, CopyState::Trashed, CopyState::Lost, CopyState::Purged];
}

impl Coded for ProofKind {
    const WHAT: &'static str = "proof kind";
    const ORDER: &'static [Self] = &[ProofKind::Write, ProofKind::Verify, ProofKind::DrTest, ProofKind::Restore];
}

impl Coded for Level {
    const WHAT: &'static str = "proof level";
    const ORDER: &'static [Self] = &Level::ALL;
}

impl Coded for ReplicationState {
    const WHAT: &'static str = "replication status";
    const ORDER: &'static [Self] = &ReplicationState::ALL;
}

/// A closed set of values stored as the word they print.
pub(crate) trait Worded: Sized + fmt::Display + Copy + 'static {
    const WHAT: &'static str;
    const ALL: &'static [Self];
}

impl Worded for Verb {
    const WHAT: &'static str = "verb";
    const ALL: &'static [Self] = &[
        Verb::Backup,
        Verb::Replicate,
        Verb::Verify,
        Verb::Restore,
        Verb::RestoreUndo,
        Verb::DrTest,
        Verb::Release,
        Verb::Undelete,
        Verb::Prune,
    ];
}

impl Worded for Outcome {
    const WHAT: &'static str = "outcome";
    const ALL: &'static [Self] = &[Outcome::Done, Outcome::Partial, Outcome::Undone, Outcome::Failed, Outcome::Stuck];
}

impl Worded for ApprovalState {
    const WHAT: &'static str = "state of an approval";
    const ALL: &'static [Self] = &ApprovalState::ALL;
}

impl Worded for OutgoingState {
    const WHAT: &'static str = "state of an alert";
    const ALL: &'static [Self] = &OutgoingState::ALL;
}

/// An instant as stored: microseconds since 1970. The last second of time has no fraction there.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond().min(Timestamp::MAX.as_second() * 1_000_000)
}

/// The instant as it will read back.
pub(crate) fn truncated(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(micros(at)).expect("held inside the range")
}

/// A count as stored. SQLite ends at 2^63; no count of ours comes near, and one that would is held there.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A limit as SQL understands it: -1 is none.
pub(crate) fn limit(most: Option<u32>) -> i64 {
    most.map_or(-1, i64::from)
}

/// A row being read, with the table's name for messages.
pub(crate) struct Reading<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r Row<'r>,
}

impl Reading<'_> {
    pub(crate) fn new<'r>(table: &'static str, row: &'r Row<'r>) -> Reading<'r> {
        Reading { table, row }
    }

    pub(crate) fn damaged(&self, column: usize, what: impl fmt::Display) -> CatalogError {
        let name = self.row.as_ref().column_name(column).unwrap_or("?").to_owned();
        CatalogError::damaged(self.table, format!("column `{name}`: {what}"))
    }

    /// A value of a storage class; a wrong class or a number out of range is damage.
    pub(crate) fn get<T: FromSql>(&self, column: usize) -> Result<T, CatalogError> {
        self.row.get(column).map_err(|error| match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => self.damaged(column, "a value of another type"),
            other => other.into(),
        })
    }

    fn text(&self, column: usize) -> Result<&str, CatalogError> {
        let value = self.row.get_ref(column)?;
        value.as_str().map_err(|_| self.damaged(column, "not text"))
    }

    /// A checked name or anything else with a rule of its own.
    pub(crate) fn name<T: FromStr<Err = BadName>>(&self, column: usize) -> Result<T, CatalogError> {
        self.text(column)?.parse().map_err(|bad: BadName| self.damaged(column, bad))
    }

    pub(crate) fn name_or_none<T: FromStr<Err = BadName>>(&self, column: usize) -> Result<Option<T>, CatalogError> {
        if self.row.get_ref(column)? == rusqlite::types::ValueRef::Null {
            return Ok(None);
        }
        self.name(column).map(Some)
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, CatalogError> {
        Timestamp::from_microsecond(self.get(column)?).map_err(|_| self.damaged(column, "no instant"))
    }

    pub(crate) fn time_or_none(&self, column: usize) -> Result<Option<Timestamp>, CatalogError> {
        self.get::<Option<i64>>(column)?
            .map(|at| Timestamp::from_microsecond(at).map_err(|_| self.damaged(column, "no instant")))
            .transpose()
    }

    pub(crate) fn count(&self, column: usize) -> Result<u64, CatalogError> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column, "a negative count"))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Bytes, CatalogError> {
        self.count(column).map(Bytes)
    }

    pub(crate) fn span(&self, column: usize) -> Result<Span, CatalogError> {
        self.count(column).map(Span::from_millis)
    }

    pub(crate) fn coded<T: Coded>(&self, column: usize) -> Result<T, CatalogError> {
        let code: i64 = self.get(column)?;
        let value = usize::try_from(code).ok().and_then(|index| T::ORDER.get(index)).copied();
        value.ok_or_else(|| self.damaged(column, format!("{code} is no {}", T::WHAT)))
    }

    pub(crate) fn worded<T: Worded>(&self, column: usize) -> Result<T, CatalogError> {
        let word = self.text(column)?;
        let value = T::ALL.iter().find(|value| value.to_string() == word).copied();
        value.ok_or_else(|| self.damaged(column, format!("`{}` is no {}", word.escape_debug(), T::WHAT)))
    }

    pub(crate) fn snapshot(&self, column: usize) -> Result<SnapshotId, CatalogError> {
        let value = self.row.get_ref(column)?;
        let bytes = value.as_blob().map_err(|_| self.damaged(column, "not bytes"))?;
        bytes.try_into().map(SnapshotId).map_err(|_| self.damaged(column, "not 32 bytes"))
    }

    pub(crate) fn is_null(&self, column: usize) -> Result<bool, CatalogError> {
        Ok(self.row.get_ref(column)? == rusqlite::types::ValueRef::Null)
    }

    /// A value stored as JSON by a program of our own format.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, CatalogError> {
        serde_json::from_str(self.text(column)?).map_err(|error| self.damaged(column, error))
    }
}

/// A value of ours as JSON text. A path that is not UTF-8 has no such text.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, CatalogError> {
    serde_json::to_string(value).map_err(|error| CatalogError::Unstorable { what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_number_or_a_word_of_its_own() {
        fn numbers<T: Coded>() -> Vec<i64> {
            T::ORDER.iter().map(|value| value.code()).collect()
        }
        assert_eq!(numbers::<Mode>(), [0, 1, 2]);
        assert_eq!(numbers::<CopyState>(), [0, 1, 2, 3]);
        assert_eq!(numbers::<ProofKind>(), [0, 1, 2, 3]);
        assert_eq!(numbers::<Level>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(numbers::<ReplicationState>(), [0, 1, 2, 3]);
        let words: std::collections::BTreeSet<String> = Verb::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), 9);
    }

    #[test]
    fn instants_are_kept_to_the_microsecond_to_both_ends_of_time() {
        for at in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            assert_eq!(micros(truncated(at)), micros(at));
            assert_eq!(truncated(at).as_second(), at.as_second());
        }
    }
}
