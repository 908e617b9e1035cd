//! `backup configure` and `backup disable`: the file of one workload, written only when the whole configuration with
//! it is valid.

use std::path::PathBuf;

use backstop_config::{Overrides, SourceFile, WorkloadSettings, compose};
use backstop_model::config::Config;
use backstop_model::{Advice, ExitCode, Fault, Place, Region, WorkloadName};
use serde::Serialize;

use crate::Context;
use crate::config_show::{self, Shown};
use crate::gate::question;
use crate::gate::validation::{Asked, validate_with};

pub use backstop_config::{Change, Effect, Keep, WorkloadSettings as Settings};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which workload.
    pub workload: WorkloadName,
    /// What to change.
    pub settings: WorkloadSettings,
    /// Only show what would change.
    pub dry_run: bool,
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Configured {
    /// The workload as it is configured now.
    pub workload: Shown,
    /// The file.
    pub file: PathBuf,
    /// Whether the workload is new.
    pub created: bool,
    /// Whether the file was written: not in a dry run, nor when nothing changes.
    pub written: bool,
    /// What is different.
    pub changes: Vec<Change>,
    /// What policies say about it.
    pub notes: Vec<String>,
    /// The file's new text.
    pub text: String,
}

/// Changes one workload.
///
/// # Errors
/// Every problem that the configuration would have; nothing is written then.
pub fn configure(ctx: &Context, request: &Request) -> Result<Configured, Fault> {
    write(ctx, request, "backup configure")
}

/// Stops scheduling a workload. Its backups stay, and are still verified and restored on request.
///
/// # Errors
/// An unknown workload, or as [`configure`].
pub fn disable(ctx: &Context, workload: &WorkloadName, dry_run: bool) -> Result<Configured, Fault> {
    ctx.workload(workload)?;
    let settings = WorkloadSettings { enabled: Some(false), ..WorkloadSettings::default() };
    write(ctx, &Request { workload: workload.clone(), settings, dry_run }, "backup disable")
}

