//! `vault …` and `catalog rebuild`.

use backstop_model::Bytes;
use backstop_model::VaultName;
use backstop_ops::catalog_rebuild;
use backstop_ops::vaults::{CopiedAll, KeySlot, Made, Rebuilt, VaultStatus};

use crate::cli::table::Table;
use crate::cli::words::{counted, grouped, instant};

/// A vault that was made.
pub fn made(made: &Made) -> String {
    let mut out = format!("made vault {} at {}\n", made.vault, made.url);
    if let Some(path) = &made.generated_key {
        out.push_str(&format!("made its key: {path}\n"));
        out.push_str("next: keep a copy of the key somewhere else; without it nothing can be read\n");
    }
    out
}

/// Vaults as they stand.
pub fn status(vaults: &[VaultStatus]) -> String {
    if vaults.is_empty() {
        return "no vault is configured\n".to_owned();
    }
    let mut out = String::new();
    for vault in vaults {
        out.push_str(&format!("{} in {}: {}\n", vault.vault, vault.region, vault.url));
        if let Some(fault) = &vault.fault {
            out.push_str(&format!("  does not open: {}\n", fault.message));
        }
        let Some(status) = &vault.status else { continue };
        let mut facts = Table::new(2);
        let trashed = if status.trashed > 0 { format!(", {} in the trash", status.trashed) } else { String::new() };
        facts.row(["snapshots".to_owned(), format!("{}{trashed}", grouped(status.snapshots))]);
        let marked =
            if status.marked > 0 { format!(", {} marked for removal", grouped(status.marked)) } else { String::new() };
        facts.row(["bytes".to_owned(), format!("{} in {}{marked}", status.packed, counted(status.packs, "pack"))]);
        facts.row(["chunks".to_owned(), grouped(status.chunks)]);
        facts.row(["keys".to_owned(), counted(status.slots, "slot")]);
        out.push_str(&facts.text());
        for (object, why) in &status.unreadable {
            out.push_str(&format!("  cannot be read: {object}: {why}\n"));
        }
    }
    out
}

/// Key slots.
pub fn slots(slots: &[KeySlot]) -> String {
    let mut table = Table::new(0);
    for slot in slots {
        table.row([slot.label.clone(), slot.kind.clone(), instant(slot.created), slot.slot.clone()]);
    }
    table.text()
}

/// A rebuilt index.
pub fn index(vault: &VaultName, rebuilt: &Rebuilt) -> String {
    let mut out = format!("the index of {vault} lists {} again\n", counted(rebuilt.packs, "pack"));
    out.push_str(&unreadable(&rebuilt.unreadable));
    out
}

/// A copied vault.
pub fn copied(from: &VaultName, to: &VaultName, copied: &CopiedAll) -> String {
    let mut out = format!(
        "copied {} from {from} to {to}, {} were there already; {} added\n",
        counted(copied.copied, "snapshot"),
        grouped(copied.existed),
        Bytes(copied.stored)
    );
    for failed in &copied.failed {
        out.push_str(&format!("  not copied: {failed}\n"));
    }
    out
}

/// A rebuilt catalog.
pub fn catalog(rebuilt: &catalog_rebuild::Rebuilt) -> String {
    let mut out = format!("recorded {}\n", counted(rebuilt.backups, "backup"));
    for (vault, copies) in &rebuilt.copies {
        out.push_str(&format!("  {vault}: {}\n", counted(*copies, "copy")));
    }
    out.push_str(&unreadable(&rebuilt.unreadable));
    out
}

fn unreadable(list: &[String]) -> String {
    list.iter().map(|line| format!("  cannot be read: {line}\n")).collect()
}
