//! What the agent must provide: a clock, a place for compiled code, the way out for alert sinks, and probes.
//!
//! Grants are checked before any of these is called, and lengths and times are cut down to what is allowed, so an
//! implementation does what it is told and need not know of policies.

use std::sync::Arc;
use std::time::Duration;

use backstop_model::config::SecretRef;

/// What an [`Engine`](crate::Engine) needs from outside.
#[derive(Clone)]
pub struct EngineOutside {
    /// Time since some fixed moment; never goes back.
    pub monotonic: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Where compiled code is kept from one start to the next. Without it everything is compiled each time.
    pub cache: Option<Arc<dyn CompiledCache>>,
    /// Authenticates what comes back from the cache. Secret, and the same from one start to the next.
    pub cache_key: [u8; 32],
}

/// A directory private to the agent. What it returns is not trusted: it is authenticated before use.
pub trait CompiledCache: Send + Sync {
    /// What was put under that name (letters, digits, `-`), if it is there and can be read.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
    /// Keeps bytes under a name; a failure costs only time at the next start.
    fn put(&self, name: &str, bytes: &[u8]);
}

/// The way out for alert sinks.
pub trait Outward: Send + Sync {
    /// The value of a secret. The error is for the operator; the plugin hears only that there is none.
    ///
    /// # Errors
    /// One line, why it could not be had.
    fn secret(&self, secret: &SecretRef) -> Result<Vec<u8>, String>;

    /// Sends a request and waits, at most `timeout` for all of it. Follows no redirect. Unless `allow_private`, connects
    /// only to addresses for which [`is_public`](backstop_model::policy::binding::is_public) holds, judged on the address
    /// actually connected to. Reads at most [`RESPONSE_BODY_MAX`](crate::RESPONSE_BODY_MAX) bytes of the body.
    ///
    /// # Errors
    /// No answer came.
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure>;
}

/// A request whose host is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// `https` or `http`, normalised; no user, no password, no fragment.
    pub url: String,
    /// Names in lower case, checked; values without control characters.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// For all of it.
    pub timeout: Duration,
    /// Whether addresses that are not public may be connected to.
    pub allow_private: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// 100 to 599.
    pub status: u16,
    /// Seconds, from a number or a date.
    pub retry_after: Option<u32>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFailure {
    /// For deciding.
    pub kind: HttpFailureKind,
    /// One line for people.
    pub message: String,
}

/// Kinds of [`HttpFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpFailureKind {
    /// The address is not allowed.
    NotGranted,
    /// The request makes no sense.
    Invalid,
    /// No connection, no name, or TLS failed.
    Unreachable,
    /// It took too long.
    TimedOut,
}

/// Looks at one restored system and at nothing else. What stands in the contract of `health-check.wit` holds here too.
pub trait Probes: Send + Sync {
    /// Connects, sends, reads until `expect` bytes came, the other side closed, or the time is over.
    ///
    /// # Errors
    /// Nothing answered, or there are no ports.
    fn tcp(&self, port: u16, send: &[u8], expect: u32, timeout: Duration) -> Result<Vec<u8>, ProbeFailure>;

    /// Asks a web server; follows no redirect.
    ///
    /// # Errors
    /// Nothing answered, or there are no ports.
    fn http(
        &self,
        port: u16,
        path: &str,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<ProbeResponse, ProbeFailure>;

    /// Runs a program with its arguments in the restored system.
    ///
    /// # Errors
    /// It could not be run, or took too long.
    fn run(&self, argv: &[String], timeout: Duration) -> Result<ProgramEnd, ProbeFailure>;

    /// Facts of what stands at a path of the backup; `None` when nothing does.
    ///
    /// # Errors
    /// It could not be looked at.
    fn stat(&self, path: &str, timeout: Duration) -> Result<Option<FileFacts>, ProbeFailure>;

    /// Reads a piece of a file.
    ///
    /// # Errors
    /// It could not be read.
    fn read(&self, path: &str, offset: u64, length: u32, timeout: Duration) -> Result<Vec<u8>, ProbeFailure>;

    /// Names in a directory, in bytewise order.
    ///
    /// # Errors
    /// It could not be read.
    fn entries(&self, path: &str, timeout: Duration) -> Result<Vec<String>, ProbeFailure>;

    /// The last bytes of the serial console.
    ///
    /// # Errors
    /// There is none.
    fn serial_log(&self, length: u32, timeout: Duration) -> Result<String, ProbeFailure>;
}

/// An answer to an HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResponse {
    /// 100 to 599.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// Its exit code, or 128 and the signal.
    pub code: i32,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub stderr: Vec<u8>,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Link,
    /// Anything else.
    Other,
}

/// Facts of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
}

/// Why a probe brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// For deciding.
    pub kind: ProbeFailureKind,
    /// One line for people.
    pub message: String,
}

/// Kinds of [`ProbeFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeFailureKind {
    /// The operator did not grant this probe.
    NotGranted,
    /// This kind of system has nothing of the sort.
    NotAvailable,
    /// Nothing answered.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// The request makes no sense.
    Invalid,
}