/// The vault that stands in a region, for those who think in regions. Of several there, the first that `copies` names.
///
/// # Errors
/// `NotFound` with the regions there are; a fault of configuration when home stands there; a usage fault that lists the
/// vaults when nothing says which one is meant.
pub fn place_in(config: &Config, region: &str, home: Option<&Place>, copies: &[Place]) -> Result<Place, Fault> {
    let known: std::collections::BTreeSet<&str> = config.vaults.values().map(|vault| vault.region.as_str()).collect();
    let unknown = || {
        let hint = match known.len() {
            0 => "there is no vault yet; `[vault.NAME]` in the configuration makes one".to_owned(),
            _ => format!("vaults stand in: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        Fault::not_found(format!("no vault stands in region `{}`", region.escape_debug()), hint)
    };
    let wanted: Region = region.parse().map_err(|_| unknown())?;
    let vaults = config.vaults.values().filter(|vault| vault.region == wanted);
    let there: Vec<Place> = vaults.map(|vault| Place::Vault(vault.name.clone())).collect();
    if there.is_empty() {
        return Err(unknown());
    }
    let home_region = home.and_then(|home| crate::row::region_of(config, home));
    if home_region.as_ref() == Some(&wanted) {
        let message = format!("region `{wanted}` is where backups are made: a copy there would be lost with them");
        // The same mistake as naming a vault there, which the configuration refuses.
        let (code, advice) = (ExitCode::BadConfiguration, Advice::FixConfiguration);
        return Err(Fault::new(code, advice, message, "choose another region"));
    }
    if let Some(named) = copies.iter().find(|place| there.contains(place)) {
        return Ok(named.clone());
    }
    match there.as_slice() {
        [only] => Ok(only.clone()),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("several vaults stand in region `{wanted}`: {}", names.join(", "));
            Err(Fault::usage(message, "name the one that is meant instead of the region"))
        }
    }
}

fn write(ctx: &Context, request: &Request, verb: &str) -> Result<Configured, Fault> {
    let files = &ctx.outside.files;
    let mut sources: Vec<SourceFile> = files
        .read_config(&ctx.outside.config_dir)?
        .into_iter()
        .map(|(path, bytes)| SourceFile { path, bytes })
        .collect();
    let known = ctx.config.workloads.get(&request.workload);
    let fresh = ctx.outside.config_dir.join(compose::file_name(&request.workload));
    let path = known.map_or(fresh, |workload| workload.origin.clone());
    let at = sources.iter().position(|file| file.path == path);
    let text = backstop_config::compose(&request.workload, at.map(|at| &sources[at]), &request.settings)
        .map_err(|invalid| Fault::from(&invalid))?;
    let new = SourceFile { path: path.clone(), bytes: text.clone().into_bytes() };
    let same = at.is_some_and(|at| sources[at].bytes == new.bytes);
    match at {
        Some(at) => sources[at] = new,
        None => sources.push(new),
    }
    let overrides = Overrides { state_dir: Some(ctx.config.state_dir.clone()) };
    let config = backstop_config::load(&sources, &overrides).map_err(|invalid| Fault::from(&invalid))?;
    let changes = backstop_config::diff(&ctx.config, &config);
    let workload = config.workloads.get(&request.workload).expect("the composed file defines it");
    let shown = config_show::shown(ctx, &config, workload)?;
    let written = !request.dry_run && !same;
    let mut notes = Vec::new();
    if !same {
        let word = if verb == "backup disable" { "disable" } else { "configure" };
        let asked = Asked::new(word, Some(&request.workload));
        let accepted = validate_with(ctx, asked, question::fields_of(workload), request.dry_run)?;
        notes = accepted.notes;
    }
    if written {
        let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let details = serde_json::json!({ "file": path, "changes": words });
        ctx.audit(verb, request.workload.as_str(), "", details)?;
        files.write(&path, text.as_bytes(), 0o644)?;
    }
    Ok(Configured { workload: shown, file: path, created: known.is_none(), written, changes, notes, text })
}

#[cfg(test)]
mod tests {
    use backstop_config::Keep;
    use backstop_model::config::VaultConfig;

    use super::*;
    use crate::fixture::context;

    fn new_workload(paths: &[&str]) -> Request {
        let settings = WorkloadSettings {
            paths: Some(paths.iter().map(PathBuf::from).collect()),
            schedule: Some("standard".into()),
            ..WorkloadSettings::default()
        };
        Request { workload: "mail".parse().expect("valid"), settings, dry_run: false }
    }

    #[test]
    fn what_would_be_invalid_is_not_written() {
        let (ctx, shelf) = context();
        let before = shelf.0.lock().expect("no panics").clone();
        let mut bad = new_workload(&["/srv/mail"]);
        bad.settings.daily = Some(Keep::Periods(0));
        for request in [bad, new_workload(&["relative"]), new_workload(&["/srv/main/inside-a-vault"])] {
            assert_eq!(configure(&ctx, &request).expect_err("invalid").code, ExitCode::BadConfiguration);
        }
        configure(&ctx, &Request { dry_run: true, ..new_workload(&["/home/mail"]) }).expect("valid");
        assert_eq!(*shelf.0.lock().expect("no panics"), before);
        assert!(ctx.catalog.audit(&Default::default()).expect("read").is_empty());
    }

    #[test]
    fn a_new_workload_gets_a_file_of_its_own_and_a_line_in_the_audit_log() {
        let (ctx, shelf) = context();
        let done = configure(&ctx, &new_workload(&["/home/mail"])).expect("valid");
        assert!(done.created && done.written);
        let written = shelf.0.lock().expect("no panics").get(&done.file).cloned().expect("written");
        assert_eq!(String::from_utf8(written).expect("UTF-8"), done.text);
        assert_eq!(done.file, PathBuf::from("/etc/backstop/conf.d/mail.toml"));
        assert_eq!(ctx.catalog.audit(&Default::default()).expect("read")[0].subject, "mail");
    }

    #[test]
    fn a_disabled_workload_stays_in_its_file_and_weakens_protection() {
        let (ctx, shelf) = context();
        let done = disable(&ctx, &"docs".parse().expect("valid"), false).expect("valid");
        assert!(!done.created && done.written && !done.workload.enabled);
        assert!(done.changes.iter().any(|change| change.effect == Effect::Weakens));
        assert_eq!(shelf.0.lock().expect("no panics").len(), 1, "the main file holds it");
    }

    #[test]
    fn a_region_means_the_vault_that_stands_there_unless_it_is_home() {
        let (ctx, _) = context();
        let home: Place = "vault:main".parse().expect("valid");
        let place = |region| place_in(&ctx.config, region, Some(&home), &[]);
        assert_eq!(place("there").expect("known").to_string(), "vault:offsite");
        assert_eq!(place("here").expect_err("home").code, ExitCode::BadConfiguration);
        for unknown in ["mars", "West US", ""] {
            let fault = place(unknown).expect_err("unknown");
            assert_eq!((fault.code, fault.hint.as_str()), (ExitCode::NotFound, "vaults stand in: here, there"));
        }
    }

    #[test]
    fn of_several_vaults_in_a_region_the_schedule_chooses_and_otherwise_nobody() {
        let (mut ctx, _) = context();
        let offsite = ctx.config.vaults.values().find(|vault| vault.name.as_str() == "offsite").expect("known").clone();
        let another: backstop_model::VaultName = "another".parse().expect("valid");
        ctx.config.vaults.insert(another.clone(), VaultConfig { name: another, ..offsite });
        let home: Place = "vault:main".parse().expect("valid");
        let copies = ["vault:offsite".parse().expect("valid")];
        let place = |copies: &[Place]| place_in(&ctx.config, "there", Some(&home), copies);
        assert_eq!(place(&copies).expect("the schedule's").to_string(), "vault:offsite");
        let fault = place(&[]).expect_err("which one");
        assert_eq!(fault.message, "several vaults stand in region `there`: vault:another, vault:offsite");
    }
}
