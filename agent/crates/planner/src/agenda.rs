//! What is due: the wishes of the configuration compared with the evidence, each line with its reason.
//!
//! The daemon and the command line ask the same question and call the same verbs with the answer. Nothing is
//! remembered between two askings; whatever still lacks its evidence is due again. Only what failed a short while ago
//! waits ([`Past::failed`]), and appears under what is next meanwhile.
//!
//! Ten thousand workloads with a quarter of a million backups are compared in a fraction of a second: the boundaries
//! of periods are computed once per distinct schedule, and a backup costs a few comparisons and no allocation.

use std::collections::BTreeMap;

use backstop_model::config::{Config, Workload};
use backstop_model::{
    Backup, BackupName, BackupState, Fault, Level, Place, Run, RunId, Span, Timestamp, Verb, WorkloadName,
};

use crate::calendar::is_owed;
use crate::calendars::{Calendars, Present};
use crate::policies::{Ruling, may_go};
use crate::prune::KeptTrees;
use crate::retention::{self, Terms, Weighed};
use crate::{choice, prune, verify};

/// What the agenda looks at, read once.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Every record, by workload, in any order, those of workloads no longer configured among them.
    pub backups: &'a BTreeMap<WorkloadName, Vec<Backup>>,
    /// What happened to workloads before.
    pub past: &'a BTreeMap<WorkloadName, Past>,
    /// Runs that were begun, did not end, and whose owner's lease is over: interrupted ones.
    pub open_runs: &'a [Run],
    /// Vaults with packs marked for removal, and when the first of them was marked.
    pub marked_packs: &'a BTreeMap<Place, Timestamp>,
    /// Trees that restores in place put aside and that are still there.
    pub kept_trees: &'a [KeptTrees],
    /// What the retention policies in force said, for workloads that have any.
    pub rulings: &'a BTreeMap<WorkloadName, Vec<Ruling>>,
}

/// What happened to a workload before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// When the last DR test that passed ended.
    pub dr_test_passed: Option<Timestamp>,
    /// When the last attempt at a verb ended, for those verbs whose last attempt did not succeed.
    pub failed: BTreeMap<Verb, Timestamp>,
}

/// Why one line comes before another. In this order: safety of what was begun, of new data, of evidence, then space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// A run was interrupted and must be resumed or undone before anything else touches the workload.
    OpenRun,
    /// A backup is missing.
    Backup,
    /// A copy is missing.
    Copy,
    /// A proof is missing or too old.
    Proof,
    /// Recovery was not rehearsed for too long.
    Rehearsal,
    /// Backups are past retention.
    Release,
    /// Released backups have outlived their window, or marked packs their grace.
    Purge,
}

/// One line of the agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its rank.
    pub urgency: Urgency,
    /// What is to be done.
    pub what: Verb,
    /// To which workload; `None` for the packs of a vault.
    pub workload: Option<WorkloadName>,
    /// Which backups, oldest first; empty when the line is about one that does not exist yet.
    pub backups: Vec<BackupName>,
    /// At which place, where it matters.
    pub place: Option<Place>,
    /// Which run is to be resumed, for [`Urgency::OpenRun`].
    pub run: Option<RunId>,
    /// Since when it is due; for what is next, when it will be.
    pub when: Timestamp,
    /// Why, one line.
    pub reason: String,
}

/// What is due, most urgent first, and what comes next, soonest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agenda {
    /// Due now.
    pub due: Vec<Due>,
    /// Not due yet; at most one line per workload and verb.
    pub next: Vec<Due>,
}

impl Agenda {
    /// When there is something to do at the latest: now if anything is due, else when the next thing is.
    #[must_use]
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.due.is_empty() { self.next.first().map(|next| next.when) } else { Some(now) }
    }
}

