//! `status`: how every workload stands now, what its loss would cost, and what is due.

use std::collections::BTreeMap;

use backstop_model::config::Workload;
use backstop_model::{Bytes, Fault, Level, Place, Region, Span, Standing, Timestamp, VaultName, WorkloadName};
use backstop_planner::calendars::{Calendars, Present};
use backstop_planner::choice;
use serde::Serialize;

use crate::agenda::{self, Line};
use crate::policy_list::Lacking;
use crate::row::region_of;
use crate::{Context, policy_list};

/// How everything stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// When this was read.
    pub now: Timestamp,
    /// Every workload that is configured or has backups, by name.
    pub workloads: Vec<WorkloadStatus>,
    /// Every vault, by name.
    pub vaults: Vec<VaultUse>,
    /// Policies that were found not to be in force when they were last asked.
    pub policies: Vec<Lacking>,
    /// What is due, most urgent first.
    pub due: Vec<Line>,
}

/// How a workload stands.
#[derive(Debug, Clone, Serialize)]
pub struct WorkloadStatus {
    /// The workload.
    pub workload: WorkloadName,
    /// Whether it is in the configuration.
    pub configured: bool,
    /// Whether it is backed up on schedule.
    pub enabled: bool,
    /// Backups kept.
    pub backups: u32,
    /// The instant of the newest.
    pub last_backup: Option<Timestamp>,
    /// What would be lost now: the age of the newest backup; `None`: everything.
    pub exposure_millis: Option<u64>,
    /// The objective.
    pub rpo_millis: Option<u64>,
    /// Whether the exposure is within the objective.
    pub rpo_met: Option<bool>,
    /// The level promised.
    pub promised: Option<Level>,
    /// Age of the newest backup that stands at the promised level.
    pub proved_exposure_millis: Option<u64>,
    /// Age of the newest backup with a copy outside the home region.
    pub offsite_exposure_millis: Option<u64>,
    /// The oldest proof at the promised level among the copies that have one.
    pub oldest_proof: Option<Timestamp>,
    /// Copies without a proof at the promised level.
    pub unproved_copies: u32,
    /// Per place of the schedule, and wherever else copies are.
    pub places: Vec<PlaceUse>,
    /// When recovery was last rehearsed and passed.
    pub last_dr_test: Option<Timestamp>,
    /// When the next backup is due; the past when one is overdue.
    pub next_backup: Option<Timestamp>,
    /// Bytes a restore of the newest backup would write.
    pub size: Bytes,
    /// Bytes all copies added to their places.
    pub stored: Bytes,
    /// Backups that could not read everything.
    pub partial: u32,
    /// Backups somebody wants kept.
    pub held: u32,
    /// Backups in the trash.
    pub trashed: u32,
    /// Copies that are gone though nobody released them.
    pub lost: u32,
    /// Lines of the agenda.
    pub due: u32,
}

/// A workload's copies at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceUse {
    /// The place.
    pub place: Place,
    /// Where it stands.
    pub region: Option<Region>,
    /// Copies there.
    pub copies: u32,
    /// Kept backups without one there.
    pub missing: u32,
    /// The instant of the newest backup there.
    pub newest: Option<Timestamp>,
}

/// What a vault holds, as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultUse {
    /// The vault.
    pub vault: VaultName,
    /// Where its bytes are.
    pub url: String,
    /// Where it stands.
    pub region: Region,
    /// Copies in it.
    pub copies: u64,
    /// The instant of the newest backup in it.
    pub newest: Option<Timestamp>,
}

/// Reads how everything, or one workload, stands.
///
/// # Errors
/// An unknown workload, or a catalog that cannot be read.
pub fn status(ctx: &Context, only: Option<&WorkloadName>) -> Result<Status, Fault> {
    let now = ctx.outside.clock.now();
    if let Some(name) = only {
        crate::list::known(ctx, name)?;
    }
    let known = ctx.catalog.standings()?;
    let mut due: Vec<Line> = agenda::due(ctx, &known)?.into_iter().map(Line::from).collect();
    let mut standings: BTreeMap<WorkloadName, Standing> =
        known.into_iter().map(|standing| (standing.workload.clone(), standing)).collect();
    for name in ctx.config.workloads.keys() {
        standings.entry(name.clone()).or_insert_with(|| Standing::empty(name.clone()));
    }
    let vaults = vaults(ctx, standings.values());
    if let Some(name) = only {
        standings.retain(|known, _| known == name);
        due.retain(|line| line.workload.as_ref() == Some(name));
    }
    let mut counts: BTreeMap<&WorkloadName, u32> = BTreeMap::new();
    for name in due.iter().filter_map(|line| line.workload.as_ref()) {
        *counts.entry(name).or_default() += 1;
    }
    let (mut workloads, mut calendars) = (Vec::new(), Calendars::default());
    for standing in standings.values() {
        let workload = ctx.config.workloads.get(&standing.workload);
        let gone_quiet = workload.is_none() && standing.present == 0 && standing.trashed == 0 && only.is_none();
        if !gone_quiet {
            let due = counts.get(&standing.workload).copied().unwrap_or(0);
            workloads.push(WorkloadStatus { due, ..one(ctx, workload, standing, (&mut calendars, now))? });
        }
    }
    Ok(Status { now, workloads, vaults, policies: policy_list::lacking(ctx)?, due })
}

