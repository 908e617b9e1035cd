//! The way out of an alert sink: which requests are granted, and secrets that a plugin uses without seeing them.
//!
//! A request is put together from the plugin's pieces and the secrets it names, parsed, and only then compared with the
//! grants: what counts is the URL that will be asked for, not how it was written. Everything that comes back — answers,
//! errors, the plugin's own log — has the secrets blotted out, also where they come back percent-encoded, escaped as in
//! JSON, or as the path of a secret URL.

use std::sync::Arc;
use std::time::Duration;

use backstop_model::config::SecretRef;
use backstop_model::policy::{Grants, HttpGrant};
use url::Url;

use crate::outside::{HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Outward};
use crate::secrets::Blotter;
use crate::text::{LINE_MAX, quoted, untrusted};

const SENDS_MAX: u32 = 8;
const URL_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 32;
const HEADER_MAX: usize = 8 << 10;
const BODY_MAX: usize = 1 << 20;
const TIMEOUT_MS_MAX: u32 = 30_000;
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];

/// Header fields that belong to the connection and not to the request.
const FORBIDDEN: [&str; 9] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
];

/// A piece of a request as the plugin gives it.
pub(crate) enum Piece {
    Text(String),
    Secret(String),
}

/// A request as the plugin gives it.
pub(crate) struct Draft {
    pub(crate) method: String,
    pub(crate) url: Vec<Piece>,
    pub(crate) headers: Vec<(String, Vec<Piece>)>,
    pub(crate) body: Vec<Piece>,
    pub(crate) timeout_ms: u32,
}

/// Granted hosts and secrets of one call.
pub(crate) struct Web {
    outward: Arc<dyn Outward>,
    hosts: Vec<HttpGrant>,
    secrets: Vec<(String, SecretRef)>,
    blotter: Blotter,
    sends: u32,
    /// What the operator should know and the plugin need not.
    asides: Vec<String>,
}

fn failure(kind: HttpFailureKind, message: impl Into<String>) -> HttpFailure {
    HttpFailure { kind, message: message.into() }
}

fn invalid(message: impl Into<String>) -> HttpFailure {
    failure(HttpFailureKind::Invalid, message)
}

fn not_granted(message: impl Into<String>) -> HttpFailure {
    failure(HttpFailureKind::NotGranted, message)
}

impl Web {
    pub(crate) fn new(outward: Arc<dyn Outward>, grants: &Grants) -> Self {
        let (hosts, secrets) = (grants.http.clone(), grants.secrets.clone());
        Self { outward, hosts, secrets, blotter: Blotter::default(), sends: 0, asides: Vec::new() }
    }

