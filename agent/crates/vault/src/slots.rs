//! Key slots in `keys/`: opening, adding, removing, rotating.
//!
//! Slots are written before older ones are removed, so at every instant at least one slot opens the vault. After a
//! crash between the two, both generations exist; the ring with the most epochs wins and the next rotation cleans up.

use backstop_seams::Clock;
use std::sync::Arc;

use crate::error::{Result, VaultError};
use crate::keyring::{Ring, Secret, Slot};
use crate::open::Vault;
use crate::store::Store;

/// Larger objects in `keys/` are not slots.
const SLOT_MAX: u64 = 64 << 10;

/// Writes a slot and returns where.
pub(crate) fn write_slot(store: &Store, slot: &Slot) -> Result<String> {
    let body = serde_json::to_vec_pretty(slot).expect("strings and numbers");
    let path = format!("keys/{}", blake3::hash(&body).to_hex());
    store.put_exact(&path, body)?;
    Ok(path)
}

/// All slots with the object each stands in; foreign objects are passed over.
fn read_slots(store: &Store) -> Result<Vec<(String, Slot)>> {
    let mut slots = Vec::new();
    for object in store.list("keys")? {
        let path = format!("keys/{}", object.name);
        if object.size > SLOT_MAX {
            continue;
        }
        match store.get(&path) {
            Ok(bytes) => {
                if let Ok(slot) = serde_json::from_slice::<Slot>(&bytes) {
                    slots.push((path, slot));
                }
            }
            Err(VaultError::Missing { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(slots)
}

/// The ring that `secret` opens; of several generations the one with the most epochs.
pub(crate) fn unlock(store: &Store, vault: &str, secret: &Secret) -> Result<Ring> {
    let mut slots = read_slots(store)?;
    // Newest first, and only one derivation for a slot that exists in two generations.
    slots.sort_by_key(|(_, slot)| std::cmp::Reverse(slot.generation));
    let mut tried = std::collections::HashSet::new();
    let mut best: Option<Ring> = None;
    for (_, slot) in &slots {
        if !tried.insert(slot.slot.clone()) {
            continue;
        }
        if let Some(ring) = slot.open(vault, secret)
            && best.as_ref().is_none_or(|best| best.newest_epoch() < ring.newest_epoch())
        {
            best = Some(ring);
        }
    }
    best.ok_or(VaultError::WrongKey { slots: tried.len() })
}

impl Vault {
    /// The key slots, newest generation of each. Objects in `keys/` that no holder of the ring made are passed over.
    ///
    /// # Errors
    /// The store's.
    pub fn slots(&self) -> Result<Vec<Slot>> {
        let ring = self.ring();
        let mut slots: Vec<Slot> = read_slots(self.store())?.into_iter().map(|(_, slot)| slot).collect();
        slots.retain(|slot| slot.is_genuine(&ring, &self.id));
        slots.sort_by(|a, b| a.slot.cmp(&b.slot).then(b.generation.cmp(&a.generation)));
        slots.dedup_by(|a, b| a.slot == b.slot);
        Ok(slots)
    }

    /// Adds a slot for another secret. Data is not touched.
    ///
    /// # Errors
    /// The store's.
    pub fn add_slot(&self, secret: &Secret, label: &str) -> Result<Slot> {
        let now = self.parts.clock.now();
        let slot = Slot::make(&self.ring(), &self.id, label, secret, now, &*self.parts.entropy)?;
        write_slot(self.store(), &slot)?;
        Ok(slot)
    }

    /// Removes a slot by id or label. What was written so far stays readable to whoever kept the old ring: rotate next.
    ///
    /// # Errors
    /// `Refused` for the last slot, and when the name fits none or several.
    pub fn remove_slot(&self, name: &str) -> Result<Slot> {
        let slots = self.slots()?;
        let fits: Vec<&Slot> = slots.iter().filter(|slot| slot.slot == name || slot.label == name).collect();
        let slot = match fits[..] {
            [slot] => slot.clone(),
            [] => return Err(VaultError::Refused(format!("no key slot is called `{name}`"))),
            _ => return Err(VaultError::Refused(format!("several key slots are called `{name}`; use the id"))),
        };
        if slots.len() == 1 {
            return Err(VaultError::Refused("this is the last key slot: nobody could open the vault any more".into()));
        }
        for (path, other) in read_slots(self.store())? {
            if other.slot == slot.slot {
                self.store().delete(&path)?;
            }
        }
        Ok(slot)
    }

    /// Starts a new epoch: what is written from now on is sealed under a new secret, given to every remaining slot.
    /// With `replacement`, the slot that `current` opens is replaced by one for the new secret. No data is rewritten.
    ///
    /// # Errors
    /// `WrongKey`, `Refused` when the slots changed meanwhile, the store's; the vault opens with the old secrets then, and
    /// the next rotation completes.
    pub fn rotate(&self, current: &Secret, replacement: Option<(&Secret, &str)>) -> Result<u32> {
        // The ring as it is now: another process may have rotated since this one opened the vault.
        let stored = Arc::new(unlock(self.store(), &self.id, current)?);
        let old = if stored.covers(&self.ring()) { stored } else { self.ring() };
        let ring = old.with_new_epoch(&*self.parts.entropy);
        let now = Clock::now(&*self.parts.clock);
        let before = read_slots(self.store())?;
        let leaving: Vec<String> = match replacement {
            Some(_) => {
                let mine = before.iter().filter(|(_, slot)| slot.open(&self.id, current).is_some());
                mine.map(|(_, slot)| slot.slot.clone()).collect()
            }
            None => Vec::new(),
        };
        let stay: Vec<Slot> = self.slots()?.into_iter().filter(|slot| !leaving.contains(&slot.slot)).collect();
        if stay.iter().any(|slot| !before.iter().any(|(_, known)| known.slot == slot.slot)) {
            return Err(VaultError::Refused("the key slots changed during the rotation; try again".into()));
        }
        let mut written = Vec::new();
        if let Some((secret, label)) = replacement {
            let slot = Slot::make(&ring, &self.id, label, secret, now, &*self.parts.entropy)?;
            written.push(write_slot(self.store(), &slot)?);
        }
        for slot in stay {
            let next = slot
                .rewrapped(&ring, &self.id, now, &*self.parts.entropy)
                .ok_or_else(|| VaultError::damaged(format!("keys/{}", slot.slot), "its public key does not read"))?;
            written.push(write_slot(self.store(), &next)?);
        }
        // Two rotations at once would each hide what the other seals. Both write before they look, so at least one sees
        // the other and withdraws.
        let stranger = |path: &String| !written.contains(path) && !before.iter().any(|(known, _)| known == path);
        if read_slots(self.store())?.iter().any(|(path, _)| stranger(path)) {
            written.iter().try_for_each(|path| self.store().delete(path))?;
            return Err(VaultError::Refused("the key slots changed during the rotation; try again".into()));
        }
        // Only now, with every new slot durable, the old ones go.
        for (path, _) in before {
            self.store().delete(&path)?;
        }
        let epoch = ring.newest_epoch();
        *self.ring.write().expect("no thread panics holding it") = Arc::new(ring);
        Ok(epoch)
    }
}
