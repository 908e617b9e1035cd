//! The history of DR tests, and what their results support.

use std::collections::BTreeMap;

use backstop_model::{BackupName, DrTest, Place, RunId, Span, Timestamp, WorkloadName};
use serde::Serialize;

use crate::Period;
use crate::rates::{self, Rate};
use crate::rto::RtoSummary;

/// DR tests of a time, newest first, and their sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrHistory {
    /// Tests begun in this time.
    pub period: Period,
    /// The tests.
    pub tests: Vec<DrTestLine>,
    /// Those that ended: how many passed.
    pub rate: Rate,
    /// Recovery times of those that recovered.
    pub rto: RtoSummary,
}

/// One DR test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrTestLine {
    /// The run.
    pub run: RunId,
    /// The workload.
    pub workload: WorkloadName,
    /// From which backup.
    pub backup: BackupName,
    /// From which copy.
    pub place: Place,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while it runs or is interrupted.
    pub completed: Option<Timestamp>,
    /// Whether every configured phase passed.
    pub passed: bool,
    /// Bytes came back. A phase that was not reached, or is not configured, is `None`.
    pub restore_ok: Option<bool>,
    /// What came back equals the manifest.
    pub compare_ok: Option<bool>,
    /// The health check passed.
    pub health_ok: Option<bool>,
    /// Nothing is left of the rehearsal.
    pub cleanup_ok: Option<bool>,
    /// From the decision to a healthy restore.
    pub rto_millis: Option<u64>,
    /// The objective at that time.
    pub rto_target_millis: u64,
    /// Whether the objective was met; `None` when it never recovered.
    pub rto_met: Option<bool>,
    /// The first error.
    pub error: Option<String>,
}

impl From<&DrTest> for DrTestLine {
    fn from(test: &DrTest) -> Self {
        Self {
            run: test.run.clone(),
            workload: test.workload.clone(),
            backup: test.backup.clone(),
            place: test.place.clone(),
            started: test.started,
            completed: test.completed,
            passed: test.passed,
            restore_ok: test.restore_ok,
            compare_ok: test.compare_ok,
            health_ok: test.health_ok,
            cleanup_ok: test.cleanup_ok,
            rto_millis: test.rto.map(Span::as_millis),
            rto_target_millis: test.rto_target.as_millis(),
            rto_met: test.rto.map(|rto| rto <= test.rto_target),
            error: test.error.clone(),
        }
    }
}

/// What results say about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compliance {
    /// The lower bound reaches the target: the results support it.
    Supported,
    /// The raw rate reaches the target, but too few tests were made to support it.
    TooFewTests,
    /// The raw rate is below the target.
    Missed,
    /// Nothing was tested: nothing is known.
    NoTests,
}

/// The success rate of one workload, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuccessRate {
    /// The workload; `None` for all together.
    pub workload: Option<WorkloadName>,
    /// Tests that ended in the period.
    pub rate: Rate,
    /// The target in percent.
    pub target_percent: f64,
    /// What the results say about it.
    pub compliance: Compliance,
    /// How many passes in a row would support it; `None` when nothing can.
    pub passes_needed: Option<u64>,
    /// Recovery times of those that recovered.
    pub rto: RtoSummary,
}

/// The history of `tests` begun in the period. `target` is the objective the summary is held against; each line keeps
/// the one of its time.
#[must_use]
pub fn history(tests: &[DrTest], period: Period, target: Span) -> DrHistory {
    let mut chosen: Vec<&DrTest> = tests.iter().filter(|test| period.contains(test.started)).collect();
    chosen.sort_by(|a, b| (b.started, &a.run).cmp(&(a.started, &b.run)));
    DrHistory {
        period,
        rate: rate(&chosen),
        rto: RtoSummary::of(chosen.iter().filter_map(|test| test.rto), target),
        tests: chosen.into_iter().map(DrTestLine::from).collect(),
    }
}

