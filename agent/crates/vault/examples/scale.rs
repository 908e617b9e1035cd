//! How the index behaves with 20 million chunks: time and memory to open, to find, and to prune.
//!
//! `cargo run --release -p backstop-vault --example scale [MILLIONS]` fills a vault in the temporary directory, looks at
//! it from fresh processes, prints what it found, removes it, and fails when a target is missed.
//!
//! Synthetic index objects need the engine's inside, which no caller should see: so this is the crate once more,
//! with another root.
#![allow(dead_code, unused_imports)] // most of the engine is not used here
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // measures time and files, and prints what it measured

#[path = "../src/backup.rs"]
mod backup;
#[path = "../src/code.rs"]
mod code;
#[path = "../src/copy.rs"]
mod copy;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/find.rs"]
mod find;
#[path = "../src/id.rs"]
mod id;
#[path = "../src/index.rs"]
mod index;
#[path = "../src/intake.rs"]
mod intake;
#[path = "../src/keyring.rs"]
mod keyring;
#[path = "../src/manifest.rs"]
mod manifest;
#[path = "../src/open.rs"]
mod open;
#[path = "../src/pack.rs"]
mod pack;
#[path = "../src/press.rs"]
mod press;
#[path = "../src/prune.rs"]
mod prune;
#[path = "../src/read.rs"]
mod read;
#[path = "../src/reading.rs"]
mod reading;
#[path = "../src/rebuild.rs"]
mod rebuild;
#[path = "../src/restore.rs"]
mod restore;
#[path = "../src/seal.rs"]
mod seal;
#[path = "../src/shelf.rs"]
mod shelf;
#[path = "../src/slots.rs"]
mod slots;
#[path = "../src/snapshot.rs"]
mod snapshot;
#[path = "../src/store.rs"]
mod store;
#[path = "../src/verify.rs"]
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backstop_model::tree::{Cut, Meta, Node, NodeKind};
use backstop_model::{Completeness, Mode, SnapshotId, Span, Timestamp};
use backstop_seams::{Clock, Entropy, Silent};
use object_store::local::LocalFileSystem;

use code::Encoder;
use id::{ChunkId, ObjectId};
use index::Index;
use intake::{Intake, Joiner, Stream};
use manifest::{Builder, Contents, Extent, Stored, encode_extents};
use open::{Parts, Vault};
use pack::{Block, Directory, Origin};
use press::Press;
use snapshot::{Description, Snapshot};

pub use backup::{BackupRequest, Made};
pub use error::{Result, VaultError};
pub use keyring::{RAW_PREFIX, Secret};
pub use prune::{PruneRequest, Pruned};
pub use store::Store;

const CHUNK: u32 = 64 << 10;
const PER_BLOCK: u64 = 16;
const PER_PACK: u64 = 512;
const PER_LIST: u64 = 512;
const PER_OBJECT: u64 = 1_000_000;

struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

impl Entropy for Machine {
    fn fill(&self, buffer: &mut [u8]) {
        let at = self.0.elapsed().as_nanos().to_le_bytes();
        blake3::Hasher::new().update(&at).finalize_xof().fill(buffer);
    }
}

fn parts(dir: &Path) -> Parts {
    let store = Store::new(Arc::new(LocalFileSystem::new_with_prefix(dir).expect("a folder")), None, "scale");
    let machine = Arc::new(Machine(Instant::now()));
    Parts { store, clock: Arc::clone(&machine) as _, entropy: machine, threads: 2 }
}

fn secret() -> Secret {
    Secret::new(format!("{RAW_PREFIX}{}", "ab".repeat(32)).into_bytes())
}

fn chunk_id(n: u64) -> ChunkId {
    ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["fill", dir, chunks] => fill(Path::new(dir), chunks.parse().expect("a number")),
        ["open", dir, chunks] => open_and_find(Path::new(dir), chunks.parse().expect("a number")),
        ["prune", dir] => prune(Path::new(dir)),
        [] => all(20),
        [millions] => all(millions.parse().expect("a number of millions")),
        _ => panic!("usage: scale [MILLIONS]"),
    }
}

/// Each step in a process of its own, so that it has its own peak of memory.
fn all(millions: u64) {
    let dir = std::env::temp_dir().join(format!("backstop-scale-{}.tmp", std::process::id()));
    std::fs::create_dir_all(&dir).expect("makes the folder");
    let path = dir.to_str().expect("UTF-8");
    let chunks = (millions * 1_000_000).to_string();
    let step = |args: &[&str]| {
        let me = std::env::current_exe().expect("known");
        std::process::Command::new(me).args(args).status().expect("starts").success()
    };
    // Other work on the machine can only make it slower: the best of three tries counts.
    let opens = || (0..3).any(|_| step(&["open", path, &chunks]));
    let good = step(&["fill", path, &chunks]) && opens() & step(&["prune", path]);
    std::fs::remove_dir_all(&dir).expect("removes the folder");
    assert!(good, "a target was missed");
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") >> 10
}

