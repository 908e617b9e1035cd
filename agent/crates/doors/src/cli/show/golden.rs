//! What people read, compared with the files in `golden/`. `BLESS=1` writes them anew.

#![allow(clippy::disallowed_methods, reason = "golden files are read, and blessed, beside the tests")]

use std::collections::BTreeMap;
use std::path::Path;

use backstop_model::config::{Config, Limits, SecretRef, VaultConfig};
use backstop_model::run::{Checked, SnapshotMade, StepOutput};
use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, DrTest, ExitCode, Fault, Hold, Level, Mode, Outcome,
    Proof, ProofKind, SnapshotId, Span, Tier, Timestamp, Verb,
};
use backstop_ops::reports::{Compliance, DrHistory, DrTestLine, FailedCheck, Rate, RtoSummary, Success, SuccessRate};
use backstop_ops::row::{Keep, Row};
use backstop_ops::status::{PlaceUse, Status, VaultUse, WorkloadStatus};
use backstop_ops::{RunReport, StepReport, StepState, agenda, list, reports, show};

use crate::cli::words::Look;
use crate::cli::{show as text, tree};

fn t(raw: &str) -> Timestamp {
    raw.parse().expect("an instant")
}

fn look() -> Look {
    Look { colour: false, verbose: 0, now: t("2026-05-20T12:00:00Z") }
}

