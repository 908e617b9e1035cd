//! `backup find` and `backup diff`.

use backstop_ops::diff::{Differences, Kind};
use backstop_ops::find::{Found, Version};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, grouped, instant};

/// Which backups hold what was looked for.
pub fn found(look: &Look, found: &Found) -> String {
    let mut out = String::new();
    for path in &found.paths {
        out.push_str(&format!("{}\n", look.paint(Tone::Strong, &path.path)));
        let mut table = Table::new(2).right(&[1]);
        for version in &path.versions {
            table.row([
                version.modified.map_or_else(|| version.kind.to_owned(), instant),
                version.size.map_or_else(String::new, |size| size.to_string()),
                holders(version),
            ]);
        }
        out.push_str(&table.text());
    }
    let searched = counted(found.searched, "backup");
    if found.paths.is_empty() {
        out.push_str(&format!("none of {searched} holds `{}`\n", found.pattern));
    }
    if found.cut {
        out.push_str(&format!("only the first {} paths are shown; `--limit` shows more\n", found.paths.len()));
    }
    for unread in &found.unread {
        let line = format!("could not look into {}: {}", unread.backup, unread.why);
        out.push_str(&format!("{}\n", look.paint(Tone::Warning, &line)));
    }
    out
}

fn holders(version: &Version) -> String {
    match version.backups.as_slice() {
        [] => String::new(),
        [only] => only.to_string(),
        [newest, .., oldest] => format!("{} backups, {oldest} to {newest}", version.backups.len()),
    }
}

/// What changed between two backups.
pub fn diff(look: &Look, found: &Differences) -> String {
    let mut out = format!("from {} ({})\n", found.a, instant(found.a_created));
    out.push_str(&format!("  to {} ({})\n", found.b, instant(found.b_created)));
    let mut table = Table::new(0).right(&[2]);
    for entry in &found.entries {
        let (mark, tone) = match entry.kind {
            Kind::Added => ("+", Tone::Good),
            Kind::Removed => ("-", Tone::Bad),
            Kind::Modified => ("M", Tone::Warning),
            Kind::Metadata => ("U", Tone::Faint),
        };
        let size = match (entry.before, entry.after) {
            (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
            (_, Some(size)) | (Some(size), None) => size.to_string(),
            (None, None) => String::new(),
        };
        table.row([look.paint(tone, mark), entry.path.clone(), size]);
    }
    out.push_str(&table.text());
    if found.cut {
        out.push_str(&format!("only the first {} are shown; `--limit` shows more\n", found.entries.len()));
    }
    out.push_str(&format!(
        "{} added, {} removed, {} modified, {} with other metadata; {} of new contents\n",
        grouped(found.added),
        grouped(found.removed),
        grouped(found.modified),
        grouped(found.metadata),
        found.bytes
    ));
    out
}
