//! `backup show`, `backup hold`, `backup release-hold`.

use backstop_model::{BackupState, ProofKind};
use backstop_ops::hold::Held;
use backstop_ops::row::{Check, CopyRow, Row};
use backstop_ops::show::{Contents, Shown};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, grouped, instant, millis};

/// One backup.
pub fn backup(look: &Look, shown: &Shown) -> String {
    let row = &shown.backup;
    let mut out = format!("{}\n", look.paint(Tone::Strong, row.name.as_str()));
    let mut facts = Table::new(2);
    facts.row(["workload".to_owned(), row.workload.to_string()]);
    facts.row(["state of".to_owned(), format!("{} UTC ({})", instant(row.created), look.age(row.created))]);
    facts.row(["tiers".to_owned(), tiers(row)]);
    facts.row(["size".to_owned(), format!("{} in {}", row.size, counted(row.entries, "entry"))]);
    let based = row.based_on.as_ref().map_or_else(String::new, |base| format!(", compared with {base}"));
    facts.row(["read".to_owned(), format!("{}{based}", row.mode)]);
    if !row.complete {
        let words = format!("{} missing or torn", counted(row.troubles, "entry"));
        facts.row(["partial".to_owned(), look.paint(Tone::Warning, &words)]);
    }
    match row.state {
        BackupState::Present => {}
        BackupState::Trashed { since, purge_after } => {
            let words = format!("since {}, purged {}", instant(since), look.age(purge_after));
            facts.row(["in the trash".to_owned(), words]);
        }
        BackupState::Purged { at } => facts.row(["purged".to_owned(), look.dated(at)]),
    }
    if let Some(hold) = &row.hold {
        facts.row(["held".to_owned(), format!("by {} since {}: {}", hold.by, instant(hold.since), hold.reason)]);
    }
    if let Some(keep) = &row.keep {
        let word = if keep.keep { "kept" } else { "past retention" };
        for (index, reason) in keep.reasons.iter().enumerate() {
            facts.row([if index == 0 { word.to_owned() } else { String::new() }, reason.clone()]);
        }
        if let Some(at) = keep.expires.filter(|_| keep.keep) {
            facts.row(["expires".to_owned(), look.dated(at)]);
        }
    }
    facts.row(["made by".to_owned(), format!("run {}", row.run)]);
    out.push_str(&facts.text());
    out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, "copies")));
    for copy in &row.copies {
        out.push_str(&one_copy(look, copy));
    }
    if let Some(found) = &shown.contents {
        out.push_str(&contents(look, found));
    }
    out
}

fn tiers(row: &Row) -> String {
    let names: Vec<String> = row.tiers.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn one_copy(look: &Look, copy: &CopyRow) -> String {
    let region = copy.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
    let mut out =
        format!("  {}{region}: {}; added {} {}\n", copy.place, look.proof(copy), copy.stored, look.age(copy.created));
    let mut table = Table::new(4).right(&[3]);
    for check in &copy.checks {
        table.row([
            instant(check.at),
            origin(check.kind).to_owned(),
            result(look, check),
            millis(check.took_millis),
            share(check),
            check.detail.clone(),
        ]);
    }
    out.push_str(&table.text());
    out
}

fn origin(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Write => "written",
        ProofKind::Verify => "verify",
        ProofKind::DrTest => "dr test",
        ProofKind::Restore => "restore",
    }
}

fn result(look: &Look, check: &Check) -> String {
    if check.passed {
        look.paint(Tone::Good, &format!("{} {}", check.level, check.level.word()))
    } else {
        look.paint(Tone::Bad, &format!("{} failed", check.level))
    }
}

fn share(check: &Check) -> String {
    match check.sample_ppm {
        0 | 1_000_000.. => String::new(),
        some => format!("{}% read", f64::from(some) / 10_000.0),
    }
}

fn contents(look: &Look, found: &Contents) -> String {
    let mut out = format!("\n{}", look.paint(Tone::Strong, "contents"));
    if let Some(place) = &found.place {
        out.push_str(&format!(" as listed at {place}"));
    }
    out.push('\n');
    let mut facts = Table::new(2);
    facts.row(["protects".to_owned(), found.roots.join(", ")]);
    facts.row(["made on".to_owned(), found.host.clone()]);
    let counts = [
        (found.files, "file"),
        (found.directories, "directory"),
        (found.symlinks, "symbolic link"),
        (found.others, "special file"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun)).collect();
    facts.row(["holds".to_owned(), counts.join(", ")]);
    out.push_str(&facts.text());
    let mut largest = Table::new(4).right(&[0]);
    for file in &found.largest {
        largest.row([file.size.to_string(), file.path.clone()]);
    }
    if !largest.is_empty() {
        out.push_str(&format!("  largest of {} files\n{}", grouped(found.files), largest.text()));
    }
    out
}

/// What was held, or is held no more.
pub fn held(held: &Held) -> String {
    let mut out = String::new();
    for row in &held.backups {
        out.push_str(&match &row.hold {
            Some(hold) => format!("{} is held: {}\n", row.name, hold.reason),
            None => format!("{} is held no more; retention decides about it\n", row.name),
        });
    }
    out
}
