//! `backup list` and `backup search`.

use std::collections::BTreeMap;

use backstop_model::{BackupState, Tier};
use backstop_ops::list::{Listed, Request};
use backstop_ops::row::Row;
use backstop_ops::search::Searched;

use crate::cli::table::{Table, width};
use crate::cli::words::{Look, Tone, counted, places};

/// The backups by tier.
pub fn list(look: &Look, request: &Request, listed: &Listed) -> String {
    let of = listed.workload.as_ref().map_or_else(|| "all workloads".to_owned(), ToString::to_string);
    let trashed = match listed.trashed {
        0 => String::new(),
        some => format!(", {some} in the trash"),
    };
    let title = if request.trash { "Released backups of" } else { "Backups of" };
    let mut out = look.paint(Tone::Strong, &format!("{title} {of}"));
    out.push_str(&format!(" ({} kept{trashed})\n", listed.kept));
    if listed.backups.is_empty() {
        out.push_str(&match (&listed.workload, listed.kept) {
            (Some(name), 0) => format!("\n  none yet; make one: `backstop backup trigger {name}`\n"),
            (None, 0) => "\n  none yet; protect something: `backstop backup configure NAME --path DIR`\n".to_owned(),
            _ => "\n  none that fit\n".to_owned(),
        });
        return out;
    }
    let mut groups: BTreeMap<Option<&Tier>, Vec<&Row>> = BTreeMap::new();
    for row in &listed.backups {
        groups.entry(row.tiers.last()).or_default().push(row);
    }
    for (tier, rows) in groups {
        let name = tier.map_or_else(|| "without a tier".to_owned(), ToString::to_string);
        out.push_str(&format!(
            "\n{} ({})\n{}",
            look.paint(Tone::Strong, &name),
            rows.len(),
            table(look, &rows, request)
        ));
    }
    if listed.cut {
        out.push_str(&format!("\nonly the newest {} are shown; `--limit 0` shows all\n", listed.backups.len()));
    }
    out
}

fn table(look: &Look, rows: &[&Row], request: &Request) -> String {
    let remarks = rows.iter().map(|row| {
        let mut remarks = remarks(look, row);
        if let (Some(_), Some(keep)) = (request.expiring, &row.keep) {
            remarks.extend(match keep.expires {
                _ if !keep.keep => Some("past retention".to_owned()),
                Some(at) => Some(format!("expires {}", look.age(at))),
                None => None,
            });
        }
        remarks.join(", ")
    });
    lines(look, rows, remarks)
}

/// A line per backup. A remark stands at its end, or below it where the line would be too long.
fn lines(look: &Look, rows: &[&Row], remarks: impl Iterator<Item = String>) -> String {
    const COLUMNS: usize = 80;
    let mut table = Table::new(2).right(&[1]);
    for row in rows {
        table.row([row.name.to_string(), row.size.to_string(), places(row), look.best_proof(row)]);
    }
    let mut out = String::new();
    for (line, remark) in table.text().lines().zip(remarks) {
        let between = match () {
            () if remark.is_empty() => "",
            () if width(line) + 2 + width(&remark) <= COLUMNS => "  ",
            () => "\n      ",
        };
        out.push_str(&format!("{line}{between}{remark}\n"));
    }
    out
}

/// What is out of the ordinary about a backup.
pub fn remarks(look: &Look, row: &Row) -> Vec<String> {
    let mut remarks = Vec::new();
    if !row.complete {
        remarks.push(look.paint(Tone::Warning, &format!("partial: {} missing", row.troubles)));
    }
    if row.hold.is_some() {
        remarks.push("held".to_owned());
    }
    match row.state {
        BackupState::Present => {}
        BackupState::Trashed { purge_after, .. } => remarks.push(format!("purged {}", look.age(purge_after))),
        BackupState::Purged { at } => remarks.push(format!("purged {}", look.age(at))),
    }
    remarks
}

/// What a search found.
pub fn search(look: &Look, found: &Searched) -> String {
    if found.backups.is_empty() && found.workloads.is_empty() {
        return format!("nothing fits `{}`\n", found.text);
    }
    let mut out = String::new();
    if !found.workloads.is_empty() {
        let names: Vec<String> = found.workloads.iter().map(ToString::to_string).collect();
        out.push_str(&format!("workloads: {}\n", names.join(", ")));
    }
    out.push_str(&format!("{} fit `{}`\n", counted(found.backups.len() as u64, "backup"), found.text));
    let rows: Vec<&Row> = found.backups.iter().collect();
    out.push_str(&lines(look, &rows, rows.iter().map(|row| remarks(look, row).join(", "))));
    if found.cut {
        out.push_str(&format!("only the newest {} are shown; `--limit` shows more\n", found.backups.len()));
    }
    out
}
