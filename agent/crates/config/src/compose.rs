//! Writing the file of one workload, for `backup configure` and `backup disable`.
//!
//! Only the text is made here; whoever calls loads the whole configuration with it before putting it in place.
//! Comments, order and everything that is not asked to change stay as they are.

use std::path::{Path, PathBuf};

use backstop_model::Span;
use backstop_model::config::HealthCommand;
use backstop_model::name::{Place, WorkloadName};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::problem::locate;
use crate::{Invalid, Problem, SourceFile};

/// How long a tier is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// So many distinct periods. Zero is written as it is, for [`crate::load`] to refuse.
    Periods(u32),
    /// The tier is off.
    Off,
}

/// What to change about a workload; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadSettings {
    /// What to protect. A workload that does not exist yet needs it.
    pub paths: Option<Vec<PathBuf>>,
    /// Patterns left out.
    pub exclude: Option<Vec<String>>,
    /// Patterns of disk images and database files.
    pub images: Option<Vec<String>>,
    /// Whether other file systems are left out.
    pub one_file_system: Option<bool>,
    /// Whether marked cache directories are left out.
    pub exclude_caches: Option<bool>,
    /// The schedule it follows.
    pub schedule: Option<String>,
    /// Whether it is backed up on schedule.
    pub enabled: Option<bool>,
    /// The daily tier, instead of the schedule's.
    pub daily: Option<Keep>,
    /// The weekly tier, instead of the schedule's.
    pub weekly: Option<Keep>,
    /// The monthly tier, instead of the schedule's.
    pub monthly: Option<Keep>,
    /// Where backups are made first, instead of the schedule's home.
    pub home: Option<Place>,
    /// Where they are copied to, instead of the schedule's places.
    pub copies: Option<Vec<Place>>,
    /// The most data that may be lost.
    pub rpo: Option<Span>,
    /// The longest a restore may take.
    pub rto: Option<Span>,
    /// The command that tells whether a restored tree is healthy; `Some(None)` removes it.
    pub health: Option<Option<HealthCommand>>,
}

/// Where a workload that is in no file yet is written, below the configuration directory.
#[must_use]
pub fn file_name(name: &WorkloadName) -> PathBuf {
    Path::new("conf.d").join(format!("{name}.toml"))
}

/// The new text of the file that defines workload `name`: `existing` with the settings applied, or a new file.
///
/// # Errors
/// When the existing file is not valid TOML or defines the workload as something other than a table, or when a path
/// cannot be written in TOML because it is not UTF-8.
pub fn compose(
    name: &WorkloadName,
    existing: Option<&SourceFile>,
    settings: &WorkloadSettings,
) -> Result<String, Invalid> {
    let mut document = match existing {
        Some(file) => parse(file)?,
        None => {
            let mut new = DocumentMut::new();
            new.decor_mut().set_prefix(format!("# Written by `backstop backup configure {name}`. Edit freely.\n\n"));
            new
        }
    };
    let fresh = SourceFile { path: file_name(name), bytes: Vec::new() };
    let file = existing.unwrap_or(&fresh);
    let root = document.as_table_mut();
    let group = root.entry("workload").or_insert_with(|| {
        let mut group = Table::new();
        group.set_implicit(true);
        Item::Table(group)
    });
    let group = group.as_table_like_mut().ok_or_else(|| fault(file, "`workload` is not a table"))?;
    if group.get(name.as_str()).is_none() {
        let mut table = Table::new();
        table.insert("kind", "files".into());
        group.insert(name.as_str(), Item::Table(table));
    }
    let table = group
        .get_mut(name.as_str())
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| fault(file, &format!("`workload.{name}` is not a table")))?;
    write(table, settings, file)?;
    Ok(document.to_string())
}

fn parse(file: &SourceFile) -> Result<DocumentMut, Invalid> {
    let text = std::str::from_utf8(&file.bytes).map_err(|_| fault(file, "the file is not valid UTF-8"))?;
    text.parse::<DocumentMut>().map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let message = format!("not valid TOML: {}", error.message().trim_end().replace('\n', ", "));
        Invalid { problems: vec![locate(&file.path, &file.bytes, span, &[], message, String::new())] }
    })
}

