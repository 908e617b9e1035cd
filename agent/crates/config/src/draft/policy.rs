//! Policies: which component decides what, how far it is in force, what it may use up; and whose signatures count.

use std::path::{Component, Path, PathBuf};

use backstop_model::Span;
use backstop_model::backup::Tier;
use backstop_model::name::{SignerName, parse_hex};
use backstop_model::policy::{Field as Setting, Grants, Mode, PolicyLimits, World};
use base64::Engine as _;

use super::MINUTE;
use super::grants::grants;
use super::settings::settings;
use crate::problem::Spot;
use crate::reader::{Field, Fields};
use crate::suggest;

/// The share of workloads a canary begins with when nothing is said.
const CANARY_DEFAULT: u8 = 10;
const MEMORY_MIN: u64 = 64 << 10;
const MEMORY_MAX: u64 = 1 << 30;
/// Patterns in one `applies_to`.
const PATTERNS_MAX: usize = 1_000;

pub(crate) struct PolicyDraft {
    pub component: PathBuf,
    pub sha256: Option<String>,
    pub signer: Option<Spot<SignerName>>,
    pub world: World,
    pub applies_to: Vec<String>,
    pub mode: Mode,
    pub settings: Vec<Setting>,
    pub grants: Grants,
    pub limits: PolicyLimits,
    pub promises: Vec<(Tier, u32)>,
}

pub(super) fn policy(table: &Fields<'_>) -> Option<PolicyDraft> {
    let component = table.need("component", "name the file of the component, as in `component = \"legal-hold.wasm\"`");
    let component = component.and_then(|field| component_path(&field, table.directory()));
    let world = table.need("world", "say what it decides: `retention`, `validation`, `alert-sink` or `health-check`");
    let world = world.and_then(|field| word(&field, World::ALL.map(World::word), |index| World::ALL[index]));
    let (sha256, signer) = (table.get("sha256"), table.get("signer"));
    if sha256.is_none() && signer.is_none() {
        let message = format!("`{}` has neither `sha256` nor `signer`", table.title());
        let hint = "say which component is meant: `sha256sum FILE` prints its digest; a signer is named by a `[signer.NAME]` table";
        table.report(message, hint);
    }
    let draft = PolicyDraft {
        sha256: sha256.and_then(|field| digest(&field)),
        signer: signer.and_then(|field| Some(field.spot(field.parsed()?))),
        applies_to: table.get("applies_to").map(|field| patterns(&field)).unwrap_or_default(),
        mode: mode(table),
        settings: table.get("settings").map(|field| settings(&field)).unwrap_or_default(),
        grants: table.get("grants").map(|field| grants(&field, world)).unwrap_or_default(),
        limits: limits(table, world.unwrap_or(World::Retention)),
        promises: table.get("promises").map(|field| promises(&field, world)).unwrap_or_default(),
        component: component?,
        world: world?,
    };
    Some(draft)
}

/// One of a few words.
fn word<T, const N: usize>(field: &Field<'_>, words: [&'static str; N], value: fn(usize) -> T) -> Option<T> {
    let text = field.text()?;
    let found = words.iter().position(|word| *word == text);
    if found.is_none() {
        field.report(format!("`{}` is none of the words it may be", field.title), suggest::hint(text, words));
    }
    found.map(value)
}

/// Relative to the directory of the file it stands in; `.` and `..` are taken out of the text.
fn component_path(field: &Field<'_>, directory: &Path) -> Option<PathBuf> {
    let text = field.text()?;
    if text.is_empty() || text.ends_with('/') || text.contains('\0') {
        field.report(format!("`{}` names no file", field.title), "as in `component = \"legal-hold.wasm\"`");
        return None;
    }
    let mut path = PathBuf::new();
    for part in directory.join(text).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            // Above the root stands the root; above a relative beginning nothing is known.
            Component::ParentDir if path.has_root() => {}
            part => path.push(part),
        }
    }
    Some(path)
}

fn digest(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.to_ascii_lowercase();
    let found = parse_hex::<32>(&text).map(|_| text);
    if found.is_none() {
        let message = format!("`{}` is not 64 hexadecimal digits", field.title);
        field.report(message, "`sha256sum FILE` prints the digest of a file");
    }
    found
}

