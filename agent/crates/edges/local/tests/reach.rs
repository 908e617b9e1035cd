//! Ways to restored systems: a tree with traps in it, ports with all kinds of servers behind them, a console's log.
// Slow servers are slow in real time.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use backstop_local::{SystemClock, SystemReaches};
use backstop_model::policy::health::{Restored, RestoredTree};
use backstop_notify::HttpWeb;
use backstop_seams::conformance::reach::{nothing, tree};
use backstop_seams::reach::{ENTRIES_MAX, KEPT_MAX};
use backstop_seams::{Reach, ReachFailureKind, Reaches};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn reaches() -> SystemReaches {
    SystemReaches::new(Arc::new(HttpWeb::new(Arc::new(SystemClock::new()))))
}

fn reach_of_tree(dir: &Path, strip: &str) -> Arc<dyn Reach> {
    let tree = Some(RestoredTree { dir: dir.to_owned(), strip: PathBuf::from(strip) });
    reaches().reach(&Restored { tree, ..Restored::default() })
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
}

#[test]
fn a_system_that_has_nothing_shows_nothing() {
    nothing(&reaches());
}

#[test]
fn a_tree_is_shown_as_its_backup_knew_it() {
    let place = tempfile::tempdir().expect("made");
    let dir = place.path().join("restored");
    fs::create_dir_all(dir.join("sub")).expect("made");
    let plan = dir.join("plan.txt");
    fs::write(&plan, "hello, world\n").expect("written");
    fs::set_permissions(&plan, fs::Permissions::from_mode(0o640)).expect("set");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::open(&plan).expect("there").set_modified(then).expect("set");
    fs::write(dir.join("empty"), "").expect("written");
    fs::write(dir.join("large"), vec![b'x'; 2 << 20]).expect("written");
    fs::write(dir.join("sub/inner.txt"), "inner\n").expect("written");
    pipe(&dir.join("pipe"));
    for (name, to) in [("out", "/"), ("up", ".."), ("alias", "plan.txt"), ("dir", "sub")] {
        symlink(to, dir.join(name)).expect("linked");
    }
    fs::write(place.path().join("other"), "outside").expect("written");
    tree(&*reach_of_tree(&dir, "/srv/docs"));
}

#[test]
fn a_tree_of_whole_paths_is_shown_from_the_root() {
    let dir = tempfile::tempdir().expect("made");
    fs::create_dir_all(dir.path().join("srv/docs")).expect("made");
    fs::write(dir.path().join("srv/docs/a"), "a").expect("written");
    let reach = reach_of_tree(dir.path(), "/");
    assert_eq!(reach.entries("/").expect("the root"), ["srv"]);
    assert_eq!(reach.read("/srv/docs/a", 0, 9).expect("read"), b"a");
}

#[test]
fn names_are_the_first_ones_in_order_and_text() {
    let dir = tempfile::tempdir().expect("made");
    for number in (0..ENTRIES_MAX + 50).rev() {
        fs::write(dir.path().join(format!("f{number:06}")), "").expect("written");
    }
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff")), "").expect("written");
    fs::write(dir.path().join("Ä"), "").expect("written");
    let names = reach_of_tree(dir.path(), "/d").entries("/d").expect("listed");
    assert_eq!(names.len(), ENTRIES_MAX);
    assert_eq!((names[0].as_str(), names[ENTRIES_MAX - 1].as_str()), ("f000000", "f009999"));
}

#[test]
fn a_tree_that_is_gone_is_no_empty_tree() {
    let dir = tempfile::tempdir().expect("made");
    let reach = reach_of_tree(&dir.path().join("gone"), "/d");
    assert_eq!(reach.stat("/d/a").expect_err("gone").kind, ReachFailureKind::Unreachable);
    assert_eq!(reach.entries("/d").expect_err("gone").kind, ReachFailureKind::Unreachable);
}

/// A system at our own address, and a port at which `serve` answers every connection.
fn system(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (Arc<dyn Reach>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    (reaches().reach(&here()), port)
}

fn here() -> Restored {
    Restored { address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), ..Restored::default() }
}

fn kind<T: std::fmt::Debug>(answer: Result<T, backstop_seams::ReachFailure>) -> ReachFailureKind {
    answer.expect_err("nothing to bring").kind
}

