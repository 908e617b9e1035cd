//! The invariants, looked at after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use backstop_catalog::{BackupFilter, RunFilter};
use backstop_model::plan::Overwrite;
use backstop_model::{
    Backup, BackupName, BackupState, Completeness, CopyState, Level, Outcome, Place, Run, Span, Tier, WorkloadName,
};
use backstop_ops::{Context, hold, release};
use backstop_seams::{Files, Silent, Trees};
use backstop_sim::{Dice, World};
use backstop_vault::{Parts, RestoreRequest, Secret, Store, Vault, VaultError};

use crate::deeds;
use crate::story::{REGIONS, Story, name};

/// Where spot checks restore to.
const SCRATCH: &str = "/spot";
/// Between the look at a tree and the instant its backup is dated lie a few calls.
const CAPTURE_MAX: Span = Span::from_secs(60);

/// What was seen so far.
pub struct Watch {
    dice: Dice,
    /// What each backup must bring back.
    pictures: BTreeMap<BackupName, Vec<String>>,
    last: BTreeMap<BackupName, Backup>,
    held: BTreeSet<BackupName>,
    /// Whether nothing was left to be settled when the step began. What is settled counts as an attempt that failed, and
    /// the next one waits.
    was_settled: bool,
    /// Days on which a daily backup could be made, with the workload.
    possible: BTreeSet<(WorkloadName, String)>,
    looked_at: usize,
    restored: usize,
    refused: usize,
}

fn all(ctx: &Context) -> Vec<Backup> {
    ctx.catalog.backups(&BackupFilter::default()).expect("the catalog reads")
}

/// Runs that are open or stuck.
fn unfinished(ctx: &Context) -> Vec<Run> {
    let stuck = RunFilter { outcome: Some(Outcome::Stuck), ..RunFilter::default() };
    let open = RunFilter { open: true, ..RunFilter::default() };
    [open, stuck].iter().flat_map(|filter| ctx.catalog.runs(filter).expect("runs read")).collect()
}

fn is_good(ctx: &Context, backup: &Backup) -> bool {
    let promised = ctx.config.workloads.get(&backup.workload).map(|w| w.schedule.promised_level());
    backup.state == BackupState::Present && backup.level() >= promised
}

fn offsite() -> Place {
    "vault:offsite".parse().expect("valid")
}

impl Watch {
    pub fn new(dice: Dice) -> Self {
        Self {
            dice,
            pictures: BTreeMap::new(),
            last: BTreeMap::new(),
            held: BTreeSet::new(),
            was_settled: true,
            possible: BTreeSet::new(),
            looked_at: 0,
            restored: 0,
            refused: 0,
        }
    }

    /// A person holds a backup, or lets one go.
    pub fn hold_or_release(&mut self, story: &Story) -> Option<String> {
        let ctx = story.ctx();
        let present: Vec<Backup> = all(ctx).into_iter().filter(|b| b.state == BackupState::Present).collect();
        let wanted = self.dice.pick(&present)?;
        let request = hold::Request { backups: vec![wanted.name.to_string()], reason: "an audit".into() };
        let is_held = wanted.hold.is_some();
        let done = if is_held { hold::release_hold(ctx, &request) } else { hold::hold(ctx, &request) };
        done.ok()?;
        if is_held {
            self.held.remove(&wanted.name)
        } else {
            self.held.insert(wanted.name.clone())
        };
        Some(format!("{} is {}", wanted.name, if is_held { "released from its hold" } else { "held" }))
    }

    /// Some backup that is there, and what it must bring back.
    pub fn some_backup(&mut self, story: &Story) -> Option<(Backup, Vec<String>)> {
        let present: Vec<Backup> = all(story.ctx()).into_iter().filter(|b| b.state == BackupState::Present).collect();
        let backup = self.dice.pick(&present)?.clone();
        let picture = self.pictures.get(&backup.name)?.clone();
        Some((backup, picture))
    }

    pub fn before_step(&mut self, story: &Story) {
        self.was_settled = unfinished(story.ctx()).is_empty();
        self.last = all(story.ctx()).into_iter().map(|backup| (backup.name.clone(), backup)).collect();
    }

