//! Floor 3: the verbs.
//!
//! Every verb that changes something has five beats: *look* (read facts once), *plan* (pure, in `planner`), *gate*
//! (policies and the firewall may only narrow), *run* (the saga), *conclude* (the journal becomes records). The
//! table of contents of each is its function here; [`carry`] holds what they share. [`firewall`] is the only code that
//! lets anything be deleted.
//!
//! Doors call these functions with a [`Context`] and a request and show what comes back; they decide nothing.

pub mod context;
pub mod firewall;
pub mod report;
pub mod request;

pub use context::{Context, Outside};
pub use report::{RunReport, StepReport, StepState};
