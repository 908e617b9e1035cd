//! `postgres-answers` before a real PostgreSQL server, in every state that a restored one can be in.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::kit::{free_port, machine, said};
use super::sshd::Sshd;

/// `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// A cluster in a directory of its own, stopped when dropped.
struct Cluster {
    port: u16,
    programs: PathBuf,
    dir: tempfile::TempDir,
    as_nobody: bool,
}

/// Where the newest PostgreSQL has its programs: Debian keeps them out of `PATH`.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = || std::env::split_paths(&path).find(|dir| dir.join("initdb").exists());
    found.pop().map(|(_, programs)| programs).or_else(in_path).expect("PostgreSQL is there: install postgresql")
}

impl Cluster {
    fn make() -> Self {
        let dir = tempfile::tempdir().expect("made");
        let user = Command::new("id").arg("-u").output().expect("runs").stdout;
        let cluster = Self { port: 0, programs: programs(), dir, as_nobody: user == b"0\n" };
        if cluster.as_nobody {
            chown(cluster.dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let password = cluster.dir.path().join("password");
        fs::write(&password, "nobody signs in\n").expect("written");
        let password = format!("--pwfile={}", password.display());
        let made_as = ["-U", "postgres", "-A", "scram-sha-256", "-N", "--no-locale", "-E", "UTF8"];
        cluster.run("initdb", &[&made_as[..], &[&password, "-D", &cluster.data()]].concat());
        cluster
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.data()).join(name)
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.stderr(Stdio::null()).status().expect("it can be started").success()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "`{program}` failed; its log:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Starts the server on a free port, and waits until it is as far as it will come.
    fn start(&mut self, options: &str) {
        let sockets = self.dir.path().display().to_string();
        let log = self.dir.path().join("log").display().to_string();
        for _ in 0..5 {
            self.port = free_port();
            let options = format!("-h 127.0.0.1 -p {} -k {sockets} -F {options}", self.port);
            if self.try_run("pg_ctl", &["start", "-w", "-t", "60", "-D", &self.data(), "-l", &log, "-o", &options]) {
                return;
            }
        }
        panic!("PostgreSQL does not start:\n{}", self.log());
    }

    fn stop(&self, mode: &str) {
        self.run("pg_ctl", &["stop", "-w", "-t", "60", "-m", mode, "-D", &self.data()]);
    }

    fn asked(&self, more: &str) -> String {
        asked(self.port, more)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.try_run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }
}

fn asked(port: u16, more: &str) -> String {
    let settings = format!("port = {port}{more}");
    said("postgres-answers", &machine(), &[format!("tcp:{port}")], &settings).replace(&port.to_string(), "PORT")
}

/// One cluster for all of it: making one takes longer than asking it.
#[test]
fn postgresql_is_healthy_once_it_lets_people_in() {
    let mut cluster = Cluster::make();

    cluster.start("");
    let healthy = "healthy\n+ PostgreSQL at tcp:PORT: asks for authentication";
    assert_eq!(cluster.asked(""), healthy);
    assert_eq!(cluster.asked(r#", user = "nobody-of-that-name", database = "none""#), healthy, "nobody signs in");

    // Whom the server does not want, it refuses because it is up.
    let entries = fs::read_to_string(cluster.file("pg_hba.conf")).expect("there");
    fs::write(cluster.file("pg_hba.conf"), "host all all 127.0.0.1/32 reject\n").expect("written");
    cluster.stop("fast");
    cluster.start("");
    let refused = cluster.asked(r#", user = "ada""#);
    let wanted = "healthy\n+ PostgreSQL at tcp:PORT: answers and refuses this user: 28000 pg_hba.conf rejects";
    assert!(refused.starts_with(wanted) && refused.contains("ada"), "{refused}");
    fs::write(cluster.file("pg_hba.conf"), entries).expect("written");

    let gone = |text: &str| text.starts_with("unhealthy\n- PostgreSQL at tcp:PORT: ") && text.contains("refused");
    cluster.stop("fast");
    assert!(gone(&cluster.asked("")), "{}", cluster.asked(""));

    // What a backup of a running server comes back as: it was never shut down, recovers, and is well.
    cluster.start("");
    cluster.stop("immediate");
    assert!(gone(&cluster.asked("")), "{}", cluster.asked(""));
    cluster.start("");
    assert!(cluster.log().contains("automatic recovery in progress"), "{}", cluster.log());
    assert_eq!(cluster.asked(""), healthy);

    // One that still recovers, here because it waits for more of its log, listens and lets nobody in.
    cluster.stop("fast");
    fs::write(cluster.file("standby.signal"), "").expect("written");
    cluster.start("-c hot_standby=off");
    let recovering = cluster.asked("");
    assert!(
        recovering.starts_with("unhealthy\n- PostgreSQL at tcp:PORT: 57P03 the database system is "),
        "{recovering}"
    );

    // One that reads along serves: it is up, though it takes no changes.
    cluster.stop("fast");
    cluster.start("-c hot_standby=on");
    assert_eq!(cluster.asked(""), healthy);
    cluster.stop("fast");

    // Data that is damaged keeps it from starting at all.
    fs::remove_file(cluster.file("standby.signal")).expect("removed");
    fs::write(cluster.file("global/pg_control"), vec![0; 8_192]).expect("damaged");
    let options = format!("-h 127.0.0.1 -p {}", cluster.port);
    let log = cluster.dir.path().join("log").display().to_string();
    assert!(!cluster.try_run("pg_ctl", &["start", "-w", "-D", &cluster.data(), "-l", &log, "-o", &options]));
    assert!(gone(&cluster.asked("")), "{}", cluster.asked(""));
}

#[test]
fn another_server_at_the_port_is_not_taken_for_postgresql() {
    let other = Sshd::start(None);
    assert_eq!(asked(other.port, ""), "unhealthy\n- PostgreSQL at tcp:PORT: what answers is no PostgreSQL server");
}
