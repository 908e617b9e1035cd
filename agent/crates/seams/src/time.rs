//! Time and randomness as arguments.

use std::time::Duration;

use backstop_model::Timestamp;

/// The time of day and a stopwatch.
pub trait Clock: Send + Sync {
    /// The wall clock. May jump in either direction; nobody may subtract two readings to measure a duration.
    fn now(&self) -> Timestamp;
    /// A clock that never goes backwards, from an arbitrary origin. For durations only.
    fn monotonic(&self) -> Duration;
    /// Waits. A simulated clock advances instead.
    fn sleep(&self, span: Duration);
}

/// Randomness fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with unpredictable bytes. Failing is not an option: an edge that cannot, panics.
    fn fill(&self, buffer: &mut [u8]);
}
