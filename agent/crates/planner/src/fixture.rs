//! Values for tests: schedules, workloads and backups with one line each.

use std::collections::BTreeMap;

use backstop_model::config::{
    Config, Daily, DrTestRule, FilesSpec, Limits, Monthly, Schedule, SecretRef, TimeOfDay, VaultConfig, VerifyRule,
    Weekday, Weekly, Workload, WorkloadKind,
};
use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, Level, Mode, Place, Proof, ProofKind, SnapshotId, Span,
    Tier, Timestamp,
};

pub fn t(raw: &str) -> Timestamp {
    raw.parse().expect(raw)
}

pub fn place(raw: &str) -> Place {
    raw.parse().expect(raw)
}

pub const fn clock(hour: u8, minute: u8) -> TimeOfDay {
    TimeOfDay { hour, minute }
}

/// Daily 02:00 ×7, weekly Sunday 03:00 ×4, monthly 1st 04:00 ×12; home `vault:main`, copy `vault:offsite`.
pub fn schedule(zone: &str) -> Schedule {
    Schedule {
        name: "standard".parse().expect("valid"),
        timezone: zone.to_owned(),
        daily: Some(Daily { at: clock(2, 0), keep: 7 }),
        weekly: Some(Weekly { on: Weekday::Sunday, at: clock(3, 0), keep: 4 }),
        monthly: Some(Monthly { on: 1, at: clock(4, 0), keep: 12 }),
        rpo: Span::from_secs(86_400),
        rto: Span::from_secs(900),
        home: place("vault:main"),
        copies: vec![place("vault:offsite")],
        verify: Some(VerifyRule { every: Span::from_days(7), level: Level::L3 }),
        dr_test: Some(DrTestRule { every: Span::from_days(7) }),
        full_every: None,
    }
}

pub fn workload(name: &str, schedule: Schedule) -> Workload {
    Workload {
        name: name.parse().expect("valid"),
        kind: WorkloadKind::Files(FilesSpec {
            paths: vec!["/srv/docs".into()],
            exclude: Vec::new(),
            one_file_system: false,
            exclude_caches: false,
            images: Vec::new(),
        }),
        schedule,
        enabled: true,
        health: None,
        origin: "conf.d/docs.toml".into(),
    }
}

pub fn config(workloads: Vec<Workload>) -> Config {
    let vault = |name: &str, region: &str| VaultConfig {
        name: name.parse().expect("valid"),
        url: format!("file:///{name}"),
        region: region.parse().expect("valid"),
        key: SecretRef::File("/key".into()),
    };
    Config {
        state_dir: "/var/lib/backstop".into(),
        vaults: [vault("main", "here"), vault("offsite", "there")].map(|v| (v.name.clone(), v)).into(),
        schedules: BTreeMap::new(),
        workloads: workloads.into_iter().map(|w| (w.name.clone(), w)).collect(),
        policies: BTreeMap::new(),
        signers: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// A complete backup with an unproved copy at home.
pub fn backup(name: &str, created: Timestamp, tiers: &[Tier]) -> Backup {
    Backup {
        name: name.parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        created,
        tiers: tiers.iter().cloned().collect(),
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

/// The backup with its home copy proved to L3 at `at`.
pub fn proved(mut backup: Backup, at: Timestamp) -> Backup {
    backup.copies[0].proofs.push(proof(Level::L3, true, at));
    backup
}

/// The backup with a second copy off-site.
pub fn offsite(mut backup: Backup) -> Backup {
    let created = backup.created;
    backup.copies.push(copy("vault:offsite", created));
    backup
}