    /// `calm`: nothing failed in this step; `quiet`: and no process ended in it.
    pub fn after_step(&mut self, story: &Story, calm: bool, quiet: bool) {
        let ctx = story.ctx();
        let now: Vec<Backup> = all(ctx);
        self.learn(story, &now);
        self.nothing_went_that_must_stay(ctx, &now);
        if calm {
            at_rest(story);
        }
        if quiet && self.was_settled {
            self.note_possible(story);
        }
        self.spot_check(story, &now);
    }

    /// Finds out what new backups must bring back.
    fn learn(&mut self, story: &Story, backups: &[Backup]) {
        let seen = story.world.seen();
        for backup in backups {
            if self.pictures.contains_key(&backup.name) {
                continue;
            }
            let roots = &story.ctx().config.workloads[&backup.workload];
            let backstop_model::config::WorkloadKind::Files(spec) = &roots.kind;
            let mine = seen.iter().rev().filter(|seen| seen.roots == spec.paths);
            let mut close =
                mine.filter(|seen| seen.at <= backup.created && CAPTURE_MAX.after(seen.at) > backup.created);
            let found =
                close.next().unwrap_or_else(|| panic!("nobody looked at the tree of {} when it was made", backup.name));
            self.pictures.insert(backup.name.clone(), found.picture.clone());
        }
    }

    fn nothing_went_that_must_stay(&self, ctx: &Context, now: &[Backup]) {
        for before in self.last.values().filter(|backup| backup.state == BackupState::Present) {
            let after = now
                .iter()
                .find(|b| b.name == before.name)
                .unwrap_or_else(|| panic!("{} has no record any more", before.name));
            if after.state == BackupState::Present {
                continue;
            }
            assert!(!self.held.contains(&after.name), "{} is held and was released", after.name);
            let others = || now.iter().filter(|b| b.workload == after.workload && b.state == BackupState::Present);
            let newer = others().any(|b| is_good(ctx, b) && b.created > after.created);
            assert!(newer, "{} was released and no newer backup is good", after.name);
            let outside = others().any(|b| b.copy_at(&offsite()).is_some());
            assert!(outside, "{} was released and no copy is left off-site", after.name);
        }
        // Between the first copy in the trash and the record stands a release that is not at its end.
        let releasing: BTreeSet<WorkloadName> = unfinished(ctx).into_iter().filter_map(|run| run.workload).collect();
        for backup in now.iter().filter(|b| b.state == BackupState::Present && !releasing.contains(&b.workload)) {
            let there = backup.copies.iter().any(|copy| copy.state == CopyState::Present);
            assert!(there, "{} is present and has no copy: {:#?}", backup.name, backup.copies);
        }
    }

    /// On a day on which the agent woke after the due time, and nothing was in its way, there must be a backup.
    fn note_possible(&mut self, story: &Story) {
        let clock = story.world.clock();
        let is_right = clock.wrong().abs() <= 10_000;
        let now = clock.truth();
        let hour = now.strftime("%H").to_string().parse::<u32>().expect("a number");
        if is_right && (3..22).contains(&hour) {
            self.possible.insert(("docs".parse().expect("valid"), now.strftime("%Y-%m-%d").to_string()));
        }
    }

    /// Restores one copy and compares it with the tree at its capture. Wrong bytes are never acceptable; a restore that
    /// says that it failed is, while something is damaged.
    fn spot_check(&mut self, story: &Story, backups: &[Backup]) {
        let present = backups.iter().filter(|backup| backup.state == BackupState::Present);
        let copies: Vec<(&Backup, &Place)> = present
            .flat_map(|b| b.copies.iter().filter(|c| c.state == CopyState::Present).map(move |c| (b, &c.place)))
            .collect();
        let Some((backup, place)) = self.dice.pick(&copies).copied() else { return };
        self.looked_at += 1;
        match restore(story, backup, place) {
            Ok(picture) => {
                self.restored += 1;
                let wanted = &self.pictures[&backup.name];
                let differs = wanted.iter().zip(&picture).find(|(a, b)| a != b);
                assert!(
                    &picture == wanted,
                    "{} from {place} came back different: {differs:?}, {} lines of {}",
                    backup.name,
                    picture.len(),
                    wanted.len()
                );
            }
            Err(why) => {
                self.refused += 1;
                let vault = place.vault().expect("a vault").as_str();
                let is_damaged = story.damage.as_ref().is_some_and(|damage| damage.vault == vault);
                // A release that was cut short may have moved it; the next proof finds it there.
                let is_in_trash = is_in_trash(&story.world, backup, place);
                assert!(
                    is_damaged || is_in_trash,
                    "{} does not come back from {place}, where nothing is damaged: {why}",
                    backup.name
                );
            }
        }
    }

