//! What a call leaves behind even when it never comes back: its log, and where it was last seen waiting.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backstop_model::policy::{LogLine, LogSeverity};

use crate::text::{LINE_MAX, untrusted};

/// Lines kept per call.
const LINES_MAX: usize = 64;

/// Shared between the call and whoever waits for it.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    lines: Vec<LogLine>,
    dropped: u32,
    waiting: Option<String>,
}

impl Witness {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a line of the plugin's log, or counts it.
    pub(crate) fn line(&self, severity: LogSeverity, line: &str) {
        let mut notes = self.notes();
        if notes.lines.len() < LINES_MAX {
            notes.lines.push(LogLine { severity, line: untrusted(line, LINE_MAX) });
        } else {
            notes.dropped = notes.dropped.saturating_add(1);
        }
    }

    /// Whether another line would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.notes().lines.len() >= LINES_MAX
    }

    /// The call is inside the host now, or (`None`) back in the guest.
    pub(crate) fn waits_in(&self, place: Option<String>) {
        self.notes().waiting = place;
    }

    /// Where the call waits, if it is inside the host.
    pub(crate) fn waiting(&self) -> Option<String> {
        self.notes().waiting.clone()
    }

    /// The log and how many lines were dropped.
    pub(crate) fn log(&self) -> (Vec<LogLine>, u32) {
        let mut notes = self.notes();
        (std::mem::take(&mut notes.lines), notes.dropped)
    }
}
