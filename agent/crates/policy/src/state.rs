//! What a store holds beside the guest: its limits, its log, and what it may reach.

use std::sync::Arc;
use std::time::Duration;

use backstop_model::policy::{LogSeverity, ProbeGrant};

use crate::limiter::Limiter;
use crate::outside::Probes;
use crate::web::Web;
use crate::witness::Witness;

/// What a guest may reach beyond its question.
pub(crate) enum Reach {
    /// Nothing but its log.
    Nothing,
    /// Granted hosts and secrets.
    Web(Web),
    /// Granted probes of one restored system.
    System {
        probes: Arc<dyn Probes>,
        grants: Vec<ProbeGrant>,
        /// Probes used so far.
        used: u32,
    },
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) reach: Reach,
    witness: Arc<Witness>,
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    ends: Duration,
}

/// The time of the call was over when the guest called the host.
#[derive(Debug, thiserror::Error)]
#[error("the time is over")]
pub(crate) struct TimeOver;

impl State {
    pub(crate) fn new(
        memory_max: u64,
        reach: Reach,
        witness: Arc<Witness>,
        clock: Arc<dyn Fn() -> Duration + Send + Sync>,
        ends: Duration,
    ) -> Self {
        Self { limiter: Limiter::new(memory_max), reach, witness, clock, ends }
    }

    /// Keeps a line of the guest's log, without any secret.
    pub(crate) fn log(&mut self, severity: LogSeverity, line: &str) {
        if self.witness.is_full() {
            self.witness.line(severity, "");
            return;
        }
        match &self.reach {
            Reach::Web(web) => self.witness.line(severity, &web.without_secrets(line)),
            Reach::Nothing | Reach::System { .. } => self.witness.line(severity, line),
        }
    }

    /// Does something that waits, in at most the time that is left and at most `wanted`.
    pub(crate) fn wait<A>(
        &mut self,
        place: impl FnOnce() -> String,
        wanted: Duration,
        work: impl FnOnce(&mut Reach, Duration) -> A,
    ) -> wasmtime::Result<A> {
        let left = self.ends.saturating_sub((self.clock)());
        if left.is_zero() {
            return Err(wasmtime::Error::new(TimeOver));
        }
        self.witness.waits_in(Some(place()));
        let done = work(&mut self.reach, wanted.min(left));
        self.witness.waits_in(None);
        Ok(done)
    }
}
