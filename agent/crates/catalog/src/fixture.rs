//! Values for the tests of this crate.

use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, Level, Mode, Proof, ProofKind, SnapshotId, Span, Tier,
    Timestamp,
};

/// So many seconds after the epoch.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

pub(crate) fn proof(level: Level, passed: bool, second: i64) -> Proof {
    Proof {
        at: at(second),
        level,
        passed,
        kind: ProofKind::Verify,
        took: Span::from_millis(1500),
        sample_ppm: 1_000_000,
        run: "run-1".parse().expect("valid"),
        detail: if passed { "compared 3 files" } else { "a.txt differs" }.into(),
    }
}

pub(crate) fn copy(place: &str, digest: u8, proofs: Vec<Proof>) -> Copy {
    Copy {
        place: place.parse().expect("valid"),
        snapshot: SnapshotId([digest; 32]),
        state: CopyState::Present,
        stored: Bytes(100),
        created: at(50),
        proofs,
    }
}

/// The `second`th backup of the workload, with one copy proved to L1.
pub(crate) fn backup(workload: &str, second: i64) -> Backup {
    Backup {
        name: format!("{workload}-backup-daily-{second}").parse().expect("valid"),
        workload: workload.parse().expect("valid"),
        created: at(second),
        tiers: [Tier::Daily].into(),
        mode: Mode::Incremental,
        based_on: None,
        size: Bytes(1000),
        entries: 3,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![copy("vault:main", 7, vec![proof(Level::L1, true, second)])],
        run: "run-1".parse().expect("valid"),
    }
}
