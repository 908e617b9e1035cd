//! Blotting secrets out of whatever a plugin or a person may see.

use url::Url;

/// Shorter values are not looked for: blotting them out would blot out half of everything.
const LENGTH_MIN: usize = 4;

/// The secrets that one call has used.
#[derive(Default)]
pub(crate) struct Blotter {
    values: Vec<(String, Vec<u8>)>,
    /// What is looked for, the longest first, and what is put in its place.
    terms: Vec<(Vec<u8>, String)>,
}

impl Blotter {
    /// Whether a secret was added.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| known == name)
    }

    /// Adds a secret. Line ends at its end, as files have them, are no part of it.
    pub(crate) fn add(&mut self, name: &str, mut value: Vec<u8>) {
        while value.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            value.pop();
        }
        let label = format!("[secret {name}]");
        self.look_for(value.clone(), &label);
        self.look_for(percent_encoded(&value), &label);
        self.look_for(slash_escaped(&value), &label);
        self.values.push((name.to_owned(), value));
    }

    /// Adds a URL that a secret is part of.
    pub(crate) fn add_url(&mut self, url: &Url) {
        self.look_for(url.as_str().as_bytes().to_vec(), "[secret URL]");
        let rest = url.as_str().split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if let Some((_, path)) = rest.filter(|(_, path)| path.len() >= 8) {
            self.look_for(path.as_bytes().to_vec(), "[secret path]");
            self.look_for(slash_escaped(path.as_bytes()), "[secret path]");
        }
    }

    fn look_for(&mut self, term: Vec<u8>, label: &str) {
        if term.len() >= LENGTH_MIN && !self.terms.iter().any(|(known, _)| *known == term) {
            let at = self.terms.partition_point(|(known, _)| known.len() >= term.len());
            self.terms.insert(at, (term, label.to_owned()));
        }
    }

    /// The value of a secret that was added; nothing for another.
    pub(crate) fn value(&self, name: &str) -> &[u8] {
        self.values.iter().find(|(known, _)| known == name).map_or(&[], |(_, value)| value)
    }

    pub(crate) fn blot_text(&self, text: &str) -> String {
        if self.terms.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.blot(text.as_bytes())).into_owned()
    }

    /// A body without secrets, of at most so many bytes. Where it is cut, or was cut on its way here, in the middle of a
    /// secret, the beginning of that goes too.
    pub(crate) fn blot_body(&self, body: Vec<u8>, most: usize) -> Vec<u8> {
        if self.terms.is_empty() {
            let mut body = body;
            body.truncate(most);
            return body;
        }
        let was_cut = body.len() >= most;
        let mut blotted = self.blot(&body[..body.len().min(most)]);
        if was_cut {
            let begun = self.terms.iter().map(|(term, _)| begun(&blotted, term)).max().unwrap_or(0);
            blotted.truncate(blotted.len() - begun);
        }
        blotted.truncate(most);
        blotted
    }

    fn blot(&self, bytes: &[u8]) -> Vec<u8> {
        let mut blotted = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            match self.terms.iter().find(|(term, _)| rest.starts_with(term)) {
                Some((term, label)) => {
                    blotted.extend_from_slice(label.as_bytes());
                    rest = &rest[term.len()..];
                }
                None => {
                    blotted.push(*first);
                    rest = after;
                }
            }
        }
        blotted
    }
}

/// How many bytes at the end of `bytes` are the beginning of `term`.
fn begun(bytes: &[u8], term: &[u8]) -> usize {
    let most = term.len().min(bytes.len());
    (1..=most).rev().find(|length| bytes.ends_with(&term[..*length])).unwrap_or(0)
}

fn percent_encoded(value: &[u8]) -> Vec<u8> {
    url::form_urlencoded::byte_serialize(value).collect::<String>().replace('+', "%20").into_bytes()
}

fn slash_escaped(value: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(value).replace('/', "\\/").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blotter() -> Blotter {
        let mut blotter = Blotter::default();
        blotter.add("hook", b"https://hooks.example.com/T00/B11/s3cr3t\n".to_vec());
        blotter.add("token", b"p@ss word".to_vec());
        blotter.add_url(&Url::parse("https://hooks.example.com/T00/B11/s3cr3t").expect("a URL"));
        blotter
    }

    /// However a server repeats it, the plugin does not see it.
    #[test]
    fn a_secret_is_blotted_out_in_every_common_form() {
        let blotter = blotter();
        for (said, seen) in [
            ("no route to https://hooks.example.com/T00/B11/s3cr3t", "no route to [secret hook]"),
            (r#"{"url":"https:\/\/hooks.example.com\/T00\/B11\/s3cr3t"}"#, r#"{"url":"[secret hook]"}"#),
            ("POST /T00/B11/s3cr3t HTTP/1.1", "POST /[secret path] HTTP/1.1"),
            ("q=p%40ss%20word&x", "q=[secret token]&x"),
            ("p@ss wordp@ss word", "[secret token][secret token]"),
            ("p@ss wor", "p@ss wor"),
        ] {
            assert_eq!(blotter.blot_text(said), seen);
        }
    }

    #[test]
    fn a_secret_cut_off_at_the_end_of_a_body_does_not_show_its_beginning() {
        let body = format!("{}p@ss wo", "x".repeat(93)).into_bytes();
        assert_eq!(blotter().blot_body(body, 100), "x".repeat(93).into_bytes());
        let short = blotter().blot_body(b"p@ss wo".to_vec(), 100);
        assert_eq!(short, b"p@ss wo");
    }
}
