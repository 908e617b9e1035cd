//! Alert sinks and the way out: what is granted, what is refused, and what nobody gets to see.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use backstop_model::config::SecretRef;
use backstop_model::policy::alert::{Alert, Delivery, DeliveryQuestion, Severity};
use backstop_model::policy::{Asked, FaultKind, Field, HttpGrant, Value, World};
use backstop_policy::{HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Outward};

use super::kit::{assert_well, candidate, civil, engine, fault_of, load, only, reasonable};

/// What a request is answered with.
type Answer = Box<dyn Fn(&HttpRequest) -> Result<HttpResponse, HttpFailure> + Send + Sync>;

/// A way out that records what is sent and goes nowhere.
struct Recorder {
    sent: Mutex<Vec<HttpRequest>>,
    answer: Answer,
}

const HOOK: &str = "https://hooks.example.com/services/T00/B11/s3cr3t";

impl Outward for Recorder {
    fn secret(&self, secret: &SecretRef) -> Result<Vec<u8>, String> {
        match secret {
            SecretRef::Env(name) if name == "HOOK" => Ok(format!("{HOOK}\n").into_bytes()),
            SecretRef::Env(name) if name == "ELSEWHERE" => Ok(b"https://evil.example.net/".to_vec()),
            other => Err(format!("{other:?} is not set")),
        }
    }
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let answer = (self.answer)(&request);
        self.sent.lock().expect("not poisoned").push(request);
        answer
    }
}

fn says(status: u16, body: &str) -> Answer {
    let body = body.as_bytes().to_vec();
    Box::new(move |_| Ok(HttpResponse { status, retry_after: None, body: body.clone() }))
}

fn question(parts: &[(&str, &str)]) -> DeliveryQuestion {
    let at = "2026-11-21T01:00:00Z".parse().expect("an instant");
    DeliveryQuestion {
        now: 1_795_219_200,
        local: civil(),
        settings: parts.iter().map(|(key, value)| Field::new(*key, Value::Text((*value).to_owned()))).collect(),
        alert: Alert {
            id: "a-1".to_owned(),
            group: "g-1".to_owned(),
            at,
            severity: Severity::Critical,
            kind: "backup-failed".to_owned(),
            title: "the backup of docs failed".to_owned(),
            text: String::new(),
            workload: None,
            backup: None,
            run: None,
            host: "files-1".to_owned(),
            recovered: false,
            facts: Vec::new(),
        },
        attempt: 1,
    }
}

/// Has the relay put a URL together (`t…`: text, `s…`: a secret) and send it; returns what was sent and what it says.
fn relay(parts: &[(&str, &str)], answer: Answer) -> (Vec<HttpRequest>, Asked<Delivery>) {
    let engine = engine();
    let mut bound = candidate(World::AlertSink, reasonable(World::AlertSink, "relay.wat"));
    let grant = |tls, host: &str, port, private| HttpGrant { tls, host: host.to_owned(), port, private };
    bound.config.grants.http = vec![
        grant(true, "hooks.example.com", None, false),
        grant(false, "10.0.0.7", Some(8080), true),
        grant(true, "rebound.example.org", None, false),
    ];
    let env = |name: &str| SecretRef::Env(name.to_owned());
    bound.config.grants.secrets = vec![
        ("hook".to_owned(), env("HOOK")),
        ("elsewhere".to_owned(), env("ELSEWHERE")),
        ("absent".to_owned(), env("ABSENT")),
    ];
    let set = load(&engine, bound);
    assert_eq!(only(&set).fault(), None);
    let recorder = Arc::new(Recorder { sent: Mutex::default(), answer });
    let asked = only(&set).deliver(&question(parts), Arc::clone(&recorder) as Arc<dyn Outward>);
    let sent = std::mem::take(&mut *recorder.sent.lock().expect("not poisoned"));
    (sent, asked)
}

