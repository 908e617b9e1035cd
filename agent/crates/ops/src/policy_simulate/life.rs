//! One workload, day by day. Pure but for the policies it asks, which are pure themselves.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::config::{Config, Workload};
use backstop_model::policy::World;
use backstop_model::{
    Backup, BackupName, BackupState, Bytes, Completeness, Copy, CopyState, Fault, Level, Mode, Place, Proof, ProofKind,
    SnapshotId, Span, Tier, Timestamp,
};
use backstop_planner::backup::Added;
use backstop_planner::calendar::{Rule, is_future, is_owed};
use backstop_planner::policies::{Ruling, heed, is_open};
use backstop_planner::retention::{Terms, Verdict, verdicts};
use backstop_planner::{Calendar, choice, naming, release, tiers};
use backstop_policy::{Policy, PolicySet};

use super::{Break, Deletion, Life, Point};
use crate::firewall::{self, Reality};
use crate::gate::question::Scene;
use crate::gate::retention::{added, ruling};

/// A clock change moves a backup by an hour; that is not what an objective is about.
const CLOCK_CHANGE: Span = Span::from_secs(3600);
const DAY: Span = Span::from_days(1);
/// How far apart the points of the curve are.
const POINT_EVERY: Span = Span::from_days(30);

/// Everything that one simulated life goes by.
pub(super) struct Days<'a> {
    config: &'a Config,
    workload: &'a Workload,
    pub(super) calendar: Calendar,
    offsite: Vec<Place>,
    /// Policies in force for this workload.
    pub(super) policies: Vec<&'a Policy>,
    pub(super) backups: Vec<Backup>,
    /// Every holder of a tier there ever was, oldest first.
    pub(super) ever: BTreeMap<Tier, Vec<(Timestamp, BackupName)>>,
    /// What a backup of this workload is like.
    size: Bytes,
    stored: Bytes,
    released: Vec<Timestamp>,
    life: Life,
    breaks: BTreeMap<String, Break>,
}

/// Lives from one instant to another.
pub(super) fn live(
    config: &Config,
    workload: &Workload,
    set: Option<&PolicySet>,
    recorded: Vec<Backup>,
    (from, until): (Timestamp, Timestamp),
) -> Result<(Life, Vec<Break>), Fault> {
    let bound = set.map(|set| set.bound_to(World::Retention, Some(&workload.name))).unwrap_or_default();
    let policies: Vec<&Policy> =
        bound.into_iter().filter(|(_, in_force)| *in_force).map(|(policy, _)| policy).collect();
    let mut recorded: Vec<Backup> = recorded.into_iter().filter(|backup| !is_future(backup.created, from)).collect();
    recorded.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));

    let mut past = Days::begin(config, workload, policies.clone(), Vec::new())?;
    recorded.iter().for_each(|backup| past.relive(backup));
    recorded.retain(|backup| backup.state == BackupState::Present);

    let mut days = Days::begin(config, workload, policies, recorded)?;
    days.go(from, until);
    days.life.past = past.life.deleted;
    days.life.kept = days.backups.len() as u64;
    days.promises_were_made(until);
    // What broke in the past broke first.
    for (kind, broken) in past.breaks {
        days.breaks.insert(format!("past/{kind}"), broken);
    }
    Ok((days.life, days.breaks.into_values().collect()))
}

/// What a backup usually adds to its place: the middle of those there are.
fn usual(backups: &[Backup]) -> Bytes {
    let mut stored: Vec<u64> = backups.iter().filter_map(|b| b.copies.first()).map(|copy| copy.stored.0).collect();
    stored.sort_unstable();
    Bytes(stored.get(stored.len() / 2).copied().unwrap_or(1 << 27))
}

impl<'a> Days<'a> {
    fn begin(
        config: &'a Config,
        workload: &'a Workload,
        policies: Vec<&'a Policy>,
        backups: Vec<Backup>,
    ) -> Result<Self, Fault> {
        let mut days = Self {
            config,
            workload,
            calendar: Calendar::of(&workload.schedule)?,
            offsite: choice::offsite(config, &workload.schedule),
            policies,
            ever: BTreeMap::new(),
            size: backups.last().map_or(Bytes(1 << 30), |backup| backup.size),
            stored: usual(&backups),
            backups,
            released: Vec::new(),
            life: Life {
                workload: workload.name.clone(),
                past: Vec::new(),
                made: 0,
                deleted: Vec::new(),
                kept: 0,
                named: BTreeMap::new(),
                curve: Vec::new(),
            },
            breaks: BTreeMap::new(),
        };
        for backup in days.backups.clone() {
            days.remember(&backup);
        }
        Ok(days)
    }