/// Compares what the configuration wants with what the facts show.
///
/// # Errors
/// When a schedule's time zone is unknown.
pub fn agenda(config: &Config, facts: &Facts<'_>) -> Result<Agenda, Fault> {
    let mut agenda = Agenda::default();
    open_runs(facts, &mut agenda);
    let mut calendars = Calendars::default();
    let mut weighed = Vec::new();
    let none = (Vec::new(), Past::default());
    for workload in config.workloads.values().filter(|workload| workload.enabled) {
        let calendar = calendars.of(&workload.schedule, facts.now)?;
        let mut looking = Looking {
            config,
            workload,
            now: facts.now,
            backups: facts.backups.get(&workload.name).unwrap_or(&none.0),
            past: facts.past.get(&workload.name).unwrap_or(&none.1),
            rulings: facts.rulings.get(&workload.name).map_or(&[], Vec::as_slice),
            agenda: &mut agenda,
        };
        looking.backup(calendar);
        looking.copies();
        looking.proofs();
        looking.rehearsal();
        looking.retention(calendar, &mut weighed);
    }
    trash(facts, &mut agenda);
    kept_trees(facts, &mut agenda);
    marked_packs(config, facts, &mut agenda);
    agenda
        .due
        .sort_by(|a, b| (a.urgency, a.when, &a.workload, &a.place).cmp(&(b.urgency, b.when, &b.workload, &b.place)));
    agenda
        .next
        .sort_by(|a, b| (a.when, a.urgency, &a.workload, &a.place).cmp(&(b.when, b.urgency, &b.workload, &b.place)));
    Ok(agenda)
}

fn open_runs(facts: &Facts<'_>, agenda: &mut Agenda) {
    agenda.due.extend(facts.open_runs.iter().map(|run| Due {
        urgency: Urgency::OpenRun,
        what: run.verb,
        workload: run.workload.clone(),
        backups: Vec::new(),
        place: None,
        run: Some(run.id.clone()),
        when: run.started,
        reason: format!("run {} was interrupted: resume or undo it", run.id),
    }));
}

/// One workload being looked at.
struct Looking<'a> {
    config: &'a Config,
    workload: &'a Workload,
    now: Timestamp,
    backups: &'a [Backup],
    past: &'a Past,
    rulings: &'a [Ruling],
    agenda: &'a mut Agenda,
}

/// How long a verb that failed is left alone.
const fn retry_wait(verb: Verb) -> Span {
    match verb {
        Verb::Backup | Verb::Replicate | Verb::Restore | Verb::RestoreUndo | Verb::Undelete => Span::from_secs(15 * 60),
        Verb::Release | Verb::Prune => Span::from_secs(3600),
        Verb::Verify | Verb::DrTest => verify::RETRY_WAIT,
    }
}

