//! The policy's settings, as the operator wrote them.
//!
//! Every accessor says in its error which setting is wrong, and what to write, so that a policy's author need not:
//!
//! ```
//! use backstop_policy_sdk::{Field, Settings, Value};
//!
//! let settings = [Field { key: "keep".into(), value: Value::Text("seven".into()) }];
//! assert_eq!(settings.whole_or("every", 1), Ok(1));
//! assert_eq!(
//!     settings.whole("keep").unwrap_err(),
//!     "setting `keep` is a text, but a whole number is wanted: write `keep = 1`"
//! );
//! assert_eq!(settings.text("url").unwrap_err(), "setting `url` is missing: write `url = \"…\"`");
//! ```

use crate::{Date, Field, Value};

/// Typed access to settings, and to the fields of a request. Implemented for slices of [`Field`].
pub trait Settings {
    /// The value of a key, if there is one.
    fn value(&self, key: &str) -> Option<&Value>;

    /// Every key.
    fn keys(&self) -> impl Iterator<Item = &str>;

    /// A text that must be there.
    ///
    /// # Errors
    /// When it is missing or something else. So for every accessor without a default.
    fn text(&self, key: &str) -> Result<&str, String> {
        self.find_text(key)?.ok_or_else(|| missing(key, "\"…\""))
    }

    /// A text, or the default.
    ///
    /// # Errors
    /// When it is something else. So for every accessor with a default.
    fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, String> {
        Ok(self.find_text(key)?.unwrap_or(default))
    }

    /// A text, if there is one.
    ///
    /// # Errors
    /// When it is something else. So for every `find`.
    fn find_text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(key, other, "a text", "\"…\"")),
        }
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    fn whole(&self, key: &str) -> Result<i64, String> {
        self.find_whole(key)?.ok_or_else(|| missing(key, "1"))
    }

    /// A whole number, or the default.
    ///
    /// # Errors
    /// When it is something else.
    fn whole_or(&self, key: &str, default: i64) -> Result<i64, String> {
        Ok(self.find_whole(key)?.unwrap_or(default))
    }

    /// A whole number, if there is one.
    ///
    /// # Errors
    /// When it is something else.
    fn find_whole(&self, key: &str) -> Result<Option<i64>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Whole(whole)) => Ok(Some(*whole)),
            Some(other) => Err(wrong(key, other, "a whole number", "1")),
        }
    }

    /// A count from 0 to 100,000, or the default.
    ///
    /// # Errors
    /// When it is something else, negative or beyond reason.
    fn count_or(&self, key: &str, default: usize) -> Result<usize, String> {
        match self.find_whole(key)? {
            None => Ok(default),
            Some(whole) => usize::try_from(whole)
                .ok()
                .filter(|count| *count <= 100_000)
                .ok_or_else(|| format!("setting `{key}` is {whole}; write a whole number from 0 to 100000")),
        }
    }

    /// A truth, or the default.
    ///
    /// # Errors
    /// When it is something else.
    fn truth_or(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Truth(truth)) => Ok(*truth),
            Some(other) => Err(wrong(key, other, "true or false", "true")),
        }
    }

    /// A list of texts; a single text is a list of one, nothing is an empty list.
    ///
    /// # Errors
    /// When it is something else.
    fn texts(&self, key: &str) -> Result<Vec<&str>, String> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Text(text)) => Ok(vec![text]),
            Some(Value::Texts(texts)) => Ok(texts.iter().map(String::as_str).collect()),
            Some(other) => Err(wrong(key, other, "a list of texts", "[\"…\"]")),
        }
    }

    /// A list of texts, or the default where nothing is written.
    ///
    /// # Errors
    /// When it is something else.
    fn texts_or<'a>(&'a self, key: &str, default: &[&'a str]) -> Result<Vec<&'a str>, String> {
        if self.value(key).is_none() { Ok(default.to_vec()) } else { self.texts(key) }
    }

    /// A list of whole numbers; a single one is a list of one, nothing is an empty list.
    ///
    /// # Errors
    /// When it is something else.
    fn wholes(&self, key: &str) -> Result<Vec<i64>, String> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Whole(whole)) => Ok(vec![*whole]),
            Some(Value::Wholes(wholes)) => Ok(wholes.clone()),
            Some(Value::Texts(texts)) if texts.is_empty() => Ok(Vec::new()),
            Some(other) => Err(wrong(key, other, "a list of whole numbers", "[1]")),
        }
    }

    /// A date, if there is one; the date of a date with a time.
    ///
    /// # Errors
    /// When it is something else.
    fn find_date(&self, key: &str) -> Result<Option<Date>, String> {
        let Some(text) = self.find_text(key)? else { return Ok(None) };
        let date = Date::parse(text.get(..10).unwrap_or(text));
        date.map(Some)
            .ok_or_else(|| format!("setting `{key}` is `{text}`, but a date is wanted: write `{key} = 2027-01-31`"))
    }

    /// Refuses settings that the policy does not know: a slip of the pen must not turn a rule off. A key that ends in
    /// `.` allows everything below it.
    ///
    /// # Errors
    /// When there is one; names it and those that are known.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        let is_known =
            |key: &str| known.iter().any(|known| *known == key || (known.ends_with('.') && key.starts_with(known)));
        match self.keys().find(|key| !is_known(key)) {
            Some(strange) => Err(format!("setting `{strange}` is not known: there are {}", known.join(", "))),
            None => Ok(()),
        }
    }
}

