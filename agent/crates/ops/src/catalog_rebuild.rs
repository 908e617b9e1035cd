//! `catalog rebuild`: the records of backups, made anew from what the vaults say about themselves.

use std::collections::BTreeMap;

use backstop_model::{
    Backup, BackupName, BackupState, Bytes, Copy, CopyState, Fault, Level, Place, Proof, ProofKind, Span, VaultName,
};
use backstop_seams::Progress;
use backstop_vault::Snapshot;
use serde::Serialize;

use crate::context::Context;

/// What a rebuild found.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// Backups recorded now.
    pub backups: u64,
    /// Copies found, by vault.
    pub copies: BTreeMap<VaultName, u64>,
    /// Vaults and snapshots that could not be read, with the reason.
    pub unreadable: Vec<String>,
}

/// Rebuilds the catalog's backups from every configured vault. Holds and proofs that can still be read stay.
///
/// # Errors
/// When no vault can be read at all: the old records stay then.
pub fn rebuild(ctx: &Context, progress: &dyn Progress) -> Result<Rebuilt, Fault> {
    let mut found: BTreeMap<BackupName, Backup> = BTreeMap::new();
    let mut out = Rebuilt { backups: 0, copies: BTreeMap::new(), unreadable: Vec::new() };
    let mut first_fault = None;
    for name in ctx.config.vaults.keys() {
        progress.stage(&format!("reading vault {name}"));
        match read_vault(ctx, name, &mut found, &mut out) {
            Ok(()) => {}
            Err(fault) => {
                out.unreadable.push(format!("vault `{name}`: {}", fault.message));
                first_fault.get_or_insert(fault);
            }
        }
    }
    // A vault that is away today still holds its copies: without it, the records would forget them.
    if let Some(fault) = first_fault {
        return Err(Fault { message: format!("the catalog was left as it is: {}", fault.message), ..fault });
    }
    out.backups = ctx.catalog.clear_and_rebuild(found.into_values().collect())?;
    ctx.audit("catalog rebuild", "-", "", serde_json::json!({ "backups": out.backups }))?;
    Ok(out)
}

fn read_vault(
    ctx: &Context,
    name: &VaultName,
    found: &mut BTreeMap<BackupName, Backup>,
    out: &mut Rebuilt,
) -> Result<(), Fault> {
    let vault = ctx.vault(name)?;
    let (snapshots, bad) = vault.snapshots().map_err(|error| error.fault())?;
    out.unreadable.extend(bad.iter().map(ToString::to_string));
    *out.copies.entry(name.clone()).or_default() += snapshots.len() as u64;
    for snapshot in snapshots {
        add(ctx, found, name, &snapshot, None);
    }
    for trashed in vault.trashed().map_err(|error| error.fault())? {
        if let Ok(snapshot) = vault.trashed_snapshot(&trashed) {
            add(ctx, found, name, &snapshot, Some(trashed.since));
        }
    }
    Ok(())
}

fn add(
    ctx: &Context,
    found: &mut BTreeMap<BackupName, Backup>,
    vault: &VaultName,
    snapshot: &Snapshot,
    released: Option<backstop_model::Timestamp>,
) {
    let about = &snapshot.about;
    let copy = copy_of(ctx, vault, snapshot, snapshot.stored, released.is_some());
    let window = ctx.config.limits.undelete_window;
    let record = found.entry(about.backup.clone()).or_insert_with(|| Backup {
        name: about.backup.clone(),
        workload: about.workload.clone(),
        created: about.captured,
        tiers: about.tiers.clone(),
        mode: about.mode,
        based_on: about.based_on.clone(),
        size: Bytes(snapshot.size),
        entries: snapshot.entries,
        completeness: snapshot.completeness,
        state: match released {
            Some(since) => BackupState::Trashed { since, purge_after: window.after(since) },
            None => BackupState::Present,
        },
        hold: None,
        copies: Vec::new(),
        run: about.run.clone(),
    });
    // One kept copy anywhere means that the release did not go through: it is kept.
    if released.is_none() {
        record.state = BackupState::Present;
    }
    record.copies.push(copy);
}

fn copy_of(ctx: &Context, vault: &VaultName, snapshot: &Snapshot, stored: u64, trashed: bool) -> Copy {
    let at = ctx.outside.clock.now();
    Copy {
        place: Place::Vault(vault.clone()),
        snapshot: snapshot.id,
        state: if trashed { CopyState::Trashed } else { CopyState::Present },
        stored: Bytes(stored),
        created: snapshot.about.captured,
        proofs: vec![Proof {
            at,
            level: Level::L0,
            passed: true,
            kind: ProofKind::Write,
            took: Span::ZERO,
            sample_ppm: 0,
            run: snapshot.about.run.clone(),
            detail: "found in its vault".into(),
        }],
    }
}

/// Records a copy that came about outside of a run, where the catalog knows the backup.
pub(crate) fn learn_copy(ctx: &Context, vault: &VaultName, snapshot: &Snapshot, stored: u64) -> Result<(), Fault> {
    let place = Place::Vault(vault.clone());
    let Some(record) = ctx.catalog.backup(&snapshot.about.backup)? else { return Ok(()) };
    if record.copy_at(&place).is_none() {
        ctx.catalog.record_copy(&record.name, &copy_of(ctx, vault, snapshot, stored, false))?;
    }
    Ok(())
}
