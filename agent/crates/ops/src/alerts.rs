//! What somebody should hear of, and its way to them: the outbox.
//!
//! An alert is recorded before it is delivered, once for every sink that is bound, so that neither a crash nor a dead
//! receiver loses it. Delivery is tried at the end of the verb that raised it and by `agenda --run`, again with growing
//! waits, and in the end given to the fallback: a warning in the log, and the list that `alert list` shows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backstop_catalog::{DecisionsKept, NewOutgoing, OutboxFilter, Settlement};
use backstop_model::policy::alert::{Alert, Delivery, DeliveryQuestion, Severity};
use backstop_model::policy::outbox::{Outgoing, OutgoingState};
use backstop_model::policy::{CivilTime, Decision, Field, Value, World};
use backstop_model::{ExitCode, Fault, Outcome, PolicyName, Run, Span, Timestamp, Verb, WorkloadName};
use serde::Serialize;

use crate::context::Context;
use crate::gate::outward::ToWeb;
use crate::gate::record::{self, Note};
use crate::gate::{self, Asking, Force};
use crate::report::RunReport;

/// Attempts before an alert goes to the fallback.
const ATTEMPTS_MAX: u32 = 8;
/// The wait after the first attempt; it doubles.
const WAIT: Span = Span::from_secs(60);
/// How long the end of a verb may be held up by deliveries.
pub const BUDGET: Duration = Duration::from_secs(20);
/// Nobody else tries an alert that was taken within this time.
const TAKEN: Span = Span::from_secs(120);
/// An alert of the same group is not raised again within this time.
const QUIET: Span = Span::from_secs(6 * 3600);

/// Alerts and how far they have come.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// When this was read.
    pub now: Timestamp,
    /// Newest first.
    pub alerts: Vec<Outgoing>,
}

/// What a delivery round did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Taken over by a sink.
    pub delivered: u32,
    /// To be tried again.
    pub waiting: u32,
    /// Given to the fallback; a line each.
    pub fallback: Vec<String>,
}

/// Lists alerts: those on their way, or all.
///
/// # Errors
/// When the catalog cannot be read.
pub fn list(ctx: &Context, all: bool, limit: Option<u32>) -> Result<Listed, Fault> {
    let now = ctx.now()?;
    let states =
        if all { Vec::new() } else { vec![OutgoingState::Pending, OutgoingState::Fallback, OutgoingState::Failed] };
    let alerts = ctx.catalog.outbox(&OutboxFilter { states, limit, ..OutboxFilter::default() })?;
    Ok(Listed { now, alerts })
}

/// What an alert says; the rest is added when it is raised.
struct Raised<'a> {
    kind: &'static str,
    severity: Severity,
    group: String,
    title: String,
    text: String,
    workload: Option<&'a WorkloadName>,
    run: Option<&'a Run>,
    facts: Vec<Field>,
    recovered: bool,
}

/// Puts an alert into the outbox, once per bound sink. One that was raised a short while ago is not raised again.
fn raise(ctx: &Context, raised: Raised<'_>) -> Result<(), Fault> {
    let now = ctx.outside.clock.now();
    let filter = OutboxFilter { group: Some(raised.group.clone()), limit: Some(1), ..OutboxFilter::default() };
    let last = ctx.catalog.outbox(&filter)?.pop().map(|outgoing| outgoing.alert);
    let repeated = last.as_ref().is_some_and(|last| {
        last.recovered == raised.recovered && (raised.recovered || Span::between(last.at, now) < QUIET)
    });
    // Nothing is over that never was.
    if repeated || (raised.recovered && last.is_none()) {
        return Ok(());
    }
    let alert = Alert {
        id: unlike_any_other(ctx),
        group: raised.group,
        at: now,
        severity: raised.severity,
        kind: raised.kind.to_owned(),
        title: raised.title,
        text: raised.text,
        workload: raised.workload.cloned(),
        backup: None,
        run: raised.run.map(|run| run.id.clone()),
        host: ctx.outside.host.clone(),
        recovered: raised.recovered,
        facts: raised.facts,
    };
    put(ctx, &alert)
}

