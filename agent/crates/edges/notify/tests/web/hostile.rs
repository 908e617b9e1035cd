//! Servers that waste time, bytes or trust.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use backstop_seams::conformance::web::get;
use backstop_seams::{Web, WebFailureKind, WebRequest};

use crate::server::{Server, say};
use crate::{fails, failure_of, web};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

/// A byte every few milliseconds, for as long as anybody listens: each one long before any timeout of a single wait.
fn trickle(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_redirect_is_an_answer_and_leads_nowhere() {
    let other = Server::polite();
    for (code, to) in [
        (301, other.base()),
        (302, "http://169.254.169.254/latest/meta-data/".to_owned()),
        (303, other.base()),
        (307, other.base()),
        (308, "file:///etc/passwd".to_owned()),
        (302, "::not a url::".to_owned()),
    ] {
        let location = to.clone();
        let server = Server::start(move |line, _| {
            say(line, &format!("HTTP/1.1 {code} Moved\r\nlocation: {location}\r\ncontent-length: 2\r\n\r\nhi"));
        });
        for method in ["GET", "POST"] {
            let answer = web().send(WebRequest { method: method.into(), ..get(&server.base()) }).expect("answered");
            assert_eq!((answer.status, answer.body.as_slice()), (code, b"hi".as_slice()), "{method} to {to}");
            assert!(answer.headers.contains(&("location".to_owned(), to.clone())), "{:?}", answer.headers);
        }
    }
    assert_eq!(other.calls(), 0);
}

#[test]
fn silence_ends_at_the_deadline() {
    let silent = Server::start(|line, _| drop(line.read(&mut [0])));
    assert_eq!(fails(&silent, SHORT).0, WebFailureKind::TimedOut);
}

#[test]
fn a_trickle_ends_at_the_deadline_wherever_it_flows() {
    let head = Server::start(|line, _| trickle(line.get_mut(), b"HTTP/1.1 200 OK\r\nx: "));
    assert_eq!(fails(&head, SHORT).0, WebFailureKind::TimedOut);
    let body = Server::start(|line, _| {
        say(line, "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
        trickle(line.get_mut(), b"x");
    });
    assert_eq!(fails(&body, SHORT).0, WebFailureKind::TimedOut);
    let chunks = Server::start(|line, _| {
        say(line, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        trickle(line.get_mut(), b"1\r\nx\r\n");
    });
    assert_eq!(fails(&chunks, SHORT).0, WebFailureKind::TimedOut);
    let patience = Server::start(|line, _| trickle(line.get_mut(), b"HTTP/1.1 100 Continue\r\n\r\n"));
    assert_ne!(fails(&patience, SHORT).0, WebFailureKind::NotPublic);
}

#[test]
fn of_a_gigabyte_the_first_64_kib_are_taken() {
    let sent = Arc::new(AtomicU64::new(0));
    for framing in ["content-length: 1073741824", "transfer-encoding: chunked", "x: until the end"] {
        sent.store(0, Ordering::Release);
        let counted = Arc::clone(&sent);
        let server = Server::start(move |line, _| {
            say(line, &format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            let chunked = framing.ends_with("chunked");
            let block = if chunked { format!("10000\r\n{}\r\n", "x".repeat(65536)) } else { "x".repeat(65536) };
            for _ in 0..16384 {
                if line.get_mut().write_all(block.as_bytes()).is_err() {
                    return;
                }
                counted.fetch_add(block.len() as u64, Ordering::AcqRel);
            }
        });
        let answer = web().send(get(&server.base())).expect("answered");
        assert_eq!((answer.status, answer.body.len()), (200, 64 << 10), "{framing}");
        assert!(answer.body.iter().all(|byte| *byte == b'x'));
        let sent = sent.load(Ordering::Acquire);
        assert!(sent < 64 << 20, "{framing}: {sent} bytes were taken off the server");
    }
}

#[test]
fn an_answer_cut_short_is_none() {
    for said in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nx: y\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
    ] {
        let server = Server::start(|line, _| say(line, said));
        assert_eq!(fails(&server, LONG).0, WebFailureKind::Unreachable, "{said:?}");
    }
}

#[test]
fn what_is_no_answer_is_told_without_repeating_it() {
    let much = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "T0KEN ".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: T0KEN\r\n".repeat(5_000));
    for said in [
        "T0KEN\r\n\r\n",
        "SSH-2.0-T0KEN\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 99999 T0KEN\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -T0KEN\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nT0KEN\r\n",
        "HTTP/1.1 200 OK\r\nT0KEN\r\n\r\n",
        &much,
        &many,
    ] {
        let owned = said.to_owned();
        let server = Server::start(move |line, _| say(line, &owned));
        let shown: String = said.chars().take(60).collect();
        assert_eq!(fails(&server, LONG).0, WebFailureKind::Unreachable, "{shown:?}");
    }
}

#[test]
fn nobody_listening_is_unreachable() {
    let port = Server::polite().port();
    let failure = failure_of(&web(), get(&format!("http://127.0.0.1:{port}/T0KEN")));
    assert_eq!(failure.kind, WebFailureKind::Unreachable);
    assert!(failure.message.contains(&format!("http://127.0.0.1:{port}")), "{failure}");
}
