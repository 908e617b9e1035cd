//! `audit show` and `audit verify`.

use backstop_ops::audit::{Entries, Verified};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant};

/// Entries.
pub fn entries(look: &Look, entries: &Entries) -> String {
    if entries.entries.is_empty() {
        return "no entries\n".to_owned();
    }
    let mut table = Table::new(0).right(&[0]);
    for entry in &entries.entries {
        let details = if look.verbose > 0 { entry.details.to_string() } else { String::new() };
        table.row([
            entry.seq.to_string(),
            instant(entry.at),
            entry.by.clone(),
            entry.verb.clone(),
            entry.subject.clone(),
            entry.reason.clone(),
            details,
        ]);
    }
    table.text()
}

/// Whether the log is whole.
pub fn verified(look: &Look, verified: &Verified) -> String {
    match (verified.whole, verified.entries, verified.broken_at) {
        (true, Some(entries), _) => {
            let line = format!("the log is as it was written: {}", counted(entries, "entry"));
            format!("{}\n", look.paint(Tone::Good, &line))
        }
        (_, _, at) => {
            let why = verified.why.unwrap_or("unknown");
            let line = format!("the log is not as it was written from entry {} on: {why}", at.unwrap_or(0));
            format!("{}\n", look.paint(Tone::Bad, &line))
        }
    }
}
