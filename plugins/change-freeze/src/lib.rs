//! Refuses changes in times when nothing may change.
//!
//! Backups, copies, checks and restores go on: a freeze protects what runs, and those protect it too. Which verbs are
//! frozen is a setting. Somebody whose reason contains the word of the emergency is warned instead of refused.

mod window;

use backstop_policy_sdk::validation::{Finding, Outcome, Question, Validation};
use backstop_policy_sdk::{Settings, glob};

use window::Window;

struct ChangeFreeze;

/// What changes or removes something that would otherwise stay.
const FROZEN: [&str; 6] = ["configure", "reload", "disable", "delete", "prune", "restore-undo"];

impl Validation for ChangeFreeze {
    fn check(question: &Question) -> Result<Vec<Finding>, String> {
        let (settings, request) = (&question.settings, &question.request);
        settings.only(&["window.", "verbs", "except_by", "emergency", "scheduled", "outcome"])?;
        let windows = Window::all(settings)?;
        if windows.is_empty() {
            return Err("no window is written: set one as `window.weekend.days = [\"saturday\", \"sunday\"]`".into());
        }
        let verbs = settings.texts_or("verbs", &FROZEN)?;
        let except_by = settings.texts("except_by")?;
        let emergency = settings.find_text("emergency")?.filter(|word| !word.is_empty());
        let scheduled_too = settings.truth_or("scheduled", false)?;
        let outcome = settings.text_or("outcome", "deny")?;
        let outcome = Outcome::parse(outcome)
            .ok_or_else(|| format!("setting `outcome` is `{outcome}`; write deny, ask-approval or warn"))?;

        let concerns = glob::fits_any(&verbs, &request.verb) && (scheduled_too || !request.scheduled);
        let Some(window) = windows.iter().find(|window| concerns && window.holds(&question.local)) else {
            return Ok(Vec::new());
        };
        let frozen = format!("`{}` may not be done in the freeze `{}`", request.verb, window.name);
        if glob::fits_any(&except_by, &request.by) {
            return Ok(vec![Finding::warn(format!("{frozen}; {} is excepted", request.by)).about("by")]);
        }
        Ok(vec![match emergency {
            Some(word) if request.reason.contains(word) => {
                Finding::warn(format!("{frozen}; the reason says that it is an emergency")).about("reason")
            }
            Some(word) => outcome.finding(format!("{frozen}: wait, or say `{word}` in the reason")).about("reason"),
            None => outcome.finding(format!("{frozen}: wait until it is over")),
        }])
    }
}

backstop_policy_sdk::validation!(ChangeFreeze);
