//! `agenda`: what is due, with its reason, and what comes next.
//!
//! The planner decides; here the facts are read. Ten thousand workloads at rest must not cost the reading of a quarter
//! of a million backups: `glance` tells from a workload's standing that nothing can be due, and the backups are read
//! only of those of which it cannot tell.

mod glance;

use std::collections::{BTreeMap, BTreeSet};

use backstop_catalog::RunFilter;
use backstop_model::config::Config;
use backstop_model::run::StepOutput;
use backstop_model::{
    Action, Backup, BackupName, EventBody, ExitCode, Fault, Outcome, Place, Run, RunId, Span, Standing, StepId,
    Timestamp, Verb, WorkloadName,
};
use backstop_planner::agenda::{Agenda, Due, Facts, Past};
use backstop_planner::policies::Ruling;
use serde::Serialize;

use crate::Context;
use crate::gate::{Asking, retention};
use crate::{carry, prune};

/// How far back failures matter: nothing is left alone for longer after one.
const FAILURES: Span = Span::from_days(2);

/// The agenda as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// When this was read.
    pub now: Timestamp,
    /// Due now, most urgent first.
    pub due: Vec<Line>,
    /// Not due yet, soonest first.
    pub next: Vec<Line>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What is to be done.
    pub verb: Verb,
    /// To which workload.
    pub workload: Option<WorkloadName>,
    /// Which backups.
    pub backups: Vec<BackupName>,
    /// At which place.
    pub place: Option<Place>,
    /// Which run is to be resumed.
    pub run: Option<RunId>,
    /// Since when it is due, or when it will be.
    pub when: Timestamp,
    /// Why.
    pub reason: String,
}

impl From<Due> for Line {
    fn from(due: Due) -> Self {
        let Due { urgency: _, what, workload, backups, place, run, when, reason } = due;
        Self { verb: what, workload, backups, place, run, when, reason }
    }
}

/// Reads the agenda for people.
///
/// # Errors
/// As [`look`].
pub fn show(ctx: &Context) -> Result<Shown, Fault> {
    let now = ctx.outside.clock.now();
    let agenda = look(ctx)?;
    let lines = |due: Vec<Due>| due.into_iter().map(Line::from).collect();
    Ok(Shown { now, due: lines(agenda.due), next: lines(agenda.next) })
}

/// Reads the agenda.
///
/// # Errors
/// A catalog that cannot be read, a time zone that is unknown.
pub fn look(ctx: &Context) -> Result<Agenda, Fault> {
    let standings = ctx.catalog.standings()?;
    let (mut agenda, quiet) = compare(ctx, &standings)?;
    agenda.next.extend(quiet);
    agenda
        .next
        .sort_by(|a, b| (a.when, a.urgency, &a.workload, &a.place).cmp(&(b.when, b.urgency, &b.workload, &b.place)));
    Ok(agenda)
}

/// What is due, for those who read the standings already.
pub(crate) fn due(ctx: &Context, standings: &[Standing]) -> Result<Vec<Due>, Fault> {
    Ok(compare(ctx, standings)?.0.due)
}

/// The agenda, and what comes next of the workloads at rest.
fn compare(ctx: &Context, standings: &[Standing]) -> Result<(Agenda, Vec<Due>), Fault> {
    let now = ctx.outside.clock.now();
    let doubtful = ctx.catalog.implausible(now)?.is_some();
    let standings: BTreeMap<&WorkloadName, &Standing> =
        standings.iter().map(|standing| (&standing.workload, standing)).collect();
    let mut glance = glance::Glance::new(now);
    let mut quiet: Vec<Due> = Vec::new();
    let mut close = Vec::new();
    // Only those looked at closely stand in the configuration that the planner sees.
    let mut workloads = BTreeMap::new();
    for (name, workload) in ctx.config.workloads.iter().filter(|(_, workload)| workload.enabled) {
        let standing = standings.get(name).filter(|_| !doubtful);
        match standing.map(|standing| glance.next(workload, standing)).transpose()?.flatten() {
            Some(lines) => quiet.extend(lines),
            None => {
                close.push(name);
                workloads.insert(name.clone(), workload.clone());
            }
        }
    }
    let Config { state_dir, vaults, schedules, policies, signers, limits, workloads: _ } = &ctx.config;
    let config = Config {
        state_dir: state_dir.clone(),
        vaults: vaults.clone(),
        schedules: schedules.clone(),
        workloads,
        policies: policies.clone(),
        signers: signers.clone(),
        limits: *limits,
    };
    let scheduled = |name: &WorkloadName| ctx.config.workloads.get(name).is_some_and(|workload| workload.enabled);
    let trash = standings.values().filter(|standing| standing.trashed > 0 && !scheduled(&standing.workload));
    close.extend(trash.map(|standing| &standing.workload));
    let mut backups: BTreeMap<WorkloadName, Vec<Backup>> = BTreeMap::new();
    if close.len() > standings.len() / 4 {
        // Reading all at once is cheaper than asking for most of them one by one.
        let wanted: BTreeSet<&WorkloadName> = close.iter().copied().collect();
        backups = ctx.catalog.all_backups()?;
        backups.retain(|name, _| wanted.contains(name));
    } else {
        for name in &close {
            backups.insert((*name).clone(), ctx.backups_of(name)?);
        }
    }
    let past = past(ctx, &close, &standings, now)?;
    let (open_runs, marked_packs) = (interrupted(ctx)?, marked(ctx)?);
    let kept_trees = if doubtful { Vec::new() } else { prune::kept_trees(ctx)? };
    let rulings = rulings(ctx, &close, &backups)?;
    let facts = Facts {
        now,
        backups: &backups,
        past: &past,
        open_runs: &open_runs,
        marked_packs: &marked_packs,
        kept_trees: &kept_trees,
        rulings: &rulings,
    };
    Ok((backstop_planner::agenda::agenda(&config, &facts)?, quiet))
}

