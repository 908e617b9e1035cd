//! The policies of one generation.

use backstop_model::policy::{PolicyConfig, SignerConfig, World};
use backstop_model::{PolicyName, WorkloadName};

use crate::{Engine, Policy};

/// A policy as found: what binds it and the bytes beside it, each read once.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What binds it.
    pub config: PolicyConfig,
    /// The component, or one line why it could not be read.
    pub component: Result<Vec<u8>, String>,
    /// `NAME.manifest`, if there is one.
    pub manifest: Option<Vec<u8>>,
    /// `NAME.sig`, if there is one.
    pub signature: Option<Vec<u8>>,
    /// The signer that `config` names, if it is configured.
    pub signer: Option<SignerConfig>,
}

/// The policies of one generation. Immutable; share it in an `Arc`.
pub struct PolicySet {
    policies: Vec<Policy>,
    generation: String,
}

impl PolicySet {
    /// Loads policies. Never fails: one that cannot be loaded stays listed with its fault, and every question to it is
    /// answered with that fault, so that its safe default holds.
    #[must_use]
    pub fn load(engine: &Engine, candidates: Vec<Candidate>) -> Self {
        let policies: Vec<_> = candidates.into_iter().map(|candidate| Policy::load(engine, candidate)).collect();
        let generation = generation(&policies);
        Self { policies, generation }
    }

    /// Every policy, in the order given.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// The policy of that name.
    #[must_use]
    pub fn get(&self, name: &PolicyName) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.config().name == *name)
    }

    /// The policies of a world that apply to a workload, with whether each is in force for it (otherwise it is asked and
    /// recorded only). Without a workload: those that apply to all.
    #[must_use]
    pub fn bound_to(&self, world: World, workload: Option<&WorkloadName>) -> Vec<(&Policy, bool)> {
        let bound = self.policies.iter().filter(|policy| policy.config().world == world);
        bound.filter(|policy| policy.applies_to(workload)).map(|policy| (policy, policy.in_force(workload))).collect()
    }

    /// A digest over what binds the policies and over their components.
    #[must_use]
    pub fn generation(&self) -> &str {
        &self.generation
    }
}

/// Changes with anything that binds a policy, and with every byte of a component.
fn generation(policies: &[Policy]) -> String {
    let mut digest = blake3::Hasher::new();
    for policy in policies {
        let binding = serde_json::to_vec(policy.config()).expect("a configuration is plain words");
        digest.update(&(binding.len() as u64).to_le_bytes()).update(&binding).update(policy.digest().as_bytes());
    }
    digest.finalize().to_hex()[..16].to_owned()
}
