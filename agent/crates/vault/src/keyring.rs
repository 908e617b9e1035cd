//! The ring of secrets and the slots that open it.
//!
//! Two layers. The *ring* holds what the vault's bytes depend on: the key of chunk ids (for ever the same, or
//! deduplication would end) and one secret per *epoch*; new objects are sealed under the newest epoch. A *slot* lets
//! one passphrase or key file open the ring. Slots wrap the ring to a public key derived from their secret, so a
//! rotation can give every remaining slot the new ring although only one secret is at hand, and a removed slot
//! cannot open what is written after the rotation that follows.
//!
//! A public key alone would let anybody who can write to the store wrap a ring of their own for us, or plant a slot of
//! their own and wait for a rotation. So each slot has a *seal of trust*, a second key derived from its secret: it goes
//! into every wrapping, and the ring's holders find it in the slot, sealed under the ring. A slot they cannot read it
//! from is not one of ours: it is not shown, counted or wrapped to.

use std::collections::BTreeMap;

use backstop_model::Timestamp;
use backstop_model::name::parse_hex;
use backstop_seams::Entropy;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::error::{Result, VaultError};
use crate::seal::Kind;

/// The secrets of a vault.
#[derive(Clone)]
pub struct Ring {
    chunk_key: [u8; 32],
    epochs: BTreeMap<u32, [u8; 32]>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring({} epochs)", self.epochs.len())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.chunk_key.zeroize();
        self.epochs.values_mut().for_each(Zeroize::zeroize);
    }
}

#[derive(Serialize, Deserialize)]
struct RingRecord {
    chunk_key: String,
    epochs: BTreeMap<u32, String>,
}

/// 32 unpredictable bytes.
pub(crate) fn random32(entropy: &dyn Entropy) -> [u8; 32] {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Ring {
    /// A new ring with one epoch.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        Self { chunk_key: random32(entropy), epochs: BTreeMap::from([(1, random32(entropy))]) }
    }

    /// The same ring with one more epoch.
    pub(crate) fn with_new_epoch(&self, entropy: &dyn Entropy) -> Self {
        let mut next = self.clone();
        next.epochs.insert(self.newest_epoch() + 1, random32(entropy));
        next
    }

    /// The epoch new objects are sealed under.
    #[must_use]
    pub fn newest_epoch(&self) -> u32 {
        self.epochs.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// The secret that keys of objects of this kind and epoch derive from.
    pub(crate) fn object_secret(&self, epoch: u32, kind: Kind) -> Option<[u8; 32]> {
        self.epochs.get(&epoch).map(|secret| blake3::derive_key(kind.context(), secret))
    }

    /// The key of chunk ids.
    pub(crate) fn id_key(&self) -> [u8; 32] {
        blake3::derive_key("backstop vault 1: chunk id", &self.chunk_key)
    }

    /// Mixed into the table that decides where files are cut, so that the sizes of chunks say nothing to outsiders.
    pub(crate) fn cut_seed(&self) -> u64 {
        let derived = blake3::derive_key("backstop vault 1: cut", &self.chunk_key);
        u64::from_le_bytes(derived[..8].try_into().expect("eight bytes"))
    }

    /// The key that authenticates the config object.
    pub(crate) fn config_key(&self) -> [u8; 32] {
        blake3::derive_key("backstop vault 1: config", &self.chunk_key)
    }

    /// Whether both rings give chunks the same ids, so that sealed packs can move between their vaults.
    #[must_use]
    pub fn shares_ids_with(&self, other: &Ring) -> bool {
        self.chunk_key == other.chunk_key
    }

    /// Whether everything `other` can read, this ring can read.
    pub(crate) fn covers(&self, other: &Ring) -> bool {
        self.shares_ids_with(other)
            && other.epochs.iter().all(|(number, secret)| self.epochs.get(number) == Some(secret))
    }

    fn to_record(&self) -> Zeroizing<Vec<u8>> {
        let record = RingRecord {
            chunk_key: hex(&self.chunk_key),
            epochs: self.epochs.iter().map(|(number, secret)| (*number, hex(secret))).collect(),
        };
        Zeroizing::new(serde_json::to_vec(&record).expect("strings and numbers"))
    }

    fn from_record(bytes: &[u8]) -> Option<Self> {
        let record: RingRecord = serde_json::from_slice(bytes).ok()?;
        let epochs: Option<BTreeMap<u32, [u8; 32]>> =
            record.epochs.iter().map(|(number, secret)| Some((*number, parse_hex(secret)?))).collect();
        let epochs = epochs.filter(|epochs| !epochs.is_empty() && !epochs.contains_key(&u32::MAX))?;
        Some(Self { chunk_key: parse_hex(&record.chunk_key)?, epochs })
    }

    /// A fixed ring for unit tests.
    #[cfg(test)]
    pub(crate) fn for_tests(seed: u8) -> Self {
        Self { chunk_key: [seed; 32], epochs: BTreeMap::from([(1, [seed ^ 0x55; 32])]) }
    }
}

/// What opens a slot. Text that begins with [`RAW_PREFIX`] and 64 hexadecimal digits is a raw key; anything else is
/// a passphrase.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the text of a raw key begins.
pub const RAW_PREFIX: &str = "backstop-key-1:";

impl Secret {
    /// Takes the text of a passphrase or raw key.
    #[must_use]
    pub fn new(text: Vec<u8>) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text of a fresh raw key, one line without its end.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Zeroizing<String> {
        Zeroizing::new(format!("{RAW_PREFIX}{}", hex(&random32(entropy))))
    }

    fn raw(&self) -> Option<[u8; 32]> {
        let text = std::str::from_utf8(&self.0).ok()?;
        parse_hex(text.strip_prefix(RAW_PREFIX)?.trim_end())
    }
}

/// How a slot's secret becomes a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Derivation {
    /// The secret is 32 random bytes already.
    Raw,
    /// Argon2id version 1.3.
    Argon2id {
        /// Memory in KiB.
        memory: u32,
        /// Passes.
        passes: u32,
        /// Lanes.
        lanes: u32,
        /// Salt, hexadecimal.
        salt: String,
    },
}