impl Looking<'_> {
    fn line(&self, urgency: Urgency, what: Verb, when: Timestamp, reason: String) -> Due {
        let workload = Some(self.workload.name.clone());
        Due { urgency, what, workload, backups: Vec::new(), place: None, run: None, when, reason }
    }

    /// Files a line that is due now, or postpones it when its verb failed a short while ago.
    fn due(&mut self, mut due: Due) {
        // A failure dated in the future is a clock's mistake and holds nothing back.
        let failed = self.past.failed.get(&due.what).filter(|failed| **failed <= self.now);
        let again = failed.map(|failed| (failed, retry_wait(due.what).after(*failed)));
        match again.filter(|(_, again)| *again > self.now) {
            Some((failed, again)) => {
                due.reason = format!("{}; the last attempt failed at {failed}", due.reason);
                due.when = again;
                self.agenda.next.push(due);
            }
            None => self.agenda.due.push(due),
        }
    }

    fn next(&mut self, due: Due) {
        self.agenda.next.push(due);
    }

    /// A backup missing → back up.
    fn backup(&mut self, present: &Present) {
        let rules = present.calendar.rules().iter().zip(&present.windows);
        let owed =
            rules.clone().filter(|(rule, window)| is_owed(rule, window, self.backups)).min_by_key(|(_, w)| w.owed);
        if self.backups.iter().all(|b| b.state != BackupState::Present) {
            let line = self.line(Urgency::Backup, Verb::Backup, self.now, "no backup at all yet".to_owned());
            self.due(line);
        } else if let Some((rule, window)) = owed {
            let reason = format!("the {} backup of {} is missing", rule.tier, window.owed);
            let line = self.line(Urgency::Backup, Verb::Backup, window.owed, reason);
            self.due(line);
        } else if let Some((rule, window)) = rules.min_by_key(|(_, window)| window.next) {
            let line = self.line(Urgency::Backup, Verb::Backup, window.next, format!("the next {} backup", rule.tier));
            self.next(line);
        }
    }

    /// A copy missing → replicate.
    fn copies(&mut self) {
        for place in &self.workload.schedule.copies {
            let missing = self.backups.iter().filter(|b| {
                b.state == BackupState::Present
                    && b.copy_at(place).is_none()
                    && choice::sound_copies(b).next().is_some()
            });
            if let Some((names, since)) = oldest_first(missing.map(|b| (b.created, b))) {
                let reason = format!("{place} lacks {}", counted(names.len(), "backup"));
                let mut line = self.line(Urgency::Copy, Verb::Replicate, since, reason);
                (line.backups, line.place) = (names, Some(place.clone()));
                self.due(line);
            }
        }
    }

    /// A proof older than promised → verify.
    fn proofs(&mut self) {
        let Some(rule) = self.workload.schedule.verify else { return };
        let level = rule.level.min(Level::L3);
        let schedule = &self.workload.schedule;
        let mut soonest: Option<Timestamp> = None;
        for place in std::iter::once(&schedule.home).chain(&schedule.copies) {
            let (backups, now) = (self.backups, self.now);
            let mut never = 0;
            let stale = backups.iter().filter(|b| b.state == BackupState::Present).filter_map(|b| {
                match verify::due(b.copy_at(place)?, level, rule.every, now) {
                    Ok((since, missing)) => {
                        never += usize::from(missing == verify::Missing::Never);
                        Some((since, b))
                    }
                    Err(later) => {
                        soonest = Some(soonest.map_or(later, |s| s.min(later)));
                        None
                    }
                }
            });
            if let Some((names, since)) = oldest_first(stale) {
                let old = names.len() - never;
                let reason = match (never, old) {
                    (_, 0) => format!("{} at {place} not proved to {level} yet", counted(never, "copy")),
                    (0, _) => {
                        format!("{} at {place} proved to {level} more than {} ago", counted(old, "copy"), rule.every)
                    }
                    (_, _) => format!(
                        "{} at {place}: {never} not proved to {level} yet, {old} more than {} ago",
                        counted(names.len(), "copy"),
                        rule.every
                    ),
                };
                let mut line = self.line(Urgency::Proof, Verb::Verify, since, reason);
                (line.backups, line.place) = (names, Some(place.clone()));
                self.due(line);
            }
        }
        if let Some(when) = soonest {
            let reason = format!("a proof will be {} old, or a failed one is tried again", rule.every);
            let line = self.line(Urgency::Proof, Verb::Verify, when, reason);
            self.next(line);
        }
    }

    /// A DR test overdue → test.
    fn rehearsal(&mut self) {
        let Some(rule) = self.workload.schedule.dr_test else { return };
        let Some(newest) = choice::newest(self.backups, self.now) else { return };
        let passed = self.past.dr_test_passed.filter(|at| !crate::calendar::is_future(*at, self.now));
        let (when, reason) = match passed {
            None => (newest.created.min(self.now), "recovery was never rehearsed".to_owned()),
            Some(at) => {
                (rule.every.after(at), format!("the last DR test passed at {at}, promised every {}", rule.every))
            }
        };
        let mut line = self.line(Urgency::Rehearsal, Verb::DrTest, when, reason);
        line.backups.push(newest.name.clone());
        if when <= self.now { self.due(line) } else { self.next(line) }
    }

    /// Past retention, not held, not the last good one → release.
    fn retention(&mut self, present: &Present, weighed: &mut Vec<Weighed>) {
        let offsite = choice::offsite(self.config, &self.workload.schedule);
        let terms = Terms {
            calendar: &present.calendar,
            promised: self.workload.schedule.verify.map(|rule| rule.level),
            offsite: &offsite,
            enabled: true,
            now: self.now,
        };
        retention::weigh(&terms, self.backups, weighed);
        let goes = |one: &&Weighed| {
            let backup = &self.backups[one.index].name;
            may_go(backup, one.is_releasable(), one.is_only_named(), self.rulings)
        };
        let past = weighed.iter().filter(goes).map(|one| &self.backups[one.index]);
        if let Some((names, since)) = oldest_first(past.map(|b| (b.created, b))) {
            let reason = format!("{} past retention", counted(names.len(), "backup"));
            // Since when a backup is past retention is not recorded; it is due since the newest backup was made.
            let newest = self.backups.iter().map(|b| b.created).filter(|at| *at <= self.now).max().unwrap_or(since);
            let mut line = self.line(Urgency::Release, Verb::Release, newest, reason);
            line.backups = names;
            self.due(line);
        }
    }
}

