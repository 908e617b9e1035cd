//! Requests of alert sinks, to the hosts that the operator granted. Secrets are named, never seen.
//!
//! ```no_run
//! use backstop_policy_sdk::http::{self, Request, secret};
//! use backstop_policy_sdk::{Json, alert_sink::Failure};
//!
//! # fn deliver() -> Result<(), Failure> {
//! let request = Request::post("https://chat.example.com/api")
//!     .header("authorization", [http::text("Bearer "), secret("chat_token")])
//!     .json(Json::object(|body| body.text("text", "backup of docs failed")));
//! http::accepted("chat.example.com", request.send())?;
//! # Ok(())
//! # }
//! ```

use crate::alert_sink::{Failure as Delivery, Setback};
use crate::wit::alert_sink::backstop::policy::http as wit;

pub use wit::{Failure, FailureKind, Header, Part, Request, Response};

/// A text as it is.
#[must_use]
pub fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

/// The secret of that name, put in by Backstop.
#[must_use]
pub fn secret(name: impl Into<String>) -> Part {
    Part::Secret(name.into())
}

/// What a URL, a header or a body is made of: a text, a part, or several parts.
pub trait IntoParts {
    /// The parts, in order.
    fn into_parts(self) -> Vec<Part>;
}

impl IntoParts for &str {
    fn into_parts(self) -> Vec<Part> {
        vec![text(self)]
    }
}

impl IntoParts for String {
    fn into_parts(self) -> Vec<Part> {
        vec![text(self)]
    }
}

impl IntoParts for Part {
    fn into_parts(self) -> Vec<Part> {
        vec![self]
    }
}

impl IntoParts for Vec<Part> {
    fn into_parts(self) -> Vec<Part> {
        self
    }
}

impl<const N: usize> IntoParts for [Part; N] {
    fn into_parts(self) -> Vec<Part> {
        self.into()
    }
}

/// Time for a whole request where nothing else is said.
const TIMEOUT_MS: u32 = 10_000;

impl Request {
    /// A request with that method, `GET`, `POST`, `PUT` or `PATCH`, and ten seconds.
    #[must_use]
    pub fn new(method: &str, url: impl IntoParts) -> Self {
        Self {
            method: method.to_owned(),
            url: url.into_parts(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: TIMEOUT_MS,
        }
    }

    /// A POST.
    #[must_use]
    pub fn post(url: impl IntoParts) -> Self {
        Self::new("POST", url)
    }

    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl IntoParts) -> Self {
        self.headers.push(Header { name: name.to_owned(), value: value.into_parts() });
        self
    }

    /// With that body.
    #[must_use]
    pub fn body(mut self, body: impl IntoParts) -> Self {
        self.body = body.into_parts();
        self
    }

    /// With that JSON as its body, and the header that says so.
    #[must_use]
    pub fn json(self, json: Vec<Part>) -> Self {
        self.header("content-type", "application/json").body(json)
    }

    /// With that much time for all of it, in milliseconds.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Sends it and waits.
    ///
    /// # Errors
    /// When nothing came back. Any status, a redirect too, is an answer.
    pub fn send(&self) -> Result<Response, Failure> {
        send(self)
    }
}

impl Response {
    /// The body as text, at most so many characters: for a message.
    #[must_use]
    pub fn excerpt(&self, characters: usize) -> String {
        String::from_utf8_lossy(&self.body).chars().take(characters).collect()
    }
}

/// Decides by what came back whether an alert was taken over: 2xx yes; 408, 425, 429, 5xx and no answer at all, try
/// again, not before the server says; everything else never, since the same request will get the same answer.
/// `receiver` names the service in messages.
///
/// # Errors
/// When it was not.
pub fn accepted(receiver: &str, outcome: Result<Response, Failure>) -> Result<Response, Delivery> {
    let response = match outcome {
        Ok(response) => response,
        Err(failure) => {
            let why = format!("{receiver}: {}", failure.message);
            return Err(match failure.kind {
                FailureKind::Unreachable | FailureKind::TimedOut => Delivery::later(why),
                FailureKind::NotGranted | FailureKind::Invalid => Delivery::Never(why),
            });
        }
    };
    let why = || format!("{receiver} answered {}: {}", response.status, response.excerpt(200));
    match response.status {
        200..=299 => Ok(response),
        408 | 425 | 429 | 500..=599 => Err(Delivery::Again(Setback { after: response.retry_after, why: why() })),
        _ => Err(Delivery::Never(why())),
    }
}

#[cfg(target_family = "wasm")]
fn send(request: &Request) -> Result<Response, Failure> {
    wit::send(request)
}

#[cfg(not(target_family = "wasm"))]
fn send(request: &Request) -> Result<Response, Failure> {
    crate::golden::stage::send(request)
}
