//! `policy test` and `policy bench`: a built component asked written questions, in a world that the case writes, too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop_model::config::SecretRef;
use backstop_model::policy::{Grants, HttpGrant, Mode, PolicyConfig, PolicyLimits, ProbeGrant};
use backstop_model::{Advice, ExitCode, Fault};
use backstop_policy::{
    Candidate, Engine, FileFacts, FileKind, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Manifest, Outward,
    Policy, PolicySet, ProbeFailure, ProbeFailureKind, ProbeResponse, Probes, ProgramEnd,
};
use serde::Serialize;
use toml::Value as Toml;

use crate::context::Outside;
use crate::gate::load;
use crate::policy_ask::{Answer, only};
use crate::policy_cases::{self as cases, Case, Question, Sent};

/// What came of the cases.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// The component.
    pub component: PathBuf,
    /// Case by case, in the order of the files.
    pub cases: Vec<CaseResult>,
    /// How many passed.
    pub passed: u32,
    /// How many did not.
    pub failed: u32,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// The file it stands in.
    pub file: PathBuf,
    /// What it shows.
    pub name: String,
    /// In which ways the answer is another one; empty when it passed.
    pub differences: Vec<String>,
    /// What the policy logged, for a case that failed.
    pub log: Vec<String>,
}

fn findings(message: String, hint: &str) -> Fault {
    Fault::new(ExitCode::Findings, Advice::CallAPerson, message, hint)
}

/// Whether this machine has a configuration at all.
#[must_use]
pub fn is_configured(outside: &Outside) -> bool {
    outside.files.read_config(&outside.config_dir).is_ok_and(|files| !files.is_empty())
}

/// An engine for those who need no configuration. Compiled code is kept where there is a state directory.
pub(crate) fn engine(outside: &Outside, state_dir: Option<&Path>) -> Result<Engine, Fault> {
    match state_dir {
        Some(dir) => load::engine_of(outside, dir),
        None => load::engine_without_cache(outside),
    }
}

/// The component meant by a directory or by its own file, and the files of cases beside it.
fn found(outside: &Outside, path: &Path, component: Option<&Path>) -> Result<(PathBuf, Vec<PathBuf>), Fault> {
    let is = |path: &Path, extension: &str| path.extension().is_some_and(|known| known == extension);
    let dir = if is(path, "wasm") || is(path, "toml") { path.parent().unwrap_or(Path::new(".")) } else { path };
    let dir = if is(path, "toml") && dir.ends_with("cases") { dir.parent().unwrap_or(dir) } else { dir };
    let mut built: Vec<PathBuf> = outside.files.list(dir)?.into_iter().filter(|path| is(path, "wasm")).collect();
    let component = match (component, is(path, "wasm")) {
        (Some(given), _) => given.to_owned(),
        (None, true) => path.to_owned(),
        (None, false) if built.len() == 1 => built.remove(0),
        (None, false) => {
            let count = built.len();
            let message = format!("`{}` holds {count} components, and one is tested at a time", dir.display());
            return Err(Fault::not_found(message, "build it first, or name it with `--component FILE`"));
        }
    };
    let mut files = if is(path, "toml") { vec![path.to_owned()] } else { outside.files.list(&dir.join("cases"))? };
    files.retain(|file| is(file, "toml"));
    if files.is_empty() {
        let message = format!("there are no cases in `{}`", dir.join("cases").display());
        return Err(Fault::not_found(message, "a case is a question and its answer, in `cases/*.toml`"));
    }
    Ok((component, files))
}

/// Asks a component every written question.
///
/// # Errors
/// Files that are not there or do not read; a component that cannot be loaded.
pub fn test(
    outside: &Outside,
    state_dir: Option<&Path>,
    path: &Path,
    component: Option<&Path>,
) -> Result<Tested, Fault> {
    let (component, files) = found(outside, path, component)?;
    let mut texts = Vec::new();
    for file in files {
        let bytes = outside.files.read(&file)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| findings(format!("`{}` is not text", file.display()), ""))?;
        texts.push((file, text));
    }
    let engine = engine(outside, state_dir)?;
    let set = load_granted(outside, &engine, &component, &texts)?;
    let policy = only(&set)?;
    let mut out = Tested { component, cases: Vec::new(), passed: 0, failed: 0 };
    for (file, text) in &texts {
        let bad =
            |why: cases::BadCases| findings(format!("`{}`: {why}", file.display()), "see `agent/docs/policy-cases.md`");
        for case in cases::parse(text).map_err(bad)? {
            let question = cases::question(&case).map_err(bad)?;
            let result = ask(policy, &case, &question);
            let (answer, sent) = result;
            let differences = match &answer.answer {
                Ok(value) => case.differences(Ok(value), &sent),
                Err(fault) => case.differences(Err(&fault.message), &sent),
            };
            if differences.is_empty() {
                out.passed += 1;
            } else {
                out.failed += 1;
            }
            let log = if differences.is_empty() {
                Vec::new()
            } else {
                answer.log.into_iter().map(|line| line.line).collect()
            };
            out.cases.push(CaseResult { file: file.clone(), name: case.name.clone(), differences, log });
        }
    }
    Ok(out)
}

