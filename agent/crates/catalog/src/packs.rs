//! Which packs of a vault were read when, so that a verification resumes and samples the oldest first.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::{Timestamp, VaultName};
use rusqlite::params;

use crate::code::{Reading, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// The last check of one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackCheck {
    /// When it ended.
    pub at: Timestamp,
    /// Whether every byte authenticated.
    pub ok: bool,
}

impl Catalog {
    /// Records checks of packs, named by their hexadecimal id; each replaces the one before. A few hundred at a time
    /// cost no more than one.
    ///
    /// # Errors
    /// Those of any write.
    pub fn record_pack_checks(&self, vault: &VaultName, checks: &[(String, PackCheck)]) -> Result<(), CatalogError> {
        self.write(|tx| {
            let mut statement = tx.prepare(
                "INSERT INTO pack_checks (vault, pack, at, ok) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (vault, pack) DO UPDATE SET at = excluded.at, ok = excluded.ok",
            )?;
            for (pack, check) in checks {
                statement.execute(params![vault.as_str(), pack, micros(check.at), check.ok])?;
            }
            Ok(())
        })
    }

    /// The last check of every pack ever checked and not forgotten.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn pack_checks(&self, vault: &VaultName) -> Result<BTreeMap<String, PackCheck>, CatalogError> {
        self.read(|tx| {
            tx.prepare("SELECT pack, at, ok FROM pack_checks WHERE vault = ?1 ORDER BY pack")?
                .query_and_then([vault.as_str()], |row| {
                    let reading = Reading::new("pack_checks", row);
                    Ok((reading.get(0)?, PackCheck { at: reading.time(1)?, ok: reading.get(2)? }))
                })?
                .collect()
        })
    }

    /// Forgets checks of packs that are not among those the vault still has. Returns how many.
    ///
    /// # Errors
    /// Those of any write.
    pub fn forget_packs(&self, vault: &VaultName, existing: &BTreeSet<String>) -> Result<u64, CatalogError> {
        let gone: Vec<String> = self.pack_checks(vault)?.into_keys().filter(|pack| !existing.contains(pack)).collect();
        self.write(|tx| {
            let mut statement = tx.prepare("DELETE FROM pack_checks WHERE vault = ?1 AND pack = ?2")?;
            for pack in &gone {
                statement.execute(params![vault.as_str(), pack])?;
            }
            Ok(gone.len() as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    #[test]
    fn the_last_check_of_each_pack_counts_and_packs_that_are_gone_are_forgotten() {
        let catalog = Catalog::in_memory().expect("memory");
        let (main, other): (VaultName, VaultName) = ("main".parse().expect("valid"), "other".parse().expect("valid"));
        let check = |second, ok| PackCheck { at: at(second), ok };
        let checks = [("aa".to_owned(), check(1, true)), ("bb".to_owned(), check(1, true))];
        catalog.record_pack_checks(&main, &checks).expect("recorded");
        catalog.record_pack_checks(&other, &checks[..1]).expect("recorded");
        catalog.record_pack_checks(&main, &[("aa".to_owned(), check(2, false))]).expect("recorded");
        let known = catalog.pack_checks(&main).expect("read");
        assert_eq!((known["aa"], known["bb"]), (check(2, false), check(1, true)));
        assert_eq!(catalog.forget_packs(&main, &["aa".to_owned()].into()).expect("forgotten"), 1);
        assert_eq!(catalog.pack_checks(&main).expect("read").len(), 1);
        assert_eq!(catalog.pack_checks(&other).expect("read").len(), 1);
    }
}
