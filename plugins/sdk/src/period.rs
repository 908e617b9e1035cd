//! Periods of the local calendar: days, weeks, months, quarters, years.
//!
//! ```
//! use backstop_policy_sdk::{Date, Period};
//!
//! let local = Date::parse("2026-05-20").expect("a date").days() * 86_400 + 3600;
//! let begins = |period: Period| Date::from_days(period.begin(local) / 86_400).to_string();
//! assert_eq!(begins(Period::Day), "2026-05-20");
//! assert_eq!(begins(Period::Week), "2026-05-18");
//! assert_eq!(begins(Period::MONTH), "2026-05-01");
//! assert_eq!(begins(Period::quarter(1)), "2026-04-01");
//! assert_eq!(begins(Period::year(10)), "2025-10-01"); // a fiscal year
//! ```

use crate::Date;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A kind of period. Local time is divided into them without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// So many months, one of 1, 2, 3, 4, 6 and 12, from the first day of this month (1 to 12) on.
    Months(u8, u8),
}

impl Period {
    /// A calendar month.
    pub const MONTH: Self = Period::Months(1, 1);

    /// A quarter of a year that begins in this month (1 to 12).
    #[must_use]
    pub const fn quarter(first_month: u8) -> Self {
        Period::Months(3, first_month)
    }

    /// A year that begins in this month (1 to 12).
    #[must_use]
    pub const fn year(first_month: u8) -> Self {
        Period::Months(12, first_month)
    }

    /// When the period began that holds a local time; both as in [`Backup::local`](crate::retention::Backup::local).
    #[must_use]
    pub fn begin(self, local: i64) -> i64 {
        let day = local.div_euclid(DAY);
        DAY * match self {
            Period::Day => day,
            Period::Week => day - (day + 3).rem_euclid(7), // day 0, 1970-01-01, was a Thursday
            Period::Months(length, first) => {
                let date = Date::from_days(day);
                let since = (date.month + 12 - first.clamp(1, 12)) % length.clamp(1, 12);
                let (year, month) = match date.month > since {
                    true => (date.year, date.month - since),
                    false => (date.year - 1, date.month + 12 - since),
                };
                Date { year, month, day: 1 }.days()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_where_the_one_before_ends() {
        let weeks = Date::week_number;
        let numbers: [(Period, &dyn Fn(Date) -> i64); 6] = [
            (Period::Day, &|date| date.days()),
            (Period::Week, &|date| weeks(date)),
            (Period::MONTH, &|date| date.month_number()),
            (Period::year(1), &|date| i64::from(date.year)),
            (Period::quarter(12), &|date| {
                let (year, quarter) = date.fiscal_quarter(12);
                i64::from(year) * 4 + i64::from(quarter)
            }),
            (Period::year(4), &|date| i64::from(date.fiscal_quarter(4).0)),
        ];
        for (period, number) in numbers {
            for day in -1500..1500 {
                let (date, yesterday) = (Date::from_days(day), Date::from_days(day - 1));
                let last_second = day * DAY + DAY - 1;
                let expected = if number(date) == number(yesterday) { period.begin(day * DAY - 1) } else { day * DAY };
                assert_eq!(period.begin(day * DAY), expected, "{period:?} on {date}");
                assert_eq!(period.begin(last_second), expected, "{period:?} late on {date}");
            }
        }
    }
}
