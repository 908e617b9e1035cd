//! Whether anything can be due of a workload, told from its standing alone.
//!
//! It errs to one side: whatever it cannot exclude is looked at closely. A test compares its answers with the
//! planner's; they differ only in that a line about what is next names no backup.

use std::collections::HashMap;

use backstop_model::config::{Schedule, Workload};
use backstop_model::{Fault, Level, Standing, Timestamp, Verb};
use backstop_planner::Calendar;
use backstop_planner::agenda::{Due, Urgency};
use backstop_planner::calendar::{Rule, Window};
use backstop_planner::calendars::{self, CalendarKey};

/// What was computed once per distinct schedule.
pub(super) struct Glance<'a> {
    now: Timestamp,
    known: HashMap<CalendarKey<'a>, usize>,
    calendars: Vec<Periods>,
}

/// The present of a schedule, rule by rule.
struct Periods {
    rules: Vec<Present>,
}

/// One rule at present.
struct Present {
    rule: Rule,
    window: Window,
    /// When the oldest period that is surely kept begins, given a backup in the present one.
    kept: Timestamp,
    /// The same while the present period has none yet.
    kept_before: Timestamp,
}

impl<'a> Glance<'a> {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, known: HashMap::new(), calendars: Vec::new() }
    }

    /// What comes next of a workload of which nothing is due; `None` when something may be.
    pub(super) fn next(&mut self, workload: &'a Workload, standing: &Standing) -> Result<Option<Vec<Due>>, Fault> {
        let now = self.now;
        let periods = self.periods(&workload.schedule)?;
        let schedule = &workload.schedule;
        let Some(newest) = standing.newest.filter(|newest| *newest <= now) else { return Ok(None) };
        let odd = standing.lost > 0 || standing.untiered > 0 || standing.next_purge.is_some_and(|at| at <= now);
        if odd || !periods.served(standing, newest) || !periods.keeps_all(standing) {
            return Ok(None);
        }
        if schedule.copies.iter().any(|place| standing.place(place).is_none_or(|at| at.copies != standing.present)) {
            return Ok(None);
        }
        let mut next = vec![periods.next_backup(workload)];
        if let Some(rule) = schedule.verify {
            let mut soonest: Option<Timestamp> = None;
            let level = rule.level.min(Level::L3);
            for place in std::iter::once(&schedule.home).chain(&schedule.copies).filter_map(|p| standing.place(p)) {
                let Some(proved) = place.at(level).filter(|proved| proved.copies == place.copies) else {
                    return Ok(None);
                };
                let due = rule.every.after(proved.oldest_proof);
                if due <= now || proved.oldest_proof > now {
                    return Ok(None);
                }
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
            }
            let reason = format!("a proof will be {} old, or a failed one is tried again", rule.every);
            next.extend(soonest.map(|when| Some(line(workload, Urgency::Proof, Verb::Verify, when, reason))));
        }
        if let Some(rule) = schedule.dr_test {
            let Some(passed) = standing.last_dr_test.filter(|at| *at <= now) else { return Ok(None) };
            let when = rule.every.after(passed);
            if when <= now {
                return Ok(None);
            }
            let reason = format!("the last DR test passed at {passed}, promised every {}", rule.every);
            next.push(Some(line(workload, Urgency::Rehearsal, Verb::DrTest, when, reason)));
        }
        if let Some(when) = standing.next_purge {
            let reason = "a released backup's window ends".to_owned();
            next.push(Some(line(workload, Urgency::Purge, Verb::Prune, when, reason)));
        }
        Ok(Some(next.into_iter().flatten().collect()))
    }

    fn periods(&mut self, schedule: &'a Schedule) -> Result<&Periods, Fault> {
        let key = calendars::key(schedule);
        if let Some(at) = self.known.get(&key) {
            return Ok(&self.calendars[*at]);
        }
        let calendar = Calendar::of(schedule)?;
        let rule = |rule: &Rule| {
            let present = calendar.period(rule, self.now);
            let back = |periods: i64| calendar.begins(calendar.shifted(rule, present, -periods));
            let keep = i64::from(rule.keep);
            let (window, rule) = (calendar.window(rule, self.now), rule.clone());
            Present { window, kept: back(keep - 1), kept_before: back(keep), rule }
        };
        let rules = calendar.rules().iter().map(rule).collect();
        self.known.insert(key, self.calendars.len());
        self.calendars.push(Periods { rules });
        Ok(self.calendars.last().expect("just pushed"))
    }
}

