//! What one call may take up in memory.

use wasmtime::ResourceLimiter;

/// Elements of all tables of a component together. A large Python guest has some 20,000.
const TABLE_ELEMENTS_MAX: usize = 200_000;

/// Core instances of a component, the adapters between them included.
const INSTANCES_MAX: usize = 100;

/// Linear memories, and tables, of a component.
const MEMORIES_MAX: usize = 16;
const TABLES_MAX: usize = 64;

/// Counts what a store takes up, refuses what goes beyond, and remembers the refusal, so that a guest that then panics is
/// not blamed for a panic.
pub(crate) struct Limiter {
    memory_max: usize,
    memory: usize,
    elements: usize,
    refused: Option<String>,
}

/// Growth that was refused. The guest is stopped there, not told: most would only panic.
#[derive(Debug, thiserror::Error)]
#[error("more memory than allowed")]
pub(crate) struct Refused;

impl Limiter {
    pub(crate) fn new(memory_max: u64) -> Self {
        let memory_max = usize::try_from(memory_max).unwrap_or(usize::MAX);
        Self { memory_max, memory: 0, elements: 0, refused: None }
    }

    /// What was refused, in words.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    fn refuse(&mut self, why: String) -> wasmtime::Result<bool> {
        self.refused.get_or_insert(why);
        Err(wasmtime::Error::new(Refused))
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // More than it declared itself: not our refusal, the guest sees a failed growth.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_max {
            let (wanted, most) = (mebibytes(wanted), mebibytes(self.memory_max));
            return self.refuse(format!("it wanted {wanted} of memory, its limit is {most} (`limits.memory`)"));
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        if wanted > TABLE_ELEMENTS_MAX {
            return self
                .refuse(format!("it wanted tables of {wanted} elements, at most {TABLE_ELEMENTS_MAX} are given"));
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
