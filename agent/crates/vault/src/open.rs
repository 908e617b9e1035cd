//! Making and opening vaults, and what an open vault knows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use backstop_model::name::parse_hex;
use backstop_model::{Bytes, Timestamp};
use backstop_seams::{Clock, Entropy};
use serde::{Deserialize, Serialize};

use crate::error::{Result, VaultError};
use crate::id::ObjectId;
use crate::index::{Index, PackRow, Record, Standing};
use crate::keyring::{Ring, Secret, Slot, hex, random32};
use crate::seal::{FORMAT, Kind, open_object, seal_object};
use crate::store::{Put, Store};

/// What a vault needs from outside.
#[derive(Clone)]
pub struct Parts {
    /// Where its objects are.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How many threads to work with; at least 1.
    pub threads: usize,
}

/// An open vault.
pub struct Vault {
    pub(crate) parts: Parts,
    pub(crate) id: String,
    pub(crate) ring: RwLock<Arc<Ring>>,
    pub(crate) cuts: Cuts,
    pub(crate) index: RwLock<Arc<Loaded>>,
}

/// How contents are cut; fixed when the vault is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cuts {
    /// Smallest content-defined chunk, bytes.
    pub min: u32,
    /// Average.
    pub avg: u32,
    /// Largest.
    pub max: u32,
    /// Length of the fixed blocks of disk images.
    pub block: u32,
}

impl Default for Cuts {
    fn default() -> Self {
        Self { min: 256 << 10, avg: 1 << 20, max: 2 << 20, block: 64 << 10 }
    }
}

impl Cuts {
    fn plausible(self) -> bool {
        (64..=1 << 20).contains(&self.min)
            && (256..=4 << 20).contains(&self.avg)
            && (1024..=4 << 20).contains(&self.max)
            && self.min <= self.avg
            && self.avg <= self.max
            && (512..=1 << 20).contains(&self.block)
            && [self.min, self.avg, self.max].iter().all(|size| size % 2 == 0)
    }
}

/// Longer objects are no index: the longest written here list little more than [`PER_OBJECT`] chunks.
const INDEX_MAX: u64 = 1 << 30;
/// Chunks per index object when many are written: several are read at once, and none needs much memory.
const PER_OBJECT: usize = 1_000_000;
/// Longer objects are no `config`.
const CONFIG_MAX: u64 = 64 << 10;

/// An index object that was read.
#[derive(Debug, Clone)]
pub(crate) struct IndexObject {
    pub id: ObjectId,
    /// Its length on the store.
    pub size: u64,
    /// Positions of all packs it lists, those listed by other objects as well included.
    pub packs: Vec<u32>,
}

/// The index in memory, with the index objects it was read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    pub index: Arc<Index>,
    /// The index objects it was read from.
    pub objects: Vec<IndexObject>,
    /// When it was read, on the monotonic clock.
    pub at: std::time::Duration,
    /// Index objects that could not be read, with the reason: their chunks are unknown until `rebuild-index`.
    pub unreadable: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct ConfigRecord {
    backstop_vault: u32,
    id: String,
    created: Timestamp,
    cuts: Cuts,
}

/// Just enough of the config object to tell a newer format apart from damage.
#[derive(Deserialize)]
struct FormatOnly {
    backstop_vault: u32,
}

/// Figures about a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The vault's id.
    pub id: String,
    /// Format of its objects.
    pub format: u8,
    /// Packs.
    pub packs: u64,
    /// Bytes in packs.
    pub packed: Bytes,
    /// Packs marked for removal.
    pub marked: u64,
    /// Chunks.
    pub chunks: u64,
    /// Index objects.
    pub indexes: u64,
    /// Snapshots, those in the trash not counted.
    pub snapshots: u64,
    /// Snapshots in the trash.
    pub trashed: u64,
    /// Key slots.
    pub slots: u64,
    /// Index objects that cannot be read, with the reason.
    pub unreadable: Vec<(String, String)>,
}

impl Vault {
    /// Makes a vault at an empty place, with one key slot.
    ///
    /// # Errors
    /// `Occupied` when something is there already.
    pub fn init(parts: Parts, secret: &Secret, label: &str) -> Result<Vault> {
        Self::init_with(parts, secret, label, None)
    }

