//! A file of cases as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value as Toml};

use super::{BadCases, Case, Function, expect, history, probes, question, script};

/// A file: what all its cases share, and the cases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// A line about the file, for people.
    #[serde(rename = "about")]
    pub _about: Option<String>,
    pub zone: Option<String>,
    pub now: Option<Toml>,
    pub function: Option<String>,
    pub workload: Option<String>,
    #[serde(default)]
    pub settings: Table,
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default, rename = "case")]
    pub cases: Vec<Entry>,
}

/// A case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub function: Option<String>,
    pub zone: Option<String>,
    pub now: Option<Toml>,
    pub workload: Option<String>,
    #[serde(default)]
    pub settings: Table,

    // retention
    pub calendar: Option<Vec<String>>,
    pub tier_names: Option<Vec<String>>,
    pub history: Option<history::OneOrMore>,
    #[serde(default)]
    pub backups: Vec<history::Explicit>,
    #[serde(default)]
    pub change: Vec<history::Change>,

    // validation
    pub request: Option<question::RequestEntry>,

    // alert-sink
    pub alert: Option<question::AlertEntry>,
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub answers: Vec<script::AnswerEntry>,

    // health-check
    pub restored: Option<question::RestoredEntry>,
    #[serde(default)]
    pub probes: Vec<probes::ProbeEntry>,

    pub expect: Table,
}

pub fn parse(text: &str) -> Result<Vec<Case>, BadCases> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        BadCases(format!("line {line}: {}", error.message().replace('\n', " ")))
    })?;
    if file.cases.is_empty() {
        return Err(BadCases("no cases: each begins with `[[case]]`".to_owned()));
    }
    file.cases
        .iter()
        .map(|entry| case(&file, entry).map_err(|BadCases(why)| BadCases(format!("case `{}`: {why}", entry.name))))
        .collect()
}

fn case(file: &File, entry: &Entry) -> Result<Case, BadCases> {
    let word = entry.function.as_deref().or(file.function.as_deref());
    let function = function(word.ok_or_else(|| BadCases("`function` is missing".to_owned()))?)?;
    only_what_belongs(function, entry)?;
    let mut secrets = file.secrets.clone();
    secrets.extend(entry.secrets.clone());
    Ok(Case {
        name: entry.name.clone(),
        function,
        question: question::question(function, file, entry)?,
        http: script::HttpScript::of(&entry.answers)?,
        probes: probes::ProbeScript::of(&entry.probes, file, entry)?,
        secrets,
        expect: expect::Expect::read(function, &entry.expect)?,
    })
}

fn function(word: &str) -> Result<Function, BadCases> {
    let all = [Function::Tiers, Function::Release, Function::Check, Function::Deliver, Function::Health];
    all.into_iter()
        .find(|function| function.word() == word)
        .ok_or_else(|| BadCases(format!("`function` is `{word}`; it is one of tiers, release, check, deliver, health")))
}

/// A key that the function never looks at is a mistake, not a decoration.
fn only_what_belongs(function: Function, entry: &Entry) -> Result<(), BadCases> {
    let retention = matches!(function, Function::Tiers | Function::Release);
    let given = [
        ("calendar", entry.calendar.is_some(), function == Function::Tiers),
        ("tier_names", entry.tier_names.is_some(), retention),
        ("history", entry.history.is_some(), retention),
        ("backups", !entry.backups.is_empty(), retention),
        ("change", !entry.change.is_empty(), retention),
        ("request", entry.request.is_some(), function == Function::Check),
        ("alert", entry.alert.is_some(), function == Function::Deliver),
        ("answers", !entry.answers.is_empty(), function == Function::Deliver),
        ("secrets", !entry.secrets.is_empty(), function == Function::Deliver),
        ("restored", entry.restored.is_some(), function == Function::Health),
        ("probes", !entry.probes.is_empty(), function == Function::Health),
    ];
    match given.into_iter().find(|(_, given, belongs)| *given && !belongs) {
        Some((key, ..)) => Err(BadCases(format!("`{key}` means nothing for `{}`: take it out", function.word()))),
        None => Ok(()),
    }
}
