//! One life: a world, the agent in it, and what befalls both.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use backstop_catalog::Catalog;
use backstop_config::{Overrides, SourceFile};
use backstop_model::{Fault, Span, VaultName};
use backstop_ops::{Context, Outside, agenda_run, vaults};
use backstop_seams::Silent;
use backstop_sim::{Climate, Dice, Drift, End, Process, World};
use backstop_vault::Store;

use crate::deeds::{self, Exchange, Keys, Returnable};
use crate::watch::Watch;

/// Two workloads with their own retention and one with two roots.
const CONFIG: &str = r#"
state_dir = "/var/lib/backstop"
limits = { undo_window = "2d" }

[vault.main]
url = "file:///vault/here"
region = "here"
key = "env:KEY_main"

[vault.offsite]
url = "file:///vault/there"
region = "there"
key = "env:KEY_offsite"

[schedule.standard]
timezone = "UTC"
daily = { at = "02:00", keep = 4 }
weekly = { on = "sunday", at = "03:00", keep = 2 }
rpo = "24h"
rto = "15m"
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "3d", level = "L3" }
dr_test = { every = "7d" }

[schedule.berlin]
timezone = "Europe/Berlin"
daily = { at = "23:30", keep = 3 }
rpo = "24h"
rto = "15m"
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "3d", level = "L1" }

[workload.docs]
kind = "files"
paths = ["/srv/docs"]
schedule = "standard"

[workload.homes]
kind = "files"
paths = ["/home/ann", "/home/bob"]
schedule = "berlin"
"#;

/// Trees that change.
const TREES: [&str; 3] = ["/srv/docs", "/home/ann", "/home/bob"];
/// The regions of the vaults.
pub const REGIONS: [(&str, &str); 2] = [("main", "here"), ("offsite", "there")];

const HOUR: Span = Span::from_secs(3600);
const YEAR_BACK: i64 = -365 * 24 * 3_600_000;

/// Something done to a vault behind everybody's back.
pub struct Damage {
    pub vault: &'static str,
    pub region: &'static str,
    pub object: String,
    pub before: Vec<u8>,
    pub until: Span,
}

/// The life.
pub struct Story {
    pub world: Arc<World>,
    pub ctx: Option<Context>,
    pub process: Process,
    /// Where catalogs are kept, one for each process.
    dir: tempfile::TempDir,
    catalogs: u32,
    drifts: Vec<Drift>,
    dice: Dice,
    day: u64,
    last_touches: u64,
    /// Whether processes end before their time.
    may_end: bool,
    is_quiet_week: bool,
    pub damage: Option<Damage>,
    pub keys: Arc<Keys>,
    /// The last restore in place, until somebody takes it back.
    pub returnable: Option<Returnable>,
    /// Taken out while it looks.
    watch: Option<Watch>,
    trace: Arc<Mutex<Vec<String>>>,
    is_told: bool,
}

impl Story {
    /// A world with trees and two empty vaults. `may_end`: processes end before their time.
    pub fn new(seed: u64, climate: Climate, may_end: bool) -> Self {
        let world = World::new(seed);
        let drifts = TREES.iter().map(|root| world.drift(root)).collect();
        // In memory where there is such a place: every commit of the catalog is flushed.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let process = world.start();
        let mut story = Self {
            dice: world.chance().of("story"),
            watch: Some(Watch::new(world.chance().of("watch"))),
            world,
            ctx: None,
            process,
            dir: dir.expect("a temporary directory"),
            catalogs: 0,
            drifts,
            day: 0,
            last_touches: 100,
            may_end,
            is_quiet_week: false,
            damage: None,
            keys: Arc::default(),
            returnable: None,
            trace: Arc::default(),
            is_told: std::env::var_os("BACKSTOP_TRACE").is_some(),
        };
        story.world.weather().set_climate(Climate::CALM);
        story.ctx = Some(story.context());
        for (vault, _) in REGIONS {
            vaults::init(story.ctx(), &name(vault), false, None).expect("an empty place");
        }
        story.world.weather().set_climate(climate);
        story
    }

    pub fn ctx(&self) -> &Context {
        self.ctx.as_ref().expect("there is one between steps")
    }

    /// What happened, and in which words. The words may name digests and entries, which depend on the order in which
    /// threads hand bytes over; what happened does not.
    pub fn tell(&self, what: &str, words: &str) {
        let line = format!("{} {what}", self.world.clock().truth().strftime("%F %R"));
        if self.is_told {
            println!("{line} {words}");
        }
        self.trace.lock().expect("ours").push(line);
    }