fn ask(policy: &Policy, case: &Case, question: &Question) -> (Answer, Vec<Sent>) {
    let world = Arc::new(Scripted { case: case.clone(), sent: Mutex::default() });
    let answer = match question {
        Question::Tiers(question) => Answer::of(policy.ask_tiers(question)),
        Question::Release(question) => Answer::of(policy.ask_release(question)),
        Question::Check(question) => Answer::of(policy.ask_validation(question)),
        Question::Deliver(question) => Answer::of(policy.deliver(question, Arc::clone(&world) as Arc<dyn Outward>)),
        Question::Health(question) => Answer::of(policy.check_health(question, Arc::clone(&world) as Arc<dyn Probes>)),
    };
    let sent = world.sent.lock().expect("no thread panics holding it").clone();
    (answer, sent)
}

/// Loads a component with every grant that its cases play with.
fn load_granted(
    outside: &Outside,
    engine: &Engine,
    path: &Path,
    texts: &[(PathBuf, String)],
) -> Result<PolicySet, Fault> {
    let missing = || Fault::not_found(format!("there is no file `{}`", path.display()), "build it first");
    let bytes = outside.files.read(path)?.ok_or_else(missing)?;
    let facts = backstop_policy::inspect(&bytes).map_err(|fault| {
        findings(
            format!("`{}` is no policy: {}", path.display(), fault.message),
            "`backstop policy inspect FILE` shows what it is",
        )
    })?;
    let manifest = outside.files.read(&path.with_extension("manifest"))?;
    let mut wanted = Wanted::default();
    if let Some(Ok(manifest)) = manifest.as_deref().map(Manifest::parse) {
        wanted.http.extend(manifest.asks.http.iter().filter_map(|host| host.parse().ok()));
        wanted.secrets.extend(manifest.asks.secrets);
        wanted.probes.extend(manifest.asks.probes.iter().filter_map(|probe| probe.parse().ok()));
    }
    for (_, text) in texts {
        if let Ok(table) = text.parse::<toml::Table>() {
            wanted.see("", &Toml::Table(table));
        }
    }
    let config = PolicyConfig {
        name: "candidate".parse().expect("a valid name"),
        component: path.to_owned(),
        sha256: Some(facts.sha256),
        signer: None,
        world: facts.world,
        applies_to: Vec::new(),
        mode: Mode::Active,
        settings: Vec::new(),
        grants: wanted.grants(),
        limits: PolicyLimits::of(facts.world),
        promises: Vec::new(),
        origin: path.to_owned(),
    };
    Ok(PolicySet::load(
        engine,
        vec![Candidate { config, component: Ok(bytes), manifest, signature: None, signer: None }],
    ))
}

/// What the cases of a component play with.
#[derive(Default)]
struct Wanted {
    http: Vec<HttpGrant>,
    secrets: BTreeSet<String>,
    probes: Vec<ProbeGrant>,
}

impl Wanted {
    fn see(&mut self, key: &str, value: &Toml) {
        match (key, value) {
            ("tcp", Toml::Integer(port)) => self.probes.extend(u16::try_from(*port).map(ProbeGrant::Tcp)),
            ("http", Toml::Integer(port)) => self.probes.extend(u16::try_from(*port).map(ProbeGrant::Http)),
            ("run", Toml::Array(argv)) => {
                let program = argv.first().and_then(Toml::as_str);
                self.probes.extend(program.map(|program| ProbeGrant::Ssh(program.to_owned())));
            }
            ("file" | "directory" | "link", Toml::String(_)) => self.probes.push(ProbeGrant::File),
            ("serial", Toml::String(_)) => self.probes.push(ProbeGrant::Serial),
            ("secrets", Toml::Table(table)) => {
                self.secrets.extend(table.keys().cloned());
                table.values().for_each(|value| self.see("", value));
            }
            (_, Toml::Table(table)) => table.iter().for_each(|(key, value)| self.see(key, value)),
            (_, Toml::Array(list)) => list.iter().for_each(|value| self.see("", value)),
            (_, Toml::String(text)) => self.host(text),
            _ => {}
        }
    }

