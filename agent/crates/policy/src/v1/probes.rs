//! The host interface `probes`: grants checked, sizes and times cut to what is allowed.

use std::time::Duration;

use backstop_model::policy::ProbeGrant;

use super::imports::probes as wit;
use crate::outside::{FileKind, ProbeFailure, ProbeFailureKind, Probes};
use crate::state::{Reach, State};
use crate::text::{LINE_MAX, quoted, untrusted};
use crate::web::is_token;

const PROBES_MAX: u32 = 256;
const BYTES_MAX: usize = 64 << 10;
const READ_MAX: u32 = 1 << 20;
const ENTRIES_MAX: usize = 10_000;
const PATH_MAX: usize = 4096;
const ARGUMENTS_MAX: usize = 64;
const HEADERS_MAX: usize = 32;

type Probed<A> = wasmtime::Result<Result<A, wit::Failure>>;

impl State {
    /// Uses one probe: counted, granted, and in the time that is left.
    fn probe<A>(
        &mut self,
        grant: &ProbeGrant,
        timeout: Duration,
        valid: Result<(), String>,
        work: impl FnOnce(&dyn Probes, Duration) -> Result<A, ProbeFailure>,
    ) -> Probed<A> {
        let shown = shown(grant);
        if let Err(message) = valid {
            return Ok(Err(wit::Failure { kind: wit::FailureKind::Invalid, message }));
        }
        let place = format!("a probe (`{shown}`)");
        let probe = |reach: &mut Reach, left| {
            let not_granted = |message| Err(ProbeFailure { kind: ProbeFailureKind::NotGranted, message });
            let Reach::System { probes, grants, used } = reach else {
                return not_granted("nothing may be probed while a policy is loaded".to_owned());
            };
            if !grants.contains(grant) {
                return not_granted(format!("`{shown}` is not granted (`grants.probes`)"));
            }
            *used += 1;
            if *used > PROBES_MAX {
                let message = format!("at most {PROBES_MAX} probes are made in one call");
                return Err(ProbeFailure { kind: ProbeFailureKind::Invalid, message });
            }
            work(&**probes, left)
        };
        Ok(self.wait(|| place, timeout, probe)?.map_err(failed))
    }
}

impl wit::Host for State {
    fn tcp(&mut self, port: u16, send: Vec<u8>, expect: u32, timeout_ms: u32) -> Probed<Vec<u8>> {
        let valid = timed(timeout_ms).and_then(|()| at_most(send.len(), BYTES_MAX, "what is sent"));
        let expect = expect.min(u32::try_from(BYTES_MAX).unwrap_or(u32::MAX));
        self.probe(&ProbeGrant::Tcp(port), millis(timeout_ms), valid, |probes, left| {
            probes.tcp(port, &send, expect, left).map(|bytes| cut(bytes, BYTES_MAX))
        })
    }

    fn http(
        &mut self,
        port: u16,
        path: String,
        headers: Vec<(String, String)>,
        timeout_ms: u32,
    ) -> Probed<wit::HttpResponse> {
        let valid = timed(timeout_ms).and_then(|()| valid_request(&path, &headers));
        self.probe(&ProbeGrant::Http(port), millis(timeout_ms), valid, |probes, left| {
            let answer = probes.http(port, &path, &headers, left)?;
            let body = cut(answer.body, BYTES_MAX);
            Ok(wit::HttpResponse { status: answer.status, headers: answer.headers, body })
        })
    }

    fn run(&mut self, argv: Vec<String>, timeout_ms: u32) -> Probed<wit::RunResult> {
        let valid = timed(timeout_ms).and_then(|()| valid_arguments(&argv));
        let grant = ProbeGrant::Ssh(argv.first().cloned().unwrap_or_default());
        self.probe(&grant, millis(timeout_ms), valid, |probes, left| {
            let end = probes.run(&argv, left)?;
            let (stdout, stderr) = (cut(end.stdout, BYTES_MAX), cut(end.stderr, BYTES_MAX));
            Ok(wit::RunResult { code: end.code, stdout, stderr })
        })
    }

