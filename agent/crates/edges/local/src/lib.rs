//! Edge: this machine. Clock, randomness, durable files, programs, signals, and where bytes are kept on a local disk.
//!
//! [`clock`] and [`entropy`] implement `seams::{Clock, Entropy}`, [`probe`] implements `seams::Probe`, [`reach`] ways to
//! restored systems; [`store`] opens the object store behind a vault's URL; [`secrets`] resolves references to secrets;
//! [`state`] prepares the state directory and reads and writes configuration files; [`signals`] turns ^C into a clean
//! stop; [`who`] names the operator for the audit log.
//!
//! Only the composition root names what is here. Touches the state directory, the configuration directory, the
//! directories of local vaults and the key files that references name.
// This crate is where clock, environment, file system and processes are touched, so that nobody else has to.
#![allow(clippy::disallowed_methods)]

pub mod clock;
pub mod entropy;
mod error;
pub mod probe;
mod process;
pub mod reach;
pub mod secrets;
pub mod signals;
pub mod state;
pub mod store;
pub mod who;

pub use clock::{Shift, SystemClock};
pub use entropy::SystemEntropy;
pub use error::LocalError;
pub use probe::SystemProbe;
pub use reach::SystemReaches;
pub use secrets::Secret;
pub use signals::Stop;
pub use store::Access;
