//! One policy, loaded or not, and the questions it can be asked.

use std::sync::Arc;

use backstop_model::WorkloadName;
use backstop_model::policy::alert::{Delivery, DeliveryQuestion};
use backstop_model::policy::health::{HealthAnswer, HealthQuestion};
use backstop_model::policy::retention::{ReleaseQuestion, ReleaseVerdict, TiersAnswer, TiersQuestion};
use backstop_model::policy::validation::{Finding, ValidationQuestion};
use backstop_model::policy::{Asked, Fault, FaultKind, PolicyConfig};
use backstop_model::time::Span;

use crate::facts::Facts;
use crate::outside::{Outward, Probes};
use crate::{Candidate, Engine};

/// One policy, loaded or not.
pub struct Policy {
    config: PolicyConfig,
    digest: String,
    facts: Option<Facts>,
    fault: Option<Fault>,
}

impl Policy {
    pub(crate) fn load(_engine: &Engine, candidate: Candidate) -> Self {
        let message = candidate.component.err().unwrap_or_else(|| "policies cannot be loaded yet".to_owned());
        let fault = Fault { kind: FaultKind::NotLoaded, message, backtrace: Vec::new() };
        Self { config: candidate.config, digest: String::new(), facts: None, fault: Some(fault) }
    }

    /// What binds it.
    #[must_use]
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// SHA-256 of the component in lower-case hexadecimal digits; empty when it could not be read.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What can be told of the component, as far as it is one of ours.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Why it is not loaded, if it is not.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether it applies to a workload; without one, whether it applies to all.
    #[must_use]
    pub fn applies_to(&self, _workload: Option<&WorkloadName>) -> bool {
        self.config.applies_to.is_empty()
    }

    /// Whether its answers count for a workload.
    #[must_use]
    pub fn in_force(&self, _workload: Option<&WorkloadName>) -> bool {
        false
    }

    fn unloaded<A>(&self) -> Asked<A> {
        let fault = self.fault.clone().expect("only an unloaded policy comes here");
        Asked { answer: Err(fault), log: Vec::new(), log_dropped: 0, took: Span::ZERO, fuel: 0 }
    }

    /// Asks a retention policy which tiers a backup gets beside those of the calendar.
    #[must_use]
    pub fn ask_tiers(&self, _question: &TiersQuestion) -> Asked<TiersAnswer> {
        self.unloaded()
    }

    /// Asks a retention policy what may be released.
    #[must_use]
    pub fn ask_release(&self, _question: &ReleaseQuestion) -> Asked<Vec<ReleaseVerdict>> {
        self.unloaded()
    }

    /// Asks a validation policy about a request.
    #[must_use]
    pub fn ask_validation(&self, _question: &ValidationQuestion) -> Asked<Vec<Finding>> {
        self.unloaded()
    }

    /// Has an alert sink deliver an alert.
    #[must_use]
    pub fn deliver(&self, _question: &DeliveryQuestion, _outward: Arc<dyn Outward>) -> Asked<Delivery> {
        self.unloaded()
    }

    /// Has a health check look at a restored system.
    #[must_use]
    pub fn check_health(&self, _question: &HealthQuestion, _probes: Arc<dyn Probes>) -> Asked<HealthAnswer> {
        self.unloaded()
    }
}
