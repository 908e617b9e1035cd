//! What the vault's tests share: a tree in memory, time and randomness from a seed.

mod copying;
mod crash;
mod damage;
mod fragile;
mod golden;

mod life;
mod pruning;
mod races;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop_model::tree::{Cut, Meta, Node, NodeKind, compare};
use backstop_model::{Mode, Span, Timestamp};
use backstop_seams::{
    Clock, Content, Directory, Entropy, FileWriter, Found, Silent, Source, SourceFault, Target, Written,
};
use object_store::memory::InMemory;

use crate::open::Parts;
use crate::{BackupRequest, Description, Made, RestoreRequest, RestoreSummary, Secret, Store, Vault};

/// Randomness from a seed.
pub(crate) struct Seeded(Mutex<blake3::OutputReader>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof()))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().expect("no thread panics holding it").fill(buffer);
    }
}

/// A clock that moves when told to.
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn advance(&self, span: Span) {
        self.0.fetch_add(span.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + self.0.load(Ordering::Relaxed)).expect("in range")
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed) as u64)
    }
    fn sleep(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as i64, Ordering::Relaxed);
    }
}

/// Entries by path, with their contents.
pub(crate) type Files = BTreeMap<Vec<u8>, (Node, Vec<u8>)>;

/// A tree in memory: source and target. Counts the bytes read from it.
#[derive(Default)]
pub(crate) struct Tree {
    pub entries: Mutex<Files>,
    pub read: Arc<AtomicU64>,
}

impl Tree {
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let tree = Self::default();
        for (path, contents) in files {
            tree.put(path, contents, Cut::Content);
        }
        tree
    }

    /// Adds or replaces a file and the directories above it; every call gives it a new time.
    pub(crate) fn put(&self, path: &str, contents: &[u8], cut: Cut) {
        let mut entries = self.entries.lock().expect("no thread panics holding it");
        let time = 1_000 + entries.values().map(|(node, _)| node.meta.mtime.0).max().unwrap_or(0);
        let meta =
            Meta { mode: 0o644, mtime: (time, 5), ctime: (time, 5), inode: time as u64, links: 1, ..Meta::default() };
        for (at, _) in path.match_indices('/') {
            let above = path.as_bytes()[..at].to_vec();
            let node =
                Node { path: above.clone(), kind: NodeKind::Directory, meta: Meta { mode: 0o755, ..meta.clone() } };
            entries.entry(above).or_insert((node, Vec::new()));
        }
        let kind = NodeKind::File { size: contents.len() as u64, cut };
        let node = Node { path: path.as_bytes().to_vec(), kind, meta };
        entries.insert(path.as_bytes().to_vec(), (node, contents.to_vec()));
    }

    pub(crate) fn remove(&self, path: &str) {
        self.entries.lock().expect("no thread panics holding it").remove(path.as_bytes());
    }

    pub(crate) fn same_as(&self, other: &Tree) -> bool {
        *self.entries.lock().expect("ours") == *other.entries.lock().expect("ours")
    }

    fn sorted(&self) -> Vec<(Node, Vec<u8>)> {
        let mut all: Vec<_> = self.entries.lock().expect("no thread panics holding it").values().cloned().collect();
        all.sort_by(|(a, _), (b, _)| compare(&a.path, &b.path));
        all
    }
}

struct Dir(Files, Arc<AtomicU64>);

struct Open(Node, Vec<u8>, Arc<AtomicU64>);

impl Directory for Dir {
    fn open(&self, name: &[u8]) -> std::io::Result<Box<dyn Content>> {
        let found = self.0.get(name).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Box::new(Open(found.0.clone(), found.1.clone(), Arc::clone(&self.1))))
    }
}

impl Content for Open {
    fn state(&self) -> std::io::Result<(Meta, u64)> {
        Ok((self.0.meta.clone(), self.1.len() as u64))
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.1.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.2.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn next_data(&self, offset: u64, size: u64) -> std::io::Result<Option<(u64, u64)>> {
        Ok((offset < size).then_some((offset, size)))
    }
}

impl Source for Tree {
    fn list(&self) -> Result<Box<dyn Iterator<Item = Found> + Send + '_>, SourceFault> {
        let read = Arc::clone(&self.read);
        Ok(Box::new(self.sorted().into_iter().map(move |(node, contents)| {
            let file = matches!(node.kind, NodeKind::File { .. });
            let names = BTreeMap::from([(node.name().to_vec(), (node.clone(), contents))]);
            let within = file.then(|| Arc::new(Dir(names, Arc::clone(&read))) as Arc<dyn Directory>);
            Found::Entry { node, within }
        })))
    }
}

struct Writer<'a>(&'a Tree, Node, Mutex<Vec<u8>>);

/// The seam wants a writer that owns what it needs; the tree in memory is shared for that.
pub(crate) struct Into(pub Arc<Tree>);

struct Owned(Arc<Tree>, Node, Mutex<Vec<u8>>);

impl FileWriter for Owned {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let mut contents = self.2.lock().expect("no thread panics holding it");
        contents[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn finish(&self) -> std::io::Result<()> {
        let contents = std::mem::take(&mut *self.2.lock().expect("no thread panics holding it"));
        Writer(&self.0, self.1.clone(), Mutex::new(contents)).place();
        Ok(())
    }
}

impl Writer<'_> {
    fn place(self) {
        let contents = self.2.into_inner().expect("no thread panics holding it");
        self.0.entries.lock().expect("no thread panics holding it").insert(self.1.path.clone(), (self.1, contents));
    }
}

