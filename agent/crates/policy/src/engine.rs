//! The engine: one for the whole agent.

use crate::outside::EngineOutside;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// This machine cannot run WebAssembly.
    #[error("policies cannot run on this machine: {0}")]
    NoEngine(String),
}

/// Compiles and runs components. One for the whole agent; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    #[expect(dead_code, reason = "used by the calls")]
    outside: EngineOutside,
}

impl Engine {
    /// An engine.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly.
    pub fn new(outside: EngineOutside) -> Result<Self, PolicyError> {
        Ok(Self { outside })
    }
}
