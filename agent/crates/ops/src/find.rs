//! `backup find`: which backups hold a path, and in which versions.

use std::collections::BTreeMap;

use backstop_catalog::{BackupFilter, StateKind};
use backstop_model::tree::{Node, NodeKind, show_path};
use backstop_model::{Backup, BackupName, Bytes, Fault, Timestamp, WorkloadName};
use serde::Serialize;

use crate::Context;
use crate::list::known;
use crate::peek::peek;
use crate::select::Patterns;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// A path or glob. With a leading `/` it means a whole path, else the end of one.
    pub pattern: String,
    /// In backups of this workload.
    pub workload: Option<WorkloadName>,
    /// In backups not older than this.
    pub since: Option<Timestamp>,
    /// At most so many paths.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// When this was read.
    pub now: Timestamp,
    /// The pattern.
    pub pattern: String,
    /// How many backups were looked into.
    pub searched: u64,
    /// Backups that could not be, and why.
    pub unread: Vec<Unread>,
    /// Whether there were more paths than are shown.
    pub cut: bool,
    /// The paths, in order.
    pub paths: Vec<FoundPath>,
}

/// A backup that could not be looked into.
#[derive(Debug, Clone, Serialize)]
pub struct Unread {
    /// Which.
    pub backup: BackupName,
    /// Why.
    pub why: String,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundPath {
    /// The path.
    pub path: String,
    /// Its versions, newest first.
    pub versions: Vec<Version>,
}

/// A path as some backups hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// What it is.
    pub kind: &'static str,
    /// Its length, for a file.
    pub size: Option<Bytes>,
    /// When it was modified; `None` when that is no date.
    pub modified: Option<Timestamp>,
    /// The backups that hold this version, newest first.
    pub backups: Vec<BackupName>,
}

/// Looks into every kept backup that is asked for, newest first.
///
/// # Errors
/// A pattern that makes no sense, an unknown workload, or no readable copy of any backup.
pub fn find(ctx: &Context, request: &Request) -> Result<Found, Fault> {
    let pattern = Patterns::new(std::slice::from_ref(&request.pattern))?;
    if let Some(name) = &request.workload {
        known(ctx, name)?;
    }
    let mut found = Found {
        now: ctx.outside.clock.now(),
        pattern: request.pattern.clone(),
        searched: 0,
        unread: Vec::new(),
        cut: false,
        paths: Vec::new(),
    };
    let mut paths: BTreeMap<Vec<u8>, Vec<Version>> = BTreeMap::new();
    let mut last: Option<Fault> = None;
    let states = vec![StateKind::Present];
    let (workload, since) = (request.workload.clone(), request.since);
    for backup in ctx.catalog.backups(&BackupFilter { workload, since, states, ..Default::default() })? {
        match look(ctx, &backup, &pattern, request.limit, &mut paths) {
            Ok(cut) => {
                found.searched += 1;
                found.cut |= cut;
            }
            Err(fault) => {
                found.unread.push(Unread { backup: backup.name.clone(), why: fault.message.clone() });
                last = Some(fault);
            }
        }
    }
    match last {
        Some(fault) if found.searched == 0 => return Err(fault),
        _ => {}
    }
    found.paths = paths.into_iter().map(|(path, versions)| FoundPath { path: show_path(&path), versions }).collect();
    Ok(found)
}

/// Adds what one backup holds; true when something was left off.
fn look(
    ctx: &Context,
    backup: &Backup,
    pattern: &Patterns,
    limit: usize,
    paths: &mut BTreeMap<Vec<u8>, Vec<Version>>,
) -> Result<bool, Fault> {
    let peek = peek(ctx, backup, None)?;
    let mut cut = false;
    let mut visit = |hit: backstop_vault::Hit| {
        if paths.len() >= limit && !paths.contains_key(&hit.node.path) {
            cut = true;
            return;
        }
        add(paths.entry(hit.node.path.clone()).or_default(), &hit.node, &backup.name);
    };
    peek.vault.find(&peek.snapshot, &|node| pattern.fits(&node.path), &mut visit).map_err(|error| error.fault())?;
    Ok(cut)
}

fn add(versions: &mut Vec<Version>, node: &Node, backup: &BackupName) {
    let (kind, size) = match node.kind {
        NodeKind::File { size, .. } => ("file", Some(Bytes(size))),
        NodeKind::Directory => ("directory", None),
        NodeKind::Symlink { .. } => ("symlink", None),
        NodeKind::Fifo => ("fifo", None),
        NodeKind::BlockDevice { .. } | NodeKind::CharDevice { .. } => ("device", None),
    };
    let (seconds, nanos) = node.meta.mtime;
    let modified = Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).ok();
    // A directory's time moves with its contents; what a person looks for is whether it is there.
    let modified = modified.filter(|_| kind != "directory");
    match versions.iter_mut().find(|v| (v.kind, v.size, v.modified) == (kind, size, modified)) {
        Some(version) => version.backups.push(backup.clone()),
        None => versions.push(Version { kind, size, modified, backups: vec![backup.clone()] }),
    }
}
