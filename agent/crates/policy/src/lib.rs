//! Floor 2: the host of WebAssembly policies.

mod engine;
mod facts;
mod manifest;
mod outside;
mod policy;
mod set;
pub mod sign;

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
