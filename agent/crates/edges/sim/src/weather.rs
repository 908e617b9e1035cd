//! What goes wrong in the world by itself: outages of a region for hours, throttling, errors that pass.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backstop_model::Span;

use crate::UNPOISONED;
use crate::chance::Chance;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// How rough the weather is. Zero means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climate {
    /// In each region an outage begins on one day in so many.
    pub outage_days: u64,
    /// Longest outage.
    pub outage_max: Span,
    /// One call in so many fails and would go through if repeated.
    pub error_calls: u64,
    /// One call in so many is turned away as one too many.
    pub throttle_calls: u64,
}

impl Climate {
    /// Nothing ever goes wrong.
    pub const CALM: Climate = Climate { outage_days: 0, outage_max: Span::ZERO, error_calls: 0, throttle_calls: 0 };
    /// A bad year: about as much in a week as a good provider has in a year.
    pub const ROUGH: Climate =
        Climate { outage_days: 6, outage_max: Span::from_secs(20 * 3600), error_calls: 400, throttle_calls: 600 };
}

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sky {
    /// It goes through.
    Clear,
    /// The region does not answer.
    Outage,
    /// Too many calls; welcome again after a while.
    Throttled,
    /// It fails before anything happened.
    Error,
    /// It happens, and the answer is lost.
    AnswerLost,
}

/// The weather of a world.
#[derive(Debug)]
pub struct Weather {
    chance: Chance,
    climate: Mutex<Climate>,
    paused: AtomicBool,
    calls: Mutex<BTreeMap<String, u64>>,
    troubles: AtomicU64,
}

impl Weather {
    pub(crate) fn new(chance: Chance, climate: Climate) -> Self {
        let (calls, troubles) = (Mutex::default(), AtomicU64::new(0));
        Self { chance, climate: Mutex::new(climate), paused: AtomicBool::new(false), calls, troubles }
    }

    /// Changes the climate from now on.
    pub fn set_climate(&self, climate: Climate) {
        *self.climate.lock().expect(UNPOISONED) = climate;
    }

    /// Holds all bad weather back, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
    }

    /// How many calls met bad weather so far.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::SeqCst)
    }

    /// Whether a region is out at that time after the beginning of the world.
    #[must_use]
    pub fn is_out(&self, region: &str, at: Span) -> bool {
        let climate = *self.climate.lock().expect(UNPOISONED);
        if self.paused.load(Ordering::SeqCst) {
            return false;
        }
        let (now, days) = (at.as_millis(), climate.outage_max.as_millis() / DAY + 1);
        (0..=days).any(|back| {
            let Some(day) = (now / DAY).checked_sub(back) else { return false };
            let mut dice = self.chance.of(&format!("outage {region} {day}"));
            let begins = dice.one_in(climate.outage_days);
            let start = day * DAY + dice.below(DAY);
            let length = HOUR / 2 + dice.below(climate.outage_max.as_millis());
            begins && (start..start + length).contains(&now)
        })
    }

    /// What a call about a thing in a region meets. Whether it meets trouble depends on how often it was made, so a
    /// repeated call goes through sooner or later.
    pub(crate) fn look(&self, region: &str, call: &str, at: Span) -> Sky {
        if self.paused.load(Ordering::SeqCst) {
            return Sky::Clear;
        }
        if self.is_out(region, at) {
            self.troubles.fetch_add(1, Ordering::SeqCst);
            return Sky::Outage;
        }
        let climate = *self.climate.lock().expect(UNPOISONED);
        let about = format!("{region} {call}");
        let number = {
            let mut calls = self.calls.lock().expect(UNPOISONED);
            let number = calls.entry(about.clone()).or_default();
            *number += 1;
            *number
        };
        let mut dice = self.chance.of(&format!("call {about} {number}"));
        let sky = if dice.one_in(climate.throttle_calls) {
            Sky::Throttled
        } else if dice.one_in(climate.error_calls) {
            if dice.one_in(2) { Sky::Error } else { Sky::AnswerLost }
        } else {
            return Sky::Clear;
        };
        self.troubles.fetch_add(1, Ordering::SeqCst);
        sky
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_come_last_for_hours_and_end() {
        let weather = Weather::new(Chance::new(3), Climate::ROUGH);
        let hours: Vec<bool> = (0..24 * 365).map(|h| weather.is_out("here", Span::from_secs(h * 3600))).collect();
        let out = hours.iter().filter(|out| **out).count();
        let begun = hours.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((40..90).contains(&begun) && out > begun * 4 && out < begun * 20, "{begun} outages, {out} hours");
        let there = (0..24 * 365).filter(|h| weather.is_out("there", Span::from_secs(h * 3600))).count();
        assert_ne!(out, there, "each region has its own");
        weather.pause(true);
        assert!(!(0..24 * 365).any(|h| weather.is_out("here", Span::from_secs(h * 3600))));
    }

    #[test]
    fn a_call_repeated_goes_through() {
        let weather = Weather::new(Chance::new(3), Climate { error_calls: 2, ..Climate::CALM });
        let met: Vec<Sky> = (0..20).map(|_| weather.look("here", "get x", Span::ZERO)).collect();
        assert!(met.contains(&Sky::Clear) && met.contains(&Sky::Error) && met.contains(&Sky::AnswerLost), "{met:?}");
        let again = Weather::new(Chance::new(3), Climate { error_calls: 2, ..Climate::CALM });
        assert_eq!((0..20).map(|_| again.look("here", "get x", Span::ZERO)).collect::<Vec<_>>(), met, "a seed replays");
    }
}