/// The note of a failed request; nothing was sent.
#[track_caller]
fn refused(parts: &[(&str, &str)]) -> String {
    let (sent, asked) = relay(parts, says(200, "it went out"));
    assert_eq!(sent, [], "nothing may leave");
    match asked.answer {
        Ok(Delivery::Delivered { id, note }) if id == "no" => note,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_url_is_used_and_never_shown() {
    let echo = format!("posted to {HOOK} and to /services/T00/B11/s3cr3t");
    let (sent, asked) = relay(&[("s1", "hook")], says(200, &echo));
    assert_eq!(sent[0].url, HOOK);
    assert!(!sent[0].allow_private);
    let note = "posted to [secret hook] and to /[secret path]".to_owned();
    assert_eq!(asked.answer, Ok(Delivery::Delivered { id: "ok".to_owned(), note }));
    assert!(!format!("{:?}", asked.log).contains("s3cr3t"), "{:?}", asked.log);
}

#[test]
fn a_failure_does_not_show_a_secret_either() {
    let answer: Answer = Box::new(|request| {
        Err(HttpFailure { kind: HttpFailureKind::Unreachable, message: format!("no route for {}\n", request.url) })
    });
    let (_, asked) = relay(&[("s1", "hook")], answer);
    let note = r"no route for [secret hook]\n".to_owned();
    assert_eq!(asked.answer, Ok(Delivery::Delivered { id: "no".to_owned(), note }));
}

#[test]
fn hosts_that_are_not_granted_are_not_called() {
    for (url, shown) in [
        ("https://evil.example.net/x", "https://evil.example.net"),
        ("http://hooks.example.com/x", "http://hooks.example.com"),
        ("https://hooks.example.com:8443/x", "https://hooks.example.com:8443"),
        ("https://hooks.example.com.evil.net/", "https://hooks.example.com.evil.net"),
        ("https://hooks.example.com./", "https://hooks.example.com."),
        ("http://10.0.0.7/", "http://10.0.0.7"),
        ("https://10.0.0.7:8080/", "https://10.0.0.7:8080"),
        ("https://169.254.169.254/latest/", "https://169.254.169.254"),
        ("https://0x7f.1/", "https://127.0.0.1"),
        ("https://2130706433/", "https://127.0.0.1"),
        ("https://[::1]/", "https://[::1]"),
        ("https://[::ffff:10.0.0.7]:8080/", "https://[::ffff:a00:7]:8080"),
    ] {
        assert_eq!(refused(&[("t1", url)]), format!("`{shown}` is not granted (`grants.http`)"));
    }
}

#[test]
fn a_host_that_a_secret_names_is_not_told_when_it_is_not_granted() {
    assert_eq!(refused(&[("s1", "elsewhere")]), "the URL's host is not granted");
}

#[test]
fn urls_that_hide_something_are_refused() {
    for (url, why) in [
        ("https://hooks.example.com@evil.example.net/", "the URL holds a user or a password: put them into a header"),
        ("https://ada:pw@hooks.example.com/", "the URL holds a user or a password: put them into a header"),
        (
            "https://hooks.example.com/\r\nHost: evil",
            "the URL holds blanks, control characters or bytes that are no text",
        ),
        ("https://hooks.exam\tple.com/", "the URL holds blanks, control characters or bytes that are no text"),
        ("file:///etc/shadow", "the URL begins neither with `https:` nor with `http:`"),
        ("hooks.example.com/x", "the URL makes no sense: relative URL without a base"),
    ] {
        assert_eq!(refused(&[("t1", url)]), why, "{url}");
    }
}

/// A URL is judged as it will be asked for, not piece by piece.
#[test]
fn a_url_is_judged_when_it_is_whole() {
    let (sent, _) = relay(&[("t1", "https://hooks.exam"), ("t2", "ple.com"), ("t3", "/a#b")], says(204, ""));
    assert_eq!(sent[0].url, "https://hooks.example.com/a");
    assert_eq!(
        refused(&[("t1", "https://hooks.example.com"), ("t2", ".evil.net/")]),
        "`https://hooks.example.com.evil.net` is not granted (`grants.http`)"
    );
}

#[test]
fn a_secret_that_is_not_granted_is_not_read() {
    let parts = [("t1", "https://hooks.example.com/"), ("s2", "vault_key")];
    assert_eq!(refused(&parts), "secret \"vault_key\" is not granted (`grants.secrets`)");
}

#[test]
fn why_a_secret_cannot_be_had_is_told_to_the_operator_only() {
    let (_, asked) = relay(&[("s1", "absent")], says(200, ""));
    let note = "secret `absent` cannot be had".to_owned();
    assert_eq!(asked.answer, Ok(Delivery::Delivered { id: "no".to_owned(), note }));
    let lines: Vec<_> = asked.log.iter().map(|line| line.line.as_str()).collect();
    assert_eq!(lines[0], "secret `absent` cannot be had: Env(\"ABSENT\") is not set");
}

/// A redirect is an answer like any other: where it leads is not looked at.
#[test]
fn a_redirect_is_not_followed() {
    let (sent, asked) = relay(&[("t1", "https://hooks.example.com/")], says(302, "moved to http://169.254.169.254/"));
    assert_eq!(sent.len(), 1);
    let note = "moved to http://169.254.169.254/".to_owned();
    assert_eq!(asked.answer, Ok(Delivery::Delivered { id: "ok".to_owned(), note }));
}

/// Whether an address is public is judged by whoever connects, on the address itself; here: that it is told to.
#[test]
fn private_addresses_are_allowed_only_where_the_grant_says_so() {
    let rebound: Answer = Box::new(|request| {
        assert!(!request.allow_private);
        let message = "rebound.example.org is 10.0.0.7, which is not public".to_owned();
        Err(HttpFailure { kind: HttpFailureKind::NotGranted, message })
    });
    let (_, asked) = relay(&[("t1", "https://rebound.example.org/")], rebound);
    let note = "rebound.example.org is 10.0.0.7, which is not public".to_owned();
    assert_eq!(asked.answer, Ok(Delivery::Delivered { id: "no".to_owned(), note }));
    let (sent, _) = relay(&[("t1", "http://10.0.0.7:8080/x")], says(200, ""));
    assert!(sent[0].allow_private);
}

/// A request gets at most the time that the call has left, whatever the plugin wishes.
#[test]
fn a_request_has_no_more_time_than_the_call() {
    let (sent, _) = relay(&[("t1", "https://hooks.example.com/")], says(200, ""));
    assert!(sent[0].timeout.as_millis() <= 300, "{:?}", sent[0].timeout);
}

/// A server that never answers, behind a way out that forgets its timeout.
struct Deaf(Mutex<Receiver<()>>);

impl Outward for Deaf {
    fn secret(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
        Err("none".to_owned())
    }
    fn send(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let _ = self.0.lock().expect("not poisoned").recv();
        Err(HttpFailure { kind: HttpFailureKind::TimedOut, message: "at last".to_owned() })
    }
}

#[test]
fn a_call_that_sleeps_in_the_host_is_given_up() {
    let (wake, sleeping): (Sender<()>, _) = channel();
    let engine = engine();
    let mut bound = candidate(World::AlertSink, reasonable(World::AlertSink, "relay.wat"));
    bound.config.grants.http =
        vec![HttpGrant { tls: true, host: "hooks.example.com".to_owned(), port: None, private: false }];
    let set = load(&engine, bound);
    let begun = Instant::now();
    let parts = [("t1", "https://hooks.example.com/")];
    let asked = only(&set).deliver(&question(&parts), Arc::new(Deaf(Mutex::new(sleeping))));
    let fault = fault_of(&asked);
    let message =
        "it did not answer within 300ms (`limits.time`): it waited in a request to `https://hooks.example.com`";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::TimedOut, message));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_well(&engine);
    drop(wake);
}
