//! Whether what came back is healthy: asked in every DR test, and after a restore. No answer is `unknown`, and that is
//! not a pass.

use std::sync::Arc;

use backstop_model::config::Workload;
use backstop_model::policy::World;
use backstop_model::policy::health::{Health, HealthAnswer, Restored};
use backstop_model::{Backup, Fault, PolicyName};

use super::outward::ToRestored;
use super::record::{self, Note};
use super::{Asking, Force, bound, of_world, question};
use crate::context::Context;

/// What one policy says about a restored system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub policy: PolicyName,
    /// The answer; a shadow's never fails anything.
    pub passed: bool,
    /// In one line.
    pub words: String,
}

/// The policies that a restored workload is shown to, in the order of their names.
pub(crate) fn policies(ctx: &Context, workload: &Workload) -> Vec<PolicyName> {
    let bound = ctx.config.policies.values().filter(|p| p.world == World::HealthCheck && p.covers(&workload.name));
    bound.map(|policy| policy.name.clone()).collect()
}

/// Shows a restored system to one policy, or to all that are bound.
pub(crate) fn check(
    ctx: &Context,
    only: Option<&PolicyName>,
    workload: &Workload,
    backup: &Backup,
    restored: &Restored,
) -> Result<Vec<Judged>, Fault> {
    let Some(set) = of_world(ctx, World::HealthCheck)? else { return Ok(Vec::new()) };
    let mut judged = Vec::new();
    for bound in bound(ctx, &set, World::HealthCheck, Some(&workload.name), Asking::Deciding)? {
        if only.is_some_and(|only| only != bound.name()) {
            continue;
        }
        let now = ctx.outside.clock.now();
        let question = question::health(bound.policy.config(), workload, backup, now);
        let probes = Arc::new(ToRestored(ctx.outside.reach.reach(restored)));
        let asked = bound.policy.check_health(&question, probes);
        let (health, words) = match &asked.answer {
            Ok(answer) => (answer.health, words(bound.name(), answer)),
            Err(fault) => (
                Health::Unknown,
                format!("policy `{}` could not tell, which is not a pass: {}", bound.name(), fault.message),
            ),
        };
        let shadow = bound.force == Force::Shadow;
        let passed = health == Health::Healthy;
        let effect = match (shadow, &asked.answer) {
            (true, _) => "shadow only",
            (false, Ok(_)) => "in force",
            (false, Err(_)) => "safe default: unknown, which is not a pass",
        };
        let (workload, effect) = (Some(&workload.name), effect.to_owned());
        let note = Note { function: "check", workload, question: &question, effect, diverged: shadow && !passed };
        record::keep(ctx, &bound, &asked, note)?;
        let stepped_back = bound.force == Force::SteppedBack;
        let words = match (shadow, stepped_back) {
            (true, _) => format!("{words} (shadow only)"),
            (false, true) => format!("policy `{}` stepped back: it cannot be told, which is not a pass", bound.name()),
            (false, false) => words,
        };
        judged.push(Judged { policy: bound.name().clone(), passed: shadow || (passed && !stepped_back), words });
    }
    Ok(judged)
}

fn words(policy: &PolicyName, answer: &HealthAnswer) -> String {
    let line = |passed: bool| -> Vec<String> {
        let shown = answer.findings.iter().filter(|finding| finding.passed == passed);
        shown.map(|finding| format!("{}: {}", finding.name, finding.detail)).collect()
    };
    let findings = match answer.health {
        Health::Healthy => line(true),
        Health::Unhealthy | Health::Unknown => line(false),
    };
    let says = match answer.health {
        Health::Healthy => "says that it is healthy",
        Health::Unhealthy => "says that it is not healthy",
        Health::Unknown => "could not tell, which is not a pass",
    };
    let joined = findings.join("; ");
    if joined.is_empty() { format!("policy `{policy}` {says}") } else { format!("policy `{policy}` {says}: {joined}") }
}
