//! `config check`: every mistake in the configuration directory, with its place. Needs no catalog and no vault.

use std::path::PathBuf;

use backstop_config::{Overrides, SourceFile};
use backstop_model::config::Config;
use backstop_model::policy::validation::Ruling;
use backstop_model::{ExitCode, Fault};
use serde::Serialize;

use crate::context::Outside;
use crate::policy_list::{self, Lacking, Objection};

pub use backstop_config::Problem;

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The directory.
    pub config_dir: PathBuf,
    /// The files read, in order.
    pub files: Vec<PathBuf>,
    /// Whether it can come into force.
    pub valid: bool,
    /// What is wrong, by file and position.
    pub problems: Vec<Problem>,
    /// How many vaults there are, when it is valid.
    pub vaults: usize,
    /// How many schedules.
    pub schedules: usize,
    /// How many workloads.
    pub workloads: usize,
    /// How many policies.
    pub policies: usize,
    /// Those of which the component cannot be loaded, or fails the simplest question.
    pub not_in_force: Vec<Lacking>,
    /// What validation says about the workloads.
    pub objections: Vec<Objection>,
    /// Worth knowing though nothing is wrong.
    pub notes: Vec<String>,
}

impl Checked {
    /// The exit code it leads to: it cannot come into force, a policy of it cannot, or a policy denies what it says.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        let denied = self.objections.iter().any(|objection| objection.ruling == Ruling::Deny);
        match (self.valid && self.not_in_force.is_empty(), denied) {
            (false, _) => ExitCode::BadConfiguration,
            (true, true) => ExitCode::Refused,
            (true, false) => ExitCode::Ok,
        }
    }
}

/// Reads and checks every file.
///
/// # Errors
/// When the directory cannot be read; mistakes in it are an answer.
pub fn check(outside: &Outside) -> Result<Checked, Fault> {
    let files: Vec<SourceFile> = outside
        .files
        .read_config(&outside.config_dir)?
        .into_iter()
        .map(|(path, bytes)| SourceFile { path, bytes })
        .collect();
    let mut checked = Checked {
        config_dir: outside.config_dir.clone(),
        files: files.iter().map(|file| file.path.clone()).collect(),
        valid: false,
        problems: Vec::new(),
        vaults: 0,
        schedules: 0,
        workloads: 0,
        policies: 0,
        not_in_force: Vec::new(),
        objections: Vec::new(),
        notes: Vec::new(),
    };
    match backstop_config::load(&files, &Overrides::default()) {
        Err(invalid) => checked.problems = invalid.problems,
        Ok(config) => {
            checked.valid = true;
            checked.vaults = config.vaults.len();
            checked.schedules = config.schedules.len();
            checked.workloads = config.workloads.len();
            checked.policies = config.policies.len();
            let tried = policy_list::tried(outside, &config)?;
            (checked.not_in_force, checked.objections) = (tried.not_in_force, tried.objections);
            checked.notes = notes(&config);
        }
    }
    Ok(checked)
}

/// What an operator may have overlooked.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if config.vaults.is_empty() {
        notes.push("there is no vault yet: nothing can be backed up".to_owned());
    }
    for workload in config.workloads.values().filter(|workload| workload.enabled) {
        let (name, schedule) = (&workload.name, &workload.schedule);
        if backstop_planner::choice::offsite(config, schedule).is_empty() {
            notes.push(format!("workload `{name}` has no copy outside the region of its home"));
        }
        if schedule.verify.is_none() {
            notes.push(format!("workload `{name}` promises no proofs"));
        }
        if schedule.dr_test.is_none() {
            notes.push(format!("recovery of workload `{name}` is never rehearsed"));
        }
    }
    notes
}