fn unlike_any_other(ctx: &Context) -> String {
    let mut salt = [0; 8];
    ctx.outside.entropy.fill(&mut salt);
    salt.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(ctx: &Context, alert: &Alert) -> Result<(), Fault> {
    let covers = |policy: &&backstop_model::policy::PolicyConfig| {
        policy.world == World::AlertSink
            && alert.workload.as_ref().map_or(policy.applies_to.is_empty(), |name| policy.covers(name))
    };
    let sinks: Vec<PolicyName> =
        ctx.config.policies.values().filter(covers).map(|policy| policy.name.clone()).collect();
    let new: Vec<NewOutgoing<'_>> = match sinks.as_slice() {
        [] => vec![NewOutgoing { alert, sink: None }],
        sinks => sinks.iter().map(|sink| NewOutgoing { alert, sink: Some(sink) }).collect(),
    };
    ctx.catalog.outbox_put(&new, alert.at)?;
    ctx.alerted.store(true, Ordering::Relaxed);
    Ok(())
}

/// A policy found no answer.
pub(crate) fn policy_fault(
    ctx: &Context,
    decision: &Decision,
    fault: &backstop_model::policy::Fault,
) -> Result<(), Fault> {
    let policy = &decision.policy;
    raise(
        ctx,
        Raised {
            kind: "policy-fault",
            severity: Severity::Warning,
            group: format!("policy-fault/{policy}"),
            title: format!("policy `{policy}` found no answer: {}", fault.message),
            text: format!("{}\nsee `backstop policy inspect {policy}`", decision.effect),
            workload: decision.workload.as_ref(),
            run: None,
            facts: vec![Field::new("world", Value::Text(decision.world.to_string()))],
            recovered: false,
        },
    )
}

/// A policy is not in force any more.
pub(crate) fn stepped_back(ctx: &Context, decision: &Decision, why: &str) -> Result<(), Fault> {
    let policy = &decision.policy;
    raise(
        ctx,
        Raised {
            kind: "policy-stepped-back",
            severity: Severity::Critical,
            group: format!("policy-stepped-back/{policy}"),
            title: format!("policy `{policy}` is not in force any more: {why}"),
            text: "its safe default holds until its component, its settings or its limits change".to_owned(),
            workload: decision.workload.as_ref(),
            run: None,
            facts: vec![Field::new("world", Value::Text(decision.world.to_string()))],
            recovered: false,
        },
    )
}

/// Backups past retention stay because a policy in force found no answer.
pub(crate) fn release_blocked(
    ctx: &Context,
    workload: &WorkloadName,
    policy: &PolicyName,
    why: &str,
) -> Result<(), Fault> {
    raise(
        ctx,
        Raised {
            kind: "release-blocked",
            severity: Severity::Warning,
            group: format!("release-blocked/{workload}"),
            title: format!("nothing of `{workload}` is released: policy `{policy}` found no answer"),
            text: format!("{why}\nvaults grow until it is looked at: `backstop policy inspect {policy}`"),
            workload: Some(workload),
            run: None,
            facts: Vec::new(),
            recovered: false,
        },
    )
}

