//! One attempt at a plan, and its journal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::name::{RunId, WorkloadName};
use crate::plan::{Plan, StepId, Verb};
use crate::time::Timestamp;

/// How an attempt ended. There is no other way to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything planned was done.
    Done,
    /// A result exists, but something was left out.
    Partial,
    /// It failed and everything begun was undone.
    Undone,
    /// It failed; nothing needed undoing.
    Failed,
    /// It failed and an undo failed too: a person is needed (`run resume`, `run cancel`).
    Stuck,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Done => "done",
            Outcome::Partial => "partial",
            Outcome::Undone => "undone",
            Outcome::Failed => "failed",
            Outcome::Stuck => "stuck",
        })
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id; sorts by start.
    pub id: RunId,
    /// What for.
    pub verb: Verb,
    /// On what.
    pub workload: Option<WorkloadName>,
    /// The decision it carries out.
    pub plan: Plan,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while open (running, or interrupted and waiting to be resumed).
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who asked, as `user@host`.
    pub by: String,
}

/// A journal entry. Numbered from 0 within its run, written before (intent) and after (result) each effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Number in the run.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventBody {
    /// The step is about to act.
    StepBegun {
        /// Which.
        step: StepId,
    },
    /// The step has acted; its result, for the steps after it and for the conclusion.
    StepDone {
        /// Which.
        step: StepId,
        /// What it produced.
        output: StepOutput,
        /// How long it took on a monotonic clock.
        millis: u64,
    },
    /// The step failed. What it may have done partly is undone by the steps before it.
    StepFailed {
        /// Which.
        step: StepId,
        /// Why.
        fault: Fault,
        /// How long it took on a monotonic clock.
        millis: u64,
    },
    /// The undo of the step is about to act.
    UndoBegun {
        /// Which.
        step: StepId,
    },
    /// Undone.
    UndoDone {
        /// Which.
        step: StepId,
    },
    /// The undo failed: the run is stuck.
    UndoFailed {
        /// Which.
        step: StepId,
        /// Why.
        fault: Fault,
    },
    /// A person decided to skip a step of a stuck run.
    Skipped {
        /// Which.
        step: StepId,
        /// Their words.
        reason: String,
    },
    /// Something worth keeping, in words.
    Note {
        /// The words.
        text: String,
    },
    /// The run ended.
    Concluded {
        /// How.
        outcome: Outcome,
    },
}

/// What a step produced. Journalled, so that resuming does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "made")]
pub enum StepOutput {
    /// Nothing to remember.
    #[default]
    Nothing,
    /// A snapshot at a place.
    Snapshot(SnapshotMade),
    /// A check of a copy: what was read, what was compared.
    Checked(Checked),
    /// A restored tree.
    Restored(Restored),
    /// Space given back by a prune.
    Freed {
        /// Bytes removed from the place.
        bytes: u64,
        /// Packs removed.
        packs: u64,
        /// Packs marked for a later prune.
        marked: u64,
    },
}

/// A snapshot that was written or copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMade {
    /// The object.
    pub snapshot: crate::name::SnapshotId,
    /// The instant whose state it holds.
    pub captured: Timestamp,
    /// Bytes a restore would write.
    pub size: u64,
    /// Entries a restore would make.
    pub entries: u64,
    /// Bytes added to the place.
    pub stored: u64,
    /// Bytes read from the workload.
    pub read: u64,
    /// New or changed files.
    pub changed: u64,
    /// Entries that could not be read, or changed while being read.
    pub troubles: Vec<crate::tree::Trouble>,
    /// How many there were in all (the list above is cut at 100).
    pub trouble_count: u64,
}

/// What a check showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The level reached.
    pub level: crate::backup::Level,
    /// Bytes read from the place.
    pub bytes: u64,
    /// Share of the copy's bytes that was read, parts per million.
    pub sample_ppm: u32,
    /// One line.
    pub detail: String,
}

/// What a restore wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Entries made.
    pub entries: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries left alone because they existed.
    pub kept: u64,
    /// Entries that could not be made as recorded (cut at 100).
    pub troubles: Vec<crate::tree::Trouble>,
    /// How many there were in all.
    pub trouble_count: u64,
}
