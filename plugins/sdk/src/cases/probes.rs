//! The restored system of a case: what each probe finds.

use std::collections::BTreeMap;

use jiff::civil::Time;
use serde::Deserialize;
use toml::Value as Toml;

use super::BadCases;
use super::file::{Entry, File};
use super::{question, when};

/// What one probe finds, as a case writes it.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeEntry {
    // what is looked at: exactly one of these
    tcp: Option<u16>,
    http: Option<u16>,
    run: Option<Vec<String>>,
    file: Option<String>,
    directory: Option<String>,
    link: Option<String>,
    serial: Option<String>,

    // what is found
    answer: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    code: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
    text: Option<String>,
    size: Option<u64>,
    modified: Option<Toml>,
    mode: Option<u32>,
    entries: Vec<String>,
    fail: Option<String>,
    message: Option<String>,
}

/// Why a probe brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProbeFailureKind {
    NotGranted,
    NotAvailable,
    Unreachable,
    TimedOut,
    Invalid,
}

/// Why a probe brought nothing, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// For deciding.
    pub kind: ProbeFailureKind,
    /// For people.
    pub message: String,
}

/// A web server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebPage {
    /// 100 to 599.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FileKind {
    File,
    Directory,
    Link,
    Other,
}

/// Facts of what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
}

/// What every probe finds.
#[derive(Debug, Clone, Default)]
pub struct ProbeScript {
    found: Vec<(ProbeEntry, Option<i64>)>,
    now: i64,
}

type Probed<T> = Result<T, ProbeFailure>;

impl ProbeScript {
    pub(super) fn of(entries: &[ProbeEntry], file: &File, case: &Entry) -> Result<Self, BadCases> {
        let zone = question::zone(file, case)?;
        let seconds = |raw: &Toml| when::instant(raw, &zone, Time::midnight()).map(|at| when::seconds(&at));
        let mut found = Vec::new();
        for entry in entries {
            entry.check()?;
            found.push((entry.clone(), entry.modified.as_ref().map(seconds).transpose()?));
        }
        let now = case.now.as_ref().or(file.now.as_ref()).map(seconds).transpose()?.unwrap_or_default();
        Ok(Self { found, now })
    }

