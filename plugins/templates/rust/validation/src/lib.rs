//! What cannot be taken back needs a reason, and a restore in place another person. The settings `verbs` and `least` say
//! which requests need a reason, and how long it must be.

use backstop_policy_sdk::validation::{Finding, Question, Validation};
use backstop_policy_sdk::{Settings, Value, log};

struct Policy;

impl Validation for Policy {
    fn check(question: &Question) -> Result<Vec<Finding>, String> {
        let (settings, request) = (&question.settings, &question.request);
        // A slip of the pen must not turn a rule off: what is not understood is an error.
        settings.only(&["verbs", "least"])?;
        let verbs = settings.texts_or("verbs", &["delete", "disable"])?;
        let least = settings.whole_or("least", 10)?;
        if !(0..=200).contains(&least) {
            return Err("setting `least` wants a whole number from 0 to 200".into());
        }

        let mut findings = Vec::new();
        if request.scheduled {
            return Ok(findings);
        }
        if verbs.contains(&request.verb.as_str()) && (request.reason.chars().count() as i64) < least {
            let message =
                format!("`{}` wants a reason of at least {least} characters: say why with `--reason`", request.verb);
            findings.push(Finding::deny(message).about("reason"));
        }
        if request.verb == "restore" && request.fields.value("in-place") == Some(&Value::Truth(true)) {
            let message = "a restore in place replaces what stands there: another person must approve";
            findings.push(Finding::ask_approval(message).about("in-place"));
        }
        log::debug(&format!("{} findings about {}", findings.len(), request.verb));
        Ok(findings)
    }
}

backstop_policy_sdk::validation!(Policy);
