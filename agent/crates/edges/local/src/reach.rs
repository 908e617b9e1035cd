//! Ways to restored systems: their files here, their ports over the network, programs in them over `ssh`, and what they
//! wrote to their serial console.

mod port;
mod tree;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backstop_model::policy::health::Restored;
use backstop_seams::reach::KEPT_MAX;
use backstop_seams::{
    FileFacts, HttpAnswer, Reach, ReachFailure, ReachFailureKind, Reaches, RunAnswer, Web, WebFailureKind, WebRequest,
};
use rustix::fs::{FileType, Mode, OFlags};

use crate::process::{self, Ended, Keep};
use tree::Tree;

/// Longest that anything is waited for.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Longest command line. The system takes no longer argument than 128 KiB.
const LINE_MAX: usize = 100 << 10;
/// What `ssh` exits with when it did not get in.
const NO_WAY_IN: i32 = 255;

/// Makes ways to restored systems.
pub struct SystemReaches {
    web: Arc<dyn Web>,
}

impl SystemReaches {
    /// `web` asks web servers; the rest is done here.
    #[must_use]
    pub fn new(web: Arc<dyn Web>) -> Self {
        Self { web }
    }
}

impl Reaches for SystemReaches {
    fn reach(&self, restored: &Restored) -> Arc<dyn Reach> {
        let Restored { tree, address, shell, serial } = restored.clone();
        Arc::new(SystemReach { web: Arc::clone(&self.web), tree: tree.map(Tree::new), address, shell, serial })
    }
}

struct SystemReach {
    web: Arc<dyn Web>,
    tree: Option<Tree>,
    address: Option<IpAddr>,
    shell: Option<Vec<String>>,
    serial: Option<PathBuf>,
}

fn failure(kind: ReachFailureKind, message: String) -> ReachFailure {
    ReachFailure { kind, message }
}

fn invalid(message: String) -> ReachFailure {
    failure(ReachFailureKind::Invalid, message)
}

fn unreachable(message: String) -> ReachFailure {
    failure(ReachFailureKind::Unreachable, message)
}

fn timed_out(what: &str, timeout: Duration) -> ReachFailure {
    failure(ReachFailureKind::TimedOut, format!("{what} took longer than {} ms", timeout.as_millis()))
}

fn available<'a, T>(part: Option<&'a T>, what: &str) -> Result<&'a T, ReachFailure> {
    part.ok_or_else(|| failure(ReachFailureKind::NotAvailable, format!("what was restored has no {what}")))
}

impl SystemReach {
    fn socket(&self, port: u16) -> Result<SocketAddr, ReachFailure> {
        let address = available(self.address.as_ref(), "address")?;
        if port == 0 {
            return Err(invalid("there is no port 0".to_owned()));
        }
        Ok(SocketAddr::new(*address, port))
    }

    fn tree(&self) -> Result<&Tree, ReachFailure> {
        available(self.tree.as_ref(), "files that can be looked at")
    }
}

impl Reach for SystemReach {
    fn tcp(&self, port: u16, send: &[u8], expect: usize, timeout: Duration) -> Result<Vec<u8>, ReachFailure> {
        let socket = self.socket(port)?;
        if expect > KEPT_MAX {
            return Err(invalid(format!("at most {KEPT_MAX} bytes can be expected")));
        }
        port::exchange(socket, send, expect, timeout.min(TIMEOUT_MAX))
    }

