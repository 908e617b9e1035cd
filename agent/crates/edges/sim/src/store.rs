//! Object stores in regions: what is put stays whatever becomes of the process, and the way there has weather.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backstop_model::Span;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::UNPOISONED;
use crate::clock::SimClock;
use crate::life::{End, Life, Touch};
use crate::weather::{Sky, Weather};

/// How long a call takes.
const CALL: Span = Span::from_millis(20);
/// How long a list takes for each object it names.
const LISTED: Span = Span::from_millis(1);

/// The objects themselves, and what somebody with access to the disks below can do to them.
#[derive(Debug)]
pub struct Shelf {
    region: String,
    inner: InMemory,
    /// Names in the order in which they were first put.
    order: Mutex<Vec<String>>,
}

impl Shelf {
    pub(crate) fn new(region: &str) -> Self {
        Self { region: region.to_owned(), inner: InMemory::new(), order: Mutex::default() }
    }

    /// The names of all objects below a folder, in the order in which they were first put.
    #[must_use]
    pub fn names(&self, folder: &str) -> Vec<String> {
        let prefix = Path::from(folder);
        let found = now(self.inner.list(Some(&prefix)).collect::<Vec<_>>());
        let there: BTreeSet<String> = found.into_iter().flatten().map(|meta| meta.location.to_string()).collect();
        let order = self.order.lock().expect(UNPOISONED);
        order.iter().filter(|name| there.contains(*name)).cloned().collect()
    }

    fn note(&self, path: &Path) {
        let mut order = self.order.lock().expect(UNPOISONED);
        if order.iter().all(|known| known != path.as_ref()) {
            order.push(path.to_string());
        }
    }

    /// An object's bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let path = Path::from(name);
        let got = now(async { self.inner.get(&path).await?.bytes().await });
        got.ok().map(|bytes| bytes.to_vec())
    }

    /// Takes an object away, as nobody of the agent did; returns its bytes.
    pub fn steal(&self, name: &str) -> Option<Vec<u8>> {
        let bytes = self.bytes(name)?;
        now(self.inner.delete(&Path::from(name))).ok()?;
        Some(bytes)
    }

    /// Puts bytes in an object's place, whatever was there.
    pub fn place(&self, name: &str, bytes: Vec<u8>) {
        now(self.inner.put(&Path::from(name), bytes.into())).expect("memory takes it");
    }

    /// Flips one bit of an object; returns its bytes as they were.
    pub fn rot(&self, name: &str, at: u64) -> Option<Vec<u8>> {
        self.spoil(name, |at_byte, length| at_byte as u64 == at % length)
    }

    /// Flips a bit in every few hundred bytes of an object; returns its bytes as they were.
    pub fn rot_all(&self, name: &str) -> Option<Vec<u8>> {
        self.spoil(name, |at, _| at % 256 == 0)
    }

    fn spoil(&self, name: &str, hits: impl Fn(usize, u64) -> bool) -> Option<Vec<u8>> {
        let before = self.bytes(name)?;
        let mut after = before.clone();
        let length = before.len() as u64;
        after.iter_mut().enumerate().filter(|(at, _)| hits(*at, length)).for_each(|(at, byte)| *byte ^= 1 << (at % 8));
        self.place(name, after);
        Some(before)
    }
}

/// The store in memory never waits.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("memory is ready at once")
}

/// A shelf as one process reaches it.
pub struct SimStore {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) life: Arc<Life>,
    pub(crate) clock: Arc<SimClock>,
    /// `None` for whoever stands beside the shelf.
    pub(crate) weather: Option<Arc<Weather>>,
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sim://{}", self.shelf.region)
    }
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a call that gets this far has its effect, and whether its answer arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    AnswerLost,
}

fn failed(why: &str) -> Error {
    Error::Generic { store: "sim", source: why.into() }
}

fn lost() -> Error {
    failed("connection reset while waiting for the answer")
}

/// The folder of a path. Names are digests of bytes that may stand in another order when threads took turns otherwise,
/// so the weather does not look at them.
fn folder(path: &str) -> String {
    let named = |part: &&str| part.len() > 2 && !part.contains(|c: char| c.is_ascii_digit());
    path.split('/').take_while(named).collect::<Vec<_>>().join("/")
}

impl SimStore {
    fn call(&self, what: &str, path: &str) -> Result<Way> {
        let call = format!("{what} {path}");
        let touch = self.life.touch(&call);
        let way = match touch {
            Touch::Alive => Way::Clear,
            Touch::Ends(End::After) => Way::AnswerLost,
            Touch::Ends(End::Before) | Touch::Gone => return Err(failed("the process has ended")),
        };
        let Some(weather) = &self.weather else { return Ok(way) };
        // Whoever is turned away learns so at once: how many more calls other threads make until they stop is theirs.
        let sky = weather.look(&self.shelf.region, &format!("{what} {}", folder(path)), self.clock.passed());
        if matches!(sky, Sky::Clear | Sky::AnswerLost) {
            self.clock.advance(CALL);
        }
        match sky {
            Sky::Clear => Ok(way),
            Sky::AnswerLost => Ok(Way::AnswerLost),
            Sky::Outage => Err(failed("connection refused")),
            Sky::Throttled => Err(failed("503 slow down, retry after 30 s")),
            Sky::Error => Err(failed("500 internal error")),
        }
    }

