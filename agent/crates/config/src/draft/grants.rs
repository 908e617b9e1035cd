//! What a policy may reach: hosts and secrets for alert sinks, probes for health checks, nothing for the others.

use std::str::FromStr;

use backstop_model::config::SecretRef;
use backstop_model::policy::{BadGrant, Grants, World};

use crate::problem::At;
use crate::reader::{Field, Fields};
use crate::secret;

/// Hosts, secrets or probes of one policy.
const GRANTS_MAX: usize = 64;

pub(super) fn grants(field: &Field<'_>, world: Option<World>) -> Grants {
    let Some(table) = field.table() else { return Grants::default() };
    let read = |key, of: World| {
        let field: Field<'_> = table.get(key)?;
        if let Some(world) = world.filter(|world| *world != of) {
            let hint = match world.is_pure() {
                true => "policies of this world reach nothing but their question: leave it out",
                false => "leave it out",
            };
            field.report(
                format!("`{}` can be granted to `{of}` policies only; this one is `{world}`", field.title),
                hint,
            );
            if key == "secrets" {
                hide_all(&field);
            }
            return None;
        }
        Some(field)
    };
    let grants = Grants {
        http: read("http", World::AlertSink).map(|field| each(&field)).unwrap_or_default(),
        secrets: read("secrets", World::AlertSink).map(|field| secrets(&field)).unwrap_or_default(),
        probes: read("probes", World::HealthCheck).map(|field| each(&field)).unwrap_or_default(),
    };
    table.finish();
    grants
}

/// The grants of a list, each once.
fn each<T: FromStr<Err = BadGrant> + PartialEq>(field: &Field<'_>) -> Vec<T> {
    let mut found = Vec::new();
    for element in bounded(field, field.list().unwrap_or_default()) {
        match element.text().map(str::parse::<T>) {
            Some(Ok(grant)) if !found.contains(&grant) => found.push(grant),
            Some(Err(bad)) => element.report(format!("`{}`: {bad}", field.title), bad.hint),
            Some(Ok(_)) | None => {}
        }
    }
    found
}

fn bounded<'t, T>(field: &Field<'t>, mut listed: Vec<T>) -> Vec<T> {
    if listed.len() > GRANTS_MAX {
        field.report(format!("`{}` holds more than {GRANTS_MAX}", field.title), "");
        listed.truncate(GRANTS_MAX);
    }
    listed
}

/// A table `name = "reference"`, or a list of names of systemd credentials.
fn secrets(field: &Field<'_>) -> Vec<(String, SecretRef)> {
    hide_all(field);
    if field.value().is_array() {
        let named = |element: &Field<'_>| {
            let name = element.text()?;
            let found = secret::parse(&format!("credential:{name}")).ok();
            if found.is_none() {
                let message = format!("`{}` lists names of systemd credentials, and this is none", field.title);
                element.report(message, "a secret from elsewhere is given as `secrets = { NAME = \"file:/path\" }`");
            }
            Some((name.to_owned(), found?))
        };
        let mut found: Vec<_> = bounded(field, field.list().unwrap_or_default()).iter().filter_map(named).collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.dedup();
        return found;
    }
    let Some(table) = field.value().as_table().and_then(|_| field.table()) else {
        field.mismatch("a table of names with references, or a list of names");
        return Vec::new();
    };
    let entries = bounded(field, table.entries().collect());
    entries.iter().filter_map(|(name, value)| secret(&table, name.value, name.at, value)).collect()
}

fn secret(table: &Fields<'_>, name: &str, at: At, value: &Field<'_>) -> Option<(String, SecretRef)> {
    let valid =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !valid {
        table.report_at(at, "the name of a secret has 1 to 64 letters, digits, `-`, `_` or `.`", "");
    }
    let reference = secret::parse(value.text()?).map_err(|why| {
        value.report(format!("`{}`: {why}", value.title), "say where the secret is found, never the secret itself")
    });
    reference.ok().filter(|_| valid).map(|reference| (name.to_owned(), reference))
}

/// No excerpt shows what is neither meant as a reference nor, in a list, a name: it may be the secret itself.
fn hide_all(field: &Field<'_>) {
    let hide = |field: &Field<'_>, may_be_name: bool| {
        let harmless = |text| {
            secret::is_meant_as_reference(text) || (may_be_name && secret::parse(&format!("credential:{text}")).is_ok())
        };
        if !field.value().as_str().is_some_and(harmless) {
            field.hide();
        }
    };
    if field.value().is_array() {
        field.list().into_iter().flatten().for_each(|element| hide(&element, true));
    } else if field.value().is_table() {
        field.table().into_iter().for_each(|table| table.entries().for_each(|(_, value)| hide(&value, false)));
    } else {
        field.hide();
    }
}
