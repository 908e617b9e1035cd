//! The calendar contract: when periods begin, when their backups are due, and what a changed clock does.
//!
//! Time is cut, per tier, into periods that follow each other without gap or overlap: days, weeks beginning on the
//! configured day, months — all in the schedule's time zone. A period begins at the first instant that bears its
//! first date there. That makes every question below one of comparing instants, whatever the zone's clocks do:
//!
//! - A due time that a clock change skips becomes the first instant after the gap; a repeated one is its first
//!   occurrence. Should the gap reach into the next period, the due time is ten minutes before the end of its own.
//! - A date that does not exist in the zone (the day Apia left out) is an empty period: nothing is due in it.
//! - A period is served by a backup taken in it. A period that passed without one is served by the first backup after
//!   it, so one catch-up run replaces all that were missed.
//! - What counts is the backups that exist, never a timer. So whichever way the clock jumps, a period that has its
//!   backup gets no second one, and one that has none gets it. A backup dated in a period later than the present one
//!   does not count: it is the work of a wrong clock, or of somebody who wants real backups to be skipped.

use backstop_model::config::{Schedule, TimeOfDay, Weekday};
use backstop_model::policy::CivilTime;
use backstop_model::{Advice, Backup, BackupState, CopyState, ExitCode, Fault, Span, Tier, Timestamp};
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// How far a backup may be dated after now and still count as plausible: clocks of two machines differ a little.
pub const CLOCK_TOLERANCE: Span = Span::from_secs(300);

/// Whether an instant lies further ahead of `now` than clocks may differ.
#[must_use]
pub fn is_future(instant: Timestamp, now: Timestamp) -> bool {
    instant > CLOCK_TOLERANCE.after(now)
}

/// The length of a tier's periods, and on which of its days the backup is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cycle {
    /// A calendar day.
    Day,
    /// Seven days, of which the given one is the first.
    Week(Weekday),
    /// A calendar month; due on the given day of it (1 to 28).
    Month(u8),
}

/// What a schedule says about one kept tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The tier.
    pub tier: Tier,
    /// Its periods.
    pub cycle: Cycle,
    /// The local time at which its backup is due.
    pub at: TimeOfDay,
    /// Distinct periods kept, at least 1.
    pub keep: u32,
}

/// A day, week or month, named by its first date. Periods of one rule compare by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The first date of the period in the schedule's zone.
    pub first: Date,
}

/// The present as one rule sees it: every boundary that deciding needs, as instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the present period began.
    pub begins: Timestamp,
    /// When the next one begins.
    pub ends: Timestamp,
    /// When the newest period that has come due began.
    pub owed_begins: Timestamp,
    /// When that period came due; not after now.
    pub owed: Timestamp,
    /// When the next backup is due, given that the owed one was made.
    pub next: Timestamp,
}

/// A schedule's rules in its time zone. Cheap to clone; build one per schedule and keep it.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    rules: Vec<Rule>,
}

impl Calendar {
    /// The calendar of a schedule. A tier that keeps nothing has no rule.
    ///
    /// # Errors
    /// When the time zone has no such name in the zone data built into the program.
    pub fn of(schedule: &Schedule) -> Result<Self, Fault> {
        let zone = TimeZone::get(&schedule.timezone).map_err(|_| {
            Fault::new(
                ExitCode::BadConfiguration,
                Advice::FixConfiguration,
                format!("schedule `{}` names the unknown time zone `{}`", schedule.name, schedule.timezone),
                "use an IANA name such as `UTC` or `Europe/Berlin`",
            )
        })?;
        let daily = schedule.daily.map(|d| Rule { tier: Tier::Daily, cycle: Cycle::Day, at: d.at, keep: d.keep });
        let weekly =
            schedule.weekly.map(|w| Rule { tier: Tier::Weekly, cycle: Cycle::Week(w.on), at: w.at, keep: w.keep });
        let monthly =
            schedule.monthly.map(|m| Rule { tier: Tier::Monthly, cycle: Cycle::Month(m.on), at: m.at, keep: m.keep });
        Ok(Self { zone, rules: [daily, weekly, monthly].into_iter().flatten().filter(|r| r.keep > 0).collect() })
    }

    /// The kept tiers, shortest period first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// An instant as the clocks of the zone show it.
    #[must_use]
    pub fn civil(&self, instant: Timestamp) -> CivilTime {
        CivilTime::of(&instant.to_zoned(self.zone.clone()))
    }

