//! The third beat of every verb, and the only caller of policies.
//!
//! Policies can only say less: add a tier, keep a backup, refuse a request, fail a check. Where several are asked, the
//! most careful answer wins. One that finds no answer is answered for by a safe default: the calendar alone gives
//! tiers, everything is kept, the request is refused, the health is unknown. Above all of them stands the delete
//! firewall, which is asked afterwards and never hears of policies.
//!
//! [`load`] brings components in force, and only when one is bound to what is decided: a configuration without
//! policies starts no engine. [`question`] makes what they are shown, [`retention`], [`validation`] and [`health`]
//! ask and combine, [`record`] keeps every decision and notices a policy that has to step back.
//!
//! What is already in the journal was asked about before it began: runs that are resumed or undone are not asked again.

pub(crate) mod health;
pub(crate) mod load;
pub(crate) mod outward;
pub(crate) mod question;
pub(crate) mod record;
pub(crate) mod retention;
pub(crate) mod validation;

use std::sync::Arc;

use backstop_model::policy::{Mode, World};
use backstop_model::{Fault, WorkloadName};
use backstop_policy::{Policy, PolicySet};

use crate::context::Context;

/// Why policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Something is about to be done: every bound policy is asked, and every answer is recorded.
    Deciding,
    /// Somebody wants to see what would be done: those in force are asked, and nothing is recorded.
    Looking,
}

impl Asking {
    pub(crate) const fn of(dry_run: bool) -> Self {
        if dry_run { Asking::Looking } else { Asking::Deciding }
    }
}

/// How far a policy is in force for one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// Its answer counts.
    Full,
    /// Asked and recorded, no more.
    Shadow,
    /// It failed too often and went back to shadow by itself; its safe default holds until it is changed.
    SteppedBack,
}

/// A policy bound to what is decided.
pub(crate) struct Bound<'a> {
    pub policy: &'a Policy,
    pub force: Force,
}

impl Bound<'_> {
    pub(crate) fn name(&self) -> &backstop_model::PolicyName {
        &self.policy.config().name
    }

    /// How far it is in force, as it is recorded.
    pub(crate) fn mode(&self) -> Mode {
        match self.force {
            Force::Full => self.policy.config().mode,
            Force::Shadow | Force::SteppedBack => Mode::Shadow,
        }
    }
}

/// The policies of one world, if any is configured.
pub(crate) fn of_world(ctx: &Context, world: World) -> Result<Option<Arc<PolicySet>>, Fault> {
    if ctx.config.policies.values().any(|policy| policy.world == world) {
        return load::policies(ctx, world).map(Some);
    }
    Ok(None)
}

/// Those bound to a workload, in the order of their names. Looking needs only those whose word counts.
pub(crate) fn bound<'s>(
    ctx: &Context,
    set: &'s PolicySet,
    world: World,
    workload: Option<&WorkloadName>,
    asking: Asking,
) -> Result<Vec<Bound<'s>>, Fault> {
    let mut found = Vec::new();
    for (policy, in_force) in set.bound_to(world, workload) {
        let force = match in_force {
            false => Force::Shadow,
            true if record::has_stepped_back(ctx, policy)? => Force::SteppedBack,
            true => Force::Full,
        };
        if asking == Asking::Deciding || force != Force::Shadow {
            found.push(Bound { policy, force });
        }
    }
    Ok(found)
}