/// Success rates in the period against a target in percent: every workload by name, then all together. `target` is
/// the recovery time objective.
#[must_use]
pub fn success_rates(tests: &[DrTest], period: Period, target_percent: f64, target: Span) -> Vec<SuccessRate> {
    let mut by_workload: BTreeMap<&WorkloadName, Vec<&DrTest>> = BTreeMap::new();
    let mut all = Vec::new();
    for test in tests.iter().filter(|test| period.contains(test.started)) {
        by_workload.entry(&test.workload).or_default().push(test);
        all.push(test);
    }
    let line = |workload: Option<&WorkloadName>, tests: &[&DrTest]| {
        let rate = rate(tests);
        SuccessRate {
            workload: workload.cloned(),
            rate,
            target_percent,
            compliance: compliance(rate, target_percent),
            passes_needed: rates::passes_needed(target_percent),
            rto: RtoSummary::of(tests.iter().filter_map(|test| test.rto), target),
        }
    };
    let mut lines: Vec<SuccessRate> = by_workload.iter().map(|(name, tests)| line(Some(*name), tests)).collect();
    lines.push(line(None, &all));
    lines
}

fn rate(tests: &[&DrTest]) -> Rate {
    Rate::over(tests.iter().filter(|test| test.completed.is_some()).map(|test| test.passed))
}

fn compliance(rate: Rate, target_percent: f64) -> Compliance {
    match rate.percent {
        None => Compliance::NoTests,
        Some(_) if rate.supports(target_percent) => Compliance::Supported,
        Some(percent) if percent >= target_percent => Compliance::TooFewTests,
        Some(_) => Compliance::Missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{dr_test, t};

    const TARGET: Span = Span::from_secs(900);

    fn period() -> Period {
        Period { from: t("2026-05-01T00:00:00Z"), to: t("2026-05-31T00:00:00Z") }
    }

    #[test]
    fn thirty_six_passes_are_too_few_for_99_9_percent_but_support_92() {
        let tests: Vec<DrTest> = (0..36).map(|_| dr_test("docs", "2026-05-10T10:00:00Z", true, 600)).collect();
        let overall = |target| success_rates(&tests, period(), target, TARGET).pop().expect("all together");
        assert_eq!(overall(99.9).compliance, Compliance::TooFewTests);
        assert_eq!(overall(99.9).passes_needed, Some(2995));
        assert_eq!(overall(92.0).compliance, Compliance::Supported);
    }

    #[test]
    fn a_failure_misses_the_target_and_no_tests_show_nothing() {
        let tests =
            [dr_test("docs", "2026-05-10T10:00:00Z", true, 600), dr_test("docs", "2026-05-17T10:00:00Z", false, 0)];
        let rates = success_rates(&tests, period(), 99.9, TARGET);
        assert_eq!(rates.len(), 2);
        assert_eq!((rates[0].compliance, rates[0].rate.passed, rates[0].rate.total), (Compliance::Missed, 1, 2));
        assert_eq!(success_rates(&[], period(), 99.9, TARGET)[0].compliance, Compliance::NoTests);
    }

    #[test]
    fn history_is_newest_first_and_counts_only_what_ended() {
        let mut running = dr_test("docs", "2026-05-20T10:00:00Z", false, 0);
        running.completed = None;
        let tests = [
            dr_test("docs", "2026-05-10T10:00:00Z", true, 600),
            running,
            dr_test("docs", "2026-05-17T10:00:00Z", true, 901),
            dr_test("docs", "2026-04-10T10:00:00Z", false, 0),
        ];
        let history = history(&tests, period(), TARGET);
        let started: Vec<String> = history.tests.iter().map(|test| test.started.to_string()).collect();
        assert_eq!(started, ["2026-05-20T10:00:00Z", "2026-05-17T10:00:00Z", "2026-05-10T10:00:00Z"]);
        assert_eq!((history.rate.passed, history.rate.total), (2, 2));
        assert_eq!(history.tests[1].rto_met, Some(false));
        assert_eq!((history.rto.max_millis, history.rto.over), (Some(901_000), 1));
        let json = serde_json::to_value(&history).expect("plain data");
        assert_eq!(json["tests"][1]["rto_millis"], 901_000);
    }
}
