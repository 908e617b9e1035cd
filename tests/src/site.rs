//! A place to try the program in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary directory with configuration, keys, vaults, state and a tree to protect. Gone when dropped.
pub struct Site {
    dir: TempDir,
    environment: BTreeMap<OsString, OsString>,
    /// Put before the program, as `setpriv --reuid 65534`.
    before: Vec<OsString>,
}

/// What the program answered.
#[derive(Debug)]
pub struct Answer {
    /// The command as it was given, for messages.
    pub command: String,
    /// The exit code; `128 + signal` when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

/// A program that runs.
pub struct Started {
    child: Child,
    command: String,
    began: Instant,
}

/// The main file with two vaults in two regions and one schedule.
const MAIN: &str = r#"state_dir = "ROOT/state"

[vault.main]
url = "file://ROOT/vault"
region = "here"
key = "file:ROOT/keys/main.key"

[vault.offsite]
url = "file://ROOT/offsite"
region = "there"
key = "file:ROOT/keys/offsite.key"

[limits]
undelete_window = "3d"
prune_grace = "1d"

[schedule.standard]
timezone = "UTC"
daily = { at = "02:00", keep = 7 }
weekly = { on = "sunday", at = "03:00", keep = 4 }
monthly = { on = 1, at = "04:00", keep = 12 }
rpo = "24h"
rto = "15m"
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "7d", level = "L3" }
dr_test = { every = "7d" }
"#;

const DOCS: &str = "[workload.docs]\nkind = \"files\"\npaths = [\"ROOT/srv/docs\"]\nschedule = \"standard\"\n";

impl Site {
    /// A site whose two vaults are made and empty, and whose workload `docs` holds a small tree.
    #[must_use]
    pub fn new() -> Self {
        let site = Self::bare();
        site.make_vaults();
        site
    }

    /// The same at an instant of the program's clock. Later than the machine's, so that files are older than backups
    /// and nothing has to be waited for.
    #[must_use]
    pub fn at(instant: &str) -> Self {
        let mut site = Self::bare();
        site.clock(instant);
        site.make_vaults();
        site
    }

    /// Makes both vaults.
    #[track_caller]
    pub fn make_vaults(&self) {
        for vault in ["main", "offsite"] {
            self.ok(&["vault", "init", vault, "--generate-key"]);
        }
    }

    /// The same before anything was run: configuration and tree only.
    #[must_use]
    pub fn bare() -> Self {
        let dir = tempfile::Builder::new().prefix("backstop-site-").tempdir().expect("a temporary directory");
        let site = Self { dir, environment: BTreeMap::new(), before: Vec::new() };
        site.write("conf/backstop.toml", MAIN.replace("ROOT", &site.root_text()));
        site.write("conf/conf.d/docs.toml", DOCS.replace("ROOT", &site.root_text()));
        site.write("srv/docs/readme.txt", "read me\n");
        site.write("srv/docs/deep/er/notes.md", "# notes\n");
        site.write("srv/docs/deep/empty", "");
        site
    }

    /// The directory of the site as text.
    #[must_use]
    pub fn root_text(&self) -> String {
        self.dir.path().to_str().expect("temporary directories are UTF-8").to_owned()
    }

    /// A path in the site.
    #[must_use]
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The same as text.
    #[must_use]
    pub fn text(&self, below: &str) -> String {
        format!("{}/{below}", self.root_text())
    }

