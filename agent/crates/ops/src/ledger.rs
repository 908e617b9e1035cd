//! The vault's memory of checks, kept in the catalog.

use std::collections::BTreeMap;
use std::sync::Mutex;

use backstop_catalog::{Catalog, PackCheck};
use backstop_model::{Fault, Timestamp, VaultName};
use backstop_vault::Ledger;

/// Written a few packs at a time: a transaction each would cost more than reading a small pack.
const BATCH: usize = 16;

/// A [`Ledger`] on the catalog.
pub(crate) struct CatalogLedger<'c> {
    catalog: &'c Catalog,
    vault: &'c VaultName,
    known: BTreeMap<String, PackCheck>,
    fresh: Mutex<Vec<(String, PackCheck)>>,
}

impl<'c> CatalogLedger<'c> {
    /// Reads what is known about a vault's packs.
    pub(crate) fn new(catalog: &'c Catalog, vault: &'c VaultName) -> Result<Self, Fault> {
        Ok(Self { catalog, vault, known: catalog.pack_checks(vault)?, fresh: Mutex::default() })
    }

    /// Writes what is not written yet.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        let fresh = std::mem::take(&mut *self.fresh.lock().expect("no thread panics holding it"));
        Ok(self.catalog.record_pack_checks(self.vault, &fresh)?)
    }
}

impl Ledger for CatalogLedger<'_> {
    fn last_intact(&self, pack: &str) -> Option<Timestamp> {
        self.known.get(pack).filter(|check| check.ok).map(|check| check.at)
    }

    fn checked(&self, check: &backstop_vault::PackCheck) {
        let mut fresh = self.fresh.lock().expect("no thread panics holding it");
        fresh.push((check.pack.clone(), PackCheck { at: check.at, ok: check.fault.is_none() }));
        if fresh.len() >= BATCH {
            let batch = std::mem::take(&mut *fresh);
            drop(fresh);
            // Forgetting a check costs reading the pack again; it never claims too much.
            let _ = self.catalog.record_pack_checks(self.vault, &batch);
        }
    }
}

impl Drop for CatalogLedger<'_> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
