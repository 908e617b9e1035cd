//! The files as they are written: shapes and single values checked, names not yet compared.

mod grants;
mod policy;
mod schedule;
mod settings;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use backstop_model::Span;
use backstop_model::config::{
    Daily, DrTestRule, FilesSpec, HealthCommand, Limits, Monthly, SecretRef, VerifyRule, Weekly,
};
use backstop_model::name::{Place, PolicyName, Region, ScheduleName, SignerName, VaultName, WorkloadName};
use toml::de::DeTable;

use crate::problem::{At, Sources, Spot};
use crate::reader::{Field, Fields};
use crate::{FILE_SIZE_MAX, paths, secret};

pub(crate) use policy::{MEMORY_UNITS, PolicyDraft};
pub(crate) use schedule::{DEFAULT_DAILY, DEFAULT_MONTHLY, DEFAULT_VERIFY, DEFAULT_WEEKLY, WEEKDAYS};

const SECOND: Span = Span::from_secs(1);
const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3600);
const YEAR: Span = Span::from_days(366);

/// All files together, as written.
#[derive(Default)]
pub(crate) struct Draft {
    pub state_dir: Option<Spot<PathBuf>>,
    pub vaults: BTreeMap<VaultName, Spot<VaultDraft>>,
    pub schedules: BTreeMap<ScheduleName, Spot<ScheduleDraft>>,
    pub workloads: BTreeMap<WorkloadName, Spot<WorkloadDraft>>,
    pub policies: BTreeMap<PolicyName, Spot<PolicyDraft>>,
    /// Public keys in base64.
    pub signers: BTreeMap<SignerName, Spot<String>>,
    pub limits: Option<Spot<Limits>>,
}

pub(crate) struct VaultDraft {
    pub url: Spot<PathBuf>,
    pub region: Region,
    pub key: Spot<SecretRef>,
}

pub(crate) struct ScheduleDraft {
    pub daily: Option<Daily>,
    pub weekly: Option<Weekly>,
    pub monthly: Option<Monthly>,
    pub objectives: Objectives,
}

pub(crate) struct WorkloadDraft {
    pub spec: FilesSpec,
    /// Where each of `spec.paths` stands.
    pub path_spots: Vec<At>,
    pub schedule: Option<Spot<String>>,
    pub enabled: bool,
    pub health: Option<HealthCommand>,
    pub keep: Option<Spot<KeepDraft>>,
    pub objectives: Objectives,
}

/// What a workload says about tiers: nothing, a number of periods, or off.
#[derive(Default)]
pub(crate) struct KeepDraft {
    pub daily: Option<Option<u32>>,
    pub weekly: Option<Option<u32>>,
    pub monthly: Option<Option<u32>>,
}

/// What both a schedule and a workload may say. `Some(None)` is an explicit `false`.
#[derive(Default)]
pub(crate) struct Objectives {
    pub timezone: Option<String>,
    pub rpo: Option<Span>,
    pub rto: Option<Span>,
    pub home: Option<Spot<Place>>,
    pub copies: Option<Spot<Vec<Spot<Place>>>>,
    pub verify: Option<Option<VerifyRule>>,
    pub dr_test: Option<Option<DrTestRule>>,
    pub full_every: Option<Option<Span>>,
}

/// Reads every file; what is wrong is reported to `sources` and left out of the draft.
pub(crate) fn read(sources: &Sources<'_>) -> Draft {
    let mut draft = Draft::default();
    for (index, file) in sources.files.iter().enumerate() {
        if file.bytes.len() > FILE_SIZE_MAX {
            let message = format!("the file is larger than {} MiB", FILE_SIZE_MAX >> 20);
            sources.report(At::new(index, 0..0), message, "");
            continue;
        }
        let text = match std::str::from_utf8(&file.bytes) {
            Ok(text) => text,
            Err(e) => {
                let at = e.valid_up_to();
                sources.report(At::new(index, at..at + 1), "the file is not valid UTF-8", "TOML is always UTF-8");
                continue;
            }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            sources.report(At::new(index, span), format!("not valid TOML: {}", error.message()), "");
        }
        if errors.is_empty() {
            let whole = Fields::new(sources, At::new(index, 0..0), String::new(), table.get_ref());
            file_fields(&whole, sources, &mut draft);
        }
    }
    draft
}

