//! The object store as the engine sees it: blocking, put-if-absent, and nothing more.
//!
//! What is asked of a store: a put publishes the whole object or nothing, and what was put is durable and listed when
//! the put returns. Everything else — order of effects, two-phase removal — stands on that.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::{Result, VaultError};

/// An object found by listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The last part of its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// What came of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Written.
    New,
    /// An object of this name was there and was left as it is.
    Existed,
}

/// Blocking access to one object store.
///
/// Stores that need an async runtime (everything over a network) get its handle; the local and memory stores run
/// on the calling thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    runtime: Option<tokio::runtime::Handle>,
    place: String,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store {
    /// Wraps a store. `place` is how messages call it.
    pub fn new(inner: Arc<dyn ObjectStore>, runtime: Option<tokio::runtime::Handle>, place: impl Into<String>) -> Self {
        Self { inner, runtime, place: place.into() }
    }

    /// How messages call it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        match &self.runtime {
            Some(handle) => handle.block_on(future),
            None => futures::executor::block_on(future),
        }
    }

    /// Writes an object durably unless one of that name exists.
    pub(crate) fn put_new(&self, object: &str, bytes: impl Into<PutPayload>) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.wait(self.inner.put_opts(&Path::from(object), bytes.into(), options)) {
            Ok(_) => Ok(Put::New),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Existed),
            Err(source) => Err(failed(object, source)),
        }
    }

    /// Writes an object whose name stands for its bytes; one of that name with other bytes is replaced.
    ///
    /// Stores publish an object whole or not at all (the local one flushes before it links the name, the networked ones
    /// are atomic), so other bytes are damage: a disk that lied about a flush, or rot. They must not stand in for what is
    /// written now, and nothing is lost with them: the name says that they are not what anybody wrote.
    pub(crate) fn put_exact(&self, object: &str, bytes: impl Into<Bytes>) -> Result<Put> {
        let bytes: Bytes = bytes.into();
        for _ in 0..3 {
            if self.put_new(object, bytes.clone())? == Put::New {
                return Ok(Put::New);
            }
            match self.get(object) {
                Ok(found) if found == bytes => return Ok(Put::Existed),
                Ok(_) => self.delete(object)?,
                // Another process is removing it at this moment.
                Err(VaultError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Refused(format!("`{object}` keeps changing while it is written; try again")))
    }

    /// The whole object.
    pub(crate) fn get(&self, object: &str) -> Result<Bytes> {
        let path = Path::from(object);
        self.wait(async { self.inner.get(&path).await?.bytes().await }).map_err(|source| failed(object, source))
    }

    /// A whole object that is known to be small: anything longer is not what it should be, and is not read.
    pub(crate) fn get_small(&self, object: &str, most: u64) -> Result<Bytes> {
        let path = Path::from(object);
        let size = self.wait(self.inner.head(&path)).map_err(|source| failed(object, source))?.size;
        if size > most {
            return Err(VaultError::damaged(object, format!("it has {size} bytes, more than the {most} it may have")));
        }
        self.get(object)
    }

    /// Bytes `start..end` of the object; fails when it is shorter.
    pub(crate) fn get_range(&self, object: &str, start: u64, end: u64) -> Result<Bytes> {
        let bytes = self
            .wait(self.inner.get_range(&Path::from(object), start..end))
            .map_err(|source| failed(object, source))?;
        if bytes.len() as u64 == end - start {
            Ok(bytes)
        } else {
            Err(VaultError::damaged(object, "it is shorter than recorded"))
        }
    }

    /// Removes an object; one that is gone already is fine.
    pub(crate) fn delete(&self, object: &str) -> Result<()> {
        match self.wait(self.inner.delete(&Path::from(object))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(object, source)),
        }
    }

    /// Whether the object exists.
    pub(crate) fn exists(&self, object: &str) -> Result<bool> {
        Ok(self.size(object)?.is_some())
    }

    /// The object's length; `None` when it is not there.
    pub(crate) fn size(&self, object: &str) -> Result<Option<u64>> {
        match self.wait(self.inner.head(&Path::from(object))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(object, source)),
        }
    }

    /// Everything below a prefix (a folder name without slash), by name.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let path = Path::from(prefix);
        let mut found = self.wait(async {
            let mut stream = self.inner.list(Some(&path));
            let mut found = Vec::new();
            while let Some(next) = stream.next().await {
                let meta = next.map_err(|source| failed(prefix, source))?;
                let name = meta.location.filename().unwrap_or_default().to_owned();
                found.push(Listed { name, size: meta.size });
            }
            Ok::<_, VaultError>(found)
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Whether nothing at all is stored here.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        self.wait(async {
            match self.inner.list(None).next().await {
                None => Ok(true),
                Some(Ok(_)) => Ok(false),
                Some(Err(source)) => Err(failed("", source)),
            }
        })
    }
}

fn failed(object: &str, source: object_store::Error) -> VaultError {
    match source {
        object_store::Error::NotFound { .. } => VaultError::Missing { object: object.to_owned() },
        source => VaultError::Store { object: object.to_owned(), source },
    }
}