    /// Lives on, with bad weather and accidents, then a quiet week at whose end everything must be as promised.
    pub fn live(&mut self, weeks: u64) {
        let end = Span::from_days(7 * weeks);
        while self.world.clock().passed() < end {
            self.befall();
            self.step();
        }
        self.world.weather().set_climate(Climate::CALM);
        self.world.clock().set_wrong(0);
        self.repair();
        self.is_quiet_week = true;
        let end = Span::from_millis(end.as_millis() + Span::from_days(8).as_millis());
        while self.world.clock().passed() < end {
            self.pass();
            self.step();
        }
    }

    /// What happened, line by line.
    pub fn end(mut self) -> Vec<String> {
        self.watched(Watch::at_the_end);
        let trace = self.trace.lock().expect("ours");
        trace.clone()
    }

    fn watched<T>(&mut self, look: impl FnOnce(&mut Watch, &Story) -> T) -> T {
        let mut watch = self.watch.take().expect("it looks at one thing at a time");
        let seen = look(&mut watch, self);
        self.watch = Some(watch);
        seen
    }

    fn pass(&mut self) {
        let millis = 4 * HOUR.as_millis() + self.dice.below(4 * HOUR.as_millis());
        self.world.clock().advance(Span::from_millis(millis));
        let day = self.world.clock().passed().as_millis() / Span::from_days(1).as_millis();
        while self.day < day {
            self.day += 1;
            self.drifts.iter_mut().for_each(Drift::next);
        }
    }

    /// Time passes, and something goes wrong.
    fn befall(&mut self) {
        self.pass();
        self.set_clock();
        self.harm();
        if self.dice.one_in(25) {
            self.hold_or_release();
        }
        if self.dice.one_in(5) && self.may_end {
            let after = self.dice.below(self.last_touches.max(20));
            self.doom(after);
        }
    }

    fn set_clock(&mut self) {
        let clock = self.world.clock();
        if clock.wrong() < -3_600_000 {
            clock.set_wrong(0);
            self.tell("the clock is right again", "");
        } else if self.dice.one_in(80) {
            clock.set_wrong(YEAR_BACK);
            self.tell("the clock is set back a year", "");
        } else if self.dice.one_in(6) {
            let wrong = i64::try_from(self.dice.below(20_000)).expect("small") - 10_000;
            clock.set_wrong(wrong);
        }
    }

    /// At most one thing is damaged at a time: two copies of one backup could not be told apart from bad luck.
    fn harm(&mut self) {
        let now = self.world.clock().passed();
        if self.damage.as_ref().is_some_and(|damage| damage.until <= now) {
            self.watched(|watch, story| watch.damage_was_named(story));
            self.repair();
        }
        if self.damage.is_some() || !self.dice.one_in(40) || now < Span::from_days(4) {
            return;
        }
        let (vault, region) = REGIONS[usize::try_from(self.dice.below(2)).expect("small")];
        let shelf = self.world.shelf(region);
        let steal = self.dice.one_in(2);
        let is_snapshot = self.dice.one_in(3) && (!steal || vault == "offsite");
        let folder = if is_snapshot { "snapshots" } else { "packs" };
        let names = shelf.names(folder);
        let Some(object) = self.dice.pick(&names).cloned() else { return };
        let before = if steal { shelf.steal(&object) } else { shelf.rot_all(&object) };
        let Some(before) = before else { return };
        let until = Span::from_millis(now.as_millis() + Span::from_days(6).as_millis());
        let what = if steal { "something is stolen" } else { "something rots" };
        self.tell(what, &format!("{object} in `{region}`"));
        self.damage = Some(Damage { vault, region, object, before, until });
    }

    /// The operator brings the object back.
    fn repair(&mut self) {
        if let Some(damage) = self.damage.take() {
            self.world.shelf(damage.region).place(&damage.object, damage.before.clone());
            self.tell("it is brought back", &damage.object);
        }
    }

    fn hold_or_release(&mut self) {
        if let Some(line) = self.watched(Watch::hold_or_release) {
            self.tell(&line, "");
        }
    }

    /// The process will end at its n-th touch from now, and leave the catalog as it is on disk then.
    fn doom(&mut self, after: u64) {
        let end = if self.dice.one_in(2) { End::Before } else { End::After };
        let (from, to) = (self.catalog(), self.dir.path().join(format!("catalog-{}.db", self.catalogs + 1)));
        self.process.life().doom(after, end, move || copy_catalog(&from, &to));
    }

