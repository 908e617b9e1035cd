//! Programs in a restored system, over a real `ssh` to a real `sshd` with keys of its own.
// It starts a server and measures how long things take.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backstop_local::SystemReaches;
use backstop_model::policy::health::Restored;
use backstop_seams::reach::KEPT_MAX;
use backstop_seams::{NoWeb, Reach, ReachFailure, ReachFailureKind, Reaches, RunAnswer};

const LONG: Duration = Duration::from_secs(30);

/// A server for this user alone, ended when dropped.
struct Sshd {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

fn key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("`ssh-keygen` runs: install openssh-client").success());
}

impl Sshd {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("made");
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["host", "user", "stranger"] {
            key(&dir.path().join(name));
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).expect("copied");
        // A server of root wants it; it is empty and stays so.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").expect("made");
        }
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = free.local_addr().expect("bound").port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
                path("host"),
                path("authorized")
            );
            fs::write(dir.path().join("config"), config).expect("written");
            drop(free);
            let program = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
            let mut child = Command::new(program.expect("`sshd` is there: install openssh-server"))
                .args(["-D", "-e", "-f", &path("config")])
                .stderr(Stdio::null())
                .spawn()
                .expect("started");
            if answers(port, &mut child) {
                return Self { child, port, dir };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not answer")
    }

    fn shell(&self, key: &str, port: u16) -> Vec<String> {
        let user = String::from_utf8(Command::new("id").arg("-un").output().expect("runs").stdout).expect("text");
        let key = self.dir.path().join(key).display().to_string();
        let mut shell: Vec<String> =
            ["ssh", "-F", "none", "-i", &key, "-p", &port.to_string()].map(str::to_owned).into();
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
        shell
    }

    fn reach(&self) -> Arc<dyn Reach> {
        reach(self.shell("user", self.port))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the server has introduced itself; false when it has ended.
fn answers(port: u16, child: &mut Child) -> bool {
    let began = Instant::now();
    while began.elapsed() < LONG && child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut banner = [0; 4];
            return stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-";
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn reach(shell: Vec<String>) -> Arc<dyn Reach> {
    SystemReaches::new(Arc::new(NoWeb)).reach(&Restored { shell: Some(shell), ..Restored::default() })
}

fn run(reach: &dyn Reach, argv: &[&str], timeout: Duration) -> Result<RunAnswer, ReachFailure> {
    reach.run(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), timeout)
}

fn answer(code: i32, stdout: &str, stderr: &str) -> RunAnswer {
    RunAnswer { code, stdout: stdout.into(), stderr: stderr.into() }
}

/// One server for all of it: starting one takes longer than asking it.
#[test]
fn programs_run_over_ssh() {
    let server = Sshd::start();
    let reach = server.reach();
    arguments_arrive_byte_for_byte(&*reach);
    what_it_did_is_told(&*reach);
    output_is_cut(&*reach);
    the_limit_is_kept(&*reach);
    no_way_in_is_unreachable(&server);
}

fn arguments_arrive_byte_for_byte(reach: &dyn Reach) {
    let odd =
        ["a b", "it's", "", "-n", "--", "$HOME", "`id`", "$(id)", "*", "~", "a\nb", "\\", "\"", "; id", "ü", "#", "!"];
    let argv: Vec<&str> = ["printf", "[%s]"].into_iter().chain(odd).collect();
    let told = run(reach, &argv, LONG).expect("ran");
    let wanted: String = odd.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(told, answer(0, &wanted, ""));
}

fn what_it_did_is_told(reach: &dyn Reach) {
    let shell = |script: &str| run(reach, &["sh", "-c", script], LONG).expect("ran");
    assert_eq!(shell("echo out; echo err >&2; exit 3"), answer(3, "out\n", "err\n"));
    assert_eq!(shell("kill -TERM $$").code, 143, "128 and the signal");
    assert_eq!(shell("cat"), answer(0, "", ""), "the input is empty");
    assert_eq!(run(reach, &["/no/such/program"], LONG).expect("ran").code, 127);
}

fn output_is_cut(reach: &dyn Reach) {
    let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 5";
    let told = run(reach, &["sh", "-c", script], LONG).expect("ran");
    assert_eq!((told.code, told.stdout.len(), told.stderr.len()), (5, KEPT_MAX, KEPT_MAX));
}

fn the_limit_is_kept(reach: &dyn Reach) {
    let began = Instant::now();
    let failure = run(reach, &["sleep", "20"], Duration::from_secs(1)).expect_err("too long");
    assert_eq!(failure.kind, ReachFailureKind::TimedOut, "{failure}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

fn no_way_in_is_unreachable(server: &Sshd) {
    let stranger = run(&*reach(server.shell("stranger", server.port)), &["true"], LONG).expect_err("refused");
    assert_eq!(stranger.kind, ReachFailureKind::Unreachable);
    assert!(stranger.message.contains("ermission denied"), "{stranger}");
    let nobody = run(&*reach(server.shell("user", 1)), &["true"], LONG).expect_err("nobody listens");
    assert_eq!(nobody.kind, ReachFailureKind::Unreachable, "{nobody}");
    let missing = run(&*reach(vec!["/no/such/ssh".to_owned()]), &["true"], LONG).expect_err("not there");
    assert_eq!(missing.kind, ReachFailureKind::Unreachable, "{missing}");
    let empty = run(&*reach(Vec::new()), &["true"], LONG).expect_err("no way in");
    assert_eq!(empty.kind, ReachFailureKind::NotAvailable);
}
