//! Instants, ages, proofs and places in words. Never a stronger word than the level that was reached.

use backstop_model::{CopyState, Level, Place, Span, Timestamp};
use backstop_ops::row::{CopyRow, Row};

/// How text is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether to colour.
    pub colour: bool,
    /// More detail.
    pub verbose: u8,
    /// The present, for ages.
    pub now: Timestamp,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    Faint,
    Strong,
}

impl Look {
    /// Text in a tone, where colours are wanted. The words say the same without.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// How long ago, or ahead: `2d ago`, `in 5h`.
    pub fn age(&self, at: Timestamp) -> String {
        if at > self.now {
            return match Span::between(self.now, at).as_millis() {
                0..60_000 => "now".to_owned(),
                millis => format!("in {}", rough(millis)),
            };
        }
        match Span::between(at, self.now).as_millis() {
            0..60_000 => "just now".to_owned(),
            millis => format!("{} ago", rough(millis)),
        }
    }

    /// An instant and its age.
    pub fn dated(&self, at: Timestamp) -> String {
        format!("{} ({})", instant(at), self.age(at))
    }

    /// What a copy is shown to be.
    pub fn proof(&self, copy: &CopyRow) -> String {
        match copy.state {
            CopyState::Lost => return self.paint(Tone::Bad, "lost"),
            CopyState::Trashed => return "in the trash".to_owned(),
            CopyState::Purged => return "purged".to_owned(),
            CopyState::Present => {}
        }
        let shown = copy.level.map(|level| match copy.proved {
            Some(at) => format!("{level} {} {}", level.word(), self.age(at)),
            None => format!("{level} {}", level.word()),
        });
        match (copy.damaged, shown) {
            (true, Some(shown)) => self.paint(Tone::Bad, &format!("failed a check; {shown}")),
            (true, None) => self.paint(Tone::Bad, "failed a check"),
            (false, Some(shown)) if copy.level >= Some(Level::L1) => self.paint(Tone::Good, &shown),
            (false, Some(shown)) => shown,
            (false, None) => self.paint(Tone::Warning, "not proved"),
        }
    }

    /// What the best copy of a backup is shown to be.
    pub fn best_proof(&self, row: &Row) -> String {
        let there = row.copies.iter().filter(|copy| copy.state == CopyState::Present);
        let best = there.max_by_key(|copy| (!copy.damaged, copy.level, copy.proved));
        match best.or(row.copies.first()) {
            Some(copy) => self.proof(copy),
            None => self.paint(Tone::Bad, "no copy"),
        }
    }
}

/// The largest unit alone: `5d`, `3h`, `12m`.
pub fn rough(millis: u64) -> String {
    let minutes = millis / 60_000;
    match minutes {
        0 => format!("{}s", millis / 1000),
        1..=119 => format!("{minutes}m"),
        120..=2879 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1440),
    }
}

/// An instant to the minute, in UTC.
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A place, in as few words as tell it: vaults by name.
pub fn place(place: &Place) -> String {
    match place {
        Place::Vault(name) => name.to_string(),
        Place::Region(region) => region.to_string(),
    }
}

/// Where copies are: `main offsite`.
pub fn places(row: &Row) -> String {
    let there = row.copies.iter().filter(|copy| copy.state == CopyState::Present);
    let names: Vec<String> = there.map(|copy| place(&copy.place)).collect();
    if names.is_empty() { "nowhere".to_owned() } else { names.join("+") }
}

/// A count with its noun.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        _ if count == 1 => noun.to_owned(),
        Some(stem) if !noun.ends_with("ay") => format!("{stem}ies"),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", grouped(count))
}

/// A number with its thousands apart.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds for people.
pub fn millis(millis: u64) -> String {
    Span::from_millis(millis).human()
}

/// A promise in milliseconds as an operator writes it: `7d`.
pub fn span(millis: u64) -> String {
    Span::from_millis(millis).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_one_unit_and_counts_their_plural() {
        let look = Look { colour: false, verbose: 0, now: "2026-05-20T12:00:00Z".parse().expect("an instant") };
        let age = |raw: &str| look.age(raw.parse().expect("an instant"));
        assert_eq!(age("2026-05-20T11:59:30Z"), "just now");
        assert_eq!(age("2026-05-20T11:00:00Z"), "60m ago");
        assert_eq!(age("2026-05-18T11:00:00Z"), "2d ago");
        assert_eq!(age("2026-05-20T17:00:00Z"), "in 5h");
        assert_eq!(
            (counted(1, "copy"), counted(2, "copy"), counted(3, "day")),
            ("1 copy".into(), "2 copies".into(), "3 days".into())
        );
        assert_eq!((grouped(7), grouped(1234), grouped(250_000)), ("7".into(), "1,234".into(), "250,000".into()));
    }
}