    fn look<'a>(&'a self, what: &str, wanted: impl Fn(&ProbeEntry) -> bool) -> Probed<&'a (ProbeEntry, Option<i64>)> {
        let found = self.found.iter().find(|(entry, _)| wanted(entry)).ok_or_else(|| ProbeFailure {
            kind: ProbeFailureKind::NotGranted,
            message: format!("the case says nothing about {what}"),
        })?;
        match found.0.failure() {
            Some(failure) => Err(failure),
            None => Ok(found),
        }
    }

    /// What a port answers.
    ///
    /// # Errors
    /// The failure that the case wants; not granted when it is silent. So for every probe.
    pub fn tcp(&self, port: u16) -> Probed<Vec<u8>> {
        let (entry, _) = self.look(&format!("tcp:{port}"), |entry| entry.tcp == Some(port))?;
        Ok(entry.answer.clone().unwrap_or_default().into_bytes())
    }

    /// What a web server answers.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn http(&self, port: u16, path: &str) -> Probed<WebPage> {
        let (entry, _) = self.look(&format!("http:{port}{path}"), |entry| {
            entry.http == Some(port) && entry.path.as_deref().unwrap_or("/") == path
        })?;
        Ok(WebPage {
            status: entry.status.unwrap_or(200),
            headers: entry.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
            body: entry.body.clone().unwrap_or_default().into_bytes(),
        })
    }

    /// What a command does.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn run(&self, argv: &[String]) -> Probed<RunResult> {
        let (entry, _) = self.look(&format!("`{}`", argv.join(" ")), |entry| entry.run.as_deref() == Some(argv))?;
        Ok(RunResult {
            code: entry.code.unwrap_or(0),
            stdout: entry.stdout.clone().unwrap_or_default().into_bytes(),
            stderr: entry.stderr.clone().unwrap_or_default().into_bytes(),
        })
    }

    /// What stands at a path; nothing where the case speaks of other files only.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn stat(&self, path: &str) -> Probed<Option<Facts>> {
        let silent = |entry: &ProbeEntry| entry.standing().is_some_and(|(_, standing)| standing != path);
        let here = |entry: &ProbeEntry| entry.standing().is_some_and(|(_, standing)| standing == path);
        if !self.found.iter().any(|(entry, _)| here(entry)) && self.found.iter().any(|(entry, _)| silent(entry)) {
            return Ok(None);
        }
        let (entry, modified) = self.look(path, here)?;
        let (kind, _) = entry.standing().unwrap_or((FileKind::Other, path));
        let (length, mode) = match kind {
            FileKind::Directory => (4096, 0o755),
            _ => (entry.text.as_ref().map_or(0, |text| text.len() as u64), 0o644),
        };
        Ok(Some(Facts {
            kind,
            size: entry.size.unwrap_or(length),
            modified: modified.unwrap_or(self.now),
            mode: entry.mode.unwrap_or(mode),
        }))
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn read(&self, path: &str, offset: u64, length: u32) -> Probed<Vec<u8>> {
        let (entry, _) = self.look(path, |entry| entry.file.as_deref() == Some(path))?;
        let bytes = entry.text.clone().unwrap_or_default().into_bytes();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(bytes.into_iter().skip(offset).take(length as usize).collect())
    }

    /// Names in a directory.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn entries(&self, path: &str) -> Probed<Vec<String>> {
        let (entry, _) = self.look(path, |entry| entry.directory.as_deref() == Some(path))?;
        let mut names = entry.entries.clone();
        names.sort();
        Ok(names)
    }

    /// The end of the serial log.
    ///
    /// # Errors
    /// As [`ProbeScript::tcp`].
    pub fn serial_log(&self, length: u32) -> Probed<String> {
        let (entry, _) = self.look("the serial log", |entry| entry.serial.is_some())?;
        let text = entry.serial.clone().unwrap_or_default();
        let mut start = text.len().saturating_sub(length as usize);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        Ok(text[start..].to_owned())
    }
}

impl ProbeEntry {
    fn standing(&self) -> Option<(FileKind, &str)> {
        let file = self.file.as_deref().map(|path| (FileKind::File, path));
        let directory = || self.directory.as_deref().map(|path| (FileKind::Directory, path));
        let link = || self.link.as_deref().map(|path| (FileKind::Link, path));
        file.or_else(directory).or_else(link)
    }

    fn failure(&self) -> Option<ProbeFailure> {
        let word = self.fail.as_deref()?;
        let kind = failure_kind(word)?;
        Some(ProbeFailure { kind, message: self.message.clone().unwrap_or_else(|| word.to_owned()) })
    }

    fn check(&self) -> Result<(), BadCases> {
        let looked_at = [
            self.tcp.is_some(),
            self.http.is_some(),
            self.run.is_some(),
            self.file.is_some(),
            self.directory.is_some(),
            self.link.is_some(),
            self.serial.is_some(),
        ];
        if looked_at.into_iter().filter(|given| *given).count() != 1 {
            return Err(BadCases(
                "a probe has exactly one of tcp, http, run, file, directory, link, serial".to_owned(),
            ));
        }
        match &self.fail {
            Some(word) if failure_kind(word).is_none() => Err(BadCases(format!(
                "`fail` is `{word}`; it is one of not-granted, not-available, unreachable, timed-out, invalid"
            ))),
            _ => Ok(()),
        }
    }
}

fn failure_kind(word: &str) -> Option<ProbeFailureKind> {
    Some(match word {
        "not-granted" => ProbeFailureKind::NotGranted,
        "not-available" => ProbeFailureKind::NotAvailable,
        "unreachable" => ProbeFailureKind::Unreachable,
        "timed-out" => ProbeFailureKind::TimedOut,
        "invalid" => ProbeFailureKind::Invalid,
        _ => return None,
    })
}
