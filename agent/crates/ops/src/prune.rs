//! `vault prune`: purge what outlived its window in the trash, then give back the space nothing refers to.

use std::collections::BTreeSet;

use backstop_model::{Advice, Backup, ExitCode, Fault, Place};
use backstop_planner as planner;
use backstop_seams::Progress;

use crate::carry::{EXCLUSIVE, Held, gated, while_renewing};
use crate::context::Context;
use crate::gate::validation::Asked;
use crate::report::RunReport;
use crate::request::Prune;
use crate::{release, settle};

/// The plan's reason that makes its steps skip the grace period of packs. Part of the journal, so that a resumed run
/// does the same.
pub(crate) const AT_ONCE: &str = "at once: nothing else is running";

/// Purges and prunes.
///
/// # Errors
/// Unknown vault; `Busy` when something else runs and `at_once` was asked for.
pub fn prune(ctx: &Context, request: &Prune, progress: &dyn Progress) -> Result<Vec<RunReport>, Fault> {
    let vaults: BTreeSet<Place> = match &request.vault {
        Some(name) => {
            ctx.vault(name)?;
            BTreeSet::from([Place::Vault(name.clone())])
        }
        None => ctx.config.vaults.keys().cloned().map(Place::Vault).collect(),
    };
    if !request.at_once || request.dry_run {
        return go(ctx, &vaults, request, progress).map(|report| vec![report]);
    }
    let held = Held::take(ctx, &[EXCLUSIVE.to_owned()])?;
    let now = ctx.outside.clock.now();
    let others = ctx.catalog.leases(now)?;
    let busy =
        others.iter().find(|view| view.key != EXCLUSIVE && view.expires > now && (ctx.outside.may_live)(&view.owner));
    if let Some(view) = busy {
        return Err(Fault::new(
            ExitCode::Busy,
            Advice::Wait,
            format!("`{}` is held by {}: pruning at once needs the vaults alone", view.key, view.owner),
            "wait for it to end, or leave `--now` out",
        ));
    }
    while_renewing(&held, progress, |progress| go(ctx, &vaults, request, progress)).map(|report| vec![report])
}

fn go(ctx: &Context, vaults: &BTreeSet<Place>, request: &Prune, progress: &dyn Progress) -> Result<RunReport, Fault> {
    if !request.dry_run {
        settle::before_prune(ctx, progress)?;
    }
    let now = ctx.now()?;
    let in_scope =
        |backup: &Backup| request.vault.is_none() || backup.copies.iter().any(|copy| vaults.contains(&copy.place));
    let mut purge: Vec<Backup> = Vec::new();
    let mut kept = Vec::new();
    for name in ctx.catalog.workloads()? {
        let backups = ctx.backups_of(&name)?;
        let allowed = release::purgeable(ctx, &name, &backups)?;
        let over = backups.iter().filter(|b| planner::prune::is_purgeable(b, now) && in_scope(b)).count();
        purge.extend(allowed.into_iter().filter(|backup| in_scope(backup)).cloned());
        if over > purge.iter().filter(|backup| backup.workload == name).count() {
            kept.push(format!("the delete firewall keeps some released backups of `{name}` in the trash"));
        }
    }
    let purge: Vec<&Backup> = purge.iter().collect();
    let mut plan = planner::prune::plan(&purge, vaults, now);
    if request.at_once {
        plan.reasons.push(AT_ONCE.to_owned());
    }
    let asked = Asked::new("prune", None).text("vault", request.vault.as_ref()).truth("at-once", request.at_once);
    let mut report = gated(ctx, asked, plan, request.dry_run, None, progress)?;
    report.notes.extend(kept);
    Ok(report)
}