#[test]
fn a_port_is_read_until_enough_came_or_it_closed_or_the_time_is_over() {
    let (reach, port) = system(|mut stream| {
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).expect("asked");
        match &asked {
            b"most" => drop(stream.write_all(&vec![b'x'; 1 << 20])),
            b"some" => drop(stream.write_all(b"hello")),
            // Then silence.
            b"wait" => drop(stream.write_all(b"hello").and_then(|()| stream.read(&mut asked))),
            _ => drop(stream.read(&mut asked)),
        }
    });
    assert_eq!(reach.tcp(port, b"most", KEPT_MAX, LONG).expect("read").len(), KEPT_MAX);
    assert_eq!(reach.tcp(port, b"most", 3, LONG).expect("read"), b"xxx");
    assert_eq!(reach.tcp(port, b"some", 100, LONG).expect("read"), b"hello");
    assert_eq!(reach.tcp(port, b"wait", 100, SHORT).expect("read"), b"hello", "what came by then");
    assert_eq!(reach.tcp(port, b"", 0, LONG).expect("open"), b"");
    assert_eq!(kind(reach.tcp(port, b"mute", 1, SHORT)), ReachFailureKind::TimedOut);
    assert_eq!(kind(reach.tcp(port, b"", 1, Duration::ZERO)), ReachFailureKind::TimedOut);
    assert_eq!(kind(reach.tcp(port, b"", KEPT_MAX + 1, LONG)), ReachFailureKind::Invalid);
    assert_eq!(kind(reach.tcp(0, b"", 1, LONG)), ReachFailureKind::Invalid);
}

#[test]
fn a_trickle_at_a_port_ends_at_the_limit_with_what_came() {
    let (reach, port) = system(|mut stream| {
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let began = Instant::now();
    let came = reach.tcp(port, b"", KEPT_MAX, SHORT).expect("something came");
    assert!(began.elapsed() < Duration::from_secs(2) && !came.is_empty(), "{:?}, {came:?}", began.elapsed());
}

#[test]
fn a_port_that_takes_nothing_ends_at_the_limit() {
    let (reach, port) = system(|stream| {
        thread::sleep(LONG);
        drop(stream);
    });
    let began = Instant::now();
    assert_eq!(kind(reach.tcp(port, &vec![0; 64 << 20], 1, SHORT)), ReachFailureKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_closed_port_is_unreachable() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound").port()
    };
    let reach = reaches().reach(&here());
    assert_eq!(kind(reach.tcp(port, b"", 0, LONG)), ReachFailureKind::Unreachable);
    assert_eq!(kind(reach.http(port, "/", &[], LONG)), ReachFailureKind::Unreachable);
}

#[test]
fn the_web_server_is_asked_by_its_address_and_by_the_sites_name() {
    let (reach, port) = system(|mut stream| {
        let mut head = vec![0; 4096];
        let count = stream.read(&mut head).expect("asked");
        let head = String::from_utf8_lossy(&head[..count]).into_owned();
        let answer = format!("HTTP/1.1 404 Not Found\r\nX-Seen: yes\r\ncontent-length: {}\r\n\r\n{head}", head.len());
        let _ = stream.write_all(answer.as_bytes());
    });
    let fields = [("Host", "shop.example"), ("X-Ask", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = reach.http(port, "/health?full=1", &fields, LONG).expect("answered");
    assert_eq!(answer.status, 404);
    assert!(answer.headers.contains(&("x-seen".to_owned(), "yes".to_owned())), "{:?}", answer.headers);
    let head = String::from_utf8(answer.body).expect("text");
    assert!(head.starts_with("GET /health?full=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: shop.example\r\n") && head.contains("x-ask: 1\r\n"), "{head}");
    for bad in ["", "health", "@evil.example/", "http://evil.example/", "/a b", "/\r\nx: y"] {
        assert_eq!(kind(reach.http(port, bad, &[], LONG)), ReachFailureKind::Invalid, "{bad:?}");
    }
    let twice = [fields[0].clone(), fields[0].clone()];
    assert_eq!(kind(reach.http(port, "/", &twice, LONG)), ReachFailureKind::Invalid);
}

#[test]
fn the_end_of_a_serial_log_is_shown() {
    let dir = tempfile::tempdir().expect("made");
    let path = dir.path().join("serial.log");
    let reach = reaches().reach(&Restored { serial: Some(path.clone()), ..Restored::default() });
    assert_eq!(kind(reach.serial_log(10)), ReachFailureKind::Unreachable, "nothing was written yet");
    fs::write(&path, "boot\nlogin: ").expect("written");
    assert_eq!(reach.serial_log(1000).expect("read"), "boot\nlogin: ");
    assert_eq!(reach.serial_log(7).expect("read"), "login: ");
    assert_eq!(reach.serial_log(0).expect("read"), "");
    fs::write(&path, [b"\xff\xfe".repeat(100_000), b"ready".to_vec()].concat()).expect("written");
    let log = reach.serial_log(u32::MAX).expect("read");
    assert!(log.len() <= KEPT_MAX && log.ends_with("\u{fffd}ready"), "{}", log.len());
    fs::remove_file(&path).expect("removed");
    pipe(&path);
    assert_eq!(kind(reach.serial_log(10)), ReachFailureKind::Unreachable, "a pipe is not waited for");
}