/// A slot as it stands in `keys/`: JSON, all of it safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Format of the slot, 1.
    pub backstop_key: u32,
    /// Stays the same when the slot is wrapped again.
    pub slot: String,
    /// Grows by one each time it is; the highest counts.
    pub generation: u32,
    /// The operator's name for it.
    pub label: String,
    /// When this generation was made.
    pub created: Timestamp,
    /// How its secret becomes a key.
    pub derivation: Derivation,
    /// The public key that rings are wrapped to.
    pub public: String,
    /// The slot's seal of trust, sealed under the ring; shows holders of the ring that the slot is genuine.
    pub trust: String,
    /// The sender's half of the wrapping.
    pub ephemeral: String,
    /// The sealed ring.
    pub ring: String,
}

/// Bounds on what a slot may ask of this machine, so that a forged slot cannot exhaust it.
const MEMORY_MAX_KIB: u32 = 1 << 20;

impl Slot {
    /// Makes a slot for `secret` that opens `ring`.
    pub(crate) fn make(
        ring: &Ring,
        vault: &str,
        label: &str,
        secret: &Secret,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let derivation = if secret.raw().is_some() {
            Derivation::Raw
        } else {
            // 64 MiB and three passes as in the second recommended choice of RFC 9106, on one lane: about a tenth of a
            // second.
            Derivation::Argon2id { memory: 64 << 10, passes: 3, lanes: 1, salt: hex(&random32(entropy)[..16]) }
        };
        let scalar = derive(secret, &derivation).ok_or_else(|| VaultError::Refused("the key is empty".into()))?;
        let public = PublicKey::from(&scalar);
        let mut slot = Slot {
            backstop_key: 1,
            slot: hex(&random32(entropy)[..8]),
            generation: 0,
            label: label.to_owned(),
            created: now,
            derivation,
            public: hex(public.as_bytes()),
            trust: String::new(),
            ephemeral: String::new(),
            ring: String::new(),
        };
        let mut trust = Zeroizing::new(trust_of(&scalar).to_vec());
        let key = slot.trust_key(ring);
        key.seal_in_place_append_tag(nonce(), Aad::from(slot.identity(vault)), &mut *trust)
            .map_err(|_| VaultError::Refused("the key cannot be used".into()))?;
        slot.trust = hex(&trust);
        slot.rewrapped(ring, vault, now, entropy).ok_or_else(|| VaultError::Refused("the key cannot be used".into()))
    }

