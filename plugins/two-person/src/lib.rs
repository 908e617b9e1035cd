//! What cannot be taken back is approved by another person first: restores in place, deletes, workloads that are no longer
//! protected, configuration that protects less.
//!
//! Whoever approves must know why, so a reason is wanted as well, of the verbs that can give one. Requests of the agent's
//! own schedule pass: what it may let go is the business of retention and of the delete firewall.

use backstop_policy_sdk::validation::{Finding, Question, Request, Validation};
use backstop_policy_sdk::{Settings, Value, glob};

struct TwoPerson;

/// Verbs, and two words for what a verb does only sometimes.
const GUARDED: [&str; 4] = [RESTORE_IN_PLACE, WEAKEN, "delete", "disable"];
/// Verbs that are asked why.
const ASKED_WHY: [&str; 2] = ["delete", "restore"];
const RESTORE_IN_PLACE: &str = "restore-in-place";
const WEAKEN: &str = "weaken";

impl Validation for TwoPerson {
    fn check(question: &Question) -> Result<Vec<Finding>, String> {
        let (settings, request) = (&question.settings, &question.request);
        settings.only(&["guarded", "reason", "workloads"])?;
        let guarded = settings.texts_or("guarded", &GUARDED)?;
        let asked_why = settings.texts_or("reason", &ASKED_WHY)?;
        let workloads = settings.texts_or("workloads", &["*"])?;
        if guarded.is_empty() || workloads.is_empty() {
            return Err("an empty list of `guarded` or `workloads` guards nothing: leave it out".into());
        }

        let elsewhere = request.workload.as_ref().is_some_and(|workload| !glob::fits_any(&workloads, workload));
        if request.scheduled || elsewhere {
            return Ok(Vec::new());
        }
        let is_guarded = |word: &str| guarded.contains(&word);
        let mut found = Vec::new();
        if is_guarded(&request.verb) {
            found.push(Finding::ask_approval(format!("{} needs the approval of another person", shown(request))));
        }
        if is_guarded(RESTORE_IN_PLACE) && is_in_place(request) {
            let message = "a restore in place overwrites what stands there: another person approves of it first";
            found.push(Finding::ask_approval(message).about("in-place"));
        }
        if let Some(what) = weakens(request)?.filter(|_| is_guarded(WEAKEN)) {
            let message = format!("it protects less than before ({what}): another person approves of it first");
            found.push(Finding::ask_approval(message).about("weakens"));
        }
        let is_silent = asked_why.contains(&request.verb.as_str()) && request.reason.trim().is_empty();
        if !found.is_empty() && is_silent {
            found.push(Finding::deny("whoever approves must know why: say it with `--reason`").about("reason"));
        }
        Ok(found)
    }
}

/// A restore of which it is not said where to is the most serious one.
fn is_in_place(request: &Request) -> bool {
    request.verb == "restore" && !matches!(request.fields.value("in-place"), Some(Value::Truth(false)))
}

/// What a change of the configuration weakens, in words. A request that does not say whether it does is none of this
/// rule's business.
fn weakens(request: &Request) -> Result<Option<String>, String> {
    match request.fields.value("weakens") {
        None | Some(Value::Truth(false)) => Ok(None),
        Some(Value::Truth(true)) => Ok(Some("as its changes show".into())),
        Some(_) => Ok(Some(request.fields.texts("weakens")?.join("; ")).filter(|what| !what.is_empty())),
    }
}

fn shown(request: &Request) -> String {
    let backups = request.fields.texts("backups").map(|backups| backups.len()).unwrap_or(0);
    let of = request.workload.as_ref().map(|workload| format!(" of {workload}")).unwrap_or_default();
    match (backups, &request.backup) {
        (0 | 1, Some(backup)) => format!("`{}` of {backup}", request.verb),
        (0, None) => format!("`{}`{of}", request.verb),
        (1, None) => format!("`{}` of a backup{of}", request.verb),
        (many, _) => format!("`{}` of {many} backups{of}", request.verb),
    }
}

backstop_policy_sdk::validation!(TwoPerson);
