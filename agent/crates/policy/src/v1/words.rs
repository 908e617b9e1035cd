//! Words that all worlds share.

use backstop_model::policy::{CivilTime, Field, Shown, Value};

use super::imports::types as wit;

pub(super) fn civil(time: &CivilTime) -> wit::CivilTime {
    let CivilTime { year, month, day, hour, minute, second, weekday, offset } = *time;
    wit::CivilTime { year, month, day, hour, minute, second, weekday, offset }
}

pub(super) fn level(shown: Shown) -> wit::Level {
    match shown {
        Shown::Nothing => wit::Level::Nothing,
        Shown::Present => wit::Level::Present,
        Shown::Intact => wit::Level::Intact,
        Shown::Attachable => wit::Level::Attachable,
        Shown::Consistent => wit::Level::Consistent,
        Shown::Boots => wit::Level::Boots,
        Shown::Serves => wit::Level::Serves,
    }
}

pub(super) fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Fields in the WIT's words. Lists of texts need a place for their slices, which [`Texts`] is.
pub(super) struct Texts<'a>(Vec<Vec<&'a str>>);

impl<'a> Texts<'a> {
    pub(super) fn of(fields: &'a [Field]) -> Self {
        let texts = |field: &'a Field| match &field.value {
            Value::Texts(texts) => strs(texts),
            Value::Truth(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_) | Value::Wholes(_) => Vec::new(),
        };
        Self(fields.iter().map(texts).collect())
    }

    pub(super) fn fields(&'a self, fields: &'a [Field]) -> Vec<wit::Field<'a>> {
        fields
            .iter()
            .zip(&self.0)
            .map(|(field, texts)| wit::Field { key: &field.key, value: value(field, texts) })
            .collect()
    }
}

fn value<'a>(field: &'a Field, texts: &'a [&'a str]) -> wit::Value<'a> {
    match &field.value {
        Value::Truth(truth) => wit::Value::Truth(*truth),
        Value::Whole(whole) => wit::Value::Whole(*whole),
        // The WIT promises a finite number; a record read back could hold anything.
        Value::Real(real) => wit::Value::Real(if real.is_finite() { *real } else { 0.0 }),
        Value::Text(text) => wit::Value::Text(text),
        Value::Wholes(wholes) if wholes.is_empty() => wit::Value::Texts(&[]),
        Value::Wholes(wholes) => wit::Value::Wholes(wholes),
        Value::Texts(_) => wit::Value::Texts(texts),
    }
}
