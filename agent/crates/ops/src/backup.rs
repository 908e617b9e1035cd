//! `backup trigger`: look, plan, run, conclude.

use backstop_model::config::Schedule;
use backstop_model::{Fault, Tier, VaultName};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::gated;
use crate::context::Context;
use crate::gate::validation::Asked;
use crate::gate::{Asking, retention};
use crate::report::RunReport;
use crate::request::Trigger;
use crate::{apart, settle};

/// Makes a backup of a workload now.
///
/// # Errors
/// Unknown workload, a vault that does not open, a lease held by another process.
pub fn trigger(ctx: &Context, request: &Trigger, progress: &dyn Progress) -> Result<RunReport, Fault> {
    let workload = ctx.workload(&request.workload)?;
    if let Some(tier) = &request.tier {
        known_tier(&workload.schedule, tier)?;
    }
    apart::workload(&*ctx.outside.files, &ctx.config, workload)?;
    let waiting = match request.dry_run {
        true => Vec::new(),
        false => settle::before_backup(ctx, &workload.name, progress)?,
    };
    let now = ctx.now()?;
    let backups = ctx.backups_of(&workload.name)?;
    let prefix = workload.name.as_str();
    let taken = ctx.catalog.taken_names(prefix)?;
    let home: Option<&VaultName> = workload.schedule.home.vault();
    if let Some(home) = home {
        // A vault that cannot be opened is told before anything is journalled.
        apart::vault(&*ctx.outside.files, &ctx.config, home)?;
        ctx.vault(home)?;
    }
    let tiers = retention::tiers_now(ctx, workload, &backups, request.tier.as_ref(), Asking::of(request.dry_run))?;
    let asked = planner::backup::Request { tier: request.tier.clone(), mode: request.mode, added: tiers.added };
    let plan = planner::backup::plan(workload, &backups, &asked, &|name| taken.contains(name), now)?;
    let asked =
        Asked::new("backup", Some(&workload.name)).text("tier", request.tier.as_ref()).text("mode", request.mode);
    let mut report = gated(ctx, asked, plan, request.dry_run, None, progress)?;
    report.notes.extend(tiers.notes);
    report.notes.extend(waiting);
    let grace = ctx.config.limits.prune_grace;
    if report.took.as_millis() > grace.as_millis() / 2 {
        let took = report.took.human();
        report.notes.push(format!(
            "it took {took}, more than half of `limits.prune_grace` ({grace}): raise that, or prunes may overtake the next"
        ));
    }
    let missing: Vec<String> = workload.schedule.copies.iter().map(ToString::to_string).collect();
    if !missing.is_empty() && report.run.is_some() {
        report.next.push(format!(
            "copy it to {}: `backstop backup replicate-all {}`",
            missing.join(", "),
            workload.name
        ));
    }
    Ok(report)
}

/// A backup in a tier that nobody keeps would be past retention at birth.
fn known_tier(schedule: &Schedule, tier: &Tier) -> Result<(), Fault> {
    let kept = [
        schedule.daily.map(|_| Tier::Daily),
        schedule.weekly.map(|_| Tier::Weekly),
        schedule.monthly.map(|_| Tier::Monthly),
    ];
    let kept: Vec<Tier> = kept.into_iter().flatten().collect();
    if kept.contains(tier) {
        return Ok(());
    }
    let words: Vec<String> = kept.iter().map(ToString::to_string).collect();
    Err(Fault::usage(
        format!("schedule `{}` keeps no tier `{tier}`", schedule.name),
        format!("it keeps: {}", words.join(", ")),
    ))
}
