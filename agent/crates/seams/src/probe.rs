//! Programs run against a restored tree.

use std::path::Path;

use backstop_model::Span;

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It ended by itself: exit code (or 128 + signal) and the end of what it printed, at most 4 KiB.
    Ended {
        /// Exit code.
        code: i32,
        /// The end of its output.
        tail: String,
    },
    /// It was ended after the limit. Not a pass.
    TimedOut,
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
}

/// Runs programs, with arguments as an array, never through a shell.
pub trait Probe: Send + Sync {
    /// Runs `argv` in `dir` with an empty standard input and a small environment; ends it, and every process it
    /// started, after `timeout`.
    fn run(&self, argv: &[String], dir: &Path, timeout: Span) -> ProbeAnswer;
}
