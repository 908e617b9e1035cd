//! The system's source of randomness.

use backstop_seams::Entropy;
use ring::rand::{SecureRandom, SystemRandom};

/// Randomness of the operating system, fit for keys.
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// Opens nothing; the system is asked on each call.
    #[must_use]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Going on with predictable keys would be worse than stopping.
        self.0.fill(buffer).expect("the operating system gives randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ_and_every_byte_is_written() {
        let entropy = SystemEntropy::new();
        let (mut a, mut b) = ([0; 64], [0; 64]);
        entropy.fill(&mut a);
        entropy.fill(&mut b);
        assert_ne!(a, b);
        assert!(a[..32] != [0; 32] && a[32..] != [0; 32]);
        entropy.fill(&mut []);
    }
}