    fn delete_one(&self, path: Path) -> Result<Path> {
        let way = self.call("delete", path.as_ref())?;
        // Like the large clouds, and unlike a disk: what is not there counts as deleted.
        now(self.shelf.inner.delete(&path))?;
        match way {
            Way::Clear => Ok(path),
            Way::AnswerLost => Err(lost()),
        }
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let way = self.call("put", path.as_ref())?;
        self.shelf.note(path);
        let put = now(self.shelf.inner.put_opts(path, payload, options));
        match way {
            Way::Clear => put,
            Way::AnswerLost => Err(lost()),
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "multipart".into(), implementer: "sim".into() })
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.call("get", path.as_ref())? {
            Way::Clear => now(self.shelf.inner.get_opts(path, options)),
            Way::AnswerLost => Err(lost()),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let paths: Vec<Result<Path>> = now(paths.collect());
        let done: Vec<Result<Path>> =
            paths.into_iter().map(|path| path.and_then(|path| self.delete_one(path))).collect();
        futures::stream::iter(done).boxed()
    }

    /// A list whose answer is lost breaks off half way.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let way = self.call("list", prefix.map_or("", AsRef::as_ref));
        let mut found: Vec<Result<ObjectMeta>> = match &way {
            Ok(_) => now(self.shelf.inner.list(prefix).collect()),
            Err(_) => Vec::new(),
        };
        if self.weather.is_some() {
            self.clock.advance(Span::from_millis(LISTED.as_millis() * found.len() as u64));
        }
        match way {
            Ok(Way::Clear) => {}
            Ok(Way::AnswerLost) => {
                found.truncate(found.len() / 2);
                found.push(Err(lost()));
            }
            Err(error) => found.push(Err(error)),
        }
        futures::stream::iter(found).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.call("list", prefix.map_or("", AsRef::as_ref))? {
            Way::Clear => now(self.shelf.inner.list_with_delimiter(prefix)),
            Way::AnswerLost => Err(lost()),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        match self.call("copy", from.as_ref())? {
            Way::Clear => now(self.shelf.inner.copy_opts(from, to, options)),
            Way::AnswerLost => now(self.shelf.inner.copy_opts(from, to, options)).and(Err(lost())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weather::Climate;
    use crate::world::World;

    fn put(store: &dyn ObjectStore, name: &str) -> Result<()> {
        now(store.put(&Path::from(name), vec![1, 2, 3].into())).map(drop)
    }

    #[test]
    fn the_simulated_store_is_one_as_the_vault_needs_it() {
        let world = World::new(1);
        world.weather().set_climate(Climate::CALM);
        backstop_seams::conformance::stores::store(&*world.start().store("here"));
    }

    #[test]
    fn what_a_process_put_before_it_ended_is_there_for_the_next() {
        for (end, there) in [(End::Before, false), (End::After, true)] {
            let world = World::new(1);
            world.weather().set_climate(Climate::CALM);
            let process = world.start();
            let store = process.store("here");
            put(&*store, "a").expect("calm");
            process.life().doom(0, end, || {});
            assert!(put(&*store, "b").is_err() && put(&*store, "c").is_err());
            let shelf = world.shelf("here");
            assert_eq!((shelf.bytes("b").is_some(), shelf.bytes("c").is_some()), (there, false), "{end:?}");
            let next = world.start();
            put(&*next.store("here"), "d").expect("alive");
            assert!(!world.may_live(process.life().owner()) && world.may_live(next.life().owner()));
        }
    }

    #[test]
    fn an_error_may_hide_a_put_that_happened() {
        let world = World::new(5);
        world.weather().set_climate(Climate { error_calls: 3, ..Climate::CALM });
        let store = world.start().store("here");
        let (mut hidden, mut failed) = (0, 0);
        for number in 0..100 {
            let name = format!("o{number}");
            if put(&*store, &name).is_err() {
                failed += 1;
                hidden += usize::from(world.shelf("here").bytes(&name).is_some());
            }
        }
        assert!(failed > 15 && hidden > 3 && hidden < failed, "{hidden} of {failed}");
    }

    #[test]
    fn rot_changes_one_bit_and_theft_takes_all() {
        let world = World::new(1);
        world.weather().set_climate(Climate::CALM);
        put(&*world.start().store("here"), "packs/a").expect("calm");
        let shelf = world.shelf("here");
        assert_eq!(shelf.rot("packs/a", 4), Some(vec![1, 2, 3]));
        assert_eq!(shelf.bytes("packs/a"), Some(vec![1, 0, 3]));
        assert_eq!(shelf.steal("packs/a"), Some(vec![1, 0, 3]));
        assert_eq!((shelf.names("packs"), shelf.rot("packs/a", 0)), (Vec::new(), None));
    }
}
