//! How long recovery took, against the objective.

use backstop_model::Span;
use serde::Serialize;

/// Recovery times of a series of rehearsals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RtoSummary {
    /// How many were measured.
    pub count: u64,
    /// The mean; `None` when none was measured, as for the others.
    pub mean_millis: Option<u64>,
    /// The longest.
    pub max_millis: Option<u64>,
    /// Half took at most this long (nearest rank: a time that was really measured).
    pub p50_millis: Option<u64>,
    /// 95 of 100 took at most this long (nearest rank).
    pub p95_millis: Option<u64>,
    /// The objective.
    pub target_millis: u64,
    /// How many took longer than the objective. Exactly at it is met.
    pub over: u64,
    /// Whether every one met the objective; `None` when none was measured, which shows nothing.
    pub met: Option<bool>,
}

impl RtoSummary {
    /// Sums up recovery times, in any order.
    pub fn of(times: impl IntoIterator<Item = Span>, target: Span) -> Self {
        let mut times: Vec<u64> = times.into_iter().map(Span::as_millis).collect();
        times.sort_unstable();
        let count = times.len() as u64;
        let total: u128 = times.iter().map(|time| u128::from(*time)).sum();
        let mean = total.checked_div(u128::from(count)).and_then(|mean| u64::try_from(mean).ok());
        let over = times.iter().filter(|time| **time > target.as_millis()).count() as u64;
        Self {
            count,
            mean_millis: mean,
            max_millis: times.last().copied(),
            p50_millis: nearest_rank(&times, 50),
            p95_millis: nearest_rank(&times, 95),
            target_millis: target.as_millis(),
            over,
            met: (count > 0).then_some(over == 0),
        }
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(seconds: &[u64]) -> RtoSummary {
        RtoSummary::of(seconds.iter().map(|s| Span::from_secs(*s)), Span::from_secs(900))
    }

    #[test]
    fn mean_maximum_and_percentiles_are_those_measured() {
        let rto = summary(&[647, 683, 598, 724]);
        assert_eq!((rto.count, rto.mean_millis, rto.max_millis), (4, Some(663_000), Some(724_000)));
        assert_eq!((rto.p50_millis, rto.p95_millis), (Some(647_000), Some(724_000)));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((summary(&hundred).p50_millis, summary(&hundred).p95_millis), (Some(50_000), Some(95_000)));
    }

    #[test]
    fn exactly_at_the_objective_is_met_and_a_millisecond_more_is_not() {
        assert_eq!((summary(&[900]).met, summary(&[900]).over), (Some(true), 0));
        let rto = RtoSummary::of([Span::from_millis(900_001), Span::from_secs(1)], Span::from_secs(900));
        assert_eq!((rto.met, rto.over), (Some(false), 1));
    }

    #[test]
    fn nothing_measured_meets_nothing() {
        let rto = summary(&[]);
        assert_eq!((rto.met, rto.mean_millis, rto.p95_millis), (None, None, None));
    }
}
