//! Sends every alert as JSON to one address. The setting `url` says which; the secret `token` goes along.

use backstop_policy_sdk::alert_sink::{AlertSink, Failure, Question, Receipt};
use backstop_policy_sdk::http::{Request, accepted, secret, text};
use backstop_policy_sdk::{Json, Settings};

struct Policy;

impl AlertSink for Policy {
    fn deliver(question: &Question) -> Result<Receipt, Failure> {
        question.settings.only(&["url"])?;
        let url = question.settings.text("url")?;
        let alert = &question.alert;
        let body = Json::object(|body| {
            body.text("id", &alert.id);
            body.text("severity", alert.severity.word());
            body.text("title", &alert.title);
            body.text("text", &alert.text);
            body.text_if("workload", alert.workload.as_deref());
            body.truth("recovered", alert.recovered);
            body.object_at("facts", |facts| {
                for fact in &alert.facts {
                    facts.value(&fact.key, &fact.value);
                }
            });
        });
        let request = Request::post(url).header("authorization", [text("Bearer "), secret("token")]).json(body);
        accepted("the receiver", request.send())?;
        Ok(Receipt::taken())
    }
}

backstop_policy_sdk::alert_sink!(Policy);
