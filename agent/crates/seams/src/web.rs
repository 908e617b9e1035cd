//! Requests to web servers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

/// Bytes of an answer's body that are kept.
pub const BODY_KEPT_MAX: usize = 64 << 10;
/// Bytes a request's body may have.
pub const BODY_SENT_MAX: usize = 1 << 20;
/// Bytes a URL may have.
pub const URL_MAX: usize = 8 << 10;
/// Header fields a request may have.
pub const HEADERS_MAX: usize = 64;
/// Methods there are.
pub const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];
/// Header fields that the seam sets itself. In lower case.
pub const HEADERS_KEPT: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// A request. May be full of secrets: never shown, so it has no `Debug`.
pub struct WebRequest {
    /// One of [`METHODS`].
    pub method: String,
    /// `http://` or `https://`, a host, perhaps a port, and perhaps a path and a query, as [`Origin::of`] reads it.
    pub url: String,
    /// Name and value; none of [`HEADERS_KEPT`], at most [`HEADERS_MAX`].
    pub headers: Vec<(String, String)>,
    /// What the server is called in the `host` field when that is not what the URL says: a server that hosts several
    /// sites, reached by its address.
    pub host_field: Option<String>,
    /// At most [`BODY_SENT_MAX`]; empty for none.
    pub body: Vec<u8>,
    /// For all of it: name, connection, TLS, request and answer. At most ten minutes are waited.
    pub timeout: Duration,
    /// Whether the host may have addresses that the Internet does not route.
    pub allow_private: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebResponse {
    /// 100 to 599. A redirect arrives as it is.
    pub status: u16,
    /// Names in lower case, in the order they came. Values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The value of `retry-after` in seconds from now, when it was a number or a date; 0 for a date that is past.
    pub retry_after: Option<u32>,
    /// The first [`BODY_KEPT_MAX`] bytes, as they were sent.
    pub body: Vec<u8>,
}

/// Why nothing came back. What it says is fit for logs: of the URL it shows [`Origin`] at most.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WebFailure {
    /// For deciding.
    pub kind: WebFailureKind,
    /// For people: lower case, one line.
    pub message: String,
}

/// Why nothing came back, by what can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebFailureKind {
    /// An address of the host is not public and nobody allowed that. Nothing was sent.
    NotPublic,
    /// The request makes no sense. Nothing was sent.
    Invalid,
    /// No name, no connection, no trust, or the connection ended. It may have been received.
    Unreachable,
    /// The time was over. It may have been received.
    TimedOut,
}

/// A way to web servers.
///
/// - A redirect is an answer like any other; nothing is followed, remembered or decompressed. Answers with any status
///   are answers.
/// - The host's name is resolved once. When one of its addresses is not public (`model::policy::binding::is_public`)
///   and `allow_private` is not set, nothing is sent. Connections go to the addresses that were looked at, and to no
///   others; no proxy is used.
/// - After `timeout` the call has returned, however the name service and the server behave.
/// - The server of an `https` URL has proved that it has the URL's name.
pub trait Web: Send + Sync {
    /// Sends a request once and waits.
    ///
    /// # Errors
    /// See [`WebFailureKind`].
    fn send(&self, request: WebRequest) -> Result<WebResponse, WebFailure>;
}

/// A web that reaches nobody, for those who have none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWeb;

impl Web for NoWeb {
    fn send(&self, _: WebRequest) -> Result<WebResponse, WebFailure> {
        Err(WebFailure { kind: WebFailureKind::Unreachable, message: "there is no network here".into() })
    }
}

/// Whom a URL speaks to: all of it that may be shown. Displayed as `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https` rather than `http`.
    pub tls: bool,
    /// A name or an IPv4 address in lower case, or an IPv6 address without brackets.
    pub host: String,
    /// As written, or 443 or 80.
    pub port: u16,
}

impl Origin {
    /// Reads it off a URL, which may be nothing but printable ASCII in the plainest of forms: no user, no fragment, no
    /// backslash, no escapes in the host. What passes here means the same to every other reader, so that a grant can
    /// be checked against it. `None` for everything else.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let printable = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
        if url.len() > URL_MAX || !url.bytes().all(printable) {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (inside, after) = bracketed.split_once(']')?;
                let address: Ipv6Addr = inside.parse().ok()?;
                (address.to_string(), after)
            }
            None => {
                let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
                    return None;
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            None if port.is_empty() && tls => 443,
            None if port.is_empty() => 80,
            _ => return None,
        };
        (port != 0).then_some(Self { tls, host, port })
    }

    /// The host, when it is an address rather than a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        IpAddr::from_str(&self.host).ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.address() {
            Some(IpAddr::V6(address)) => write!(f, "{scheme}://[{address}]:{}", self.port),
            _ => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Origin::of(url).map_or_else(String::new, |origin| origin.to_string())
    }

    #[test]
    fn a_plain_url_shows_whom_it_speaks_to_and_no_more() {
        assert_eq!(shown("https://Hooks.Example.com/services/T0/SECRET?token=x"), "https://hooks.example.com:443");
        assert_eq!(shown("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(shown("http://[0:0::1]?a=b"), "http://[::1]:80");
        assert_eq!(shown("https://a_b-c.example.:65535/x@y:z"), "https://a_b-c.example.:65535");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_no_url() {
        for url in [
            "",
            "https://",
            "https:///path",
            "ftp://example.com/",
            "HTTPS://example.com/",
            "//example.com/",
            "https://user@example.com/",
            "https://good.example\\@evil.example/",
            "https://good.example#@evil.example/",
            "https://good.example%2fevil.example/",
            "https://good.example /",
            "https://good.example/a b",
            "https://good.example/\r\nx: y",
            "https://exämple.com/",
            "https://example.com:/",
            "https://example.com:0/",
            "https://example.com:+80/",
            "https://example.com:65536/",
            "https://example.com:80:81/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/",
            "https://[127.0.0.1]/",
            "https://[::1]x/",
        ] {
            assert_eq!(shown(url), "", "{url}");
        }
        assert_eq!(shown(&format!("https://example.com/{}", "a".repeat(URL_MAX))), "");
    }
}
