//! Names that resolve to what they should not, slowly, or differently every time.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use backstop_notify::HttpWeb;
use backstop_notify::names::Names;
use backstop_seams::conformance::web::get;
use backstop_seams::{Web, WebFailureKind, WebRequest};

use crate::server::Server;
use crate::{failure_of, web};

/// Answers from a list, one answer after the other; the last one again and again.
struct Script {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Names for Script {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::AcqRel);
        let answer = self.answers.get(turn).or(self.answers.last()).ok_or(io::ErrorKind::NotFound)?;
        Ok(answer.iter().map(|address| address.parse().expect("an address")).collect())
    }
}

fn script(answers: &[&[&'static str]]) -> (HttpWeb, Arc<Script>) {
    let answers = answers.iter().map(|answer| answer.to_vec()).collect();
    let script = Arc::new(Script { answers, asked: AtomicUsize::new(0) });
    (web().resolving(Arc::clone(&script) as Arc<dyn Names>), script)
}

#[test]
fn one_address_inside_is_enough_to_refuse_a_name() {
    let server = Server::polite();
    let inside: [&[&'static str]; 5] = [
        &["127.0.0.1"],
        &["1.1.1.1", "127.0.0.1"],
        &["127.0.0.1", "1.1.1.1"],
        &["2606:4700::1111", "::ffff:127.0.0.1"],
        &["169.254.169.254"],
    ];
    for answer in inside {
        let (web, _) = script(&[answer]);
        let url = format!("http://hooks.example:{}/T0KEN", server.port());
        let failure = failure_of(&web, WebRequest { allow_private: false, ..get(&url) });
        assert_eq!(failure.kind, WebFailureKind::NotPublic, "{answer:?}: {failure}");
        assert!(failure.message.contains("hooks.example"), "{failure}");
    }
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_name_is_resolved_once_and_what_was_looked_at_is_connected_to() {
    let server = Server::polite();
    // Whoever asks again would be sent to where nobody listens.
    let (web, script) = script(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let answer = web.send(get(&format!("http://hooks.example:{}/echo", server.port()))).expect("answered");
    assert_eq!((answer.status, server.calls()), (200, 1));
    assert_eq!(script.asked.load(Ordering::Acquire), 1);
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    let server = Server::polite();
    let (web, _) = script(&[&["127.0.0.2", "::1", "127.0.0.1"]]);
    assert_eq!(web.send(get(&format!("http://h.example:{}/echo", server.port()))).expect("answered").status, 200);
}

#[test]
fn an_address_in_the_url_asks_nobody() {
    let server = Server::polite();
    let (web, script) = script(&[]);
    assert_eq!(web.send(get(&format!("{}/echo", server.base()))).expect("answered").status, 200);
    assert_eq!(script.asked.load(Ordering::Acquire), 0);
}

#[test]
fn a_name_without_addresses_is_unreachable() {
    for answers in [&[][..], &[&[][..]][..]] {
        let (web, _) = script(answers);
        let failure = failure_of(&web, get("https://nobody.example/T0KEN"));
        assert_eq!(failure.kind, WebFailureKind::Unreachable, "{failure}");
    }
}

/// Answers when the other end of the channel is gone.
struct Hanging(Mutex<mpsc::Receiver<()>>);

impl Names for Hanging {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let _ = self.0.lock().expect("no panics").recv();
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[test]
fn a_name_server_that_hangs_takes_neither_the_time_nor_all_the_threads() {
    let (hold, held) = mpsc::channel();
    let web = web().resolving(Arc::new(Hanging(Mutex::new(held))));
    let began = Instant::now();
    let timeout = Duration::from_millis(40);
    let kinds: Vec<_> =
        (0..40).map(|_| failure_of(&web, WebRequest { timeout, ..get("https://hang.example/T0KEN") }).kind).collect();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let waited = kinds.iter().filter(|kind| **kind == WebFailureKind::TimedOut).count();
    assert!((1..=16).contains(&waited), "{waited} look-ups were begun");
    assert!(kinds.ends_with(&[WebFailureKind::Unreachable; 24]), "further ones are refused: {kinds:?}");
    drop(hold);
}
