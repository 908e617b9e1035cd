//! Opens and resolves incidents in PagerDuty by the Events API v2.
//!
//! The alert's group is the `dedup_key`: another alert of the group joins the open incident, the notice that it is over
//! resolves it, and an attempt that is repeated changes nothing.

use alert_words::{cut, identifier, particulars};
use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt, Severity};
use backstop_policy_sdk::date::rfc3339;
use backstop_policy_sdk::http::{Part, Request, accepted};
use backstop_policy_sdk::{Json, Settings};

const URL: &str = "https://events.pagerduty.com/v2/enqueue";

struct PagerDuty;

impl AlertSink for PagerDuty {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        question.settings.only(&["url", "key_secret"])?;
        let key = question.settings.text_or("key_secret", "pagerduty_key")?;
        let request = Request::post(question.settings.text_or("url", URL)?).json(event(&question.alert, key));
        let response = accepted("PagerDuty", request.send())?;
        Ok(Receipt::named(identifier(&response, "dedup_key")))
    }
}

fn event(alert: &Alert, key: &str) -> Vec<Part> {
    Json::object(|event| {
        event.secret("routing_key", key);
        event.text("event_action", if alert.recovered { "resolve" } else { "trigger" });
        event.text("dedup_key", &alert.group);
        if alert.recovered {
            return;
        }
        event.text("client", "Backstop");
        event.object_at("payload", |payload| {
            payload.text("summary", &cut(&alert.title, 1_024));
            payload.text("source", &alert.host);
            payload.text("severity", severity(alert.severity));
            payload.text("timestamp", &rfc3339(alert.at));
            payload.text_if("component", alert.workload.as_deref());
            payload.text("class", &alert.kind);
            payload.object_at("custom_details", |details| {
                details.text("text", &alert.text);
                for (name, value) in particulars(alert).into_iter().skip(1) {
                    details.text(name, &value);
                }
            });
        });
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

backstop_policy_sdk::alert_sink!(PagerDuty);
