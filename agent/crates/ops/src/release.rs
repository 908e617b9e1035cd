//! `backup delete`, `backup undelete`, and the release of what is past retention. The gate is the delete firewall.

use backstop_model::{Advice, Backup, BackupName, BackupState, ExitCode, Fault, Span, WorkloadName};
use backstop_planner as planner;
use backstop_planner::calendar::Calendar;
use backstop_planner::retention::{Terms, Verdict};
use backstop_seams::Progress;

use crate::carry::carry_out;
use crate::context::Context;
use crate::firewall::{self, Decision, Reality};
use crate::report::RunReport;
use crate::request::Release;
use crate::{many, settle};

const DAY: Span = Span::from_days(1);

/// Releases backups into the trash: those named, or those past retention.
///
/// # Errors
/// Unknown names; `Refused` when the firewall lets nothing of what was named go.
pub fn release(ctx: &Context, request: &Release, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    if !request.backups.is_empty() {
        return named(ctx, request, progress);
    }
    let workloads: Vec<WorkloadName> = match &request.workload {
        Some(name) => vec![ctx.workload(name)?.name.clone()],
        None => ctx.config.workloads.keys().cloned().collect(),
    };
    many::each(&workloads, 1, |name| {
        if !request.dry_run {
            settle::before(ctx, name, progress)?;
        }
        let backups = ctx.backups_of(name)?;
        let verdicts = verdicts(ctx, name, &backups)?;
        let proposals = planner::release::proposals(&verdicts, &backups);
        one(ctx, name, &backups, &proposals, request.dry_run, progress).map(|report| vec![report])
    })
}

fn named(ctx: &Context, request: &Release, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let wanted = request.backups.iter().map(|name| ctx.backup(name)).collect::<Result<Vec<_>, _>>()?;
    let mut workloads: Vec<WorkloadName> = wanted.iter().map(|backup| backup.workload.clone()).collect();
    workloads.sort();
    workloads.dedup();
    let why = if request.reason.is_empty() { "asked for".to_owned() } else { request.reason.clone() };
    let mut reports = Vec::new();
    for name in workloads {
        if !request.dry_run {
            settle::before(ctx, &name, progress)?;
        }
        let backups = ctx.backups_of(&name)?;
        let proposals: Vec<(&Backup, Vec<String>)> = backups
            .iter()
            .filter(|backup| wanted.iter().any(|w| w.name == backup.name))
            .map(|backup| (backup, vec![why.clone()]))
            .collect();
        if let Some((gone, _)) = proposals.iter().find(|(backup, _)| backup.state != BackupState::Present) {
            return Err(Fault::not_found(
                format!("backup `{}` was released already", gone.name),
                format!("`backstop backup undelete {}` brings it back while its window lasts", gone.name),
            ));
        }
        let report = one(ctx, &name, &backups, &proposals, request.dry_run, progress)?;
        if report.steps.is_empty() && !report.notes.is_empty() {
            return Err(Fault::refused(
                report.notes.join("; "),
                "the delete firewall protects it; see `backstop backup show`",
            ));
        }
        reports.push(report);
    }
    Ok(reports)
}

