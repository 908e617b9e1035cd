//! `backup delete`, `backup undelete`, and the release of what is past retention. The gate is the delete firewall.

use std::collections::BTreeSet;

use backstop_model::{Advice, Backup, BackupName, BackupState, ExitCode, Fault, Span, WorkloadName};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::gated;
use crate::context::Context;
use crate::firewall::{self, Decision, Reality};
use crate::gate::validation::Asked;
use crate::gate::{Asking, retention};
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
        let workload = ctx.workload(name)?;
        let judged = retention::judge(ctx, workload, &backups, &BTreeSet::new(), Asking::of(request.dry_run))?;
        let proposals = planner::release::proposals(&judged.verdicts, &backups);
        let asked = Asked::new("release", Some(name)).because(&request.reason);
        let mut report = one(ctx, asked, &backups, &proposals, request.dry_run, progress)?;
        report.notes.extend(kept_by_policies(&judged));
        Ok(vec![report])
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
        policies_agree(ctx, &name, &backups, &proposals, request.dry_run)?;
        let asked = Asked::new("delete", Some(&name)).because(&request.reason);
        let report = one(ctx, asked, &backups, &proposals, request.dry_run, progress)?;
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
    asked: Asked<'_>,
    backups: &[Backup],
    proposals: &[(&Backup, Vec<String>)],
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<RunReport, Fault> {
    let name = asked.about().ok_or_else(|| Fault::usage("a release concerns one workload", ""))?;
    let names: Vec<BackupName> = proposals.iter().map(|(backup, _)| backup.name.clone()).collect();
    let decision = decide(ctx, name, backups, &names, firewall::check)?;
    let allowed: Vec<(&Backup, Vec<String>)> =
        proposals.iter().filter(|(backup, _)| decision.allowed.contains(&backup.name)).cloned().collect();
    let workload = ctx.workload(name)?;
    let plan = planner::release::plan(workload, &allowed, &ctx.config.limits, ctx.now()?);
    let asked = asked.backup(allowed.first().filter(|_| allowed.len() == 1).map(|(backup, _)| &backup.name));
    let asked = asked.texts("backups", allowed.iter().map(|(backup, _)| backup.name.to_string()));
    let mut report = gated(ctx, asked, plan, dry_run, None, progress)?;
    report.notes.extend(decision.refused.iter().map(|refusal| format!("{} stays: {}", refusal.backup, refusal.words)));
    Ok(report)
}

/// What may be released of a workload's backups, by built-in retention and the policies in force.
///
/// # Errors
/// When the workload is unknown or its zone is.
pub fn verdicts(ctx: &Context, name: &WorkloadName, backups: &[Backup]) -> Result<Vec<planner::Verdict>, Fault> {
    let judged = retention::judge(ctx, ctx.workload(name)?, backups, &BTreeSet::new(), Asking::Looking)?;
    Ok(judged.verdicts)
}

/// What built-in retention would have let go, had the policies agreed; a line each.
fn kept_by_policies(judged: &retention::Judgement) -> Vec<String> {
    let kept = judged.verdicts.iter().filter(|verdict| verdict.keep);
    let line = |verdict: &planner::Verdict| {
        let why = verdict.reasons.iter().find(|reason| reason.starts_with("policy `"))?;
        Some(format!("{} stays: {why}", verdict.backup))
    };
    kept.filter_map(line).collect()
}

/// Refuses unless every retention policy in force lets go of what somebody named.
fn policies_agree(
    ctx: &Context,
    name: &WorkloadName,
    backups: &[Backup],
    proposals: &[(&Backup, Vec<String>)],
    dry_run: bool,
) -> Result<(), Fault> {
    let named: BTreeSet<BackupName> = proposals.iter().map(|(backup, _)| backup.name.clone()).collect();
    let judged = retention::judge(ctx, ctx.workload(name)?, backups, &named, Asking::of(dry_run))?;
    let mut objections = named.iter().flat_map(|backup| {
        let lines = planner::policies::objections(backup, &judged.rulings);
        lines.into_iter().map(move |line| format!("{backup} stays: {line}"))
    });
    match objections.next() {
        None => Ok(()),
        Some(first) => Err(Fault::refused(first, "`backstop policy explain` shows what it was asked and what it said")),
    }
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
    let asked = Asked::new("undelete", Some(&record.workload)).backup(Some(&record.name)).because(reason);
    gated(ctx, asked, plan, false, None, progress)
}
