//! The program as its users meet it: only its command line, its files and its exit codes.
//!
//! Each test works in a site of its own (`backstop_tests::Site`) and drives the built binary.
#![allow(clippy::disallowed_methods)] // tests look at the real file system, processes and clock

mod answers;
mod damage;
mod fidelity;
mod interrupted;
mod kills;
mod misconfigured;
mod policies;
mod restore;
mod river;
mod surroundings;
mod vaults;
