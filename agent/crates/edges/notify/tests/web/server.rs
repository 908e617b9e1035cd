//! Servers that do as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A server on this machine, until it is dropped.
pub struct Server {
    port: u16,
    ended: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Server {
    /// Every connection is given to `serve`, on a thread of its own.
    pub fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = Self { port, ended: Arc::default(), calls: Arc::default() };
        let (ended, calls, serve) = (Arc::clone(&server.ended), Arc::clone(&server.calls), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                calls.fetch_add(1, Ordering::AcqRel);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        server
    }

    /// Every request's head is read — one line each, names in lower case — and given to `serve` with the connection.
    pub fn start(serve: impl Fn(&mut BufReader<TcpStream>, &str) + Send + Sync + 'static) -> Self {
        Self::raw(move |stream| {
            let mut stream = BufReader::new(stream);
            let head = head_of(&mut stream);
            serve(&mut stream, &head);
        })
    }

    /// Answers as the suite of the seam asks for.
    pub fn polite() -> Self {
        Self::start(answer_politely)
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

pub fn head_of(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while stream.read_line(&mut head).is_ok_and(|count| count > 2) {}
    head
}

/// Says it, if anybody still listens.
pub fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    let _ = stream.get_mut().write_all(text.as_bytes());
}

fn answer_politely(stream: &mut BufReader<TcpStream>, head: &str) {
    let (method, path) = head.split_once(' ').expect("a request line");
    let path = path.split(' ').next().expect("a path");
    let fields = |name: &str| head.lines().filter(|line| line.starts_with(&format!("{name}: "))).count();
    let (status, extra, body) = match path {
        "/echo" => {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).expect("the body comes");
            ("200 OK", format!("x-method: {method}\r\nx-fields: {}\r\n", fields("x-sent")), body)
        }
        "/moved" => ("302 Found", "location: /echo\r\n".to_owned(), Vec::new()),
        "/large" => ("200 OK", String::new(), vec![b'x'; 1 << 20]),
        "/later" => ("503 Service Unavailable", "retry-after: 120\r\n".to_owned(), Vec::new()),
        "/past" => ("429 Slow", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), Vec::new()),
        "/whenever" => ("503 Service Unavailable", "retry-after: soon\r\n".to_owned(), Vec::new()),
        "/squeezed" => ("200 OK", "content-encoding: gzip\r\n".to_owned(), b"not gzip".to_vec()),
        "/cookie" => {
            let cookies = head.lines().find_map(|line| line.strip_prefix("cookie: ")).unwrap_or_default();
            ("200 OK", format!("set-cookie: a=b\r\nx-cookie: {cookies}\r\n"), Vec::new())
        }
        _ => ("404 Not Found", String::new(), Vec::new()),
    };
    say(stream, &format!("HTTP/1.1 {status}\r\n{extra}content-length: {}\r\n\r\n", body.len()));
    let _ = stream.get_mut().write_all(&body);
}
