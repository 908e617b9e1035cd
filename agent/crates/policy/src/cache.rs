//! Compiled code from one start to the next.
//!
//! Compiling takes from 10 ms (a small Rust component) to many seconds (JavaScript, Python), so compiled code is kept in a
//! directory that only the agent can write. Loading it means running what stands in it, so each entry carries a keyed
//! BLAKE3 digest over its name and bytes; an entry that does not carry the right one is as if it were not there. The
//! name says the component's digest and the engine's fingerprint, so an entry made by another version, for another
//! processor or with other settings is never asked for. `agent/docs/decisions/0009-compiled-policies-are-authenticated.md`
//! tells why this is the only place with `unsafe` in it.

use std::hash::{Hash, Hasher};

use wasmtime::component::Component;

use crate::outside::{CompiledCache, EngineOutside};

const MAGIC: &[u8; 16] = b"backstop code 1\n";
const MAC_LEN: usize = 32;

/// A cache with the key that its entries are authenticated by.
#[derive(Clone)]
pub(crate) struct CodeCache {
    shelf: Option<std::sync::Arc<dyn CompiledCache>>,
    key: [u8; 32],
    fingerprint: String,
}

impl CodeCache {
    pub(crate) fn new(engine: &wasmtime::Engine, outside: &EngineOutside) -> Self {
        Self {
            shelf: outside.cache.clone(),
            key: blake3::derive_key("backstop policy compiled code 1", &outside.cache_key),
            fingerprint: fingerprint(engine),
        }
    }

    /// The component, from the cache or compiled and put there.
    pub(crate) fn component(
        &self,
        engine: &wasmtime::Engine,
        sha256: &str,
        bytes: &[u8],
    ) -> wasmtime::Result<Component> {
        let Some(shelf) = &self.shelf else { return Component::from_binary(engine, bytes) };
        let name = format!("{sha256}-{}", self.fingerprint);
        if let Some(component) = shelf.get(&name).and_then(|entry| self.open(engine, &name, &entry)) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        shelf.put(&name, &self.seal(&name, &component.serialize()?));
        Ok(component)
    }

    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(code);
        hasher.finalize()
    }

    fn seal(&self, name: &str, code: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), self.mac(name, code).as_bytes(), code].concat()
    }

    /// The component of an entry that this agent itself has written under that name; `None` for anything else.
    fn open(&self, engine: &wasmtime::Engine, name: &str, entry: &[u8]) -> Option<Component> {
        let sealed = entry.strip_prefix(MAGIC)?;
        let (mac, code) = sealed.split_at_checked(MAC_LEN)?;
        // Compared in constant time.
        if self.mac(name, code) != blake3::Hash::from_slice(mac).ok()? {
            return None;
        }
        authentic(engine, code).ok()
    }
}

#[allow(unsafe_code)]
fn authentic(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is byte for byte what `Component::serialize` returned to an agent that holds the same secret key,
    // with an engine of the same fingerprint: `open`, the only caller, has just checked its keyed digest. Wasmtime checks
    // once more that its own version and the engine's settings agree.
    unsafe { Component::deserialize(engine, code) }
}

/// Everything that compiled code depends on beside the component.
fn fingerprint(engine: &wasmtime::Engine) -> String {
    struct Digest(blake3::Hasher);
    impl Hasher for Digest {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digest = Digest(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut digest);
    digest.0.finalize().to_hex()[..32].to_owned()
}
