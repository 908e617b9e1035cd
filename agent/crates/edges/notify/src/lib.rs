//! Edge: requests to web servers, for alerts and for looking at restored systems.
//!
//! [`HttpWeb`] implements `seams::Web`: one request over one connection, HTTP/1.1, with or without TLS. [`names`] turns
//! a host into addresses that may be spoken to, `connection` speaks to those and to no others until the time is over,
//! `answer` and `failure` say what came of it.
//!
//! Every request is on its own: no connection is kept, no cookie, no proxy, no redirect. The certificates that the
//! machine trusts are read anew for every `https` request, so that a change to them needs no restart; they are those of
//! `SSL_CERT_FILE` or `SSL_CERT_DIR` where these are set.
//!
//! Only the composition root names what is here. Touches the network and the machine's certificates.
// This crate speaks to the outside and measures how long that takes.
#![allow(clippy::disallowed_methods)]

mod answer;
mod connection;
mod deadline;
mod failure;
pub mod names;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use backstop_seams::web::{BODY_SENT_MAX, HEADERS_KEPT, HEADERS_MAX, METHODS};
use backstop_seams::{Clock, Origin, Web, WebFailure, WebRequest, WebResponse};
use ureq::config::Config;
use ureq::http::{HeaderName, HeaderValue, Request, header};
use ureq::{Agent, Body};

use crate::connection::Dial;
use crate::deadline::Deadline;
use crate::failure::invalid;
use crate::names::{Finder, Names, SystemNames};
pub use crate::trust::BadCertificates;
use crate::trust::Trust;

/// Longest a request may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Bytes of an answer's header fields, together.
const FIELDS_MAX: usize = 64 << 10;
/// How we introduce ourselves where the request does not.
const USER_AGENT: &str = concat!("backstop/", env!("CARGO_PKG_VERSION"));

/// The way to web servers.
pub struct HttpWeb {
    clock: Arc<dyn Clock>,
    finder: Finder,
    trust: Trust,
}

impl HttpWeb {
    /// Resolves names as the system does and trusts whom the machine trusts. The clock reads dates in answers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, finder: Finder::new(Arc::new(SystemNames)), trust: Trust::default() }
    }

    /// Trusts the authorities in these PEM certificates as well.
    ///
    /// # Errors
    /// When there is none among them, or one that cannot be read.
    pub fn trusting(mut self, pem: &[u8]) -> Result<Self, BadCertificates> {
        self.trust = self.trust.with(pem)?;
        Ok(self)
    }

    /// Resolves names in another way.
    #[must_use]
    pub fn resolving(mut self, names: Arc<dyn Names>) -> Self {
        self.finder = Finder::new(names);
        self
    }
}

impl Web for HttpWeb {
    fn send(&self, request: WebRequest) -> Result<WebResponse, WebFailure> {
        let origin = Origin::of(&request.url).ok_or_else(|| {
            invalid("the URL is not `https://` or `http://`, a host, perhaps a port and a path, in plain ASCII")
        })?;
        let (timeout, allow_private) = (request.timeout.min(TIMEOUT_MAX), request.allow_private);
        let deadline = Deadline::after(timeout);
        let request = checked(request)?;
        let addresses = self.finder.addresses(&origin, allow_private, deadline)?;
        let tls = origin.tls.then(|| self.trust.client()).transpose()?;
        let agent = Agent::with_parts(config(), Dial::new(deadline, tls), names::Checked(addresses));
        run(&agent, request)
            .and_then(|response| answer::of(response, self.clock.now()))
            .map_err(|error| failure::of(&error, &origin, timeout))
    }
}

fn config() -> Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(FIELDS_MAX)
        .max_idle_connections(0)
        .user_agent(USER_AGENT)
        .accept_encoding("identity")
        .build()
}

/// The request as the client wants it, if it makes sense.
fn checked(request: WebRequest) -> Result<Request<Vec<u8>>, WebFailure> {
    if !METHODS.contains(&request.method.as_str()) {
        return Err(invalid(&format!("the method is none of {}", METHODS.join(", "))));
    }
    if request.headers.len() > HEADERS_MAX {
        return Err(invalid(&format!("more than {HEADERS_MAX} header fields")));
    }
    if request.body.len() > BODY_SENT_MAX {
        return Err(invalid(&format!("the body is larger than {BODY_SENT_MAX} bytes")));
    }
    // The client's words are not repeated: they show the URL.
    let built = Request::builder().method(request.method.as_str()).uri(request.url).body(request.body);
    let mut built = built.map_err(|_| invalid("the URL has characters that no URL has"))?;
    for (name, value) in request.headers {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(&format!("`{}` is no name of a header field", name.escape_debug())))?;
        if HEADERS_KEPT.contains(&field.as_str()) {
            return Err(invalid(&format!("the header field `{field}` is not the request's to set")));
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| invalid(&format!("the header field `{field}` holds control characters")))?;
        built.headers_mut().append(field, value);
    }
    if let Some(site) = request.host_field {
        let is_site = !site.contains(['/', '?']) && Origin::of(&format!("http://{site}")).is_some();
        let value = HeaderValue::from_bytes(site.as_bytes()).ok().filter(|_| is_site);
        built.headers_mut().insert(header::HOST, value.ok_or_else(|| invalid("the `host` field names no host"))?);
    }
    Ok(built)
}

fn run(agent: &Agent, request: Request<Vec<u8>>) -> Result<ureq::http::Response<Body>, ureq::Error> {
    if request.body().is_empty() && request.method() == "GET" {
        return agent.run(request.map(|_| ()));
    }
    agent.run(request)
}
