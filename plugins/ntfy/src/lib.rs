//! Brings alerts to phones with ntfy, the public server or one's own.
//!
//! What is sent is JSON, not headers: those carry no umlauts. A topic that others must not guess is a secret.

use alert_words::{cut, headline, identifier, particulars};
use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt, Severity};
use backstop_policy_sdk::http::{Request, accepted, secret, text};
use backstop_policy_sdk::{Json, Settings};

/// What is longer becomes an attachment. The server's limit is 4,096, and what just reaches it counts as longer.
const MESSAGE_MAX: usize = 4_095;

struct Ntfy;

impl AlertSink for Ntfy {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        let settings = &question.settings;
        settings.only(&["url", "topic", "topic_secret", "token_secret", "tags"])?;
        let alert = &question.alert;
        let topic = settings.find_text("topic")?;
        let topic_secret = settings.text_or("topic_secret", "ntfy_topic")?;
        let tags = settings.texts("tags")?;
        let body = Json::object(|body| {
            match topic {
                Some(topic) => body.text("topic", topic),
                None => body.secret("topic", topic_secret),
            }
            body.text("title", &headline(alert));
            body.text("message", &message(alert));
            body.whole("priority", priority(alert));
            body.list_at("tags", |list| {
                list.text(sign(alert));
                tags.iter().for_each(|tag| list.text(tag));
            });
        });
        let server = settings.text_or("url", "https://ntfy.sh")?.trim_end_matches('/');
        let mut request = Request::post(format!("{server}/")).json(body);
        if let Some(token) = settings.find_text("token_secret")? {
            request = request.header("authorization", [text("Bearer "), secret(token)]);
        }
        let response = accepted("ntfy", request.send())?;
        Ok(Receipt::named(identifier(&response, "id")))
    }
}

/// The text, then a line for each particular. Bytes are counted: a character has at most four of them.
fn message(alert: &Alert) -> String {
    let mut lines = vec![alert.text.clone()];
    lines.extend(particulars(alert).into_iter().map(|(name, value)| format!("{name}: {value}")));
    fitting(lines.join("\n").trim())
}

fn fitting(whole: &str) -> String {
    if whole.len() <= MESSAGE_MAX { whole.to_owned() } else { cut(whole, MESSAGE_MAX / 4) }
}

/// 1 to 5: 3 is usual, 4 makes a longer sound, 5 goes through silence.
fn priority(alert: &Alert) -> i64 {
    match (alert.recovered, alert.severity) {
        (true, _) => 3,
        (_, Severity::Critical) => 5,
        (_, Severity::Warning) => 4,
        (_, Severity::Info) => 3,
    }
}

/// A tag that is shown as an emoji.
fn sign(alert: &Alert) -> &'static str {
    match (alert.recovered, alert.severity) {
        (true, _) => "white_check_mark",
        (_, Severity::Critical) => "rotating_light",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "information_source",
    }
}

backstop_policy_sdk::alert_sink!(Ntfy);

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that keeps no attachments refuses them, and with them the alert.
    #[test]
    fn no_message_is_long_enough_to_become_an_attachment() {
        assert_eq!(fitting(&"a".repeat(4_095)), "a".repeat(4_095));
        for whole in ["a".repeat(4_096), "😀".repeat(1_024), "😀".repeat(2_000), "ü".repeat(4_000)] {
            let shown = fitting(&whole);
            assert!(shown.len() < 4_096 && shown.ends_with('…'), "{} bytes of {}", shown.len(), whole.len());
        }
    }
}