    /// What does not come back any more must have been found out by now.
    pub fn damage_was_named(&self, story: &Story) {
        let (ctx, world) = (story.ctx(), &story.world);
        let Some(damage) = &story.damage else { return };
        let place = Place::Vault(name(damage.vault));
        for backup in all(ctx).iter().filter(|backup| backup.state == BackupState::Present) {
            let Some(copy) = backup.copy_at(&place) else { continue };
            let age = Span::between(copy.created, world.clock().truth());
            if age < Span::from_days(5) {
                continue;
            }
            if let Err(why) = restore(story, backup, &place) {
                let level = copy.level().unwrap_or(Level::L0);
                assert!(
                    level < Level::L1,
                    "{} at {place} stands at {level} for {:?} days and does not come back: {why}",
                    backup.name,
                    age.as_millis() / 86_400_000
                );
            }
        }
    }

    pub fn at_the_end(&mut self, story: &Story) {
        let ctx = story.ctx();
        let backups = all(ctx);
        at_rest(story);
        deeds::nothing_put_aside(story);
        let left: Vec<_> = unfinished(ctx).into_iter().map(|run| (run.id, run.verb)).collect();
        assert_eq!(left, [], "open or stuck after a quiet week");
        assert!(self.restored * 10 > self.looked_at * 8, "{} of {} restored", self.restored, self.looked_at);
        for backup in backups.iter().filter(|backup| backup.state == BackupState::Present) {
            for copy in backup.copies.iter().filter(|copy| copy.state == CopyState::Present) {
                let picture = restore(story, backup, &copy.place);
                assert_eq!(picture.as_ref(), Ok(&self.pictures[&backup.name]), "{} at {}", backup.name, copy.place);
                let promised = ctx.config.workloads[&backup.workload].schedule.promised_level();
                assert!(
                    copy.level() >= Some(promised),
                    "{} at {} stands at {:?}",
                    backup.name,
                    copy.place,
                    copy.level()
                );
            }
            assert_eq!(backup.copies.iter().filter(|c| c.state == CopyState::Present).count(), 2, "{}", backup.name);
        }
        self.every_period_once(&backups);
        self.retention_converged(ctx, &backups);
        let audit = ctx.catalog.audit_verify().expect("the audit log reads");
        story.tell(
            "the end",
            &format!(
                "{} backups, {} restored, {} refused, audit {audit:?}",
                backups.len(),
                self.restored,
                self.refused
            ),
        );
    }

    fn every_period_once(&self, backups: &[Backup]) {
        let mut days: BTreeMap<(WorkloadName, String), Vec<&BackupName>> = BTreeMap::new();
        for backup in
            backups.iter().filter(|backup| backup.workload.as_str() == "docs" && backup.tiers.contains(&Tier::Daily))
        {
            let day = backup.created.strftime("%Y-%m-%d").to_string();
            days.entry((backup.workload.clone(), day)).or_default().push(&backup.name);
        }
        for (day, names) in &days {
            assert_eq!(names.len(), 1, "one period, several daily backups: {day:?} {names:?}");
        }
        for day in &self.possible {
            assert!(days.contains_key(day), "nothing was in the way and there is no backup of {day:?}");
        }
    }