    /// The slot's seal of trust; `None` when the slot was not made by a holder of the ring for this vault.
    fn trust(&self, ring: &Ring, vault: &str) -> Option<Zeroizing<[u8; 32]>> {
        let mut body = Zeroizing::new(unhex(&self.trust)?);
        let plain = self.trust_key(ring).open_in_place(nonce(), Aad::from(self.identity(vault)), &mut body).ok()?;
        Some(Zeroizing::new(<[u8; 32]>::try_from(&*plain).ok()?))
    }

    /// Whether a holder of this ring made the slot for this vault.
    pub(crate) fn is_genuine(&self, ring: &Ring, vault: &str) -> bool {
        self.trust(ring, vault).is_some()
    }

    /// The key the seal of trust is sealed under. One message for ever: it depends on the slot's id, drawn at random.
    fn trust_key(&self, ring: &Ring) -> LessSafeKey {
        let material = Zeroizing::new([&ring.chunk_key[..], self.slot.as_bytes()].concat());
        aead(&blake3::derive_key("backstop vault 1: slot trust", &material))
    }

    /// The next generation of this slot, opening `ring`. Needs no secret; `None` when the slot is not genuine.
    pub(crate) fn rewrapped(&self, ring: &Ring, vault: &str, now: Timestamp, entropy: &dyn Entropy) -> Option<Self> {
        let public = parse_hex::<32>(&self.public)?;
        let trust = self.trust(ring, vault)?;
        let ephemeral = StaticSecret::from(random32(entropy));
        let sender = *PublicKey::from(&ephemeral).as_bytes();
        let shared = ephemeral.diffie_hellman(&PublicKey::from(public));
        let mut next =
            Slot { generation: self.generation.checked_add(1)?, created: now, ephemeral: hex(&sender), ..self.clone() };
        let mut body = ring.to_record().to_vec();
        let key = wrapping_key(shared.as_bytes(), &sender, &public, &trust);
        key.seal_in_place_append_tag(nonce(), Aad::from(next.binding(vault)), &mut body).ok()?;
        next.ring = hex(&body);
        Some(next)
    }

    /// The ring, if `secret` opens this slot.
    pub(crate) fn open(&self, vault: &str, secret: &Secret) -> Option<Ring> {
        let scalar = derive(secret, &self.derivation)?;
        let public = *PublicKey::from(&scalar).as_bytes();
        if hex(&public) != self.public {
            return None;
        }
        let sender = parse_hex::<32>(&self.ephemeral)?;
        let shared = scalar.diffie_hellman(&PublicKey::from(sender));
        if !shared.was_contributory() {
            return None;
        }
        let mut body = Zeroizing::new(unhex(&self.ring)?);
        let key = wrapping_key(shared.as_bytes(), &sender, &public, &trust_of(&scalar));
        let plain = key.open_in_place(nonce(), Aad::from(self.binding(vault)), &mut body).ok()?;
        Ring::from_record(plain)
    }

    /// What the seal of trust is bound to: the vault, the slot and its public key.
    fn identity(&self, vault: &str) -> Vec<u8> {
        format!("{vault}/{}/{}", self.slot, self.public).into_bytes()
    }

    /// What the wrapping is bound to: a slot copied to another vault, or renumbered, does not open.
    fn binding(&self, vault: &str) -> Vec<u8> {
        format!("{vault}/{}/{}", self.slot, self.generation).into_bytes()
    }
}

fn nonce() -> Nonce {
    // The key is used for this one message.
    Nonce::assume_unique_for_key([0; 12])
}

fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the algorithm's length"))
}

/// The seal of trust of the slot whose private key this is.
fn trust_of(scalar: &StaticSecret) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key("backstop vault 1: slot seal", scalar.as_bytes()))
}

fn wrapping_key(shared: &[u8; 32], sender: &[u8; 32], public: &[u8; 32], trust: &[u8; 32]) -> LessSafeKey {
    let material = Zeroizing::new([&shared[..], sender, public, trust].concat());
    aead(&blake3::derive_key("backstop vault 1: slot wrapping", &material))
}

