//! The life of one process of the agent, and its sudden end.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::UNPOISONED;

/// Whether the touch at which a process ends still reaches the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing of it happens.
    Before,
    /// It happens, and the process never hears of it.
    After,
}

/// What a touch of the world meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// It goes through.
    Alive,
    /// The process ends with it.
    Ends(End),
    /// The process is gone; nothing it does reaches the world.
    Gone,
}

type LastWish = Box<dyn FnOnce() + Send>;

/// A process may be doomed to end at its n-th touch from now. From then on nothing it does has any effect on the world;
/// its code goes on for a while, against errors, as code in a simulation must.
pub struct Life {
    owner: String,
    touches: AtomicU64,
    ends_at: AtomicU64,
    ended: AtomicBool,
    doom: Mutex<Option<(End, LastWish)>>,
    last_touch: Mutex<String>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({}, {} touches, ended: {})", self.owner, self.touches(), self.has_ended())
    }
}

impl Life {
    pub(crate) fn new(owner: String) -> Self {
        Self {
            owner,
            touches: AtomicU64::new(0),
            ends_at: AtomicU64::new(u64::MAX),
            ended: AtomicBool::new(false),
            doom: Mutex::new(None),
            last_touch: Mutex::default(),
        }
    }

    /// The process, as leases name it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How often it touched the world.
    #[must_use]
    pub fn touches(&self) -> u64 {
        self.touches.load(Ordering::SeqCst)
    }

    /// Dooms it to end at the touch `after_touches` from now. At that moment, before anything else can happen,
    /// `last_wish` saves what the process cannot undo by failing: the catalog as it is on disk then.
    pub fn doom(&self, after_touches: u64, end: End, last_wish: impl FnOnce() + Send + 'static) {
        *self.doom.lock().expect(UNPOISONED) = Some((end, Box::new(last_wish)));
        self.ends_at.store(self.touches() + after_touches, Ordering::SeqCst);
    }

    /// Takes the doom back.
    pub fn spare(&self) {
        self.ends_at.store(u64::MAX, Ordering::SeqCst);
        *self.doom.lock().expect(UNPOISONED) = None;
    }

    /// Ends it now.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Whether it ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// At what it ended, in words.
    #[must_use]
    pub fn last_touch(&self) -> String {
        self.last_touch.lock().expect(UNPOISONED).clone()
    }

    pub(crate) fn touch(&self, what: &str) -> Touch {
        if self.has_ended() {
            return Touch::Gone;
        }
        let number = self.touches.fetch_add(1, Ordering::SeqCst);
        if number < self.ends_at.load(Ordering::SeqCst) {
            return Touch::Alive;
        }
        let Some((end, last_wish)) = self.doom.lock().expect(UNPOISONED).take() else { return Touch::Gone };
        self.end();
        what.clone_into(&mut self.last_touch.lock().expect(UNPOISONED));
        last_wish();
        Touch::Ends(end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_doomed_process_ends_at_the_touch_it_was_told_and_stays_gone() {
        let life = Life::new("p1".into());
        assert_eq!(life.touch("a"), Touch::Alive);
        let saved = Arc::new(AtomicBool::new(false));
        let wish = Arc::clone(&saved);
        life.doom(1, End::After, move || wish.store(true, Ordering::SeqCst));
        assert_eq!(life.touch("b"), Touch::Alive);
        assert!(!saved.load(Ordering::SeqCst));
        assert_eq!(life.touch("c"), Touch::Ends(End::After));
        assert!(saved.load(Ordering::SeqCst) && life.has_ended());
        assert_eq!((life.touch("d"), life.last_touch()), (Touch::Gone, "c".to_owned()));
    }

    #[test]
    fn one_who_is_spared_lives_on() {
        let life = Life::new("p1".into());
        life.doom(0, End::Before, || {});
        life.spare();
        assert_eq!(life.touch("a"), Touch::Alive);
    }
}
