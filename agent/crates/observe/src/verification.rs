//! The verification report: which copies are proved to what was promised, and what failed.

use std::collections::BTreeMap;

use backstop_model::{Backup, BackupName, BackupState, CopyState, Level, Place, ProofKind, Timestamp, WorkloadName};
use serde::Serialize;

use crate::Period;
use crate::rates::Rate;

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerificationReport {
    /// Checks counted are those of this time; what is proved is as of now.
    pub period: Period,
    /// Per workload, by name.
    pub workloads: Vec<WorkloadVerification>,
    /// All together.
    pub overall: Totals,
    /// Failed checks of the period, newest first.
    pub failures: Vec<FailedCheck>,
}

/// One workload's line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadVerification {
    /// The workload.
    pub workload: WorkloadName,
    /// The level promised.
    pub promised: Level,
    /// Counts.
    pub totals: Totals,
    /// Kept backups none of whose copies is proved to the promised level, oldest first.
    pub unproved: Vec<BackupName>,
}

/// Counts of backups, copies and checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Totals {
    /// Kept backups.
    pub backups: u64,
    /// Of these, how many have at least one copy proved to the promised level.
    pub proved_backups: u64,
    /// Their copies. Each needs proofs of its own.
    pub copies: u64,
    /// Of these, how many are proved to the promised level.
    pub proved_copies: u64,
    /// The checks `verify` made in the period.
    pub checks: Rate,
    /// When the last of all checks ended, whatever the period.
    pub last_check: Option<Timestamp>,
}

/// A check that did not reach its level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// The workload.
    pub workload: WorkloadName,
    /// The backup.
    pub backup: BackupName,
    /// The copy.
    pub place: Place,
    /// When.
    pub at: Timestamp,
    /// The level that was not reached.
    pub level: Level,
    /// The first error.
    pub detail: String,
    /// Whether the same copy has reached that level since.
    pub settled: bool,
    /// What to do next, one line.
    pub action: String,
}

/// Sums up the evidence of `backups`, whose workloads are promised the level `promised` tells.
pub fn report(
    backups: &BTreeMap<WorkloadName, Vec<Backup>>,
    promised: impl Fn(&WorkloadName) -> Level,
    period: Period,
) -> VerificationReport {
    let mut workloads = Vec::new();
    let mut failures = Vec::new();
    for (workload, backups) in backups {
        workloads.push(line(workload, backups, promised(workload), period));
        failures.extend(backups.iter().flat_map(|backup| failed(backup, period)));
    }
    failures.sort_by(|a, b| (b.at, &a.backup, &a.place).cmp(&(a.at, &b.backup, &b.place)));
    let overall = workloads.iter().fold(Totals::none(), |sum, line| sum.and(&line.totals));
    VerificationReport { period, workloads, overall, failures }
}

fn line(workload: &WorkloadName, backups: &[Backup], promised: Level, period: Period) -> WorkloadVerification {
    let mut totals = Totals::none();
    let mut unproved: Vec<&Backup> = Vec::new();
    let (mut passed, mut checks) = (0, 0);
    for backup in backups {
        let proofs = backup.copies.iter().flat_map(|copy| &copy.proofs).filter(|p| p.kind == ProofKind::Verify);
        for proof in proofs {
            totals.last_check = totals.last_check.max(Some(proof.at));
            if period.contains(proof.at) {
                checks += 1;
                passed += u64::from(proof.passed);
            }
        }
        // Checks of what was released since still happened; what is proved now concerns what is kept.
        if backup.state != BackupState::Present {
            continue;
        }
        let there = backup.copies.iter().filter(|copy| copy.state == CopyState::Present);
        let proved = there.clone().filter(|copy| copy.level() >= Some(promised)).count() as u64;
        totals.backups += 1;
        totals.copies += there.count() as u64;
        totals.proved_copies += proved;
        totals.proved_backups += u64::from(proved > 0);
        if proved == 0 {
            unproved.push(backup);
        }
    }
    totals.checks = Rate::of(passed, checks);
    unproved.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let unproved = unproved.into_iter().map(|backup| backup.name.clone()).collect();
    WorkloadVerification { workload: workload.clone(), promised, totals, unproved }
}

impl Totals {
    fn none() -> Self {
        Self { backups: 0, proved_backups: 0, copies: 0, proved_copies: 0, checks: Rate::of(0, 0), last_check: None }
    }

    fn and(self, other: &Totals) -> Self {
        Self {
            backups: self.backups + other.backups,
            proved_backups: self.proved_backups + other.proved_backups,
            copies: self.copies + other.copies,
            proved_copies: self.proved_copies + other.proved_copies,
            checks: Rate::of(self.checks.passed + other.checks.passed, self.checks.total + other.checks.total),
            last_check: self.last_check.max(other.last_check),
        }
    }
}