fn fault(file: &SourceFile, message: &str) -> Invalid {
    let problem: Problem = locate(&file.path, &file.bytes, 0..0, &[], message.to_owned(), String::new());
    Invalid { problems: vec![problem] }
}

fn write(table: &mut dyn TableLike, settings: &WorkloadSettings, file: &SourceFile) -> Result<(), Invalid> {
    let texts = |list: &[String]| list.iter().map(String::as_str).collect::<Array>();
    if let Some(paths) = &settings.paths {
        let paths: Option<Array> = paths.iter().map(|path| path.to_str()).collect();
        set(table, "paths", paths.ok_or_else(|| fault(file, "a path is not valid UTF-8, which TOML cannot hold"))?);
    }
    if let Some(exclude) = &settings.exclude {
        set(table, "exclude", texts(exclude));
    }
    if let Some(images) = &settings.images {
        set(table, "images", texts(images));
    }
    if let Some(flag) = settings.one_file_system {
        set(table, "one_file_system", flag);
    }
    if let Some(flag) = settings.exclude_caches {
        set(table, "exclude_caches", flag);
    }
    if let Some(schedule) = &settings.schedule {
        set(table, "schedule", schedule.as_str());
    }
    if let Some(flag) = settings.enabled {
        set(table, "enabled", flag);
    }
    let tiers = [("daily", settings.daily), ("weekly", settings.weekly), ("monthly", settings.monthly)];
    if tiers.iter().any(|(_, keep)| keep.is_some()) {
        if table.get("keep").is_none() {
            set(table, "keep", InlineTable::new());
        }
        let keep = table.get_mut("keep").and_then(Item::as_table_like_mut);
        let keep = keep.ok_or_else(|| fault(file, "`keep` of the workload is not a table"))?;
        for (tier, wanted) in tiers {
            match wanted {
                Some(Keep::Periods(periods)) => set(keep, tier, i64::from(periods)),
                Some(Keep::Off) => set(keep, tier, false),
                None => {}
            }
        }
    }
    if let Some(home) = &settings.home {
        set(table, "home", home.to_string());
    }
    if let Some(copies) = &settings.copies {
        set(table, "copies", copies.iter().map(ToString::to_string).collect::<Array>());
    }
    if let Some(rpo) = settings.rpo {
        set(table, "rpo", rpo.to_string());
    }
    if let Some(rto) = settings.rto {
        set(table, "rto", rto.to_string());
    }
    match &settings.health {
        Some(Some(health)) => {
            let mut inline = InlineTable::new();
            inline.insert("command", Value::Array(texts(&health.argv)));
            inline.insert("timeout", health.timeout.to_string().into());
            set(table, "health", inline);
        }
        Some(None) => {
            table.remove("health");
        }
        None => {}
    }
    Ok(())
}

