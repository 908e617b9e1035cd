//! The highest clock ever seen, so that one set back a year is noticed before anything is judged by its age.

use backstop_model::{Span, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::code::micros;
use crate::error::CatalogError;
use crate::store::Catalog;

/// How far a clock may fall behind before it is doubted. Zones do not matter, clocks without battery do.
const BEHIND_MAX: Span = Span::from_days(1);

/// Seen times are noted in steps of a minute, to spare the disk.
const STEP: Span = Span::from_secs(60);

/// A clock that shows a time long past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDoubt {
    /// The highest time ever seen.
    pub highest: Timestamp,
    /// How far behind the clock is.
    pub behind: Span,
}

impl Catalog {
    /// Notes a time seen; keeps the highest.
    ///
    /// # Errors
    /// Those of any write.
    pub fn note_time(&self, now: Timestamp) -> Result<(), CatalogError> {
        if self.read(highest)?.is_some_and(|highest| now < STEP.after(highest)) {
            return Ok(());
        }
        self.write(|tx| {
            let sql = "INSERT INTO trusted_time (id, highest) VALUES (1, ?1) \
                       ON CONFLICT (id) DO UPDATE SET highest = max(highest, excluded.highest)";
            tx.execute(sql, params![micros(now)])?;
            Ok(())
        })
    }

    /// Whether `now` lies more than a day behind the highest time ever seen. Ages cannot be judged then: nothing may
    /// be released.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when the row makes no sense.
    pub fn implausible(&self, now: Timestamp) -> Result<Option<ClockDoubt>, CatalogError> {
        let Some(highest) = self.read(highest)? else { return Ok(None) };
        let behind = Span::between(now, highest);
        Ok((behind > BEHIND_MAX).then_some(ClockDoubt { highest, behind }))
    }

    /// Takes an operator's word that the clock is right now, after it had shown the future for a while.
    ///
    /// # Errors
    /// Those of any write.
    pub fn trust_time(&self, now: Timestamp) -> Result<(), CatalogError> {
        self.write(|tx| {
            tx.execute("INSERT OR REPLACE INTO trusted_time (id, highest) VALUES (1, ?1)", params![micros(now)])?;
            Ok(())
        })
    }
}

fn highest(tx: &Transaction<'_>) -> Result<Option<Timestamp>, CatalogError> {
    let found: Option<i64> = tx.query_row("SELECT highest FROM trusted_time", [], |row| row.get(0)).optional()?;
    let instant = |at| Timestamp::from_microsecond(at);
    found.map(instant).transpose().map_err(|_| CatalogError::damaged("trusted_time", "no instant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    #[test]
    fn a_clock_set_back_a_year_is_noticed_and_one_set_back_an_hour_is_not() {
        let catalog = Catalog::in_memory().expect("memory");
        let (now, year) = (1_700_000_000, 31_536_000);
        assert_eq!(catalog.implausible(at(now)).expect("read"), None);
        catalog.note_time(at(now)).expect("noted");
        catalog.note_time(at(now - year)).expect("noted");
        assert_eq!(catalog.implausible(at(now - 3600)).expect("read"), None);
        let doubt = catalog.implausible(at(now - year)).expect("read").expect("doubted");
        assert_eq!(doubt, ClockDoubt { highest: at(now), behind: Span::from_days(365) });
        catalog.trust_time(at(now - year)).expect("an operator's word");
        assert_eq!(catalog.implausible(at(now - year)).expect("read"), None);
    }
}