fn fill(dir: &Path, chunks: u64) {
    let vault = Vault::init(parts(dir), &secret(), "scale").expect("made");
    for first in (0..chunks).step_by(PER_OBJECT as usize) {
        let mut index = Index::default();
        for from in (first..chunks.min(first + PER_OBJECT)).step_by(PER_PACK as usize) {
            let end = chunks.min(first + PER_OBJECT).min(from + PER_PACK);
            let salt = *blake3::hash(&from.to_le_bytes()).as_bytes();
            let sealed = 600_000;
            let block = |(at, from): (usize, u64)| Block {
                offset: 48 + at as u32 * sealed,
                sealed,
                plain: CHUNK * (end.min(from + PER_BLOCK) - from) as u32,
                compressed: true,
                origin: Origin { epoch: 1, salt, counter: at as u32 },
                chunks: (from..end.min(from + PER_BLOCK)).map(|n| (chunk_id(n), CHUNK)).collect(),
            };
            let blocks = (from..end).step_by(PER_BLOCK as usize).enumerate().map(block).collect();
            index.add_pack(ObjectId(salt), 40 << 20, &Directory { blocks });
        }
        let all: Vec<u32> = (0..index.packs.len() as u32).collect();
        vault.write_packs(&index, &all, &[]).expect("writes");
    }
    let (branches, _) = Intake::run(&vault, |intake| Ok(write_manifest(intake, chunks))).expect("writes");
    let mut snapshot = Snapshot {
        id: SnapshotId([0; 32]),
        about: Description {
            backup: "b1".parse().expect("valid"),
            workload: "disks".parse().expect("valid"),
            kind: "files".into(),
            captured: Timestamp::UNIX_EPOCH,
            tiers: BTreeSet::new(),
            mode: Mode::Full,
            based_on: None,
            roots: Vec::new(),
            host: String::new(),
            run: "run-1".parse().expect("valid"),
        },
        completeness: Completeness::Complete,
        size: chunks * u64::from(CHUNK),
        entries: 1,
        stored: 0,
        branches,
    };
    vault.write_snapshot(&mut snapshot).expect("writes");
}

/// A manifest that names every chunk: disks of a thousand lists each.
fn write_manifest(intake: &Intake<'_>, chunks: u64) -> Vec<ChunkId> {
    let (mut press, mut joiner, mut builder) = (Press::new(), Joiner::new(Stream::Manifest), Builder::default());
    let disk = PER_LIST * 1000;
    for first in (0..chunks).step_by(disk as usize) {
        let end = chunks.min(first + disk);
        let mut lists = Vec::new();
        for from in (first..end).step_by(PER_LIST as usize) {
            let part = from..end.min(from + PER_LIST);
            let covers = (part.end - part.start) * u64::from(CHUNK);
            let extents: Vec<Extent> = part.map(|n| Extent::Chunk { id: chunk_id(n), length: CHUNK }).collect();
            let mut out = Encoder::default();
            encode_extents(&extents, &mut out);
            lists.push((intake.add(&mut joiner, &mut press, &out.bytes), covers));
        }
        let kind = NodeKind::File { size: (end - first) * u64::from(CHUNK), cut: Cut::Blocks };
        let node = Node { path: format!("disk{first:012}").into_bytes(), kind, meta: Meta::default() };
        let stored = Stored { node, contents: Contents::Lists(lists), torn: false };
        let mut emit = |bytes: &[u8]| Ok::<_, VaultError>(intake.add(&mut joiner, &mut press, bytes));
        builder.push(&stored, &mut emit).expect("joins");
    }
    let mut emit = |bytes: &[u8]| Ok::<_, VaultError>(intake.add(&mut joiner, &mut press, bytes));
    let branches = builder.finish(&mut emit).expect("joins");
    intake.flush(&mut joiner, &mut press);
    branches
}

fn open_and_find(dir: &Path, chunks: u64) {
    let start = Instant::now();
    let vault = Vault::open(parts(dir), &secret()).expect("opens");
    let (opened, peak) = (start.elapsed(), peak_mib());
    let loaded = vault.loaded();
    println!("open: {} chunks in {opened:.2?}, peak {peak} MiB", loaded.index.chunks());
    let count = 1_000_000u64;
    let ask = |ids: Vec<ChunkId>, there: bool| {
        let start = Instant::now();
        let found = ids.iter().filter(|id| loaded.index.find(id).is_some()).count();
        assert_eq!(found == ids.len(), there);
        start.elapsed().as_nanos() / ids.len() as u128
    };
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % chunks;
    let present = ask((0..count).map(|n| chunk_id(scattered(n))).collect(), true);
    let absent = ask((0..count).map(|n| chunk_id(chunks + n)).collect(), false);
    println!("find: {present} ns where present, {absent} ns where absent");
    let good = opened < Duration::from_secs(2) && peak < 1024 && present < 2000 && absent < 2000;
    std::process::exit(i32::from(!good));
}

fn prune(dir: &Path) {
    let vault = Vault::open(parts(dir), &secret()).expect("opens");
    let request = PruneRequest { grace: Span::from_days(2), at_once: false, waste_ppm: 50_000, dry_run: true };
    let start = Instant::now();
    let done = vault.prune(&request, &Silent).expect("plans");
    let peak = peak_mib();
    println!("prune: everything named by the manifests marked in {:.2?}, peak {peak} MiB", start.elapsed());
    assert_eq!((done.marked, done.removed), (0, 0), "everything is needed");
    std::process::exit(i32::from(peak >= 3 << 10));
}
