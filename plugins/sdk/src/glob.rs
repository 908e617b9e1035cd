//! Patterns over names, as in `applies_to`: `*` is any run of characters, `?` is one, everything else is itself.

/// Whether a name fits a pattern.
///
/// ```
/// use backstop_policy_sdk::glob::fits;
///
/// assert!(fits("db-*", "db-eu-1"));
/// assert!(!fits("db-?", "db-12"));
/// ```
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: that star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n = next_character(name, n);
            }
            Some(byte) if *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut retry {
                Some((after_star, taken)) => {
                    *taken = next_character(name, *taken);
                    (p, n) = (*after_star, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Where in UTF-8 the character ends that begins at a place.
fn next_character(text: &[u8], at: usize) -> usize {
    let goes_on = text[at + 1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
    at + 1 + goes_on
}

/// Whether a name fits at least one of the patterns.
#[must_use]
pub fn fits_any<P: AsRef<str>>(patterns: &[P], name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern.as_ref(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*-prod", "web-prod", true),
            ("*-prod", "web-prod-2", false),
            ("?ä?", "xäy", true),
            ("*?y", "xäy", true),
            ("*??", "ä", false),
            ("?", "ää", false),
            ("**", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} over {name}");
        }
        assert!(fits_any(&["x", "web-*"], "web-1"));
        assert!(!fits_any::<&str>(&[], "web-1"));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let name = "a".repeat(2000);
        assert!(!fits(&format!("{}b", "a*".repeat(200)), &name));
    }
}
