//! `backup config-show` and `config show`: what is in force, every default spelled out.

use std::path::PathBuf;

use backstop_model::config::{Config, Schedule, Workload, WorkloadKind};
use backstop_model::{Fault, Level, Place, Region, Span, Tier, Timestamp, WorkloadName};
use backstop_planner::Calendar;
use serde::Serialize;

use crate::Context;
use crate::row::region_of;

/// One workload as it is configured.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// When this was read.
    pub now: Timestamp,
    /// The workload.
    pub workload: WorkloadName,
    /// Whether it is backed up on schedule.
    pub enabled: bool,
    /// What kind of thing it is.
    pub kind: &'static str,
    /// What is protected.
    pub paths: Vec<PathBuf>,
    /// What is left out.
    pub exclude: Vec<String>,
    /// The schedule it follows.
    pub schedule: String,
    /// The zone in which days begin.
    pub timezone: String,
    /// The tiers kept.
    pub tiers: Vec<TierShown>,
    /// The most data that may be lost.
    pub rpo_millis: u64,
    /// The longest a restore may take.
    pub rto_millis: u64,
    /// Where backups are made first.
    pub home: PlaceShown,
    /// Where they are copied to.
    pub copies: Vec<PlaceShown>,
    /// The promise about proofs.
    pub verify: Option<VerifyShown>,
    /// How often recovery is rehearsed.
    pub dr_test_every_millis: Option<u64>,
    /// How often everything is read again.
    pub full_every_millis: Option<u64>,
    /// The command that tells whether a restored tree is healthy.
    pub health: Option<Vec<String>>,
    /// The file that says so.
    pub file: PathBuf,
    /// How many backups are kept.
    pub backups: u32,
    /// When the next one is due.
    pub next: Option<Timestamp>,
    /// The same as TOML.
    pub toml: String,
}

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierShown {
    /// Which.
    pub tier: Tier,
    /// Distinct periods kept.
    pub keep: u32,
    /// When it is due, in the schedule's zone.
    pub at: String,
    /// How many backups hold it.
    pub backups: u32,
    /// The newest of them.
    pub last: Option<Timestamp>,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceShown {
    /// The place.
    pub place: Place,
    /// Where it stands.
    pub region: Option<Region>,
}

/// The promise about proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerifyShown {
    /// The oldest a proof may be.
    pub every_millis: u64,
    /// The level promised.
    pub level: Level,
}

/// The whole configuration in force.
#[derive(Debug, Clone, Serialize)]
pub struct Whole {
    /// Where it was read.
    pub config_dir: PathBuf,
    /// As TOML, every default spelled out; secrets appear as references only.
    pub toml: String,
    /// As values.
    pub config: Config,
}

/// Shows one workload.
///
/// # Errors
/// An unknown workload, or a catalog that cannot be read.
pub fn workload(ctx: &Context, name: &WorkloadName) -> Result<Shown, Fault> {
    shown(ctx, &ctx.config, ctx.workload(name)?)
}

/// Shows everything.
#[must_use]
pub fn whole(ctx: &Context) -> Whole {
    Whole {
        config_dir: ctx.outside.config_dir.clone(),
        toml: backstop_config::show(&ctx.config),
        config: ctx.config.clone(),
    }
}

pub(crate) fn shown(ctx: &Context, config: &Config, workload: &Workload) -> Result<Shown, Fault> {
    let now = ctx.outside.clock.now();
    let WorkloadKind::Files(spec) = &workload.kind;
    let schedule = &workload.schedule;
    let standing = ctx.catalog.standing(&workload.name)?;
    let tier = |tier: Tier, keep: u32, at: String| {
        let known = standing.tier(&tier);
        let (backups, last) = (known.map_or(0, |known| known.present), known.map(|known| known.newest));
        TierShown { tier, keep, at, backups, last }
    };
    let place = |place: &Place| PlaceShown { place: place.clone(), region: region_of(config, place) };
    let next = if workload.enabled { next_backup(schedule, now)? } else { None };
    Ok(Shown {
        now,
        workload: workload.name.clone(),
        enabled: workload.enabled,
        kind: "files",
        paths: spec.paths.clone(),
        exclude: spec.exclude.clone(),
        schedule: schedule.name.to_string(),
        timezone: schedule.timezone.clone(),
        tiers: times(schedule).into_iter().map(|(name, keep, at)| tier(name, keep, at)).collect(),
        rpo_millis: schedule.rpo.as_millis(),
        rto_millis: schedule.rto.as_millis(),
        home: place(&schedule.home),
        copies: schedule.copies.iter().map(place).collect(),
        verify: schedule.verify.map(|rule| VerifyShown { every_millis: rule.every.as_millis(), level: rule.level }),
        dr_test_every_millis: schedule.dr_test.map(|rule| rule.every.as_millis()),
        full_every_millis: schedule.full_every.map(Span::as_millis),
        health: workload.health.as_ref().map(|health| health.argv.clone()),
        file: workload.origin.clone(),
        backups: standing.present,
        next: if standing.present == 0 && workload.enabled { Some(now) } else { next },
        toml: backstop_config::show::show_workload(workload),
    })
}

fn times(schedule: &Schedule) -> Vec<(Tier, u32, String)> {
    let clock = |at: backstop_model::config::TimeOfDay| format!("{:02}:{:02}", at.hour, at.minute);
    let daily = schedule.daily.map(|tier| (Tier::Daily, tier.keep, clock(tier.at)));
    let weekly = schedule.weekly.map(|tier| {
        let day = format!("{:?}", tier.on).to_lowercase();
        (Tier::Weekly, tier.keep, format!("{day} {}", clock(tier.at)))
    });
    let monthly =
        schedule.monthly.map(|tier| (Tier::Monthly, tier.keep, format!("day {} {}", tier.on, clock(tier.at))));
    [daily, weekly, monthly].into_iter().flatten().collect()
}

/// When the schedule's next backup is due if everything due was made.
pub(crate) fn next_backup(schedule: &Schedule, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let calendar = Calendar::of(schedule)?;
    Ok(calendar.rules().iter().map(|rule| calendar.window(rule, now).next).min())
}
