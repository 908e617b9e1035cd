//! `policy …`.

use backstop_model::policy::LogLine;
use backstop_ops::policy_bench::Benched;
use backstop_ops::policy_explain::Explained;
use backstop_ops::policy_list::{File, Listed, Shown, Standing};
use backstop_ops::policy_new::Made;
use backstop_ops::policy_replay::Replayed;
use backstop_ops::policy_sign::{Keys, Signed, Verified};
use backstop_ops::policy_test::Tested;
use serde_json::Value;

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant};

pub use super::policy_future::{compared, simulated};

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or("-")
}

fn standing(look: &Look, standing: Standing) -> String {
    let tone = match standing {
        Standing::InForce => Tone::Good,
        Standing::Shadow => Tone::Faint,
        Standing::SteppedBack | Standing::NotLoaded => Tone::Bad,
    };
    look.paint(tone, standing.word())
}

/// Policies.
pub fn list(look: &Look, listed: &Listed) -> String {
    if listed.policies.is_empty() {
        return "no policies: `[policy.NAME]` in `policies/*.toml` binds one\n".to_owned();
    }
    let mut table = Table::new(0);
    for policy in &listed.policies {
        let faults = if policy.faults > 0 { counted(u64::from(policy.faults), "fault") } else { String::new() };
        table.row([
            policy.name.to_string(),
            policy.world.to_string(),
            policy.mode.clone(),
            standing(look, policy.standing),
            short(&policy.digest).to_owned(),
            policy.applies_to.join(" "),
            faults,
        ]);
    }
    let mut out = table.text();
    for policy in &listed.policies {
        if let Some(why) = &policy.why {
            out.push_str(&format!("\n{}: {why}\n  meanwhile: {}\n", policy.name, policy.safe_default));
        }
    }
    out
}

/// One policy.
pub fn one(look: &Look, shown: &Shown) -> String {
    let mut table = Table::new(2);
    let config = &shown.config;
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            table.row([key.to_owned(), value]);
        }
    };
    row("world", shown.world.to_string());
    row("mode", shown.mode.clone());
    row("stands", standing(look, shown.standing));
    row("because", shown.why.clone().unwrap_or_default());
    row("else", shown.safe_default.to_owned());
    row("for", if shown.applies_to.is_empty() { "every workload".to_owned() } else { shown.applies_to.join(" ") });
    row("component", config.component.display().to_string());
    row("sha256", shown.digest.clone());
    row("pinned", config.sha256.as_ref().map_or_else(|| "by its signer alone".to_owned(), |_| "by digest".to_owned()));
    row("signer", config.signer.as_ref().map(ToString::to_string).unwrap_or_default());
    if let Some(facts) = &shown.facts {
        row("size", backstop_model::Bytes(facts.size).to_string());
        row("built for", format!("backstop:policy {}", facts.wit_version));
        row("imports", facts.imports.join(" "));
        row("version", facts.manifest.as_ref().map(|m| format!("{} {}", m.name, m.version)).unwrap_or_default());
    }
    let grants = &config.grants;
    row("may reach", grants.http.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    row("secrets", grants.secrets.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" "));
    row("probes", grants.probes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    row("limits", format!("{} and {} MiB", config.limits.time, config.limits.memory >> 20));
    let promises: Vec<String> = config.promises.iter().map(|(tier, count)| format!("{count} of {tier}")).collect();
    row("promises", promises.join(", "));
    if let Some((at, fault)) = &shown.last_fault {
        row("last fault", format!("{}: {}", look.dated(*at), fault.message));
    }
    row("bound in", config.origin.display().to_string());
    format!("{}\n{}", look.paint(Tone::Strong, shown.name.as_str()), table.text())
}

/// A component's file.
pub fn file(file: &File) -> String {
    let facts = &file.facts;
    let mut table = Table::new(2);
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            table.row([key.to_owned(), value]);
        }
    };
    row("world", facts.world.to_string());
    row("built for", format!("backstop:policy {}", facts.wit_version));
    row("size", backstop_model::Bytes(facts.size).to_string());
    row("sha256", facts.sha256.clone());
    row("imports", facts.imports.join(" "));
    row("exports", facts.exports.join(" "));
    row("signature", if file.signed { "beside it; `backstop policy verify` checks it" } else { "none" }.to_owned());
    match &file.manifest {
        None => row("manifest", "none".to_owned()),
        Some(Err(why)) => row("manifest", format!("does not read: {why}")),
        Some(Ok(manifest)) => {
            row("manifest", format!("{} {}", manifest.name, manifest.version));
            row("about", manifest.description.trim().replace('\n', " "));
            row("asks http", manifest.asks.http.join(" "));
            row("asks secrets", manifest.asks.secrets.join(" "));
            row("asks probes", manifest.asks.probes.join(" "));
            for setting in &manifest.settings {
                let need = if setting.required { ", required" } else { "" };
                row("setting", format!("{} ({}{need}): {}", setting.key, setting.kind, setting.description));
            }
        }
    }
    format!("{}\n{}", file.path.display(), table.text())
}

