//! The host's part while a case is asked: requests are answered as the case says, and probes find what it says.

use std::cell::RefCell;

use crate::cases::{self, Case, Sent};
use crate::http::{Failure, FailureKind, Part, Request, Response};
use crate::probes;

#[derive(Default)]
struct Stage {
    case: Option<Case>,
    sent: Vec<Sent>,
}

thread_local! {
    // A test runs on one thread, and so does a policy.
    static STAGE: RefCell<Stage> = RefCell::default();
}

/// From now on requests and probes are those of this case.
pub fn set(case: &Case) {
    STAGE.set(Stage { case: Some(case.clone()), sent: Vec::new() });
}

/// Ends the case; the requests that were sent.
pub fn clear() -> Vec<Sent> {
    STAGE.take().sent
}

fn with_case<T>(act: impl FnOnce(&Case) -> T) -> T {
    STAGE.with_borrow(|stage| act(stage.case.as_ref().expect("requests and probes need a golden case to answer them")))
}

pub(crate) fn send(request: &Request) -> Result<Response, Failure> {
    let sent = with_case(|case| Sent {
        method: request.method.clone(),
        url: joined(case, &request.url),
        headers: request.headers.iter().map(|header| (header.name.clone(), joined(case, &header.value))).collect(),
        body: joined(case, &request.body).into_bytes(),
    });
    let number = STAGE.with_borrow_mut(|stage| {
        stage.sent.push(sent);
        stage.sent.len() - 1
    });
    match with_case(|case| case.http.answer(number)) {
        Ok(answer) => Ok(Response { status: answer.status, retry_after: answer.retry_after, body: answer.body }),
        Err(failure) => Err(Failure {
            kind: match failure.kind {
                cases::HttpFailureKind::NotGranted => FailureKind::NotGranted,
                cases::HttpFailureKind::Invalid => FailureKind::Invalid,
                cases::HttpFailureKind::Unreachable => FailureKind::Unreachable,
                cases::HttpFailureKind::TimedOut => FailureKind::TimedOut,
            },
            message: failure.message,
        }),
    }
}

fn joined(case: &Case, parts: &[Part]) -> String {
    let shown = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Secret(name) => case.secret(name),
    };
    parts.iter().map(shown).collect()
}

pub(crate) fn tcp(port: u16, _: &[u8], expect: u32, _: u32) -> Result<Vec<u8>, probes::Failure> {
    let mut bytes = probed(|case| case.probes.tcp(port))?;
    bytes.truncate(expect as usize);
    Ok(bytes)
}

pub(crate) fn http(
    port: u16,
    path: &str,
    _: &[(String, String)],
    _: u32,
) -> Result<probes::HttpResponse, probes::Failure> {
    let page = probed(|case| case.probes.http(port, path))?;
    Ok(probes::HttpResponse { status: page.status, headers: page.headers, body: page.body })
}

pub(crate) fn run(argv: &[String], _: u32) -> Result<probes::RunResult, probes::Failure> {
    let result = probed(|case| case.probes.run(argv))?;
    Ok(probes::RunResult { code: result.code, stdout: result.stdout, stderr: result.stderr })
}

pub(crate) fn stat(path: &str) -> Result<Option<probes::FileFacts>, probes::Failure> {
    let facts = probed(|case| case.probes.stat(path))?;
    Ok(facts.map(|facts| probes::FileFacts {
        kind: match facts.kind {
            cases::FileKind::File => probes::FileKind::File,
            cases::FileKind::Directory => probes::FileKind::Directory,
            cases::FileKind::Link => probes::FileKind::Link,
            cases::FileKind::Other => probes::FileKind::Other,
        },
        size: facts.size,
        modified: facts.modified,
        mode: facts.mode,
    }))
}

pub(crate) fn read(path: &str, offset: u64, length: u32) -> Result<Vec<u8>, probes::Failure> {
    probed(|case| case.probes.read(path, offset, length))
}

pub(crate) fn entries(path: &str) -> Result<Vec<String>, probes::Failure> {
    probed(|case| case.probes.entries(path))
}

pub(crate) fn serial_log(length: u32) -> Result<String, probes::Failure> {
    probed(|case| case.probes.serial_log(length))
}

fn probed<T>(look: impl FnOnce(&Case) -> Result<T, cases::ProbeFailure>) -> Result<T, probes::Failure> {
    with_case(look).map_err(|failure| probes::Failure {
        kind: match failure.kind {
            cases::ProbeFailureKind::NotGranted => probes::FailureKind::NotGranted,
            cases::ProbeFailureKind::NotAvailable => probes::FailureKind::NotAvailable,
            cases::ProbeFailureKind::Unreachable => probes::FailureKind::Unreachable,
            cases::ProbeFailureKind::TimedOut => probes::FailureKind::TimedOut,
            cases::ProbeFailureKind::Invalid => probes::FailureKind::Invalid,
        },
        message: failure.message,
    })
}
