//! What is wrong, where it stands, and how it is shown: like a compiler, with the line and a caret.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use backstop_model::{Advice, ExitCode, Fault};
use serde::Serialize;

use crate::SourceFile;

/// Problems kept; a file of garbage has no more to say after that.
const PROBLEMS_MAX: usize = 200;
/// Characters of a source line that are shown around the caret.
const LINE_SHOWN: usize = 140;

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, one line.
    pub message: String,
    /// What to do; empty when the message says it all.
    pub hint: String,
    /// The source line, safe to print: control characters are gone and what may be a pasted secret is masked.
    pub excerpt: String,
    /// Characters of the excerpt that stand before the caret.
    pub indent: usize,
    /// How many characters are marked, at least one.
    pub width: usize,
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, the source line, a caret below it, the hint on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        write!(f, "{margin} | {}{}", " ".repeat(self.indent), "^".repeat(self.width))?;
        if !self.hint.is_empty() {
            write!(f, "\n{margin} = hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// The configuration cannot come into force. Whoever gets this corrects the files; nothing else helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", render(problems))]
pub struct Invalid {
    /// What is wrong, ordered by file and position; never empty.
    pub problems: Vec<Problem>,
}

impl From<&Invalid> for Fault {
    fn from(invalid: &Invalid) -> Fault {
        let count = invalid.problems.len();
        let message = match invalid.problems.first() {
            Some(p) if count == 1 => format!("{}:{}:{}: {}", p.file.display(), p.line, p.column, p.message),
            _ => format!("the configuration has {count} problems"),
        };
        let hint = match invalid.problems.as_slice() {
            [only] => only.hint.clone(),
            _ => "`backstop config check` lists them".to_owned(),
        };
        Fault::new(ExitCode::BadConfiguration, Advice::FixConfiguration, message, hint)
    }
}

/// Every problem as text, an empty line between two.
#[must_use]
pub fn render(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n\n")
}

/// A stretch of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// Which of the sources.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl At {
    pub(crate) fn new(file: usize, span: Range<usize>) -> At {
        At { file, start: span.start, end: span.end }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spot<T> {
    pub value: T,
    pub at: At,
}

/// The files, and what was found wrong in them so far.
pub(crate) struct Sources<'f> {
    pub files: &'f [SourceFile],
    found: RefCell<Vec<(At, String, String)>>,
    hidden: RefCell<Vec<At>>,
}

impl<'f> Sources<'f> {
    pub(crate) fn new(files: &'f [SourceFile]) -> Self {
        Self { files, found: RefCell::default(), hidden: RefCell::default() }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.borrow().is_empty()
    }

    pub(crate) fn report(&self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        if self.found.borrow().len() < PROBLEMS_MAX {
            self.found.borrow_mut().push((at, message.into(), hint.into()));
        }
    }

    /// Somebody may have pasted a secret here: no excerpt shows it, whatever it is that is wrong around it.
    pub(crate) fn hide(&self, at: At) {
        self.hidden.borrow_mut().push(at);
    }

    /// `file:line:column`, for messages that name a second place.
    pub(crate) fn place(&self, at: At) -> String {
        let file = &self.files[at.file];
        let here = Position::of(&file.bytes, at.start);
        format!("{}:{}:{}", file.path.display(), here.line, here.column)
    }

    pub(crate) fn into_invalid(self) -> Invalid {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, ..)| (at.file, at.start));
        let hidden = self.hidden.into_inner();
        let problem = |(at, message, hint): (At, String, String)| {
            let file = &self.files[at.file];
            let hidden: Vec<Range<usize>> =
                hidden.iter().filter(|h| h.file == at.file).map(|h| h.start..h.end).collect();
            locate(&file.path, &file.bytes, at.start..at.end, &hidden, message, hint)
        };
        Invalid { problems: found.into_iter().map(problem).collect() }
    }
}

struct Position {
    line: usize,
    column: usize,
    /// First byte of the line.
    from: usize,
    /// The byte after its last, line end excluded.
    to: usize,
}

impl Position {
    fn of(bytes: &[u8], offset: usize) -> Position {
        let offset = offset.min(bytes.len());
        let from = bytes[..offset].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let to = bytes[offset..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |len| offset + len);
        let to = if to > from && bytes[to - 1] == b'\r' { to - 1 } else { to };
        Position {
            line: bytes[..from].iter().filter(|b| **b == b'\n').count() + 1,
            column: String::from_utf8_lossy(&bytes[from..offset.clamp(from, to.max(from))]).chars().count() + 1,
            from,
            to,
        }
    }
}

