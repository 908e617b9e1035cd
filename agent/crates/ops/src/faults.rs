//! Every verb under every fault: each step fails, is repeated, its undo is repeated, the process dies before and after it.
//! After each: nothing is lost, nothing is left behind, and the same verb then does what it would have done.

mod gate;
mod put_aside;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backstop_catalog::{Catalog, RunFilter};
use backstop_config::{Overrides, SourceFile, load};
use backstop_model::{BackupState, CopyState, Fault, Level, Outcome, Span, StepId};
use backstop_saga::Injection;
use backstop_seams::{Progress, Silent, Tick};
use backstop_sim::{Process, World};
use backstop_vault::{Secret, Store};

use crate::report::RunReport;
use crate::request::{DrTestRequest, Pick, Prune, Release, Replicate, Restore, Settle, Trigger, Undo, Verify};
use crate::{Context, Outside, backup, carry, drtest, prune, release, replicate, restore, settle, vaults, verify};

const CONFIG: &str = r#"
state_dir = "/var/lib/backstop"
[limits]
release_percent_per_day = 100
undelete_window = "1d"
[vault.main]
url = "file:///vault/here"
region = "here"
key = "env:KEY"
[vault.offsite]
url = "file:///vault/there"
region = "there"
key = "env:KEY"
[schedule.standard]
timezone = "UTC"
daily = { at = "02:00", keep = 4 }
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "7d", level = "L1" }
[workload.docs]
kind = "files"
paths = ["/srv/docs"]
schedule = "standard"
health = { command = ["check", "{}"], timeout = "10s" }
"#;

const SHM: &str = "/srv/docs";

/// A world in which the verb under test has something to do.
struct Stage {
    world: Arc<World>,
    ctx: Context,
    /// Kept: the world forgets a process whose last handle is gone.
    _process: Process,
}

fn outside(world: &Arc<World>, process: &Process) -> Outside {
    let (stores, lives) = (process.clone(), Arc::clone(world));
    Outside {
        clock: process.clock(),
        entropy: process.entropy(),
        files: Arc::new(process.files()),
        trees: Box::new(process.trees()),
        probe: Box::new(process.probe()),
        web: Arc::new(backstop_seams::NoWeb),
        reach: Box::new(backstop_seams::NoReach),
        open_store: Box::new(move |url, _| {
            let region = url.rsplit('/').next().unwrap_or_default();
            Ok(Store::new(stores.store(region), None, url))
        }),
        resolve: Box::new(|_| Ok(Secret::new(format!("{}{}", backstop_vault::RAW_PREFIX, "ab".repeat(32)).into()))),
        reveal: Arc::new(|_| Err(Fault::not_found("no test reveals a secret", ""))),
        by: "test@world".into(),
        owner: process.life().owner().to_owned(),
        may_live: Box::new(move |owner| lives.may_live(owner)),
        host: "world".into(),
        config_dir: "/etc/backstop".into(),
        privileged: true,
        threads: 1,
    }
}

impl Stage {
    /// Two backups of a tree, the first copied off-site and proved; the tree has changed since the second.
    fn set() -> Self {
        let world = World::new(7);
        world.weather().pause(true);
        let process = world.start();
        let file = SourceFile { path: "/etc/backstop/backstop.toml".into(), bytes: CONFIG.as_bytes().to_vec() };
        let config = load(&[file], &Overrides::default()).expect("valid");
        let catalog = Catalog::in_memory().expect("memory");
        let ctx = Context::new(outside(&world, &process), config, catalog);
        let stage = Self { world, ctx, _process: process };
        for vault in ["main", "offsite"] {
            vaults::init(&stage.ctx, &vault.parse().expect("valid"), false, None).expect("an empty place");
        }
        stage.write("a", b"one");
        stage.write("b/c", &[7; 5000]);
        stage.sound(trigger(&stage.ctx));
        stage.sound(copy(&stage.ctx));
        stage.sound(check(&stage.ctx));
        stage.write("a", b"two");
        stage.sound(trigger(&stage.ctx));
        stage.write("a", b"three");
        stage
    }