    fn stat(&mut self, path: String) -> Probed<Option<wit::FileFacts>> {
        self.probe(&ProbeGrant::File, Duration::MAX, valid_path(&path), |probes, left| {
            Ok(probes.stat(&path, left)?.map(|facts| {
                let kind = match facts.kind {
                    FileKind::File => wit::FileKind::File,
                    FileKind::Directory => wit::FileKind::Directory,
                    FileKind::Link => wit::FileKind::Link,
                    FileKind::Other => wit::FileKind::Other,
                };
                wit::FileFacts { kind, size: facts.size, modified: facts.modified, mode: facts.mode }
            }))
        })
    }

    fn read(&mut self, path: String, offset: u64, length: u32) -> Probed<Vec<u8>> {
        let length = length.min(READ_MAX);
        self.probe(&ProbeGrant::File, Duration::MAX, valid_path(&path), |probes, left| {
            probes.read(&path, offset, length, left).map(|bytes| cut(bytes, usize::try_from(length).unwrap_or(0)))
        })
    }

    fn entries(&mut self, path: String) -> Probed<Vec<String>> {
        self.probe(&ProbeGrant::File, Duration::MAX, valid_path(&path), |probes, left| {
            let mut names = probes.entries(&path, left)?;
            names.truncate(ENTRIES_MAX);
            Ok(names)
        })
    }

    fn serial_log(&mut self, length: u32) -> Probed<String> {
        let length = length.min(u32::try_from(BYTES_MAX).unwrap_or(u32::MAX));
        self.probe(&ProbeGrant::Serial, Duration::MAX, Ok(()), |probes, left| probes.serial_log(length, left))
    }
}

fn millis(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}

fn timed(timeout_ms: u32) -> Result<(), String> {
    if timeout_ms == 0 { Err("a timeout has at least 1 millisecond".to_owned()) } else { Ok(()) }
}

fn at_most(length: usize, most: usize, what: &str) -> Result<(), String> {
    if length > most { Err(format!("{what} has more than {most} bytes")) } else { Ok(()) }
}

fn cut(mut bytes: Vec<u8>, most: usize) -> Vec<u8> {
    bytes.truncate(most);
    bytes
}

fn valid_path(path: &str) -> Result<(), String> {
    at_most(path.len(), PATH_MAX, "a path")?;
    if !path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err(format!("{} is no path of a backup: it begins with `/` and has no `..`", quoted(path)));
    }
    Ok(())
}

fn valid_request(path: &str, headers: &[(String, String)]) -> Result<(), String> {
    at_most(path.len(), 2 * PATH_MAX, "a path")?;
    if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!("{} is no path of a web server: it begins with `/`, without blanks", quoted(path)));
    }
    if headers.len() > HEADERS_MAX {
        return Err(format!("a request has at most {HEADERS_MAX} header fields"));
    }
    for (name, value) in headers {
        if !is_token(name) || value.len() > PATH_MAX || value.chars().any(char::is_control) {
            return Err(format!("the header field {} is not valid", quoted(name)));
        }
    }
    Ok(())
}

fn valid_arguments(argv: &[String]) -> Result<(), String> {
    if argv.is_empty() || argv.len() > ARGUMENTS_MAX {
        return Err(format!("a program is run with 1 to {ARGUMENTS_MAX} arguments, itself included"));
    }
    argv.iter().try_for_each(|argument| {
        at_most(argument.len(), PATH_MAX, "an argument")?;
        if argument.contains('\0') { Err("an argument holds a zero byte".to_owned()) } else { Ok(()) }
    })
}

fn shown(grant: &ProbeGrant) -> String {
    match grant {
        ProbeGrant::Tcp(port) => format!("tcp:{port}"),
        ProbeGrant::Http(port) => format!("http:{port}"),
        ProbeGrant::Ssh(program) => format!("ssh:{}", untrusted(program, LINE_MAX)),
        ProbeGrant::File => "file".to_owned(),
        ProbeGrant::Serial => "serial".to_owned(),
    }
}

fn failed(failure: ProbeFailure) -> wit::Failure {
    let kind = match failure.kind {
        ProbeFailureKind::NotGranted => wit::FailureKind::NotGranted,
        ProbeFailureKind::NotAvailable => wit::FailureKind::NotAvailable,
        ProbeFailureKind::Unreachable => wit::FailureKind::Unreachable,
        ProbeFailureKind::TimedOut => wit::FailureKind::TimedOut,
        ProbeFailureKind::Invalid => wit::FailureKind::Invalid,
    };
    wit::Failure { kind, message: untrusted(&failure.message, LINE_MAX) }
}