    fn http(
        &self,
        port: u16,
        path: &str,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<HttpAnswer, ReachFailure> {
        let socket = self.socket(port)?;
        if !path.starts_with('/') {
            return Err(invalid(format!("the path `{}` does not begin with `/`", path.escape_debug())));
        }
        let is_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
        let (mut sites, headers): (Vec<_>, Vec<_>) = headers.iter().cloned().partition(is_host);
        let host_field = sites.pop().map(|(_, value)| value);
        if !sites.is_empty() {
            return Err(invalid("more than one `host` field".to_owned()));
        }
        let request = WebRequest {
            method: "GET".into(),
            url: format!("http://{socket}{path}"),
            headers,
            host_field,
            body: Vec::new(),
            timeout,
            allow_private: true,
        };
        let answer = self.web.send(request).map_err(|error| {
            let kind = match error.kind {
                WebFailureKind::NotPublic | WebFailureKind::Unreachable => ReachFailureKind::Unreachable,
                WebFailureKind::Invalid => ReachFailureKind::Invalid,
                WebFailureKind::TimedOut => ReachFailureKind::TimedOut,
            };
            failure(kind, error.message)
        })?;
        Ok(HttpAnswer { status: answer.status, headers: answer.headers, body: answer.body })
    }

    fn run(&self, argv: &[String], timeout: Duration) -> Result<RunAnswer, ReachFailure> {
        let shell = available(self.shell.as_ref(), "way in for programs")?;
        let line = command_line(argv)?;
        let [way_in, arguments @ ..] = shell.as_slice() else {
            return Err(failure(ReachFailureKind::NotAvailable, "the way in for programs is empty".to_owned()));
        };
        let mut command = process::command(way_in);
        command.args(arguments).arg(line).current_dir("/");
        match process::run(command, Keep::HeadOfEach(KEPT_MAX), timeout.min(TIMEOUT_MAX)) {
            Ok(Ended::Exited(status, kept)) => {
                let code = process::code(status);
                if code == NO_WAY_IN && kept.output.is_empty() {
                    let said = process::tail_text(&kept.errors, 300);
                    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it did not say why");
                    return Err(unreachable(format!("no way in by `{way_in}`: {}", last.trim().escape_debug())));
                }
                Ok(RunAnswer { code, stdout: kept.output.to_vec(), stderr: kept.errors.to_vec() })
            }
            Ok(Ended::TimedOut) => Err(timed_out(&format!("`{}`", argv[0].escape_debug()), timeout)),
            Err(error) => Err(unreachable(format!("`{way_in}` cannot be started: {error}"))),
        }
    }

    fn stat(&self, path: &str) -> Result<Option<FileFacts>, ReachFailure> {
        self.tree()?.stat(path)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, ReachFailure> {
        self.tree()?.read(path, offset, length)
    }

    fn entries(&self, path: &str) -> Result<Vec<String>, ReachFailure> {
        self.tree()?.entries(path)
    }

    fn serial_log(&self, length: u32) -> Result<String, ReachFailure> {
        let path = available(self.serial.as_ref(), "serial console")?;
        let most = KEPT_MAX.min(length as usize);
        let tail = tail_of(path, most)
            .map_err(|error| unreachable(format!("the serial log `{}` cannot be read: {error}", path.display())))?;
        Ok(process::tail_text(&tail, most))
    }
}

/// The one argument after the way in: a line for a POSIX shell, which is what `ssh` hands to the other side anyway. Every
/// argument stands in quotes. The last words keep the shell from stepping aside for the program: one that is killed by
/// a signal would come back as 255, as if `ssh` had failed.
fn command_line(argv: &[String]) -> Result<String, ReachFailure> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(invalid("no program is named".to_owned()));
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("an argument holds a NUL byte, which no program can be given".to_owned()));
    }
    let quoted: Vec<String> = argv.iter().map(|argument| format!("'{}'", argument.replace('\'', r"'\''"))).collect();
    let line = format!("{}; exit $?", quoted.join(" "));
    if line.len() > LINE_MAX {
        return Err(invalid(format!("the program and its arguments are longer than {LINE_MAX} bytes")));
    }
    Ok(line)
}

/// The last bytes of a regular file.
fn tail_of(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    tree::pread_full(&file, size.saturating_sub(most as u64), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_stands_in_quotes() {
        let line = |argv: &[&str]| command_line(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["a", "it's", "", "$x"]).expect("a line"), r"'a' 'it'\''s' '' '$x'; exit $?");
        for bad in [&[][..], &[""], &["a", "b\0c"], &["a", &"x".repeat(LINE_MAX)]] {
            assert_eq!(line(bad).expect_err("refused").kind, ReachFailureKind::Invalid);
        }
    }
}
