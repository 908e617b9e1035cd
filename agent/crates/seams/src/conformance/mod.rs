//! What every implementation of a seam must do, as functions that its tests call.
//!
//! Each takes the implementation, does what the contract allows, and panics with one line when an answer breaks it. The
//! simulator passes the same suites as the edges to the real world, so that what was tried there holds here.

pub mod cloud;
pub mod reach;
pub mod stores;
pub mod time;
pub mod trees;
pub mod web;
