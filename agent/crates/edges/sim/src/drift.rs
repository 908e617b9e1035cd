//! How a live tree changes from day to day.

use std::sync::Arc;

use crate::chance::{Chance, Dice};
use crate::disk::{Mood, SimDisk};

/// A tree that people work in: files come, change, grow, move and go; some cannot be read for a while.
pub struct Drift {
    disk: Arc<SimDisk>,
    chance: Chance,
    root: String,
    day: u64,
}

/// Files a tree begins with.
const FIRST: u64 = 12;

impl Drift {
    pub(crate) fn new(disk: Arc<SimDisk>, chance: Chance, root: &str) -> Self {
        let drift = Self { disk, chance, root: root.to_owned(), day: 0 };
        let mut dice = chance.of(&format!("drift {root}"));
        for number in 0..FIRST {
            drift.add(&mut dice, number);
        }
        let mut image = vec![0; 300_000];
        image[70_000..80_000].copy_from_slice(&dice.bytes(10_000));
        drift.disk.write(&format!("{root}/disk.img"), image);
        drift
    }

    /// Where the tree stands.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// One day of work.
    pub fn next(&mut self) {
        self.day += 1;
        let mut dice = self.chance.of(&format!("drift {} {}", self.root, self.day));
        for path in self.files() {
            match dice.below(40) {
                0 => self.disk.remove(&path),
                1..=3 => self.disk.write(&path, contents(&mut dice)),
                4 | 5 => self.append(&path, &mut dice),
                6 => self.disk.set_mood(&path, if dice.one_in(2) { Mood::Unreadable } else { Mood::Vanishing }),
                7..=20 => self.soothe(&path),
                _ => {}
            }
        }
        for number in 0..1 + dice.below(2) {
            self.add(&mut dice, self.day * 100 + number);
        }
        let image = format!("{}/disk.img", self.root);
        if dice.one_in(2) {
            let mut bytes = self.read(&image);
            let at = usize::try_from(dice.below(70)).unwrap_or(0) * 4096;
            bytes[at..at + 4096].copy_from_slice(&dice.bytes(4096));
            self.disk.write(&image, bytes);
        }
    }

    fn files(&self) -> Vec<String> {
        let all = self.disk.below(&self.root).into_iter().map(|path| format!("/{path}"));
        all.filter(|path| path.ends_with(".txt")).collect()
    }

    fn add(&self, dice: &mut Dice, number: u64) {
        let folder = ["", "a/", "a/deep/", "b/"][usize::try_from(dice.below(4)).unwrap_or(0)];
        self.disk.write(&format!("{}/{folder}file-{number}.txt", self.root), contents(dice));
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let entries = self.disk.lock();
        entries.get(&crate::disk::key(path.as_ref())).map(|entry| entry.contents.to_vec()).unwrap_or_default()
    }

    fn append(&self, path: &str, dice: &mut Dice) {
        let mut bytes = self.read(path);
        bytes.extend_from_slice(&dice.bytes(100));
        self.disk.write(path, bytes);
    }

    fn soothe(&self, path: &str) {
        let is_upset = {
            let entries = self.disk.lock();
            entries.get(&crate::disk::key(path.as_ref())).is_some_and(|entry| entry.mood != Mood::Willing)
        };
        if is_upset {
            self.disk.set_mood(path, Mood::Willing);
        }
    }
}

/// Mostly small, now and then large; half of it compresses.
fn contents(dice: &mut Dice) -> Vec<u8> {
    let size = if dice.one_in(12) { 20_000 + dice.below(60_000) } else { dice.below(3000) };
    let size = usize::try_from(size).unwrap_or(0);
    if dice.one_in(2) {
        dice.bytes(size)
    } else {
        b"the same words again and again. ".iter().copied().cycle().take(size).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::world::World;

    #[test]
    fn a_tree_changes_every_day_and_the_same_way_for_the_same_seed() {
        let pictures = |seed: u64| {
            let world = World::new(seed);
            let mut drift = world.drift("/srv/docs");
            let mut pictures = vec![world.disk().picture("/srv/docs", "/")];
            for _ in 0..40 {
                drift.next();
                pictures.push(world.disk().picture("/srv/docs", "/"));
            }
            pictures
        };
        let first = pictures(1);
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "a day without change");
        assert!(first.iter().all(|picture| (8..80).contains(&picture.len())), "it neither dies nor grows for ever");
        assert_eq!(pictures(1), first);
        assert_ne!(pictures(2), first);
    }
}
