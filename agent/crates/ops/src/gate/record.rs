//! The flight recorder: every question that decided something, with what came of it. Also where it shows that a policy
//! has to step back.

use backstop_model::policy::{Asked, Decision, Mode, PolicyStanding, SteppedBack, World};
use backstop_model::{Fault, WorkloadName};
use backstop_policy::Policy;
use serde::Serialize;

use super::{Bound, Force, load};
use crate::alerts;
use crate::context::Context;

/// So many faults in a row, and a policy is not in force any more.
pub(crate) const FAULTS_MAX: u32 = 3;

/// One question and what was made of the answer.
pub(crate) struct Note<'a, Q> {
    pub function: &'static str,
    pub workload: Option<&'a WorkloadName>,
    pub question: &'a Q,
    /// In words: `in force`, `shadow only`, `safe default: everything is kept`.
    pub effect: String,
    pub diverged: bool,
}

/// Keeps a decision, and how the policy fares, without raising an alert about the lack of an answer.
pub(crate) fn keep_quietly<Q: Serialize, A: Serialize>(
    ctx: &Context,
    bound: &Bound<'_>,
    asked: &Asked<A>,
    note: Note<'_, Q>,
) -> Result<Decision, Fault> {
    let mut decision = decision(ctx, bound.policy, bound.mode(), asked, note);
    if let Some(id) = ctx.catalog.record_decisions(std::slice::from_ref(&decision))?.first() {
        decision.id = *id;
    }
    if bound.force == Force::Full {
        note_answer(ctx, bound.policy, &decision)?;
    }
    Ok(decision)
}

/// Keeps a decision; raises an alert when there was no answer, and when that was once too often.
pub(crate) fn keep<Q: Serialize, A: Serialize>(
    ctx: &Context,
    bound: &Bound<'_>,
    asked: &Asked<A>,
    note: Note<'_, Q>,
) -> Result<i64, Fault> {
    let decision = keep_quietly(ctx, bound, asked, note)?;
    if let Err(fault) = &decision.answer {
        alerts::policy_fault(ctx, &decision, fault)?;
    }
    Ok(decision.id)
}

pub(crate) fn decision<Q: Serialize, A: Serialize>(
    ctx: &Context,
    policy: &Policy,
    mode: Mode,
    asked: &Asked<A>,
    note: Note<'_, Q>,
) -> Decision {
    let plain = |value: Result<serde_json::Value, serde_json::Error>| value.unwrap_or(serde_json::Value::Null);
    Decision {
        id: 0,
        at: ctx.outside.clock.now(),
        generation: load::generation(ctx),
        policy: policy.config().name.clone(),
        world: policy.config().world,
        function: note.function.to_owned(),
        mode,
        component: policy.digest().to_owned(),
        workload: note.workload.cloned(),
        question: plain(serde_json::to_value(note.question)),
        answer: asked.answer.as_ref().map(|answer| plain(serde_json::to_value(answer))).map_err(Clone::clone),
        effect: note.effect,
        diverged: note.diverged,
        log: asked.log.clone(),
        took: asked.took,
        fuel: asked.fuel,
    }
}

/// Counts faults in a row; the policy steps back after too many. Never one that guards requests: it keeps refusing.
fn note_answer(ctx: &Context, policy: &Policy, decision: &Decision) -> Result<(), Fault> {
    let before = standing(ctx, policy)?;
    let twice = decision.effect.starts_with(DIVERGED);
    if decision.answer.is_ok() && before.faults == 0 && !twice {
        return Ok(());
    }
    let mut stepped_back = None;
    let after = ctx.catalog.update_policy_standing(&policy.config().name, |standing| {
        standing.note(&key(policy), decision.answer.as_ref().err(), decision.at);
        let too_often = standing.faults >= FAULTS_MAX && policy.config().world != World::Validation;
        if standing.stepped_back.is_none() && (twice || too_often) {
            let why = if twice { DIVERGED.to_owned() } else { format!("{} faults in a row", standing.faults) };
            standing.stepped_back = Some(SteppedBack { since: decision.at, why: why.clone() });
            stepped_back = Some(why);
        }
    })?;
    remember(ctx, after);
    match stepped_back {
        Some(why) => alerts::stepped_back(ctx, decision, &why),
        None => Ok(()),
    }
}

fn remember(ctx: &Context, standing: PolicyStanding) {
    ctx.loaded.standing.lock().expect("no thread panics holding it").insert(standing.policy.clone(), standing);
}

/// What a policy's past answers are about: the component and how it is bound. Another limit or setting begins anew, too.
fn key(policy: &Policy) -> String {
    let config = policy.config();
    let binding = serde_json::json!([&config.settings, &config.limits, &config.mode]).to_string();
    format!("{}+{}", policy.digest(), &blake3::hash(binding.as_bytes()).to_hex()[..8])
}

/// Whether a policy stepped back.
pub(crate) fn has_stepped_back(ctx: &Context, policy: &Policy) -> Result<bool, Fault> {
    standing(ctx, policy).map(|standing| standing.stepped_back.is_some())
}

/// How a policy has fared with this component, bound as it is.
pub(crate) fn standing(ctx: &Context, policy: &Policy) -> Result<PolicyStanding, Fault> {
    let name = &policy.config().name;
    if let Some(known) = ctx.loaded.standing.lock().expect("no thread panics holding it").get(name) {
        return Ok(known.clone());
    }
    let mut standing = ctx.catalog.policy_standing(name)?;
    if standing.component != key(policy) {
        standing = PolicyStanding { component: key(policy), ..PolicyStanding::new(name.clone()) };
    }
    remember(ctx, standing.clone());
    Ok(standing)
}

/// How the effect of an answer begins that the same question does not get again.
pub(crate) const DIVERGED: &str = "another answer to the same question";
