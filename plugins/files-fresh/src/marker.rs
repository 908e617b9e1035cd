//! A file that says whether the others are any good: a text that must be in it, or a value in its JSON.

use backstop_policy_sdk::health_check::Looked;
use backstop_policy_sdk::settings::shown;
use backstop_policy_sdk::{Field, Settings, Value, probes};

/// The most that is read of one.
const BYTES_MAX: u32 = 1 << 20;

/// A file and what it must say.
pub struct Marker<'a> {
    path: &'a str,
    says: Says<'a>,
}

enum Says<'a> {
    /// The text is somewhere in it.
    Text(&'a str),
    /// It is JSON, and what the pointer (RFC 6901) leads to equals the value, if one is given.
    Json { pointer: &'a str, equals: Option<&'a Value> },
}

/// The markers of the settings: `marker = { path, contains }` and `json = { path, pointer, equals }`.
pub fn read(settings: &[Field]) -> Result<Vec<Marker<'_>>, String> {
    settings.only(&[
        "path",
        "pattern",
        "max_age_hours",
        "min_count",
        "min_bytes",
        "marker.path",
        "marker.contains",
        "json.path",
        "json.pointer",
        "json.equals",
    ])?;
    let mut markers = Vec::new();
    if settings.keys().any(|key| key.starts_with("marker.")) {
        let says = Says::Text(settings.text("marker.contains")?);
        markers.push(Marker { path: settings.text("marker.path")?, says });
    }
    if settings.keys().any(|key| key.starts_with("json.")) {
        let pointer = settings.text_or("json.pointer", "")?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("setting `json.pointer` is `{pointer}`; it begins with `/`, as in `/result/state`"));
        }
        let equals = settings.value("json.equals");
        markers.push(Marker { path: settings.text("json.path")?, says: Says::Json { pointer, equals } });
    }
    Ok(markers)
}

impl Marker<'_> {
    pub fn look(&self, looked: &mut Looked) {
        let bytes = match probes::read(self.path, 0, BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(failure) => return looked.failed(self.path, &failure),
        };
        match &self.says {
            Says::Text(text) => {
                let found = String::from_utf8_lossy(&bytes).contains(text);
                looked.check(
                    found,
                    self.path,
                    format!("{} `{text}`", if found { "contains" } else { "does not contain" }),
                );
            }
            Says::Json { pointer, equals } => json(self.path, &bytes, pointer, *equals, looked),
        }
    }
}

fn json(path: &str, bytes: &[u8], pointer: &str, equals: Option<&Value>, looked: &mut Looked) {
    let value: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            return looked.fail(path, format!("is no JSON: line {}, column {}", error.line(), error.column()));
        }
    };
    let Some(found) = value.pointer(pointer) else {
        return looked.fail(path, format!("has nothing at `{pointer}`"));
    };
    let is: String = match found {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let short: String = is.chars().take(100).collect();
    match equals {
        None => looked.pass(path, format!("is JSON with `{pointer}`")),
        Some(wanted) => {
            looked.check(is == shown(wanted), path, format!("`{pointer}` is `{short}`, `{}` wanted", shown(wanted)))
        }
    }
}