    fn write(&self, name: &str, contents: &[u8]) {
        self.world.clock().advance(Span::from_secs(3600));
        self.world.disk().write(&format!("{SHM}/{name}"), contents.to_vec());
        self.world.clock().advance(Span::from_secs(3600));
    }

    fn sound(&self, reports: Result<Vec<RunReport>, Fault>) {
        for report in reports.expect("begins") {
            assert_eq!(report.outcome, Some(Outcome::Done), "{:?}", report.fault);
        }
    }

    /// What an operator can see, proofs and histories left out.
    fn facts(&self) -> Vec<String> {
        let mut lines = self.world.disk().picture(SHM, "");
        for backup in self.ctx.catalog.all_backups().expect("reads").into_values().flatten() {
            let state = match backup.state {
                BackupState::Present => "present",
                BackupState::Trashed { .. } => "trashed",
                BackupState::Purged { .. } => "purged",
            };
            let copies: BTreeMap<String, CopyState> =
                backup.copies.iter().map(|copy| (copy.place.to_string(), copy.state)).collect();
            lines.push(format!("{} {state} {copies:?}", backup.tiers.len()));
        }
        lines
    }

    /// Whatever happened, this holds once the next verb has run.
    fn is_sound(&self, about: &str) {
        let open = RunFilter { open: true, ..RunFilter::default() };
        assert_eq!(self.ctx.catalog.runs(&open).expect("reads"), [], "{about}: a run is open");
        let stuck = RunFilter { outcome: Some(Outcome::Stuck), ..RunFilter::default() };
        assert_eq!(self.ctx.catalog.runs(&stuck).expect("reads"), [], "{about}: a run is stuck");
        assert_eq!(self.ctx.catalog.orphans(false).expect("reads"), [], "{about}: something is left behind");
        let staging = self.ctx.staging().to_string_lossy().into_owned();
        assert_eq!(self.world.disk().below(&staging), Vec::<String>::new(), "{about}: scratch is left");
        for backup in self.ctx.catalog.all_backups().expect("reads").into_values().flatten() {
            for copy in backup.copies.iter().filter(|copy| copy.state == CopyState::Present) {
                let vault = self.ctx.vault_at(&copy.place).expect("opens");
                vault.snapshot(&copy.snapshot).unwrap_or_else(|error| panic!("{about}: {}: {error}", backup.name));
            }
        }
        let beside = self.world.disk().below("/srv");
        let scaffolding = beside.iter().find(|path| path.contains("backstop-restore") || path.contains(".swap"));
        assert_eq!(scaffolding, None, "{about}: scaffolding is left");
    }

    fn inject(&self, injections: &[Injection]) {
        *self.ctx.faults.lock().expect("no panics") = injections.to_vec();
    }
}

type VerbUnderTest = fn(&Context) -> Result<Vec<RunReport>, Fault>;

fn docs() -> backstop_model::WorkloadName {
    "docs".parse().expect("valid")
}

fn trigger(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    let request = Trigger { workload: docs(), tier: None, mode: None, dry_run: false };
    backup::trigger(ctx, &request, &Silent).map(|report| vec![report])
}

fn copy(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    let request = Replicate { workload: Some(docs()), backup: None, to: None, max_parallel: 1, dry_run: false };
    replicate::replicate(ctx, &request, &Silent)
}

fn proof(ctx: &Context, level: Level) -> Result<Vec<RunReport>, Fault> {
    let request = Verify {
        workload: Some(docs()),
        backup: None,
        place: Some("vault:main".parse().expect("valid")),
        level: Some(level),
        again: false,
        sample_ppm: 1_000_000,
        max_parallel: 1,
        dry_run: false,
    };
    verify::verify(ctx, &request, &Silent)
}

fn check(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    proof(ctx, Level::L1)
}

fn rehearse(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    let request = DrTestRequest { workload: Some(docs()), backup: None, from: None, dry_run: false };
    drtest::test(ctx, &request, &Silent)
}

fn in_place(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    restored(ctx, None)
}

fn aside(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    restored(ctx, Some("/mnt/out".into()))
}

fn restored(ctx: &Context, to: Option<std::path::PathBuf>) -> Result<Vec<RunReport>, Fault> {
    let request = Restore {
        workload: docs(),
        pick: Pick::Newest,
        from: None,
        to,
        selection: Default::default(),
        overwrite: backstop_model::plan::Overwrite::Always,
        reason: "a test".into(),
        dry_run: false,
    };
    restore::restore(ctx, &request, &Silent).map(|report| vec![report])
}

