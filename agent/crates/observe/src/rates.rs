//! How often something went well, and how much that shows.
//!
//! A raw rate promises too much: 36 passes of 36 do not show 99.9 %. Beside it stands the exact one-sided 95 % lower
//! bound of Clopper and Pearson (Biometrika 26, 1934): the share p at which passing at least this often would still
//! happen one time in twenty. It is the 5 % quantile of the Beta distribution with parameters `passed` and
//! `total − passed + 1`, found by bisection on the regularised incomplete beta function.

use serde::Serialize;

/// The probability with which the true share may lie below the bound.
const RISK: f64 = 0.05;

/// So many passed of so many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// How many went well.
    pub passed: u64,
    /// How many there were.
    pub total: u64,
    /// The share in percent; `None` when there were none.
    pub percent: Option<f64>,
    /// What the counts support, in percent: the one-sided 95 % lower bound. `None` when there were none.
    pub at_least_percent: Option<f64>,
}

impl Rate {
    /// The rate of `passed` out of `total`; more passes than attempts count as all.
    #[must_use]
    pub fn of(passed: u64, total: u64) -> Self {
        let passed = passed.min(total);
        let some = (total > 0).then_some(());
        Self {
            passed,
            total,
            percent: some.map(|()| 100.0 * passed as f64 / total as f64),
            at_least_percent: some.map(|()| 100.0 * lower_bound(passed, total)),
        }
    }

    /// The rate of a series of results.
    pub fn over(results: impl IntoIterator<Item = bool>) -> Self {
        let (passed, total) = results.into_iter().fold((0, 0), |(p, t), ok| (p + u64::from(ok), t + 1));
        Self::of(passed, total)
    }

    /// Whether the counts support a target in percent: meeting it by the raw rate is not enough.
    #[must_use]
    pub fn supports(&self, target_percent: f64) -> bool {
        self.at_least_percent.is_some_and(|bound| bound >= target_percent)
    }
}

/// How many passes in a row it takes to support a target in percent; `None` for 100 and above, which nothing shows.
#[must_use]
pub fn passes_needed(target_percent: f64) -> Option<u64> {
    if target_percent <= 0.0 {
        return Some(0);
    }
    (target_percent < 100.0).then(|| (RISK.ln() / (target_percent / 100.0).ln()).ceil() as u64)
}

/// The lower bound as a share of 1.
fn lower_bound(passed: u64, total: u64) -> f64 {
    if passed == 0 {
        return 0.0;
    }
    if passed == total {
        // The quantile of Beta(n, 1) has a closed form.
        return RISK.powf(1.0 / total as f64);
    }
    let (a, b) = (passed as f64, (total - passed) as f64 + 1.0);
    let (mut low, mut high) = (0.0, 1.0);
    // 60 halvings reach the last bit of a double.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if incomplete_beta(a, b, middle) < RISK { low = middle } else { high = middle }
    }
    low
}

/// The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8), evaluated by
/// Lentz's method. The fraction converges fast below the mean; above, the symmetry of the function is used.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp() / a;
    front / fraction(a, b, x)
}

/// `1 + d₁/(1 + d₂/(1 + …))` of the expansion.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const STEPS_MAX: u32 = 100_000;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..=STEPS_MAX {
        let m = f64::from(step / 2);
        let term = if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / away_from_zero(1.0 + term * d);
        c = away_from_zero(1.0 + term / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for x ≥ 1, by Stirling's series (Abramowitz and Stegun 6.1.41) after moving
/// the argument above 10, where five terms are exact to double precision.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut moved) = (x, 0.0);
    while x < 10.0 {
        moved += x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - moved
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(passed: u64, total: u64) -> f64 {
        Rate::of(passed, total).at_least_percent.expect("some attempts")
    }

    /// The chance of at least `passed` of `total` at share `p`, by adding up the binomial terms.
    fn upper_tail(passed: u64, total: u64, p: f64) -> f64 {
        let mut ln_choose = 0.0;
        let mut sum = 0.0;
        for k in 0..=total {
            if k > 0 {
                ln_choose += ((total - k + 1) as f64).ln() - (k as f64).ln();
            }
            if k >= passed {
                sum += (ln_choose + k as f64 * p.ln() + (total - k) as f64 * (-p).ln_1p()).exp();
            }
        }
        sum
    }

    #[test]
    fn all_of_36_supports_92_percent_and_all_of_12_less_than_78() {
        assert!((bound(36, 36) - 92.0).abs() < 0.05, "{}", bound(36, 36));
        assert!((bound(12, 12) - 77.9).abs() < 0.05, "{}", bound(12, 12));
    }

    #[test]
    fn it_takes_2995_passes_in_a_row_to_support_99_9_percent() {
        assert_eq!(passes_needed(99.9), Some(2995));
        assert!(Rate::of(2995, 2995).supports(99.9));
        assert!(!Rate::of(2994, 2994).supports(99.9));
        assert_eq!((passes_needed(100.0), passes_needed(0.0)), (None, Some(0)));
    }

    #[test]
    fn known_bounds_of_mixed_results_are_met() {
        // The 5 % quantiles of Beta(9, 2), Beta(95, 6) and Beta(1, 10).
        assert!((bound(9, 10) - 60.584).abs() < 0.001, "{}", bound(9, 10));
        assert!((bound(95, 100) - 89.774).abs() < 0.001, "{}", bound(95, 100));
        assert!((bound(1, 10) - 0.5116).abs() < 0.0001, "{}", bound(1, 10));
    }

    #[test]
    fn no_attempts_give_no_rate_and_no_passes_no_bound() {
        let none = Rate::of(0, 0);
        assert_eq!((none.percent, none.at_least_percent, none.supports(0.0)), (None, None, false));
        assert_eq!(Rate::over([false, false]), Rate::of(0, 2));
        assert_eq!(bound(0, 5), 0.0);
        assert_eq!(Rate::of(7, 5), Rate::of(5, 5));
    }

    #[test]
    fn large_counts_are_bounded_closely() {
        let near = bound(999_000, 1_000_000);
        assert!(near < 99.9 && near > 99.89, "{near}");
    }

    #[test]
    fn the_gamma_function_agrees_with_factorials() {
        let mut factorial = 1.0;
        for n in 1..=18u32 {
            // Products up to 18! are exact in a double.
            factorial *= f64::from(n);
            let off = ln_gamma(f64::from(n) + 1.0) - f64::ln(factorial);
            assert!(off.abs() < 2e-13, "{n}: {off}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// At the bound, doing at least as well has a chance of exactly one in twenty.
        #[test]
        fn the_bound_is_where_the_binomial_tail_is_five_percent(total in 1u64..400, share in 0.0f64..1.0) {
            let passed = ((total as f64 * share) as u64).clamp(1, total);
            let p = bound(passed, total) / 100.0;
            prop_assert!((upper_tail(passed, total, p) - 0.05).abs() < 1e-7, "{passed}/{total}: {p}");
            prop_assert!(p < passed as f64 / total as f64);
        }
    }
}
