//! Civil dates: Gregorian, without zones, since questions come in local time already.
//!
//! ```
//! use backstop_policy_sdk::Date;
//!
//! let date = Date::parse("2026-03-31").expect("a date");
//! assert_eq!(date.plus_days(1).to_string(), "2026-04-01");
//! assert_eq!(date.iso_week(), (2026, 14));
//! assert_eq!(date.quarter(), 1);
//! assert_eq!(date.fiscal_quarter(4), (2025, 4)); // the year that began on 1 April 2025 has its last day
//! ```

use std::fmt;

use crate::CivilTime;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Gregorian year.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// A day that exists.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let there = (-9999..=9999).contains(&year) && (1..=12).contains(&month);
        (there && (1..=days_in_month(year, month)).contains(&day)).then_some(Self { year, month, day })
    }

    /// Reads `2026-01-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut digits = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<i32>().ok()
        };
        let (year, month, day) = (digits(4)?, digits(2)?, digits(2)?);
        Self::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// The day of a civil time.
    #[must_use]
    pub fn of(time: &CivilTime) -> Self {
        Self { year: i32::from(time.year), month: time.month, day: time.day }
    }

    /// Days since 1970-01-01, by the algorithm `days_from_civil` of Howard Hinnant's "chrono-compatible low-level date
    /// algorithms": years begin in March, so that the leap day is their last.
    #[must_use]
    pub fn days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day so many days after 1970-01-01; `civil_from_days` of the same source.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        // All three are in range by construction for every day that a question can hold.
        Self { year: year as i32, month: month as u8, day: day as u8 }
    }

    /// So many days later; earlier when negative.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self::from_days(self.days() + days)
    }

    /// 1 (Monday) to 7 (Sunday).
    #[must_use]
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        ((self.days() + 3).rem_euclid(7) + 1) as u8
    }

    /// The week by ISO 8601, which begins on Monday: the year it belongs to, and 1 to 53.
    #[must_use]
    pub fn iso_week(self) -> (i32, u8) {
        let thursday = self.plus_days(4 - i64::from(self.weekday()));
        let first = Self { year: thursday.year, month: 1, day: 1 };
        (thursday.year, ((thursday.days() - first.days()) / 7 + 1) as u8)
    }

    /// Weeks since that of 1970-01-01: a number per week, Monday to Sunday.
    #[must_use]
    pub fn week_number(self) -> i64 {
        (self.days() + 3).div_euclid(7)
    }

    /// Months since January of the year 0: a number per month.
    #[must_use]
    pub fn month_number(self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month) - 1
    }

    /// The quarter of the calendar year, 1 to 4.
    #[must_use]
    pub fn quarter(self) -> u8 {
        (self.month - 1) / 3 + 1
    }

    /// Where the day stands in a fiscal year that begins on the first of a month (1 to 12): the calendar year in which
    /// that fiscal year began, and its quarter, 1 to 4.
    #[must_use]
    pub fn fiscal_quarter(self, first_month: u8) -> (i32, u8) {
        let since = (self.month + 12 - first_month.clamp(1, 12)) % 12;
        (self.year - i32::from(self.month < first_month), since / 3 + 1)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// 28 to 31.
#[must_use]
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// An instant in UTC, as `2026-01-31T02:00:00Z`.
#[must_use]
pub fn rfc3339(instant: i64) -> String {
    let (date, second) = (Date::from_days(instant.div_euclid(86_400)), instant.rem_euclid(86_400));
    format!("{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_for_eight_centuries() {
        let mut date = Date { year: 1600, month: 1, day: 1 };
        let mut weekday = 6; // a Saturday
        for days in date.days()..date.days() + 800 * 366 {
            assert_eq!(Date::from_days(days), date, "{days}");
            assert_eq!((date.days(), date.weekday()), (days, weekday), "{date}");
            weekday = weekday % 7 + 1;
            date.day += 1;
            if date.day > days_in_month(date.year, date.month) {
                (date.day, date.month) = (1, date.month + 1);
            }
            if date.month > 12 {
                (date.month, date.year) = (1, date.year + 1);
            }
        }
        assert_eq!(Date { year: 1970, month: 1, day: 1 }.days(), 0);
    }

    #[test]
    fn iso_weeks_are_those_of_the_standard() {
        let week = |text: &str| Date::parse(text).expect(text).iso_week();
        assert_eq!(week("2026-01-01"), (2026, 1));
        assert_eq!(week("2027-01-01"), (2026, 53));
        assert_eq!(week("2024-12-30"), (2025, 1));
        assert_eq!(week("2021-01-03"), (2020, 53));
        assert_eq!(week("2021-01-04"), (2021, 1));
    }

    #[test]
    fn a_week_has_one_number_and_seven_days() {
        let monday = Date::parse("2026-01-05").expect("a date");
        for day in 0..7 {
            assert_eq!(monday.plus_days(day).week_number(), monday.week_number());
        }
        assert_eq!(monday.plus_days(7).week_number(), monday.week_number() + 1);
        assert_eq!(monday.plus_days(-1).week_number(), monday.week_number() - 1);
    }

    #[test]
    fn fiscal_years_begin_where_they_are_told() {
        let quarter = |text: &str, first| Date::parse(text).expect(text).fiscal_quarter(first);
        assert_eq!(quarter("2026-01-01", 1), (2026, 1));
        assert_eq!(quarter("2026-12-31", 1), (2026, 4));
        assert_eq!(quarter("2026-03-31", 4), (2025, 4));
        assert_eq!(quarter("2026-04-01", 4), (2026, 1));
        assert_eq!(quarter("2026-09-30", 10), (2025, 4));
        assert_eq!(quarter("2026-10-01", 10), (2026, 1));
        assert_eq!(quarter("2026-11-30", 12), (2025, 4));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for bad in ["2026-02-29", "2026-13-01", "2026-1-01", "2026-01-32", "", "2026-01-01x", "+026-01-01"] {
            assert_eq!(Date::parse(bad), None, "{bad}");
        }
        assert!(Date::parse("2024-02-29").is_some());
    }

    #[test]
    fn instants_before_1970_have_dates_too() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(1_772_330_400), "2026-03-01T02:00:00Z");
    }
}
