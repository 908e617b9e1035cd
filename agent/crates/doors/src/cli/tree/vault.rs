//! `vault …`

use backstop_model::VaultName;
use clap::{Args, Subcommand};

use crate::cli::values;

/// Verbs about vaults.
#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Make a vault that the configuration names
    ///
    /// Writes an empty vault at its URL, sealed with its key. With `--generate-key`, a key file that does not exist yet
    /// is made first. Keep a copy of the key somewhere else: without it, nothing can be read.
    Init(VaultInit),
    /// Show what vaults hold
    ///
    /// Opens each vault: snapshots, packs, bytes, key slots, and whatever cannot be read.
    Status(VaultStatus),
    /// Remove what nothing refers to
    ///
    /// Purges released backups whose window is over, and packs that no snapshot needs. Packs are marked first and
    /// removed by a later prune, so a backup that runs beside it loses nothing.
    Prune(VaultPrune),
    /// Add, remove, rotate and list the keys of a vault
    #[command(subcommand)]
    Key(Key),
    /// Write a vault's index anew from its packs
    ///
    /// For when the index is lost or damaged. Reads the head of every pack; nothing is removed.
    RebuildIndex(VaultNameArg),
    /// Copy every snapshot of a vault to another
    ///
    /// Snapshots that are there already cost nothing. The copies start without proofs.
    Copy(VaultCopy),
}

/// `vault key …`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Add a key that opens the vault as well
    ///
    /// A spare key, kept elsewhere, is what stands between a lost key file and lost backups.
    Add(KeyAdd),
    /// Remove a key: it opens the vault no more
    ///
    /// The last one cannot be removed. Whoever has read the vault with it before may have kept what it unlocks; `vault
    /// key rotate` makes what is written from now on unreadable with that.
    Remove(KeyRemove),
    /// Seal everything new under a new secret
    ///
    /// No data is written again. With `--key`, the slot of the key in use gives way to that one; change `key` in the
    /// configuration then.
    Rotate(KeyRotate),
    /// List the keys of a vault
    ///
    /// The slots by id and label, what kind of key each holds and when it was made. Never the keys.
    List(VaultNameArg),
}

#[derive(Debug, Args)]
pub struct VaultNameArg {
    /// The vault
    pub vault: VaultName,
}

#[derive(Debug, Args)]
pub struct VaultInit {
    /// The vault
    pub vault: VaultName,
    /// Make the key file if it does not exist
    #[arg(long)]
    pub generate_key: bool,
    /// Cut data as this vault does, so that copying between them is cheap
    #[arg(long, value_name = "VAULT")]
    pub like: Option<VaultName>,
}

#[derive(Debug, Args)]
pub struct VaultStatus {
    /// Only this vault
    pub vault: Option<VaultName>,
}

#[derive(Debug, Args)]
pub struct VaultPrune {
    /// Only this vault
    pub vault: Option<VaultName>,
    /// Do not wait for the grace period of packs; nobody else may be writing
    #[arg(long)]
    pub at_once: bool,
    /// Percent of the vault that may stay as waste in packs that are needed
    ///
    /// With 0, every pack is rewritten that would become smaller. Blocks are moved sealed, never unpacked, so a block
    /// of about 1 MiB that is mostly needed keeps what else is in it.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub max_unused: u8,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct KeyAdd {
    /// The vault
    pub vault: VaultName,
    /// Where the new key is: `file:/path`, `env:NAME`, `credential:NAME`, `command:program args`
    #[arg(long, value_name = "REF", value_parser = values::key)]
    pub key: values::KeyArg,
    /// A name for its slot
    #[arg(long, value_name = "NAME")]
    pub label: String,
}

#[derive(Debug, Args)]
pub struct KeyRemove {
    /// The vault
    pub vault: VaultName,
    /// The slot: its id or label
    pub slot: String,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct KeyRotate {
    /// The vault
    pub vault: VaultName,
    /// Where the key is that takes the place of the one in use
    #[arg(long, value_name = "REF", value_parser = values::key)]
    pub key: Option<values::KeyArg>,
    /// A name for its slot
    #[arg(long, value_name = "NAME", default_value = "rotated", requires = "key")]
    pub label: String,
}

#[derive(Debug, Args)]
pub struct VaultCopy {
    /// From this vault
    pub from: VaultName,
    /// To this one
    pub to: VaultName,
}
