//! Which tiers a backup gets, and which backups may go: asked of the policies bound to the workload.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::config::Workload;
use backstop_model::policy::retention::{ReleaseVerdict, TiersAnswer};
use backstop_model::policy::{Asked, Mode, World};
use backstop_model::{Backup, BackupName, Fault, Tier, WorkloadName};
use backstop_planner::Calendar;
use backstop_planner::backup::Added;
use backstop_planner::policies::{Ruling, Word, heed};
use backstop_planner::retention::{Terms, Verdict};
use backstop_policy::Policy;

use super::question::Scene;
use super::record::{self, Note};
use super::{Asking, Bound, Force, bound, of_world};
use crate::alerts;
use crate::context::Context;

/// The tiers that policies add, and what is worth telling.
#[derive(Debug, Default)]
pub(crate) struct Tiers {
    pub added: Vec<Added>,
    pub notes: Vec<String>,
}

/// Asks which tiers a backup gets beside those of the calendar.
pub(crate) fn tiers(
    ctx: &Context,
    scene: &Scene<'_>,
    calendar: &BTreeSet<Tier>,
    asking: Asking,
) -> Result<Tiers, Fault> {
    let mut out = Tiers::default();
    let Some(set) = of_world(ctx, World::Retention)? else { return Ok(out) };
    let workload = &scene.workload.name;
    for bound in bound(ctx, &set, World::Retention, Some(workload), asking)? {
        let question = scene.tiers(bound.policy.config(), calendar);
        let asked = bound.policy.ask_tiers(&question);
        let twice = diverges(&bound, &asked, || bound.policy.ask_tiers(&question));
        let name = bound.name().clone();
        let (effect, diverged) = match (&asked.answer, bound.force) {
            (_, Force::Full) if twice => (format!("{}: the calendar alone decides", record::DIVERGED), true),
            (Ok(answer), Force::Full) => {
                out.added.extend(added(&name, answer));
                ("in force".to_owned(), false)
            }
            (Ok(answer), Force::Shadow) => {
                ("shadow only".to_owned(), answer.tiers.iter().any(|tier| !calendar.contains(tier)))
            }
            (Ok(_), Force::SteppedBack) => {
                out.notes.push(format!("policy `{name}` stepped back: the calendar alone decides the tiers"));
                ("stepped back: the calendar alone decides".to_owned(), false)
            }
            (Err(fault), force) => {
                if force != Force::Shadow {
                    out.notes.push(format!("policy `{name}`: {}; the calendar alone decides the tiers", fault.message));
                }
                ("safe default: the calendar alone decides".to_owned(), false)
            }
        };
        if asking == Asking::Deciding {
            let note = Note { function: "tiers", workload: Some(workload), question: &question, effect, diverged };
            record::keep(ctx, &bound, &asked, note)?;
        }
    }
    Ok(out)
}

/// A policy's tiers, those of its answer that add something.
pub(crate) fn added(policy: &backstop_model::PolicyName, answer: &TiersAnswer) -> Vec<Added> {
    let one = |tier: &Tier| Added { tier: tier.clone(), policy: policy.clone(), reason: answer.reason.clone() };
    answer.tiers.iter().map(one).collect()
}

/// Asks the retention policies of a workload about its backups. Empty when none is in force; then built-in retention
/// decides alone. Not asked when there is nothing that could go.
pub(crate) fn rulings(
    ctx: &Context,
    scene: &Scene<'_>,
    named: &BTreeSet<BackupName>,
    asking: Asking,
) -> Result<Vec<Ruling>, Fault> {
    let Some(set) = of_world(ctx, World::Retention)? else { return Ok(Vec::new()) };
    let open = scene.verdicts.iter().any(backstop_planner::policies::is_open);
    if !open && named.is_empty() {
        return Ok(Vec::new());
    }
    let workload = &scene.workload.name;
    let mut rulings = Vec::new();
    let mut recorded = Vec::new();
    for bound in bound(ctx, &set, World::Retention, Some(workload), asking)? {
        let question = scene.release(bound.policy.config(), named);
        let asked = bound.policy.ask_release(&question);
        let twice = diverges(&bound, &asked, || bound.policy.ask_release(&question));
        let mut ruling = ruling(bound.policy, &question.backups, &asked);
        if twice {
            ruling.said = Err(record::DIVERGED.to_owned());
        }
        if bound.force == Force::SteppedBack {
            ruling.said = Err(format!("it stepped back; `backstop policy inspect {}` says why", bound.name()));
        }
        if bound.force != Force::Shadow {
            rulings.push(ruling.clone());
        }
        recorded.push((bound, question, asked, ruling));
    }
    if asking == Asking::Deciding {
        for (bound, question, asked, ruling) in &recorded {
            let (effect, diverged) = effect(scene.verdicts, &rulings, bound.force, ruling);
            if let (false, Err(why)) = (bound.force == Force::Shadow, &ruling.said) {
                alerts::release_blocked(ctx, workload, bound.name(), why)?;
            }
            let note = Note { function: "release", workload: Some(workload), question, effect, diverged };
            record::keep(ctx, bound, asked, note)?;
        }
    }
    Ok(rulings)
}