/// Trash window over → purge. Of workloads no longer configured as well: what was released stays released.
fn trash(facts: &Facts<'_>, agenda: &mut Agenda) {
    for (workload, backups) in facts.backups {
        let window = |b: &Backup| match b.state {
            BackupState::Trashed { purge_after, .. } => Some(purge_after),
            BackupState::Present | BackupState::Purged { .. } => None,
        };
        let line = |when, backups, reason| Due {
            urgency: Urgency::Purge,
            what: Verb::Prune,
            workload: Some(workload.clone()),
            backups,
            place: None,
            run: None,
            when,
            reason,
        };
        let over = backups.iter().filter(|b| prune::is_purgeable(b, facts.now));
        if let Some((names, since)) = oldest_first(over.filter_map(|b| Some((window(b)?, b)))) {
            let reason = format!("{} in the trash longer than can be undone", counted(names.len(), "backup"));
            agenda.due.push(line(since, names, reason));
        }
        if let Some(when) = backups.iter().filter_map(window).filter(|end| *end > facts.now).min() {
            agenda.next.push(line(when, Vec::new(), "a released backup's window ends".to_owned()));
        }
    }
}

/// Trees put aside for long enough → prune. One line for each workload, and one for what comes next.
fn kept_trees(facts: &Facts<'_>, agenda: &mut Agenda) {
    let mut lines: BTreeMap<(&WorkloadName, bool), (Timestamp, usize)> = BTreeMap::new();
    for trees in facts.kept_trees {
        let (until, count) = lines.entry((&trees.workload, trees.until <= facts.now)).or_insert((trees.until, 0));
        *until = trees.until.min(*until);
        *count += trees.dirs.len();
    }
    for ((workload, is_over), (when, count)) in lines {
        let line = Due {
            urgency: Urgency::Purge,
            what: Verb::Prune,
            workload: Some(workload.clone()),
            backups: Vec::new(),
            place: None,
            run: None,
            when,
            reason: match is_over {
                true => format!("{} put aside by restores, kept long enough", counted(count, "tree")),
                false => "a tree that a restore put aside was kept long enough".to_owned(),
            },
        };
        if is_over { agenda.due.push(line) } else { agenda.next.push(line) }
    }
}

/// Marked packs past their grace → prune.
fn marked_packs(config: &Config, facts: &Facts<'_>, agenda: &mut Agenda) {
    for (place, marked) in facts.marked_packs {
        let when = config.limits.prune_grace.after(*marked);
        let due = Due {
            urgency: Urgency::Purge,
            what: Verb::Prune,
            workload: None,
            backups: Vec::new(),
            place: Some(place.clone()),
            run: None,
            when,
            reason: format!("packs marked at {marked} are kept for {}", config.limits.prune_grace),
        };
        let list = if when <= facts.now { &mut agenda.due } else { &mut agenda.next };
        list.push(due);
    }
}

/// The names of the backups by age and the earliest of the instants; `None` when there are none.
fn oldest_first<'a>(found: impl Iterator<Item = (Timestamp, &'a Backup)>) -> Option<(Vec<BackupName>, Timestamp)> {
    let mut found: Vec<(Timestamp, &Backup)> = found.collect();
    let since = found.iter().map(|(since, _)| *since).min()?;
    found.sort_by(|(_, a), (_, b)| (a.created, &a.name).cmp(&(b.created, &b.name)));
    Some((found.into_iter().map(|(_, backup)| backup.name.clone()).collect(), since))
}