/// A pair of keys.
pub fn keys(keys: &Keys) -> String {
    format!(
        "the secret key stands in {}: keep it off this machine\n\n[signer.NAME]\npublic_key = \"{}\"\n",
        keys.secret.display(),
        keys.public_key
    )
}

/// A signature.
pub fn signed(signed: &Signed) -> String {
    let covers = if signed.manifest { "component and manifest" } else { "component; there is no manifest" };
    format!("signed as {}\n  covers  {covers}\n  sha256  {}\n", signed.signature.display(), signed.sha256)
}

/// A signature that holds.
pub fn verified(verified: &Verified) -> String {
    format!(
        "the signature of {} holds for {}\n  sha256  {}\n",
        verified.signer,
        verified.component.display(),
        verified.sha256
    )
}

/// A project.
pub fn made(made: &Made) -> String {
    let files: String = made.files.iter().map(|file| format!("  {}\n", file.display())).collect();
    let commands: String = made.commands.iter().map(|command| format!("  {command}\n")).collect();
    format!("made {}\n{files}\nnext\n{commands}", made.dir.display())
}

/// Golden cases.
pub fn tested(look: &Look, tested: &Tested) -> String {
    let mut out = String::new();
    for case in &tested.cases {
        if case.differences.is_empty() {
            out.push_str(&format!("{} {}\n", look.paint(Tone::Good, "ok  "), case.name));
            continue;
        }
        out.push_str(&format!("{} {} ({})\n", look.paint(Tone::Bad, "FAIL"), case.name, case.file.display()));
        case.differences.iter().for_each(|line| out.push_str(&format!("       {line}\n")));
        case.log.iter().for_each(|line| out.push_str(&format!("       log: {line}\n")));
    }
    out.push_str(&format!("{} of {} passed\n", tested.passed, tested.passed + tested.failed));
    out
}

/// Times.
pub fn benched(benched: &Benched) -> String {
    let mut table = Table::new(2).right(&[1, 2, 3, 4]);
    table.row(["", "calls", "median", "1 in 100", "fuel"].map(str::to_owned));
    for timed in &benched.questions {
        let micros = |micros: f64| format!("{micros:.1} µs");
        let [median, slow] = [timed.median_micros, timed.p99_micros].map(micros);
        table.row([timed.question.clone(), timed.calls.to_string(), median, slow, timed.fuel.to_string()]);
    }
    let mut out = format!(
        "{}\n  loaded in {:.1} ms\n{}",
        benched.component.display(),
        benched.load_micros as f64 / 1000.0,
        table.text()
    );
    for timed in benched.questions.iter().filter_map(|timed| timed.fault.as_ref().map(|fault| (timed, fault))) {
        out.push_str(&format!("  {}: no answer: {}\n", timed.0.question, timed.1));
    }
    out
}

/// Explanations.
pub fn explained(look: &Look, explained: &[Explained]) -> String {
    explained.iter().map(|one| explanation(look, one)).collect::<Vec<_>>().join("\n")
}

fn explanation(look: &Look, one: &Explained) -> String {
    let about = one.workload.as_ref().map_or(String::new(), |workload| format!(" about {workload}"));
    let mut out = format!("{} {}{about}\n", look.paint(Tone::Strong, one.policy.as_str()), one.function);
    let mut table = Table::new(2);
    let mut row = |key: &str, value: String| table.row([key.to_owned(), value]);
    row("stands", one.standing.to_owned());
    if let Some(decision) = &one.recorded {
        row("decision", format!("{} of {}", decision.id, look.dated(decision.at)));
        row("effect", decision.effect.clone());
        row("said", said(&decision.answer, &one.question));
        log(&decision.log).into_iter().for_each(|line| row("log", line));
    }
    summary(&one.question).into_iter().for_each(|line| row("asked", line));
    if let Some(now) = &one.now {
        let what = match one.same {
            Some(true) => "the same".to_owned(),
            Some(false) | None => said(&now.answer, &one.question),
        };
        row(if one.recorded.is_some() { "says now" } else { "says" }, what);
        if one.recorded.is_none() {
            log(&now.log).into_iter().for_each(|line| row("log", line));
        }
        if now.log_dropped > 0 {
            row("log", format!("and {}", counted(u64::from(now.log_dropped), "more line")));
        }
        row("took", format!("{}, {} of fuel", now.took.human(), now.fuel));
        if let Err(fault) = &now.answer {
            fault.backtrace.iter().for_each(|frame| row("at", frame.clone()));
            row("so", one.safe_default.to_owned());
        }
    }
    out.push_str(&table.text());
    out
}