fn derive(secret: &Secret, derivation: &Derivation) -> Option<StaticSecret> {
    let bytes = match derivation {
        Derivation::Raw => blake3::derive_key("backstop vault 1: raw key", &secret.raw()?),
        Derivation::Argon2id { memory, passes, lanes, salt } => {
            if secret.0.is_empty() || secret.raw().is_some() || *memory > MEMORY_MAX_KIB || *passes > 64 || *lanes > 16
            {
                return None;
            }
            let params = argon2::Params::new(*memory, *passes, *lanes, Some(32)).ok()?;
            let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            let mut out = [0; 32];
            argon.hash_password_into(&secret.0, &unhex(salt)?, &mut out).ok()?;
            out
        }
    };
    Some(StaticSecret::from(bytes))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| parse_hex::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Seeded;

    #[test]
    fn a_rotation_reaches_slots_whose_secret_is_not_at_hand() {
        let entropy = Seeded::new(1);
        let ring = Ring::generate(&entropy);
        let now = Timestamp::UNIX_EPOCH;
        let raw = Secret::new(Secret::generate(&entropy).as_bytes().to_vec());
        let slot = Slot::make(&ring, "v", "spare", &raw, now, &entropy).expect("made");
        let next = ring.with_new_epoch(&entropy);
        let rewrapped = slot.rewrapped(&next, "v", now, &entropy).expect("wrapped");
        assert_eq!(rewrapped.open("v", &raw).expect("opens").newest_epoch(), 2);
        assert_eq!(slot.open("v", &raw).expect("opens").newest_epoch(), 1);
        assert!(rewrapped.open("w", &raw).is_none(), "a slot of another vault opens nothing");
    }

    #[test]
    fn a_slot_made_without_the_ring_is_not_wrapped_to_and_opens_nothing() {
        let entropy = Seeded::new(3);
        let (ring, theirs) = (Ring::generate(&entropy), Ring::generate(&entropy));
        let (now, mine) = (Timestamp::UNIX_EPOCH, Secret::new(Secret::generate(&entropy).as_bytes().to_vec()));
        let slot = Slot::make(&ring, "v", "mine", &mine, now, &entropy).expect("made");
        // Somebody who can write to the store plants a slot, or wraps a ring of their own for ours.
        let planted = Slot::make(&theirs, "v", "planted", &Secret::new(b"x".to_vec()), now, &entropy).expect("made");
        assert!(planted.rewrapped(&ring, "v", now, &entropy).is_none() && !planted.is_genuine(&ring, "v"));
        let mut forged = slot.clone();
        forged.trust.clone_from(&planted.trust);
        assert!(forged.rewrapped(&theirs, "v", now, &entropy).is_none());
        let mut swapped = slot.clone();
        swapped.public.clone_from(&planted.public);
        assert!(swapped.rewrapped(&ring, "v", now, &entropy).is_none());
        assert!(slot.is_genuine(&ring, "v") && slot.open("v", &mine).is_some());
    }

    proptest::proptest! {
        #[test]
        fn mutated_slots_and_rings_open_to_the_same_ring_or_not_at_all(
            slot in crate::tests::mutated(raw_slot()),
            ring in crate::tests::mutated(Ring::for_tests(4).to_record().to_vec()),
        ) {
            if let Ok(slot) = serde_json::from_slice::<Slot>(&slot) {
                if let Some(ring) = slot.open("v", &Secret::new(RAW.into())) {
                    proptest::prop_assert!(ring.shares_ids_with(&Ring::for_tests(4)));
                }
                let _ = slot.rewrapped(&Ring::for_tests(4), "v", Timestamp::UNIX_EPOCH, &Seeded::new(1));
            }
            if let Some(ring) = Ring::from_record(&ring) {
                let next = ring.newest_epoch().checked_add(1);
                proptest::prop_assert!(next.is_some());
            }
        }
    }

    const RAW: &[u8] = b"backstop-key-1:abababababababababababababababababababababababababababababababab";

    fn raw_slot() -> Vec<u8> {
        let (ring, secret) = (Ring::for_tests(4), Secret::new(RAW.into()));
        let slot = Slot::make(&ring, "v", "p", &secret, Timestamp::UNIX_EPOCH, &Seeded::new(9)).expect("made");
        serde_json::to_vec(&slot).expect("strings and numbers")
    }

    #[test]
    fn only_the_right_secret_opens_a_slot() {
        let entropy = Seeded::new(2);
        let ring = Ring::generate(&entropy);
        let pass = Secret::new(b"correct horse".to_vec());
        let slot = Slot::make(&ring, "v", "p", &pass, Timestamp::UNIX_EPOCH, &entropy).expect("made");
        assert!(slot.open("v", &pass).is_some());
        assert!(slot.open("v", &Secret::new(b"correct hors".to_vec())).is_none());
        assert!(slot.open("v", &Secret::new(Vec::new())).is_none());
    }
}
