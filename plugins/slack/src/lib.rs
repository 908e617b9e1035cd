//! Brings alerts to a Slack channel by an incoming webhook. Slack's limits: 150 characters of header, 3,000 of text, ten
//! fields of 2,000 each.
//!
//! The webhook's URL is a secret: who knows it can write to the channel. Slack does not know alerts that end, so the end
//! of one is a message of its own.

use alert_words::{cut, headline, particulars};
use backstop_policy_sdk::alert_sink::{Alert, AlertSink, Failure, Question, Receipt, Severity};
use backstop_policy_sdk::http::{Request, accepted, secret};
use backstop_policy_sdk::{Json, Settings};

const FIELDS_MAX: usize = 10;

struct Slack;

impl AlertSink for Slack {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        question.settings.only(&["url_secret", "mention"])?;
        let url = secret(question.settings.text_or("url_secret", "slack_url")?);
        let mention = question.settings.find_text("mention")?;
        let body = message(&question.alert, mention);
        accepted("Slack", Request::post(url).json(body).send())?;
        Ok(Receipt::taken())
    }
}

/// `text` is what notifications show, `blocks` what the channel shows.
fn message(alert: &Alert, mention: Option<&str>) -> Vec<backstop_policy_sdk::http::Part> {
    let wakes = alert.severity == Severity::Critical && !alert.recovered;
    let mention = mention.filter(|_| wakes).map(|mention| format!("<{mention}> ")).unwrap_or_default();
    Json::object(|message| {
        message.text("text", &format!("{mention}{} {}", sign(alert), escaped(&headline(alert))));
        message.list_at("blocks", |blocks| {
            blocks.object(|block| {
                block.text("type", "header");
                block.object_at("text", |text| {
                    text.text("type", "plain_text");
                    text.text("text", &cut(&format!("{} {}", sign(alert), headline(alert)), 150));
                });
            });
            if !mention.is_empty() || !alert.text.is_empty() {
                blocks.object(|block| {
                    block.text("type", "section");
                    block.object_at("text", |text| {
                        text.text("type", "mrkdwn");
                        // What the alert says is no mention; only our own, written as Slack wants them, is.
                        text.truth("verbatim", true);
                        // Five characters for one at worst, and 3,000 at most.
                        text.text("text", &cut(&format!("{mention}{}", escaped(&alert.text)), 3_000));
                    });
                });
            }
            let shown = particulars(alert);
            for row in shown.chunks(FIELDS_MAX) {
                blocks.object(|block| {
                    block.text("type", "section");
                    block.list_at("fields", |fields| {
                        for (name, value) in row {
                            fields.object(|field| {
                                field.text("type", "mrkdwn");
                                field.truth("verbatim", true);
                                field.text("text", &cut(&format!("*{}*\n{}", escaped(name), escaped(value)), 2_000));
                            });
                        }
                    });
                });
            }
        });
    })
}

/// An emoji by its name in Slack.
fn sign(alert: &Alert) -> &'static str {
    match (alert.recovered, alert.severity) {
        (true, _) => ":white_check_mark:",
        (_, Severity::Critical) => ":rotating_light:",
        (_, Severity::Warning) => ":warning:",
        (_, Severity::Info) => ":information_source:",
    }
}

/// Slack reads `&`, `<` and `>` as markup: `<!channel>` in a file's name must not wake everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

backstop_policy_sdk::alert_sink!(Slack);
