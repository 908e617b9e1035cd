//! Chance that replays.

/// Where all chance of a world comes from. Two questions about the same thing get the same dice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// Chance from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed.
    #[must_use]
    pub const fn seed(self) -> u64 {
        self.0
    }

    /// Dice for one question, named by what it is about.
    #[must_use]
    pub fn of(self, about: &str) -> Dice {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes()).update(about.as_bytes());
        let mut state = [0; 8];
        hasher.finalize_xof().fill(&mut state);
        Dice(u64::from_le_bytes(state))
    }
}

/// A sequence of numbers (splitmix64, by Sebastiano Vigna, in the public domain).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it never ends, so it is no iterator anybody should exhaust")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of the remainder is far below anything a test could notice.
        self.next() % end.max(1)
    }

    /// True once in `n` throws; never when `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// One of these, unless there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.below(from.len() as u64)).unwrap_or(0))
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(count);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_gets_the_same_answer_and_another_one_another() {
        let (a, b) = (Chance::new(7), Chance::new(8));
        assert_eq!(a.of("x").next(), a.of("x").next());
        assert_ne!(a.of("x").next(), a.of("y").next());
        assert_ne!(a.of("x").next(), b.of("x").next());
    }

    #[test]
    fn dice_are_fair_enough() {
        let mut dice = Chance::new(1).of("dice");
        let hits = (0..10_000).filter(|_| dice.one_in(10)).count();
        assert!((900..1100).contains(&hits), "{hits} of 10000");
        assert!(!dice.one_in(0) && dice.one_in(1));
        assert_eq!(dice.pick::<u8>(&[]), None);
        assert_eq!(dice.bytes(13).len(), 13);
    }
}