fn one<'c>(
    ctx: &'c Context,
    workload: Option<&'c Workload>,
    standing: &Standing,
    (calendars, now): (&mut Calendars<'c>, Timestamp),
) -> Result<WorkloadStatus, Fault> {
    let schedule = workload.map(|workload| &workload.schedule);
    let offsite = schedule.map(|schedule| choice::offsite(&ctx.config, schedule)).unwrap_or_default();
    // An instant in the future says nothing about what would be lost.
    let age = |at: Option<Timestamp>| {
        let plausible = at.filter(|at| *at <= Span::from_secs(300).after(now));
        plausible.map(|at| Span::between(at, now).as_millis())
    };
    let promised = schedule.map(|schedule| schedule.promised_level());
    let exposure = age(standing.newest);
    let rpo = schedule.map(|schedule| schedule.rpo.as_millis());
    let levels: Vec<_> = promised
        .map(|level| standing.places.iter().map(|place| (place.copies, place.at(level))).collect())
        .unwrap_or_default();
    let enabled = workload.is_some_and(|workload| workload.enabled);
    let next_backup = match schedule.filter(|_| enabled) {
        Some(_) if standing.present == 0 => Some(now),
        Some(schedule) => {
            let present = calendars.of(schedule, now)?;
            owed(present, standing).or(present.windows.iter().map(|window| window.next).min())
        }
        None => None,
    };
    Ok(WorkloadStatus {
        workload: standing.workload.clone(),
        configured: workload.is_some(),
        enabled,
        backups: standing.present,
        last_backup: standing.newest,
        exposure_millis: exposure,
        rpo_millis: rpo,
        rpo_met: rpo.map(|rpo| exposure.is_some_and(|exposure| exposure <= rpo)),
        promised,
        proved_exposure_millis: promised.and_then(|level| age(standing.newest_proved(level))),
        offsite_exposure_millis: age(offsite
            .iter()
            .filter_map(|place| standing.place(place).map(|there| there.newest))
            .max()),
        oldest_proof: levels.iter().filter_map(|(_, at)| at.map(|at| at.oldest_proof)).min(),
        unproved_copies: levels.iter().map(|(copies, at)| copies - at.map_or(0, |at| at.copies)).sum(),
        places: places(ctx, schedule, standing),
        last_dr_test: standing.last_dr_test,
        next_backup,
        size: standing.size,
        stored: standing.stored,
        partial: standing.partial,
        held: standing.held,
        trashed: standing.trashed,
        lost: standing.lost,
        due: 0,
    })
}

/// Since when a backup is overdue, by the newest one alone.
fn owed(present: &Present, standing: &Standing) -> Option<Timestamp> {
    let newest = standing.newest;
    let owed = present.calendar.rules().iter().zip(&present.windows).filter_map(|(rule, window)| {
        let held = standing.tier(&rule.tier).is_some_and(|tier| tier.newest >= window.owed_begins);
        (!held && newest.is_none_or(|newest| newest < window.owed)).then_some(window.owed)
    });
    owed.min()
}

fn places(ctx: &Context, schedule: Option<&backstop_model::config::Schedule>, standing: &Standing) -> Vec<PlaceUse> {
    let mut places: Vec<&Place> =
        schedule.map(|schedule| std::iter::once(&schedule.home).chain(&schedule.copies).collect()).unwrap_or_default();
    for there in &standing.places {
        if !places.contains(&&there.place) {
            places.push(&there.place);
        }
    }
    let used = |place: &Place| {
        let there = standing.place(place);
        let copies = there.map_or(0, |there| there.copies);
        PlaceUse {
            place: place.clone(),
            region: region_of(&ctx.config, place),
            copies,
            missing: standing.present.saturating_sub(copies),
            newest: there.map(|there| there.newest),
        }
    };
    places.into_iter().map(used).collect()
}

fn vaults<'s>(ctx: &Context, standings: impl Iterator<Item = &'s Standing>) -> Vec<VaultUse> {
    let mut uses: BTreeMap<Place, (u64, Option<Timestamp>)> = BTreeMap::new();
    for place in standings.flat_map(|standing| &standing.places) {
        let (copies, newest) = uses.entry(place.place.clone()).or_default();
        *copies += u64::from(place.copies);
        *newest = (*newest).max(Some(place.newest));
    }
    let line = |vault: &backstop_model::config::VaultConfig| {
        let (copies, newest) = uses.get(&Place::Vault(vault.name.clone())).copied().unwrap_or_default();
        VaultUse { vault: vault.name.clone(), url: vault.url.clone(), region: vault.region.clone(), copies, newest }
    };
    ctx.config.vaults.values().map(line).collect()
}