    /// A recorded backup once more, with the policies of today and as if it had been copied and proved.
    fn relive(&mut self, recorded: &Backup) {
        let now = recorded.created;
        let mut tiers = recorded.tiers.clone();
        tiers.extend(self.extra_tiers(&recorded.tiers, now).into_iter().map(|added| added.tier));
        let mut backup = self.backup(recorded.name.clone(), tiers, now);
        (backup.size, backup.completeness, backup.hold) = (recorded.size, recorded.completeness, recorded.hold.clone());
        self.remember(&backup);
        self.backups.push(backup);
        self.release(now);
    }

    fn go(&mut self, from: Timestamp, until: Timestamp) {
        let mut now = from;
        let mut point = from;
        loop {
            let rules = self.calendar.rules();
            let Some(next) = rules.iter().map(|rule| self.calendar.window(rule, now).next).min() else { return };
            if next > until || next <= now {
                return;
            }
            while point <= next {
                self.life.curve.push(self.point(point));
                point = POINT_EVERY.after(point);
            }
            now = next;
            // As the agenda sees it: one backup serves every period that it falls into.
            let owed = |rule: &Rule| is_owed(rule, &self.calendar.window(rule, now), &self.backups);
            if self.calendar.rules().iter().any(owed) {
                self.objective(now);
                self.make(now);
            }
            self.release(now);
        }
    }

    fn point(&self, at: Timestamp) -> Point {
        let copies = self.backups.iter().flat_map(|backup| &backup.copies);
        Point { at, backups: self.backups.len() as u64, stored: copies.map(|copy| copy.stored.0).sum() }
    }

    pub(super) fn broken(&mut self, at: Timestamp, kind: String, what: String) {
        let workload = self.workload.name.clone();
        self.breaks.entry(kind).or_insert(Break { at, workload, what, times: 0 }).times += 1;
    }

    /// Whether the schedule can keep what it says about loss: between two backups, this long is lost at worst.
    fn objective(&mut self, next: Timestamp) {
        let Some(newest) = self.backups.last().map(|backup| backup.created) else { return };
        let gap = Span::between(newest, next);
        let rpo = self.workload.schedule.rpo;
        // What is recorded already is the past's business.
        if self.life.made > 0 && gap.as_millis() > rpo.as_millis() + CLOCK_CHANGE.as_millis() {
            let what =
                format!("an RPO of {rpo} cannot be kept: the schedule leaves {} between two backups", gap.human());
            self.broken(next, "rpo".to_owned(), what);
        }
    }

    fn make(&mut self, now: Timestamp) {
        let mut held = tiers::of_backup_now(&self.calendar, &self.backups, now, None);
        for extra in self.extra_tiers(&held, now) {
            held.insert(extra.tier);
        }
        let taken: BTreeSet<&BackupName> = self.backups.iter().map(|backup| &backup.name).collect();
        let name = naming::backup_name(&self.workload.name, &held, now, &|name| taken.contains(name));
        let backup = self.backup(name, held, now);
        for tier in backup.tiers.iter().filter(|tier| matches!(tier, Tier::Named(_))) {
            *self.life.named.entry(tier.to_string()).or_default() += 1;
        }
        self.remember(&backup);
        self.backups.push(backup);
        self.life.made += 1;
    }

    fn remember(&mut self, backup: &Backup) {
        for tier in &backup.tiers {
            self.ever.entry(tier.clone()).or_default().push((backup.created, backup.name.clone()));
        }
    }