    /// A URL's host, where a text is one.
    fn host(&mut self, text: &str) {
        for scheme in ["https://", "http://"] {
            let Some(rest) = text.strip_prefix(scheme) else { continue };
            let host = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
            self.http.extend(format!("private:{scheme}{host}").parse::<HttpGrant>());
        }
    }

    fn grants(self) -> Grants {
        let secrets = self.secrets.into_iter().map(|name| (name.clone(), SecretRef::Env(name))).collect();
        Grants { http: self.http, secrets, probes: self.probes }
    }
}

/// The world of one case.
struct Scripted {
    case: Case,
    sent: Mutex<Vec<Sent>>,
}

impl Outward for Scripted {
    fn secret(&self, secret: &SecretRef) -> Result<Vec<u8>, String> {
        match secret {
            SecretRef::Env(name) => Ok(self.case.secret(name).into_bytes()),
            SecretRef::File(_) | SecretRef::Credential(_) | SecretRef::Command(_) => {
                Err("not part of the case".to_owned())
            }
        }
    }

    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let headers = request.headers.into_iter().map(|(name, value)| (name, text(value))).collect();
        let mut sent = self.sent.lock().expect("no thread panics holding it");
        let answer = self.case.http.answer(sent.len());
        sent.push(Sent { method: request.method, url: request.url, headers, body: request.body });
        answer
            .map(|answer| HttpResponse { status: answer.status, retry_after: answer.retry_after, body: answer.body })
            .map_err(|failure| HttpFailure {
                kind: match failure.kind {
                    cases::HttpFailureKind::NotGranted => HttpFailureKind::NotGranted,
                    cases::HttpFailureKind::Invalid => HttpFailureKind::Invalid,
                    cases::HttpFailureKind::Unreachable => HttpFailureKind::Unreachable,
                    cases::HttpFailureKind::TimedOut => HttpFailureKind::TimedOut,
                },
                message: failure.message,
            })
    }
}

fn probe_failure(failure: cases::ProbeFailure) -> ProbeFailure {
    let kind = match failure.kind {
        cases::ProbeFailureKind::NotGranted => ProbeFailureKind::NotGranted,
        cases::ProbeFailureKind::NotAvailable => ProbeFailureKind::NotAvailable,
        cases::ProbeFailureKind::Unreachable => ProbeFailureKind::Unreachable,
        cases::ProbeFailureKind::TimedOut => ProbeFailureKind::TimedOut,
        cases::ProbeFailureKind::Invalid => ProbeFailureKind::Invalid,
    };
    ProbeFailure { kind, message: failure.message }
}

impl Probes for Scripted {
    fn tcp(&self, port: u16, _: &[u8], _: u32, _: Duration) -> Result<Vec<u8>, ProbeFailure> {
        self.case.probes.tcp(port).map_err(probe_failure)
    }

    fn http(&self, port: u16, path: &str, _: &[(String, String)], _: Duration) -> Result<ProbeResponse, ProbeFailure> {
        let page = self.case.probes.http(port, path).map_err(probe_failure)?;
        Ok(ProbeResponse { status: page.status, headers: page.headers, body: page.body })
    }

    fn run(&self, argv: &[String], _: Duration) -> Result<ProgramEnd, ProbeFailure> {
        let ran = self.case.probes.run(argv).map_err(probe_failure)?;
        Ok(ProgramEnd { code: ran.code, stdout: ran.stdout, stderr: ran.stderr })
    }

    fn stat(&self, path: &str, _: Duration) -> Result<Option<FileFacts>, ProbeFailure> {
        let kind = |kind| match kind {
            cases::FileKind::File => FileKind::File,
            cases::FileKind::Directory => FileKind::Directory,
            cases::FileKind::Link => FileKind::Link,
            cases::FileKind::Other => FileKind::Other,
        };
        let found = self.case.probes.stat(path).map_err(probe_failure)?;
        let facts =
            |f: cases::Facts| FileFacts { kind: kind(f.kind), size: f.size, modified: f.modified, mode: f.mode };
        Ok(found.map(facts))
    }

    fn read(&self, path: &str, offset: u64, length: u32, _: Duration) -> Result<Vec<u8>, ProbeFailure> {
        self.case.probes.read(path, offset, length).map_err(probe_failure)
    }

    fn entries(&self, path: &str, _: Duration) -> Result<Vec<String>, ProbeFailure> {
        self.case.probes.entries(path).map_err(probe_failure)
    }

    fn serial_log(&self, length: u32, _: Duration) -> Result<String, ProbeFailure> {
        self.case.probes.serial_log(length).map_err(probe_failure)
    }
}