/// What an ended run is worth telling about.
pub(crate) fn run_ended(ctx: &Context, run: &Run, report: &RunReport) -> Result<(), Fault> {
    let about = run.workload.as_ref().map_or("the vaults", WorkloadName::as_str);
    let (kind, what) = match run.verb {
        Verb::Backup => ("backup-failed", "the backup"),
        Verb::Replicate => ("replication-failed", "the replication"),
        Verb::Verify => ("verification-failed", "the verification"),
        Verb::DrTest => ("dr-test-failed", "the DR test"),
        Verb::Restore | Verb::RestoreUndo => ("restore-failed", "the restore"),
        Verb::Release | Verb::Undelete | Verb::Prune => ("run-failed", "the run"),
    };
    let interrupted = matches!(report.code, ExitCode::Interrupted | ExitCode::Terminated);
    let bad = matches!(report.outcome, Some(Outcome::Failed | Outcome::Undone | Outcome::Stuck)) && !interrupted;
    let stuck = report.outcome == Some(Outcome::Stuck);
    let recovered = matches!(report.outcome, Some(Outcome::Done | Outcome::Partial));
    if !bad && !recovered {
        return Ok(());
    }
    let why = report.fault.as_ref().map_or(String::new(), |fault| fault.message.clone());
    let outcome = report.outcome.map(|outcome| outcome.to_string()).unwrap_or_default();
    let title = match (recovered, stuck) {
        (true, _) => format!("{what} of `{about}` went through again"),
        (_, true) => format!("{what} of `{about}` is stuck: {why}"),
        (_, false) => format!("{what} of `{about}` failed: {why}"),
    };
    let severity = match (recovered, stuck || run.verb == Verb::Backup || kind == "verification-failed") {
        (true, _) => Severity::Info,
        (_, true) => Severity::Critical,
        (_, false) => Severity::Warning,
    };
    raise(
        ctx,
        Raised {
            kind: if stuck { "run-stuck" } else { kind },
            severity,
            group: format!("{kind}/{about}"),
            title,
            text: format!("run {}; see `backstop run show {}`", run.id, run.id),
            workload: run.workload.as_ref(),
            run: Some(run),
            facts: vec![Field::new("outcome", Value::Text(outcome))],
            recovered,
        },
    )
}

/// Raises an alert that says that alerts arrive.
///
/// # Errors
/// When the catalog cannot be written.
pub fn test(ctx: &Context) -> Result<Delivered, Fault> {
    raise(
        ctx,
        Raised {
            kind: "test",
            severity: Severity::Info,
            // Two tests in one second are two.
            group: format!("test/{}", unlike_any_other(ctx)),
            title: format!("a test of the alerts of {}", ctx.outside.host),
            text: format!("asked for by {}; nothing is wrong", ctx.outside.by),
            workload: None,
            run: None,
            facts: Vec::new(),
            recovered: false,
        },
    )?;
    deliver(ctx, BUDGET)
}

/// What a wake of the agent does besides: alerts whose next attempt is due are tried with this command's own, and what
/// is recorded about policies does not grow without end.
pub(crate) fn keep_house(ctx: &Context) -> Result<(), Fault> {
    let now = ctx.outside.clock.now();
    if ctx.catalog.outbox_due(now)? > 0 {
        ctx.alerted.store(true, Ordering::Relaxed);
    }
    if !ctx.config.policies.is_empty() {
        let kept = DecisionsKept::default();
        ctx.catalog.prune_decisions(&kept, now)?;
        ctx.catalog.prune_approvals(kept.age.before(now))?;
    }
    ctx.catalog.prune_outbox(Span::from_days(90).before(now))?;
    Ok(())
}

/// Delivers what this command raised. Cheap when it raised nothing.
///
/// # Errors
/// When the catalog cannot be read or written.
pub fn flush(ctx: &Context) -> Result<Delivered, Fault> {
    if ctx.alerted.swap(false, Ordering::Relaxed) { deliver(ctx, BUDGET) } else { Ok(Delivered::default()) }
}

/// Delivers what is due, oldest first, until the time is over.
///
/// # Errors
/// When the catalog cannot be read or written.
pub fn deliver(ctx: &Context, budget: Duration) -> Result<Delivered, Fault> {
    let mut out = Delivered::default();
    let began = ctx.outside.clock.monotonic();
    while ctx.outside.clock.monotonic().saturating_sub(began) < budget {
        let now = ctx.outside.clock.now();
        // One at a time: a crash on the way costs one attempt, and nobody else tries it meanwhile.
        let Some(outgoing) = ctx.catalog.outbox_take(now, TAKEN.after(now), 1)?.pop() else { return Ok(out) };
        one(ctx, &outgoing, &mut out)?;
    }
    let left = ctx.catalog.outbox_due(ctx.outside.clock.now())?;
    out.waiting += u32::try_from(left).unwrap_or(u32::MAX);
    Ok(out)
}

