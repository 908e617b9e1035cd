//! Values for tests.

use std::collections::BTreeSet;

use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, DrTest, Level, Mode, Place, Proof, ProofKind,
    Replication, ReplicationState, SnapshotId, Span, Timestamp,
};

pub fn t(raw: &str) -> Timestamp {
    raw.parse().expect(raw)
}

pub fn place(raw: &str) -> Place {
    raw.parse().expect(raw)
}

pub fn copy(at: &str, created: Timestamp) -> Copy {
    Copy {
        place: place(at),
        snapshot: SnapshotId([7; 32]),
        state: CopyState::Present,
        stored: Bytes(5),
        created,
        proofs: Vec::new(),
    }
}

/// A complete backup of `docs` with an unproved copy at `vault:main`.
pub fn backup(name: &str, created: Timestamp) -> Backup {
    Backup {
        name: name.parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        created,
        tiers: BTreeSet::new(),
        mode: Mode::Incremental,
        based_on: None,
        size: Bytes(10),
        entries: 1,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![copy("vault:main", created)],
        run: "run-1".parse().expect("valid"),
    }
}

pub fn proof(level: Level, passed: bool, at: Timestamp) -> Proof {
    Proof {
        at,
        level,
        passed,
        kind: ProofKind::Verify,
        took: Span::from_secs(1),
        sample_ppm: 1_000_000,
        run: "run-2".parse().expect("valid"),
        detail: String::new(),
    }
}

/// A DR test that ended; `seconds` of recovery, 0 for one that never recovered.
pub fn dr_test(workload: &str, started: &str, passed: bool, seconds: u64) -> DrTest {
    DrTest {
        run: "run-3".parse().expect("valid"),
        workload: workload.parse().expect("valid"),
        backup: "a".parse().expect("valid"),
        place: place("vault:offsite"),
        started: t(started),
        completed: Some(t(started)),
        passed,
        restore_ok: Some(passed),
        compare_ok: None,
        health_ok: None,
        cleanup_ok: Some(true),
        rto: (seconds > 0).then(|| Span::from_secs(seconds)),
        rto_target: Span::from_secs(900),
        error: None,
    }
}

/// A replication of backup `a` to `vault:offsite`, of 1000 bytes, begun at 11:50.
pub fn replication(id: i64, state: ReplicationState) -> Replication {
    Replication {
        id,
        run: "run-4".parse().expect("valid"),
        backup: "a".parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        from: place("vault:main"),
        to: place("vault:offsite"),
        source_region: "here".to_owned(),
        target_region: "there".to_owned(),
        state,
        started: t("2026-05-20T11:50:00Z"),
        updated: t("2026-05-20T11:50:00Z"),
        completed: None,
        bytes: Bytes(0),
        total: Some(Bytes(1000)),
        snapshot: None,
        error: None,
    }
}
