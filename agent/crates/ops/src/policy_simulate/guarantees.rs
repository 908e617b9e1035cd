//! What a restore is guaranteed by: the periods that the schedule keeps, and what the operator counts on of a policy.

use std::collections::BTreeSet;

use backstop_model::{Backup, Tier, Timestamp};
use backstop_planner::calendar::{Period, Rule};

use super::life::Days;

impl Days<'_> {
    /// Whether a restore of what is deleted was guaranteed: by the schedule, or by what the operator counts on.
    pub(super) fn guarantee(&mut self, tier: &Tier, gone: &Backup, now: Timestamp) {
        let rule = self.calendar.rules().iter().find(|rule| &rule.tier == tier).cloned();
        let rank = rule.as_ref().and_then(|rule| self.rank_of_period(rule, gone));
        if let (Some(rule), Some(rank)) = (rule, rank)
            && rank <= rule.keep
        {
            let what = format!(
                "a restore of {} would fail: the schedule keeps {} {tier} backups, and this is number {rank}",
                gone.name, rule.keep
            );
            self.broken(now, format!("schedule/{tier}"), what);
        }
        let mut lost = Vec::new();
        for policy in &self.policies {
            for (promised, count) in policy.config().promises.iter().filter(|(promised, _)| promised == tier) {
                let rank = self.rank(promised, gone);
                if rank <= *count {
                    lost.push((policy.config().name.clone(), *count, rank));
                }
            }
        }
        for (policy, count, rank) in lost {
            let what = format!(
                "a restore of {} would fail: policy `{policy}` promises the newest {count} of {tier}, and this is number {rank}",
                gone.name
            );
            self.broken(now, format!("promise/{policy}/{tier}"), what);
        }
    }

    /// The position of a backup's period among all that ever had one, newest first; `None` while another backup of the
    /// same period is kept.
    fn rank_of_period(&self, rule: &Rule, gone: &Backup) -> Option<u32> {
        let period = |at: Timestamp| self.calendar.period(rule, at);
        let own: Period = period(gone.created);
        let kept = self.backups.iter().filter(|backup| backup.tiers.contains(&rule.tier));
        if kept.clone().any(|backup| period(backup.created) == own) {
            return None;
        }
        let ever = self.ever.get(&rule.tier).map_or(&[][..], Vec::as_slice);
        let newer: BTreeSet<Period> =
            ever.iter().rev().take_while(|(at, _)| *at > gone.created).map(|(at, _)| period(*at)).collect();
        u32::try_from(newer.into_iter().filter(|newer| *newer > own).count() + 1).ok()
    }

    /// The position of a backup among all that ever held a tier, newest first.
    fn rank(&self, tier: &Tier, gone: &Backup) -> u32 {
        let ever = self.ever.get(tier).map_or(&[][..], Vec::as_slice);
        u32::try_from(ever.iter().rev().take_while(|(at, _)| *at > gone.created).count() + 1).unwrap_or(u32::MAX)
    }

    /// A promise about a tier that no backup ever gets is none.
    pub(super) fn promises_were_made(&mut self, until: Timestamp) {
        let mut hollow = Vec::new();
        for policy in &self.policies {
            for (tier, count) in &policy.config().promises {
                if !self.ever.contains_key(tier) {
                    hollow.push((policy.config().name.clone(), tier.clone(), *count));
                }
            }
        }
        for (policy, tier, count) in hollow {
            let what = format!("policy `{policy}` promises {count} of {tier}, and no backup ever gets that tier");
            self.broken(until, format!("hollow/{policy}/{tier}"), what);
        }
    }
}