    /// Text with every secret that was used so far blotted out.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        self.blotter.blot_text(text)
    }

    /// Takes what the operator should know of the last request.
    pub(crate) fn asides(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asides)
    }

    /// Puts a request together and compares it with the grants. What it refuses, the operator hears of too.
    pub(crate) fn prepare(&mut self, draft: Draft) -> Result<HttpRequest, HttpFailure> {
        let prepared = self.checked(draft);
        if let Err(refused) = &prepared {
            let told = format!("a request was refused: {}", self.blotter.blot_text(&refused.message));
            self.asides.push(told);
        }
        prepared
    }

    fn checked(&mut self, draft: Draft) -> Result<HttpRequest, HttpFailure> {
        self.sends += 1;
        if self.sends > SENDS_MAX {
            return Err(invalid(format!("at most {SENDS_MAX} requests are sent in one call")));
        }
        if !METHODS.contains(&draft.method.as_str()) {
            return Err(invalid(format!("method {} is none of GET, POST, PUT, PATCH", quoted(&draft.method))));
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&draft.timeout_ms) {
            return Err(invalid(format!("a timeout has 1 to {TIMEOUT_MS_MAX} milliseconds")));
        }
        let (url, allow_private) = self.url(&draft.url)?;
        let headers = self.headers(&draft.headers)?;
        let body = self.join(&draft.body, BODY_MAX, "the body")?;
        let timeout = Duration::from_millis(draft.timeout_ms.into());
        Ok(HttpRequest { method: draft.method, url: url.into(), headers, body, timeout, allow_private })
    }

    /// Sends a prepared request; what comes back holds no secret and is no longer than allowed.
    pub(crate) fn send(&mut self, mut request: HttpRequest, left: Duration) -> Result<HttpResponse, HttpFailure> {
        request.timeout = request.timeout.min(left);
        let answered = self.outward.send(request);
        let told = |message: &str| untrusted(&self.blotter.blot_text(message), LINE_MAX);
        match answered {
            Ok(response) if (100..=599).contains(&response.status) => {
                Ok(HttpResponse { body: self.blotter.blot_body(response.body, crate::RESPONSE_BODY_MAX), ..response })
            }
            Ok(_) => Err(failure(HttpFailureKind::Unreachable, "the server's answer is not HTTP")),
            Err(HttpFailure { kind, message }) => Err(failure(kind, told(&message))),
        }
    }

    /// The URL, and whether it may lead to an address that is not public.
    fn url(&mut self, pieces: &[Piece]) -> Result<(Url, bool), HttpFailure> {
        let joined = self.join(pieces, URL_MAX, "the URL")?;
        let is_secret = pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)));
        let text = String::from_utf8(joined).ok().filter(|text| !text.chars().any(|c| c.is_control() || c == ' '));
        let text = text.ok_or_else(|| invalid("the URL holds blanks, control characters or bytes that are no text"))?;
        let mut url = Url::parse(&text).map_err(|error| invalid(format!("the URL makes no sense: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(invalid("the URL begins neither with `https:` nor with `http:`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the URL holds a user or a password: put them into a header"));
        }
        url.set_fragment(None);
        let Some(private) = self.hosts.iter().find(|grant| allows(grant, &url)).map(|grant| grant.private) else {
            // Where a secret is part of the URL, the plugin must not learn which host it names.
            return Err(not_granted(if is_secret {
                "the URL's host is not granted".to_owned()
            } else {
                format!("`{}` is not granted (`grants.http`)", untrusted(&url.origin().ascii_serialization(), LINE_MAX))
            }));
        };
        if is_secret {
            self.blotter.add_url(&url);
        }
        Ok((url, private))
    }

    fn headers(&mut self, headers: &[(String, Vec<Piece>)]) -> Result<Vec<(String, Vec<u8>)>, HttpFailure> {
        if headers.len() > HEADERS_MAX {
            return Err(invalid(format!("a request has at most {HEADERS_MAX} header fields")));
        }
        let checked = headers.iter().map(|(name, pieces)| {
            let name = name.to_ascii_lowercase();
            if !is_token(&name) {
                return Err(invalid(format!("{} is no name of a header field", quoted(&name))));
            }
            if FORBIDDEN.contains(&name.as_str()) {
                return Err(invalid(format!("the header field `{name}` is not the plugin's to set")));
            }
            let value = self.join(pieces, HEADER_MAX, "a header field")?;
            if value.iter().any(u8::is_ascii_control) {
                return Err(invalid(format!("the header field `{name}` holds a control character")));
            }
            Ok((name, value))
        });
        checked.collect()
    }

    fn join(&mut self, pieces: &[Piece], most: usize, what: &str) -> Result<Vec<u8>, HttpFailure> {
        let mut joined = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => joined.extend_from_slice(text.as_bytes()),
                Piece::Secret(name) => joined.extend_from_slice(self.secret(name)?),
            }
            if joined.len() > most {
                return Err(invalid(format!("{what} has more than {most} bytes")));
            }
        }
        Ok(joined)
    }

    fn secret(&mut self, name: &str) -> Result<&[u8], HttpFailure> {
        let granted = self.secrets.iter().find(|(granted, _)| granted == name);
        let Some((name, reference)) = granted else {
            return Err(not_granted(format!("secret {} is not granted (`grants.secrets`)", quoted(name))));
        };
        if !self.blotter.knows(name) {
            let value = self.outward.secret(reference).map_err(|why| {
                self.asides.push(format!("secret `{name}` cannot be had: {why}"));
                not_granted(format!("secret `{name}` cannot be had"))
            })?;
            self.blotter.add(name, value);
        }
        Ok(self.blotter.value(name))
    }
}

