//! How long work tells where it is, and is asked to stop.

/// A sign of life from long work. Numbers are totals since the work began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// Entries handled.
    pub entries: u64,
    /// Bytes handled (read from the workload, or from the place).
    pub bytes: u64,
    /// Bytes written to the place, or to the target.
    pub written: u64,
    /// Entries expected in all, if known.
    pub entries_total: Option<u64>,
    /// Bytes expected in all, if known.
    pub bytes_total: Option<u64>,
}

/// Receives signs of life; tells whether to stop. Called from several threads, often: must be cheap.
pub trait Progress: Send + Sync {
    /// A new piece of work begins, in a few words for people. Ticks count from zero again.
    fn stage(&self, _what: &str) {}
    /// Something moved on.
    fn tick(&self, tick: Tick);
    /// Whether the operator wants the work to stop at the next safe point. Work that returns for this reason leaves
    /// nothing half visible and can be begun again.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody listens and nobody interrupts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn tick(&self, _: Tick) {}
}
