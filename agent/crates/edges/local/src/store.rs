//! The object store behind a vault's URL.
//!
//! A local vault is a directory. Objects are written to a staging file beside their name (`name#1`), flushed to disk,
//! published under their name by a hard link, which fails if the name exists, and then the directory is flushed: a put
//! that returned survives power loss, and a put-if-absent never touches what is there. What a killed process leaves
//! behind are staging files; they are invisible to the store and [`sweep_staging`] removes them.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstop_model::{Span, Timestamp};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use rustix::fs::{Access as Permitted, Mode};

use crate::LocalError;

/// What a vault's store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading: it must exist, and may be read-only.
    Read,
    /// Writing: it must exist and admit writing.
    Write,
    /// Writing, and made if it is missing. For `vault init` alone: whoever creates what is merely not mounted would
    /// go on backing up to the wrong disk.
    Create,
}

/// What a directory must admit to be worked in.
pub(crate) const READ_AND_WRITE: Permitted = Permitted::READ_OK.union(Permitted::WRITE_OK).union(Permitted::EXEC_OK);

/// Opens the store a URL names: `file:///path`, or `memory:` for a store that dies with the process.
///
/// # Errors
/// When the URL is of another kind, or the directory is missing, no directory, or not accessible as asked.
pub fn open(url: &str, access: Access) -> Result<Arc<dyn ObjectStore>, LocalError> {
    if url == "memory:" {
        return Ok(Arc::new(InMemory::new()));
    }
    let path = path_of(url).ok_or_else(|| LocalError::UnknownUrl { url: url.to_owned() })?;
    if access == Access::Create {
        create_private(&path)?;
    }
    let found = std::fs::metadata(&path).map_err(|error| LocalError::from_io("open", &path, error))?;
    if !found.is_dir() {
        return Err(LocalError::WrongKind { path, wanted: "directory" });
    }
    let (wanted, action) = match access {
        Access::Read => (Permitted::READ_OK.union(Permitted::EXEC_OK), "read"),
        Access::Write | Access::Create => (READ_AND_WRITE, "write to"),
    };
    rustix::fs::access(&path, wanted).map_err(|error| LocalError::from_io(action, &path, error.into()))?;
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| LocalError::Io {
        action: "open",
        path: path.clone(),
        source: std::io::Error::other(error),
    })?;
    Ok(Arc::new(store.with_fsync(true)))
}

/// The directory a `file:` URL names; `None` for every other URL.
#[must_use]
pub fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://")?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Makes a directory and what is missing above it, for this user alone, and flushes each new name to disk.
pub(crate) fn create_private(path: &Path) -> Result<(), LocalError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| match error.kind() {
        // Something that is no directory stands in the way; `create` says only that it exists.
        std::io::ErrorKind::AlreadyExists => LocalError::WrongKind { path: path.to_owned(), wanted: "directory" },
        _ => LocalError::from_io("create", path, error),
    })?;
    for parent in missing.iter().filter_map(|made| made.parent()) {
        sync_directory(parent)?;
    }
    Ok(())
}

/// Flushes the names in a directory to disk.
pub(crate) fn sync_directory(path: &Path) -> Result<(), LocalError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| LocalError::from_io("flush", path, error))
}

/// From here on, what this process makes is for its user alone, whatever mode is asked for. Called once, at the start,
/// since the mask belongs to the whole process; a restore sets the modes of what it makes afterwards.
pub fn restrict_umask() {
    rustix::process::umask(Mode::from_bits_truncate(0o077));
}

/// Removes what interrupted writes left in a local vault: staging files whose last change is older than `age`, which
/// must exceed the time any object takes to be written. Returns how many were removed; a store that is no directory
/// has none.
///
/// # Errors
/// When a directory cannot be read or a file not be removed. What vanishes meanwhile is no error.
pub fn sweep_staging(url: &str, now: Timestamp, age: Span) -> Result<u64, LocalError> {
    let Some(root) = path_of(url) else { return Ok(0) };
    let limit = age.before(now);
    let mut removed = 0;
    let mut open = vec![root];
    while let Some(directory) = open.pop() {
        let fail = |error| LocalError::from_io("sweep", &directory, error);
        for entry in std::fs::read_dir(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && is_staging(entry.file_name().as_encoded_bytes()) {
                let Ok(changed) = entry.metadata().and_then(|found| found.modified()) else { continue };
                let changed = Timestamp::try_from(changed).unwrap_or(Timestamp::MAX);
                if changed < limit {
                    match std::fs::remove_file(entry.path()) {
                        Ok(()) => removed += 1,
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        Err(error) => return Err(LocalError::from_io("remove", &entry.path(), error)),
                    }
                }
            }
        }
    }
    Ok(removed)
}