/// Puts a value in place, keeping the comment behind the one it replaces.
fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        _ => {
            table.insert(key, Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::{FULL, load_text};
    use backstop_model::config::{Config, WorkloadKind};

    fn name() -> WorkloadName {
        "docs".parse().expect("valid")
    }

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "conf.d/docs.toml".into(), bytes: text.as_bytes().to_vec() }
    }

    fn with_vaults(text: &str) -> Config {
        let main = FULL.split("[workload.docs]").next().expect("there");
        load_text(&format!("{main}\n{text}"))
    }

    fn everything() -> WorkloadSettings {
        WorkloadSettings {
            paths: Some(vec!["/srv/docs".into(), "/srv/\"odd\"".into()]),
            exclude: Some(vec!["*.tmp".into()]),
            images: Some(vec!["*.img".into()]),
            one_file_system: Some(true),
            exclude_caches: Some(false),
            schedule: Some("standard".into()),
            enabled: Some(true),
            daily: Some(Keep::Periods(14)),
            weekly: Some(Keep::Off),
            monthly: None,
            home: Some("vault:main".parse().expect("valid")),
            copies: Some(vec!["vault:offsite".parse().expect("valid")]),
            rpo: Some(Span::from_days(2)),
            rto: Some(Span::from_secs(60)),
            health: Some(Some(HealthCommand { argv: vec!["true".into(), "{}".into()], timeout: Span::from_secs(5) })),
        }
    }

    #[test]
    fn a_new_workload_is_read_back_as_it_was_asked_for() {
        let text = compose(&name(), None, &everything()).expect("composes");
        assert!(text.starts_with("# Written by `backstop backup configure docs`"), "{text}");
        let config = with_vaults(&text);
        let workload = &config.workloads[&name()];
        let WorkloadKind::Files(spec) = &workload.kind;
        assert_eq!(spec.paths, [PathBuf::from("/srv/docs"), PathBuf::from("/srv/\"odd\"")]);
        assert!(spec.one_file_system && !spec.exclude_caches);
        assert_eq!(
            (spec.exclude.as_slice(), spec.images.as_slice()),
            (&["*.tmp".to_owned()][..], &["*.img".to_owned()][..])
        );
        let schedule = &workload.schedule;
        assert_eq!(schedule.daily.map(|tier| tier.keep), Some(14));
        assert_eq!((schedule.weekly, schedule.monthly.map(|tier| tier.keep)), (None, Some(12)));
        assert_eq!((schedule.rpo, schedule.rto), (Span::from_days(2), Span::from_secs(60)));
        assert_eq!(workload.health, everything().health.expect("set"));
        assert_eq!(
            compose(&name(), Some(&file(&text)), &everything()).expect("composes"),
            text,
            "a second time changes nothing"
        );
    }

    #[test]
    fn only_what_was_asked_changes_and_comments_stay() {
        let old = "# ours\n[workload.docs] # the docs\nkind = \"files\"\n# where\npaths = [\"/srv/docs\"] # all of it\n\n[workload.docs.keep]\ndaily = 9 # days\n";
        let settings = WorkloadSettings { daily: Some(Keep::Periods(3)), enabled: Some(false), ..Default::default() };
        let new = compose(&name(), Some(&file(old)), &settings).expect("composes");
        assert_eq!(
            new,
            "# ours\n[workload.docs] # the docs\nkind = \"files\"\n# where\npaths = [\"/srv/docs\"] # all of it\nenabled = false\n\n[workload.docs.keep]\ndaily = 3 # days\n"
        );
        assert!(!with_vaults(&new).workloads[&name()].enabled);
    }

    #[test]
    fn a_workload_is_added_to_a_file_that_holds_others() {
        let old = "[workload.other]\nkind = \"files\"\npaths = [\"/srv/other\"]\n";
        let settings = WorkloadSettings { paths: Some(vec!["/srv/docs".into()]), ..Default::default() };
        let new = compose(&name(), Some(&file(old)), &settings).expect("composes");
        assert!(new.starts_with(old), "{new}");
        assert_eq!(with_vaults(&new).workloads.len(), 2);
    }

    #[test]
    fn an_inline_workload_is_changed_in_place() {
        let old = "workload = { docs = { kind = \"files\", paths = [\"/srv/docs\"] } }\n";
        let settings = WorkloadSettings { enabled: Some(false), ..Default::default() };
        let new = compose(&name(), Some(&file(old)), &settings).expect("composes");
        let new = load_text(
            &format!("{new}{}", FULL.split("[workload.docs]").next().expect("there")).replace("state_dir", "state_dir"),
        );
        assert!(!new.workloads[&name()].enabled);
    }

    #[test]
    fn a_broken_file_is_refused_where_it_is_broken() {
        let invalid = compose(&name(), Some(&file("[workload.docs]\npaths = [\n")), &everything()).expect_err("broken");
        assert_eq!((invalid.problems[0].line, invalid.problems.len()), (2, 1), "{invalid}");
        assert!(compose(&name(), Some(&file("workload = 3")), &everything()).is_err());
        assert!(compose(&name(), Some(&file("[workload]\ndocs = 3")), &everything()).is_err());
    }
}
