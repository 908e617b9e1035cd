//! Floor 2: the host of WebAssembly policies.
//!
//! A policy is a component for one world of the package `backstop:policy` (`wit/`). [`Engine::new`] makes the one engine,
//! [`PolicySet::load`] turns what the configuration binds into the immutable policies of a generation, and [`Policy`] asks:
//! [`ask_tiers`](Policy::ask_tiers), [`ask_release`](Policy::ask_release), [`ask_validation`](Policy::ask_validation),
//! [`deliver`](Policy::deliver), [`check_health`](Policy::check_health). [`inspect`] reads a component without running it,
//! [`sign`] makes and checks signatures. `agent/docs/policy-files.md` describes the files beside a component.
//!
//! What a plugin can do is limited at every call: a fresh instance, nothing imported beyond its world, time by epoch (and,
//! where it may wait in the host, by whoever waits for it), memory, tables, stack, the size of its answer, its log, and
//! the number of its requests. Whatever goes wrong becomes a [`Fault`](backstop_model::policy::Fault) with words for the
//! operator, never a panic and never an answer; what then happens is the caller's to decide, and is always the careful
//! thing. An answer is checked like any input from outside, and its text cannot act on a terminal.
//!
//! It touches no file, clock or network itself: those are arguments (see `outside.rs`). Callers: `ops`' gate alone, and
//! the doors' `policy` verbs through it.

mod cache;
mod call;
mod engine;
mod facts;
mod limiter;
mod load;
mod manifest;
mod outside;
mod policy;
mod secrets;
mod set;
pub mod sign;
mod state;
mod text;
mod ticker;
mod v1;
mod web;
mod witness;

pub use engine::{Engine, PolicyError};
pub use facts::{Facts, inspect};
pub use manifest::{Asks, Manifest, SettingNote};
pub use outside::{
    CompiledCache, EngineOutside, FileFacts, FileKind, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse,
    Outward, ProbeFailure, ProbeFailureKind, ProbeResponse, Probes, ProgramEnd,
};
pub use policy::Policy;
pub use set::{Candidate, PolicySet};

/// The most bytes of an answer's body that a plugin gets to see.
pub const RESPONSE_BODY_MAX: usize = 64 << 10;
