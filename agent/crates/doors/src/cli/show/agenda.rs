//! `agenda`.

use backstop_ops::agenda::{Line, Shown};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone};

/// Lines of what is next that are shown without `-v`.
const NEXT_SHOWN: usize = 12;

/// What is due and what is next.
pub fn agenda(look: &Look, agenda: &Shown) -> String {
    let mut out = String::new();
    if agenda.due.is_empty() {
        out.push_str(&look.paint(Tone::Good, "nothing is due"));
        out.push('\n');
    } else {
        out.push_str(&format!("{} ({})\n", look.paint(Tone::Strong, "due"), agenda.due.len()));
        out.push_str(&lines(look, &agenda.due));
    }
    if !agenda.next.is_empty() {
        let shown = if look.verbose > 0 { agenda.next.len() } else { agenda.next.len().min(NEXT_SHOWN) };
        out.push_str(&format!("\n{} ({})\n", look.paint(Tone::Strong, "next"), agenda.next.len()));
        out.push_str(&lines(look, &agenda.next[..shown]));
        if shown < agenda.next.len() {
            out.push_str(&format!("  and {} more; `-v` shows them\n", agenda.next.len() - shown));
        }
    }
    if !agenda.due.is_empty() {
        out.push_str("\nnext: do it: `backstop agenda --run`\n");
    }
    out
}

/// Lines of the agenda.
pub fn lines(look: &Look, lines: &[Line]) -> String {
    let mut table = Table::new(2);
    for line in lines {
        let subject = match (&line.workload, &line.place) {
            (Some(workload), _) => workload.to_string(),
            (None, Some(place)) => place.to_string(),
            (None, None) => String::new(),
        };
        table.row([line.verb.to_string(), subject, look.age(line.when), line.reason.clone()]);
    }
    table.text()
}
