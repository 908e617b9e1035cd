//! Text that a plugin, or a server it spoke with, has written.

/// The most bytes of a line of such text that are kept, as the WIT says.
pub(crate) const LINE_MAX: usize = 500;

/// Makes text from outside fit for a terminal, a log and a record: control characters and those that change the reading
/// direction or cannot be seen are escaped, and it is cut to at most `most` bytes, with `…` where something was cut.
pub(crate) fn untrusted(raw: &str, most: usize) -> String {
    const CUT: char = '…';
    if raw.len() <= most && raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return raw.to_owned();
    }
    let mut line = String::with_capacity(raw.len().min(most));
    for c in raw.chars() {
        let before = line.len();
        if is_treacherous(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        if line.len() > most {
            line.truncate(before);
            while line.len() + CUT.len_utf8() > most && line.pop().is_some() {}
            line.push(CUT);
            break;
        }
    }
    line
}

fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same, in back-ticks' stead between quotation marks, for what a plugin said.
pub(crate) fn quoted(raw: &str) -> String {
    format!("\"{}\"", untrusted(raw, LINE_MAX).replace('"', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing in it can move a cursor, forge a line or turn the reading direction.
    #[test]
    fn text_from_outside_cannot_act_on_a_terminal() {
        assert_eq!(untrusted("a\u{1b}[2J\nb\u{202e}c\u{200b}", 500), r"a\u{1b}[2J\nb\u{202e}c\u{200b}");
        assert_eq!(untrusted("grün, 東京", 500), "grün, 東京");
    }

    #[test]
    fn text_from_outside_is_cut_between_characters() {
        assert_eq!(untrusted(&"é".repeat(300), 10), "ééé…");
        assert_eq!(untrusted("1234567890", 10), "1234567890");
        for most in 3..20 {
            assert!(untrusted(&"a\u{7}東".repeat(30), most).len() <= most);
        }
    }
}