fn counted(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, backup, copy, offsite, place, proof, proved, schedule, t};
    use backstop_model::{Plan, Tier};

    const NOW: &str = "2026-05-20T12:00:00Z";

    #[derive(Default)]
    struct World {
        backups: Vec<Backup>,
        past: Past,
        open_runs: Vec<Run>,
        marked_packs: BTreeMap<Place, Timestamp>,
        kept_trees: Vec<KeptTrees>,
        disabled: bool,
    }

    impl World {
        fn agenda(self) -> Agenda {
            let mut workload = fixture::workload("docs", schedule("UTC"));
            workload.enabled = !self.disabled;
            let name = workload.name.clone();
            let backups = BTreeMap::from([(name.clone(), self.backups)]);
            let past = BTreeMap::from([(name, self.past)]);
            let facts = Facts {
                now: t(NOW),
                backups: &backups,
                past: &past,
                open_runs: &self.open_runs,
                marked_packs: &self.marked_packs,
                kept_trees: &self.kept_trees,
                rulings: &BTreeMap::new(),
            };
            agenda(&fixture::config(vec![workload]), &facts).expect("an agenda")
        }

        fn due(self) -> Vec<String> {
            lines(&self.agenda().due)
        }
    }

    fn lines(due: &[Due]) -> Vec<String> {
        due.iter().map(|d| format!("{} {}: {}", d.what, d.when, d.reason)).collect()
    }

    /// Everything as promised: today's backup at both places, proved, rehearsed.
    fn content() -> World {
        let tiers = [Tier::Daily, Tier::Weekly, Tier::Monthly];
        let mut b = offsite(proved(backup("today", t("2026-05-20T02:00:00Z"), &tiers), t("2026-05-20T03:00:00Z")));
        b.copies[1].proofs.push(proof(Level::L3, true, t("2026-05-20T04:00:00Z")));
        let past = Past { dr_test_passed: Some(t("2026-05-19T00:00:00Z")), ..Past::default() };
        World { backups: vec![b], past, ..World::default() }
    }

    #[test]
    fn when_every_wish_has_its_evidence_nothing_is_due_and_the_next_things_are_named() {
        let agenda = content().agenda();
        assert_eq!(agenda.due, []);
        assert_eq!(
            lines(&agenda.next),
            [
                "backup 2026-05-21T02:00:00Z: the next daily backup",
                "dr-test 2026-05-26T00:00:00Z: the last DR test passed at 2026-05-19T00:00:00Z, promised every 7d",
                "verify 2026-05-27T03:00:00Z: a proof will be 7d old, or a failed one is tried again",
            ]
        );
        assert_eq!(agenda.wake(t(NOW)), Some(t("2026-05-21T02:00:00Z")));
    }

    #[test]
    fn an_unprotected_workload_is_backed_up_at_once() {
        assert_eq!(World::default().due(), ["backup 2026-05-20T12:00:00Z: no backup at all yet"]);
    }

    #[test]
    fn a_missed_backup_is_due_with_the_time_it_was_owed() {
        let mut world = content();
        world.backups[0].created = t("2026-05-19T02:00:00Z");
        assert_eq!(world.due(), ["backup 2026-05-20T02:00:00Z: the daily backup of 2026-05-20T02:00:00Z is missing"]);
    }

    #[test]
    fn missing_copies_and_proofs_are_due_in_that_order() {
        let mut world = content();
        let mut b = backup("later", t("2026-05-20T10:00:00Z"), &[Tier::Daily]);
        b.copies = vec![copy("vault:main", t("2026-05-20T10:05:00Z"))];
        world.backups.push(b);
        world.backups[0].copies[1].proofs[0].at = t("2026-05-13T12:00:00Z");
        assert_eq!(
            world.due(),
            [
                "replicate 2026-05-20T10:00:00Z: vault:offsite lacks 1 backup",
                "verify 2026-05-20T10:05:00Z: 1 copy at vault:main not proved to L3 yet",
                "verify 2026-05-20T12:00:00Z: 1 copy at vault:offsite proved to L3 more than 7d ago",
            ]
        );
    }

    #[test]
    fn an_overdue_rehearsal_is_due_and_one_never_held_as_well() {
        let mut world = content();
        world.past.dr_test_passed = Some(t("2026-05-13T12:00:00Z"));
        let reason = "the last DR test passed at 2026-05-13T12:00:00Z, promised every 7d";
        assert_eq!(world.due(), [format!("dr-test {NOW}: {reason}")]);
        let mut world = content();
        world.past.dr_test_passed = None;
        assert_eq!(world.due(), ["dr-test 2026-05-20T02:00:00Z: recovery was never rehearsed"]);
    }

    #[test]
    fn what_failed_a_short_while_ago_waits() {
        let mut world = content();
        world.past.dr_test_passed = None;
        world.past.failed.insert(Verb::DrTest, t("2026-05-20T11:00:00Z"));
        let agenda = world.agenda();
        assert_eq!(agenda.due, []);
        let again = agenda.next.iter().find(|d| d.what == Verb::DrTest).expect("there");
        assert_eq!(again.when, t("2026-05-21T11:00:00Z"));
        assert!(again.reason.ends_with("the last attempt failed at 2026-05-20T11:00:00Z"), "{}", again.reason);
    }

    #[test]
    fn backups_past_retention_are_released_and_outlived_trash_is_purged() {
        let mut world = content();
        for i in 1..=9 {
            let created = Span::from_days(i).before(t("2026-05-20T02:00:00Z"));
            let mut b = world.backups[0].clone();
            (b.name, b.created) = (format!("d{i}").parse().expect("valid"), created);
            b.tiers = [Tier::Daily].into();
            world.backups.push(b);
        }
        let mut gone = backup("gone", t("2026-05-01T02:00:00Z"), &[]);
        gone.state = BackupState::Trashed { since: t("2026-05-12T00:00:00Z"), purge_after: t("2026-05-19T00:00:00Z") };
        world.backups.push(gone);
        world.marked_packs.insert(place("vault:main"), t("2026-05-18T11:00:00Z"));
        let agenda = world.agenda();
        assert_eq!(
            lines(&agenda.due),
            [
                "release 2026-05-20T02:00:00Z: 3 backups past retention",
                "prune 2026-05-19T00:00:00Z: 1 backup in the trash longer than can be undone",
                "prune 2026-05-20T11:00:00Z: packs marked at 2026-05-18T11:00:00Z are kept for 2d",
            ]
        );
        let names: Vec<&str> = agenda.due[0].backups.iter().map(BackupName::as_str).collect();
        assert_eq!(names, ["d9", "d8", "d7"], "oldest first");
    }

    #[test]
    fn interrupted_runs_come_before_everything() {
        let mut world = World::default();
        world.open_runs.push(Run {
            id: "run-7".parse().expect("valid"),
            verb: Verb::Restore,
            workload: Some("docs".parse().expect("valid")),
            plan: Plan::nothing(Verb::Restore, t(NOW), "x"),
            started: t(NOW),
            finished: None,
            outcome: None,
            by: "ann@ops".into(),
        });
        let agenda = world.agenda();
        assert_eq!(agenda.due[0].run.as_ref().expect("a run").as_str(), "run-7");
        assert_eq!(agenda.due[1].urgency, Urgency::Backup);
    }

    #[test]
    fn nothing_is_scheduled_for_a_disabled_workload_but_its_trash_empties() {
        let mut gone = backup("gone", t("2026-05-01T02:00:00Z"), &[]);
        gone.state = BackupState::Trashed { since: t("2026-05-12T00:00:00Z"), purge_after: t("2026-05-19T00:00:00Z") };
        let world = World { backups: vec![gone], disabled: true, ..World::default() };
        assert_eq!(world.agenda().due.iter().map(|d| d.what).collect::<Vec<_>>(), [Verb::Prune]);
    }
}