fn one(
    ctx: &Context,
    name: &WorkloadName,
    backups: &[Backup],
    proposals: &[(&Backup, Vec<String>)],
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<RunReport, Fault> {
    let names: Vec<BackupName> = proposals.iter().map(|(backup, _)| backup.name.clone()).collect();
    let decision = decide(ctx, name, backups, &names, firewall::check)?;
    let allowed: Vec<(&Backup, Vec<String>)> =
        proposals.iter().filter(|(backup, _)| decision.allowed.contains(&backup.name)).cloned().collect();
    let workload = ctx.workload(name)?;
    let plan = planner::release::plan(workload, &allowed, &ctx.config.limits, ctx.now()?);
    let mut report = carry_out(ctx, plan, dry_run, None, progress)?;
    report.notes.extend(decision.refused.iter().map(|refusal| format!("{} stays: {}", refusal.backup, refusal.words)));
    Ok(report)
}

/// Retention's verdicts over a workload's backups.
///
/// # Errors
/// When the workload is unknown or its zone is.
pub fn verdicts(ctx: &Context, name: &WorkloadName, backups: &[Backup]) -> Result<Vec<Verdict>, Fault> {
    let workload = ctx.workload(name)?;
    let calendar = Calendar::of(&workload.schedule)?;
    let offsite = planner::choice::offsite(&ctx.config, &workload.schedule);
    let terms = Terms {
        calendar: &calendar,
        promised: workload.schedule.verify.map(|rule| rule.level),
        offsite: &offsite,
        enabled: workload.enabled,
        now: ctx.outside.clock.now(),
    };
    Ok(planner::retention::verdicts(&terms, backups))
}

/// Asks the firewall about proposals, in the world as the catalog shows it now.
fn decide(
    ctx: &Context,
    name: &WorkloadName,
    backups: &[Backup],
    proposal: &[BackupName],
    check: fn(&[BackupName], &Reality<'_>) -> Decision,
) -> Result<Decision, Fault> {
    let now = ctx.outside.clock.now();
    let schedule = ctx.config.workloads.get(name).map(|workload| &workload.schedule);
    let offsite = schedule.map(|schedule| planner::choice::offsite(&ctx.config, schedule)).unwrap_or_default();
    let today = |backup: &&Backup| matches!(backup.state, BackupState::Trashed { since, .. } if Span::between(since, now) < DAY);
    let reality = Reality {
        now,
        journalled: ctx.catalog.implausible(now)?.map(|doubt| doubt.highest),
        workload: name,
        backups,
        promised: schedule.and_then(|schedule| schedule.verify).map(|rule| rule.level),
        offsite: &offsite,
        chained: &[],
        limits: &ctx.config.limits,
        gone_this_run: 0,
        released_today: u32::try_from(backups.iter().filter(today).count()).unwrap_or(u32::MAX),
    };
    Ok(check(proposal, &reality))
}

/// Refuses unless the firewall lets this one backup go, looking at the world afresh.
pub(crate) fn firewall_agrees(
    ctx: &Context,
    backup: &Backup,
    check: fn(&[BackupName], &Reality<'_>) -> Decision,
) -> Result<(), Fault> {
    let backups = ctx.backups_of(&backup.workload)?;
    let decision = decide(ctx, &backup.workload, &backups, std::slice::from_ref(&backup.name), check)?;
    match decision.refused.first() {
        None => Ok(()),
        Some(refusal) => Err(Fault::new(
            ExitCode::Refused,
            Advice::CallAPerson,
            format!("{} stays: {}", refusal.backup, refusal.words),
            "the delete firewall protects it; see `backstop backup show`",
        )),
    }
}

/// Which of these may be purged, by the firewall.
pub(crate) fn purgeable<'b>(
    ctx: &Context,
    name: &WorkloadName,
    backups: &'b [Backup],
) -> Result<Vec<&'b Backup>, Fault> {
    let now = ctx.outside.clock.now();
    let over: Vec<BackupName> = backups
        .iter()
        .filter(|backup| planner::prune::is_purgeable(backup, now))
        .map(|backup| backup.name.clone())
        .collect();
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let decision = decide(ctx, name, backups, &over, firewall::check_purge)?;
    Ok(backups.iter().filter(|backup| decision.allowed.contains(&backup.name)).collect())
}

/// Brings a released backup back from the trash.
///
/// # Errors
/// When it is not there.
pub fn undelete(ctx: &Context, backup: &str, reason: &str, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let record = ctx.backup(backup)?;
    settle::before(ctx, &record.workload, progress)?;
    let mut plan = planner::release::undelete(&record, ctx.now()?)?;
    if !reason.is_empty() {
        plan.reasons.push(reason.to_owned());
    }
    carry_out(ctx, plan, false, None, progress)
}
