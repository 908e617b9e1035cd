//! `status` and `doctor`.

use backstop_ops::doctor::{Diagnosis, Gravity};
use backstop_ops::status::{Status, WorkloadStatus};

use super::agenda;
use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant, place, rough, span};

/// Workloads shown in full; of more, a line each.
const FULL: usize = 8;
/// Lines of the agenda shown without `-v`.
const DUE_SHOWN: usize = 8;

/// How everything stands.
pub fn status(look: &Look, status: &Status) -> String {
    let mut out = String::new();
    if status.workloads.is_empty() {
        out.push_str("nothing is protected yet\n\nnext: `backstop backup configure NAME --path DIR`\n");
    } else if status.workloads.len() <= FULL || look.verbose > 0 {
        let each: Vec<String> = status.workloads.iter().map(|workload| full(look, workload)).collect();
        out.push_str(&each.join("\n"));
    } else {
        out.push_str(&brief(look, &status.workloads));
    }
    if !status.vaults.is_empty() {
        out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, "vaults")));
        let mut table = Table::new(2).right(&[2]);
        for vault in &status.vaults {
            let newest = vault.newest.map_or_else(|| "empty".to_owned(), |at| format!("newest {}", look.age(at)));
            let copies = counted(vault.copies, "copy");
            table.row([vault.vault.to_string(), vault.region.to_string(), copies, newest, vault.url.clone()]);
        }
        out.push_str(&table.text());
    }
    if !status.policies.is_empty() {
        out.push_str(&format!("\n{}\n", look.paint(Tone::Bad, "policies not in force")));
        for policy in &status.policies {
            out.push_str(&format!("  {}: {}; meanwhile {}\n", policy.policy, policy.why, policy.safe_default));
        }
    }
    if status.due.is_empty() {
        out.push_str(&format!("\n{}\n", look.paint(Tone::Good, "nothing is due")));
    } else {
        let shown = if look.verbose > 0 { status.due.len() } else { status.due.len().min(DUE_SHOWN) };
        out.push_str(&format!("\n{} ({})\n", look.paint(Tone::Strong, "due"), status.due.len()));
        out.push_str(&agenda::lines(look, &status.due[..shown]));
        if shown < status.due.len() {
            out.push_str(&format!("  and {} more; `backstop agenda` shows them\n", status.due.len() - shown));
        }
        out.push_str("\nnext: do it: `backstop agenda --run`\n");
    }
    out
}

fn full(look: &Look, status: &WorkloadStatus) -> String {
    let state = match (status.configured, status.enabled) {
        (false, _) => " (configured no more)",
        (true, false) => " (disabled)",
        (true, true) => "",
    };
    let mut out = format!("{}{state}\n", look.paint(Tone::Strong, status.workload.as_str()));
    let mut facts = Table::new(2);
    let last = status.last_backup.map_or_else(|| look.paint(Tone::Bad, "none"), |at| look.dated(at));
    let counts = [(status.partial, "partial"), (status.held, "held"), (status.trashed, "in the trash")];
    let counts: Vec<String> = std::iter::once(format!("{} kept", status.backups))
        .chain(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")))
        .collect();
    facts.row(["last backup".to_owned(), format!("{last}, {}; {}", status.size, counts.join(", "))]);
    if let Some(next) = status.next_backup {
        facts.row(["next backup".to_owned(), look.dated(next)]);
    }
    if let Some(rpo) = status.rpo_millis {
        let now =
            status.exposure_millis.map_or_else(|| "everything".to_owned(), |age| format!("{} of data", rough(age)));
        let (tone, word) = if status.rpo_met == Some(true) { (Tone::Good, "within") } else { (Tone::Bad, "more than") };
        let words = look.paint(tone, &format!("{now}, {word} the {} accepted", span(rpo)));
        facts.row(["would lose".to_owned(), words]);
        let also = |age: Option<u64>| age.map_or_else(|| "everything".to_owned(), rough);
        let mut from = vec![format!("{} counting what is proved", also(status.proved_exposure_millis))];
        if status.places.len() > 1 {
            from.push(format!("{} what is off-site", also(status.offsite_exposure_millis)));
        }
        facts.row([String::new(), from.join(", ")]);
    }
    let places: Vec<String> = status
        .places
        .iter()
        .map(|at| {
            let missing = if at.missing > 0 { format!(", lacks {}", at.missing) } else { String::new() };
            format!("{} {}{missing}", place(&at.place), at.copies)
        })
        .collect();
    facts.row(["copies".to_owned(), places.join("; ")]);
    if status.lost > 0 {
        facts.row(["lost".to_owned(), look.paint(Tone::Bad, &counted(u64::from(status.lost), "copy"))]);
    }
    if let Some(level) = status.promised {
        let oldest = status.oldest_proof.map_or_else(|| "none".to_owned(), |at| format!("oldest {}", look.age(at)));
        let missing = match status.unproved_copies {
            0 => String::new(),
            some => look.paint(Tone::Warning, &format!("; {} not proved", counted(u64::from(some), "copy"))),
        };
        facts.row(["proofs".to_owned(), format!("to {level} {}: {oldest}{missing}", level.word())]);
    }
    let tested = status.last_dr_test.map_or_else(|| "never passed".to_owned(), |at| format!("passed {}", look.age(at)));
    facts.row(["DR test".to_owned(), tested]);
    out.push_str(&facts.text());
    out
}

fn brief(look: &Look, all: &[WorkloadStatus]) -> String {
    let mut table = Table::new(0).right(&[2]);
    for status in all {
        let last = status.last_backup.map_or_else(|| look.paint(Tone::Bad, "no backup"), instant);
        let exposed = match status.rpo_met {
            Some(false) => look.paint(Tone::Bad, "over RPO"),
            Some(true) | None => String::new(),
        };
        let due = if status.due > 0 { format!("{} due", status.due) } else { String::new() };
        let unproved =
            if status.unproved_copies > 0 { format!("{} not proved", status.unproved_copies) } else { String::new() };
        table.row([status.workload.to_string(), last, format!("{} kept", status.backups), exposed, unproved, due]);
    }
    table.text()
}

/// What the doctor found.
pub fn diagnosis(look: &Look, diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    for finding in &diagnosis.findings {
        let (word, tone) = match finding.gravity {
            Gravity::Fine => ("fine", Tone::Good),
            Gravity::Note => ("note", Tone::Strong),
            Gravity::Warning => ("warning", Tone::Warning),
            Gravity::Error => ("error", Tone::Bad),
        };
        out.push_str(&format!("{} {}: {}\n", look.paint(tone, &format!("{word:>7}")), finding.subject, finding.what));
        if !finding.todo.is_empty() {
            out.push_str(&format!("        to do: {}\n", finding.todo));
        }
    }
    let count = |gravity| diagnosis.findings.iter().filter(|finding| finding.gravity == gravity).count() as u64;
    let (errors, warnings) = (count(Gravity::Error), count(Gravity::Warning));
    out.push_str(&match (errors, warnings) {
        (0, 0) => "nothing stands in the way of a backup or a restore\n".to_owned(),
        _ => format!("{}, {}\n", counted(errors, "error"), counted(warnings, "warning")),
    });
    out
}
