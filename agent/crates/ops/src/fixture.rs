//! A context for tests: a catalog in memory, a clock that stands still, files in a map. Nothing opens a vault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop_catalog::Catalog;
use backstop_config::{Overrides, SourceFile, load};
use backstop_model::config::FilesSpec;
use backstop_model::plan::Overwrite;
use backstop_model::{
    Backup, BackupState, Bytes, Completeness, Copy, CopyState, Fault, Level, Mode, Proof, ProofKind, SnapshotId, Span,
    Tier, Timestamp,
};
use backstop_seams::{Clock, Entropy, Files, Probe, ProbeAnswer, Source, Target, Trees};

use crate::{Context, Outside};

pub const NOW: &str = "2026-05-20T12:00:00Z";

pub const CONFIG: &str = r#"
state_dir = "/var/lib/backstop"
[vault.main]
url = "file:///srv/main"
region = "here"
key = "env:A"
[vault.offsite]
url = "file:///mnt/offsite"
region = "there"
key = "env:B"
[schedule.standard]
daily = { at = "02:00", keep = 2 }
weekly = false
monthly = false
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "7d", level = "L3" }
[workload.docs]
kind = "files"
paths = ["/home/docs"]
schedule = "standard"
"#;

/// Files in a map, shared with the test.
#[derive(Clone, Default)]
pub struct Shelf(pub Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Files for Shelf {
    fn exists(&self, path: &Path) -> Result<bool, Fault> {
        Ok(self.0.lock().expect("no panics").contains_key(path))
    }
    fn identity(&self, _: &Path) -> Result<Option<(u64, u64)>, Fault> {
        Ok(None)
    }
    /// A file `PATH@` holds where the link at `PATH` leads.
    fn real(&self, path: &Path) -> Result<PathBuf, Fault> {
        let links = self.0.lock().expect("no panics");
        let link = path.ancestors().find_map(|above| {
            let target = links.get(Path::new(&format!("{}@", above.display())))?;
            Some(Path::new(std::str::from_utf8(target).expect("UTF-8")).join(path.strip_prefix(above).ok()?))
        });
        Ok(link.unwrap_or_else(|| path.to_owned()).components().collect())
    }
    fn own_directory(&self, _: &Path) -> Result<(), Fault> {
        unreachable!("no test makes directories")
    }
    fn remove_tree(&self, _: &Path) -> Result<(), Fault> {
        unreachable!("no test removes directories")
    }
    fn exchange(&self, _: &Path, _: &Path) -> Result<(), Fault> {
        unreachable!("no test exchanges trees")
    }
    fn rename(&self, _: &Path, _: &Path) -> Result<(), Fault> {
        unreachable!("no test renames")
    }
    fn room(&self, _: &Path) -> Result<Bytes, Fault> {
        Ok(Bytes(1 << 40))
    }
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.lock().expect("no panics").get(path).cloned())
    }
    fn write(&self, path: &Path, bytes: &[u8], _: u32) -> Result<(), Fault> {
        self.0.lock().expect("no panics").insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn remove(&self, path: &Path) -> Result<(), Fault> {
        self.0.lock().expect("no panics").remove(path);
        Ok(())
    }
    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, Fault> {
        let files = self.0.lock().expect("no panics");
        Ok(files.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }
    fn read_config(&self, dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Fault> {
        let files = self.0.lock().expect("no panics");
        Ok(files.iter().filter(|(path, _)| path.starts_with(dir)).map(|(p, b)| (p.clone(), b.clone())).collect())
    }
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) {}
}

struct Nothing;

impl Entropy for Nothing {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

impl Trees for Nothing {
    fn source(&self, _: &FilesSpec) -> Result<Box<dyn Source>, Fault> {
        unreachable!("no test reads a tree")
    }
    fn restored(&self, _: &Path, _: &[u8]) -> Result<Box<dyn Source>, Fault> {
        unreachable!("no test reads a tree")
    }
    fn target(&self, _: &Path, _: &[u8], _: Overwrite) -> Result<Box<dyn Target>, Fault> {
        unreachable!("no test writes a tree")
    }
}

impl Probe for Nothing {
    fn run(&self, _: &[String], _: &Path, _: Span) -> ProbeAnswer {
        unreachable!("no test runs a program")
    }
}

pub fn t(raw: &str) -> Timestamp {
    raw.parse().expect(raw)
}

/// A context over [`CONFIG`] and the files behind it.
pub fn context() -> (Context, Shelf) {
    let shelf = Shelf::default();
    let path = PathBuf::from("/etc/backstop/backstop.toml");
    shelf.write(&path, CONFIG.as_bytes(), 0o644).expect("in memory");
    let file = SourceFile { path, bytes: CONFIG.as_bytes().to_vec() };
    let config = load(&[file], &Overrides::default()).expect("valid");
    let outside = Outside {
        clock: Arc::new(Still(t(NOW))),
        entropy: Arc::new(Nothing),
        files: Arc::new(shelf.clone()),
        trees: Box::new(Nothing),
        probe: Box::new(Nothing),
        web: Arc::new(backstop_seams::NoWeb),
        reach: Box::new(backstop_seams::NoReach),
        open_store: Box::new(|_, _| Err(Fault::not_found("no test opens a vault", ""))),
        resolve: Box::new(|_| Err(Fault::not_found("no test reads a key", ""))),
        reveal: Arc::new(|_| Err(Fault::not_found("no test reveals a secret", ""))),
        by: "ann@ops".into(),
        owner: "this".into(),
        may_live: Box::new(|owner| owner != "dead"),
        host: "ops".into(),
        config_dir: "/etc/backstop".into(),
        privileged: true,
        threads: 1,
    };
    (Context::new(outside, config, Catalog::in_memory().expect("opens")), shelf)
}

/// A daily backup of `docs` at home and off-site, proved to `level` at home.
pub fn backup(name: &str, created: &str, level: Level) -> Backup {
    let proof = |level| Proof {
        at: t(created),
        level,
        passed: true,
        kind: ProofKind::Verify,
        took: Span::ZERO,
        sample_ppm: 1_000_000,
        run: "r".parse().expect("valid"),
        detail: String::new(),
    };
    let copy = |place: &str, level| Copy {
        place: place.parse().expect("valid"),
        snapshot: SnapshotId([0; 32]),
        state: CopyState::Present,
        stored: Bytes(10),
        created: t(created),
        proofs: vec![proof(level)],
    };
    Backup {
        name: name.parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        created: t(created),
        tiers: [Tier::Daily].into(),
        mode: Mode::Full,
        based_on: None,
        size: Bytes(100),
        entries: 3,
        completeness: Completeness::Complete,
        state: BackupState::Present,
        hold: None,
        copies: vec![copy("vault:main", level), copy("vault:offsite", Level::L0)],
        run: "r".parse().expect("valid"),
    }
}
