//! Randomness from the seed. Fit for tests alone: whoever knows the seed knows the keys.

use std::sync::Mutex;

use backstop_seams::Entropy;

use crate::UNPOISONED;

/// A stream of bytes that a seed and a name determine.
pub struct SimEntropy(Mutex<blake3::OutputReader>);

impl SimEntropy {
    /// The stream of this name.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        Self(Mutex::new(hasher.finalize_xof()))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().expect(UNPOISONED).fill(buffer);
    }
}