    /// The period an instant belongs to.
    #[must_use]
    pub fn period(&self, rule: &Rule, instant: Timestamp) -> Period {
        let mut date = self.zone.to_datetime(instant).date();
        // Clocks set back across midnight show yesterday's date again; the new day has begun all the same.
        let tomorrow = date.tomorrow().unwrap_or(Date::MAX);
        if self.first_instant(tomorrow) <= instant {
            date = tomorrow;
        }
        let first = match rule.cycle {
            Cycle::Day => date,
            Cycle::Week(on) => {
                let since = (date.weekday().to_monday_zero_offset() - monday_offset(on)).rem_euclid(7);
                step(date, -i64::from(since))
            }
            Cycle::Month(_) => date.first_of_month(),
        };
        Period { first }
    }

    /// The first instant of a period.
    #[must_use]
    pub fn begins(&self, period: Period) -> Timestamp {
        self.first_instant(period.first)
    }

    /// The period after the given one.
    #[must_use]
    pub fn after(&self, rule: &Rule, period: Period) -> Period {
        Period { first: shift(rule, period.first, 1) }
    }

    /// The period so many after (or, negative, before) the given one.
    #[must_use]
    pub fn shifted(&self, rule: &Rule, period: Period, count: i64) -> Period {
        Period { first: shift(rule, period.first, count) }
    }

    /// When the period's backup is due, always within the period; `None` for a date the zone never had.
    #[must_use]
    pub fn due_at(&self, rule: &Rule, period: Period) -> Option<Timestamp> {
        let (begins, ends) = (self.begins(period), self.begins(self.after(rule, period)));
        if begins >= ends {
            return None;
        }
        let day = match rule.cycle {
            Cycle::Day | Cycle::Week(_) => period.first,
            Cycle::Month(on) => step(period.first, i64::from(on.clamp(1, 28)) - 1),
        };
        let wanted = self.first_occurrence(day.at(hour(rule.at), minute(rule.at), 0, 0));
        // A clock change may skip the wanted time and all of the period after it. Ten minutes before the end is late
        // enough to be the end, and early enough for whoever looks every few minutes.
        let latest = if wanted < ends { wanted } else { Span::from_secs(600).before(ends) };
        Some(latest.max(begins))
    }

    /// The boundaries around `now`.
    #[must_use]
    pub fn window(&self, rule: &Rule, now: Timestamp) -> Window {
        let present = self.period(rule, now);
        let (begins, ends) = (self.begins(present), self.begins(self.after(rule, present)));
        let (mut owed_period, mut next) = (present, Timestamp::MAX);
        let owed = loop {
            match self.due_at(rule, owed_period) {
                Some(due) if due <= now => break due,
                Some(due) => next = due,
                None => {}
            }
            let before = self.shifted(rule, owed_period, -1);
            if before == owed_period {
                break Timestamp::MIN;
            }
            owed_period = before;
        };
        let mut later = present;
        while next == Timestamp::MAX && later.first < Date::MAX {
            later = self.after(rule, later);
            next = self.due_at(rule, later).unwrap_or(Timestamp::MAX);
        }
        Window { begins, ends, owed_begins: self.begins(owed_period), owed, next }
    }

    /// The first instant whose local date is `date` or later.
    fn first_instant(&self, date: Date) -> Timestamp {
        self.first_occurrence(date.at(0, 0, 0, 0))
    }

    /// The first instant that shows this local time or, where none does, the first one after the gap.
    fn first_occurrence(&self, local: DateTime) -> Timestamp {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let held = |instant: Result<Timestamp, jiff::Error>| {
            instant.unwrap_or(if local.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
        };
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => held(offset.to_timestamp(local)),
            AmbiguousOffset::Fold { before, .. } => held(before.to_timestamp(local)),
            AmbiguousOffset::Gap { before, after } => {
                // Read with the offset after the gap, the time lies before the change; so the change is what follows.
                let earlier = held(after.to_timestamp(local));
                let change = self.zone.following(earlier).find(|change| change.offset() == after);
                change.map_or_else(|| held(before.to_timestamp(local)), |change| change.timestamp())
            }
        }
    }
}

/// Whether the rule's owed period still lacks its backup.
///
/// Served means: a backup that holds the tier was taken since the owed period began, or any backup was taken since it
/// came due — a policy that withholds a tier must not make the agent back up without end. Backups dated after the
/// present period, and those that were lost, do not count. Released ones do: somebody wanted them gone.
#[must_use]
pub fn is_owed(rule: &Rule, window: &Window, backups: &[Backup]) -> bool {
    !backups.iter().any(|backup| {
        backup.created < window.ends
            && backup.created >= window.owed_begins
            && (backup.created >= window.owed || backup.tiers.contains(&rule.tier))
            && exists(backup)
    })
}