fn put_back(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    let request = Undo { run: None, workload: docs(), reason: String::new() };
    restore::undo(ctx, &request, &Silent).map(|report| vec![report])
}

fn oldest(ctx: &Context) -> String {
    ctx.backups_of(&docs()).expect("reads")[0].name.to_string()
}

fn delete(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    let request = Release { workload: None, backups: vec![oldest(ctx)], reason: "a test".into(), dry_run: false };
    release::release(ctx, &request, &Silent)
}

fn undelete(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    release::undelete(ctx, &oldest(ctx), "a test", &Silent).map(|report| vec![report])
}

fn sweep(ctx: &Context) -> Result<Vec<RunReport>, Fault> {
    prune::prune(ctx, &Prune::default(), &Silent)
}

/// Everything copied and proved, so that something may be released.
fn proved(stage: &Stage) {
    stage.sound(copy(&stage.ctx));
    stage.sound(check(&stage.ctx));
    let everywhere = Verify {
        workload: Some(docs()),
        backup: None,
        place: None,
        level: None,
        again: false,
        sample_ppm: 1_000_000,
        max_parallel: 1,
        dry_run: false,
    };
    stage.sound(verify::verify(&stage.ctx, &everywhere, &Silent));
}

fn released(stage: &Stage) {
    proved(stage);
    stage.sound(delete(&stage.ctx));
}

struct Case {
    name: &'static str,
    prepare: fn(&Stage),
    verb: VerbUnderTest,
    /// A step that took something away for good cannot be undone; what went before it stays gone.
    undoes: bool,
}

const CASES: [Case; 10] = [
    Case { name: "backup", prepare: |_| (), verb: trigger, undoes: true },
    Case { name: "replicate", prepare: |_| (), verb: copy, undoes: true },
    Case { name: "verify L1", prepare: |_| (), verb: check, undoes: true },
    Case { name: "verify L3", prepare: |_| (), verb: |ctx| proof(ctx, Level::L3), undoes: true },
    Case { name: "dr test", prepare: |_| (), verb: rehearse, undoes: true },
    Case { name: "restore in place", prepare: |_| (), verb: in_place, undoes: true },
    Case { name: "restore aside", prepare: |_| (), verb: aside, undoes: true },
    Case { name: "restore undo", prepare: |stage| stage.sound(in_place(&stage.ctx)), verb: put_back, undoes: true },
    Case { name: "delete", prepare: proved, verb: delete, undoes: true },
    Case { name: "undelete", prepare: released, verb: undelete, undoes: true },
];

fn staged(case: &Case) -> Stage {
    let stage = Stage::set();
    (case.prepare)(&stage);
    stage
}

/// Facts after a run without faults, and how many steps its plans had.
fn clean(case: &Case) -> (Vec<String>, u32) {
    let stage = staged(case);
    let reports = (case.verb)(&stage.ctx).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
    for report in &reports {
        assert_eq!(report.outcome, Some(Outcome::Done), "{}: {:?}", case.name, report.fault);
    }
    stage.is_sound(case.name);
    let steps = reports.iter().map(|report| report.steps.len()).max().unwrap_or(0);
    assert!(steps > 0, "{} had nothing to do", case.name);
    (stage.facts(), u32::try_from(steps).expect("few"))
}

