//! Time for running guests: one thread moves the epoch on while calls are in flight and sleeps otherwise.
//!
//! A guest looks at the epoch at every loop and call; when it has passed the deadline that its store was given, it traps.
//! The thread goes on for a few ticks after the last call, so that a burst of short calls does not wake it each time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How often the epoch moves on: how exactly a limit of time is kept.
const TICK: Duration = Duration::from_millis(5);

/// Ticks without any call before the thread sleeps.
const IDLE_TICKS_MAX: u32 = 4;

/// Moves the epoch of one engine. The thread ends when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    in_flight: AtomicUsize,
    /// The thread sleeps, or is about to: whoever comes in has to wake it.
    asleep: AtomicBool,
    closing: Mutex<bool>,
    wake: Condvar,
}

/// While it lives the epoch moves.
pub(crate) struct Awake<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            in_flight: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            closing: Mutex::new(false),
            wake: Condvar::new(),
        });
        let (seen, engine) = (Arc::clone(&shared), engine.weak());
        std::thread::Builder::new()
            .name("policy-epoch".to_owned())
            .stack_size(128 << 10)
            .spawn(move || seen.run(&engine))?;
        Ok(Self { shared })
    }

    /// Ticks that a limit of time takes up; one more, since the first may come at once.
    pub(crate) fn ticks(limit: Duration) -> u64 {
        let ticks = limit.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX >> 1).min(u64::MAX >> 1) + 1
    }

    pub(crate) fn awake(&self) -> Awake<'_> {
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        // Either this sees that the thread sleeps, or the thread, which says so before it looks, sees the call.
        if self.shared.asleep.load(Ordering::SeqCst) {
            let _closing = self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        Awake(&self.shared)
    }

    #[cfg(test)]
    fn is_asleep(&self) -> bool {
        self.shared.asleep.load(Ordering::SeqCst)
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn run(&self, engine: &EngineWeak) {
        while self.sleep() {
            let mut idle = 0;
            while idle < IDLE_TICKS_MAX {
                if !self.tick() {
                    return;
                }
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                idle = if self.in_flight.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            }
        }
    }

    /// Waits for a call; false when all is over.
    fn sleep(&self) -> bool {
        let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(true, Ordering::SeqCst);
        let idle = |closing: &mut bool| !*closing && self.in_flight.load(Ordering::SeqCst) == 0;
        let closing = self.wake.wait_while(closing, idle).unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(false, Ordering::SeqCst);
        !*closing
    }

    /// Waits for one tick; false when all is over.
    fn tick(&self) -> bool {
        let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(closing, TICK, |closing| !*closing);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_takes_at_least_its_own_time() {
        assert_eq!(Ticker::ticks(Duration::from_millis(1)), 2);
        assert_eq!(Ticker::ticks(Duration::from_millis(100)), 21);
        assert!(Ticker::ticks(Duration::MAX) < u64::MAX >> 1 | 1 << 63);
    }

    /// It sleeps when nothing runs, wakes for a call, and sleeps again.
    #[test]
    fn the_thread_sleeps_unless_a_call_is_in_flight() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).expect("a thread");
        let wait_for = |asleep: bool| {
            while ticker.is_asleep() != asleep {
                std::thread::yield_now();
            }
        };
        wait_for(true);
        let call = ticker.awake();
        wait_for(false);
        drop(call);
        wait_for(true);
    }
}