    /// Makes a vault that shares the ring of `like`: sealed packs can then move between the two unopened.
    ///
    /// # Errors
    /// As [`Vault::init`].
    pub fn init_like(parts: Parts, secret: &Secret, label: &str, like: &Vault) -> Result<Vault> {
        Self::init_with(parts, secret, label, Some(like))
    }

    fn init_with(parts: Parts, secret: &Secret, label: &str, like: Option<&Vault>) -> Result<Vault> {
        let place = parts.store.place().to_owned();
        if parts.store.exists("config")? {
            return Err(VaultError::Occupied { place, found: "a vault is there already".into() });
        }
        // Key slots without a config are what an interrupted init leaves behind; anything else is not ours.
        let only_slots = parts.store.list("keys")?.len();
        if only_slots == 0 && !parts.store.is_empty()? {
            return Err(VaultError::Occupied { place, found: "other objects are there".into() });
        }
        let ring = like.map_or_else(|| Ring::generate(&*parts.entropy), |vault| (*vault.ring()).clone());
        let cuts = like.map_or_else(Cuts::default, |vault| vault.cuts);
        let id = hex(&random32(&*parts.entropy)[..16]);
        let now = parts.clock.now();
        // The slot first: a vault without config is no vault, a config without slot would be one nobody can open.
        let slot = Slot::make(&ring, &id, label, secret, now, &*parts.entropy)?;
        crate::slots::write_slot(&parts.store, &slot)?;
        let record = ConfigRecord { backstop_vault: u32::from(FORMAT), id, created: now, cuts };
        let mut body = serde_json::to_vec(&record).expect("strings and numbers");
        let mac = blake3::keyed_hash(&ring.config_key(), &body);
        body.push(b'\n');
        body.extend_from_slice(mac.to_hex().as_bytes());
        body.push(b'\n');
        if parts.store.put_new("config", body)? == Put::Existed {
            return Err(VaultError::Occupied { place, found: "a vault was made there at this moment".into() });
        }
        Vault::open(parts, secret)
    }

    /// Opens a vault and reads its index.
    ///
    /// # Errors
    /// `NotAVault`, `NewerFormat`, `WrongKey`, `Damaged` (the config), or the store's.
    pub fn open(parts: Parts, secret: &Secret) -> Result<Vault> {
        let place = parts.store.place().to_owned();
        let config = match parts.store.get_small("config", CONFIG_MAX) {
            Err(VaultError::Missing { .. }) => return Err(VaultError::NotAVault { place }),
            other => other?,
        };
        let mut lines = config.split(|b| *b == b'\n');
        let body = lines.next().unwrap_or_default();
        let format = serde_json::from_slice::<FormatOnly>(body)
            .map_err(|_| VaultError::damaged("config", "it does not begin with a vault's description"))?;
        if format.backstop_vault > u32::from(FORMAT) {
            return Err(VaultError::NewerFormat { found: format.backstop_vault, known: u32::from(FORMAT) });
        }
        let record: ConfigRecord =
            serde_json::from_slice(body).map_err(|why| VaultError::damaged("config", why.to_string()))?;
        let ring = crate::slots::unlock(&parts.store, &record.id, secret)?;
        let mac: [u8; 32] = lines
            .next()
            .and_then(|line| parse_hex(std::str::from_utf8(line).ok()?))
            .ok_or_else(|| VaultError::damaged("config", "its authentication code is missing"))?;
        if blake3::keyed_hash(&ring.config_key(), body) != blake3::Hash::from_bytes(mac) {
            return Err(VaultError::damaged("config", "it does not authenticate"));
        }
        if !record.cuts.plausible() {
            return Err(VaultError::damaged("config", "chunk sizes are out of bounds"));
        }
        let vault = Vault {
            parts,
            id: record.id,
            ring: RwLock::new(Arc::new(ring)),
            cuts: record.cuts,
            index: RwLock::new(Arc::new(Loaded::default())),
        };
        vault.reload()?;
        Ok(vault)
    }