#[test]
fn a_step_that_fails_leaves_the_world_as_it_was_and_the_next_try_succeeds() {
    let mut points = 0;
    for case in &CASES {
        let (after, steps) = clean(case);
        for step in (0..steps).map(StepId) {
            for repeat in [false, true] {
                let stage = staged(case);
                let about = format!("{}, step {} fails", case.name, step.0);
                let before = stage.facts();
                let mut injections = vec![Injection::FailStep(step)];
                if repeat {
                    injections.push(Injection::RepeatUndos);
                }
                stage.inject(&injections);
                let reports = (case.verb)(&stage.ctx).unwrap_or_else(|fault| panic!("{about}: {fault}"));
                stage.inject(&[]);
                let outcome = reports.iter().find_map(|report| report.outcome.filter(|end| *end != Outcome::Done));
                assert!(outcome.is_some(), "{about}: nothing failed");
                if outcome == Some(Outcome::Stuck) {
                    // A cleaning step that failed leaves something behind; a person resumes the run.
                    for report in reports.iter().filter(|report| report.outcome == Some(Outcome::Stuck)) {
                        let run = report.run.clone().expect("it ran").to_string();
                        let request = Settle { run, skip: Vec::new(), reason: String::new() };
                        settle::resume(&stage.ctx, &request, &Silent).expect("tries again");
                    }
                } else if case.undoes && outcome != Some(Outcome::Partial) {
                    assert_eq!(stage.facts(), before, "{about}: something changed");
                    let again = (case.verb)(&stage.ctx);
                    stage.sound(again);
                    assert_eq!(stage.facts().len(), after.len(), "{about}: the next try did something else");
                }
                stage.is_sound(&about);
                points += 1;
            }
        }
    }
    assert_eq!(points, 48, "each step of each verb, twice");
}

#[test]
fn a_repeated_step_changes_nothing() {
    for case in &CASES {
        let (after, _) = clean(case);
        let stage = staged(case);
        stage.inject(&[Injection::RepeatSteps]);
        let reports = (case.verb)(&stage.ctx).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        stage.inject(&[]);
        for report in &reports {
            assert_eq!(report.outcome, Some(Outcome::Done), "{}: {:?}", case.name, report.fault);
        }
        stage.is_sound(case.name);
        assert_eq!(stage.facts().len(), after.len(), "{}", case.name);
    }
}

#[test]
fn a_process_that_dies_beside_a_step_is_followed_by_one_that_settles_it() {
    let mut points = 0;
    for case in &CASES {
        let (_, steps) = clean(case);
        for step in (0..steps).map(StepId) {
            for death in [Injection::DieBefore(step), Injection::DieAfter(step)] {
                let stage = staged(case);
                let about = format!("{}: {death:?}", case.name);
                stage.inject(&[death]);
                // Several plans: the first dies, the others may do their work.
                let _ = (case.verb)(&stage.ctx);
                stage.inject(&[]);
                // Whatever comes next on the workload settles it first.
                stage.sound(trigger(&stage.ctx));
                stage.is_sound(&about);
                points += 1;
            }
        }
    }
    assert_eq!(points, 48, "each step of each verb, twice");
}

#[test]
fn a_process_that_dies_while_its_end_is_recorded_leaves_one_record_and_one_line_in_the_audit_log() {
    let lines = |stage: &Stage, run: &str| {
        let log = stage.ctx.catalog.audit(&Default::default()).expect("reads");
        log.iter().filter(|line| line.details["run"] == run).count()
    };
    for case in &CASES {
        let (after, _) = clean(case);
        for point in [carry::BEFORE_THE_RECORDS, carry::BEFORE_THE_END] {
            let (stage, about) = (staged(case), format!("{}: dies at {point:?}", case.name));
            stage.inject(&[Injection::DieBefore(point)]);
            let _ = (case.verb)(&stage.ctx);
            stage.inject(&[]);
            let open = stage.ctx.catalog.runs(&RunFilter { open: true, ..RunFilter::default() }).expect("reads");
            let [run] = open.as_slice() else { panic!("{about}: open runs: {}", open.len()) };
            assert_eq!(lines(&stage, run.id.as_str()), 0, "{about}: told before it ended");
            settle::before(&stage.ctx, &docs(), &Silent).unwrap_or_else(|fault| panic!("{about}: {fault}"));
            assert_eq!(lines(&stage, run.id.as_str()), 1, "{about}");
            let ended = stage.ctx.catalog.run(&run.id).expect("reads").expect("there");
            assert_eq!(ended.outcome, Some(Outcome::Done), "{about}: all its steps were done");
            stage.is_sound(&about);
            assert_eq!(stage.facts().len(), after.len(), "{about}");
        }
    }
}

