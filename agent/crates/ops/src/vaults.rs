//! `vault …`: making vaults, looking at them, their keys, their index, copying all of one to another.

use backstop_model::config::SecretRef;
use backstop_model::{Advice, ExitCode, Fault, VaultName};
use backstop_seams::Progress;
use backstop_vault::{Secret, Slot, Status, Vault};
use serde::Serialize;

use crate::context::Context;

/// A vault that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// Its name.
    pub vault: VaultName,
    /// Where.
    pub url: String,
    /// Its id.
    pub id: String,
    /// Where a key was generated, if one was.
    pub generated_key: Option<String>,
}

/// A vault as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct VaultStatus {
    /// Its name.
    pub vault: VaultName,
    /// Where.
    pub url: String,
    /// Its region.
    pub region: String,
    /// Figures, if it opens.
    pub status: Option<Status>,
    /// Why it does not.
    pub fault: Option<Fault>,
}

/// A key slot as shown.
#[derive(Debug, Clone, Serialize)]
pub struct KeySlot {
    /// Its id.
    pub slot: String,
    /// The operator's name for it.
    pub label: String,
    /// `raw` or `argon2id`.
    pub kind: String,
    /// When it was last wrapped.
    pub created: backstop_model::Timestamp,
}

impl From<Slot> for KeySlot {
    fn from(slot: Slot) -> Self {
        let kind = match slot.derivation {
            backstop_vault::Derivation::Raw => "raw",
            backstop_vault::Derivation::Argon2id { .. } => "argon2id",
        };
        Self { slot: slot.slot, label: slot.label, kind: kind.into(), created: slot.created }
    }
}

/// Makes a configured vault. With `generate_key`, a missing key file is made first, with a random key, mode 0600.
///
/// # Errors
/// `Refused` when something is there already; a key that cannot be read.
pub fn init(ctx: &Context, name: &VaultName, generate_key: bool, like: Option<&VaultName>) -> Result<Made, Fault> {
    let config = ctx.vault_config(name)?;
    crate::apart::vault(&*ctx.outside.files, &ctx.config, name)?;
    let mut generated_key = None;
    if let (true, SecretRef::File(path)) = (generate_key, &config.key)
        && !ctx.outside.files.exists(path)?
    {
        let text = Secret::generate(&*ctx.outside.entropy);
        ctx.outside.files.write(path, format!("{}\n", text.as_str()).as_bytes(), 0o600)?;
        generated_key = Some(path.display().to_string());
    }
    let secret = (ctx.outside.resolve)(&config.key)?;
    let parts = ctx.parts(config, true)?;
    let vault = match like {
        Some(other) => Vault::init_like(parts, &secret, "initial", &*ctx.vault(other)?),
        None => Vault::init(parts, &secret, "initial"),
    };
    let vault = vault.map_err(|error| named(name, error.fault()))?;
    let made = Made { vault: name.clone(), url: config.url.clone(), id: vault.id().to_owned(), generated_key };
    ctx.audit("vault init", name.as_str(), "", serde_json::json!({ "id": made.id, "url": made.url }))?;
    Ok(made)
}

fn named(name: &VaultName, fault: Fault) -> Fault {
    Fault { message: format!("vault `{name}`: {}", fault.message), ..fault }
}

/// One vault, or all: figures, or why it does not open.
///
/// # Errors
/// Unknown vault.
pub fn status(ctx: &Context, name: Option<&VaultName>) -> Result<Vec<VaultStatus>, Fault> {
    let names: Vec<&VaultName> = match name {
        Some(name) => vec![&ctx.vault_config(name)?.name],
        None => ctx.config.vaults.keys().collect(),
    };
    let mut out = Vec::new();
    for name in names {
        let config = ctx.vault_config(name)?;
        let status = ctx.vault(name).and_then(|vault| vault.status().map_err(|error| error.fault()));
        let (status, fault) = match status {
            Ok(status) => (Some(status), None),
            Err(fault) => (None, Some(fault)),
        };
        out.push(VaultStatus {
            vault: name.clone(),
            url: config.url.clone(),
            region: config.region.to_string(),
            status,
            fault,
        });
    }
    Ok(out)
}

/// The key slots of a vault.
///
/// # Errors
/// A vault that does not open.
pub fn key_list(ctx: &Context, name: &VaultName) -> Result<Vec<KeySlot>, Fault> {
    let slots = ctx.vault(name)?.slots().map_err(|error| error.fault())?;
    Ok(slots.into_iter().map(KeySlot::from).collect())
}

/// Adds a slot that another secret opens.
///
/// # Errors
/// A vault that does not open, a secret that cannot be read.
pub fn key_add(ctx: &Context, name: &VaultName, secret: &SecretRef, label: &str) -> Result<KeySlot, Fault> {
    let vault = ctx.vault(name)?;
    let secret = (ctx.outside.resolve)(secret)?;
    if vault.slots().map_err(|error| error.fault())?.iter().any(|slot| slot.label == label) {
        return Err(Fault::usage(
            format!("vault `{name}` has a key slot called `{label}`"),
            "give it another `--label`",
        ));
    }
    let slot = vault.add_slot(&secret, label).map_err(|error| error.fault())?;
    ctx.audit("vault key add", name.as_str(), "", serde_json::json!({ "slot": slot.slot, "label": label }))?;
    Ok(slot.into())
}

