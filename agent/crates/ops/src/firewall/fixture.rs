//! Backups and questions for the firewall's tests.

use std::collections::BTreeSet;

use super::*;
use backstop_model::{Bytes, Hold, Mode, Proof, ProofKind, SnapshotId};

pub const NOW: i64 = 1_800_000_000;
pub const DAY: i64 = 86_400;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

pub fn name(raw: &str) -> BackupName {
    raw.parse().expect(raw)
}

pub fn place(raw: &str) -> Place {
    raw.parse().expect(raw)
}

pub fn copy(where_: &str, level: Option<Level>) -> BackupCopy {
    let proof = |level| Proof {
        at: at(NOW - 60),
        level,
        passed: true,
        kind: ProofKind::Verify,
        took: Span::ZERO,
        sample_ppm: 1_000_000,
        run: "run-1".parse().expect("valid"),
        detail: String::new(),
    };
    BackupCopy {
        place: place(where_),
        snapshot: SnapshotId([1; 32]),
        state: CopyState::Present,
        stored: Bytes(1),
        created: at(NOW),
        proofs: level.map(proof).into_iter().collect(),
    }
}

/// A complete backup proved to L3, so many days old.
pub fn good(raw: &str, days: i64) -> Backup {
    Backup {
        name: name(raw),
        workload: "docs".parse().expect("valid"),
        created: at(NOW - days * DAY),
        tiers: BTreeSet::new(),
        mode: Mode::Full,
        based_on: None,
        size: Bytes(1),
        entries: 1,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![copy("vault:main", Some(Level::L3))],
        run: "run-1".parse().expect("valid"),
    }
}

pub fn unproved(raw: &str, days: i64) -> Backup {
    let mut backup = good(raw, days);
    backup.copies[0].proofs.clear();
    backup
}

pub fn partial(raw: &str, days: i64) -> Backup {
    Backup { completeness: Completeness::Partial { troubles: 1 }, ..good(raw, days) }
}

pub fn outside(mut backup: Backup) -> Backup {
    backup.copies.push(copy("vault:offsite", None));
    backup
}

pub fn held(backup: Backup) -> Backup {
    Backup { hold: Some(Hold { reason: "audit".into(), by: "ann@ops".into(), since: at(NOW) }), ..backup }
}

pub fn trashed(mut backup: Backup, purge_after: i64) -> Backup {
    backup.state = BackupState::Trashed { since: at(NOW - 8 * DAY), purge_after: at(purge_after) };
    backup.copies.iter_mut().for_each(|c| c.state = CopyState::Trashed);
    backup
}

pub struct Case {
    pub backups: Vec<Backup>,
    pub promised: Option<Level>,
    pub offsite: Vec<Place>,
    pub chained: Vec<Place>,
    pub limits: Limits,
    pub gone_this_run: u32,
    pub released_today: u32,
    pub journalled: Option<Timestamp>,
}

impl Case {
    pub fn of(backups: Vec<Backup>) -> Self {
        let limits = Limits { releases_per_run: 50, release_percent_per_day: 100, ..Limits::default() };
        Self {
            backups,
            promised: Some(Level::L3),
            offsite: vec![],
            chained: vec![],
            limits,
            gone_this_run: 0,
            released_today: 0,
            journalled: None,
        }
    }

    pub fn ask(&self, proposal: &[&str], check: fn(&[BackupName], &Reality<'_>) -> Decision) -> Decision {
        let workload = "docs".parse().expect("valid");
        let reality = Reality {
            now: at(NOW),
            journalled: self.journalled,
            workload: &workload,
            backups: &self.backups,
            promised: self.promised,
            offsite: &self.offsite,
            chained: &self.chained,
            limits: &self.limits,
            gone_this_run: self.gone_this_run,
            released_today: self.released_today,
        };
        check(&proposal.iter().map(|raw| name(raw)).collect::<Vec<_>>(), &reality)
    }

    pub fn release(&self, proposal: &[&str]) -> (Vec<String>, Vec<(String, Invariant)>) {
        shown(&self.ask(proposal, check))
    }

    pub fn purge(&self, proposal: &[&str]) -> (Vec<String>, Vec<(String, Invariant)>) {
        shown(&self.ask(proposal, check_purge))
    }
}

pub fn shown(decision: &Decision) -> (Vec<String>, Vec<(String, Invariant)>) {
    let allowed = decision.allowed.iter().map(BackupName::to_string).collect();
    (allowed, decision.refused.iter().map(|r| (r.backup.to_string(), r.invariant)).collect())
}

pub fn refused(raw: &str, invariant: Invariant) -> (String, Invariant) {
    (raw.to_owned(), invariant)
}

pub fn strings(raw: &[&str]) -> Vec<String> {
    raw.iter().map(|s| (*s).to_owned()).collect()
}
