//! One policy, loaded or not, and the questions it can be asked.

use std::sync::Arc;

use backstop_model::WorkloadName;
use backstop_model::policy::alert::{Delivery, DeliveryQuestion};
use backstop_model::policy::health::{HealthAnswer, HealthQuestion};
use backstop_model::policy::retention::{ReleaseQuestion, ReleaseVerdict, TiersAnswer, TiersQuestion};
use backstop_model::policy::validation::{Finding, ValidationQuestion};
use backstop_model::policy::{Asked, Fault, Mode, PolicyConfig};
use backstop_model::time::Span;
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::call::Guest;
use crate::facts::{Facts, not_loaded};
use crate::load::{self, Loaded};
use crate::outside::{Outward, Probes};
use crate::state::Reach;
use crate::v1::{self, Entry};
use crate::web::Web;
use crate::witness::Witness;
use crate::{Candidate, Engine};

/// One policy, loaded or not.
pub struct Policy {
    config: PolicyConfig,
    digest: String,
    facts: Option<Facts>,
    loaded: Result<Loaded, Fault>,
    /// `None`: it applies to every workload.
    globs: Option<GlobSet>,
}

impl Policy {
    pub(crate) fn load(engine: &Engine, candidate: Candidate) -> Self {
        let (digest, facts, loaded) = load::load(engine, &candidate);
        let globs = globs(&candidate.config.applies_to);
        let loaded = match (&globs, loaded) {
            (Err(why), Ok(_)) => Err(not_loaded(why.clone())),
            (_, loaded) => loaded,
        };
        // One whose globs cannot be read applies to all: its safe default is the careful one.
        Self { config: candidate.config, digest, facts, loaded, globs: globs.unwrap_or(None) }
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
        self.loaded.as_ref().err()
    }

    /// Whether it applies to a workload; without one, whether it applies to all.
    #[must_use]
    pub fn applies_to(&self, workload: Option<&WorkloadName>) -> bool {
        match (&self.globs, workload) {
            (None, _) => true,
            (Some(globs), Some(workload)) => globs.is_match(workload.as_str()),
            (Some(_), None) => false,
        }
    }

    /// Whether its answers count for a workload. A canary is in force for those whose names' digest falls into its share;
    /// for what concerns no workload it is a shadow.
    #[must_use]
    pub fn in_force(&self, workload: Option<&WorkloadName>) -> bool {
        match self.config.mode {
            Mode::Shadow => false,
            Mode::Canary { percent } => workload.is_some_and(|workload| share_of(workload) < percent),
            Mode::Active => true,
        }
    }

    /// Asks a retention policy which tiers a backup gets beside those of the calendar.
    #[must_use]
    pub fn ask_tiers(&self, question: &TiersQuestion) -> Asked<TiersAnswer> {
        match self.entry() {
            Ok((guest, Entry::Retention(entry))) => v1::retention::tiers(guest, entry, question, &witness()),
            Ok(_) => unasked(self.other_world()),
            Err(fault) => unasked(fault.clone()),
        }
    }

    /// Asks a retention policy what may be released.
    #[must_use]
    pub fn ask_release(&self, question: &ReleaseQuestion) -> Asked<Vec<ReleaseVerdict>> {
        match self.entry() {
            Ok((guest, Entry::Retention(entry))) => v1::retention::release(guest, entry, question, &witness()),
            Ok(_) => unasked(self.other_world()),
            Err(fault) => unasked(fault.clone()),
        }
    }

    /// Asks a validation policy about a request.
    #[must_use]
    pub fn ask_validation(&self, question: &ValidationQuestion) -> Asked<Vec<Finding>> {
        match self.entry() {
            Ok((guest, Entry::Validation(entry))) => v1::validation::check(guest, entry, question, &witness()),
            Ok(_) => unasked(self.other_world()),
            Err(fault) => unasked(fault.clone()),
        }
    }

    /// Has an alert sink deliver an alert.
    #[must_use]
    pub fn deliver(&self, question: &DeliveryQuestion, outward: Arc<dyn Outward>) -> Asked<Delivery> {
        let (guest, entry) = match self.entry() {
            Ok((guest, Entry::AlertSink(entry))) => (guest, entry.clone()),
            Ok(_) => return unasked(self.other_world()),
            Err(fault) => return unasked(fault.clone()),
        };
        let (question, reach) = (question.clone(), Reach::Web(Web::new(outward, &self.config.grants)));
        guest.ask_apart(&witness(), move |guest, witness| {
            v1::alert_sink::deliver(guest, &entry, &question, reach, witness)
        })
    }

    /// Has a health check look at a restored system.
    #[must_use]
    pub fn check_health(&self, question: &HealthQuestion, probes: Arc<dyn Probes>) -> Asked<HealthAnswer> {
        let (guest, entry) = match self.entry() {
            Ok((guest, Entry::HealthCheck(entry))) => (guest, entry.clone()),
            Ok(_) => return unasked(self.other_world()),
            Err(fault) => return unasked(fault.clone()),
        };
        let grants = self.config.grants.probes.clone();
        let (question, reach) = (question.clone(), Reach::System { probes, grants, used: 0 });
        guest.ask_apart(&witness(), move |guest, witness| {
            v1::health_check::check(guest, &entry, &question, reach, witness)
        })
    }

    fn entry(&self) -> Result<(&Arc<Guest>, &Entry), &Fault> {
        self.loaded.as_ref().map(|loaded| (&loaded.guest, &loaded.entry))
    }

    fn other_world(&self) -> Fault {
        not_loaded(format!("it is a policy for `{}` and was asked something else", self.config.world))
    }
}

fn witness() -> Arc<Witness> {
    Arc::default()
}

fn unasked<A>(fault: Fault) -> Asked<A> {
    Asked { answer: Err(fault), log: Vec::new(), log_dropped: 0, took: Span::ZERO, fuel: 0 }
}

fn globs(patterns: &[String]) -> Result<Option<GlobSet>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let unreadable = |error: globset::Error| format!("`applies_to` cannot be read: {error}");
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(unreadable)?);
    }
    set.build().map(Some).map_err(unreadable)
}

/// 0 to 99, the same for a workload's name for ever.
fn share_of(workload: &WorkloadName) -> u8 {
    let digest = blake3::hash(workload.as_str().as_bytes());
    let (first, _) = digest.as_bytes().split_first_chunk::<8>().expect("a digest has 32 bytes");
    u8::try_from(u64::from_le_bytes(*first) % 100).expect("less than 100")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share is stable, near what was asked for, and grows without letting anybody go.
    #[test]
    fn a_canarys_share_of_workloads_only_grows_with_its_percentage() {
        let names = (0..2000).map(|n| format!("workload-{n}").parse::<WorkloadName>().expect("a name"));
        let shares: Vec<u8> = names.map(|name| share_of(&name)).collect();
        let below = |percent| shares.iter().filter(|share| **share < percent).count();
        assert!((160..240).contains(&below(10)), "{}", below(10));
        assert!((940..1060).contains(&below(50)), "{}", below(50));
        assert_eq!(below(100), 2000);
        assert_eq!(share_of(&"docs".parse().expect("a name")), 94);
    }
}
