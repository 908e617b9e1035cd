//! Looking at one restored system, and at nothing else.

use std::sync::Arc;
use std::time::Duration;

use backstop_model::policy::health::Restored;

/// Bytes that a connection, an answer's body, each output of a program and a serial log bring at most.
pub const KEPT_MAX: usize = 64 << 10;
/// Bytes of a file that one call reads at most.
pub const READ_MAX: u32 = 1 << 20;
/// Names of a directory that are given at most.
pub const ENTRIES_MAX: usize = 10_000;

/// Why a look brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReachFailure {
    /// For deciding.
    pub kind: ReachFailureKind,
    /// For people: lower case, one line.
    pub message: String,
}

/// Why a look brought nothing, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReachFailureKind {
    /// This system has nothing of the sort: a directory has no ports.
    NotAvailable,
    /// Nothing is there, or it does not answer.
    Unreachable,
    /// The time was over.
    TimedOut,
    /// The request makes no sense, or not for what stands there.
    Invalid,
}

/// An answer of the system's web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 100 to 599. A redirect arrives as it is.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The first [`KEPT_MAX`] bytes.
    pub body: Vec<u8>,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAnswer {
    /// Its exit code, or 128 and the signal.
    pub code: i32,
    /// The first [`KEPT_MAX`] bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The first [`KEPT_MAX`] bytes of its standard error.
    pub stderr: Vec<u8>,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; it is not followed.
    Link,
    /// Anything else.
    Other,
}

/// Facts of what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// When its contents changed last, in seconds since 1970-01-01T00:00:00Z.
    pub modified: i64,
    /// Permission bits, the low twelve.
    pub mode: u32,
}

/// One restored system. Nothing here changes it, except what a program that is run does.
///
/// Paths are absolute paths of the backup, whatever the tree was restored to. No call leaves the tree: `..` is
/// [`ReachFailureKind::Invalid`], links are not followed — neither the last name of a path nor one before it — and
/// pipes, sockets and devices are never opened.
///
/// Calls with a `timeout` have returned when it is over, give or take the scheduler; at most ten minutes are waited.
pub trait Reach: Send + Sync {
    /// Connects to a port, sends bytes (may be none), and reads until `expect` bytes (at most [`KEPT_MAX`]) came, the
    /// other side closed, or the time is over. What came by then is the answer; `TimedOut` only when bytes were expected
    /// and not one came. With `expect` 0 the answer is empty and comes as soon as everything is sent.
    ///
    /// # Errors
    /// `NotAvailable` without an address; `Unreachable`; `TimedOut`; `Invalid` for port 0 or a larger `expect`.
    fn tcp(&self, port: u16, send: &[u8], expect: usize, timeout: Duration) -> Result<Vec<u8>, ReachFailure>;

    /// Asks the web server on a port with `GET`, without TLS. `path` begins with `/`. A header `host` names the site.
    ///
    /// # Errors
    /// As [`Reach::tcp`]; `Invalid` also for a path or headers that HTTP does not know.
    fn http(
        &self,
        port: u16,
        path: &str,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<HttpAnswer, ReachFailure>;

    /// Runs a program with its arguments, an empty standard input, and as whom and where the way in says. Arguments
    /// arrive byte for byte, whatever is in them.
    ///
    /// The time over, our side of it is ended with all it started; what runs on the other side may go on there.
    /// Exit code 255 without a word on standard output is how `ssh` says that it did not get in: `Unreachable`.
    ///
    /// # Errors
    /// `NotAvailable` without a way in; `Unreachable`; `TimedOut`; `Invalid` without a program or with NUL in it.
    fn run(&self, argv: &[String], timeout: Duration) -> Result<RunAnswer, ReachFailure>;

    /// Facts of what stands at a path; `None` when nothing does, or the path is not part of what was restored.
    ///
    /// # Errors
    /// `NotAvailable` without a tree; `Invalid`, also where a link would have to be followed; `Unreachable` when the
    /// file system refuses.
    fn stat(&self, path: &str) -> Result<Option<FileFacts>, ReachFailure>;

    /// At most `length` bytes (and at most [`READ_MAX`]) of a regular file from `offset`; fewer only at its end, none
    /// beyond it.
    ///
    /// # Errors
    /// As [`Reach::stat`]; `Unreachable` when nothing is there, `Invalid` when it is no regular file.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, ReachFailure>;

    /// Names in a directory, the first [`ENTRIES_MAX`] in bytewise order. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// As [`Reach::stat`]; `Unreachable` when nothing is there, `Invalid` when it is no directory.
    fn entries(&self, path: &str) -> Result<Vec<String>, ReachFailure>;

    /// The last bytes, at most `length` and at most [`KEPT_MAX`], that the machine wrote to its serial console. What is
    /// not UTF-8 is replaced.
    ///
    /// # Errors
    /// `NotAvailable` without a console; `Unreachable` when its log cannot be read.
    fn serial_log(&self, length: u32) -> Result<String, ReachFailure>;
}

/// Ways to restored systems.
pub trait Reaches: Send + Sync {
    /// The way to this one. Opens nothing yet.
    fn reach(&self, restored: &Restored) -> Arc<dyn Reach>;
}

/// Ways that lead nowhere: every system has nothing of any sort.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReach;

impl NoReach {
    fn none<T>() -> Result<T, ReachFailure> {
        Err(ReachFailure { kind: ReachFailureKind::NotAvailable, message: "there is nothing to look at here".into() })
    }
}

impl Reaches for NoReach {
    fn reach(&self, _: &Restored) -> Arc<dyn Reach> {
        Arc::new(Self)
    }
}

impl Reach for NoReach {
    fn tcp(&self, _: u16, _: &[u8], _: usize, _: Duration) -> Result<Vec<u8>, ReachFailure> {
        Self::none()
    }
    fn http(&self, _: u16, _: &str, _: &[(String, String)], _: Duration) -> Result<HttpAnswer, ReachFailure> {
        Self::none()
    }
    fn run(&self, _: &[String], _: Duration) -> Result<RunAnswer, ReachFailure> {
        Self::none()
    }
    fn stat(&self, _: &str) -> Result<Option<FileFacts>, ReachFailure> {
        Self::none()
    }
    fn read(&self, _: &str, _: u64, _: u32) -> Result<Vec<u8>, ReachFailure> {
        Self::none()
    }
    fn entries(&self, _: &str) -> Result<Vec<String>, ReachFailure> {
        Self::none()
    }
    fn serial_log(&self, _: u32) -> Result<String, ReachFailure> {
        Self::none()
    }
}