/// Compares with the golden file, or writes it.
fn golden(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    for line in shown.lines() {
        assert_eq!(line, line.trim_end(), "a line of {name} ends in spaces");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, shown).expect("the golden file can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, known, "{name} differs; `BLESS=1` accepts it");
}

/// The same, for what must be readable on a narrow terminal.
fn narrow(name: &str, shown: &str) {
    golden(name, shown);
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
}

fn config() -> Config {
    let vault = |name: &str, region: &str| VaultConfig {
        name: name.parse().expect("valid"),
        url: format!("file:///srv/{name}"),
        region: region.parse().expect("valid"),
        key: SecretRef::Env("KEY".into()),
    };
    let vaults = [vault("main", "here"), vault("offsite", "there")];
    Config {
        state_dir: "/var/lib/backstop".into(),
        vaults: vaults.into_iter().map(|vault| (vault.name.clone(), vault)).collect(),
        schedules: BTreeMap::new(),
        workloads: BTreeMap::new(),
        policies: BTreeMap::new(),
        signers: BTreeMap::new(),
        limits: Limits::default(),
    }
}

fn proof(level: Level, passed: bool, at: &str, kind: ProofKind) -> Proof {
    Proof {
        at: t(at),
        level,
        passed,
        kind,
        took: Span::from_millis(108_000),
        sample_ppm: 1_000_000,
        run: "20260518-103000-ab12cd".parse().expect("valid"),
        detail: if passed { "18,204 entries compared, all equal".into() } else { "chunk 3f is damaged".into() },
    }
}

fn copy(place: &str, proofs: Vec<Proof>) -> Copy {
    Copy {
        place: place.parse().expect("valid"),
        snapshot: SnapshotId([0x3f; 32]),
        state: CopyState::Present,
        stored: Bytes(1_230_000_000),
        created: t("2026-05-20T02:04:00Z"),
        proofs,
    }
}

fn backup(name: &str, created: &str, tiers: &[Tier]) -> Backup {
    Backup {
        name: name.parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        created: t(created),
        tiers: tiers.iter().cloned().collect(),
        mode: Mode::Incremental,
        based_on: None,
        size: Bytes(128_000_000_000),
        entries: 18_204,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![
            copy("vault:main", vec![proof(Level::L3, true, "2026-05-18T10:30:00Z", ProofKind::Verify)]),
            copy("vault:offsite", vec![proof(Level::L1, true, "2026-05-19T10:30:00Z", ProofKind::Verify)]),
        ],
        run: "20260520-020000-ab12cd".parse().expect("valid"),
    }
}

fn backups() -> Vec<Backup> {
    let today = backup("docs-backup-daily-20260520-0200", "2026-05-20T02:00:00Z", &[Tier::Daily]);
    let mut partial = backup("docs-backup-daily-20260519-0200", "2026-05-19T02:00:00Z", &[Tier::Daily]);
    partial.completeness = Completeness::Partial { troubles: 3 };
    partial.copies.truncate(1);
    partial.copies[0].proofs.clear();
    let mut weekly = backup("docs-backup-weekly-20260517-0300", "2026-05-17T03:00:00Z", &[Tier::Daily, Tier::Weekly]);
    weekly.hold = Some(Hold { reason: "audit 2026".into(), by: "ann@ops".into(), since: t("2026-05-18T08:00:00Z") });
    weekly.copies[1].proofs.push(proof(Level::L1, false, "2026-05-20T10:30:00Z", ProofKind::Verify));
    vec![today, partial, weekly]
}

#[test]
fn a_list_says_where_copies_are_and_no_more_than_was_shown() {
    let rows = backups().iter().map(|backup| Row::of(&config(), backup)).collect();
    let workload = Some("docs".parse().expect("valid"));
    let listed = list::Listed { now: look().now, workload, kept: 3, trashed: 1, cut: false, backups: rows };
    narrow("backup-list.txt", &text::list::list(&look(), &list::Request::default(), &listed));
    let json = serde_json::to_string_pretty(&listed).expect("plain data");
    golden("backup-list.json", &format!("{json}\n"));
}

#[test]
fn an_empty_list_says_what_to_do() {
    let workload = Some("docs".parse().expect("valid"));
    let listed = list::Listed { now: look().now, workload, kept: 0, trashed: 0, cut: false, backups: vec![] };
    let shown = text::list::list(&look(), &list::Request::default(), &listed);
    assert!(shown.contains("backstop backup trigger docs"), "{shown}");
}

#[test]
fn a_backup_shows_every_check_of_every_copy_and_why_it_is_kept() {
    let mut row = Row::with_checks(&config(), &backups()[2]);
    let reasons = vec!["held by ann@ops: audit 2026".to_owned(), "weekly: week 1 of the 4 kept".to_owned()];
    row.keep = Some(Keep { keep: true, reasons, expires: None });
    let contents = show::Contents {
        place: Some("vault:main".parse().expect("valid")),
        roots: vec!["/srv/docs".into()],
        host: "ops1".into(),
        directories: 204,
        files: 18_000,
        symlinks: 0,
        others: 0,
        largest: vec![show::Largest { size: Bytes(90_000_000_000), path: "/srv/docs/film.mkv".into() }],
    };
    let shown = show::Shown { now: look().now, backup: row, contents: Some(contents) };
    golden("backup-show.txt", &text::backup::backup(&look(), &shown));
}

fn report(verb: Verb) -> RunReport {
    RunReport {
        run: Some("20260520-020000-ab12cd".parse().expect("valid")),
        verb,
        workload: Some("docs".parse().expect("valid")),
        dry_run: false,
        outcome: Some(Outcome::Done),
        reasons: vec!["docs-backup-daily-20260520-0200 at vault:main: not proved to L3 yet".into()],
        steps: Vec::new(),
        took: Span::from_millis(222_000),
        fault: None,
        backups: vec![backups().remove(0)],
        dr_test: None,
        notes: Vec::new(),
        next: Vec::new(),
        code: ExitCode::Ok,
    }
}

fn step(what: &str, state: StepState, output: Option<StepOutput>) -> StepReport {
    StepReport { what: what.into(), state, took: Some(Span::from_millis(108_000)), output, fault: None }
}

fn shown(report: &RunReport) -> String {
    let rows: Vec<Row> = report.backups.iter().map(|backup| Row::of(&config(), backup)).collect();
    text::report::text(&look(), report, &rows)
}

#[test]
fn a_partial_backup_says_so_and_names_what_is_missing() {
    let mut partial = report(Verb::Backup);
    partial.outcome = Some(Outcome::Partial);
    partial.code = ExitCode::Partial;
    let made = SnapshotMade {
        snapshot: SnapshotId([1; 32]),
        captured: t("2026-05-20T02:00:00Z"),
        size: 128_000_000_000,
        entries: 18_204,
        stored: 1_230_000_000,
        read: 2_400_000_000,
        changed: 311,
        troubles: Vec::new(),
        trouble_count: 2,
    };
    partial.steps = vec![step("back up", StepState::Done, Some(StepOutput::Snapshot(made)))];
    partial.notes = vec!["/srv/docs/secret: permission denied".into(), "/srv/docs/log: changed while read".into()];
    partial.next = vec!["prove it: `backstop backup verify docs-backup-daily-20260520-0200`".into()];
    narrow("report-backup.txt", &shown(&partial));
}

#[test]
fn a_check_that_found_damage_shows_how_far_it_came() {
    let mut bad = report(Verb::Verify);
    bad.outcome = Some(Outcome::Undone);
    bad.code = ExitCode::Findings;
    bad.fault = Some(Fault::new(ExitCode::Findings, backstop_model::Advice::CallAPerson, "chunk 3f is damaged", ""));
    let checked = Checked { level: Level::L1, bytes: 640_000_000, sample_ppm: 50_000, detail: "12 packs".into() };
    bad.steps = vec![
        step("read the packs", StepState::Done, Some(StepOutput::Checked(checked))),
        step("restore into scratch space", StepState::Failed, None),
        step("compare with the manifest", StepState::NotReached, None),
    ];
    narrow("report-verify.txt", &shown(&bad));
}

#[test]
fn a_rehearsal_shows_its_phases_and_the_objective() {
    let mut test = report(Verb::DrTest);
    test.dr_test = Some(DrTest {
        run: "20260520-020000-ab12cd".parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        backup: "docs-backup-daily-20260520-0200".parse().expect("valid"),
        place: "vault:offsite".parse().expect("valid"),
        started: t("2026-05-20T11:00:00Z"),
        completed: Some(t("2026-05-20T11:12:00Z")),
        passed: true,
        restore_ok: Some(true),
        compare_ok: Some(true),
        health_ok: None,
        cleanup_ok: Some(true),
        rto: Some(Span::from_millis(647_000)),
        rto_target: Span::from_secs(900),
        error: None,
    });
    narrow("report-dr-test.txt", &shown(&test));
}

#[test]
fn a_plan_is_told_as_one() {
    let mut plan = report(Verb::Restore);
    (plan.run, plan.outcome, plan.dry_run) = (None, None, true);
    plan.reasons = vec!["docs-backup-daily-20260520-0200: the newest readable backup".into()];
    plan.steps = vec![step("restore beside the live tree", StepState::Planned, None)];
    plan.steps[0].took = None;
    narrow("report-plan.txt", &shown(&plan));
}

#[test]
fn status_says_what_would_be_lost_and_what_is_due() {
    let use_of = |name: &str, copies: u32, missing: u32| PlaceUse {
        place: format!("vault:{name}").parse().expect("valid"),
        region: None,
        copies,
        missing,
        newest: Some(t("2026-05-20T02:00:00Z")),
    };
    let workload = WorkloadStatus {
        workload: "docs".parse().expect("valid"),
        configured: true,
        enabled: true,
        backups: 23,
        last_backup: Some(t("2026-05-20T02:00:00Z")),
        exposure_millis: Some(36_000_000),
        rpo_millis: Some(86_400_000),
        rpo_met: Some(true),
        promised: Some(Level::L3),
        proved_exposure_millis: Some(208_800_000),
        offsite_exposure_millis: Some(122_400_000),
        oldest_proof: Some(t("2026-05-14T10:30:00Z")),
        unproved_copies: 2,
        places: vec![use_of("main", 23, 0), use_of("offsite", 22, 1)],
        last_dr_test: None,
        next_backup: Some(t("2026-05-21T02:00:00Z")),
        size: Bytes(128_000_000_000),
        stored: Bytes(1),
        partial: 1,
        held: 1,
        trashed: 0,
        lost: 0,
        due: 1,
    };
    let vault = VaultUse {
        vault: "main".parse().expect("valid"),
        url: "file:///srv/main".into(),
        region: "here".parse().expect("valid"),
        copies: 23,
        newest: Some(t("2026-05-20T02:00:00Z")),
    };
    let status = Status {
        now: look().now,
        workloads: vec![workload],
        vaults: vec![vault],
        policies: Vec::new(),
        due: vec![due()],
    };
    narrow("status.txt", &text::status::status(&look(), &status));
}

fn due() -> agenda::Line {
    agenda::Line {
        verb: Verb::Replicate,
        workload: Some("docs".parse().expect("valid")),
        backups: vec!["docs-backup-daily-20260520-0200".parse().expect("valid")],
        place: Some("vault:offsite".parse().expect("valid")),
        run: None,
        when: t("2026-05-20T02:00:00Z"),
        reason: "vault:offsite lacks 1 backup".into(),
    }
}

#[test]
fn the_agenda_names_what_is_due_and_how_to_do_it() {
    let next = agenda::Line {
        when: t("2026-05-21T02:00:00Z"),
        verb: Verb::Backup,
        reason: "the next daily backup".into(),
        ..due()
    };
    let shown = agenda::Shown { now: look().now, due: vec![due()], next: vec![next] };
    narrow("agenda.txt", &text::agenda::agenda(&look(), &shown));
}

fn dr_line(at: &str, passed: bool, rto: Option<u64>) -> DrTestLine {
    DrTestLine {
        run: "20260520-020000-ab12cd".parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        backup: "docs-backup-daily-20260520-0200".parse().expect("valid"),
        place: "vault:offsite".parse().expect("valid"),
        started: t(at),
        completed: Some(t(at)),
        passed,
        restore_ok: Some(true),
        compare_ok: Some(passed),
        health_ok: None,
        cleanup_ok: Some(true),
        rto_millis: rto,
        rto_target_millis: 900_000,
        rto_met: rto.map(|rto| rto <= 900_000),
        error: (!passed).then(|| "/a differs".to_owned()),
    }
}

#[test]
fn a_history_tells_rates_with_what_they_support() {
    let rto = RtoSummary {
        count: 3,
        mean_millis: Some(741_000),
        max_millis: Some(912_000),
        p50_millis: Some(660_000),
        p95_millis: Some(912_000),
        target_millis: 900_000,
        over: 1,
        met: Some(false),
    };
    let tests = vec![
        dr_line("2026-05-20T10:00:00Z", true, Some(647_000)),
        dr_line("2026-05-13T10:00:00Z", true, Some(912_000)),
        dr_line("2026-05-06T10:00:00Z", false, None),
    ];
    let request = reports::Request { workload: Some("docs".parse().expect("valid")), days: 30 };
    let period = period();
    let history = DrHistory { period, tests, rate: Rate::of(2, 3), rto };
    narrow("dr-test-history.txt", &text::reports::history(&look(), &request, &history));
    let line = |passed, total, compliance| SuccessRate {
        workload: Some("docs".parse().expect("valid")),
        rate: Rate::of(passed, total),
        target_percent: 99.9,
        compliance,
        passes_needed: Some(2995),
        rto,
    };
    let rates = vec![
        line(36, 36, Compliance::TooFewTests),
        SuccessRate { workload: None, ..line(2, 3, Compliance::Missed) },
        line(0, 0, Compliance::NoTests),
    ];
    narrow("dr-success-rate.txt", &text::reports::success(&look(), &request, &Success { period, rates }));
}

fn period() -> reports::Period {
    reports::Period { from: t("2026-04-20T12:00:00Z"), to: look().now }
}

#[test]
fn a_verification_report_names_failures_and_what_to_do() {
    let totals = reports::Totals {
        backups: 23,
        proved_backups: 22,
        copies: 46,
        proved_copies: 43,
        checks: Rate::of(44, 45),
        last_check: Some(t("2026-05-20T10:30:00Z")),
    };
    let line = reports::WorkloadVerification {
        workload: "docs".parse().expect("valid"),
        promised: Level::L3,
        totals,
        unproved: vec!["docs-backup-daily-20260519-0200".parse().expect("valid")],
    };
    let failure = FailedCheck {
        workload: "docs".parse().expect("valid"),
        backup: "docs-backup-weekly-20260517-0300".parse().expect("valid"),
        place: "vault:offsite".parse().expect("valid"),
        at: t("2026-05-20T10:30:00Z"),
        level: Level::L1,
        detail: "chunk 3f".into(),
        settled: false,
        action: "another copy is intact: restore from that one, and copy it here again".into(),
    };
    let report = reports::VerificationReport {
        period: period(),
        workloads: vec![line],
        overall: totals,
        failures: vec![failure],
    };
    let request = reports::Request { workload: None, days: 30 };
    golden("verification-report.txt", &text::reports::verification(&look(), &request, &report));
}

#[test]
fn help_reads_as_blessed() {
    let mut command = tree::command().term_width(80);
    golden("help.txt", &trimmed(&command.render_long_help().to_string()));
    command.build();
    let mut backup = command.find_subcommand("backup").expect("there").clone();
    let restore = backup.find_subcommand_mut("restore").expect("there");
    *restore = restore.clone().term_width(80);
    golden("help-backup-restore.txt", &trimmed(&restore.render_long_help().to_string()));
}

fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
