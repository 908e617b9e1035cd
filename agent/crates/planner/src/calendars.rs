//! One calendar per distinct schedule: workloads carry their schedule by value, mostly the same few.

use std::collections::HashMap;

use backstop_model::config::Schedule;
use backstop_model::{Fault, Timestamp};

use crate::calendar::{Calendar, Window};

/// A calendar and the boundaries around the present, shared by every workload with the same schedule.
pub struct Present {
    /// The calendar.
    pub calendar: Calendar,
    /// The boundaries, one for each of its rules.
    pub windows: Vec<Window>,
}

/// What tells the calendars of two schedules apart: zone, then per tier what was set of it as small numbers.
/// Workloads override parts of a schedule, so its name does not tell.
pub type CalendarKey<'a> = (&'a str, [u32; 10]);

/// The key of a schedule's calendar.
#[must_use]
pub fn key(schedule: &Schedule) -> CalendarKey<'_> {
    (schedule.timezone.as_str(), numbers(schedule))
}

/// The distinct calendars.
#[derive(Default)]
pub struct Calendars<'a> {
    known: HashMap<CalendarKey<'a>, usize>,
    all: Vec<Present>,
}

impl<'a> Calendars<'a> {
    /// The calendar of a schedule, made at its first use. `now` is the same in every call.
    ///
    /// # Errors
    /// A time zone that is unknown.
    pub fn of(&mut self, schedule: &'a Schedule, now: Timestamp) -> Result<&Present, Fault> {
        let key = key(schedule);
        if let Some(at) = self.known.get(&key) {
            return Ok(&self.all[*at]);
        }
        let calendar = Calendar::of(schedule)?;
        let windows = calendar.rules().iter().map(|rule| calendar.window(rule, now)).collect();
        self.known.insert(key, self.all.len());
        self.all.push(Present { calendar, windows });
        Ok(self.all.last().expect("just pushed"))
    }
}

/// What distinguishes two calendars of one zone, as numbers; an absent tier has `keep` 0 and so has no rule.
fn numbers(schedule: &Schedule) -> [u32; 10] {
    let mut out = [0; 10];
    if let Some(daily) = schedule.daily {
        out[..3].copy_from_slice(&[daily.keep, daily.at.hour.into(), daily.at.minute.into()]);
    }
    if let Some(weekly) = schedule.weekly {
        out[3..6].copy_from_slice(&[weekly.keep, weekly.at.hour.into(), weekly.at.minute.into()]);
        out[6] = weekly.on as u32;
    }
    if let Some(monthly) = schedule.monthly {
        let minute_of_month =
            (u32::from(monthly.on) * 24 + u32::from(monthly.at.hour)) * 60 + u32::from(monthly.at.minute);
        out[7..9].copy_from_slice(&[monthly.keep, minute_of_month]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::schedule;

    #[test]
    fn each_distinct_schedule_has_its_own_calendar() {
        let base = schedule("UTC");
        let mut others = vec![base.clone(); 8];
        others[0].daily.as_mut().expect("set").at.minute = 1;
        others[1].daily = None;
        others[2].weekly.as_mut().expect("set").on = backstop_model::config::Weekday::Monday;
        others[3].weekly.as_mut().expect("set").keep = 5;
        others[4].monthly.as_mut().expect("set").on = 2;
        others[5].monthly.as_mut().expect("set").at.hour = 5;
        others[6].monthly = None;
        others[7].daily.as_mut().expect("set").keep = 8;
        let mut keys: Vec<[u32; 10]> = others.iter().chain([&base]).map(numbers).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }
}
