//! `backup show`: one backup with its copies, its evidence, why it is kept, and what is in it.

use backstop_model::tree::{NodeKind, show_path};
use backstop_model::{BackupState, Bytes, Fault, Place, Timestamp};
use serde::Serialize;

use crate::peek::peek;
use crate::row::Row;
use crate::{Context, keeping};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which backup: its name or a beginning of it.
    pub backup: String,
    /// Also read the list of its contents from a copy.
    pub contents: bool,
}

/// One backup.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// When this was read.
    pub now: Timestamp,
    /// The backup with its checks and the verdict of retention.
    pub backup: Row,
    /// What is in it, if asked for.
    pub contents: Option<Contents>,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Where the list was read.
    pub place: Option<Place>,
    /// The paths it was asked to protect.
    pub roots: Vec<String>,
    /// The machine it was made on.
    pub host: String,
    /// Directories.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Pipes and devices.
    pub others: u64,
    /// The largest files, largest first, at most ten.
    pub largest: Vec<Largest>,
}

/// A large file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Largest {
    /// Its length.
    pub size: Bytes,
    /// Its path.
    pub path: String,
}

const LARGEST: usize = 10;

/// Shows a backup.
///
/// # Errors
/// No such backup; with `contents`, a copy that cannot be opened.
pub fn show(ctx: &Context, request: &Request) -> Result<Shown, Fault> {
    let now = ctx.outside.clock.now();
    let backup = ctx.backup(&request.backup)?;
    let mut row = Row::with_checks(&ctx.config, &backup);
    if backup.state == BackupState::Present {
        let all = ctx.backups_of(&backup.workload)?;
        row.keep = keeping::verdicts(ctx, &backup.workload, &all, now)?.remove(&backup.name);
    }
    let contents = if request.contents { Some(contents(ctx, &backup)?) } else { None };
    Ok(Shown { now, backup: row, contents })
}

fn contents(ctx: &Context, backup: &backstop_model::Backup) -> Result<Contents, Fault> {
    let peek = peek(ctx, backup, None)?;
    let about = &peek.snapshot.about;
    let mut found = Contents {
        place: Some(peek.place.clone()),
        roots: about.roots.clone(),
        host: about.host.clone(),
        ..Contents::default()
    };
    for entry in peek.vault.entries(&peek.snapshot) {
        let node = entry.map_err(|error| error.fault())?.node;
        match node.kind {
            NodeKind::Directory => found.directories += 1,
            NodeKind::Symlink { .. } => found.symlinks += 1,
            NodeKind::Fifo | NodeKind::BlockDevice { .. } | NodeKind::CharDevice { .. } => found.others += 1,
            NodeKind::File { size, .. } => {
                found.files += 1;
                let smallest = found.largest.last().map_or(Bytes(0), |last| last.size);
                if found.largest.len() < LARGEST || Bytes(size) > smallest {
                    found.largest.push(Largest { size: Bytes(size), path: show_path(&node.path) });
                    found.largest.sort_by(|a, b| b.cmp(a));
                    found.largest.truncate(LARGEST);
                }
            }
        }
    }
    Ok(found)
}
