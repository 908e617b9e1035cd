//! `policy simulate`.

use backstop_model::Bytes;
use backstop_ops::policy_simulate::{Compared, Deletion, Simulated};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, grouped};

/// Deletions that are shown unless more is asked for.
const SHOWN: usize = 12;

fn day(at: backstop_model::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn deletions<'a>(look: &Look, deleted: impl Iterator<Item = &'a Deletion>) -> String {
    let all: Vec<&Deletion> = deleted.collect();
    let most = if look.verbose > 0 { usize::MAX } else { SHOWN };
    let mut table = Table::new(4);
    for deletion in all.iter().take(most) {
        table.row([day(deletion.at), deletion.backup.to_string(), deletion.reason.clone()]);
    }
    let left = all.len().saturating_sub(most);
    let more =
        if left > 0 { format!("    and {} more; `-v` shows all\n", grouped(left as u64)) } else { String::new() };
    format!("{}{more}", table.text())
}

/// What would come.
pub fn simulated(look: &Look, simulated: &Simulated) -> String {
    let mut out = format!("from {} to {}\n", day(simulated.from), day(simulated.until));
    for life in &simulated.workloads {
        out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, life.workload.as_str())));
        let mut table = Table::new(2);
        table.row(["made".to_owned(), grouped(life.made)]);
        table.row(["deleted".to_owned(), grouped(life.deleted.len() as u64)]);
        table.row(["kept".to_owned(), grouped(life.kept)]);
        for (tier, count) in &life.named {
            table.row(["tier".to_owned(), format!("{tier}: given to {}", counted(*count, "backup"))]);
        }
        out.push_str(&table.text());
        if !life.past.is_empty() {
            out.push_str("  would have been deleted up to now\n");
            out.push_str(&deletions(look, life.past.iter()));
        }
        if !life.deleted.is_empty() {
            out.push_str("  deleted\n");
            out.push_str(&deletions(look, life.deleted.iter()));
        }
        // A point a year tells the curve; JSON has one a month.
        let mut curve = Table::new(4).right(&[1, 2]);
        let every = if look.verbose > 0 { 1 } else { 12 };
        for point in life.curve.iter().step_by(every) {
            curve.row([day(point.at), grouped(point.backups), Bytes(point.stored).to_string()]);
        }
        out.push_str("  stored\n");
        out.push_str(&curve.text());
    }
    if simulated.breaks.is_empty() {
        let line = look.paint(Tone::Good, "nothing breaks: every restore that is promised stays possible");
        out.push_str(&format!("\n{line}\n"));
        return out;
    }
    out.push_str(&format!("\n{}\n", look.paint(Tone::Bad, "breaks")));
    for broken in &simulated.breaks {
        let again =
            if broken.times > 1 { format!(" (and {} times after)", grouped(broken.times - 1)) } else { String::new() };
        out.push_str(&format!("  {}  {}: {}{again}\n", day(broken.at), broken.workload, broken.what));
    }
    out
}

/// Two futures.
pub fn compared(look: &Look, compared: &Compared) -> String {
    let mut out = String::new();
    for (head, list) in [
        ("deleted only with the new one, or earlier", &compared.earlier),
        ("deleted only with the old one, or earlier", &compared.later),
    ] {
        out.push_str(&format!("{head}: {}\n", grouped(list.len() as u64)));
        out.push_str(&deletions(look, list.iter()));
    }
    for (name, future) in [("old", &compared.old), ("new", &compared.new)] {
        let kept: u64 = future.workloads.iter().map(|life| life.kept).sum();
        let stored: u64 = future.workloads.iter().filter_map(|life| life.curve.last()).map(|point| point.stored).sum();
        out.push_str(&format!("{name}: {} kept in the end, {}\n", grouped(kept), Bytes(stored)));
        for broken in &future.breaks {
            out.push_str(&format!("  breaks {}  {}: {}\n", day(broken.at), broken.workload, broken.what));
        }
    }
    out
}
