//! Where the executor writes before it acts.

use backstop_model::{Event, EventBody, Fault, RunId};

/// The durable journal of runs. A call that returned is on disk and survives `kill -9` and power loss.
pub trait Journal {
    /// Appends an entry; it gets the next number of its run.
    ///
    /// # Errors
    /// When it could not be made durable, or when this process no longer owns the run (its lease passed to another
    /// process, which the fencing epoch shows): nothing may be done to the outside then.
    fn append(&self, run: &RunId, body: EventBody) -> Result<Event, Fault>;

    /// Every entry of the run, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault>;
}
