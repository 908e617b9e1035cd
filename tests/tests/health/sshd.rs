//! A throw-away `sshd` with keys of its own.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backstop_model::policy::health::Restored;

use super::kit::{LONG, Running, free_port, machine};

/// A server for this user alone, ended when dropped.
pub struct Sshd {
    pub port: u16,
    _server: Running,
    dir: tempfile::TempDir,
}

fn key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("`ssh-keygen` runs: install openssh-client").success());
}

impl Sshd {
    /// Starts one. Programs are looked for in `path` first, when one is given.
    pub fn start(path: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().expect("made");
        let file = |name: &str| dir.path().join(name).display().to_string();
        for name in ["host", "user", "stranger"] {
            key(&dir.path().join(name));
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).expect("copied");
        let separation = Path::new("/run/sshd");
        // A server of root wants it. Where it cannot be made, it is not root's.
        let _ = separation.exists() || fs::create_dir_all(separation).is_ok();
        let programs = path.map(|path| format!("SetEnv PATH={}:/usr/bin:/bin\n", path.display())).unwrap_or_default();
        for _ in 0..5 {
            let port = free_port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 {programs}",
                file("host"),
                file("authorized")
            );
            fs::write(dir.path().join("config"), config).expect("written");
            let program = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
            let child = Command::new(program.expect("`sshd` is there: install openssh-server"))
                .args(["-D", "-e", "-f", &file("config")])
                .stderr(Stdio::null())
                .spawn();
            let mut server = Running(child.expect("started"));
            if answers(port, &mut server) {
                return Self { port, _server: server, dir };
            }
        }
        panic!("sshd does not answer")
    }

    /// A machine that one gets into with this key.
    pub fn machine(&self, key: &str) -> Restored {
        let user = Command::new("id").arg("-un").output().expect("runs").stdout;
        let user = String::from_utf8(user).expect("text");
        let key = self.dir.path().join(key).display().to_string();
        let port = self.port.to_string();
        let mut shell: Vec<String> = ["ssh", "-F", "none", "-i", &key, "-p", &port].map(str::to_owned).into();
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ] {
            shell.extend(["-o".to_owned(), option.to_owned()]);
        }
        shell.extend([format!("{}@127.0.0.1", user.trim()), "--".to_owned()]);
        Restored { shell: Some(shell), ..machine() }
    }
}

/// Waits until the server has introduced itself; false when it has ended.
fn answers(port: u16, server: &mut Running) -> bool {
    let began = Instant::now();
    while began.elapsed() < LONG && server.0.try_wait().is_ok_and(|ended| ended.is_none()) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut banner = [0; 4];
            return stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-";
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