/// `name#digits`, as the local store names what it is still writing.
fn is_staging(name: &[u8]) -> bool {
    let Some(mark) = name.iter().position(|byte| *byte == b'#') else { return false };
    let suffix = &name[mark + 1..];
    !suffix.is_empty() && suffix.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use futures::TryStreamExt;
    use futures::executor::block_on;
    use object_store::path::Path as Key;
    use object_store::{ObjectStoreExt, PutMode, PutOptions};

    use super::*;

    fn url(path: &Path) -> String {
        format!("file://{}", path.display())
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o7777
    }

    #[test]
    fn only_create_makes_a_missing_directory_and_makes_it_private() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("a/my vault");
        for access in [Access::Read, Access::Write] {
            assert!(matches!(open(&url(&path), access), Err(LocalError::Missing { .. })));
        }
        open(&url(&path), Access::Create).expect("created");
        assert_eq!((mode(&path), mode(path.parent().expect("has one"))), (0o700, 0o700));
        open(&url(&path), Access::Create).expect("is there already");
        open(&url(&path), Access::Write).expect("opens");
        open(&url(&path), Access::Read).expect("opens");
    }

    #[test]
    fn what_is_no_directory_or_no_known_url_is_named() {
        let dir = tempfile::tempdir().expect("made");
        let file = dir.path().join("file");
        std::fs::write(&file, "x").expect("written");
        for access in [Access::Read, Access::Write, Access::Create] {
            assert!(matches!(open(&url(&file), access), Err(LocalError::WrongKind { .. })), "{access:?}");
            assert!(matches!(open(&url(&file.join("below")), access), Err(LocalError::WrongKind { .. })), "{access:?}");
        }
        for bad in ["s3://bucket/x", "file://host/x", "/x", "file:x", ""] {
            assert!(matches!(open(bad, Access::Create), Err(LocalError::UnknownUrl { .. })), "{bad}");
        }
    }

    #[test]
    fn a_directory_that_may_not_be_written_opens_for_reading_only() {
        let dir = tempfile::tempdir().expect("made");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o500)).expect("set");
        assert!(open(&url(dir.path()), Access::Read).is_ok());
        // Root may write anywhere, so for root the difference does not show.
        let refused = matches!(open(&url(dir.path()), Access::Write), Err(LocalError::Denied { .. }));
        assert_eq!(refused, !rustix::process::geteuid().is_root());
        // `/proc` is not writable for anybody: nothing can be made in it.
        assert!(open("file:///proc/backstop-vault", Access::Create).is_err());
    }

    #[test]
    fn a_child_with_a_restricted_mask() {
        let Some(dir) = std::env::var_os("BACKSTOP_TEST_UMASK") else { return };
        restrict_umask();
        let store = open(&url(Path::new(&dir)), Access::Write).expect("opens");
        block_on(store.put(&Key::from("packs/a"), b"x".as_slice().into())).expect("put");
    }

    #[test]
    fn with_the_mask_restricted_objects_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().expect("made");
        // In a process of its own, since the mask belongs to the process.
        let mut child = std::process::Command::new(std::env::current_exe().expect("known"));
        child.args(["--exact", "store::tests::a_child_with_a_restricted_mask"]).env("BACKSTOP_TEST_UMASK", dir.path());
        assert!(child.output().expect("runs").status.success());
        assert_eq!((mode(&dir.path().join("packs")), mode(&dir.path().join("packs/a"))), (0o700, 0o600));
    }

    #[test]
    fn put_if_absent_leaves_an_existing_object_as_it_is() {
        let dir = tempfile::tempdir().expect("made");
        let store = open(&url(dir.path()), Access::Write).expect("opens");
        let key = Key::from("packs/ab/cd");
        let put = |bytes: &'static [u8]| {
            let options = PutOptions { mode: PutMode::Create, ..Default::default() };
            block_on(store.put_opts(&key, bytes.into(), options))
        };
        put(b"first").expect("absent");
        assert!(matches!(put(b"second"), Err(object_store::Error::AlreadyExists { .. })));
        let read = block_on(async { store.get(&key).await?.bytes().await }).expect("there");
        assert_eq!(read.as_ref(), b"first");
        let names: Vec<_> = std::fs::read_dir(dir.path().join("packs/ab"))
            .expect("there")
            .map(|entry| entry.expect("listed").file_name())
            .collect();
        assert_eq!(names, ["cd"], "a refused put leaves no staging file");
        assert!(format!("{store:?}").contains("fsync: true"), "writes are flushed: {store:?}");
    }

    #[test]
    fn of_many_who_put_the_same_name_exactly_one_succeeds() {
        let dir = tempfile::tempdir().expect("made");
        let store = open(&url(dir.path()), Access::Write).expect("opens");
        let won: usize = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..8u8)
                .map(|byte| {
                    let store = &store;
                    scope.spawn(move || {
                        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
                        block_on(store.put_opts(&Key::from("lock"), vec![byte; 4096].into(), options)).is_ok()
                    })
                })
                .collect();
            tasks.into_iter().map(|task| usize::from(task.join().expect("no panic"))).sum()
        });
        assert_eq!(won, 1);
        let read = block_on(async { store.get(&Key::from("lock")).await?.bytes().await }).expect("there");
        assert!(read.len() == 4096 && read.iter().all(|byte| *byte == read[0]), "the object is one writer's, whole");
    }

    #[test]
    fn what_a_killed_writer_left_is_invisible_and_swept_once_it_is_old() {
        let dir = tempfile::tempdir().expect("made");
        let store = open(&url(dir.path()), Access::Write).expect("opens");
        block_on(store.put(&Key::from("packs/a"), b"x".as_slice().into())).expect("put");
        std::fs::write(dir.path().join("packs/b#1"), "half").expect("written");
        let listed: Vec<_> = block_on(store.list(None).try_collect()).expect("listed");
        assert_eq!(listed.iter().map(|found| found.location.as_ref()).collect::<Vec<_>>(), ["packs/a"]);
        let hour = Span::from_secs(3600);
        let now = Timestamp::now();
        assert_eq!(sweep_staging(&url(dir.path()), now, hour).expect("swept"), 0, "it may still be written");
        assert_eq!(sweep_staging(&url(dir.path()), Span::from_days(1).after(now), hour).expect("swept"), 1);
        assert!(dir.path().join("packs/a").exists());
        assert_eq!(sweep_staging("memory:", now, hour).expect("nothing to do"), 0);
    }
}
