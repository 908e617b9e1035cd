//! A policy's settings: any TOML, flattened to named values, as the plugin gets them.

use std::collections::BTreeMap;

use backstop_model::policy::{Field as Setting, Value};
use toml::de::DeValue;

use crate::problem::At;
use crate::reader::{Field, Fields};

/// Characters of a dotted key.
const KEY_MAX: usize = 200;
/// Bytes of all settings together; they travel with every question.
const SIZE_MAX: usize = 64 << 10;

/// The settings in bytewise order of their keys.
pub(super) fn settings(field: &Field<'_>) -> Vec<Setting> {
    let Some(table) = field.table() else { return Vec::new() };
    let mut found = BTreeMap::new();
    flatten(&table, "", &mut found);
    let size: usize = found.iter().map(|(key, (value, _))| key.len() + size(value)).sum();
    if size > SIZE_MAX {
        let message = format!("`{}` holds more than {} KiB", field.title, SIZE_MAX >> 10);
        field.report(message, "they are handed over with every question; keep what is large in the component");
    }
    found.into_iter().map(|(key, (value, _))| Setting { key, value }).collect()
}

fn flatten(table: &Fields<'_>, above: &str, found: &mut BTreeMap<String, (Value, At)>) {
    for (name, field) in table.entries() {
        let key = if above.is_empty() { name.value.to_owned() } else { format!("{above}.{}", name.value) };
        let valid = !name.value.is_empty() && key.chars().count() <= KEY_MAX && !key.contains(char::is_control);
        if !valid {
            let message = format!(
                "a key in `{}` is empty, holds a control character or has more than {KEY_MAX} characters",
                table.title()
            );
            table.report_at(name.at, message, "tables count as one key with their parts joined by dots");
        } else if let Some(below) = field.value().as_table().and_then(|_| field.table()) {
            flatten(&below, &key, found);
        } else if let Some(value) = value(&field) {
            if let Some((_, first)) = found.get(&key) {
                let first = table.place(*first);
                table.report_at(
                    name.at,
                    format!("the setting `{key}` is given twice, also at {first}"),
                    "a dot in quotes and a table mean the same here",
                );
            } else {
                found.insert(key, (value, name.at));
            }
        }
    }
}

fn value(field: &Field<'_>) -> Option<Value> {
    Some(match field.value() {
        DeValue::String(_) | DeValue::Datetime(_) => Value::Text(text(field)?),
        DeValue::Integer(_) => Value::Whole(whole(field)?),
        DeValue::Float(written) => {
            let number = written.as_str().parse::<f64>().ok().filter(|number| number.is_finite());
            if number.is_none() {
                field.report(format!("`{}` is not a finite number", field.title), "");
            }
            Value::Real(number?)
        }
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Array(_) => list(field)?,
        DeValue::Table(_) => return None,
    })
}

fn text(field: &Field<'_>) -> Option<String> {
    match field.value() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Datetime(instant) => Some(instant.to_string()),
        _ => None,
    }
}

fn whole(field: &Field<'_>) -> Option<i64> {
    let written = field.value().as_integer()?;
    let number = i64::from_str_radix(written.as_str(), written.radix()).ok();
    if number.is_none() {
        field.report(format!("`{}` does not fit into 64 bits", field.title), "");
    }
    number
}

/// Texts, or whole numbers; the first element says which.
fn list(field: &Field<'_>) -> Option<Value> {
    let listed = field.list()?;
    let of_numbers = listed.first().is_some_and(|first| first.value().is_integer());
    let mixed = listed.iter().find(|element| match element.value() {
        DeValue::Integer(_) => !of_numbers,
        DeValue::String(_) | DeValue::Datetime(_) => of_numbers,
        _ => true,
    });
    if let Some(element) = mixed {
        let hint = match element.value().is_table() {
            true => "give each table a name of its own, as in `first = { … }, second = { … }`",
            false => "",
        };
        element.report(format!("`{}` may list texts only, or whole numbers only", field.title), hint);
        return None;
    }
    Some(match of_numbers {
        true => Value::Wholes(listed.iter().map(whole).collect::<Option<_>>()?),
        false => Value::Texts(listed.iter().map(text).collect::<Option<_>>()?),
    })
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Whole(_) | Value::Real(_) | Value::Truth(_) => 8,
        Value::Texts(texts) => texts.iter().map(|text| text.len() + 8).sum(),
        Value::Wholes(numbers) => numbers.len() * 8,
    }
}
