//! A store that fails when told to, and one that lets something else happen between two calls.

use std::fmt;
use std::sync::atomic::AtomicBool;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// How the process ends at the chosen change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing of the change happens.
    Before,
    /// The change happens, and nobody is told.
    After,
    /// A put leaves the name with half of the bytes, as an unflushed file after a power failure.
    Torn,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Passes everything on to a store in memory, up to the change that is to fail; from then on everything fails.
pub(crate) struct Fragile {
    inner: Arc<InMemory>,
    changes: AtomicU64,
    fail_at: Option<(u64, End)>,
    dead: AtomicBool,
    /// Runs once, before the first call on a path that begins so. `put `, `delete ` and `list ` stand before the path.
    meanwhile: Mutex<Option<(String, Meanwhile)>>,
}

impl Fragile {
    pub(crate) fn new(inner: &Arc<InMemory>, fail_at: Option<(u64, End)>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            changes: AtomicU64::new(0),
            fail_at,
            dead: AtomicBool::new(false),
            meanwhile: Mutex::new(None),
        })
    }

    /// Lets something happen just before the first call like `put index/`.
    pub(crate) fn before(&self, call: &str, what: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().expect("ours") = Some((call.to_owned(), Box::new(what)));
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Whether what was to happen meanwhile has happened.
    pub(crate) fn has_happened(&self) -> bool {
        self.meanwhile.lock().expect("ours").is_none()
    }

    fn call(&self, what: &str, path: &Path) -> Result<()> {
        let call = format!("{what} {path}");
        let mut meanwhile = self.meanwhile.lock().expect("ours");
        if meanwhile.as_ref().is_some_and(|(prefix, _)| call.starts_with(prefix.as_str())) {
            let (_, run) = meanwhile.take().expect("just seen");
            drop(meanwhile);
            // On a thread of its own: this one is inside a call to the store already.
            std::thread::spawn(run).join().expect("what happens meanwhile does not panic");
        }
        if self.is_dead() { Err(gone()) } else { Ok(()) }
    }

    fn change(&self) -> Option<End> {
        let number = self.changes.fetch_add(1, Ordering::SeqCst);
        let end = self.fail_at.filter(|(at, _)| *at == number).map(|(_, end)| end);
        self.dead.fetch_or(end.is_some(), Ordering::SeqCst);
        end
    }
}

fn gone() -> Error {
    Error::Generic { store: "fragile", source: "the process has ended".into() }
}

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fragile")
    }
}

impl fmt::Debug for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fragile")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Fragile {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call("put", path)?;
        match self.change() {
            None => self.inner.put_opts(path, payload, options).await,
            Some(End::Before) => Err(gone()),
            Some(End::After) => self.inner.put_opts(path, payload, options).await.and(Err(gone())),
            Some(End::Torn) => {
                let bytes = bytes::Bytes::from(payload);
                let half = bytes.slice(..bytes.len() / 2);
                self.inner.put_opts(path, half.into(), options).await.and(Err(gone()))
            }
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("the vault writes objects whole")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.call("get", path)?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // The store in memory never waits, so nothing is lost by doing it at once.
        let paths: Vec<Result<Path>> = paths.collect().now_or_never().expect("ready");
        let done: Vec<Result<Path>> =
            paths.into_iter().map(|path| path.and_then(|path| self.delete_one(path))).collect();
        futures::stream::iter(done).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.call("list", prefix.unwrap_or(&Path::default())) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("the vault does not copy within a store")
    }
}

impl Fragile {
    fn delete_one(&self, path: Path) -> Result<Path> {
        self.call("delete", &path)?;
        let delete = || self.inner.delete(&path).now_or_never().expect("ready");
        match self.change() {
            None => delete().map(|()| path),
            Some(End::Before | End::Torn) => Err(gone()),
            Some(End::After) => delete().and(Err(gone())),
        }
    }
}

/// A vault of this world opened through a store that may fail.
pub(crate) fn open_through(world: &World, store: &Arc<Fragile>) -> crate::Result<Vault> {
    open_with(world, Arc::clone(store) as _)
}

/// A vault of this world's clock and secret on any store.
pub(crate) fn open_with(world: &World, store: Arc<dyn ObjectStore>) -> crate::Result<Vault> {
    let store = Store::new(store, None, "memory");
    let parts =
        Parts { store, clock: Arc::clone(&world.clock) as _, entropy: Arc::clone(&world.entropy) as _, threads: 2 };
    Vault::open(parts, &secret())
}
