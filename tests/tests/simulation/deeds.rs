//! What people do by hand: bring a tree back in place, take that back, change the key of a vault. Processes end and
//! stores fail in the middle of these as of anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use backstop_catalog::RunFilter;
use backstop_model::config::{SecretRef, WorkloadKind};
use backstop_model::plan::{Overwrite, Selection};
use backstop_model::{Backup, ExitCode, Fault, Outcome, RunId, Span, Verb, WorkloadName};
use backstop_ops::report::RunReport;
use backstop_ops::request::{Pick, Restore, Undo};
use backstop_ops::{restore, vaults};
use backstop_seams::Silent;
use backstop_vault::{RAW_PREFIX, Secret, VaultError};

use crate::story::{REGIONS, Story, name};
use crate::watch::open_vault;

/// `limits.undo_window` of the configuration.
const UNDO_WINDOW: Span = Span::from_days(2);

/// The keys of the vaults; each rotation gives a vault its next one.
#[derive(Default)]
pub struct Keys(Mutex<BTreeMap<String, u8>>);

impl Keys {
    /// The key in force, or one before or after it.
    pub fn of(&self, vault: &str, away: i8) -> Secret {
        let known = self.0.lock().expect("no panics").get(vault).copied().unwrap_or(1);
        let byte = known.checked_add_signed(away).expect("few rotations");
        let salt = if vault == "main" { "a" } else { "b" };
        Secret::new(format!("{RAW_PREFIX}{}{}", salt.repeat(2), format!("{byte:02x}").repeat(31)).into_bytes())
    }

    /// As the configuration names them: `KEY_main` is in force, `NEXT_main` comes after it.
    pub fn resolve(&self, reference: &SecretRef) -> Secret {
        let SecretRef::Env(variable) = reference else { panic!("no other is configured") };
        match variable.split_once('_') {
            Some(("KEY", vault)) => self.of(vault, 0),
            Some(("NEXT", vault)) => self.of(vault, 1),
            _ => panic!("no other is configured: {variable}"),
        }
    }

    fn advance(&self, vault: &str) {
        *self.0.lock().expect("no panics").entry(vault.to_owned()).or_insert(1) += 1;
    }
}

/// Live trees that somebody wants to be others.
pub struct Exchange {
    workload: WorkloadName,
    roots: Vec<String>,
    before: Vec<Vec<String>>,
    wanted: Vec<Vec<String>>,
}

impl Exchange {
    /// Each tree is the old one or the new, never a mix; all of them the same once the run is at its end; and the old
    /// ones are beside the new.
    pub fn check(&self, story: &Story) {
        let live = pictures(story, &self.roots);
        for (at, root) in self.roots.iter().enumerate() {
            let is_one = live[at] == self.before[at] || live[at] == self.wanted[at];
            assert!(is_one, "{root} is neither as it was nor as it was to be: {:#?}", live[at]);
        }
        if self.is_at_work(story) {
            return;
        }
        assert!(live == self.before || live == self.wanted, "some trees of {} changed and others not", self.workload);
        if live != self.before {
            for (root, before) in self.roots.iter().zip(&self.before) {
                let kept =
                    beside(story, root).into_iter().any(|kept| &story.world.disk().picture(&kept, &kept) == before);
                assert!(kept, "the tree that stood at {root} is lost");
            }
        }
    }

    fn is_at_work(&self, story: &Story) -> bool {
        let filter = RunFilter { workload: Some(self.workload.clone()), ..RunFilter::default() };
        let runs = story.ctx().catalog.runs(&filter).expect("runs read");
        runs.iter().any(|run| matches!(run.outcome, None | Some(Outcome::Stuck)))
    }
}

/// A restore in place that can be taken back.
pub struct Returnable {
    run: RunId,
    workload: WorkloadName,
    since: Span,
    before: Vec<Vec<String>>,
}

fn roots(story: &Story, workload: &WorkloadName) -> Vec<String> {
    let WorkloadKind::Files(spec) = &story.ctx().config.workloads[workload].kind;
    spec.paths.iter().map(|path| path.display().to_string()).collect()
}

fn pictures(story: &Story, roots: &[String]) -> Vec<Vec<String>> {
    roots.iter().map(|root| story.world.disk().picture(root, root)).collect()
}

/// What a backup must bring back at one of its roots, as seen from there.
fn below(picture: &[String], root: &str) -> Vec<String> {
    let lines = picture.iter().filter_map(|line| line.strip_prefix(root));
    let shown = |line: &str| if line.starts_with(' ') { format!("/{line}") } else { line.to_owned() };
    lines.filter(|line| line.starts_with(' ') || line.starts_with('/')).map(shown).collect()
}

/// The trees that restores and undos put aside.
pub fn beside(story: &Story, root: &str) -> Vec<String> {
    let (above, last) = root.rsplit_once('/').expect("absolute");
    let names = story.world.disk().below(above).into_iter().map(|path| format!("/{path}"));
    let is_kept = |path: &String| {
        let name = path.strip_prefix(above).and_then(|rest| rest.strip_prefix(&format!("/.{last}.backstop-")));
        name.is_some_and(|name| !name.contains('/') && (name.starts_with("undo-") || name.starts_with("redo-")))
    };
    names.filter(is_kept).filter(|path| !path.ends_with(".swapped") && !path.ends_with(".swapping")).collect()
}

