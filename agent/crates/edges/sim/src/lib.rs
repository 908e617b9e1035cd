//! Edge: a whole world from one seed, for tests and rehearsals.
//!
//! A [`World`] has a clock that moves when told to, a file system in memory, object stores in regions, a cloud with
//! machines, and weather: outages, throttling and transient errors that depend on the seed and on nothing else. The
//! agent lives in it as a [`Process`], which may be doomed to end at its n-th touch of the world; what follows that
//! touch does not happen, and the next process finds whatever the last one left.
//!
//! What happens is decided by *what is asked about* — the seed, the name of an object, how often it was asked for — and
//! not by the order in which threads ask, so that a seed replays.
//!
//! Implements `seams::{Clock, Entropy, Files, Trees, Probe, Cloud}` and `object_store::ObjectStore`, and passes their
//! conformance suites. Touches nothing outside of its own memory.

pub mod chance;
pub mod clock;
pub mod cloud;
pub mod disk;
mod drift;
mod entropy;
mod files;
pub mod life;
mod probe;
mod source;
pub mod store;
mod target;
pub mod weather;
mod world;

pub use chance::{Chance, Dice};
pub use clock::SimClock;
pub use cloud::SimCloud;
pub use disk::SimDisk;
pub use drift::Drift;
pub use entropy::SimEntropy;
pub use files::SimFiles;
pub use life::{End, Life};
pub use probe::SimProbe;
pub use source::SimTrees;
pub use store::{Shelf, SimStore};
pub use weather::{Climate, Weather};
pub use world::{Process, World};

/// Locks are held for a few lines that do not panic.
const UNPOISONED: &str = "no thread panics holding it";
