//! World `retention`: how long backups live.

use std::marker::PhantomData;

use crate::period::DAY;
use crate::{Date, Period};

pub use crate::wit::retention::exports::backstop::policy::retention_rules::{
    Backup, ReleaseQuestion, TiersAnswer, TiersQuestion, Verdict,
};

/// Decides how long backups live. Pure: the same question always gets the same answer. What is not implemented has the
/// answer that changes nothing.
pub trait Retention {
    /// The tiers of a backup that is about to be made, beside those of the calendar.
    ///
    /// # Errors
    /// When no answer is found: the calendar alone decides, and the operator is alerted.
    fn tiers(question: &TiersQuestion) -> Result<TiersAnswer, String> {
        let _ = question;
        Ok(TiersAnswer::none())
    }

    /// Which backups may be released. Those without a verdict are kept.
    ///
    /// # Errors
    /// When no answer is found: everything is kept, and the operator is alerted.
    fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        let _ = question;
        Ok(Vec::new())
    }
}

impl TiersAnswer {
    /// No tier beside those of the calendar.
    #[must_use]
    pub fn none() -> Self {
        Self { tiers: Vec::new(), reason: String::new() }
    }
}

impl Verdict {
    /// It stays.
    #[must_use]
    pub fn keep(position: usize, reason: impl Into<String>) -> Self {
        Self { backup: position as u32, release: false, reason: reason.into() }
    }

    /// It may go, if everybody else agrees.
    #[must_use]
    pub fn release(position: usize, reason: impl Into<String>) -> Self {
        Self { backup: position as u32, release: true, reason: reason.into() }
    }
}

impl Backup {
    /// The number of the local day in which it was made; 0 is 1970-01-01.
    #[must_use]
    pub fn day(&self) -> i64 {
        self.local.div_euclid(DAY)
    }

    /// The local day in which it was made.
    #[must_use]
    pub fn date(&self) -> Date {
        Date::from_days(self.day())
    }
}

/// What both questions have.
pub trait Question {
    /// The present, in seconds since 1970.
    fn now(&self) -> i64;

    /// The names of the tiers by bit.
    fn tier_names(&self) -> &[String];

    /// The kept backups, oldest first.
    fn backups(&self) -> &[Backup];

    /// The names of the backups, in their order.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// The name of the backup at a position. Counts from the first; for many, walk along [`names`](Self::names).
    fn name_of(&self, position: usize) -> Option<&str> {
        self.names().nth(position)
    }

    /// The bit of a tier, as a mask for [`Backup::tiers`]; 0, which no backup has, when no backup holds it.
    fn tier(&self, name: &str) -> u32 {
        self.tier_names().iter().position(|known| known == name).map_or(0, |bit| 1 << bit)
    }

    /// The backups with their positions, oldest first, without those dated in the future: those count toward nothing,
    /// and get no verdict, so that a wrong clock lets nothing go.
    fn past(&self) -> impl DoubleEndedIterator<Item = (usize, &Backup)> {
        let now = self.now();
        self.backups().iter().enumerate().filter(move |(_, backup)| backup.created <= now)
    }