    /// A backup that went well: copied and proved as the schedule promises.
    fn backup(&self, name: BackupName, tiers: BTreeSet<Tier>, now: Timestamp) -> Backup {
        let schedule = &self.workload.schedule;
        let proof = Proof {
            at: now,
            level: schedule.promised_level().min(Level::L5),
            passed: true,
            kind: ProofKind::Verify,
            took: Span::ZERO,
            sample_ppm: 1_000_000,
            run: "simulated".parse().expect("a valid name"),
            detail: String::new(),
        };
        let copy = |place: &Place| Copy {
            place: place.clone(),
            snapshot: SnapshotId([0; 32]),
            state: CopyState::Present,
            stored: self.stored,
            created: now,
            proofs: vec![proof.clone()],
        };
        Backup {
            name,
            workload: self.workload.name.clone(),
            created: now,
            tiers,
            mode: Mode::Incremental,
            based_on: None,
            size: self.size,
            entries: 1,
            completeness: Completeness::Complete,
            state: BackupState::Present,
            hold: None,
            copies: std::iter::once(&schedule.home).chain(&schedule.copies).map(copy).collect(),
            run: "simulated".parse().expect("a valid name"),
        }
    }

    fn verdicts(&self, now: Timestamp) -> Vec<Verdict> {
        let terms = Terms {
            calendar: &self.calendar,
            promised: self.workload.schedule.verify.map(|rule| rule.level),
            offsite: &self.offsite,
            enabled: true,
            now,
        };
        verdicts(&terms, &self.backups)
    }

    fn scene<'s>(&'s self, verdicts: &'s [Verdict], now: Timestamp) -> Scene<'s> {
        Scene {
            workload: self.workload,
            calendar: &self.calendar,
            backups: &self.backups,
            verdicts,
            offsite: &self.offsite,
            now,
        }
    }

    fn extra_tiers(&mut self, own: &BTreeSet<Tier>, now: Timestamp) -> Vec<Added> {
        if self.policies.is_empty() {
            return Vec::new();
        }
        let verdicts = self.verdicts(now);
        let mut found = Vec::new();
        let mut faults = Vec::new();
        for policy in &self.policies {
            let question = self.scene(&verdicts, now).tiers(policy.config(), own);
            match policy.ask_tiers(&question).answer {
                Ok(answer) => found.extend(added(&policy.config().name, &answer)),
                Err(fault) => faults.push((policy.config().name.clone(), fault.message)),
            }
        }
        for (policy, why) in faults {
            self.broken(now, format!("fault/{policy}/tiers"), format!("policy `{policy}` finds no tiers: {why}"));
        }
        found
    }

    fn release(&mut self, now: Timestamp) {
        let verdicts = self.verdicts(now);
        let mut rulings: Vec<Ruling> = Vec::new();
        if verdicts.iter().any(is_open) {
            for policy in &self.policies {
                let question = self.scene(&verdicts, now).release(policy.config(), &BTreeSet::new());
                rulings.push(ruling(policy, &question.backups, &policy.ask_release(&question)));
            }
        }
        for said in rulings.clone() {
            if let Err(why) = said.said {
                let what =
                    format!("policy `{}` finds no answer about releases, and everything is kept: {why}", said.policy);
                self.broken(now, format!("fault/{}/release", said.policy), what);
            }
        }
        let heeded = heed(verdicts, &rulings);
        let wanted: Vec<BackupName> =
            release::proposals(&heeded, &self.backups).into_iter().map(|(backup, _)| backup.name.clone()).collect();
        if wanted.is_empty() {
            return;
        }
        self.released.retain(|at| Span::between(*at, now) < DAY);
        let reality = Reality {
            now,
            journalled: None,
            workload: &self.workload.name,
            backups: &self.backups,
            promised: self.workload.schedule.verify.map(|rule| rule.level),
            offsite: &self.offsite,
            chained: &[],
            limits: &self.config.limits,
            gone_this_run: 0,
            released_today: u32::try_from(self.released.len()).unwrap_or(u32::MAX),
        };
        for name in firewall::check(&wanted, &reality).allowed {
            let why = heeded.iter().find(|verdict| verdict.backup == name).map(|v| v.reasons.join("; "));
            self.delete(&name, why.unwrap_or_default(), now);
        }
    }

    fn delete(&mut self, name: &BackupName, reason: String, now: Timestamp) {
        let Some(at) = self.backups.iter().position(|backup| &backup.name == name) else { return };
        let gone = self.backups.remove(at);
        self.released.push(now);
        for tier in &gone.tiers {
            self.guarantee(tier, &gone, now);
        }
        self.life.deleted.push(Deletion {
            at: now,
            backup: gone.name,
            tiers: gone.tiers.iter().map(Tier::to_string).collect(),
            reason,
        });
        if self.backups.is_empty() {
            self.broken(now, "empty".to_owned(), "no backup is left at all".to_owned());
        }
    }
}