impl Target for Into {
    fn directory(&self, node: &Node) -> std::io::Result<Written> {
        Writer(&self.0, node.clone(), Mutex::default()).place();
        Ok(Written::Made)
    }
    fn whole_file(&self, node: &Node, contents: &[u8]) -> std::io::Result<Written> {
        Writer(&self.0, node.clone(), Mutex::new(contents.to_vec())).place();
        Ok(Written::Made)
    }
    fn begin_file(&self, node: &Node) -> std::io::Result<Option<Box<dyn FileWriter>>> {
        let NodeKind::File { size, .. } = node.kind else { unreachable!("only files are begun") };
        Ok(Some(Box::new(Owned(Arc::clone(&self.0), node.clone(), Mutex::new(vec![0; size as usize])))))
    }
    fn hard_link(&self, node: &Node, existing: &Node) -> std::io::Result<Written> {
        let contents = self.0.entries.lock().expect("ours")[&existing.path].1.clone();
        self.whole_file(node, &contents)
    }
    fn special(&self, node: &Node) -> std::io::Result<Written> {
        self.directory(node)
    }
    fn finish_directory(&self, _: &Node) -> std::io::Result<()> {
        Ok(())
    }
    fn metadata_troubles(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// A vault in memory with everything it stands on.
pub(crate) struct World {
    pub inner: Arc<InMemory>,
    pub clock: Arc<Hand>,
    pub entropy: Arc<Seeded>,
    pub vault: Vault,
}

pub(crate) fn secret() -> Secret {
    Secret::new(format!("{}{}", crate::RAW_PREFIX, "ab".repeat(32)).into_bytes())
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (inner, clock, entropy) =
            (Arc::new(InMemory::new()), Arc::new(Hand(AtomicI64::new(0))), Arc::new(Seeded::new(seed)));
        let parts = parts(&inner, &clock, &entropy);
        let vault = Vault::init(parts, &secret(), "test").expect("an empty place");
        Self { inner, clock, entropy, vault }
    }

    /// The same vault opened by another process.
    pub(crate) fn reopened(&self) -> crate::Result<Vault> {
        Vault::open(parts(&self.inner, &self.clock, &self.entropy), &secret())
    }

    pub(crate) fn store(&self) -> &Store {
        self.vault.store()
    }

    /// Backs up a tree under a name.
    pub(crate) fn back_up(&self, name: &str, tree: &Tree, before: Option<&Made>) -> Made {
        // Trees in memory carry times long before the capture, so that unchanged files are recognised.
        self.clock.advance(Span::from_secs(60));
        let request = self.request(name, before);
        self.vault.back_up(tree, &request, &Silent).expect("backs up")
    }

    pub(crate) fn request(&self, name: &str, before: Option<&Made>) -> BackupRequest {
        BackupRequest {
            about: about(name, self.clock.now()),
            compare_with: before.map(|made| made.snapshot.id),
            grace: Span::from_days(2),
        }
    }
}

pub(crate) fn parts(inner: &Arc<InMemory>, clock: &Arc<Hand>, entropy: &Arc<Seeded>) -> Parts {
    let inner: Arc<dyn object_store::ObjectStore> = Arc::clone(inner) as _;
    Parts {
        store: Store::new(inner, None, "memory"),
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        threads: 2,
    }
}

pub(crate) fn about(name: &str, captured: Timestamp) -> Description {
    Description {
        backup: name.parse().expect("valid"),
        workload: "docs".parse().expect("valid"),
        kind: "files".into(),
        captured,
        tiers: [backstop_model::Tier::Daily].into(),
        mode: Mode::Incremental,
        based_on: None,
        roots: vec!["/srv".into()],
        host: "here".into(),
        run: "run-1".parse().expect("valid"),
    }
}

pub(crate) fn restore(vault: &Vault, made: &Made) -> (Arc<Tree>, crate::Result<RestoreSummary>) {
    let tree = Arc::new(Tree::default());
    let request = RestoreRequest { snapshot: made.snapshot.id, choose: &|_| true };
    let summary = vault.restore(&request, &Into(Arc::clone(&tree)), &Silent);
    (tree, summary)
}

pub(crate) fn assert_restores(vault: &Vault, made: &Made, expected: &Tree) {
    let (tree, summary) = restore(vault, made);
    let summary = summary.expect("restores");
    assert_eq!(summary.troubles, []);
    assert!(tree.same_as(expected), "the restored tree differs");
}

/// Valid bytes with a few bits flipped, cut short, or with a part doubled: what gets past a decoder's first checks.
pub(crate) fn mutated(valid: Vec<u8>) -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let change = (0..3u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>());
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut bytes = valid.clone();
        for (kind, at, other, value) in changes {
            let (at, other) = (at.index(bytes.len() + 1), other.index(bytes.len() + 1));
            let (from, to) = (at.min(other), at.max(other));
            match kind {
                0 if from < bytes.len() => bytes[from] ^= value,
                1 => bytes.truncate(to),
                _ => {
                    let part = bytes[from..to.min(from + 300)].to_vec();
                    bytes.splice(to..to, part);
                }
            }
        }
        bytes
    })
}

/// Bytes that do not compress, from a seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}
