//! Floor 2: the journalled executor. It carries out a plan step by step, undoes it when a step fails, and goes on
//! after a crash from what the journal says.
//!
//! [`execute()`] begins or continues a run, [`resume`] also retries a stuck one, [`cancel`] turns it round, [`skip`]
//! passes over a step that a person settled by hand. [`State`] is the journal folded into where a run stands and
//! [`State::next`] the only place that decides what comes next; [`Actor`] is who has the effects (`ops`); [`Faulty`]
//! is an actor that fails, repeats and dies where a test wants it to. Touches no file: the journal is a seam.
//!
//! # The rules
//!
//! 1. Intent is journalled before the effect, the result after it. A step with an intent and no result is *in
//!    doubt*: going forward it is performed again, going back it is undone. Both are safe because steps and undos
//!    are idempotent under their [`Token`].
//! 2. A required step that fails turns the run round: what was done is undone, last first. The failing step itself is
//!    not undone — an actor that returns a fault *knows* that nothing happened — unless an earlier attempt left it in
//!    doubt. A step that can be partly done therefore has an undo-only step before it.
//! 3. Cleaning up (`always` steps) comes last in either direction, and never while an undo is outstanding: what looks
//!    like left-over may be the only good copy until the undo went through.
//! 4. An undo that fails stops everything: `Stuck`. A failed cleaning up is `Stuck` as well, even after success,
//!    because something is left behind that nobody else will remove; the other cleaning steps are still performed.
//!    An optional cleaning step that fails makes the run `Partial`.
//! 5. Only `Stuck` can be left again, by a person: [`resume`], [`skip`], [`cancel`].
//! 6. An interruption ends nothing. The run stays open and is resumed or cancelled. Work that was interrupted between
//!    intent and result is in doubt like after a crash, so no second path exists.

pub mod actor;
pub mod execute;
pub mod inject;
pub mod state;

pub use actor::{Actor, Outputs, Token};
pub use execute::{Conclusion, SagaFault, cancel, execute, resume, skip};
pub use inject::{Faulty, Injection};
pub use state::{Next, Stand, State};
