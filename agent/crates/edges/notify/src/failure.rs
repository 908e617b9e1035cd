//! Why nothing came back, in words that may be shown: never more of a URL than scheme, host and port, and nothing that a
//! server said beyond its certificate.

use std::io;
use std::time::Duration;

use backstop_seams::{Origin, WebFailure, WebFailureKind};
use ureq::Error;

/// Longest part of a message that others have a say in.
const DETAIL_MAX: usize = 300;

pub(crate) fn failure(kind: WebFailureKind, message: String) -> WebFailure {
    WebFailure { kind, message }
}

pub(crate) fn invalid(message: &str) -> WebFailure {
    failure(WebFailureKind::Invalid, message.to_owned())
}

pub(crate) fn unreachable(message: &str) -> WebFailure {
    failure(WebFailureKind::Unreachable, one_line(message))
}

pub(crate) fn timed_out(message: &str) -> WebFailure {
    failure(WebFailureKind::TimedOut, message.to_owned())
}

/// Certificates hold names of others' choosing.
fn one_line(text: &str) -> String {
    text.chars().take(DETAIL_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The client's error. Its own words may show the URL, so most are not repeated.
pub(crate) fn of(error: &Error, origin: &Origin, timeout: Duration) -> WebFailure {
    let late = || timed_out(&format!("{origin}: no whole answer within {} ms", timeout.as_millis()));
    let ended = |what: &str| unreachable(&format!("{origin}: {what}"));
    match error {
        Error::Timeout(_) => late(),
        Error::Io(error) => match error.kind() {
            io::ErrorKind::TimedOut => late(),
            io::ErrorKind::UnexpectedEof => ended("the connection ended before the answer did"),
            _ => match error.get_ref().and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
                Some(error) => ended(&format!("TLS failed: {error}")),
                None => ended(&error.to_string()),
            },
        },
        Error::Tls(why) => ended(why),
        Error::Protocol(_) => ended("what it sent is no HTTP/1.1 answer"),
        Error::LargeResponseHeader(..) => ended("its answer's header fields are too large"),
        Error::Http(_) | Error::BadUri(_) => invalid("HTTP does not know such a request"),
        _ => ended("the request failed"),
    }
}