fn log(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.line.clone()).collect()
}

/// A question in a few lines.
fn summary(question: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(backups) = question["backups"].as_array() {
        let releasable = backups.iter().filter(|backup| backup["releasable"] == true).count();
        lines.push(format!("{}, {releasable} of them releasable", counted(backups.len() as u64, "backup")));
    }
    if let Some(calendar) = question["calendar"].as_array() {
        let tiers: Vec<&str> = calendar.iter().filter_map(Value::as_str).collect();
        lines.push(format!("the calendar gives {}", tiers.join(", ")));
    }
    if let Some(request) = question.get("request") {
        let text = |key: &str| request[key].as_str().unwrap_or("-").to_owned();
        lines.push(format!("{} of {} by {}", text("verb"), text("workload"), text("by")));
        for field in request["fields"].as_array().into_iter().flatten() {
            lines.push(format!("{} = {}", field["key"].as_str().unwrap_or("?"), field["value"]));
        }
    }
    if let Some(settings) = question["settings"].as_array().filter(|settings| !settings.is_empty()) {
        let one = |field: &Value| format!("{} = {}", field["key"].as_str().unwrap_or("?"), field["value"]);
        lines.push(format!("settings: {}", settings.iter().map(one).collect::<Vec<_>>().join(", ")));
    }
    lines
}

/// An answer in words, by the names in its question.
fn said(answer: &Result<Value, backstop_model::policy::Fault>, question: &Value) -> String {
    let value = match answer {
        Err(fault) => return format!("no answer: {}", fault.message),
        Ok(value) => value,
    };
    let name = |verdict: &Value| {
        let at = usize::try_from(verdict["backup"].as_u64()?).ok()?;
        question["backups"].as_array()?.get(at)?["name"].as_str().map(str::to_owned)
    };
    match value.as_array() {
        Some(list) if list.is_empty() => "nothing".to_owned(),
        Some(list) if list[0].get("backup").is_some() => {
            let line = |verdict: &Value| {
                let word = if verdict["release"] == true { "may go" } else { "stays" };
                let why = verdict["reason"].as_str().filter(|why| !why.is_empty());
                let why = why.map_or(String::new(), |why| format!(" ({why})"));
                format!("{}: {word}{why}", name(verdict).unwrap_or_default())
            };
            list.iter().map(line).collect::<Vec<_>>().join("; ")
        }
        Some(list) if list[0].get("ruling").is_some() => {
            let line = |finding: &Value| {
                let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
                format!("{}: {}", text("ruling"), text("message"))
            };
            list.iter().map(line).collect::<Vec<_>>().join("; ")
        }
        Some(_) => value.to_string(),
        None => added(value),
    }
}

/// Tiers in words; any other answer as it is.
fn added(value: &Value) -> String {
    let Some(tiers) = value["tiers"].as_array() else { return value.to_string() };
    let tiers: Vec<&str> = tiers.iter().filter_map(Value::as_str).collect();
    let why = value["reason"].as_str().filter(|why| !why.is_empty()).map_or(String::new(), |why| format!(" ({why})"));
    if tiers.is_empty() { format!("no tiers{why}") } else { format!("{}{why}", tiers.join(", ")) }
}

/// Differences.
pub fn replayed(look: &Look, replayed: &Replayed) -> String {
    let mut out = String::new();
    for difference in &replayed.differences {
        let about = difference.workload.as_ref().map_or(String::new(), |workload| format!(" {workload}"));
        let head =
            format!("decision {} ({}{about}, {})", difference.decision, difference.function, instant(difference.at));
        out.push_str(&format!("{}\n", look.paint(Tone::Warning, &head)));
        difference.lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    let left = replayed.difference_count.saturating_sub(replayed.differences.len() as u64);
    if left > 0 {
        out.push_str(&format!("and {left} more\n"));
    }
    let faults = if replayed.faults > 0 { format!(", no answer to {}", replayed.faults) } else { String::new() };
    let asked = counted(replayed.decisions, "decision");
    out.push_str(&format!(
        "asked again {asked}: {} the same, {} different{faults}\n",
        replayed.same, replayed.difference_count
    ));
    out
}