    /// The tree that workload `docs` protects.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.path("srv/docs")
    }

    /// Where that tree stands after a restore into `to`.
    #[must_use]
    pub fn tree_below(&self, to: &str) -> PathBuf {
        let tree = self.tree();
        self.path(to).join(tree.strip_prefix("/").expect("absolute"))
    }

    /// Writes a file of the site, and the directories above it.
    pub fn write(&self, below: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().expect("below the site")).expect("directories");
        std::fs::write(&path, contents).expect("a file of the site");
        path
    }

    /// Adds a workload over `ROOT/srv/NAME` with further lines of TOML.
    pub fn add_workload(&self, name: &str, more: &str) {
        let text = DOCS.replace("ROOT", &self.root_text()).replace("docs", name) + more;
        self.write(&format!("conf/conf.d/{name}.toml"), text);
        std::fs::create_dir_all(self.path(format!("srv/{name}"))).expect("a tree");
    }

    /// Changes the main file.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.path("conf/backstop.toml");
        let text = std::fs::read_to_string(&path).expect("the main file");
        assert!(text.contains(from), "the main file holds no `{from}`");
        std::fs::write(&path, text.replace(from, to)).expect("the main file");
    }

    /// Sets a variable for every command from now on.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    /// Unsets it.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(OsStr::new(name));
    }

    /// The program's clock shows this instant (RFC 3339) at the start of each command from now on.
    pub fn clock(&mut self, instant: &str) {
        self.set("BACKSTOP_CLOCK", instant);
    }

    /// Puts words before the program from now on, as in `setpriv --reuid 65534`.
    pub fn run_under(&mut self, words: &[&str]) {
        self.before = words.iter().map(OsString::from).collect();
    }

    /// The command, not started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = program();
        let mut words: Vec<&OsStr> = self.before.iter().map(OsString::as_os_str).collect();
        words.push(program.as_os_str());
        words.extend(arguments.iter().map(OsStr::new));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear();
        for inherited in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command.env("HOME", self.dir.path()).env("BACKSTOP_CONFIG_DIR", self.path("conf")).envs(&self.environment);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output().expect("the program starts");
        Answer {
            command: arguments.join(" "),
            code: code(output.status),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must end with 0.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Answer {
        self.run(arguments).expect(0)
    }

    /// Runs a command that must end with this code and one clear error: a line on stderr and nothing about panics.
    #[track_caller]
    pub fn fails(&self, code: i32, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments).expect(code);
        let errors = answer.err.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "one clear error is wanted of {answer}");
        answer
    }

    /// Asks a question with `--json`: exit code 0, one document, named by its schema.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.json_with(0, arguments)
    }

    /// The same with another exit code.
    #[track_caller]
    pub fn json_with(&self, code: i32, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let answer = self.run(&arguments).expect(code);
        let lines: Vec<&[u8]> = answer.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let document = lines.last().unwrap_or_else(|| panic!("no document from {answer}"));
        let document: Value = serde_json::from_slice(document).unwrap_or_else(|why| panic!("{why} in {answer}"));
        let schema = document["schema"].as_str().unwrap_or_else(|| panic!("no schema in {answer}"));
        assert!(schema.starts_with("backstop/") && schema.ends_with("/v1"), "{schema}");
        document
    }

    /// Runs long work with `--json` that must end with this code; returns its summaries. Every line is a document.
    #[track_caller]
    pub fn summaries(&self, code: i32, arguments: &[&str]) -> Vec<Value> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let answer = self.run(&arguments).expect(code);
        let mut summaries = Vec::new();
        for line in answer.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: Value = serde_json::from_slice(line).unwrap_or_else(|why| panic!("{why} in {answer}"));
            assert!(event["schema"].is_string(), "an event without schema: {event}");
            match event["message_type"].as_str() {
                Some("summary" | "error") => summaries.push(event),
                Some("status") => {}
                other => panic!("a message of type {other:?} in {answer}"),
            }
        }
        summaries
    }

    /// Backs up `docs` and returns the backup's name.
    #[track_caller]
    pub fn backup(&self) -> String {
        self.backup_of("docs")
    }

    /// Backs up a workload and returns the backup's name.
    #[track_caller]
    pub fn backup_of(&self, workload: &str) -> String {
        let summaries = self.summaries(0, &["backup", "trigger", workload]);
        summaries[0]["backups"][0]["name"].as_str().expect("a name").to_owned()
    }

    /// The names of all kept backups, newest first.
    #[track_caller]
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let listed = self.json(&["backup", "list"]);
        let rows = listed["backups"].as_array().expect("rows");
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// The ids of runs that did not end.
    #[track_caller]
    #[must_use]
    pub fn open_runs(&self) -> Vec<String> {
        let listed = self.json(&["run", "list", "--open"]);
        let runs = listed["runs"].as_array().expect("runs");
        runs.iter().map(|run| format!("{} {}", run["verb"], run["run"])).collect()
    }

    /// Restores a backup into an empty directory and returns where the tree of `docs` stands in it.
    #[track_caller]
    pub fn restored(&self, backup: &str, more: &[&str]) -> PathBuf {
        let out = self.path("out");
        if out.exists() {
            std::fs::remove_dir_all(&out).expect("removed");
        }
        let to = self.text("out");
        let mut arguments = vec!["backup", "restore", "docs", "--backup", backup, "--to", &to];
        arguments.extend(more);
        self.ok(&arguments);
        self.tree_below("out")
    }

    /// Starts a command.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        Started { child, command: arguments.join(" "), began: Instant::now() }
    }

    /// Everything below the state directory's scratch space: empty when nothing runs.
    #[must_use]
    pub fn staging(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.path("state/staging"))
            .map(|entries| entries.map(|entry| entry.expect("an entry").path()).collect())
            .unwrap_or_default()
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Started {
    /// Its process id, as text for `kill`.
    #[must_use]
    pub fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        // A process that has ended already is not there any more, which is fine.
        let _ = Command::new("kill").args([&format!("-{name}"), &self.id()]).stderr(Stdio::null()).status();
    }

    /// Kills it (SIGKILL) so long after its start. True if it was still running.
    pub fn kill_after(mut self, delay: Duration) -> bool {
        std::thread::sleep(delay.saturating_sub(self.began.elapsed()));
        let alive = self.child.try_wait().expect("its state").is_none();
        let _ = self.child.kill();
        self.child.wait().expect("it ends");
        alive
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> Answer {
        let output = self.child.wait_with_output().expect("it ends");
        Answer {
            command: self.command,
            code: code(output.status),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Answer {
    /// Panics with everything that was said unless the exit code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code {} instead of {code} from {self}", self.code);
        assert!(!self.err.contains("panicked at"), "{self}");
        self
    }

    /// Panics unless standard error holds each of these.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.err.contains(word), "no `{word}` in {self}");
        }
    }

    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`backstop {}`\n--- stdout\n{}\n--- stderr\n{}", self.command, self.text(), self.err)
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The program: built with the workspace, it stands beside the directory of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let program = profile.join("backstop");
    assert!(program.exists(), "{} is missing: build it first with `cargo build -p backstop`", program.display());
    program
}
