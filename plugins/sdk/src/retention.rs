//! World `retention`: how long backups live.

use std::marker::PhantomData;

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

/// What both questions have.
pub trait Question {
    /// The present, in seconds since 1970.
    fn now(&self) -> i64;

    /// The names of the tiers by bit.
    fn tier_names(&self) -> &[String];

    /// The kept backups, oldest first.
    fn backups(&self) -> &[Backup];

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
}

/// Marks the backups that stand for the newest periods: of each of the newest `count` distinct periods, the first
/// backup that fits. Periods are numbers that grow with time, as [`Date::week_number`](crate::Date::week_number). The
/// first of its period stays the first when others go, so the choice does not move from day to day.
///
/// Returns positions in the question, newest first.
///
/// ```
/// # use backstop_policy_sdk::retention::first_of_newest_periods;
/// let days = [(0, 10), (1, 10), (2, 11), (3, 12), (4, 12)];
/// let kept = first_of_newest_periods(days.into_iter(), 2);
/// assert_eq!(kept, [3, 2]); // of days 12 and 11, the first each
/// ```
#[must_use]
pub fn first_of_newest_periods(
    oldest_first: impl DoubleEndedIterator<Item = (usize, i64)>,
    count: usize,
) -> Vec<usize> {
    let mut chosen: Vec<(usize, i64)> = Vec::new();
    for (position, period) in oldest_first.rev() {
        let full = chosen.len() == count;
        match chosen.last_mut() {
            Some(last) if last.1 == period => last.0 = position,
            _ if full => break,
            _ => chosen.push((position, period)),
        }
    }
    chosen.into_iter().map(|(position, _)| position).collect()
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