    fn catalog(&self) -> PathBuf {
        self.dir.path().join(format!("catalog-{}.db", self.catalogs))
    }

    fn step(&mut self) {
        let troubles = self.world.weather().troubles();
        let touches = self.process.life().touches();
        self.watched(Watch::before_step);
        let exchange = self.act();
        let mut reports = self.wake();
        let has_ended = self.process.life().has_ended();
        if has_ended {
            self.tell("the process ended", &format!("at `{}`", self.process.life().last_touch()));
            self.restart();
            reports = self.wake();
        } else {
            self.process.life().spare();
            self.last_touches = self.process.life().touches() - touches;
        }
        let calm = self.world.weather().troubles() == troubles;
        if let Err(fault) = &reports {
            assert!(!calm, "in a calm world the agenda failed: {}", fault.message);
        }
        let quiet = calm && !has_ended;
        if let Some(exchange) = exchange {
            exchange.check(self);
        }
        self.watched(|watch, story| watch.after_step(story, calm, quiet));
    }

    /// What somebody does by hand, now and then, while nothing is known to be damaged and the clock is right.
    fn act(&mut self) -> Option<Exchange> {
        if self.damage.is_some() || self.world.clock().wrong() < -3_600_000 || self.is_quiet_week {
            return None;
        }
        if self.dice.one_in(30) {
            let (vault, _) = REGIONS[usize::try_from(self.dice.below(2)).expect("small")];
            deeds::change_key(self, vault);
        }
        if self.dice.one_in(3)
            && let Some(last) = self.returnable.take()
        {
            return Some(deeds::take_back(self, last));
        }
        if !self.dice.one_in(12) {
            return None;
        }
        let (backup, picture) = self.watched(Watch::some_backup)?;
        self.returnable = None;
        Some(deeds::bring_back(self, &backup, &picture))
    }

    fn wake(&self) -> Result<(), Fault> {
        let reports = agenda_run::run(self.ctx(), &Silent);
        match &reports {
            Err(fault) => self.tell("the agenda failed", &fault.message),
            Ok(reports) => {
                for report in reports {
                    let workload = report.workload.as_ref().map_or("-", |name| name.as_str());
                    let fault = report.fault.as_ref().map_or(String::new(), |fault| format!(": {}", fault.message));
                    let outcome = report.outcome.map_or("-".to_owned(), |outcome| outcome.to_string());
                    self.tell(&format!("{} {workload} {outcome}", report.verb), &format!("{fault} {:?}", report.notes));
                }
            }
        }
        reports.map(drop)
    }

    /// A new process over what the last one left.
    fn restart(&mut self) {
        self.ctx = None;
        self.catalogs += 1;
        self.process = self.world.start();
        self.ctx = Some(self.context());
    }

    fn context(&self) -> Context {
        let file = SourceFile { path: "/etc/backstop/backstop.toml".into(), bytes: CONFIG.as_bytes().to_vec() };
        let config = backstop_config::load(&[file], &Overrides::default()).expect("a valid configuration");
        let outside = outside(&self.world, &self.process, &self.keys);
        let now = outside.clock.now();
        let catalog = Catalog::open(&self.catalog(), now).expect("what was committed opens");
        Context::new(outside, config, catalog)
    }
}

pub fn name(vault: &str) -> VaultName {
    vault.parse().expect("valid")
}

fn outside(world: &Arc<World>, process: &Process, keys: &Arc<Keys>) -> Outside {
    let (stores, lives, keys) = (process.clone(), Arc::clone(world), Arc::clone(keys));
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
        resolve: Box::new(move |reference| Ok(keys.resolve(reference))),
        reveal: Arc::new(|_| Err(Fault::not_found("no test reveals a secret", ""))),
        by: "sim@world".into(),
        owner: process.life().owner().to_owned(),
        may_live: Box::new(move |owner| lives.may_live(owner)),
        host: "world".into(),
        config_dir: "/etc/backstop".into(),
        privileged: true,
        threads: 1,
    }
}

/// What is on disk at this moment: the file and the log beside it, in this order — pages that reach the file meanwhile
/// are in the log as well.
fn copy_catalog(from: &Path, to: &Path) {
    let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    std::fs::copy(from, to).expect("the catalog is there");
    if beside(from).exists() {
        std::fs::copy(beside(from), beside(to)).expect("its log is there");
    }
}
