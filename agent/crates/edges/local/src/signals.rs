//! ^C once stops cleanly, twice at once; SIGTERM stops cleanly.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use backstop_model::ExitCode;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody wants the work to stop. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    /// The number of the last signal; 0 if none came.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM. Once a stop is wanted, a SIGINT ends the process at once with code 130; what
    /// was going on is found by the next start, as after a crash.
    ///
    /// # Errors
    /// When the system refuses to install a signal's action.
    pub fn listen() -> io::Result<Stop> {
        let stop = Stop::default();
        // Order matters: the actions run in it, and the first ^C must not meet its own mark.
        let now = i32::from(ExitCode::Interrupted.number());
        flag::register_conditional_shutdown(SIGINT, now, Arc::clone(&stop.wanted))?;
        for signal in [SIGINT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(&stop.signal), signal.unsigned_abs() as usize)?;
            flag::register(signal, Arc::clone(&stop.wanted))?;
        }
        Ok(stop)
    }

    /// Whether to stop at the next safe point. Cheap: made for `Progress::cancelled`.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Asks for a clean stop, as ^C does.
    pub fn request(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// The exit code once the work has stopped: 130 after ^C or a request, 143 after SIGTERM, none if nobody asked.
    #[must_use]
    pub fn exit_code(&self) -> Option<ExitCode> {
        let terminated = self.signal.load(Ordering::Relaxed) == SIGTERM.unsigned_abs() as usize;
        self.wanted().then_some(if terminated { ExitCode::Terminated } else { ExitCode::Interrupted })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use signal_hook::low_level::raise;

    use super::*;

    /// Runs `case` of [`a_child_that_is_signalled`] in a process of its own, since signals belong to the process.
    fn child(case: &str) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().expect("known"));
        command.args(["--exact", "signals::tests::a_child_that_is_signalled"]).env("BACKSTOP_TEST_SIGNALS", case);
        command.output().expect("runs").status.code()
    }

    #[test]
    fn a_child_that_is_signalled() {
        let Some(case) = std::env::var_os("BACKSTOP_TEST_SIGNALS") else { return };
        let stop = Stop::listen().expect("installed");
        assert_eq!((stop.wanted(), stop.exit_code()), (false, None));
        for letter in case.to_str().expect("ASCII").chars() {
            raise(if letter == 'i' { SIGINT } else { SIGTERM }).expect("raised");
            assert!(stop.clone().wanted());
        }
        let code = stop.exit_code().expect("asked to stop").number();
        // A code of its own shows that the work went on to its clean end.
        std::process::exit(i32::from(code) - 100);
    }

    #[test]
    fn one_interrupt_or_any_terminate_lets_the_work_end_cleanly() {
        assert_eq!(child("i"), Some(30));
        assert_eq!(child("t"), Some(43));
        assert_eq!(child("tt"), Some(43));
    }

    #[test]
    fn an_interrupt_after_a_stop_was_asked_for_ends_the_process_at_once() {
        assert_eq!(child("ii"), Some(130));
        assert_eq!(child("ti"), Some(130));
    }

    #[test]
    fn a_request_counts_like_an_interrupt() {
        let stop = Stop::default();
        stop.request();
        assert_eq!((stop.wanted(), stop.exit_code()), (true, Some(ExitCode::Interrupted)));
    }
}
