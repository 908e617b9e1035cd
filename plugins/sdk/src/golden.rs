//! Asks a policy its golden cases natively: no WebAssembly, no host, and a debugger works.
//!
//! The macros of the worlds call [`check`] in a test. What the host would do for a policy is staged by the case: its
//! `answers` for requests, its `probes`. Natively only.
//!
//! The questions go through JSON, as in the agent: [`question`] reads them, [`answer`] writes what came.

mod answer;
mod question;
pub mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::alert_sink::AlertSink;
use crate::cases::{self, Case, Function};
use crate::health_check::HealthCheck;
use crate::retention::Retention;
use crate::validation::Validation;

/// Asks a policy one case: its answer in the shape of the agent's records, or what it said instead of one.
pub type Ask = dyn Fn(&Case) -> Result<Value, String>;

/// Asks every case of `cases/*.toml` below a folder, and panics with every difference, if there is one.
///
/// # Panics
/// When an answer differs, when there are no cases, or when a file cannot be read.
#[track_caller]
pub fn check(folder: &str, ask: &Ask) {
    let folder = Path::new(folder).join("cases");
    let mut asked = 0;
    let mut wrong = Vec::new();
    for path in files(&folder) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases = cases::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            asked += 1;
            for difference in differences(&case, ask) {
                wrong.push(format!("{}: {}: {difference}", path.display(), case.name));
            }
        }
    }
    assert!(asked > 0, "{}: no golden cases: write some into `first.toml`", folder.display());
    assert!(wrong.is_empty(), "{} differences in {asked} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// In which ways a policy's answer to a case is not the one expected.
#[must_use]
pub fn differences(case: &Case, ask: &Ask) -> Vec<String> {
    stage::set(case);
    let answer = ask(case);
    let sent = stage::clear();
    case.differences(answer.as_ref().map_err(String::as_str), &sent)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Asks a retention policy.
///
/// # Errors
/// What the policy said instead of an answer, or that the case is for another world.
pub fn retention<P: Retention>(case: &Case) -> Result<Value, String> {
    match case.function {
        Function::Tiers => P::tiers(&question::tiers(&case.question)).map(answer::tiers),
        Function::Release => P::release(&question::release(&case.question)).map(answer::release),
        _ => Err(other_world(case)),
    }
}

/// Asks a validation policy.
///
/// # Errors
/// As [`retention`].
pub fn validation<P: Validation>(case: &Case) -> Result<Value, String> {
    match case.function {
        Function::Check => P::check(&question::check(&case.question)).map(answer::check),
        _ => Err(other_world(case)),
    }
}

/// Asks an alert sink.
///
/// # Errors
/// That the case is for another world: what a sink does not deliver is an answer too.
pub fn alert_sink<P: AlertSink>(case: &Case) -> Result<Value, String> {
    match case.function {
        Function::Deliver => Ok(answer::deliver(P::deliver(&question::deliver(&case.question)))),
        _ => Err(other_world(case)),
    }
}

/// Asks a health check.
///
/// # Errors
/// As [`retention`].
pub fn health_check<P: HealthCheck>(case: &Case) -> Result<Value, String> {
    match case.function {
        Function::Health => P::check(&question::health(&case.question)).map(answer::health),
        _ => Err(other_world(case)),
    }
}

fn other_world(case: &Case) -> String {
    format!("`{}` is asked of policies for the world `{}`", case.function.word(), case.function.world())
}
