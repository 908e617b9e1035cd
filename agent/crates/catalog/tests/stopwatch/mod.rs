//! How much of a processor something takes. Time on the wall also counts what the machine does for others.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What `work` gives, and the processor time of this thread that it took.
pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = on_processor();
    let result = work();
    let took = on_processor() - begun;
    println!("{what:<58} {:>9.1} ms", took.as_secs_f64() * 1000.0);
    (result, took)
}

fn on_processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a clock that counts from nothing")
}