/// A token of RFC 9110.
pub(crate) fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=200).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether a grant covers a URL: scheme, host and port.
fn allows(grant: &HttpGrant, url: &Url) -> bool {
    let default = if grant.tls { 443 } else { 80 };
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    (url.scheme() == "https") == grant.tls
        && host.is_some_and(|host| host == grant.host.trim_start_matches('[').trim_end_matches(']'))
        && url.port_or_known_default() == Some(grant.port.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Outward for Nowhere {
        fn secret(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
            Ok(b"s3cr3t\r\nx-evil: 1".to_vec())
        }
        fn send(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
            Ok(HttpResponse { status: 42, retry_after: None, body: Vec::new() })
        }
    }

    fn web() -> Web {
        let host = HttpGrant { tls: true, host: "a.example".to_owned(), port: None, private: false };
        let secrets = vec![("token".to_owned(), SecretRef::Env("TOKEN".to_owned()))];
        Web::new(Arc::new(Nowhere), &Grants { http: vec![host], secrets, probes: Vec::new() })
    }

    fn text(text: &str) -> Vec<Piece> {
        vec![Piece::Text(text.to_owned())]
    }

    fn draft() -> Draft {
        let url = text("https://a.example/x");
        Draft { method: "POST".to_owned(), url, headers: Vec::new(), body: text("hello"), timeout_ms: 1000 }
    }

    fn refusal(change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = draft();
        change(&mut draft);
        web().prepare(draft).expect_err("it is refused").message
    }

    /// Nothing can be smuggled into a request beside what it says.
    #[test]
    fn requests_that_could_smuggle_are_refused() {
        let header = |name: &str, value: &str| {
            let field = (name.to_owned(), text(value));
            refusal(|draft| draft.headers.push(field))
        };
        assert_eq!(header("x-a", "b\r\nx-c: d"), "the header field `x-a` holds a control character");
        assert_eq!(header("x-a\r\nx-b", "c"), "\"x-a\\r\\nx-b\" is no name of a header field");
        assert_eq!(header("Host", "b.example"), "the header field `host` is not the plugin's to set");
        assert_eq!(
            header("Transfer-Encoding", "chunked"),
            "the header field `transfer-encoding` is not the plugin's to set"
        );
        assert_eq!(
            refusal(|draft| draft.method = "DELETE".to_owned()),
            "method \"DELETE\" is none of GET, POST, PUT, PATCH"
        );
        let secret = ("authorization".to_owned(), vec![Piece::Secret("token".to_owned())]);
        assert_eq!(
            refusal(|draft| draft.headers.push(secret)),
            "the header field `authorization` holds a control character"
        );
    }

    #[test]
    fn requests_beyond_the_limits_are_refused() {
        let long = |length| text(&"x".repeat(length));
        assert_eq!(refusal(|draft| draft.body = long(BODY_MAX + 1)), "the body has more than 1048576 bytes");
        assert_eq!(refusal(|draft| draft.url.extend(long(URL_MAX))), "the URL has more than 8192 bytes");
        assert_eq!(refusal(|draft| draft.timeout_ms = 0), "a timeout has 1 to 30000 milliseconds");
        assert_eq!(refusal(|draft| draft.timeout_ms = 30_001), "a timeout has 1 to 30000 milliseconds");
        let fields = || (0..33).map(|at| (format!("x-{at}"), text("1")));
        assert_eq!(refusal(|draft| draft.headers.extend(fields())), "a request has at most 32 header fields");
        let mut web = web();
        assert!((0..8).all(|_| web.prepare(draft()).is_ok()));
        let ninth = web.prepare(draft()).expect_err("one too many");
        assert_eq!(ninth.message, "at most 8 requests are sent in one call");
    }

    #[test]
    fn an_answer_that_is_no_http_is_a_failure() {
        let mut web = web();
        let request = web.prepare(draft()).expect("granted");
        let failure = web.send(request, Duration::from_secs(1)).expect_err("no HTTP");
        assert_eq!(failure.kind, HttpFailureKind::Unreachable);
    }
}