impl Periods {
    /// Whether no rule's backup is owed. Every backup must have a copy somewhere to count.
    fn served(&self, standing: &Standing, newest: Timestamp) -> bool {
        let all_there = standing.places.iter().any(|place| place.copies == standing.present);
        all_there
            && self.rules.iter().all(|Present { rule, window, .. }| {
                let holder = standing.tier(&rule.tier).map(|tier| tier.newest);
                let served = newest >= window.owed || holder.is_some_and(|holder| holder >= window.owed_begins);
                served && newest < window.ends
            })
    }

    /// Whether every backup lies in the periods kept of the last of its tiers.
    fn keeps_all(&self, standing: &Standing) -> bool {
        standing.tiers.iter().all(|tier| {
            let Some(present) = self.rules.iter().find(|present| present.rule.tier == tier.tier) else { return false };
            let first = if tier.newest < present.window.begins { present.kept_before } else { present.kept };
            tier.oldest_as_last.is_none_or(|oldest| oldest >= first)
        })
    }

    fn next_backup(&self, workload: &Workload) -> Option<Due> {
        let Present { rule, window, .. } = self.rules.iter().min_by_key(|present| present.window.next)?;
        let reason = format!("the next {} backup", rule.tier);
        Some(line(workload, Urgency::Backup, Verb::Backup, window.next, reason))
    }
}

