//! The world's part in a case of an alert sink: answers in order, and a record of what was sent.

use serde::Deserialize;

use super::BadCases;

/// An answer as a case writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerEntry {
    status: Option<u16>,
    body: Option<String>,
    json: Option<toml::Value>,
    retry_after: Option<u32>,
    fail: Option<String>,
    message: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 100 to 599.
    pub status: u16,
    /// Seconds, when the server said so.
    pub retry_after: Option<u32>,
    /// As it came.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HttpFailureKind {
    NotGranted,
    Invalid,
    Unreachable,
    TimedOut,
}

/// Why nothing came back, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFailure {
    /// For deciding.
    pub kind: HttpFailureKind,
    /// For people.
    pub message: String,
}

/// A request that the policy sent, secrets put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `GET`, `POST` …
    pub method: String,
    /// The whole of it.
    pub url: String,
    /// Names and values as sent.
    pub headers: Vec<(String, String)>,
    /// As sent.
    pub body: Vec<u8>,
}

/// Answers for requests, first come, first served.
#[derive(Debug, Clone, Default)]
pub struct HttpScript {
    answers: Vec<Result<HttpAnswer, HttpFailure>>,
}

impl HttpScript {
    pub(super) fn of(entries: &[AnswerEntry]) -> Result<Self, BadCases> {
        entries.iter().map(AnswerEntry::read).collect::<Result<_, _>>().map(|answers| Self { answers })
    }

    /// The answer to the request sent after `sent` others. With no answer left, nothing is reachable.
    ///
    /// # Errors
    /// The failure that the case wants.
    pub fn answer(&self, sent: usize) -> Result<HttpAnswer, HttpFailure> {
        self.answers.get(sent).cloned().unwrap_or_else(|| {
            let message = format!("the case has no answer to request {}", sent + 1);
            Err(HttpFailure { kind: HttpFailureKind::Unreachable, message })
        })
    }
}

impl AnswerEntry {
    fn read(&self) -> Result<Result<HttpAnswer, HttpFailure>, BadCases> {
        if let Some(fail) = &self.fail {
            let kind = match fail.as_str() {
                "not-granted" => HttpFailureKind::NotGranted,
                "invalid" => HttpFailureKind::Invalid,
                "unreachable" => HttpFailureKind::Unreachable,
                "timed-out" => HttpFailureKind::TimedOut,
                _ => {
                    return Err(BadCases(format!(
                        "`fail` is `{fail}`; it is one of not-granted, invalid, unreachable, timed-out"
                    )));
                }
            };
            return Ok(Err(HttpFailure { kind, message: self.message.clone().unwrap_or_else(|| fail.clone()) }));
        }
        let body = match (&self.body, &self.json) {
            (Some(body), None) => body.clone(),
            (None, Some(json)) => serde_json::to_string(json).map_err(|error| BadCases(error.to_string()))?,
            (None, None) => String::new(),
            (Some(_), Some(_)) => return Err(BadCases("an answer has `body` or `json`, not both".to_owned())),
        };
        Ok(Ok(HttpAnswer {
            status: self.status.unwrap_or(200),
            retry_after: self.retry_after,
            body: body.into_bytes(),
        }))
    }
}