fn file_fields(file: &Fields<'_>, sources: &Sources<'_>, draft: &mut Draft) {
    if let Some(field) = file.get("state_dir")
        && let Some(path) = path(&field)
    {
        define_once(sources, &mut draft.state_dir, field.spot(path), "`state_dir`");
    }
    if let Some(limits) = file.get("limits").and_then(|field| field.table()) {
        let spot = Spot { value: limits_table(&limits), at: limits.at };
        define_once(sources, &mut draft.limits, spot, "`limits`");
    }
    named(file, "vault", sources, &mut draft.vaults, vault);
    named(file, "schedule", sources, &mut draft.schedules, schedule::schedule);
    named(file, "workload", sources, &mut draft.workloads, workload::workload);
    named(file, "policy", sources, &mut draft.policies, policy::policy);
    named(file, "signer", sources, &mut draft.signers, policy::signer);
    file.finish();
}

fn define_once<T>(sources: &Sources<'_>, slot: &mut Option<Spot<T>>, spot: Spot<T>, what: &str) {
    match slot {
        Some(first) => {
            sources.report(spot.at, format!("{what} is defined twice, first at {}", sources.place(first.at)), "");
        }
        None => *slot = Some(spot),
    }
}

/// Reads `[what.NAME]` tables.
fn named<N, T>(
    file: &Fields<'_>,
    what: &'static str,
    sources: &Sources<'_>,
    into: &mut BTreeMap<N, Spot<T>>,
    read: fn(&Fields<'_>) -> Option<T>,
) where
    N: FromStr<Err: ToString> + Ord + Clone,
{
    let Some(group) = file.get(what).and_then(|field| field.table()) else { return };
    for (key, field) in group.entries() {
        let name = key.value.parse::<N>().map_err(|e| sources.report(key.at, e.to_string(), "")).ok();
        let Some(mut table) = field.table() else { continue };
        table.at = key.at;
        let value = read(&table);
        table.finish();
        let Some(name) = name else { continue };
        if let Some(first) = into.get(&name) {
            let first = sources.place(first.at);
            let message = format!("{what} `{}` is defined twice, first at {first}", key.value);
            sources.report(key.at, message, "keep one of them, or give one another name");
        } else if let Some(value) = value {
            into.insert(name, Spot { value, at: key.at });
        }
    }
}

fn vault(table: &Fields<'_>) -> Option<VaultDraft> {
    let url = table.need("url", "say where its bytes live, as in `url = \"file:///var/lib/backstop/vault\"`");
    let region =
        table.need("region", "name the place it stands in, as in `region = \"here\"`; copies go to another one");
    let key = table.need("key", "say where its key is found, as in `key = \"file:/etc/backstop/vault.key\"`");
    let url = url.and_then(|field| vault_url(&field));
    let region = region.and_then(|field| field.parsed());
    let key = key.and_then(|field| {
        let text = field.text()?;
        secret::parse(text)
            .map(|key| field.spot(key))
            .map_err(|why| field.report(format!("`{}`: {why}", field.title), ""))
            .ok()
    });
    Some(VaultDraft { url: url?, region: region?, key: key? })
}

fn vault_url(field: &Field<'_>) -> Option<Spot<PathBuf>> {
    let url = field.text()?;
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "file" => match paths::of_file_url(url) {
            Ok(path) => return Some(field.spot(path)),
            Err(why) => field.report(format!("`{}`: {why}", field.title), "write `file:///` and an absolute path"),
        },
        "s3" | "az" | "gs" => {
            field.report(format!("`{scheme}://` vaults are not in this build"), "this build knows `file://`");
        }
        _ => field.report(
            format!("`{}` is not the URL of a vault", field.title),
            "write `file:///` and an absolute path, as in `file:///var/lib/backstop/vault`",
        ),
    }
    None
}

fn limits_table(table: &Fields<'_>) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        releases_per_run: table
            .get("releases_per_run")
            .and_then(|field| field.whole(1..=100_000, "backups", ""))
            .unwrap_or(default.releases_per_run),
        release_percent_per_day: table
            .get("release_percent_per_day")
            .and_then(|field| field.whole(1..=100, "percent", ""))
            .unwrap_or(default.release_percent_per_day),
        undelete_window: table
            .get("undelete_window")
            .and_then(|field| field.span(HOUR..=YEAR))
            .unwrap_or(default.undelete_window),
        undo_window: table.get("undo_window").and_then(|field| field.span(HOUR..=YEAR)).unwrap_or(default.undo_window),
        prune_grace: table.get("prune_grace").and_then(|field| field.span(HOUR..=YEAR)).unwrap_or(default.prune_grace),
    };
    table.finish();
    limits
}

fn path(field: &Field<'_>) -> Option<PathBuf> {
    let text = field.text()?;
    paths::absolute(text)
        .map_err(|why| {
            field.report(format!("`{}` is not a usable path: {why}", field.title), "write it from `/`, without `..`")
        })
        .ok()
}
