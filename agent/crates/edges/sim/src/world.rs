//! The world and the processes that live in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use backstop_seams::{Clock, Entropy, ProbeAnswer};
use object_store::ObjectStore;

use crate::UNPOISONED;
use crate::chance::Chance;
use crate::clock::{ProcessClock, SimClock};
use crate::cloud::SimCloud;
use crate::disk::SimDisk;
use crate::drift::Drift;
use crate::entropy::SimEntropy;
use crate::files::SimFiles;
use crate::life::Life;
use crate::probe::{Answers, SimProbe};
use crate::source::{Seen, SimTrees};
use crate::store::{Shelf, SimStore};
use crate::weather::{Climate, Weather};

/// Everything there is, from one seed.
pub struct World {
    chance: Chance,
    clock: Arc<SimClock>,
    weather: Arc<Weather>,
    disk: Arc<SimDisk>,
    cloud: Arc<SimCloud>,
    shelves: Mutex<BTreeMap<String, Arc<Shelf>>>,
    lives: Mutex<Vec<Arc<Life>>>,
    answers: Answers,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl World {
    /// A new world with rough weather.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        let chance = Chance::new(seed);
        let clock = Arc::new(SimClock::default());
        let weather = Arc::new(Weather::new(chance, Climate::ROUGH));
        Arc::new(Self {
            chance,
            disk: Arc::new(SimDisk::new(Arc::clone(&clock))),
            cloud: Arc::new(SimCloud::new(Arc::clone(&clock), Arc::clone(&weather), chance)),
            clock,
            weather,
            shelves: Mutex::default(),
            lives: Mutex::default(),
            answers: Answers::default(),
            seen: Arc::default(),
        })
    }

    /// Where its chance comes from.
    #[must_use]
    pub fn chance(&self) -> Chance {
        self.chance
    }

    /// Its time.
    #[must_use]
    pub fn clock(&self) -> &Arc<SimClock> {
        &self.clock
    }

    /// What goes wrong by itself.
    #[must_use]
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// The disk of the machine the agent runs on.
    #[must_use]
    pub fn disk(&self) -> &Arc<SimDisk> {
        &self.disk
    }

    /// Its cloud.
    #[must_use]
    pub fn cloud(&self) -> &Arc<SimCloud> {
        &self.cloud
    }

    /// The objects of a store, by the name of its region; made when it is first asked for.
    #[must_use]
    pub fn shelf(&self, region: &str) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock().expect(UNPOISONED);
        Arc::clone(shelves.entry(region.to_owned()).or_insert_with(|| Arc::new(Shelf::new(region))))
    }

    /// A tree at a path that changes day by day.
    #[must_use]
    pub fn drift(&self, root: &str) -> Drift {
        Drift::new(Arc::clone(&self.disk), self.chance, root)
    }

    /// What a program will say when it is run.
    pub fn set_answer(&self, program: &str, answer: ProbeAnswer) {
        self.answers.lock().expect(UNPOISONED).insert(program.to_owned(), answer);
    }

    /// Every tree that a process began to capture, in that order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect(UNPOISONED).clone()
    }

    /// Starts a process of the agent.
    #[must_use]
    pub fn start(self: &Arc<Self>) -> Process {
        let mut lives = self.lives.lock().expect(UNPOISONED);
        let life = Arc::new(Life::new(format!("sim:{}", lives.len() + 1)));
        lives.push(Arc::clone(&life));
        Process { world: Arc::clone(self), life, observer: false }
    }

    /// Somebody who stands beside everything: no weather, no time passes, no end.
    #[must_use]
    pub fn observer(self: &Arc<Self>) -> Process {
        Process { world: Arc::clone(self), life: Arc::new(Life::new("observer".into())), observer: true }
    }

    /// Whether the process that a lease names may still be alive.
    #[must_use]
    pub fn may_live(&self, owner: &str) -> bool {
        let lives = self.lives.lock().expect(UNPOISONED);
        lives.iter().find(|life| life.owner() == owner).is_none_or(|life| !life.has_ended())
    }
}

/// One process, and what it reaches of the world.
#[derive(Clone)]
pub struct Process {
    world: Arc<World>,
    life: Arc<Life>,
    observer: bool,
}

impl Process {
    /// Its life.
    #[must_use]
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Time as it reads it.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(ProcessClock { clock: Arc::clone(&self.world.clock), life: Arc::clone(&self.life) })
    }

    /// Its randomness.
    #[must_use]
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::new(SimEntropy::new(self.world.chance.seed(), self.life.owner()))
    }

    /// Directories and small files.
    #[must_use]
    pub fn files(&self) -> SimFiles {
        SimFiles { disk: Arc::clone(&self.world.disk), life: Arc::clone(&self.life) }
    }

    /// Sources and targets.
    #[must_use]
    pub fn trees(&self) -> SimTrees {
        SimTrees {
            disk: Arc::clone(&self.world.disk),
            clock: Arc::clone(&self.world.clock),
            life: Arc::clone(&self.life),
            seen: Arc::clone(&self.world.seen),
        }
    }

    /// Programs.
    #[must_use]
    pub fn probe(&self) -> SimProbe {
        SimProbe { answers: Arc::clone(&self.world.answers), life: Arc::clone(&self.life) }
    }

    /// The store in a region.
    #[must_use]
    pub fn store(&self, region: &str) -> Arc<dyn ObjectStore> {
        Arc::new(SimStore {
            shelf: self.world.shelf(region),
            life: Arc::clone(&self.life),
            clock: Arc::clone(&self.world.clock),
            weather: (!self.observer).then(|| Arc::clone(&self.world.weather)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use backstop_seams::conformance::{time, trees};
    use backstop_seams::{Files, Trees};

    use super::*;

    #[test]
    fn simulated_time_and_randomness_keep_their_contracts() {
        let process = World::new(1).start();
        time::clock(&*process.clock());
        time::entropy(&*process.entropy());
    }

    #[test]
    fn simulated_directories_are_sources_and_targets_as_the_seams_promise() {
        let process = World::new(1).start();
        let (files, made) = (process.files(), process.trees());
        let dir = Path::new("/scratch/suite");
        files.own_directory(dir).expect("new");
        trees::round_trip(&trees::Pair {
            target: &|overwrite| made.target(dir, b"", overwrite).expect("a directory"),
            source: &|| made.restored(dir, b"").expect("a directory"),
            owner: (1000, 1000),
        });
    }
}