    /// What is left is what retention wants: complete backups of so many days and weeks, partial ones beside them.
    fn retention_converged(&self, ctx: &Context, backups: &[Backup]) {
        for (name, workload) in &ctx.config.workloads {
            let mine: Vec<Backup> = backups.iter().filter(|b| &b.workload == name).cloned().collect();
            let verdicts = release::verdicts(ctx, name, &mine).expect("verdicts");
            let past: Vec<_> = verdicts.iter().filter(|verdict| !verdict.keep).map(|verdict| &verdict.backup).collect();
            // The day's brake may hold the last one back until tomorrow.
            assert!(past.len() <= 1, "past retention at rest: {past:?}");
            let tiers = [
                (Tier::Daily, workload.schedule.daily.map(|d| d.keep)),
                (Tier::Weekly, workload.schedule.weekly.map(|w| w.keep)),
            ];
            for (tier, keep) in tiers {
                let Some(keep) = keep.map(|keep| keep as usize) else { continue };
                let holds = mine
                    .iter()
                    .filter(|b| b.state == BackupState::Present && b.hold.is_none() && b.tiers.contains(&tier));
                let kept: Vec<_> = holds.map(|b| (&b.name, b.completeness == Completeness::Complete)).collect();
                let complete = kept.iter().filter(|(_, complete)| *complete).count();
                assert!(
                    complete <= keep + 2 && kept.len() >= keep,
                    "{tier} of {name}: {keep} are to be kept: {kept:#?}"
                );
            }
        }
    }
}

/// Whether the copy's snapshot stands in the trash of its vault.
fn is_in_trash(world: &World, backup: &Backup, place: &Place) -> bool {
    let vault = place.vault().expect("a vault").as_str();
    let (_, region) = REGIONS.iter().find(|(name, _)| *name == vault).expect("configured");
    let snapshot = backup.copy_at(place).map(|copy| format!("trash/snapshots/{}", copy.snapshot));
    let trashed = world.shelf(region).names("trash/snapshots");
    snapshot.is_some_and(|snapshot| trashed.iter().any(|name| name.starts_with(&snapshot)))
}

/// With nothing in the way, nothing is left behind.
fn at_rest(story: &Story) {
    let ctx = story.ctx();
    let open = ctx.catalog.runs(&RunFilter { open: true, ..RunFilter::default() }).expect("runs read");
    assert!(open.is_empty(), "open at rest: {:?}", open.iter().map(|run| (&run.id, run.verb)).collect::<Vec<_>>());
    let orphans = ctx.catalog.orphans(false).expect("orphans read");
    assert!(orphans.is_empty(), "orphans at rest: {orphans:?}");
    let scratch = story.world.disk().below("/var/lib/backstop/staging");
    assert!(scratch.is_empty(), "scratch space at rest: {scratch:?}");
}

/// Opens a vault as somebody who has this key and nothing else.
pub fn open_vault(story: &Story, vault: &str, key: &Secret) -> Result<Vault, VaultError> {
    let observer = story.world.observer();
    let (_, region) = REGIONS.iter().find(|(name, _)| *name == vault).expect("configured");
    let parts = Parts {
        store: Store::new(observer.store(region), None, *region),
        clock: observer.clock(),
        entropy: observer.entropy(),
        threads: 1,
    };
    Vault::open(parts, key)
}

/// Restores as somebody who has the key and nothing else; what came back, or why it did not.
fn restore(story: &Story, backup: &Backup, place: &Place) -> Result<Vec<String>, String> {
    let observer = story.world.observer();
    let vault = place.vault().expect("a vault").as_str();
    let key = story.keys.of(vault, 0);
    let vault = open_vault(story, vault, &key).map_err(|error| format!("opening: {error}"))?;
    let copy = backup.copies.iter().find(|copy| &copy.place == place).expect("asked for");
    let dir = Path::new(SCRATCH);
    observer.files().remove_tree(dir).expect("memory");
    observer.files().own_directory(dir).expect("memory");
    let target = observer.trees().target(dir, b"", Overwrite::Never).expect("just made");
    let request = RestoreRequest { snapshot: copy.snapshot, choose: &|_| true };
    let summary = vault.restore(&request, &*target, &Silent).map_err(|error| format!("restoring: {error}"))?;
    if let Some(trouble) = summary.troubles.first() {
        return Err(format!("{trouble:?} and {} more", summary.trouble_count - 1));
    }
    let roots: Vec<&str> = match backup.workload.as_str() {
        "docs" => vec!["/srv/docs"],
        _ => vec!["/home/ann", "/home/bob"],
    };
    let disk = story.world.disk();
    let picture = roots.iter().flat_map(|root| disk.picture(&format!("{SCRATCH}{root}"), SCRATCH)).collect();
    observer.files().remove_tree(dir).expect("memory");
    Ok(picture)
}
