//! `backup configure`, `backup disable`, `backup config-show`, `config check`.

use backstop_model::policy::validation::Ruling;
use backstop_model::{ExitCode, Tier};
use backstop_ops::config_check::Checked;
use backstop_ops::config_show::{PlaceShown, Shown};
use backstop_ops::configure::{Configured, Effect};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant, span};

/// What was written.
pub fn configured(look: &Look, configured: &Configured, dry_run: bool) -> String {
    let name = &configured.workload.workload;
    let file = configured.file.display();
    let mut out = match (dry_run, configured.written, configured.created) {
        (true, ..) => format!("would write {file}\n"),
        (false, false, _) => format!("`{name}` is configured so already; nothing was written\n"),
        (false, true, true) => format!("`{name}` is protected from now on, as {file} says\n"),
        (false, true, false) => format!("changed `{name}` in {file}\n"),
    };
    for change in &configured.changes {
        let line = format!("  {}: {}", change.subject, change.what);
        out.push_str(&match change.effect {
            Effect::Weakens => look.paint(Tone::Warning, &format!("{line} (weakens protection)")),
            Effect::Strengthens | Effect::Neutral => line,
        });
        out.push('\n');
    }
    for note in &configured.notes {
        out.push_str(&format!("  {} {note}\n", look.paint(Tone::Warning, "note:")));
    }
    out.push('\n');
    out.push_str(&workload(look, &configured.workload));
    if configured.written && configured.created {
        out.push_str(&format!("\nnext: make the first backup: `backstop backup trigger {name}`\n"));
    }
    out
}

/// One workload as it is configured.
pub fn workload(look: &Look, shown: &Shown) -> String {
    let state = if shown.enabled { "enabled" } else { "disabled: nothing new is backed up on schedule" };
    let mut out = format!("{} ({state})\n", look.paint(Tone::Strong, shown.workload.as_str()));
    let mut facts = Table::new(2);
    for (index, path) in shown.paths.iter().enumerate() {
        facts.row([if index == 0 { "protects" } else { "" }.to_owned(), path.display().to_string()]);
    }
    if !shown.exclude.is_empty() {
        facts.row(["leaves out".to_owned(), shown.exclude.join(" ")]);
    }
    facts.row(["schedule".to_owned(), format!("{}, days begin in {}", shown.schedule, shown.timezone)]);
    for tier in &shown.tiers {
        let unit = match tier.tier {
            Tier::Daily => "day",
            Tier::Weekly => "week",
            Tier::Monthly => "month",
            Tier::Named(_) => "period",
        };
        let last = tier.last.map_or_else(|| "none yet".to_owned(), |at| format!("last {}", instant(at)));
        let words = format!("{}, {} kept; {last}", tier.at, counted(u64::from(tier.keep), unit));
        facts.row([tier.tier.to_string(), words]);
    }
    facts.row(["home".to_owned(), place(&shown.home)]);
    let copies: Vec<String> = shown.copies.iter().map(place).collect();
    facts.row(["copies".to_owned(), if copies.is_empty() { "none".to_owned() } else { copies.join(", ") }]);
    facts.row(["may lose".to_owned(), format!("{} of data (RPO)", span(shown.rpo_millis))]);
    facts.row(["may take".to_owned(), format!("{} to restore (RTO)", span(shown.rto_millis))]);
    let verify = shown.verify.map_or_else(
        || "no promise".to_owned(),
        |rule| format!("every copy to {} {} every {}", rule.level, rule.level.word(), span(rule.every_millis)),
    );
    facts.row(["proofs".to_owned(), verify]);
    let rehearsed = |every: u64| format!("every {}", span(every));
    facts.row(["DR test".to_owned(), shown.dr_test_every_millis.map_or_else(|| "no promise".to_owned(), rehearsed)]);
    if let Some(every) = shown.full_every_millis {
        facts.row(["full read".to_owned(), format!("every {}", span(every))]);
    }
    if let Some(health) = &shown.health {
        facts.row(["healthy if".to_owned(), format!("`{}` succeeds", health.join(" "))]);
    }
    let next = shown.next.map_or_else(String::new, |at| format!("; next due {}", look.dated(at)));
    facts.row(["backups".to_owned(), format!("{}{next}", shown.backups)]);
    facts.row(["file".to_owned(), shown.file.display().to_string()]);
    out.push_str(&facts.text());
    out
}

fn place(shown: &PlaceShown) -> String {
    let region = shown.region.as_ref().map_or_else(String::new, |region| format!(" ({region})"));
    format!("{}{region}", shown.place)
}

/// What is wrong with the configuration.
pub fn checked(look: &Look, checked: &Checked) -> String {
    let mut out = String::new();
    for problem in &checked.problems {
        out.push_str(&format!("{problem}\n\n"));
    }
    let dir = checked.config_dir.display();
    let files = counted(checked.files.len() as u64, "file");
    if !checked.valid {
        let count = counted(checked.problems.len() as u64, "problem");
        out.push_str(&look.paint(Tone::Bad, &format!("{count} in {files} of {dir}")));
        out.push('\n');
        return out;
    }
    let verdict = match checked.not_in_force.as_slice() {
        [] if checked.code() == ExitCode::Refused => "reads well, but a policy denies it".to_owned(),
        [] => "is valid".to_owned(),
        [_] => "reads well, but a policy is not in force".to_owned(),
        several => format!("reads well, but {} policies are not in force", several.len()),
    };
    out.push_str(&format!(
        "{dir} {verdict}: {files}, {}, {}, {}\n",
        counted(checked.vaults as u64, "vault"),
        counted(checked.schedules as u64, "schedule"),
        counted(checked.workloads as u64, "workload"),
    ));
    for policy in &checked.not_in_force {
        let line = format!("policy `{}` is not in force: {}", policy.policy, policy.why);
        out.push_str(&format!("  {}\n    meanwhile: {}\n", look.paint(Tone::Bad, &line), policy.safe_default));
    }
    for objection in &checked.objections {
        let tone = if objection.ruling == Ruling::Deny { Tone::Bad } else { Tone::Warning };
        out.push_str(&format!(
            "  {}\n",
            look.paint(tone, &format!("workload `{}`: {}", objection.workload, objection.line))
        ));
    }
    for note in &checked.notes {
        out.push_str(&format!("  {} {note}\n", look.paint(Tone::Warning, "note:")));
    }
    out
}
