//! Clocks and randomness.

use std::time::Duration;

use crate::time::{Clock, Entropy};

/// A clock never runs backwards on its stopwatch, and waits at least as long as it is asked to.
///
/// # Panics
/// When the clock breaks its contract.
pub fn clock(clock: &dyn Clock) {
    let mut last = clock.monotonic();
    for _ in 0..1000 {
        let next = clock.monotonic();
        assert!(next >= last, "the monotonic clock went from {last:?} back to {next:?}");
        last = next;
    }
    for span in [Duration::ZERO, Duration::from_millis(3), Duration::from_millis(11)] {
        let (before, wall) = (clock.monotonic(), clock.now());
        clock.sleep(span);
        let passed = clock.monotonic() - before;
        assert!(passed >= span, "a sleep of {span:?} took {passed:?}");
        let shown = clock.now().as_millisecond() - wall.as_millisecond();
        assert!(shown >= 0, "the wall clock went back {shown} ms during a sleep, with nobody setting it");
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).fold(Duration::ZERO, |last, _| last.max(clock.monotonic())));
        }
    });
}

/// Randomness fills the whole buffer and does not repeat itself.
///
/// # Panics
/// When it does not.
pub fn entropy(entropy: &dyn Entropy) {
    entropy.fill(&mut []);
    let mut drawn = std::collections::BTreeSet::new();
    for _ in 0..256 {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        assert!(key.iter().filter(|byte| **byte == 0).count() < 8, "part of the buffer was not filled: {key:?}");
        assert!(drawn.insert(key), "the same 32 bytes were drawn twice");
    }
    let mut long = vec![0; 100_003];
    entropy.fill(&mut long);
    let zeros = long.iter().rev().take_while(|byte| **byte == 0).count();
    assert!(zeros < 16, "the last {zeros} bytes of a long buffer were not filled");
}
