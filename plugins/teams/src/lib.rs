//! Brings alerts to a Microsoft Teams channel, by a workflow that begins with "When a Teams webhook request is received".
//!
//! What is sent is a message with one Adaptive Card, at most 28 KB. The workflow's URL is a secret: it carries a
//! signature. Its host differs from workflow to workflow, so the grant names it.

use alert_words::{cut, headline, particulars};
use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt, Severity};
use backstop_policy_sdk::http::{Part, Request, accepted, secret};
use backstop_policy_sdk::{Json, Settings};

struct Teams;

impl AlertSink for Teams {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        question.settings.only(&["url_secret"])?;
        let url = secret(question.settings.text_or("url_secret", "teams_url")?);
        accepted("Teams", Request::post(url).json(message(&question.alert)).send())?;
        Ok(Receipt::taken())
    }
}

fn message(alert: &Alert) -> Vec<Part> {
    Json::object(|message| {
        message.text("type", "message");
        message.list_at("attachments", |attachments| {
            attachments.object(|attachment| {
                attachment.text("contentType", "application/vnd.microsoft.card.adaptive");
                attachment.object_at("content", |content| card(alert, content));
            });
        });
    })
}

fn card(alert: &Alert, card: &mut Json) {
    card.text("$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
    card.text("type", "AdaptiveCard");
    card.text("version", "1.4");
    card.object_at("msteams", |teams| teams.text("width", "Full"));
    card.list_at("body", |body| {
        body.object(|block| {
            block.text("type", "TextBlock");
            block.text("size", "Large");
            block.text("weight", "Bolder");
            block.text("color", colour(alert));
            block.truth("wrap", true);
            block.text("text", &plain(&headline(alert)));
        });
        if !alert.text.is_empty() {
            body.object(|block| {
                block.text("type", "TextBlock");
                block.truth("wrap", true);
                // A card begins a new line only after an empty one.
                block.text("text", &plain(&alert.text).replace('\n', "\n\n"));
            });
        }
        body.object(|block| {
            block.text("type", "FactSet");
            block.list_at("facts", |facts| {
                for (name, value) in particulars(alert) {
                    facts.object(|fact| {
                        fact.text("title", name);
                        fact.text("value", &plain(&cut(&value, 400)));
                    });
                }
            });
        });
    });
}

fn colour(alert: &Alert) -> &'static str {
    match (alert.recovered, alert.severity) {
        (true, _) => "Good",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Accent",
    }
}

/// Cards read Markdown: what looks like it is shown as it is.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '[' | ']' | '#' | '`') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

backstop_policy_sdk::alert_sink!(Teams);