fn line(workload: &Workload, urgency: Urgency, what: Verb, when: Timestamp, reason: String) -> Due {
    let workload = Some(workload.name.clone());
    Due { urgency, what, workload, backups: Vec::new(), place: None, run: None, when, reason }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use backstop_config::{Overrides, SourceFile, load};
    use backstop_model::config::Config;
    use backstop_model::{
        Backup, BackupState, Bytes, Completeness, Copy, CopyState, Mode, Place, Proof, ProofKind, SnapshotId, Span,
        WorkloadName,
    };
    use backstop_planner::agenda::{Agenda, Facts, Past, agenda};
    use backstop_planner::retention::{Terms, verdicts};
    use backstop_planner::{choice, tiers};

    use super::*;

    const CONFIG: &str = r#"
state_dir = "/var/lib/backstop"
[vault.main]
url = "file:///srv/main"
region = "here"
key = "env:A"
[vault.offsite]
url = "file:///mnt/offsite"
region = "there"
key = "env:B"
[schedule.standard]
timezone = "Europe/Berlin"
daily = { at = "02:00", keep = 5 }
weekly = { on = "sunday", at = "03:00", keep = 3 }
monthly = { on = 1, at = "04:00", keep = 4 }
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "7d", level = "L3" }
dr_test = { every = "7d" }
[workload.docs]
kind = "files"
paths = ["/home/docs"]
schedule = "standard"
"#;

    fn config() -> Config {
        let file = SourceFile { path: "backstop.toml".into(), bytes: CONFIG.as_bytes().to_vec() };
        load(&[file], &Overrides::default()).expect("valid")
    }

    /// Numbers that repeat with their seed.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }

        /// One time in so many.
        fn rarely(&mut self, sides: u64) -> bool {
            self.below(sides) == 0
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn copy(place: &Place, created: Timestamp, proved: Option<Timestamp>) -> Copy {
        let proof = |at| Proof {
            at,
            level: Level::L3,
            passed: true,
            kind: ProofKind::Verify,
            took: Span::ZERO,
            sample_ppm: 1_000_000,
            run: "r".parse().expect("valid"),
            detail: String::new(),
        };
        Copy {
            place: place.clone(),
            snapshot: SnapshotId([0; 32]),
            state: CopyState::Present,
            stored: Bytes(1),
            created,
            proofs: proved.map(proof).into_iter().collect(),
        }
    }

    /// Some months of a workload's life, its retention kept and its copies proved, but for what the dice spoil.
    fn life(config: &Config, dice: &mut Dice, spoil: u64, now: Timestamp) -> Vec<Backup> {
        const DAY: i64 = 86_400;
        let workload = &config.workloads[&name()];
        let calendar = Calendar::of(&workload.schedule).expect("a known zone");
        let offsite = choice::offsite(config, &workload.schedule);
        let mut backups: Vec<Backup> = Vec::new();
        let begin = now.as_second() - 150 * DAY;
        for day in 0..=150 {
            let created = at(begin + day * DAY - 9 * 3600 + i64::try_from(dice.below(600)).expect("small"));
            if dice.rarely(spoil) {
                continue;
            }
            let tiers = tiers::of_backup_now(&calendar, &backups, created, None);
            let proved = (!dice.rarely(spoil * 4))
                .then(|| at(now.as_second() - i64::try_from(dice.below(6 * 86_400)).expect("small")).max(created));
            let mut copies = vec![copy(&workload.schedule.home, created, proved)];
            if !dice.rarely(spoil * 4) {
                copies.push(copy(&offsite[0], created, proved));
            }
            backups.push(Backup {
                name: format!("b{day}").parse().expect("valid"),
                workload: name(),
                created,
                tiers,
                mode: Mode::Incremental,
                based_on: None,
                size: Bytes(1),
                entries: 1,
                completeness: if dice.rarely(spoil * 2) {
                    Completeness::Partial { troubles: 1 }
                } else {
                    Completeness::Complete
                },
                state: BackupState::Present,
                hold: None,
                copies,
                run: "r".parse().expect("valid"),
            });
            let terms = Terms {
                calendar: &calendar,
                promised: Some(Level::L3),
                offsite: &offsite,
                enabled: true,
                now: created,
            };
            let gone: Vec<_> = verdicts(&terms, &backups).into_iter().filter(|v| !v.keep).map(|v| v.backup).collect();
            if !dice.rarely(spoil) {
                backups.retain(|backup| !gone.contains(&backup.name));
            }
        }
        backups
    }

    fn name() -> WorkloadName {
        "docs".parse().expect("valid")
    }

    fn planned(config: &Config, backups: &[Backup], passed: Option<Timestamp>, now: Timestamp) -> Agenda {
        let backups = BTreeMap::from([(name(), backups.to_vec())]);
        let past = BTreeMap::from([(name(), Past { dr_test_passed: passed, ..Past::default() })]);
        let marked = BTreeMap::new();
        let facts = Facts {
            now,
            backups: &backups,
            past: &past,
            open_runs: &[],
            marked_packs: &marked,
            kept_trees: &[],
            rulings: &BTreeMap::new(),
        };
        agenda(config, &facts).expect("an agenda")
    }

    #[test]
    fn a_glance_that_finds_nothing_due_says_exactly_what_the_planner_says() {
        let config = config();
        let mut dice = Dice(7);
        let (mut quiet, mut rested) = (0, 0);
        for case in 0..300u64 {
            let now = at(1_780_000_000 + i64::try_from(case).expect("small") * 90_007);
            let spoil = [1_000_000, 400, 60, 12][usize::try_from(case % 4).expect("small")];
            let backups = life(&config, &mut dice, spoil, now);
            let passed = Some(at(now.as_second() - 86_400 * i64::try_from(dice.below(9)).expect("small")));
            let standing = Standing::of(name(), &backups, passed);
            let glanced = Glance::new(now).next(&config.workloads[&name()], &standing).expect("a known zone");
            let agenda = planned(&config, &backups, passed, now);
            // In a history with holes, what is kept reaches further back than a standing can tell.
            rested += u32::from(case % 4 == 0 && agenda.due.is_empty());
            if let Some(mut lines) = glanced {
                quiet += u32::from(case % 4 == 0);
                assert_eq!(agenda.due, [], "case {case}: the planner finds something due");
                lines.sort_by_key(|line| (line.when, line.urgency));
                // Which backup is rehearsed is decided when the time has come.
                let mut next = agenda.next;
                next.iter_mut().for_each(|line| line.backups.clear());
                assert_eq!(lines, next, "case {case}");
            }
        }
        // Erring to one side must stay the exception, or every workload is read in full.
        assert!(quiet > 40 && quiet == rested, "{quiet} of {rested} at rest were told at a glance");
    }
}
