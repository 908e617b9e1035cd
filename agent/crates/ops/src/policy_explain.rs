//! `policy explain`: one decision in full, and what the policy would answer now. Records nothing.

use std::collections::BTreeSet;

use backstop_catalog::DecisionFilter;
use backstop_model::policy::{Decision, World};
use backstop_model::{Fault, PolicyName, WorkloadName};
use backstop_planner::{Calendar, choice, retention as built_in, tiers};
use backstop_policy::Policy;
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::gate::question::Scene;
use crate::gate::{load, record};
use crate::policy_ask::{Answer, again, same};
use crate::policy_list;

/// One question with what comes of it.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// Which policy.
    pub policy: PolicyName,
    /// What it decides.
    pub world: World,
    /// What it was asked for.
    pub function: String,
    /// About which workload.
    pub workload: Option<WorkloadName>,
    /// How it stands now.
    pub standing: &'static str,
    /// What holds where it finds no answer.
    pub safe_default: &'static str,
    /// The question in full.
    pub question: Value,
    /// What it answers now; `None` where that depends on the world outside and is not repeated.
    pub now: Option<Answer>,
    /// What was recorded, when the question comes from the recorder.
    pub recorded: Option<Decision>,
    /// Whether the two say the same.
    pub same: Option<bool>,
}

/// Explains a decision by its number, or asks a policy now.
///
/// # Errors
/// Unknown names and numbers.
pub fn explain(ctx: &Context, what: &str, workload: Option<&WorkloadName>) -> Result<Vec<Explained>, Fault> {
    if let Ok(id) = what.parse::<i64>() {
        let decision = ctx.catalog.decision(id)?;
        return recorded(ctx, decision).map(|one| vec![one]);
    }
    let name: PolicyName = what.parse().map_err(|_| {
        Fault::usage(
            format!("`{}` is neither a policy nor a number of a decision", what.escape_debug()),
            "see `backstop policy list`",
        )
    })?;
    let config = policy_list::configured(ctx, &name)?;
    if config.world == World::Retention {
        return now(ctx, &name, workload);
    }
    let filter = DecisionFilter {
        policy: Some(name.clone()),
        workload: workload.cloned(),
        limit: Some(1),
        ..DecisionFilter::default()
    };
    let last = ctx.catalog.decisions(&filter)?.pop().ok_or_else(|| {
        Fault::not_found(
            format!("policy `{name}` was not asked anything yet"),
            "`backstop policy test` asks it written questions",
        )
    })?;
    recorded(ctx, last).map(|one| vec![one])
}

fn recorded(ctx: &Context, decision: Decision) -> Result<Explained, Fault> {
    let shown = |policy: Option<&Policy>, now: Option<Answer>| -> Result<Explained, Fault> {
        Ok(Explained {
            policy: decision.policy.clone(),
            world: decision.world,
            function: decision.function.clone(),
            workload: decision.workload.clone(),
            standing: match policy {
                Some(policy) => word(ctx, policy)?,
                None => "bound no more",
            },
            safe_default: policy_list::safe_default(decision.world),
            question: decision.question.clone(),
            same: now.as_ref().map(|now| same(&decision, now)),
            now,
            recorded: Some(decision.clone()),
        })
    };
    let Some(config) = ctx.config.policies.get(&decision.policy) else { return shown(None, None) };
    let set = load::policies(ctx, config.world)?;
    let policy = set.get(&decision.policy);
    let ask = |policy: &Policy| again(policy, decision.world, &decision.function, &decision.question);
    shown(policy, policy.filter(|_| decision.world.is_pure() && config.world == decision.world).map(ask))
}

/// Asks a retention policy about one workload as it stands.
fn now(ctx: &Context, name: &PolicyName, workload: Option<&WorkloadName>) -> Result<Vec<Explained>, Fault> {
    let config = policy_list::configured(ctx, name)?;
    let workload =
        match workload {
            Some(workload) => ctx.workload(workload)?,
            None => ctx.config.workloads.values().find(|workload| config.covers(&workload.name)).ok_or_else(|| {
                Fault::not_found(format!("policy `{name}` covers no workload"), "see its `applies_to`")
            })?,
        };
    if !config.covers(&workload.name) {
        let message = format!("policy `{name}` does not cover `{}`", workload.name);
        return Err(Fault::usage(message, format!("it covers: {}", config.applies_to.join(", "))));
    }
    let set = load::policies(ctx, World::Retention)?;
    let policy = set.get(name).expect("loaded with its world");
    let backups = ctx.backups_of(&workload.name)?;
    let calendar = Calendar::of(&workload.schedule)?;
    let offsite = choice::offsite(&ctx.config, &workload.schedule);
    let now = ctx.outside.clock.now();
    let terms = built_in::Terms {
        calendar: &calendar,
        promised: workload.schedule.verify.map(|rule| rule.level),
        offsite: &offsite,
        enabled: workload.enabled,
        now,
    };
    let verdicts = built_in::verdicts(&terms, &backups);
    let scene = Scene { workload, calendar: &calendar, backups: &backups, verdicts: &verdicts, offsite: &offsite, now };
    let standing = word(ctx, policy)?;
    let one = |function: &str, question: Value, answer: Answer| Explained {
        policy: name.clone(),
        world: World::Retention,
        function: function.to_owned(),
        workload: Some(workload.name.clone()),
        standing,
        safe_default: policy_list::safe_default(World::Retention),
        question,
        now: Some(answer),
        recorded: None,
        same: None,
    };
    let json = |value: Result<Value, serde_json::Error>| value.unwrap_or(Value::Null);
    let own = tiers::of_backup_now(&calendar, &backups, now, None);
    let tiers = scene.tiers(policy.config(), &own);
    let release = scene.release(policy.config(), &BTreeSet::new());
    Ok(vec![
        one("tiers", json(serde_json::to_value(&tiers)), Answer::of(policy.ask_tiers(&tiers))),
        one("release", json(serde_json::to_value(&release)), Answer::of(policy.ask_release(&release))),
    ])
}

fn word(ctx: &Context, policy: &Policy) -> Result<&'static str, Fault> {
    Ok(match (policy.fault(), record::has_stepped_back(ctx, policy)?, policy.config().mode) {
        (Some(_), ..) => policy_list::Standing::NotLoaded.word(),
        (None, true, _) => policy_list::Standing::SteppedBack.word(),
        (None, false, backstop_model::policy::Mode::Shadow) => policy_list::Standing::Shadow.word(),
        (None, false, _) => policy_list::Standing::InForce.word(),
    })
}