/// Whether a backup of the present period already holds the rule's tier.
#[must_use]
pub fn is_served(rule: &Rule, window: &Window, backups: &[Backup]) -> bool {
    backups.iter().any(|backup| {
        backup.created < window.ends
            && backup.created >= window.begins
            && backup.tiers.contains(&rule.tier)
            && exists(backup)
    })
}

/// Kept with a copy somewhere, or gone because somebody released it.
fn exists(backup: &Backup) -> bool {
    match backup.state {
        BackupState::Present => backup.copies.iter().any(|copy| copy.state == CopyState::Present),
        BackupState::Trashed { .. } | BackupState::Purged { .. } => true,
    }
}

fn shift(rule: &Rule, first: Date, count: i64) -> Date {
    match rule.cycle {
        Cycle::Day => step(first, count),
        Cycle::Week(_) => step(first, count.saturating_mul(7)),
        Cycle::Month(_) => {
            let months = i64::from(first.year()) * 12 + i64::from(first.month()) - 1 + count;
            let year = i16::try_from(months.div_euclid(12)).ok();
            let month = i8::try_from(months.rem_euclid(12) + 1).expect("a remainder by 12 fits");
            year.and_then(|year| Date::new(year, month, 1).ok()).unwrap_or(held(count))
        }
    }
}

/// The date so many days on, held at the ends of the calendar.
fn step(date: Date, days: i64) -> Date {
    jiff::Span::new().try_days(days).and_then(|days| date.checked_add(days)).unwrap_or(held(days))
}

const fn held(direction: i64) -> Date {
    if direction < 0 { Date::MIN } else { Date::MAX }
}