/// Builds a problem from a byte range of a file; what is `hidden` is not shown.
pub(crate) fn locate(
    path: &Path,
    bytes: &[u8],
    span: Range<usize>,
    hidden: &[Range<usize>],
    message: String,
    hint: String,
) -> Problem {
    let here = Position::of(bytes, span.start);
    let line = String::from_utf8_lossy(&bytes[here.from..here.to]);
    let line = blot(&line, here.from, hidden);
    let marked = bytes.get(span.start.min(here.to)..span.end.clamp(span.start.min(here.to), here.to));
    let width = marked.map_or(0, |m| String::from_utf8_lossy(m).chars().count()).max(1);

    // A window of the line, so that one enormous line does not fill the screen.
    let skipped = (here.column - 1).saturating_sub(LINE_SHOWN * 2 / 3);
    let shown: String = mask_secrets(&line).chars().map(printable).skip(skipped).take(LINE_SHOWN).collect();
    let indent = here.column - 1 - skipped;
    Problem {
        file: path.to_owned(),
        line: here.line,
        column: here.column,
        message,
        hint,
        width: width.min((LINE_SHOWN + 1).saturating_sub(indent).max(1)),
        indent,
        excerpt: shown,
    }
}

/// Blots out what is hidden of a line that begins at `from`. Keeps the number of characters.
fn blot(line: &str, from: usize, hidden: &[Range<usize>]) -> String {
    let blotted = |(at, c)| if hidden.iter().any(|range| range.contains(&(from + at))) { '*' } else { c };
    line.char_indices().map(blotted).collect()
}

fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Hides whatever follows `key =` unless it is plainly a reference, and what follows the host of a web address: somebody
/// may have pasted the key itself, and what is printed here ends in logs. Keeps the number of characters.
fn mask_secrets(line: &str) -> String {
    let line = &mask_addresses(line);
    let mut from = 0;
    while let Some(found) = line[from..].find("key") {
        let after = from + found + 3;
        let value = line[after..].trim_start_matches([' ', '\t', '"', '\'']);
        if let Some(value) = value.strip_prefix('=') {
            let value = value.trim_start_matches([' ', '\t', '"', '\'']);
            if !crate::secret::is_meant_as_reference(value) {
                let kept = line.len() - value.len();
                return line[..kept].chars().chain(value.chars().map(|_| '*')).collect();
            }
        }
        from = after;
    }
    line.to_owned()
}

/// Hides web addresses that hold more than a host: a user, a path and a query may all be secrets.
fn mask_addresses(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(found) = rest.find("http") {
        let (before, from) = rest.split_at(found);
        let end = from.find(['"', '\'', ' ', ',', '\t']).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        shown.push_str(before);
        match word.split_once("://") {
            Some((scheme, address)) if address.contains(['/', '@', '?', '#']) => {
                shown.push_str(scheme);
                shown.push_str("://");
                shown.extend(address.chars().map(|_| '*'));
            }
            _ => shown.push_str(word),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> Problem {
        locate(Path::new("a.toml"), text.as_bytes(), span, &[], "wrong".into(), "do it right".into())
    }

    #[test]
    fn the_caret_stands_below_the_characters_meant() {
        let text = "a = 1\nßß = \"käse\"\r\n";
        let start = text.find('"').expect("there");
        assert_eq!(
            at(text, start..start + 7).to_string(),
            "a.toml:2:6: wrong\n  |\n2 | ßß = \"käse\"\n  |      ^^^^^^\n  = hint: do it right"
        );
    }

    #[test]
    fn any_range_of_any_text_has_a_position() {
        let text = "a\n\nbc\r\n\r\n";
        for start in 0..text.len() + 3 {
            for end in start..text.len() + 3 {
                let problem = at(text, start..end);
                assert!(problem.line >= 1 && problem.column >= 1 && problem.width >= 1);
            }
        }
        assert_eq!(at("", 0..0).to_string(), "a.toml:1:1: wrong\n  |\n1 | \n  | ^\n  = hint: do it right");
    }

    #[test]
    fn a_very_long_line_is_shown_around_the_caret() {
        let text = format!("x = [{}oops]", "1, ".repeat(5000));
        let start = text.find("oops").expect("there");
        let problem = at(&text, start..start + 4);
        assert_eq!(problem.column, start + 1);
        assert!(problem.excerpt.chars().count() <= LINE_SHOWN);
        assert_eq!(problem.excerpt.chars().skip(problem.indent).take(4).collect::<String>(), "oops");
    }

    #[test]
    fn a_key_pasted_in_place_of_its_reference_is_never_shown() {
        for line in
            ["key = \"hunter2\"", "key = hunter2", "main = { region = \"x\", key = 'hunter2' }", "\"key\"=\"hunter2"]
        {
            assert!(!at(line, 0..3).to_string().contains("hunter"), "{line}");
        }
        let pasted = "http = [\"https://hooks.example.com/hunter2\", \"https://hunter2@b\", \"https://c.example\"]";
        let shown = at(pasted, 0..4).to_string();
        assert!(!shown.contains("hunter") && shown.contains("https://c.example"), "{shown}");
        let fine = "key = \"file:/etc/backstop/vault.key\"";
        assert!(at(fine, 0..3).to_string().contains(fine));
    }
}
