//! `backup diff`: what changed between two backups.

use backstop_model::tree::{Node, NodeKind, show_path};
use backstop_model::{BackupName, Bytes, Fault, Place, Timestamp};
use backstop_vault::Change;
use serde::Serialize;

use crate::Context;
use crate::peek::peek;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first backup: its name or a beginning of it.
    pub a: String,
    /// The second.
    pub b: String,
    /// At most so many differences are listed; all are counted.
    pub limit: usize,
}

/// The differences.
#[derive(Debug, Clone, Serialize)]
pub struct Differences {
    /// The first.
    pub a: BackupName,
    /// Its instant.
    pub a_created: Timestamp,
    /// The second.
    pub b: BackupName,
    /// Its instant.
    pub b_created: Timestamp,
    /// Where both were read.
    pub place: Place,
    /// Entries only in the second.
    pub added: u64,
    /// Entries only in the first.
    pub removed: u64,
    /// Entries with other contents.
    pub modified: u64,
    /// Entries with the same contents and other metadata.
    pub metadata: u64,
    /// Bytes of the files that were added or have other contents, as they are in the second.
    pub bytes: Bytes,
    /// Whether there are more than are listed.
    pub cut: bool,
    /// The differences in the order of their paths.
    pub entries: Vec<Entry>,
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// Other contents.
    Modified,
    /// Same contents, other metadata.
    Metadata,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// To which path; a directory's ends in `/`.
    pub path: String,
    /// Length in the first, for a file.
    pub before: Option<Bytes>,
    /// Length in the second, for a file.
    pub after: Option<Bytes>,
}

/// Compares two backups from their lists of contents; no file is read.
///
/// # Errors
/// No such backup, or no place that holds both.
pub fn diff(ctx: &Context, request: &Request) -> Result<Differences, Fault> {
    let (a, b) = (ctx.backup(&request.a)?, ctx.backup(&request.b)?);
    let home = ctx.config.workloads.get(&a.workload).map(|workload| workload.schedule.home.clone());
    let both = |place: &Place| a.copy_at(place).is_some() && b.copy_at(place).is_some();
    let places = home.iter().chain(a.copies.iter().map(|copy| &copy.place));
    let place = places.into_iter().find(|place| both(place)).cloned().ok_or_else(|| {
        let message = format!("no place holds both `{}` and `{}`", a.name, b.name);
        Fault::not_found(message, "`backstop backup replicate` brings one where the other is")
    })?;
    let (left, right) = (peek(ctx, &a, Some(&place))?, peek(ctx, &b, Some(&place))?);
    let mut found = Differences {
        a: a.name,
        a_created: a.created,
        b: b.name,
        b_created: b.created,
        place,
        added: 0,
        removed: 0,
        modified: 0,
        metadata: 0,
        bytes: Bytes(0),
        cut: false,
        entries: Vec::new(),
    };
    let mut visit = |change: Change| found.see(change, request.limit);
    left.vault.diff(&left.snapshot, &right.snapshot, &mut visit).map_err(|error| error.fault())?;
    Ok(found)
}

impl Differences {
    fn see(&mut self, change: Change, limit: usize) {
        let (count, kind, before, after) = match &change {
            Change::Added(node) => (&mut self.added, Kind::Added, None, Some(node)),
            Change::Removed(node) => (&mut self.removed, Kind::Removed, Some(node), None),
            Change::Contents(a, b) => (&mut self.modified, Kind::Modified, Some(a), Some(b)),
            Change::Metadata(a, b) => (&mut self.metadata, Kind::Metadata, Some(a), Some(b)),
        };
        *count += 1;
        let (before_size, after_size) = (before.and_then(size), after.and_then(size));
        if kind != Kind::Metadata {
            self.bytes = self.bytes + after_size.unwrap_or_default();
        }
        if self.entries.len() >= limit {
            self.cut = true;
            return;
        }
        let Some(node) = after.or(before) else { return };
        let slash = if matches!(node.kind, NodeKind::Directory) && !node.path.is_empty() { "/" } else { "" };
        let path = format!("{}{slash}", show_path(&node.path));
        self.entries.push(Entry { kind, path, before: before_size, after: after_size });
    }
}

fn size(node: &Node) -> Option<Bytes> {
    match node.kind {
        NodeKind::File { size, .. } => Some(Bytes(size)),
        _ => None,
    }
}
