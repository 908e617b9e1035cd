//! From the seams to what policies may call. Nothing is decided here: grants were checked before.

use std::sync::Arc;
use std::time::Duration;

use backstop_model::config::SecretRef;
use backstop_policy::{
    FileFacts, FileKind, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Outward, ProbeFailure,
    ProbeFailureKind, ProbeResponse, Probes, ProgramEnd,
};
use backstop_seams::{Reach, ReachFailure, ReachFailureKind, Web, WebFailure, WebFailureKind, WebRequest, reach};

use crate::context::Reveal;

/// Secrets of the configuration and the web, for alert sinks.
pub(crate) struct ToWeb {
    pub web: Arc<dyn Web>,
    pub reveal: Arc<Reveal>,
}

impl Outward for ToWeb {
    fn secret(&self, secret: &SecretRef) -> Result<Vec<u8>, String> {
        (self.reveal)(secret).map_err(|fault| fault.message)
    }

    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let text = |(name, value): (String, Vec<u8>)| Some((name, String::from_utf8(value).ok()?));
        let headers = request.headers.into_iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(|| HttpFailure {
            kind: HttpFailureKind::Invalid,
            message: "a header's value is not text".to_owned(),
        })?;
        let sent = self.web.send(WebRequest {
            method: request.method,
            url: request.url,
            headers,
            host_field: None,
            body: request.body,
            timeout: request.timeout,
            allow_private: request.allow_private,
        });
        sent.map(|answer| HttpResponse { status: answer.status, retry_after: answer.retry_after, body: answer.body })
            .map_err(web_failure)
    }
}

fn web_failure(failure: WebFailure) -> HttpFailure {
    let kind = match failure.kind {
        WebFailureKind::NotPublic => HttpFailureKind::NotGranted,
        WebFailureKind::Invalid => HttpFailureKind::Invalid,
        WebFailureKind::Unreachable => HttpFailureKind::Unreachable,
        WebFailureKind::TimedOut => HttpFailureKind::TimedOut,
    };
    HttpFailure { kind, message: failure.message }
}

/// One restored system, for health checks.
pub struct ToRestored(pub Arc<dyn Reach>);

fn probe_failure(failure: ReachFailure) -> ProbeFailure {
    let kind = match failure.kind {
        ReachFailureKind::NotAvailable => ProbeFailureKind::NotAvailable,
        ReachFailureKind::Unreachable => ProbeFailureKind::Unreachable,
        ReachFailureKind::TimedOut => ProbeFailureKind::TimedOut,
        ReachFailureKind::Invalid => ProbeFailureKind::Invalid,
    };
    ProbeFailure { kind, message: failure.message }
}

impl Probes for ToRestored {
    fn tcp(&self, port: u16, send: &[u8], expect: u32, timeout: Duration) -> Result<Vec<u8>, ProbeFailure> {
        let expect = usize::try_from(expect).unwrap_or(usize::MAX);
        self.0.tcp(port, send, expect, timeout).map_err(probe_failure)
    }

    fn http(
        &self,
        port: u16,
        path: &str,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<ProbeResponse, ProbeFailure> {
        let answer = self.0.http(port, path, headers, timeout).map_err(probe_failure)?;
        Ok(ProbeResponse { status: answer.status, headers: answer.headers, body: answer.body })
    }

    fn run(&self, argv: &[String], timeout: Duration) -> Result<ProgramEnd, ProbeFailure> {
        let answer = self.0.run(argv, timeout).map_err(probe_failure)?;
        Ok(ProgramEnd { code: answer.code, stdout: answer.stdout, stderr: answer.stderr })
    }

    fn stat(&self, path: &str, _: Duration) -> Result<Option<FileFacts>, ProbeFailure> {
        let kind = |kind| match kind {
            reach::FileKind::File => FileKind::File,
            reach::FileKind::Directory => FileKind::Directory,
            reach::FileKind::Link => FileKind::Link,
            reach::FileKind::Other => FileKind::Other,
        };
        let facts = self.0.stat(path).map_err(probe_failure)?;
        Ok(facts.map(|facts| FileFacts {
            kind: kind(facts.kind),
            size: facts.size,
            modified: facts.modified,
            mode: facts.mode,
        }))
    }

    fn read(&self, path: &str, offset: u64, length: u32, _: Duration) -> Result<Vec<u8>, ProbeFailure> {
        self.0.read(path, offset, length).map_err(probe_failure)
    }

    fn entries(&self, path: &str, _: Duration) -> Result<Vec<String>, ProbeFailure> {
        self.0.entries(path).map_err(probe_failure)
    }

    fn serial_log(&self, length: u32, _: Duration) -> Result<String, ProbeFailure> {
        self.0.serial_log(length).map_err(probe_failure)
    }
}
