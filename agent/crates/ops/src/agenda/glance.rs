//! Whether anything can be due of a workload, told from its standing alone.
//!
//! It errs to one side: whatever it cannot exclude is looked at closely. A test compares its answers with the
//! planner's.

use std::collections::BTreeMap;

use backstop_model::config::{Schedule, Workload};
use backstop_model::{Fault, Level, Standing, Timestamp, Verb};
use backstop_planner::Calendar;
use backstop_planner::agenda::{Due, Urgency};
use backstop_planner::calendar::{Rule, Window};

/// What was computed once per distinct schedule.
pub(super) struct Glance {
    now: Timestamp,
    calendars: BTreeMap<String, Periods>,
}

/// The present of a schedule, rule by rule.
struct Periods {
    rules: Vec<(Rule, Window, Timestamp)>,
}

impl Glance {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, calendars: BTreeMap::new() }
    }

    /// What comes next of a workload of which nothing is due; `None` when something may be.
    pub(super) fn next(&mut self, workload: &Workload, standing: &Standing) -> Result<Option<Vec<Due>>, Fault> {
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

    fn periods(&mut self, schedule: &Schedule) -> Result<&Periods, Fault> {
        // Workloads override parts of a schedule, so its name does not tell.
        let key = format!("{}|{:?}|{:?}|{:?}", schedule.timezone, schedule.daily, schedule.weekly, schedule.monthly);
        if !self.calendars.contains_key(&key) {
            let calendar = Calendar::of(schedule)?;
            let rule = |rule: &Rule| {
                let first = calendar.shifted(rule, calendar.period(rule, self.now), 1 - i64::from(rule.keep));
                (rule.clone(), calendar.window(rule, self.now), calendar.begins(first))
            };
            let rules = calendar.rules().iter().map(rule).collect();
            self.calendars.insert(key.clone(), Periods { rules });
        }
        Ok(&self.calendars[&key])
    }
}

impl Periods {
    /// Whether no rule's backup is owed. The newest backup must have a copy.
    fn served(&self, standing: &Standing, newest: Timestamp) -> bool {
        let there = standing.places.iter().any(|place| place.newest == newest);
        there && self.rules.iter().all(|(_, window, _)| newest >= window.owed && newest < window.ends)
    }

    /// Whether every backup lies in the periods kept of the last of its tiers.
    fn keeps_all(&self, standing: &Standing) -> bool {
        standing.tiers.iter().all(|tier| {
            let rule = self.rules.iter().find(|(rule, ..)| rule.tier == tier.tier);
            rule.is_some_and(|(_, _, first)| tier.oldest_as_last.is_none_or(|oldest| oldest >= *first))
        })
    }

    fn next_backup(&self, workload: &Workload) -> Option<Due> {
        let (rule, window, _) = self.rules.iter().min_by_key(|(_, window, _)| window.next)?;
        let reason = format!("the next {} backup", rule.tier);
        Some(line(workload, Urgency::Backup, Verb::Backup, window.next, reason))
    }
}

fn line(workload: &Workload, urgency: Urgency, what: Verb, when: Timestamp, reason: String) -> Due {
    let workload = Some(workload.name.clone());
    Due { urgency, what, workload, backups: Vec::new(), place: None, run: None, when, reason }
}
