//! Posts alerts as JSON to a URL, for everything that has no sink of its own. The body's shape is below; it only grows,
//! and `version` counts when it does not.
//!
//! Who receives knows the sender by a bearer token, by a header of their choice, or by a URL that is a secret. A signature
//! over the body is not possible: a policy never sees a secret.

use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt};
use backstop_policy_sdk::date::rfc3339;
use backstop_policy_sdk::http::{Part, Request, accepted, secret, text};
use backstop_policy_sdk::{Field, Json, Settings};

struct Webhook;

impl AlertSink for Webhook {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        let settings = &question.settings;
        settings.only(&["url", "url_secret", "bearer_secret", "header", "header_secret", "labels."])?;
        let url = match (settings.find_text("url")?, settings.find_text("url_secret")?) {
            (Some(url), None) => text(url),
            (None, Some(name)) => secret(name),
            _ => return Err("write either `url = \"https://…\"` or `url_secret = \"NAME\"`".to_owned().into()),
        };
        let mut request = Request::post(url)
            .header("idempotency-key", question.alert.id.as_str())
            .json(body(&question.alert, settings));
        if let Some(token) = settings.find_text("bearer_secret")? {
            request = request.header("authorization", [text("Bearer "), secret(token)]);
        }
        match (settings.find_text("header")?, settings.find_text("header_secret")?) {
            (Some(name), Some(value)) => request = request.header(name, secret(value)),
            (None, None) => {}
            _ => return Err("write both `header` and `header_secret`, or neither".to_owned().into()),
        }
        accepted("the webhook", request.send())?;
        Ok(Receipt::taken())
    }
}

fn body(alert: &Alert, settings: &[Field]) -> Vec<Part> {
    Json::object(|body| {
        body.whole("version", 1);
        body.text("id", &alert.id);
        body.text("group", &alert.group);
        body.text("at", &rfc3339(alert.at));
        body.text("severity", alert.severity.word());
        body.text("kind", &alert.kind);
        body.text("title", &alert.title);
        body.text("text", &alert.text);
        body.text("host", &alert.host);
        body.text_if("workload", alert.workload.as_deref());
        body.text_if("backup", alert.backup.as_deref());
        body.text_if("run", alert.run.as_deref());
        body.truth("recovered", alert.recovered);
        body.whole("attempt", i64::from(alert.attempt));
        body.object_at("facts", |facts| alert.facts.iter().for_each(|fact| facts.value(&fact.key, &fact.value)));
        body.object_at("labels", |labels| {
            for label in settings {
                if let Some(name) = label.key.strip_prefix("labels.") {
                    labels.value(name, &label.value);
                }
            }
        });
    })
}

backstop_policy_sdk::alert_sink!(Webhook);
