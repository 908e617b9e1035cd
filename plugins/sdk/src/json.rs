//! JSON for the bodies of requests, with secrets where only Backstop can put them in.
//!
//! ```
//! use backstop_policy_sdk::{Json, http::Part};
//!
//! let parts = Json::object(|body| {
//!     body.secret("routing_key", "pager_key");
//!     body.object_at("payload", |payload| {
//!         payload.text("summary", "tape 3 \"stuck\"");
//!         payload.whole("attempt", 2);
//!     });
//! });
//! let shown: String = parts.iter().map(|part| match part {
//!     Part::Text(text) => text.clone(),
//!     Part::Secret(name) => format!("<{name}>"),
//! }).collect();
//! assert_eq!(shown, r#"{"routing_key":"<pager_key>","payload":{"summary":"tape 3 \"stuck\"","attempt":2}}"#);
//! ```

use crate::Value;
use crate::http::{Part, secret, text};

/// A JSON text being written. Inside an object every method takes a key; [`Json::list`] gives a [`List`], whose do not.
#[derive(Debug, Default)]
pub struct Json {
    parts: Vec<Part>,
    written: String,
    has_members: bool,
}

/// The inside of a list.
#[derive(Debug)]
pub struct List<'a>(&'a mut Json);

impl Json {
    /// A text whose outermost value is an object.
    #[must_use]
    pub fn object(fill: impl FnOnce(&mut Json)) -> Vec<Part> {
        let mut json = Json::default();
        json.nest('{', '}', fill);
        json.finish()
    }

    /// A text whose outermost value is a list.
    #[must_use]
    pub fn list(fill: impl FnOnce(&mut List<'_>)) -> Vec<Part> {
        let mut json = Json::default();
        json.nest('[', ']', |json| fill(&mut List(json)));
        json.finish()
    }

    /// A text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        quote(&mut self.written, value);
    }

    /// A text, or nothing at all when there is none.
    pub fn text_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A whole number.
    pub fn whole(&mut self, key: &str, value: i64) {
        self.key(key);
        self.written.push_str(&value.to_string());
    }

    /// `true` or `false`.
    pub fn truth(&mut self, key: &str, value: bool) {
        self.key(key);
        self.written.push_str(if value { "true" } else { "false" });
    }

    /// A setting or a fact as it is.
    pub fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        self.plain(value);
    }

    /// A text that is a secret, as it is: a secret with quotes or backslashes has no place in JSON.
    pub fn secret(&mut self, key: &str, name: &str) {
        self.key(key);
        self.written.push('"');
        self.parts.push(text(std::mem::take(&mut self.written)));
        self.parts.push(secret(name));
        self.written.push('"');
    }

    /// An object below a key.
    pub fn object_at(&mut self, key: &str, fill: impl FnOnce(&mut Json)) {
        self.key(key);
        self.nest('{', '}', fill);
    }

    /// A list below a key.
    pub fn list_at(&mut self, key: &str, fill: impl FnOnce(&mut List<'_>)) {
        self.key(key);
        self.nest('[', ']', |json| fill(&mut List(json)));
    }

    fn key(&mut self, key: &str) {
        self.separate();
        quote(&mut self.written, key);
        self.written.push(':');
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.has_members, true) {
            self.written.push(',');
        }
    }

    fn nest(&mut self, open: char, close: char, fill: impl FnOnce(&mut Json)) {
        self.written.push(open);
        self.has_members = false;
        fill(self);
        self.written.push(close);
        self.has_members = true;
    }

    fn plain(&mut self, value: &Value) {
        match value {
            Value::Text(text) => quote(&mut self.written, text),
            Value::Whole(whole) => self.written.push_str(&whole.to_string()),
            Value::Real(real) => self.written.push_str(&crate::settings::decimal(*real)),
            Value::Truth(truth) => self.written.push_str(if *truth { "true" } else { "false" }),
            Value::Texts(texts) => self.nest('[', ']', |json| texts.iter().for_each(|text| List(json).text(text))),
            Value::Wholes(wholes) => {
                self.nest('[', ']', |json| wholes.iter().for_each(|whole| List(json).whole(*whole)))
            }
        }
    }

    fn finish(mut self) -> Vec<Part> {
        self.parts.push(text(self.written));
        self.parts
    }
}

impl List<'_> {
    /// A text.
    pub fn text(&mut self, value: &str) {
        self.0.separate();
        quote(&mut self.0.written, value);
    }

    /// A whole number.
    pub fn whole(&mut self, value: i64) {
        self.0.separate();
        self.0.written.push_str(&value.to_string());
    }

    /// An object.
    pub fn object(&mut self, fill: impl FnOnce(&mut Json)) {
        self.0.separate();
        self.0.nest('{', '}', fill);
    }
}

/// Writes a text as JSON has it: quoted, with quotes, backslashes and control characters escaped (RFC 8259, section 7).
fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_text(parts: &[Part]) -> String {
        let shown = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Secret(name) => format!("<{name}>"),
        };
        parts.iter().map(shown).collect()
    }

    #[test]
    fn every_text_reads_back_as_it_was() {
        let hard = "quote \" backslash \\ newline \n tab \t bell \u{7} null \0 umlaut ä line \u{2028} emoji 🧭";
        let parts = Json::object(|body| body.text(hard, hard));
        let read: serde_json::Value = serde_json::from_str(&whole_text(&parts)).expect("JSON");
        assert_eq!(read[hard], hard);
    }

    #[test]
    fn commas_stand_between_and_nowhere_else() {
        let parts = Json::object(|body| {
            body.object_at("empty", |_| {});
            body.list_at("list", |list| {
                list.object(|_| {});
                list.whole(-1);
                list.text("x");
            });
            body.truth("yes", true);
            body.text_if("absent", None);
            body.value("days", &Value::Wholes(vec![1, 2]));
            body.secret("key", "pager_key");
        });
        let expected = r#"{"empty":{},"list":[{},-1,"x"],"yes":true,"days":[1,2],"key":"<pager_key>"}"#;
        assert_eq!(whole_text(&parts), expected);
    }
}
