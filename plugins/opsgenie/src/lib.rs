//! Opens and closes alerts in Opsgenie, or in Jira Service Management by the same interface under another URL.
//!
//! The alert's group is the `alias`: another alert of the group counts on the open one, the notice that it is over closes
//! it. Both are taken over with 202 and done later.

use alert_words::{cut, identifier, particulars};
use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt, Severity};
use backstop_policy_sdk::http::{Part, Request, accepted, secret, text};
use backstop_policy_sdk::{Json, Settings};

const URL: &str = "https://api.opsgenie.com";

struct Opsgenie;

impl AlertSink for Opsgenie {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        question.settings.only(&["url", "key_secret", "tags"])?;
        let alert = &question.alert;
        let alerts = format!("{}/v2/alerts", question.settings.text_or("url", URL)?.trim_end_matches('/'));
        let key = secret(question.settings.text_or("key_secret", "opsgenie_key")?);
        let request = match alert.recovered {
            true => {
                Request::post(format!("{alerts}/{}/close?identifierType=alias", encoded(&alert.group))).json(end(alert))
            }
            false => Request::post(alerts).json(beginning(alert, &question.settings.texts("tags")?)),
        };
        let request = request.header("authorization", [text("GenieKey "), key]);
        let response = accepted("Opsgenie", request.send())?;
        Ok(Receipt::named(identifier(&response, "requestId")))
    }
}

fn beginning(alert: &Alert, tags: &[&str]) -> Vec<Part> {
    Json::object(|body| {
        body.text("message", &cut(&alert.title, 130));
        body.text("alias", &alert.group);
        body.text("description", &alert.text);
        body.text("priority", priority(alert.severity));
        body.text("source", &alert.host);
        body.text_if("entity", alert.workload.as_deref());
        body.list_at("tags", |list| {
            list.text(&alert.kind);
            tags.iter().for_each(|tag| list.text(tag));
        });
        body.object_at("details", |details| {
            for (name, value) in particulars(alert) {
                details.text(name, &value);
            }
        });
    })
}

fn end(alert: &Alert) -> Vec<Part> {
    Json::object(|body| {
        body.text("source", &alert.host);
        body.text("note", &alert.title);
    })
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "P5",
        Severity::Warning => "P3",
        Severity::Critical => "P1",
    }
}

/// A text as one segment of a path (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

backstop_policy_sdk::alert_sink!(Opsgenie);
