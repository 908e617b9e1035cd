//! The machine's clocks.

use std::time::{Duration, Instant};

use backstop_model::{Span, Timestamp};
use backstop_seams::Clock;

/// How far a clock is set off the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// It is later than the machine says.
    Later(Span),
    /// It is earlier than the machine says.
    Earlier(Span),
}

/// The wall clock and the stopwatch of this machine.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
    shift: Shift,
}

impl SystemClock {
    /// The clock as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::shifted(Shift::Later(Span::ZERO))
    }

    /// A clock whose time of day is off by a fixed span, to rehearse other dates. The stopwatch is not affected.
    #[must_use]
    pub fn shifted(shift: Shift) -> Self {
        Self { origin: Instant::now(), shift }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        match self.shift {
            Shift::Later(span) if span == Span::ZERO => Timestamp::now(),
            Shift::Later(span) => span.after(Timestamp::now()),
            Shift::Earlier(span) => span.before(Timestamp::now()),
        }
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_is_off_by_its_shift_and_keeps_running() {
        let day = Span::from_days(1);
        let (late, early) = (SystemClock::shifted(Shift::Later(day)), SystemClock::shifted(Shift::Earlier(day)));
        let off = |clock: &SystemClock| clock.now().as_second() - SystemClock::new().now().as_second();
        assert!((86_399..=86_401).contains(&off(&late)), "{}", off(&late));
        assert!((-86_401..=-86_399).contains(&off(&early)), "{}", off(&early));
        let (before, began) = (late.monotonic(), late.now());
        late.sleep(Duration::from_millis(2));
        assert!(late.monotonic() >= before + Duration::from_millis(2));
        assert!(late.now() > began);
    }
}
