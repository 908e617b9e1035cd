//! Which tiers a backup taken now gets.

use std::collections::BTreeSet;

use backstop_model::{Backup, Tier, Timestamp};

use crate::calendar::{Calendar, is_served};

/// The tiers of a backup taken at `now`: every kept tier whose present period has no backup yet.
///
/// An extra backup, with every period served, holds the shortest kept tier, so that it lives as long as its
/// neighbours instead of being past retention at birth. `forced` (the operator's `--tier`) stands alone.
/// `backups` are all records of the workload, in any order.
#[must_use]
pub fn of_backup_now(calendar: &Calendar, backups: &[Backup], now: Timestamp, forced: Option<&Tier>) -> BTreeSet<Tier> {
    if let Some(tier) = forced {
        return BTreeSet::from([tier.clone()]);
    }
    let unserved = calendar.rules().iter().filter(|rule| !is_served(rule, &calendar.window(rule, now), backups));
    let mut tiers: BTreeSet<Tier> = unserved.map(|rule| rule.tier.clone()).collect();
    if tiers.is_empty() {
        tiers.extend(calendar.rules().first().map(|rule| rule.tier.clone()));
    }
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, schedule, t};

    fn tiers_at(now: &str, backups: &[Backup]) -> String {
        let calendar = Calendar::of(&schedule("UTC")).expect("known zone");
        let tiers = of_backup_now(&calendar, backups, t(now), None);
        tiers.iter().map(Tier::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_backup_of_day_week_and_month_holds_all_three() {
        assert_eq!(tiers_at("2026-02-01T02:00:00Z", &[]), "daily weekly monthly");
    }

    #[test]
    fn a_missed_first_of_the_month_gives_the_monthly_tier_to_the_next_backup() {
        let before = [backup("a", t("2026-01-31T02:00:00Z"), &[Tier::Daily, Tier::Monthly])];
        assert_eq!(tiers_at("2026-02-03T02:00:00Z", &before), "daily weekly monthly");
    }

    #[test]
    fn the_same_month_of_another_year_does_not_count() {
        let before = [backup("a", t("2025-02-01T02:00:00Z"), &[Tier::Daily, Tier::Weekly, Tier::Monthly])];
        assert_eq!(tiers_at("2026-02-01T02:00:00Z", &before), "daily weekly monthly");
    }

    #[test]
    fn a_sunday_a_minute_earlier_than_the_last_is_still_a_new_week() {
        let before = [backup("a", t("2026-02-01T03:01:00Z"), &[Tier::Daily, Tier::Weekly, Tier::Monthly])];
        assert_eq!(tiers_at("2026-02-08T03:00:00Z", &before), "daily weekly");
    }

    #[test]
    fn an_extra_backup_lives_as_long_as_a_daily_one() {
        let before = [backup("a", t("2026-02-01T03:01:00Z"), &[Tier::Daily, Tier::Weekly, Tier::Monthly])];
        assert_eq!(tiers_at("2026-02-01T12:00:00Z", &before), "daily");
    }

    #[test]
    fn a_forced_tier_stands_alone() {
        let calendar = Calendar::of(&schedule("UTC")).expect("known zone");
        let tiers = of_backup_now(&calendar, &[], t("2026-02-01T12:00:00Z"), Some(&Tier::Weekly));
        assert_eq!(tiers, BTreeSet::from([Tier::Weekly]));
    }
}