const fn monday_offset(day: Weekday) -> i8 {
    match day {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}

fn hour(at: TimeOfDay) -> i8 {
    i8::try_from(at.hour.min(23)).expect("at most 23")
}

fn minute(at: TimeOfDay) -> i8 {
    i8::try_from(at.minute.min(59)).expect("at most 59")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{backup, clock, schedule, t};
    use crate::tiers;

    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "America/St_Johns",
        "America/Nuuk",
        "America/Havana",
        "Asia/Kathmandu",
        "Asia/Beirut",
        "Pacific/Kwajalein",
    ];

    fn calendar(zone: &str, at: (u8, u8)) -> Calendar {
        let mut schedule = schedule(zone);
        schedule.daily.as_mut().expect("daily").at = clock(at.0, at.1);
        Calendar::of(&schedule).expect("known zone")
    }

    fn daily_due(zone: &str, at: (u8, u8), day: &str) -> Option<Timestamp> {
        let calendar = calendar(zone, at);
        calendar.due_at(&calendar.rules()[0], Period { first: day.parse().expect("a date") })
    }

    #[test]
    fn an_unknown_zone_is_a_fault_that_names_it() {
        let fault = Calendar::of(&schedule("Mars/Olympus")).expect_err("no such zone");
        assert!(fault.message.contains("Mars/Olympus"), "{fault}");
    }

    #[test]
    fn a_skipped_time_is_due_at_the_first_instant_after_the_gap() {
        assert_eq!(daily_due("Europe/Berlin", (2, 30), "2026-03-29"), Some(t("2026-03-29T01:00:00Z")));
        assert_eq!(daily_due("Australia/Lord_Howe", (2, 10), "2026-10-04"), Some(t("2026-10-03T15:30:00Z")));
    }

    #[test]
    fn a_repeated_time_is_due_at_its_first_occurrence() {
        assert_eq!(daily_due("Europe/Berlin", (2, 30), "2026-10-25"), Some(t("2026-10-25T00:30:00Z")));
        assert_eq!(daily_due("America/New_York", (1, 30), "2026-11-01"), Some(t("2026-11-01T05:30:00Z")));
    }

    #[test]
    fn a_gap_that_reaches_midnight_leaves_the_due_time_in_its_own_day() {
        let calendar = calendar("America/Nuuk", (23, 30));
        let day = Period { first: "2024-03-30".parse().expect("a date") };
        let ends = calendar.begins(calendar.after(&calendar.rules()[0], day));
        assert_eq!(calendar.due_at(&calendar.rules()[0], day), Some(Span::from_secs(600).before(ends)));
    }

    #[test]
    fn a_date_the_zone_never_had_is_never_due() {
        assert_eq!(daily_due("Pacific/Apia", (2, 0), "2011-12-30"), None);
        assert_eq!(daily_due("Pacific/Apia", (2, 0), "2011-12-31"), Some(t("2011-12-30T12:00:00Z")));
        let calendar = calendar("Pacific/Apia", (2, 0));
        let window = calendar.window(&calendar.rules()[0], t("2011-12-30T10:30:00Z"));
        assert_eq!(window.owed_begins, t("2011-12-29T10:00:00Z"), "the 31st owes nothing before 02:00; the 29th does");
    }

    #[test]
    fn a_week_begins_on_the_configured_day_and_a_month_on_the_first() {
        let calendar = calendar("UTC", (2, 0));
        let [_, weekly, monthly] = calendar.rules() else { panic!("three tiers") };
        let friday = t("2026-01-02T12:00:00Z");
        assert_eq!(calendar.period(weekly, friday).first.to_string(), "2025-12-28");
        assert_eq!(calendar.period(monthly, friday).first.to_string(), "2026-01-01");
        let december = calendar.shifted(monthly, calendar.period(monthly, friday), -1);
        assert_eq!(december.first.to_string(), "2025-12-01");
        assert_eq!(calendar.due_at(monthly, december), Some(t("2025-12-01T04:00:00Z")));
    }

    #[test]
    fn a_backup_dated_in_a_later_period_does_not_serve_this_one() {
        let calendar = calendar("UTC", (2, 0));
        let daily = &calendar.rules()[0];
        let window = calendar.window(daily, t("2026-05-05T12:00:00Z"));
        let planted = backup("planted", t("2026-05-06T00:01:00Z"), &[Tier::Daily]);
        assert!(is_owed(daily, &window, &[planted]));
        assert!(!is_owed(daily, &window, &[backup("real", t("2026-05-05T00:01:00Z"), &[Tier::Daily])]));
    }

    #[test]
    fn a_withheld_tier_is_not_asked_for_again_once_a_backup_was_taken_for_it() {
        let calendar = calendar("UTC", (2, 0));
        let weekly = &calendar.rules()[1];
        let window = calendar.window(weekly, t("2026-05-03T03:05:00Z"));
        assert!(is_owed(weekly, &window, &[backup("before", t("2026-05-03T02:00:00Z"), &[Tier::Daily])]));
        assert!(!is_owed(weekly, &window, &[backup("for-it", t("2026-05-03T03:01:00Z"), &[Tier::Daily])]));
    }

    /// Lives through `readings` of the clock, backing up whenever some tier is owed. Returns the backups.
    fn live(calendar: &Calendar, readings: impl Iterator<Item = Timestamp>) -> Vec<Backup> {
        let mut backups: Vec<Backup> = Vec::new();
        for now in readings {
            let owed = calendar.rules().iter().any(|rule| is_owed(rule, &calendar.window(rule, now), &backups));
            if owed {
                let tiers: Vec<Tier> = tiers::of_backup_now(calendar, &backups, now, None).into_iter().collect();
                let name = format!("b{}", backups.len());
                backups.push(backup(&name, now, &tiers));
            }
        }
        backups
    }

    fn holders(calendar: &Calendar, rule: &Rule, backups: &[Backup]) -> Vec<Period> {
        let mut periods: Vec<Period> =
            backups.iter().filter(|b| b.tiers.contains(&rule.tier)).map(|b| calendar.period(rule, b.created)).collect();
        periods.sort();
        periods
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Periods tile time, and each that exists has exactly one due instant, inside it.
        #[test]
        fn each_local_period_has_one_due_instant_inside_it(
            zone in proptest::sample::select(&ZONES[..]),
            hour in 0u8..24, minute in 0u8..60, start in 0i64..1_900_000_000,
        ) {
            let calendar = calendar(zone, (hour, minute));
            for rule in calendar.rules() {
                let mut period = calendar.period(rule, Timestamp::from_second(start).expect("in range"));
                for _ in 0..60 {
                    let (begins, next) = (calendar.begins(period), calendar.after(rule, period));
                    let ends = calendar.begins(next);
                    match calendar.due_at(rule, period) {
                        Some(due) => {
                            prop_assert!(begins <= due && due < ends, "{zone} {period:?}: {begins} {due} {ends}");
                            for inside in [begins, due, Span::from_millis(1).before(ends)] {
                                prop_assert_eq!(calendar.period(rule, inside), period, "{} {}", zone, inside);
                            }
                        }
                        None => prop_assert_eq!(begins, ends),
                    }
                    prop_assert_eq!(calendar.shifted(rule, next, -1), period);
                    period = next;
                }
            }
        }

        /// Polled every few minutes for weeks across a clock change, every tier gets one backup per period, on time.
        #[test]
        fn polling_across_clock_changes_makes_one_backup_per_period(
            (zone, from) in proptest::sample::select(&[
                ("Europe/Berlin", "2026-03-20T00:00:00Z"), ("Europe/Berlin", "2026-10-16T00:00:00Z"),
                ("America/New_York", "2026-03-01T00:00:00Z"), ("America/New_York", "2026-10-25T00:00:00Z"),
                ("Australia/Lord_Howe", "2026-03-28T00:00:00Z"), ("Australia/Lord_Howe", "2026-09-27T00:00:00Z"),
                ("Pacific/Apia", "2011-12-22T00:00:00Z"), ("Africa/Casablanca", "2026-02-08T00:00:00Z"),
                ("Africa/Casablanca", "2026-03-15T00:00:00Z"), ("America/Nuuk", "2026-03-21T00:00:00Z"),
                ("America/St_Johns", "2010-11-01T00:00:00Z"), ("UTC", "2026-12-25T00:00:00Z"),
            ][..]),
            hour in 0u8..24, minute in 0u8..50, poll_seconds in 60i64..420, offset in 0i64..420,
        ) {
            let calendar = calendar(zone, (hour, minute));
            let begin = t(from).as_second() + offset;
            let readings = (0..21 * 86_400 / poll_seconds)
                .map(|i| Timestamp::from_second(begin + i * poll_seconds).expect("in range"));
            let last = readings.clone().next_back().expect("some");
            let backups = live(&calendar, readings);
            for rule in calendar.rules() {
                let periods = holders(&calendar, rule, &backups);
                prop_assert!(periods.windows(2).all(|p| p[0] < p[1]), "{zone} {}: twice: {periods:?}", rule.tier);
                for pair in periods.windows(2) {
                    let mut next = calendar.after(rule, pair[0]);
                    while calendar.due_at(rule, next).is_none() {
                        next = calendar.after(rule, next);
                    }
                    prop_assert_eq!(next, pair[1], "{} {}: dropped", zone, rule.tier.clone());
                }
                prop_assert!(!is_owed(rule, &calendar.window(rule, last), &backups));
            }
            // On time: after the first (taken at once), each day's backup falls within one poll of its due instant.
            let daily = &calendar.rules()[0];
            for b in backups.iter().skip(2).filter(|b| b.tiers.contains(&Tier::Daily)) {
                let due = calendar.due_at(daily, calendar.period(daily, b.created)).expect("a real day");
                let late = b.created.as_second() - due.as_second();
                prop_assert!(late < poll_seconds, "{zone}: {late} s late");
            }
        }

        /// However the clock jumps, no period gets two, and one whose due time was seen is never left without.
        #[test]
        fn a_jumping_clock_never_doubles_nor_drops_a_period(
            zone in proptest::sample::select(&ZONES[..]),
            jumps in proptest::collection::vec((-200_000i64..260_000, 1usize..40), 1..40),
        ) {
            let calendar = calendar(zone, (2, 0));
            let mut second = t("2026-03-20T00:00:00Z").as_second();
            let mut readings = Vec::new();
            for (jump, polls) in jumps {
                second += jump;
                for _ in 0..polls {
                    second += 300;
                    readings.push(Timestamp::from_second(second).expect("in range"));
                }
            }
            let backups = live(&calendar, readings.iter().copied());
            for rule in calendar.rules() {
                let periods = holders(&calendar, rule, &backups);
                prop_assert!(periods.windows(2).all(|p| p[0] < p[1]), "{zone} {}: twice: {periods:?}", rule.tier);
                for now in &readings {
                    let period = calendar.period(rule, *now);
                    if calendar.due_at(rule, period).is_some_and(|due| due <= *now) {
                        prop_assert!(periods.contains(&period), "{zone} {}: dropped {period:?}", rule.tier);
                    }
                }
            }
        }
    }

    #[test]
    fn one_catch_up_run_replaces_all_that_were_missed() {
        let calendar = calendar("Europe/Berlin", (2, 0));
        let up = |from: &str, hours: i64| {
            let from = t(from).as_second();
            (0..hours * 12).map(move |i| Timestamp::from_second(from + i * 300).expect("in range"))
        };
        // Up until the 10th, down for twelve days, up at one in the morning.
        let backups = live(&calendar, up("2026-05-09T12:00:00Z", 24).chain(up("2026-05-22T23:00:00Z", 12)));
        let dates: Vec<String> = backups.iter().map(|b| b.created.to_string()).collect();
        assert_eq!(dates, ["2026-05-09T12:00:00Z", "2026-05-10T00:00:00Z", "2026-05-22T23:00:00Z"]);
    }
}