/// Removes a slot by id or label.
///
/// # Errors
/// `NotFound` with the names there are; `Refused` for the last slot, or when the name fits several.
pub fn key_remove(ctx: &Context, name: &VaultName, slot: &str, reason: &str) -> Result<KeySlot, Fault> {
    let vault = ctx.vault(name)?;
    let slots = vault.slots().map_err(|error| error.fault())?;
    if !slots.iter().any(|known| known.slot == slot || known.label == slot) {
        let labels: Vec<&str> = slots.iter().map(|known| known.label.as_str()).collect();
        return Err(Fault::not_found(
            format!("vault `{name}` has no key slot `{slot}`"),
            format!("there are: {}", labels.join(", ")),
        ));
    }
    let slot = vault.remove_slot(slot).map_err(|error| error.fault())?;
    ctx.audit(
        "vault key remove",
        name.as_str(),
        reason,
        serde_json::json!({ "slot": slot.slot, "label": slot.label }),
    )?;
    Ok(slot.into())
}

/// Seals everything new under a new secret; with a replacement, the slot in use gives way to one for another key.
/// Returns the number of the new epoch.
///
/// # Errors
/// A vault that does not open.
pub fn key_rotate(ctx: &Context, name: &VaultName, replacement: Option<(&SecretRef, &str)>) -> Result<u32, Fault> {
    let config = ctx.vault_config(name)?;
    let current = (ctx.outside.resolve)(&config.key)?;
    let vault = ctx.vault(name)?;
    let fresh = match replacement {
        Some((reference, label)) => Some(((ctx.outside.resolve)(reference)?, label)),
        None => None,
    };
    let epoch = vault
        .rotate(&current, fresh.as_ref().map(|(secret, label)| (secret, *label)))
        .map_err(|error| error.fault())?;
    ctx.close_vault(name);
    ctx.audit("vault key rotate", name.as_str(), "", serde_json::json!({ "epoch": epoch }))?;
    Ok(epoch)
}

/// What a rebuild of an index found.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// Packs listed now.
    pub packs: u64,
    /// Packs that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

/// Writes a vault's index anew from its packs.
///
/// # Errors
/// A vault that does not open.
pub fn rebuild_index(ctx: &Context, name: &VaultName, progress: &dyn Progress) -> Result<Rebuilt, Fault> {
    progress.stage(&format!("reading the packs of {name}"));
    let (packs, bad) = ctx.vault(name)?.rebuild_index(progress).map_err(|error| error.fault())?;
    ctx.audit(
        "vault rebuild-index",
        name.as_str(),
        "",
        serde_json::json!({ "packs": packs, "unreadable": bad.len() }),
    )?;
    Ok(Rebuilt { packs, unreadable: bad.iter().map(ToString::to_string).collect() })
}

/// What copying a whole vault did.
#[derive(Debug, Clone, Serialize)]
pub struct CopiedAll {
    /// Snapshots copied now.
    pub copied: u64,
    /// Snapshots that were there already.
    pub existed: u64,
    /// Bytes added.
    pub stored: u64,
    /// Snapshots that could not be copied, with the reason.
    pub failed: Vec<String>,
}

/// Copies every snapshot of a vault to another, oldest first. The catalog learns of them by `catalog rebuild`, or at
/// once where it knows the backup.
///
/// # Errors
/// A vault that does not open, the target failing as a whole.
pub fn copy(ctx: &Context, from: &VaultName, to: &VaultName, progress: &dyn Progress) -> Result<CopiedAll, Fault> {
    if from == to {
        return Err(Fault::usage("source and target are the same vault", "name two vaults"));
    }
    let (source, target) = (ctx.vault(from)?, ctx.vault(to)?);
    let (snapshots, bad) = source.snapshots().map_err(|error| error.fault())?;
    let mut out = CopiedAll { copied: 0, existed: 0, stored: 0, failed: bad.iter().map(ToString::to_string).collect() };
    for snapshot in snapshots {
        progress.stage(&format!("copying {}", snapshot.about.backup));
        match source.copy_to(&snapshot.id, &target, progress) {
            Ok(copied) => {
                out.copied += u64::from(!copied.existed);
                out.existed += u64::from(copied.existed);
                out.stored += copied.stored;
                crate::catalog_rebuild::learn_copy(ctx, to, &copied.snapshot, copied.stored)?;
            }
            Err(error) if error.is_damage() => out.failed.push(format!("{}: {error}", snapshot.about.backup)),
            Err(error) => return Err(error.fault()),
        }
    }
    ctx.audit("vault copy", from.as_str(), "", serde_json::json!({ "to": to, "copied": out.copied }))?;
    if !out.failed.is_empty() && out.copied + out.existed == 0 {
        return Err(Fault::new(ExitCode::Findings, Advice::CallAPerson, out.failed.join("; "), ""));
    }
    Ok(out)
}
