//! What an answer must be, and how it differs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use toml::Table;

use super::{BadCases, Case, Function, Sent};

/// What an answer must be.
#[derive(Debug, Clone)]
pub struct Expect {
    wanted: Wanted,
}

#[derive(Debug, Clone)]
enum Wanted {
    /// The policy finds no answer and says this.
    Error(String),
    Tiers(Tiers),
    Release(Release),
    Check(Check),
    Deliver(Deliver),
    Health(Health),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failing {
    error: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiers {
    tiers: BTreeSet<String>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    /// Exactly these are kept: they have no verdict, or one that keeps.
    kept: Option<Several>,
    /// Exactly these may be released.
    released: Option<Several>,
    #[serde(default)]
    keeps: Vec<String>,
    #[serde(default)]
    releases: Vec<String>,
    #[serde(default)]
    reasons: BTreeMap<String, String>,
}

/// Names, or only how many.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Several {
    Count(usize),
    Names(BTreeSet<String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    accepted: Option<bool>,
    ruling: Option<String>,
    findings: Option<Vec<Ruling>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruling {
    ruling: Option<String>,
    field: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deliver {
    delivery: String,
    id: Option<String>,
    note: Option<String>,
    /// Seconds; 0 for the agent's own schedule.
    after: Option<u64>,
    why: Option<String>,
    requests: Option<Vec<Request>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    json: Option<toml::Value>,
    #[serde(default)]
    contains: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Health {
    health: String,
    findings: Option<Vec<Looked>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Looked {
    name: Option<String>,
    passed: Option<bool>,
    detail: Option<String>,
}

impl Expect {
    pub(super) fn read(function: Function, table: &Table) -> Result<Self, BadCases> {
        fn read<T: serde::de::DeserializeOwned>(table: &Table) -> Result<T, BadCases> {
            table.clone().try_into().map_err(|error: toml::de::Error| BadCases(format!("expect: {}", error.message())))
        }
        if table.is_empty() {
            return Err(BadCases("`expect` is empty, so every answer would do".to_owned()));
        }
        if table.contains_key("error") {
            return Ok(Self { wanted: Wanted::Error(read::<Failing>(table)?.error) });
        }
        let wanted = match function {
            Function::Tiers => Wanted::Tiers(read(table)?),
            Function::Release => Wanted::Release(read(table)?),
            Function::Check => Wanted::Check(read(table)?),
            Function::Deliver => Wanted::Deliver(read(table)?),
            Function::Health => Wanted::Health(read(table)?),
        };
        Ok(Self { wanted })
    }
}

pub fn differences(case: &Case, answer: Result<&Value, &str>, sent: &[Sent]) -> Vec<String> {
    let mut found = Vec::new();
    match (&case.expect.wanted, answer) {
        (Wanted::Error(part), Err(said)) => part_of("error", part, said, &mut found),
        (Wanted::Error(part), Ok(answer)) => found.push(format!("expected the error `{part}`, got {answer}")),
        (_, Err(said)) => found.push(format!("no answer: {said}")),
        (Wanted::Tiers(wanted), Ok(answer)) => wanted.compare(answer, &mut found),
        (Wanted::Release(wanted), Ok(answer)) => wanted.compare(&case.backup_names(), answer, &mut found),
        (Wanted::Check(wanted), Ok(answer)) => wanted.compare(answer, &mut found),
        (Wanted::Deliver(wanted), Ok(answer)) => wanted.compare(answer, sent, &mut found),
        (Wanted::Health(wanted), Ok(answer)) => wanted.compare(answer, &mut found),
    }
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn part_of(what: &str, part: &str, whole: &str, found: &mut Vec<String>) {
    if !whole.contains(part) {
        found.push(format!("{what}: expected `{part}` in `{whole}`"));
    }
}

fn equal(what: &str, wanted: &str, got: &str, found: &mut Vec<String>) {
    if wanted != got {
        found.push(format!("{what}: expected `{wanted}`, got `{got}`"));
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{} … ({n} in all)", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

impl Tiers {
    fn compare(&self, answer: &Value, found: &mut Vec<String>) {
        let tiers = answer.get("tiers").and_then(Value::as_array);
        let got: BTreeSet<&str> = tiers.into_iter().flatten().filter_map(Value::as_str).collect();
        let wanted: BTreeSet<&str> = self.tiers.iter().map(String::as_str).collect();
        if got != wanted {
            found.push(format!("tiers: expected {}, got {}", list(wanted), list(got)));
        }
        if let Some(reason) = &self.reason {
            part_of("reason", reason, text(answer, "reason"), found);
        }
    }
}

impl Release {
    fn compare(&self, names: &[&str], answer: &Value, found: &mut Vec<String>) {
        let mut reasons = BTreeMap::new();
        let mut released = BTreeSet::new();
        for verdict in answer.as_array().into_iter().flatten() {
            let position = verdict.get("backup").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            let Some(name) = position.and_then(|at| names.get(at)) else {
                found.push(format!("a verdict about a backup that is not in the question: {verdict}"));
                continue;
            };
            if reasons.insert(*name, text(verdict, "reason")).is_some() {
                found.push(format!("two verdicts about {name}"));
            }
            if verdict.get("release") == Some(&Value::Bool(true)) {
                released.insert(*name);
            }
        }
        let kept: BTreeSet<&str> = names.iter().copied().filter(|name| !released.contains(name)).collect();
        several("kept", self.kept.as_ref(), &kept, names, found);
        several("released", self.released.as_ref(), &released, names, found);
        for (wanted, got, what) in [(&self.keeps, &kept, "keeps"), (&self.releases, &released, "releases")] {
            let lacking: Vec<&str> = wanted.iter().map(String::as_str).filter(|name| !got.contains(name)).collect();
            if !lacking.is_empty() {
                found.push(format!("{what}: lacks {}", list(lacking)));
            }
        }
        for (name, reason) in &self.reasons {
            part_of(&format!("reason for {name}"), reason, reasons.get(name.as_str()).unwrap_or(&""), found);
        }
    }
}

fn several(what: &str, wanted: Option<&Several>, got: &BTreeSet<&str>, names: &[&str], found: &mut Vec<String>) {
    match wanted {
        None => {}
        Some(Several::Count(count)) if got.len() == *count => {}
        Some(Several::Count(count)) => {
            let shown = list(names.iter().copied().filter(|name| got.contains(name)));
            found.push(format!("{what}: expected {count}, got {}: {shown}", got.len()));
        }
        Some(Several::Names(wanted)) => {
            let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
            let lacking: Vec<&str> = wanted.difference(got).copied().collect();
            let beyond: Vec<&str> = got.difference(&wanted).copied().collect();
            if !lacking.is_empty() {
                found.push(format!("{what}: lacks {}", list(lacking)));
            }
            if !beyond.is_empty() {
                found.push(format!("{what}: also {}", list(beyond)));
            }
        }
    }
}

impl Check {
    fn compare(&self, answer: &Value, found: &mut Vec<String>) {
        let findings: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
        let said = list(findings.iter().map(|finding| text(finding, "message")));
        if self.accepted == Some(true) && !findings.is_empty() {
            found.push(format!("expected no findings, got {said}"));
        }
        if self.accepted == Some(false) && findings.is_empty() {
            found.push("expected findings, got none".to_owned());
        }
        if let Some(wanted) = &self.ruling {
            let severity = |word: &str| ["warn", "ask-approval", "deny"].iter().position(|one| *one == word);
            let strictest = findings.iter().map(|one| text(one, "ruling")).max_by_key(|word| severity(word));
            equal("ruling", wanted, strictest.unwrap_or("accepted"), found);
        }
        if let Some(wanted) = &self.findings {
            let fits = |wanted: &Ruling, got: &Value| {
                wanted.ruling.as_deref().is_none_or(|ruling| ruling == text(got, "ruling"))
                    && wanted.field.as_deref().is_none_or(|field| field == text(got, "field"))
                    && wanted.message.as_deref().is_none_or(|part| text(got, "message").contains(part))
            };
            match_all("finding", wanted, &findings, fits, found);
        }
    }
}

/// Each expectation takes one thing of its own, and nothing is left over.
fn match_all<W: std::fmt::Debug>(
    what: &str,
    wanted: &[W],
    got: &[&Value],
    fits: impl Fn(&W, &Value) -> bool,
    found: &mut Vec<String>,
) {
    let mut left: Vec<&Value> = got.to_vec();
    for one in wanted {
        match left.iter().position(|candidate| fits(one, candidate)) {
            Some(position) => {
                left.remove(position);
            }
            None => found.push(format!("no {what} is {one:?}")),
        }
    }
    found.extend(left.into_iter().map(|value| format!("{what} not expected: {value}")));
}

impl Deliver {
    fn compare(&self, answer: &Value, sent: &[Sent], found: &mut Vec<String>) {
        equal("delivery", &self.delivery, text(answer, "delivery"), found);
        if let Some(id) = &self.id {
            equal("id", id, text(answer, "id"), found);
        }
        if let Some(note) = &self.note {
            part_of("note", note, text(answer, "note"), found);
        }
        if let Some(why) = &self.why {
            part_of("why", why, text(answer, "why"), found);
        }
        if let Some(after) = self.after {
            let got = seconds(text(answer, "after"));
            if got != Some(after) {
                found.push(format!("after: expected {after} s, got {got:?}"));
            }
        }
        let Some(requests) = &self.requests else { return };
        if requests.len() != sent.len() {
            let urls = list(sent.iter().map(|sent| sent.url.as_str()));
            found.push(format!("requests: expected {}, got {}: {urls}", requests.len(), sent.len()));
        }
        for (number, (request, sent)) in requests.iter().zip(sent).enumerate() {
            request.compare(number + 1, sent, found);
        }
    }
}

/// Seconds of a span as the agent writes it, `60s` or `5m`; 0 when there is none.
fn seconds(span: &str) -> Option<u64> {
    if span.is_empty() {
        return Some(0);
    }
    let split = span.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = span[..split].parse().ok()?;
    let unit = match &span[split..] {
        "ms" => return Some(number / 1000),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number * unit)
}

impl Request {
    fn compare(&self, number: usize, sent: &Sent, found: &mut Vec<String>) {
        let what = |field: &str| format!("request {number}, {field}");
        let body = String::from_utf8_lossy(&sent.body);
        if let Some(method) = &self.method {
            equal(&what("method"), method, &sent.method, found);
        }
        if let Some(url) = &self.url {
            equal(&what("url"), &with_path(url), &with_path(&sent.url), found);
        }
        for (name, value) in &self.headers {
            let got = sent.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
            equal(&what(name), value, got.map_or("nothing", |(_, value)| value), found);
        }
        if let Some(wanted) = &self.body {
            equal(&what("body"), wanted, &body, found);
        }
        for part in &self.contains {
            part_of(&what("body"), part, &body, found);
        }
        if let Some(wanted) = &self.json {
            match (serde_json::to_value(wanted), serde_json::from_slice::<Value>(&sent.body)) {
                (Ok(wanted), Ok(got)) => within(&what("body"), &wanted, &got, found),
                _ => found.push(format!("{}: not JSON: `{body}`", what("body"))),
            }
        }
    }
}

/// A URL without a path asks for `/`: `https://a.example` and `https://a.example/` are the same.
fn with_path(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) if !rest.contains(['/', '?', '#']) => format!("{url}/"),
        _ => url.to_owned(),
    }
}

/// Everything wanted is there and equal; objects may have more keys.
fn within(place: &str, wanted: &Value, got: &Value, found: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, wanted) in wanted {
                within(&format!("{place}.{key}"), wanted, got.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            for (at, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                within(&format!("{place}[{at}]"), wanted, got, found);
            }
        }
        _ if wanted == got => {}
        _ => found.push(format!("{place}: expected {wanted}, got {got}")),
    }
}

impl Health {
    fn compare(&self, answer: &Value, found: &mut Vec<String>) {
        equal("health", &self.health, text(answer, "health"), found);
        let Some(wanted) = &self.findings else { return };
        let fits = |wanted: &Looked, got: &Value| {
            wanted.name.as_deref().is_none_or(|name| name == text(got, "name"))
                && wanted.passed.is_none_or(|passed| got.get("passed") == Some(&Value::Bool(passed)))
                && wanted.detail.as_deref().is_none_or(|part| text(got, "detail").contains(part))
        };
        let findings: Vec<&Value> = answer.get("findings").and_then(Value::as_array).into_iter().flatten().collect();
        match_all("finding", wanted, &findings, fits, found);
    }
}
