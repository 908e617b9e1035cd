//! Probes of the restored system, and of nothing else. Which may be used is granted by the operator.

use crate::health_check::Looked;
use crate::wit::health_check::backstop::policy::probes as wit;

pub use wit::{Failure, FailureKind, FileFacts, FileKind, HttpResponse, RunResult};

/// Connects to a port, sends bytes (may be none), reads until `expect` bytes came, the other side closed, or the time is
/// over. Grant: `tcp:PORT`.
///
/// # Errors
/// When nothing came, or it is not granted. So for every probe.
pub fn tcp(port: u16, send: &[u8], expect: u32, timeout_ms: u32) -> Result<Vec<u8>, Failure> {
    host::tcp(port, send, expect, timeout_ms)
}

/// Asks a web server on a port. `path` begins with `/`. Grant: `http:PORT`.
///
/// # Errors
/// As [`tcp`].
pub fn http(port: u16, path: &str, headers: &[(String, String)], timeout_ms: u32) -> Result<HttpResponse, Failure> {
    host::http(port, path, headers, timeout_ms)
}

/// Runs a program in the restored system. Grant: `ssh:PROGRAM`.
///
/// # Errors
/// As [`tcp`].
pub fn run(argv: &[&str], timeout_ms: u32) -> Result<RunResult, Failure> {
    let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
    host::run(&argv, timeout_ms)
}

/// Facts of what stands at a path of the backup; none when nothing does. Grant: `file`.
///
/// # Errors
/// As [`tcp`].
pub fn stat(path: &str) -> Result<Option<FileFacts>, Failure> {
    host::stat(path)
}

/// Reads at most 1 MiB of a file. Grant: `file`.
///
/// # Errors
/// As [`tcp`].
pub fn read(path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
    host::read(path, offset, length)
}

/// Names in a directory in bytewise order. Grant: `file`.
///
/// # Errors
/// As [`tcp`].
pub fn entries(path: &str) -> Result<Vec<String>, Failure> {
    host::entries(path)
}

/// The last bytes that the machine wrote to its serial console. Grant: `serial`.
///
/// # Errors
/// As [`tcp`].
pub fn serial_log(length: u32) -> Result<String, Failure> {
    host::serial_log(length)
}

impl Looked {
    /// A probe that brought nothing: what does not answer has failed; what may not be asked, or cannot be, is unclear.
    pub fn failed(&mut self, name: impl Into<String>, failure: &Failure) {
        match failure.kind {
            FailureKind::Unreachable | FailureKind::TimedOut => self.fail(name, &*failure.message),
            FailureKind::NotGranted | FailureKind::NotAvailable | FailureKind::Invalid => {
                self.unclear(name, &*failure.message);
            }
        }
    }
}

#[cfg(target_family = "wasm")]
use wit as host;

#[cfg(not(target_family = "wasm"))]
use crate::golden::stage as host;
