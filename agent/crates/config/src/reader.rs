//! Typed reading of a parsed table: every key that is asked for is a known key, every other one is a mistake.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use backstop_model::Span;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{At, Sources, Spot};
use crate::suggest;

/// Room for the keys that are asked of a workload, of which a large site has ten thousand.
const KEYS_USUAL: usize = 24;

/// A table being read.
pub(crate) struct Fields<'t> {
    sources: &'t Sources<'t>,
    file: usize,
    /// What messages call it, as in `vault.main`; empty for a whole file.
    title: String,
    /// Where it begins.
    pub at: At,
    table: &'t DeTable<'t>,
    asked: RefCell<Vec<&'static str>>,
    forgiven: Cell<bool>,
}

/// A value being read.
pub(crate) struct Field<'t> {
    sources: &'t Sources<'t>,
    /// What messages call it, as in `vault.main.url`.
    pub title: String,
    pub at: At,
    value: &'t DeValue<'t>,
}

impl<'t> Fields<'t> {
    pub(crate) fn new(sources: &'t Sources<'t>, at: At, title: String, table: &'t DeTable<'t>) -> Self {
        let asked = RefCell::new(Vec::with_capacity(KEYS_USUAL));
        Self { sources, file: at.file, title, at, table, asked, forgiven: Cell::default() }
    }

    /// The value of a key this table may have.
    pub(crate) fn get(&self, key: &'static str) -> Option<Field<'t>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key).map(|value| self.field(key, value))
    }

    /// The value of a key this table must have; its absence is reported.
    pub(crate) fn need(&self, key: &'static str, hint: &str) -> Option<Field<'t>> {
        let found = self.get(key);
        if found.is_none() {
            self.sources.report(self.at, format!("`{}` has no `{key}`", self.title), hint);
        }
        found
    }

    /// What messages call this table.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Reports something about the table as a whole.
    pub(crate) fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.sources.report(self.at, message, hint);
    }

    /// Reports something about one of its keys.
    pub(crate) fn report_at(&self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        self.sources.report(at, message, hint);
    }

    /// `file:line:column`, for messages that name a second place.
    pub(crate) fn place(&self, at: At) -> String {
        self.sources.place(at)
    }

    /// The directory of the file this stands in.
    pub(crate) fn directory(&self) -> &'t Path {
        self.sources.files[self.file].path.parent().unwrap_or(Path::new(""))
    }

    /// Every key with its value, for tables whose keys are names given by the operator.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Spot<&'t str>, Field<'t>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let at = At::new(self.file, key.span());
            (Spot { value: key.get_ref().as_ref(), at }, self.field(key.get_ref(), value))
        })
    }

    fn field(&self, key: &str, value: &'t Spanned<DeValue<'t>>) -> Field<'t> {
        let title = match self.title.as_str() {
            "" => key.to_owned(),
            title => [title, ".", key].concat(),
        };
        Field { sources: self.sources, title, at: At::new(self.file, value.span()), value: value.get_ref() }
    }

    /// Gives up on this table: what is in it cannot be judged.
    pub(crate) fn forgive(&self) {
        self.forgiven.set(true);
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(&self) {
        if self.forgiven.get() {
            return;
        }
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let place = match self.title.as_str() {
                "" => "at the top of the file".to_owned(),
                title => format!("in `{title}`"),
            };
            let name: String = key.get_ref().escape_debug().take(60).collect();
            self.sources.report(
                At::new(self.file, key.span()),
                format!("unknown key `{name}` {place}"),
                suggest::hint(key.get_ref(), asked.iter().copied()),
            );
        }
    }
}

impl<'t> Field<'t> {
    pub(crate) fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.sources.report(self.at, message, hint);
    }

    pub(crate) fn mismatch(&self, wanted: &str) {
        self.report(format!("`{}` wants {wanted}, this is {}", self.title, kind(self.value)), "");
    }

    /// What is written, for values of any type.
    pub(crate) fn value(&self) -> &'t DeValue<'t> {
        self.value
    }

    /// Keeps the value out of every excerpt.
    pub(crate) fn hide(&self) {
        self.sources.hide(self.at);
    }

    /// Whether the value is the word `false`, which turns off what has a default.
    pub(crate) fn is_off(&self) -> bool {
        self.value.as_bool() == Some(false)
    }

    pub(crate) fn text(&self) -> Option<&'t str> {
        let found = self.value.as_str();
        if found.is_none() {
            self.mismatch("text in quotes");
        }
        found
    }

    /// Text that becomes a checked value; its own words say what is wrong with it.
    pub(crate) fn parsed<T: FromStr<Err: ToString>>(&self) -> Option<T> {
        self.text()?.parse().map_err(|e: T::Err| self.report(format!("`{}`: {}", self.title, e.to_string()), "")).ok()
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        let found = self.value.as_bool();
        if found.is_none() {
            self.mismatch("`true` or `false`");
        }
        found
    }

    /// A whole number within bounds; `what` names the unit.
    pub(crate) fn whole(&self, bounds: RangeInclusive<u32>, what: &str, hint: &str) -> Option<u32> {
        let Some(written) = self.value.as_integer() else {
            self.mismatch(&format!("a whole number of {what}"));
            return None;
        };
        let number = i128::from_str_radix(written.as_str(), written.radix()).ok();
        let found = number.and_then(|n| u32::try_from(n).ok()).filter(|n| bounds.contains(n));
        if found.is_none() {
            let shown: String = match number {
                Some(number) => number.to_string(),
                None => written.as_str().chars().take(40).collect(),
            };
            let (least, most) = bounds.into_inner();
            self.report(format!("`{}` is {shown}; it must be {least} to {most} {what}", self.title), hint);
        }
        found
    }

    /// A length of time within bounds.
    pub(crate) fn span(&self, bounds: RangeInclusive<Span>) -> Option<Span> {
        let span: Span = self.parsed()?;
        if !bounds.contains(&span) {
            let (least, most) = bounds.into_inner();
            self.report(format!("`{}` is {span}; it must be {least} to {most}", self.title), "");
            return None;
        }
        Some(span)
    }

    pub(crate) fn table(&self) -> Option<Fields<'t>> {
        match self.value.as_table() {
            Some(table) => Some(Fields::new(self.sources, self.at, self.title.clone(), table)),
            None => {
                self.mismatch("a table");
                None
            }
        }
    }

    /// The elements of an array; what is no array is reported.
    pub(crate) fn list(&self) -> Option<Vec<Field<'t>>> {
        let Some(array) = self.value.as_array() else {
            self.mismatch("a list in square brackets");
            return None;
        };
        let elements = array
            .iter()
            .map(|element| Field {
                sources: self.sources,
                title: self.title.clone(),
                at: At::new(self.at.file, element.span()),
                value: element.get_ref(),
            })
            .collect();
        Some(elements)
    }

    pub(crate) fn spot<T>(&self, value: T) -> Spot<T> {
        Spot { value, at: self.at }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