    /// What stands for the newest periods: by each rule, of the newest so many periods that have a past backup that
    /// counts, the first such backup. The first of its period stays the first when others go, so the choice does not
    /// move from day to day.
    ///
    /// Returns for every backup the rules that it stands for: bit `i` for rule `i`, of at most 32.
    ///
    /// ```
    /// # use backstop_policy_sdk::{Level, Period, period::DAY, retention::{Backup, Question}};
    /// # struct Asked(Vec<Backup>);
    /// # impl Question for Asked {
    /// #     fn now(&self) -> i64 { i64::MAX }
    /// #     fn tier_names(&self) -> &[String] { &[] }
    /// #     fn backups(&self) -> &[Backup] { &self.0 }
    /// #     fn names(&self) -> impl Iterator<Item = &str> { [].into_iter() }
    /// # }
    /// # let backup = |local| Backup { created: local, local, tiers: 0, size: 0, complete: true, held: false,
    /// #     level: Level::Present, copies: 1, offsite: false, releasable: true };
    /// let hours = [240, 252, 264, 288, 300]; // since 1970 began: days 10, 10, 11, 12, 12; day 11 is a Monday
    /// let question = Asked(hours.map(|hour| backup(hour * 3600)).into());
    /// let stands_for = question.firsts(&[(2, Period::Day), (2, Period::Week)], |backup| backup.complete);
    /// assert_eq!(stands_for, [0b10, 0, 0b11, 0b01, 0]);
    /// ```
    fn firsts(&self, rules: &[(usize, Period)], counts: impl Fn(&Backup) -> bool) -> Vec<u32> {
        let mut stands_for = vec![0; self.backups().len()];
        let mut going: Vec<Going> = rules.iter().enumerate().map(Going::of).collect();
        // The backup before this one; before all, a position that there is not.
        let mut previous = usize::MAX;
        // Until local time gets below, all rules are in the same period as before.
        let mut nearest = i64::MAX;
        for (position, backup) in self.past().rev().filter(|(_, backup)| counts(backup)) {
            if backup.local < nearest {
                going.retain_mut(|rule| rule.goes_on(previous, backup.local, &mut stands_for));
                let Some(begin) = going.iter().map(|rule| rule.begin).max() else { return stands_for };
                nearest = begin;
            }
            previous = position;
        }
        for rule in going {
            rule.mark(previous, &mut stands_for);
        }
        stands_for
    }
}

/// A rule on its way from the newest backup to the oldest. What a period is, is worked out once for each.
struct Going {
    bit: u32,
    period: Period,
    /// How many more periods it keeps.
    left: usize,
    /// When the period began that it is in.
    begin: i64,
}

impl Going {
    fn of((number, (count, period)): (usize, &(usize, Period))) -> Self {
        Self { bit: 1 << number, period: *period, left: *count, begin: i64::MAX }
    }

    /// Where a period ends, the backup before was its first. False when all its periods are done. A clock that was set
    /// back is no way into a later period.
    fn goes_on(&mut self, previous: usize, local: i64, stands_for: &mut [u32]) -> bool {
        if local < self.begin {
            self.mark(previous, stands_for);
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            self.begin = self.period.begin(local);
        }
        true
    }

    fn mark(&self, first: usize, stands_for: &mut [u32]) {
        if let Some(mark) = stands_for.get_mut(first) {
            *mark |= self.bit;
        }
    }
}

impl Question for ReleaseQuestion {
    fn now(&self) -> i64 {
        self.now
    }
    fn tier_names(&self) -> &[String] {
        &self.tier_names
    }
    fn backups(&self) -> &[Backup] {
        &self.backups
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.lines()
    }
}

impl Question for TiersQuestion {
    fn now(&self) -> i64 {
        self.now
    }
    fn tier_names(&self) -> &[String] {
        &self.tier_names
    }
    fn backups(&self) -> &[Backup] {
        &self.backups
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.lines()
    }
}

/// Carries a policy to the functions that the component exports.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Retention> crate::wit::retention::exports::backstop::policy::retention_rules::Guest for Exported<P> {
    fn tiers(question: TiersQuestion) -> Result<TiersAnswer, String> {
        P::tiers(&question)
    }
    fn release(question: ReleaseQuestion) -> Result<Vec<Verdict>, String> {
        P::release(&question)
    }
}

/// Exports a type that implements [`Retention`](crate::retention::Retention) as this component's policy, and tests it
/// against `cases/*.toml`.
#[macro_export]
macro_rules! retention {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $crate::retention::Exported<$policy>;
    $crate::wit::retention::export_retention!(Exported with_types_in $crate::wit::retention);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: &$crate::golden::Ask = &$crate::golden::retention::<$policy>;

        #[cfg(all(test, not(target_family = "wasm")))]
        #[test]
        fn every_golden_case_is_answered_as_written() {
            $crate::golden::check(env!("CARGO_MANIFEST_DIR"), &$crate::golden::retention::<$policy>);
        }
    };
}