#[test]
fn a_release_stuck_on_a_vault_that_is_out_does_not_hold_back_a_backup_at_home() {
    let stage = Stage::set();
    proved(&stage);
    let oldest = oldest(&stage.ctx);
    // Everything fails that the release or its undo does beyond home.
    stage.inject(&[Injection::FailStep(StepId(2)), Injection::FailUndo(StepId(1))]);
    let reports = delete(&stage.ctx).expect("begins");
    assert_eq!(reports[0].outcome, Some(Outcome::Stuck));
    let backups = stage.ctx.backups_of(&docs()).expect("reads").len();
    let made = trigger(&stage.ctx).expect("home is there");
    assert_eq!(made[0].outcome, Some(Outcome::Done), "{:?}", made[0].fault);
    assert!(made[0].notes.iter().any(|note| note.contains("(release) is still stuck")), "{:?}", made[0].notes);
    assert_eq!(stage.ctx.backups_of(&docs()).expect("reads").len(), backups + 1);
    let fault = copy(&stage.ctx).expect_err("what needs the other vault waits");
    assert_eq!(fault.code, backstop_model::ExitCode::Stuck);
    // The vault is back: the next verb settles the release, and nothing of it is left.
    stage.inject(&[]);
    stage.sound(copy(&stage.ctx));
    stage.is_sound("a release that was stuck");
    let record = stage.ctx.backup(&oldest).expect("recorded");
    assert_eq!(record.state, BackupState::Present);
    assert!(record.copies.iter().all(|copy| copy.state == CopyState::Present), "{:?}", record.copies);
    stage.sound(aside(&stage.ctx));
}

/// Days go by in the middle of a backup, with prunes in them.
struct Slow<'a> {
    stage: &'a Stage,
    prunes: bool,
    begun: AtomicBool,
}

impl Progress for Slow<'_> {
    fn tick(&self, _: Tick) {
        if self.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        for _ in 0..2 {
            self.stage.world.clock().advance(Span::from_days(3));
            if self.prunes {
                self.stage.sound(sweep(&self.stage.ctx));
            }
        }
    }
    fn cancelled(&self) -> bool {
        false
    }
}

#[test]
fn a_backup_that_outlasts_the_grace_of_prunes_says_so_and_nothing_is_lost() {
    let request = Trigger { workload: docs(), tier: None, mode: None, dry_run: false };
    let slow = |stage: &Stage, prunes| {
        let watch = Slow { stage, prunes, begun: AtomicBool::new(false) };
        let report = backup::trigger(&stage.ctx, &request, &watch).expect("begins");
        assert!(watch.begun.load(Ordering::SeqCst), "days went by");
        report
    };
    let alone = Stage::set();
    let report = slow(&alone, false);
    assert_eq!(report.outcome, Some(Outcome::Done), "{:?}", report.fault);
    assert!(report.notes.iter().any(|note| note.contains("`limits.prune_grace`")), "{:?}", report.notes);

    let stage = Stage::set();
    released(&stage);
    let report = slow(&stage, true);
    let fault = report.fault.expect("what it relied on was pruned");
    assert_eq!(fault.code, backstop_model::ExitCode::Temporary, "{fault}");
    assert!(fault.message.contains("(2d)") && fault.hint.contains("`limits.prune_grace`"), "{fault} {}", fault.hint);
    stage.sound(trigger(&stage.ctx));
    stage.is_sound("a backup that was overtaken");
    proved(&stage);
    stage.sound(aside(&stage.ctx));
}

#[test]
fn a_prune_that_fails_anywhere_takes_nothing_that_is_kept() {
    for step in 0..5 {
        for injection in
            [Injection::FailStep(StepId(step)), Injection::DieBefore(StepId(step)), Injection::DieAfter(StepId(step))]
        {
            let stage = Stage::set();
            released(&stage);
            stage.world.clock().advance(Span::from_days(2));
            stage.inject(&[injection]);
            let _ = sweep(&stage.ctx);
            stage.inject(&[]);
            // A prune is no workload's: the agenda settles it, and so does the next prune.
            stage.sound(sweep(&stage.ctx));
            stage.is_sound(&format!("prune: {injection:?}"));
            let backups = stage.ctx.backups_of(&docs()).expect("reads");
            assert!(matches!(backups[0].state, BackupState::Purged { .. }), "{injection:?}: {:?}", backups[0].state);
            stage.sound(aside(&stage.ctx));
        }
    }
}
