//! Floor 4: doors. A door reads what somebody wants, calls one verb of `ops`, and shows its answer; it decides nothing.
//!
//! [`cli`] is the command line: [`cli::run`] is its entry point, [`cli::Wiring`] what it needs from outside, which the
//! composition root implements. A door touches no file and no environment of its own.

pub mod cli;
