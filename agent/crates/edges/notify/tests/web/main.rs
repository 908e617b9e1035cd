//! The way to web servers against servers on this machine: well-behaved ones pass the suite of the seam, and no other
//! gets more time, more bytes or more words out of us than the contract gives it.
// Slow servers are slow in real time.
#![allow(clippy::disallowed_methods)]

mod hostile;
mod naming;
mod server;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use backstop_model::Timestamp;
use backstop_notify::HttpWeb;
use backstop_seams::conformance::web::{answers, get, refusals};
use backstop_seams::{Clock, Web, WebFailure, WebFailureKind, WebRequest};

use crate::server::Server;

struct SystemTimeOnly;

impl Clock for SystemTimeOnly {
    fn now(&self) -> Timestamp {
        SystemTime::now().try_into().expect("after 1970")
    }
    fn monotonic(&self) -> Duration {
        unreachable!("requests are timed by the system")
    }
    fn sleep(&self, _: Duration) {
        unreachable!("nobody waits between requests")
    }
}

fn web() -> HttpWeb {
    HttpWeb::new(Arc::new(SystemTimeOnly))
}

/// The failure of a request that must not be answered, and that must show nothing of the URL's secret parts.
fn failure_of(web: &HttpWeb, request: WebRequest) -> WebFailure {
    let failure = web.send(request).map(|answer| answer.status).expect_err("no answer is possible");
    let said = format!("{failure} {failure:?}");
    assert!(!said.contains("T0KEN") && !failure.message.contains('\n'), "{said}");
    failure
}

/// What a server's behaviour comes to within `timeout`, which must be kept.
fn fails(server: &Server, timeout: Duration) -> (WebFailureKind, String) {
    let began = Instant::now();
    let request = WebRequest { timeout, ..get(&format!("{}/T0KEN?q=T0KEN", server.base())) };
    let failure = failure_of(&web(), request);
    assert!(began.elapsed() < timeout + Duration::from_secs(2), "{failure} after {:?}", began.elapsed());
    (failure.kind, failure.message)
}

#[test]
fn what_makes_no_sense_is_refused_unsent() {
    refusals(&web());
}

#[test]
fn answers_are_what_the_server_sent() {
    answers(&web(), &Server::polite().base());
}

/// The same test again, in a process whose environment names a proxy where nobody listens.
#[test]
fn the_environments_proxy_is_not_used() {
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "answers_are_what_the_server_sent"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn the_host_field_is_the_urls_or_the_one_asked_for() {
    let server = Server::start(|line, head| {
        let host = head.lines().find_map(|field| field.strip_prefix("host: ")).unwrap_or_default();
        server::say(line, &format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}", host.len()));
    });
    let ask = |host_field: Option<&str>| {
        let request = WebRequest { host_field: host_field.map(str::to_owned), ..get(&server.base()) };
        web().send(request).map(|answer| String::from_utf8(answer.body).expect("text"))
    };
    assert_eq!(ask(None).expect("answered"), server.base().trim_start_matches("http://"));
    assert_eq!(ask(Some("shop.example:8080")).expect("answered"), "shop.example:8080");
    for bad in ["", "a/b", "a\r\nx: y", "a b", "u@a"] {
        assert_eq!(ask(Some(bad)).expect_err(bad).kind, WebFailureKind::Invalid);
    }
}