/// Restores a backup in place.
pub fn bring_back(story: &mut Story, backup: &Backup, picture: &[String]) -> Exchange {
    let workload = backup.workload.clone();
    let roots = roots(story, &workload);
    let before = pictures(story, &roots);
    let wanted = roots.iter().map(|root| below(picture, root)).collect();
    let request = Restore {
        workload: workload.clone(),
        pick: Pick::Named(backup.name.to_string()),
        from: None,
        to: None,
        selection: Selection::default(),
        overwrite: Overwrite::Always,
        reason: "a wrong day".into(),
        dry_run: false,
    };
    let done = restore::restore(story.ctx(), &request, &Silent);
    tell(story, &format!("somebody restores {workload} in place"), &done);
    let exchange = Exchange { workload: workload.clone(), roots, before: before.clone(), wanted };
    if let Some(run) = is_done(story, done) {
        let live = pictures(story, &exchange.roots);
        let differs = live.iter().flatten().zip(exchange.wanted.iter().flatten()).find(|(a, b)| a != b);
        assert!(live == exchange.wanted, "{} is not what was restored: {differs:?}", backup.name);
        story.returnable = Some(Returnable { run, workload, since: story.world.clock().passed(), before });
    }
    exchange
}

/// Takes the last restore in place back.
pub fn take_back(story: &mut Story, last: Returnable) -> Exchange {
    let roots = roots(story, &last.workload);
    let before = pictures(story, &roots);
    let request = Undo { run: Some(last.run), workload: last.workload.clone(), reason: "the right day".into() };
    let done = restore::undo(story.ctx(), &request, &Silent);
    tell(story, &format!("somebody takes the restore of {} back", last.workload), &done);
    let exchange = Exchange { workload: last.workload, roots, before, wanted: last.before };
    match done {
        Err(fault) if fault.code == ExitCode::NotFound && !story.process.life().has_ended() => {
            let age = story.world.clock().passed().as_millis() - last.since.as_millis();
            assert!(age + 60_000 >= UNDO_WINDOW.as_millis(), "after {age} ms: {}", fault.message);
        }
        done => {
            if is_done(story, done).is_some() {
                assert!(pictures(story, &exchange.roots) == exchange.wanted, "{} is not as it was", exchange.workload);
            }
        }
    }
    exchange
}

/// The run, if it did what it was for and its process has lived to tell.
fn is_done(story: &Story, done: Result<RunReport, Fault>) -> Option<RunId> {
    let report = done.ok().filter(|report| report.outcome == Some(Outcome::Done))?;
    report.run.filter(|_| !story.process.life().has_ended())
}

fn tell(story: &Story, what: &str, done: &Result<RunReport, Fault>) {
    match done {
        Ok(report) => {
            let outcome = report.outcome.map_or("-".to_owned(), |outcome| outcome.to_string());
            story.tell(&format!("{what}: {outcome}"), &format!("{:?}", report.fault));
        }
        Err(fault) => story.tell(&format!("{what}: refused"), &fault.message),
    }
}

/// Gives a vault its next key. What was kept opens with it and no more with the one before.
pub fn change_key(story: &Story, vault: &'static str) {
    let next = SecretRef::Env(format!("NEXT_{vault}"));
    let label = format!("since {}", story.world.clock().passed().as_millis());
    let done = vaults::key_rotate(story.ctx(), &name(vault), Some((&next, &label)));
    let words = done.as_ref().err().map_or(String::new(), |fault| fault.message.clone());
    let opens = |away| match open_vault(story, vault, &story.keys.of(vault, away)) {
        Ok(_) => true,
        Err(VaultError::WrongKey { .. }) => false,
        Err(error) => panic!("{vault} with the key {away} away from the one in force: {error}"),
    };
    match (opens(0), opens(1)) {
        (false, true) => {
            story.keys.advance(vault);
            story.ctx().close_vault(&name(vault));
            story.tell(&format!("the key of {vault} is another"), &words);
        }
        // Cut short: both open until the next rotation, or nothing came of it.
        (true, _) => {
            let has_ended = story.process.life().has_ended();
            assert!(done.is_err() || has_ended, "the key of {vault} was changed and the one before still opens it");
            story.tell(&format!("the key of {vault} stays"), &words);
        }
        (false, false) => panic!("neither key opens {vault}"),
    }
}

/// Nothing of restores in place is left once their windows are over.
pub fn nothing_put_aside(story: &Story) {
    for (name, workload) in &story.ctx().config.workloads {
        let WorkloadKind::Files(spec) = &workload.kind;
        for root in &spec.paths {
            let left = beside(story, &root.display().to_string());
            assert_eq!(left, Vec::<String>::new(), "beside {} of {name}", root.display());
            let scaffold = |path: &String| path.contains(".backstop-") && Path::new(path).parent() == root.parent();
            let all = story.world.disk().below(&root.parent().expect("above").display().to_string());
            let left: Vec<String> = all.into_iter().map(|path| format!("/{path}")).filter(scaffold).collect();
            assert_eq!(left, Vec::<String>::new(), "scaffolding beside {}", root.display());
        }
    }
    let prunes = RunFilter { verb: Some(Verb::Prune), ..RunFilter::default() };
    let prunes = story.ctx().catalog.runs(&prunes).expect("runs read");
    assert!(prunes.iter().all(|run| run.outcome.is_some()), "a prune is open");
    for (vault, _) in REGIONS {
        open_vault(story, vault, &story.keys.of(vault, 0)).unwrap_or_else(|error| panic!("{vault}: {error}"));
    }
}
