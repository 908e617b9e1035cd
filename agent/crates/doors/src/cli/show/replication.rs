//! `backup replication-status` and `backup replication-jobs`.

use backstop_model::ReplicationState;
use backstop_ops::replication::{Jobs, ReplicationLine, ReplicationStatus, Status};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant, millis, place, rough};

/// Completed copies that are shown without `-v`.
const COMPLETED_SHOWN: usize = 5;

/// How copies stand.
pub fn status(look: &Look, status: &Status) -> String {
    if status.workloads.is_empty() {
        return "no workload promises copies; `backstop backup configure NAME --copy-to vault:NAME` does\n".to_owned();
    }
    let each: Vec<String> = status.workloads.iter().map(|workload| one(look, workload)).collect();
    each.join("\n")
}

fn one(look: &Look, status: &ReplicationStatus) -> String {
    let mut out = format!("Copies of {}\n", look.paint(Tone::Strong, status.workload.as_str()));
    if status.places.is_empty() {
        out.push_str("  no copies are promised\n");
    }
    for at in &status.places {
        let lag = match at.lag_millis {
            None => look.paint(Tone::Warning, "has nothing yet"),
            Some(0) => "is up to date".to_owned(),
            Some(lag) => look.paint(Tone::Warning, &format!("is {} behind", rough(lag))),
        };
        let missing = match at.missing.len() {
            0 => String::new(),
            some => format!(", lacks {}", counted(some as u64, "backup")),
        };
        out.push_str(&format!("  {} has {}{missing}; it {lag}\n", at.place, counted(at.present, "copy")));
    }
    let mut section = |title: &str, lines: &[ReplicationLine], most: usize| {
        if !lines.is_empty() {
            out.push_str(&format!("\n  {title} ({})\n", lines.len()));
            let mut shown = Table::new(4).right(&[0]);
            lines.iter().take(most).for_each(|line| shown.row(cells(look, line, None)));
            out.push_str(&shown.text());
        }
    };
    let most = if look.verbose > 0 { usize::MAX } else { COMPLETED_SHOWN };
    section("under way", &status.open, usize::MAX);
    section("failed", &status.failed, usize::MAX);
    section("completed", &status.completed, most);
    if status.places.iter().any(|at| !at.missing.is_empty()) {
        out.push_str(&format!("\nnext: copy what is missing: `backstop backup replicate-all {}`\n", status.workload));
    }
    out
}

/// Single replications.
pub fn jobs(look: &Look, jobs: &Jobs) -> String {
    if jobs.jobs.is_empty() {
        return "no replications\n".to_owned();
    }
    let mut table = Table::new(0).right(&[0]);
    for job in &jobs.jobs {
        table.row(cells(look, &job.line, Some(instant(job.line.started))));
    }
    let mut out = table.text();
    if jobs.cut {
        out.push_str(&format!("only the newest {} are shown; `--limit` shows more\n", jobs.jobs.len()));
    }
    out
}

fn cells(look: &Look, line: &ReplicationLine, started: Option<String>) -> Vec<String> {
    let mut cells = vec![line.id.to_string()];
    cells.extend(started);
    cells.push(format!("{} → {}", line.backup, place(&line.to)));
    cells.push(match line.state {
        ReplicationState::Pending => "waiting".to_owned(),
        ReplicationState::InProgress => under_way(look, line),
        ReplicationState::Completed => {
            let bytes = if line.bytes.0 > 0 { format!("{} ", line.bytes) } else { String::new() };
            look.paint(Tone::Good, &format!("{bytes}in {}", millis(line.took_millis)))
        }
        ReplicationState::Failed => {
            look.paint(Tone::Bad, &format!("failed: {}", line.error.as_deref().unwrap_or("unknown")))
        }
    });
    cells
}

fn under_way(look: &Look, line: &ReplicationLine) -> String {
    /// Silence after which somebody should look.
    const SILENT: u64 = 30 * 60_000;
    const CELLS: usize = 10;
    let mut words = match line.percent {
        Some(percent) => {
            let full = ((percent / 100.0 * CELLS as f64) as usize).min(CELLS);
            format!("[{}{}] {percent:.0}%", "#".repeat(full), ".".repeat(CELLS - full))
        }
        None => line.bytes.to_string(),
    };
    if let Some(eta) = line.eta_millis {
        words.push_str(&format!("  ETA {}", rough(eta)));
    }
    match line.silent_millis.filter(|silent| *silent > SILENT) {
        Some(silent) => look.paint(Tone::Warning, &format!("{words}  nothing heard for {}", rough(silent))),
        None => words,
    }
}