/// The failed checks of a backup in the period.
fn failed(backup: &Backup, period: Period) -> impl Iterator<Item = FailedCheck> {
    backup.copies.iter().flat_map(move |copy| {
        let fails =
            copy.proofs.iter().enumerate().filter(move |(_, proof)| {
                !proof.passed && proof.kind == ProofKind::Verify && period.contains(proof.at)
            });
        fails.map(move |(at, proof)| {
            let settled = copy.proofs[at..].iter().any(|later| later.passed && later.level >= proof.level);
            FailedCheck {
                workload: backup.workload.clone(),
                backup: backup.name.clone(),
                place: copy.place.clone(),
                at: proof.at,
                level: proof.level,
                detail: proof.detail.clone(),
                settled,
                action: action(backup, settled),
            }
        })
    })
}

fn action(backup: &Backup, settled: bool) -> String {
    if settled {
        "none: a later check passed".to_owned()
    } else if backup.state != BackupState::Present {
        "none: it was released since".to_owned()
    } else if backup.copies.iter().any(|copy| copy.level() >= Some(Level::L1)) {
        "another copy is intact: restore from that one, and copy it here again".to_owned()
    } else {
        format!("no intact copy is left: make a new backup with `backstop backup trigger {}`", backup.workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{backup, copy, proof, t};

    fn reported(backups: Vec<Backup>) -> VerificationReport {
        let backups = BTreeMap::from([("docs".parse().expect("valid"), backups)]);
        let period = Period { from: t("2026-05-14T00:00:00Z"), to: t("2026-05-20T12:00:00Z") };
        report(&backups, |_| Level::L3, period)
    }

    #[test]
    fn a_copy_is_proved_by_its_own_proofs_alone() {
        let mut b = backup("a", t("2026-05-19T02:00:00Z"));
        b.copies.push(copy("vault:offsite", b.created));
        b.copies[0].proofs.push(proof(Level::L3, true, t("2026-05-19T03:00:00Z")));
        b.copies[1].proofs.push(proof(Level::L1, true, t("2026-05-19T02:30:00Z")));
        let report = reported(vec![b, backup("b", t("2026-05-18T02:00:00Z"))]);
        let totals = report.overall;
        assert_eq!((totals.backups, totals.proved_backups, totals.copies, totals.proved_copies), (2, 1, 3, 1));
        assert_eq!(report.workloads[0].unproved, ["b".parse().expect("valid")]);
        assert_eq!(totals.last_check, Some(t("2026-05-19T03:00:00Z")));
    }

    #[test]
    fn checks_are_counted_in_the_period_and_failures_say_what_to_do() {
        let mut b = backup("a", t("2026-05-01T02:00:00Z"));
        b.copies[0].proofs = vec![
            proof(Level::L3, true, t("2026-05-13T23:59:59Z")),
            proof(Level::L3, false, t("2026-05-15T00:00:00Z")),
            proof(Level::L3, true, t("2026-05-16T00:00:00Z")),
            proof(Level::L3, false, t("2026-05-17T00:00:00Z")),
            proof(Level::L1, true, t("2026-05-18T00:00:00Z")),
            proof(Level::L1, false, t("2026-05-19T00:00:00Z")),
        ];
        let report = reported(vec![b.clone()]);
        assert_eq!((report.overall.checks.passed, report.overall.checks.total), (2, 5));
        let failures: Vec<(Level, bool)> = report.failures.iter().map(|f| (f.level, f.settled)).collect();
        assert_eq!(failures, [(Level::L1, false), (Level::L3, false), (Level::L3, true)]);
        assert!(report.failures[0].action.starts_with("no intact copy is left"));
        let mut other = copy("vault:offsite", b.created);
        other.proofs.push(proof(Level::L1, true, t("2026-05-19T00:00:00Z")));
        b.copies.push(other);
        assert!(reported(vec![b]).failures[0].action.starts_with("another copy is intact"));
    }

    #[test]
    fn released_backups_are_not_counted_but_their_checks_are() {
        let mut b = backup("a", t("2026-05-01T02:00:00Z"));
        b.copies[0].proofs.push(proof(Level::L3, true, t("2026-05-16T00:00:00Z")));
        b.state = BackupState::Purged { at: t("2026-05-17T00:00:00Z") };
        let totals = reported(vec![b]).overall;
        assert_eq!((totals.backups, totals.checks.total), (0, 1));
    }

    #[test]
    fn without_data_there_is_no_rate_instead_of_a_bad_one() {
        let report = reported(vec![]);
        assert_eq!(report.overall.checks.percent, None);
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["period"]["from"], "2026-05-14T00:00:00Z");
        assert_eq!(json["overall"]["checks"]["at_least_percent"], serde_json::Value::Null);
    }
}
