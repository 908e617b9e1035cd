//! The engine: one for the whole agent.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use backstop_model::policy::World;
use wasmtime::component::Linker;
use wasmtime::{Config, RegallocAlgorithm, WasmBacktraceDetails};

use crate::cache::CodeCache;
use crate::outside::EngineOutside;
use crate::state::State;
use crate::ticker::Ticker;
use crate::v1;

/// The guest's stack. The caller's own must be larger: calls of pure worlds run on it.
pub(crate) const STACK_MAX: usize = 512 << 10;

/// Frames of a trap that are kept.
const FRAMES_MAX: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not 0");

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// This machine cannot run WebAssembly.
    #[error("policies cannot run on this machine: {0}")]
    NoEngine(String),
    /// No thread could be started.
    #[error("no thread for the policies' clock could be started")]
    NoThread(#[source] std::io::Error),
}

/// Compiles and runs components. One for the whole agent; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: wasmtime::Engine,
    linkers: [Linker<State>; World::ALL.len()],
    cache: CodeCache,
    monotonic: Arc<dyn Fn() -> Duration + Send + Sync>,
    ticker: Ticker,
    under_way: Arc<AtomicUsize>,
}

impl Engine {
    /// An engine. Starts the thread that stops guests which run too long.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly, or gives no thread.
    pub fn new(outside: EngineOutside) -> Result<Self, PolicyError> {
        let refused = |error: wasmtime::Error| PolicyError::NoEngine(format!("{error:#}"));
        let wasm = wasmtime::Engine::new(&settings()).map_err(refused)?;
        let linker = |world| v1::linker(&wasm, world).map_err(refused);
        let [retention, validation, sink, health] = World::ALL.map(linker);
        let linkers = [retention?, validation?, sink?, health?];
        let ticker = Ticker::start(&wasm).map_err(PolicyError::NoThread)?;
        let cache = CodeCache::new(&wasm, &outside);
        let monotonic = outside.monotonic;
        Ok(Self { inner: Arc::new(Inner { wasm, linkers, cache, monotonic, ticker, under_way: Arc::default() }) })
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.inner.wasm
    }

    pub(crate) fn linker(&self, world: World) -> &Linker<State> {
        let [retention, validation, sink, health] = &self.inner.linkers;
        match world {
            World::Retention => retention,
            World::Validation => validation,
            World::AlertSink => sink,
            World::HealthCheck => health,
        }
    }

    pub(crate) fn cache(&self) -> &CodeCache {
        &self.inner.cache
    }

    pub(crate) fn monotonic(&self) -> Duration {
        (self.inner.monotonic)()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Fn() -> Duration + Send + Sync> {
        Arc::clone(&self.inner.monotonic)
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }

    /// Calls on threads of their own, those included that were given up and still wait in the host.
    pub(crate) fn under_way(&self) -> &Arc<AtomicUsize> {
        &self.inner.under_way
    }
}

/// How code is compiled and run: limited in time and stack, counted, and the same on every machine.
fn settings() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(true)
        .max_wasm_stack(STACK_MAX)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_max_frames(Some(FRAMES_MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking);
    config
}