/// Rehearsals that passed, and verbs whose last attempt failed a short while ago.
fn past(
    ctx: &Context,
    close: &[&WorkloadName],
    standings: &BTreeMap<&WorkloadName, &Standing>,
    now: Timestamp,
) -> Result<BTreeMap<WorkloadName, Past>, Fault> {
    let mut past: BTreeMap<WorkloadName, Past> = BTreeMap::new();
    for name in close {
        let dr_test_passed = standings.get(*name).and_then(|standing| standing.last_dr_test);
        past.insert((*name).clone(), Past { dr_test_passed, ..Past::default() });
    }
    for outcome in [Outcome::Undone, Outcome::Failed, Outcome::Stuck] {
        let failed = RunFilter { since: Some(FAILURES.before(now)), outcome: Some(outcome), ..RunFilter::default() };
        for run in ctx.catalog.runs(&failed)? {
            let (Some(workload), Some(at)) = (run.workload, run.finished) else { continue };
            let Some(past) = past.get_mut(&workload) else { continue };
            let last =
                RunFilter { workload: Some(workload), verb: Some(run.verb), limit: Some(1), ..RunFilter::default() };
            if ctx.catalog.runs(&last)?.first().is_some_and(|last| last.id == run.id) && did_fail(ctx, &run.id)? {
                past.failed.insert(run.verb, at);
            }
        }
    }
    Ok(past)
}

/// Whether an ended run met a fault. One that was only interrupted and taken back says nothing against another attempt.
fn did_fail(ctx: &Context, run: &RunId) -> Result<bool, Fault> {
    let events = ctx.catalog.events(run)?;
    Ok(events.is_empty()
        || events.iter().any(|event| match &event.body {
            EventBody::StepFailed { fault, .. } => !matches!(fault.code, ExitCode::Interrupted | ExitCode::Terminated),
            EventBody::UndoFailed { .. } => true,
            _ => false,
        }))
}

/// Runs that were begun, did not end, and whose owner is gone.
pub(crate) fn interrupted(ctx: &Context) -> Result<Vec<Run>, Fault> {
    let open = ctx.catalog.runs(&RunFilter { open: true, ..RunFilter::default() })?;
    let mut found = Vec::new();
    for run in open {
        let mut alive = false;
        for key in carry::keys_of(&run) {
            alive |= carry::is_held(ctx, &key)?;
        }
        if !alive {
            found.push(run);
        }
    }
    Ok(found)
}

/// What the retention policies in force say of the workloads looked at; one question for each that has any.
fn rulings(
    ctx: &Context,
    close: &[&WorkloadName],
    backups: &BTreeMap<WorkloadName, Vec<Backup>>,
) -> Result<BTreeMap<WorkloadName, Vec<Ruling>>, Fault> {
    let mut rulings = BTreeMap::new();
    for name in close.iter().filter(|name| retention::is_bound(ctx, name)) {
        let (Some(workload), Some(backups)) = (ctx.config.workloads.get(*name), backups.get(*name)) else { continue };
        let judged = retention::judge(ctx, workload, backups, &BTreeSet::new(), Asking::Looking)?;
        rulings.insert((*name).clone(), judged.rulings);
    }
    Ok(rulings)
}

