//! The host interface `http`.

use std::time::Duration;

use backstop_model::policy::LogSeverity;

use super::imports::http as wit;
use crate::outside::{HttpFailure, HttpFailureKind, HttpResponse};
use crate::state::{Reach, State};
use crate::web::{Draft, Piece};

impl wit::Host for State {
    fn send(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Failure>> {
        let timeout = Duration::from_millis(request.timeout_ms.into());
        let prepare = |reach: &mut Reach, _| match reach {
            Reach::Web(web) => web.prepare(draft(request)),
            Reach::Nothing | Reach::System { .. } => Err(nothing_granted()),
        };
        let prepared = self.wait(|| "reading secrets".to_owned(), Duration::MAX, prepare)?;
        for aside in self.asides() {
            self.log(LogSeverity::Warning, &aside);
        }
        let request = match prepared {
            Ok(request) => request,
            Err(refused) => return Ok(Err(failed(refused))),
        };
        let host = url::Url::parse(&request.url).ok().map(|url| url.origin().ascii_serialization());
        let place = || format!("a request to `{}`", host.unwrap_or_default());
        let send = |reach: &mut Reach, left| match reach {
            Reach::Web(web) => web.send(request, left),
            Reach::Nothing | Reach::System { .. } => Err(nothing_granted()),
        };
        Ok(self.wait(place, timeout, send)?.map(response).map_err(failed))
    }
}

impl State {
    fn asides(&mut self) -> Vec<String> {
        match &mut self.reach {
            Reach::Web(web) => web.asides(),
            Reach::Nothing | Reach::System { .. } => Vec::new(),
        }
    }
}

fn nothing_granted() -> HttpFailure {
    HttpFailure {
        kind: HttpFailureKind::NotGranted,
        message: "nothing may be sent while a policy is loaded".to_owned(),
    }
}

fn draft(request: wit::Request) -> Draft {
    Draft {
        method: request.method,
        url: pieces(request.url),
        headers: request.headers.into_iter().map(|header| (header.name, pieces(header.value))).collect(),
        body: pieces(request.body),
        timeout_ms: request.timeout_ms,
    }
}

fn pieces(parts: Vec<wit::Part>) -> Vec<Piece> {
    let piece = |part| match part {
        wit::Part::Text(text) => Piece::Text(text),
        wit::Part::Secret(name) => Piece::Secret(name),
    };
    parts.into_iter().map(piece).collect()
}

fn response(response: HttpResponse) -> wit::Response {
    wit::Response { status: response.status, retry_after: response.retry_after, body: response.body }
}

fn failed(failure: HttpFailure) -> wit::Failure {
    let kind = match failure.kind {
        HttpFailureKind::NotGranted => wit::FailureKind::NotGranted,
        HttpFailureKind::Invalid => wit::FailureKind::Invalid,
        HttpFailureKind::Unreachable => wit::FailureKind::Unreachable,
        HttpFailureKind::TimedOut => wit::FailureKind::TimedOut,
    };
    wit::Failure { kind, message: failure.message }
}