    /// The vault's id, 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How messages call its place.
    #[must_use]
    pub fn place(&self) -> &str {
        self.store().place()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.parts.store
    }

    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().expect("no thread panics holding it"))
    }

    pub(crate) fn salt(&self) -> [u8; 32] {
        random32(&*self.parts.entropy)
    }

    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.index.read().expect("no thread panics holding it"))
    }

    pub(crate) fn threads(&self) -> usize {
        self.parts.threads.max(1)
    }

    /// Reads the index anew: what other processes wrote becomes visible.
    ///
    /// # Errors
    /// The store's. Damaged index objects are remembered and reported by [`Vault::status`], not fatal: what the others
    /// list still restores.
    pub fn reload(&self) -> Result<()> {
        // An index object may be replaced by a merged one while we read: list again then.
        for _ in 0..8 {
            let at = self.parts.clock.monotonic();
            let mut loaded = Loaded { at, ..Loaded::default() };
            let objects = self.index_objects(&mut loaded.unreadable)?;
            if loaded.unreadable.is_empty() && self.is_loaded(&objects, at)? {
                return Ok(());
            }
            let mut index = Index::default();
            index.reserve(usize::try_from(objects.iter().map(|(_, size)| size).sum::<u64>() / 18).unwrap_or(0));
            if !self.read_objects(&objects, &mut index, &mut loaded)? {
                continue;
            }
            let marked = self.marked_ids()?;
            index.judge(|pack| standing(pack, &marked));
            index.settle();
            loaded.index = Arc::new(index);
            self.set_loaded(loaded);
            return Ok(());
        }
        Err(VaultError::Refused("the index kept changing while it was read; try again".into()))
    }

    /// Names and lengths of the index objects there are.
    fn index_objects(&self, unreadable: &mut Vec<(String, String)>) -> Result<Vec<(ObjectId, u64)>> {
        let mut objects = Vec::new();
        for object in self.store().list("index")? {
            let path = format!("index/{}", object.name);
            match ObjectId::parse(&object.name) {
                None => unreadable.push((path, "it is not named like an index".into())),
                Some(_) if object.size > INDEX_MAX => {
                    unreadable.push((path, format!("it has {} bytes, more than any index", object.size)));
                }
                Some(id) => objects.push((id, object.size)),
            }
        }
        Ok(objects)
    }

    /// Whether these index objects and the marks there are now are what is in memory already; if so, what is in memory
    /// counts as read at `at`. Objects are named after their bytes, so the same names say the same.
    fn is_loaded(&self, objects: &[(ObjectId, u64)], at: std::time::Duration) -> Result<bool> {
        let before = self.loaded();
        let known = before.objects.iter().map(|object| (object.id, object.size));
        if !before.unreadable.is_empty() || !known.eq(objects.iter().copied()) {
            return Ok(false);
        }
        let marked = self.marked_ids()?;
        if before.index.packs.iter().any(|pack| standing(pack, &marked) != pack.standing) {
            return Ok(false);
        }
        self.set_loaded(Loaded { at, ..Loaded::clone(&before) });
        Ok(true)
    }

    fn set_loaded(&self, loaded: Loaded) {
        *self.index.write().expect("no thread panics holding it") = Arc::new(loaded);
    }

    pub(crate) fn marked_ids(&self) -> Result<HashSet<ObjectId>> {
        Ok(self.marked_packs()?.into_iter().map(|mark| mark.id).collect())
    }

    /// Reads index objects, several at a time, and adds them in the order given, so that every process that reads the
    /// same objects has the same index. False when one has vanished meanwhile.
    fn read_objects(&self, objects: &[(ObjectId, u64)], index: &mut Index, loaded: &mut Loaded) -> Result<bool> {
        let ring = self.ring();
        let read = |id: &ObjectId| -> Result<std::result::Result<Record, String>> {
            let sealed = self.store().get(&id.index_path())?;
            let plain = open_object(&ring, Kind::Index, &sealed);
            drop(sealed);
            Ok(plain.and_then(|plain| Record::decode(&plain).map_err(|bad| bad.0.to_owned())))
        };
        for few in objects.chunks(self.threads()) {
            let records: Vec<_> = std::thread::scope(|scope| {
                let others: Vec<_> = few[1..].iter().map(|(id, _)| scope.spawn(|| read(id))).collect();
                let mine = read(&few[0].0);
                let others = others.into_iter().map(|other| other.join().expect("decoding does not panic"));
                std::iter::once(mine).chain(others).collect()
            });
            for ((id, size), record) in few.iter().zip(records) {
                match record {
                    Err(VaultError::Missing { .. }) => return Ok(false),
                    Err(error) => return Err(error),
                    Ok(Ok(record)) => {
                        let packs = index.add_record(&record);
                        loaded.objects.push(IndexObject { id: *id, size: *size, packs });
                    }
                    Ok(Err(why)) => loaded.unreadable.push((id.index_path(), why)),
                }
            }
        }
        Ok(true)
    }

    /// Compares the index with the packs that are there and returns their sizes by name. Entries of packs that are not
    /// there — another process removed them while a third rewrote the index — give way to second copies of their
    /// chunks, and nothing new relies on them.
    pub(crate) fn take_stock(&self) -> Result<HashMap<String, u64>> {
        let present: HashMap<String, u64> = self.store().list("packs")?.into_iter().map(|o| (o.name, o.size)).collect();
        let mut loaded = self.index.write().expect("no thread panics holding it");
        let standing = |pack: &PackRow| match pack.standing {
            Standing::Marked if present.contains_key(&pack.id.to_string()) => Standing::Marked,
            _ if present.contains_key(&pack.id.to_string()) => Standing::Sound,
            _ => Standing::Missing,
        };
        if loaded.index.packs.iter().any(|pack| standing(pack) != pack.standing) {
            let index = Arc::make_mut(&mut Arc::make_mut(&mut loaded).index);
            index.judge(standing);
            index.settle();
        }
        Ok(present)
    }

    /// Writes packs of an index as index objects of bounded size; returns their names.
    pub(crate) fn write_packs(&self, index: &Index, packs: &[u32], superseded: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let mut written = Vec::new();
        let mut rest = packs;
        while !rest.is_empty() {
            let mut chunks = 0;
            let enough = |pack: &u32| {
                let row = &index.packs[*pack as usize];
                chunks +=
                    (row.first_block..row.first_block + row.blocks).map(|b| index.chunks_of(b).len()).sum::<usize>();
                chunks >= PER_OBJECT
            };
            let count = rest.iter().position(enough).map_or(rest.len(), |last| last + 1);
            let (these, after) = rest.split_at(count);
            written.push(self.write_index(&index.encode(these.iter().copied(), superseded))?);
            rest = after;
        }
        Ok(written)
    }

    /// Seals a record and writes it as an index object.
    pub(crate) fn write_index(&self, record: &[u8]) -> Result<ObjectId> {
        let sealed = seal_object(&self.ring(), Kind::Index, self.salt(), record);
        let id = ObjectId::of(&sealed);
        self.store().put_exact(&id.index_path(), sealed)?;
        Ok(id)
    }

    /// Figures about the vault.
    ///
    /// # Errors
    /// The store's.
    pub fn status(&self) -> Result<Status> {
        let loaded = self.loaded();
        let packs = &loaded.index.packs;
        Ok(Status {
            id: self.id.clone(),
            format: FORMAT,
            packs: packs.len() as u64,
            packed: Bytes(packs.iter().map(|pack| pack.size).sum()),
            marked: packs.iter().filter(|pack| pack.standing == Standing::Marked).count() as u64,
            chunks: loaded.index.chunks() as u64,
            indexes: loaded.objects.len() as u64,
            snapshots: self.store().list("snapshots")?.len() as u64,
            trashed: self.store().list("trash/snapshots")?.len() as u64,
            slots: self.slots()?.len() as u64,
            unreadable: loaded.unreadable.clone(),
        })
    }
}

/// How a pack stands by the marks alone.
fn standing(pack: &PackRow, marked: &HashSet<ObjectId>) -> Standing {
    if marked.contains(&pack.id) { Standing::Marked } else { Standing::Sound }
}