impl Settings for [Field] {
    fn value(&self, key: &str) -> Option<&Value> {
        self.iter().find(|field| field.key == key).map(|field| &field.value)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|field| field.key.as_str())
    }
}

fn missing(key: &str, example: &str) -> String {
    format!("setting `{key}` is missing: write `{key} = {example}`")
}

fn wrong(key: &str, value: &Value, wanted: &str, example: &str) -> String {
    let is = match value {
        Value::Text(_) => "a text",
        Value::Whole(_) => "a whole number",
        Value::Real(_) => "a number with a fraction",
        Value::Truth(_) => "true or false",
        Value::Texts(_) => "a list of texts",
        Value::Wholes(_) => "a list of whole numbers",
    };
    format!("setting `{key}` is {is}, but {wanted} is wanted: write `{key} = {example}`")
}

/// A value in words, as for a message.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Whole(whole) => whole.to_string(),
        Value::Real(real) => decimal(*real),
        Value::Truth(truth) => truth.to_string(),
        Value::Texts(texts) => texts.join(", "),
        Value::Wholes(wholes) => wholes.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// A number with at most six digits behind the point, or as `1.5e20` where it is very large or small. What the standard
/// library has for this is exact, and a third of a component's size.
pub(crate) fn decimal(real: f64) -> String {
    const LARGE: f64 = 1e12;
    let (sign, mut size) = (if real < 0.0 { "-" } else { "" }, real.abs());
    let mut exponent = 0;
    if size != 0.0 && !(1e-4..LARGE).contains(&size) {
        while size >= 10.0 {
            (size, exponent) = (size / 10.0, exponent + 1);
        }
        while size < 1.0 {
            (size, exponent) = (size * 10.0, exponent - 1);
        }
    }
    // Below 10^12, so that millionths fit.
    let millionths = (size * 1e6 + 0.5) as u64;
    let mut shown = format!("{sign}{}", millionths / 1_000_000);
    let fraction = format!("{:06}", millionths % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    if exponent != 0 {
        shown.push_str(&format!("e{exponent}"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(key: &str, value: Value) -> Field {
        Field { key: key.to_owned(), value }
    }

    #[test]
    fn a_setting_that_is_not_known_is_refused() {
        let settings = [field("keep", Value::Whole(1)), field("kepp", Value::Whole(2)), field("a.b", Value::Whole(2))];
        let error = settings.only(&["keep", "until", "a."]).expect_err("`kepp` is not known");
        assert_eq!(error, "setting `kepp` is not known: there are keep, until, a.");
        assert_eq!(settings.only(&["keep", "kepp", "a."]), Ok(()));
    }

    #[test]
    fn numbers_read_back_within_a_millionth() {
        for real in [0.0, 1.0, -1.5, 0.25, 1234.567891, 99.9999999, 0.0001, 9e11, 1e12, 1e15, -2.5e300, 1e-7, 5e-324] {
            let read: f64 = decimal(real).parse().expect("a number");
            assert!((read - real).abs() <= (real.abs() * 1e-6).max(1e-6), "{real}: {}", decimal(real));
        }
        assert_eq!([decimal(1.0), decimal(-1.5), decimal(2.5e20)], ["1", "-1.5", "2.5e20"]);
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        let settings = [field("only", Value::Text("db-*".into())), field("none", Value::Texts(vec![]))];
        assert_eq!(settings.texts("only"), Ok(vec!["db-*"]));
        assert_eq!(settings.texts("absent"), Ok(vec![]));
        assert_eq!(settings.wholes("none"), Ok(vec![]));
        assert_eq!(settings.texts_or("none", &["x"]), Ok(vec![]), "an empty list is written, and is no default");
        assert_eq!(settings.texts_or("absent", &["x"]), Ok(vec!["x"]));
    }

    #[test]
    fn counts_and_dates_are_checked() {
        let settings = [
            field("keep", Value::Whole(-1)),
            field("until", Value::Text("2027-02-29".into())),
            field("since", Value::Text("2026-02-28T00:00:00Z".into())),
        ];
        assert!(settings.count_or("keep", 1).expect_err("negative").contains("from 0 to 100000"));
        assert!(settings.find_date("until").expect_err("no such day").contains("`until` is `2027-02-29`"));
        assert_eq!(
            settings.find_date("since").map(|date| date.map(|date| date.to_string())),
            Ok(Some("2026-02-28".into()))
        );
    }
}
