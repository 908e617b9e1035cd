//! Time that passes when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use backstop_model::{Span, Timestamp};
use backstop_seams::Clock;

use crate::life::Life;

/// When every world begins: a Monday, 2026-01-05T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_767_571_200_000;

/// The time of a world: how much of it has passed, and how wrong the clock on the wall is.
#[derive(Debug, Default)]
pub struct SimClock {
    passed_millis: AtomicU64,
    wrong_millis: AtomicI64,
}

impl SimClock {
    /// Lets time pass.
    pub fn advance(&self, span: Span) {
        self.passed_millis.fetch_add(span.as_millis(), Ordering::SeqCst);
    }

    /// Sets the wall clock so many milliseconds ahead of the truth; negative is behind. Durations are not affected.
    pub fn set_wrong(&self, millis: i64) {
        self.wrong_millis.store(millis, Ordering::SeqCst);
    }

    /// How far ahead of the truth the wall clock is, in milliseconds.
    #[must_use]
    pub fn wrong(&self) -> i64 {
        self.wrong_millis.load(Ordering::SeqCst)
    }

    /// How much time has passed since the world began.
    #[must_use]
    pub fn passed(&self) -> Span {
        Span::from_millis(self.passed_millis.load(Ordering::SeqCst))
    }

    /// The true time.
    #[must_use]
    pub fn truth(&self) -> Timestamp {
        at(BEGINNING.saturating_add_unsigned(self.passed_millis.load(Ordering::SeqCst)))
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        at(self.truth().as_millisecond().saturating_add(self.wrong()))
    }

    fn monotonic(&self) -> Duration {
        self.passed().as_std()
    }

    fn sleep(&self, span: Duration) {
        self.advance(Span::from_millis(span.as_millis().try_into().unwrap_or(u64::MAX)));
    }
}

/// The clock as one process reads it. Each reading of the wall clock is a touch of the world: the agent reads it before
/// it writes to its journal, so a process may end there, too.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    pub clock: Arc<SimClock>,
    pub life: Arc<Life>,
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        self.life.touch("clock");
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, span: Duration) {
        self.clock.sleep(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_wall_clock_leaves_durations_alone() {
        let clock = SimClock::default();
        assert_eq!(clock.now().to_string(), "2026-01-05T00:00:00Z");
        clock.advance(Span::from_days(1));
        clock.set_wrong(-2000);
        assert_eq!(clock.now().to_string(), "2026-01-05T23:59:58Z");
        assert_eq!((clock.monotonic().as_secs(), clock.passed()), (86_400, Span::from_days(1)));
        assert_eq!(clock.truth().to_string(), "2026-01-06T00:00:00Z");
    }
}