/// What was made of an answer about releases, and whether a shadow would have made something else of it.
fn effect(verdicts: &[Verdict], in_force: &[Ruling], force: Force, ruling: &Ruling) -> (String, bool) {
    match (force, &ruling.said) {
        (Force::Full, Err(why)) if why == record::DIVERGED => (format!("{why}: everything is kept"), true),
        (Force::Full | Force::Shadow, Err(_)) => ("safe default: everything is kept".to_owned(), false),
        (Force::Full, Ok(_)) => ("in force".to_owned(), false),
        (Force::SteppedBack, _) => ("stepped back: everything is kept".to_owned(), false),
        (Force::Shadow, Ok(_)) => {
            let gone = |rulings: &[Ruling]| -> BTreeSet<BackupName> {
                let heeded = heed(verdicts.to_vec(), rulings);
                heeded.into_iter().filter(|verdict| !verdict.keep).map(|verdict| verdict.backup).collect()
            };
            let mut with = in_force.to_vec();
            with.push(ruling.clone());
            ("shadow only".to_owned(), gone(in_force) != gone(&with))
        }
    }
}

/// An answer by names instead of positions.
pub(crate) fn ruling(
    policy: &Policy,
    backups: &[backstop_model::policy::retention::KeptBackup],
    asked: &Asked<Vec<ReleaseVerdict>>,
) -> Ruling {
    let word = |verdict: &ReleaseVerdict| {
        let backup = backups.get(usize::try_from(verdict.backup).ok()?)?;
        let word = Word { release: verdict.release, reason: verdict.reason.clone() };
        Some((backup.name.parse::<BackupName>().ok()?, word))
    };
    let said = match &asked.answer {
        Ok(verdicts) => Ok(verdicts.iter().filter_map(word).collect::<BTreeMap<_, _>>()),
        Err(fault) => Err(fault.message.clone()),
    };
    Ruling { policy: policy.config().name.clone(), said }
}

/// Asks a canary the same question again: a pure policy says the same. One that does not steps back.
fn diverges<A: PartialEq>(bound: &Bound<'_>, first: &Asked<A>, again: impl FnOnce() -> Asked<A>) -> bool {
    let canary = matches!(bound.policy.config().mode, Mode::Canary { .. });
    bound.force == Force::Full && canary && first.answer.is_ok() && again().answer != first.answer
}

/// Whether a retention policy is bound to a workload at all.
pub(crate) fn is_bound(ctx: &Context, workload: &WorkloadName) -> bool {
    ctx.config.policies.values().any(|policy| policy.world == World::Retention && policy.covers(workload))
}

/// What may be released, and who had a say in it.
pub(crate) struct Judgement {
    /// Built-in retention's verdicts, narrowed by every policy in force.
    pub verdicts: Vec<Verdict>,
    /// What those policies said.
    pub rulings: Vec<Ruling>,
}

/// Built-in retention, narrowed by the policies bound to the workload. `named` are backups that somebody wants to release.
pub(crate) fn judge(
    ctx: &Context,
    workload: &Workload,
    backups: &[Backup],
    named: &BTreeSet<BackupName>,
    asking: Asking,
) -> Result<Judgement, Fault> {
    let calendar = Calendar::of(&workload.schedule)?;
    let offsite = backstop_planner::choice::offsite(&ctx.config, &workload.schedule);
    let now = ctx.outside.clock.now();
    let terms = Terms {
        calendar: &calendar,
        promised: workload.schedule.verify.map(|rule| rule.level),
        offsite: &offsite,
        enabled: workload.enabled,
        now,
    };
    let verdicts = backstop_planner::retention::verdicts(&terms, backups);
    if !is_bound(ctx, &workload.name) {
        return Ok(Judgement { verdicts, rulings: Vec::new() });
    }
    let scene = Scene { workload, calendar: &calendar, backups, verdicts: &verdicts, offsite: &offsite, now };
    let rulings = match rulings(ctx, &scene, named, asking) {
        // Whoever only looks learns that everything is kept, and why.
        Err(fault) if asking == Asking::Looking => unasked(ctx, &workload.name, &fault),
        asked => asked?,
    };
    Ok(Judgement { verdicts: heed(verdicts, &rulings), rulings })
}

/// The rulings of policies that could not be asked at all.
fn unasked(ctx: &Context, workload: &WorkloadName, fault: &Fault) -> Vec<Ruling> {
    let bound = ctx.config.policies.values().filter(|p| p.world == World::Retention && p.covers(workload));
    bound.map(|policy| Ruling { policy: policy.name.clone(), said: Err(fault.message.clone()) }).collect()
}

/// The tiers that policies add to a backup made now.
pub(crate) fn tiers_now(
    ctx: &Context,
    workload: &Workload,
    backups: &[Backup],
    forced: Option<&Tier>,
    asking: Asking,
) -> Result<Tiers, Fault> {
    if !is_bound(ctx, &workload.name) {
        return Ok(Tiers::default());
    }
    let calendar = Calendar::of(&workload.schedule)?;
    let offsite = backstop_planner::choice::offsite(&ctx.config, &workload.schedule);
    let now = ctx.outside.clock.now();
    let terms = Terms {
        calendar: &calendar,
        promised: workload.schedule.verify.map(|rule| rule.level),
        offsite: &offsite,
        enabled: workload.enabled,
        now,
    };
    let verdicts = backstop_planner::retention::verdicts(&terms, backups);
    let scene = Scene { workload, calendar: &calendar, backups, verdicts: &verdicts, offsite: &offsite, now };
    let own = backstop_planner::tiers::of_backup_now(&calendar, backups, now, forced);
    tiers(ctx, &scene, &own, asking)
}