/// Vaults in which the last prune left packs marked, and since when.
fn marked(ctx: &Context) -> Result<BTreeMap<Place, Timestamp>, Fault> {
    /// Prunes looked at: enough to meet every vault's last one.
    const PRUNES: u32 = 32;
    let filter = RunFilter { verb: Some(Verb::Prune), limit: Some(PRUNES), ..RunFilter::default() };
    let mut seen: BTreeMap<Place, Option<Timestamp>> = BTreeMap::new();
    for run in ctx.catalog.runs(&filter)? {
        let place_of = |step: StepId| {
            run.plan.steps.iter().find(|known| known.id == step).and_then(|step| match &step.action {
                Action::PrunePacks { place, .. } => Some(place.clone()),
                _ => None,
            })
        };
        for event in ctx.catalog.events(&run.id)? {
            let EventBody::StepDone { step, output: StepOutput::Freed { marked, .. }, .. } = event.body else {
                continue;
            };
            if let Some(place) = place_of(step) {
                seen.entry(place).or_insert((marked > 0).then_some(event.at));
            }
        }
    }
    Ok(seen.into_iter().filter_map(|(place, at)| Some((place, at?))).collect())
}

#[cfg(test)]
mod tests {
    use backstop_model::{BackupState, Level, Plan};

    use super::*;
    use crate::fixture::{NOW, backup, context, t};

    fn run(id: &str, verb: Verb, begun: &str) -> Run {
        let workload: WorkloadName = "docs".parse().expect("valid");
        let mut plan = Plan::nothing(verb, t(begun), "for a test");
        plan.workload = Some(workload.clone());
        let (id, by) = (id.parse().expect("valid"), "ann@ops".to_owned());
        Run { id, verb, workload: Some(workload), plan, started: t(begun), finished: None, outcome: None, by }
    }

    fn due(ctx: &Context) -> Vec<(Verb, String)> {
        look(ctx).expect("an agenda").due.into_iter().map(|due| (due.what, due.reason)).collect()
    }

    #[test]
    fn what_failed_a_short_while_ago_waits_unless_it_worked_since() {
        let (ctx, _) = context();
        let missing = (Verb::Backup, "no backup at all yet".to_owned());
        assert_eq!(due(&ctx), std::slice::from_ref(&missing));
        ctx.catalog.begin_run(&run("r1", Verb::Backup, "2026-05-20T11:50:00Z")).expect("begun");
        let id = "r1".parse().expect("valid");
        ctx.catalog.finish_run(&id, Outcome::Failed, t("2026-05-20T11:55:00Z")).expect("ended");
        assert_eq!(due(&ctx), []);
        ctx.catalog.begin_run(&run("r2", Verb::Backup, "2026-05-20T11:56:00Z")).expect("begun");
        let id = "r2".parse().expect("valid");
        ctx.catalog.finish_run(&id, Outcome::Done, t("2026-05-20T11:57:00Z")).expect("ended");
        assert_eq!(due(&ctx), [missing]);
    }

    #[test]
    fn a_run_is_interrupted_once_nobody_alive_holds_its_lease() {
        let (ctx, _) = context();
        ctx.catalog.begin_run(&run("r1", Verb::Verify, "2026-05-20T11:50:00Z")).expect("begun");
        let minute = Span::from_secs(60);
        let lease = ctx.catalog.acquire("workload:docs", "alive", minute, t(NOW)).expect("taken");
        assert_eq!(interrupted(&ctx).expect("read"), []);
        ctx.catalog.release(&lease).expect("given back");
        ctx.catalog.acquire("workload:docs", "dead", minute, t(NOW)).expect("taken");
        assert_eq!(interrupted(&ctx).expect("read").len(), 1);
        assert_eq!(due(&ctx)[0].0, Verb::Verify);
    }

    #[test]
    fn the_trash_of_a_workload_configured_no_more_is_still_emptied() {
        let (ctx, _) = context();
        let mut gone = backup("b1", "2026-05-01T02:00:00Z", Level::L3);
        gone.workload = "former".parse().expect("valid");
        gone.state = BackupState::Trashed { since: t("2026-05-02T00:00:00Z"), purge_after: t("2026-05-09T00:00:00Z") };
        ctx.catalog.record_backup(&gone).expect("recorded");
        let purge = look(&ctx).expect("an agenda").due.into_iter().find(|due| due.what == Verb::Prune);
        assert_eq!(purge.expect("due").workload.expect("named").as_str(), "former");
    }
}