fn one(ctx: &Context, outgoing: &Outgoing, out: &mut Delivered) -> Result<(), Fault> {
    let said = match &outgoing.sink {
        None => Delivery::Never { why: "no alert sink is bound".to_owned() },
        Some(sink) => ask(ctx, sink, outgoing)?,
    };
    let now = ctx.outside.clock.now();
    let settlement = match said {
        Delivery::Delivered { id, note } => {
            out.delivered += 1;
            Settlement::Delivered { receipt: if id.is_empty() { note } else { id } }
        }
        Delivery::Again { after, why } if outgoing.attempts < ATTEMPTS_MAX => {
            out.waiting += 1;
            let doubled =
                Span::from_millis(WAIT.as_millis() << outgoing.attempts.clamp(1, ATTEMPTS_MAX).saturating_sub(1));
            let wait = after.unwrap_or(doubled).max(WAIT).min(Span::from_days(1));
            Settlement::Again { at: wait.after(now), error: why }
        }
        Delivery::Again { why, .. } | Delivery::Never { why } => {
            let line = format!("{}: {}", outgoing.alert.kind, outgoing.alert.title);
            tracing::warn!(alert = %outgoing.alert.id, why, "{line}");
            out.fallback.push(line);
            match outgoing.sink {
                // With nobody to deliver it, the log and the list are where it belongs.
                None => Settlement::Fallback { error: why },
                Some(_) => Settlement::Failed { error: why },
            }
        }
    };
    ctx.catalog.outbox_settle(outgoing.id, &settlement, now)?;
    Ok(())
}

/// One attempt through one sink. A sink that faults is tried again.
fn ask(ctx: &Context, sink: &PolicyName, outgoing: &Outgoing) -> Result<Delivery, Fault> {
    let Some(set) = gate::of_world(ctx, World::AlertSink)? else {
        return Ok(Delivery::Never { why: format!("policy `{sink}` is bound no more") });
    };
    let workload = outgoing.alert.workload.as_ref();
    let bound = gate::bound(ctx, &set, World::AlertSink, workload, Asking::Deciding)?;
    let Some(bound) = bound.into_iter().find(|bound| bound.name() == sink) else {
        return Ok(Delivery::Never { why: format!("policy `{sink}` is bound no more") });
    };
    if bound.force == Force::SteppedBack {
        return Ok(Delivery::Never { why: format!("policy `{sink}` stepped back") });
    }
    let now = ctx.outside.clock.now();
    let question = DeliveryQuestion {
        now: now.as_second(),
        local: CivilTime::utc(now),
        settings: bound.policy.config().settings.clone(),
        alert: outgoing.alert.clone(),
        attempt: outgoing.attempts,
    };
    // A shadow sends nothing: what it would do outside cannot be taken back.
    if bound.force == Force::Shadow {
        return Ok(Delivery::Never { why: format!("policy `{sink}` is only a shadow: nothing is sent") });
    }
    let outward = ToWeb { web: Arc::clone(&ctx.outside.web), reveal: Arc::clone(&ctx.outside.reveal) };
    let asked = bound.policy.deliver(&question, Arc::new(outward));
    let said = match &asked.answer {
        Ok(delivery) => delivery.clone(),
        Err(fault) => Delivery::Again { after: None, why: fault.message.clone() },
    };
    let effect = match &said {
        Delivery::Delivered { .. } => "delivered".to_owned(),
        Delivery::Again { why, .. } => format!("tried again later: {why}"),
        Delivery::Never { why } => format!("given to the fallback: {why}"),
    };
    // A sink's fault is not an alert of its own: it would go through the same sink.
    record::keep_quietly(
        ctx,
        &bound,
        &asked,
        Note { function: "deliver", workload, question: &question, effect, diverged: false },
    )?;
    Ok(said)
}