fn patterns(field: &Field<'_>) -> Vec<String> {
    let Some(listed) = field.list() else { return Vec::new() };
    if listed.is_empty() {
        field.report(format!("`{}` names no workload", field.title), "leave it out for all workloads");
    }
    if listed.len() > PATTERNS_MAX {
        field.report(format!("`{}` has more than {PATTERNS_MAX} patterns", field.title), "");
    }
    let mut patterns = Vec::new();
    for element in listed {
        let Some(text) = element.text() else { continue };
        let valid =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*?".contains(&b));
        if valid {
            patterns.push(text.to_owned());
        } else {
            let hint = "write a workload's name, in which `*` is any text and `?` any character, as in `db-*`";
            element.report(format!("`{}` holds a pattern that fits no name", field.title), hint);
        }
    }
    patterns
}

fn mode(table: &Fields<'_>) -> Mode {
    let words = ["shadow", "canary", "active"];
    let written = table.get("mode");
    let chosen = written.as_ref().map_or(Some(2), |field| word(field, words, |index| index));
    let percent = table.get("canary").map(|field| {
        if chosen.is_some_and(|chosen| chosen != 1) {
            let hint = "say `mode = \"canary\"` as well, or leave `canary` out";
            field.report(format!("`{}` counts only in the mode `canary`", field.title), hint);
        }
        let hint = "none of them is `mode = \"shadow\"`, all of them `mode = \"active\"`";
        field.whole(1..=99, "percent of the workloads", hint)
    });
    match chosen {
        Some(0) => Mode::Shadow,
        Some(1) => Mode::Canary { percent: percent.flatten().map_or(CANARY_DEFAULT, |percent| percent as u8) },
        _ => Mode::Active,
    }
}

fn limits(table: &Fields<'_>, world: World) -> PolicyLimits {
    let default = PolicyLimits::of(world);
    let Some(table) = table.get("limits").and_then(|field| field.table()) else { return default };
    let limits = PolicyLimits {
        time: table.get("time").and_then(|field| field.span(Span::from_millis(1)..=MINUTE)).unwrap_or(default.time),
        memory: table.get("memory").and_then(|field| memory(&field)).unwrap_or(default.memory),
    };
    table.finish();
    limits
}

/// `32MiB`, with the units that memory is counted in.
fn memory(field: &Field<'_>) -> Option<u64> {
    let text = field.text()?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = MEMORY_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    let Some(bytes) = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit)) else {
        field.report(
            format!("`{}` is not an amount of memory", field.title),
            "as in `32MiB`; the units are `KiB`, `MiB`, `GiB` and `B`",
        );
        return None;
    };
    if !(MEMORY_MIN..=MEMORY_MAX).contains(&bytes) {
        field.report(format!("`{}` is {text}; it must be 64KiB to 1GiB", field.title), "");
        return None;
    }
    Some(bytes)
}

pub(crate) const MEMORY_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn promises(field: &Field<'_>, world: Option<World>) -> Vec<(Tier, u32)> {
    let Some(table) = field.table() else { return Vec::new() };
    if world.is_some_and(|world| world != World::Retention) {
        field.report(format!("`{}` has a meaning for retention policies only", field.title), "leave it out");
        return Vec::new();
    }
    let mut promises: Vec<(Tier, u32)> = Vec::new();
    for (key, field) in table.entries() {
        match key.value.parse::<Tier>() {
            Ok(tier) => promises.extend(field.whole(1..=100_000, "backups", "").map(|keep| (tier, keep))),
            Err(bad) => table.report_at(key.at, bad.to_string(), "name a tier, as in `promises = { quarterly = 8 }`"),
        }
    }
    promises.sort_by_key(|(tier, _)| tier.to_string());
    promises
}

pub(super) fn signer(table: &Fields<'_>) -> Option<String> {
    let field = table.need("public_key", "give its Ed25519 key in base64, as `backstop policy keygen` prints it")?;
    let text = field.text()?;
    let key = base64::engine::general_purpose::STANDARD.decode(text).ok().filter(|key| key.len() == 32);
    if key.is_none() {
        let message = format!("`{}` is not an Ed25519 key: 32 bytes in base64", field.title);
        field.hide();
        field.report(message, "give the public key, 44 characters that end in `=`; never the private one");
    }
    key.map(|_| text.to_owned())
}
