//! Ways to web servers: what is refused without a word, and what is made of answers.

use std::time::Duration;

use crate::web::{BODY_KEPT_MAX, BODY_SENT_MAX, HEADERS_KEPT, Web, WebFailureKind, WebRequest, WebResponse};

/// A part of every URL that no failure may show.
const HIDDEN: &str = "T0KEN";

/// A `GET` of `url`, with ten seconds and private addresses allowed.
#[must_use]
pub fn get(url: &str) -> WebRequest {
    WebRequest {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        host_field: None,
        body: Vec::new(),
        timeout: Duration::from_secs(10),
        allow_private: true,
    }
}

fn refused(web: &dyn Web, what: &str, request: WebRequest, kind: WebFailureKind) {
    match web.send(request) {
        Ok(response) => panic!("{what} was answered with {}", response.status),
        Err(failure) => {
            assert_eq!(failure.kind, kind, "{what}: {failure}");
            assert!(!failure.message.contains(HIDDEN), "{what}: the path is shown: {failure}");
            assert!(!failure.message.is_empty() && !failure.message.contains('\n'), "{what}: {failure:?}");
        }
    }
}

/// Refuses what makes no sense and what is not public, whatever else there is. Needs no server.
///
/// # Panics
/// When something is sent, or a failure shows what it must not.
pub fn refusals(web: &dyn Web) {
    for url in ["ftp://a.example/", "https://u:p@a.example/", "https://a.example\\@b.example/", "https:///", ""] {
        refused(web, url, get(&format!("{url}{HIDDEN}")), WebFailureKind::Invalid);
    }
    let url = format!("http://127.0.0.1:9/{HIDDEN}");
    for method in ["", "get", "DELETE", "CONNECT", "GET / HTTP/1.1\r\nx:"] {
        refused(web, method, WebRequest { method: method.into(), ..get(&url) }, WebFailureKind::Invalid);
    }
    let fields =
        HEADERS_KEPT.map(|name| (name, "x")).into_iter().chain([("Host", "x"), ("a b", "x"), ("a", "x\r\nb: y")]);
    for (name, value) in fields {
        let headers = vec![(name.to_owned(), value.to_owned())];
        refused(web, name, WebRequest { headers, ..get(&url) }, WebFailureKind::Invalid);
    }
    let body = vec![0; BODY_SENT_MAX + 1];
    refused(web, "a large body", WebRequest { method: "POST".into(), body, ..get(&url) }, WebFailureKind::Invalid);
    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "0.0.0.0"] {
        let request = WebRequest { allow_private: false, ..get(&format!("http://{host}:9/{HIDDEN}")) };
        refused(web, host, request, WebFailureKind::NotPublic);
    }
}

/// Makes the right thing of answers. `base` is `http://HOST:PORT` of a server which answers
///
/// - `/echo` with 200, a field `x-method` with the method, `x-fields` with the number of fields `x-sent`, and the
///   request's body;
/// - `/moved` with 302 and a `location` that leads to `/echo`;
/// - `/large` with 200 and at least a megabyte of `x`;
/// - `/later` with 503 and `retry-after: 120`; `/past` with 429 and a `retry-after` date in the past; `/whenever` with
///   503 and `retry-after: soon`;
/// - `/squeezed` with 200, `content-encoding: gzip` and the body `not gzip`;
/// - `/cookie` with 200, `set-cookie: a=b`, and a field `x-cookie` with the cookies that it was sent.
///
/// # Panics
/// When an answer is not what the server sent, or more than the contract keeps.
pub fn answers(web: &dyn Web, base: &str) {
    let ask = |request: WebRequest| web.send(request).unwrap_or_else(|failure| panic!("not answered: {failure}"));
    let ask_for = |path: &str| ask(get(&format!("{base}{path}")));

    for (method, body) in [("GET", ""), ("POST", ""), ("POST", "hello"), ("PUT", "hello"), ("PATCH", "hello")] {
        let headers = [("X-Sent", "1"), ("x-sent", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = WebRequest {
            method: method.into(),
            body: body.into(),
            headers: headers.into(),
            ..get(&format!("{base}/echo"))
        };
        let answer = ask(request);
        assert_eq!((answer.status, answer.body.as_slice()), (200, body.as_bytes()), "{method}");
        assert_eq!(field(&answer, "x-method"), Some(method));
        assert_eq!(field(&answer, "x-fields"), Some("2"));
    }
    let moved = ask_for("/moved");
    assert_eq!(moved.status, 302, "a redirect arrives as it is");
    assert!(field(&moved, "location").is_some());
    let large = ask_for("/large");
    assert_eq!(large.body.len(), BODY_KEPT_MAX);
    assert!(large.body.iter().all(|byte| *byte == b'x'));
    let later = ask_for("/later");
    assert_eq!((later.status, later.retry_after), (503, Some(120)));
    let past = ask_for("/past");
    assert_eq!((past.status, past.retry_after), (429, Some(0)));
    assert_eq!(ask_for("/whenever").retry_after, None);
    assert_eq!(ask_for("/squeezed").body, b"not gzip", "nothing is decompressed");
    for _ in 0..2 {
        assert_eq!(field(&ask_for("/cookie"), "x-cookie"), Some(""), "nothing is remembered");
    }
}

fn field<'a>(answer: &'a WebResponse, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
