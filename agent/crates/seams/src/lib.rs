//! Floor 1: traits to the outside, each with its contract; every edge that implements one runs its conformance
//! suite. The seam to stored bytes is `object_store::ObjectStore` itself and so does not appear here.
//!
//! [`time`] — clock and randomness as arguments; [`files`] — directories and small files; [`source`] — reading a tree; [`target`] — writing one back;
//! [`journal`] — where the executor writes before it acts; [`progress`] — how long work speaks and is stopped;
//! [`probe`] — programs run against a restored tree; [`reach`] — looking at a restored system; [`web`] — requests to web
//! servers; [`cloud`] — machines, their disks and native snapshots.
//!
//! With the feature `conformance`, the module of that name holds the suites that implementations run in their tests.

pub mod cloud;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod files;
pub mod journal;
pub mod probe;
pub mod progress;
pub mod reach;
pub mod source;
pub mod target;
pub mod time;
pub mod web;

pub use cloud::{Cloud, CloudFault};
pub use files::{Files, Trees};
pub use journal::Journal;
pub use probe::{Probe, ProbeAnswer};
pub use progress::{Progress, Silent, Tick};
pub use reach::{FileFacts, FileKind, HttpAnswer, NoReach, Reach, ReachFailure, ReachFailureKind, Reaches, RunAnswer};
pub use source::{Content, Directory, Found, Source, SourceFault};
pub use target::{FileWriter, Target, Written};
pub use time::{Clock, Entropy};
pub use web::{NoWeb, Origin, Web, WebFailure, WebFailureKind, WebRequest, WebResponse};
