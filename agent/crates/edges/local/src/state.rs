//! The state directory, and files that are replaced whole.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::LocalError;
use crate::store::{READ_AND_WRITE, create_private, sync_directory};

/// Name of the catalog inside the state directory.
pub const CATALOG: &str = "catalog.db";
/// Name of the main file inside the configuration directory.
pub const MAIN_FILE: &str = "backstop.toml";
/// Name of the directory of further files inside the configuration directory.
pub const MORE_FILES: &str = "conf.d";
/// Name of the directory of policies inside the configuration directory: the files that bind them, and components.
pub const POLICIES: &str = "policies";
/// Largest configuration file that is read, in bytes.
pub const CONFIG_FILE_MAX: u64 = 16 << 20;

/// Makes the state directory (0700) and the catalog file in it (0600, empty for the catalog to fill) if they are
/// missing, and returns the catalog's path. A catalog that exists keeps its contents and loses what others may do.
///
/// A directory that is open to others is closed to them if it is ours by its looks, that is empty or holding a
/// catalog; anything else is refused rather than changed.
///
/// # Errors
/// When it cannot be made or written: read-only, full, forbidden, no directory, or used for something else.
pub fn prepare(state_dir: &Path) -> Result<PathBuf, LocalError> {
    create_private(state_dir)?;
    let fail = |action| move |error| LocalError::from_io(action, state_dir, error);
    let catalog = state_dir.join(CATALOG);
    let found = std::fs::metadata(state_dir).map_err(fail("open"))?;
    if found.mode() & 0o077 != 0 {
        let empty = std::fs::read_dir(state_dir).map_err(fail("read"))?.next().is_none();
        if !empty && !catalog.exists() {
            return Err(LocalError::Exposed {
                path: state_dir.to_owned(),
                why: "is open to other users and holds other files, so it cannot be the state directory",
                hint: format!("choose a directory of its own, or `chmod 700 {}`", state_dir.display()),
            });
        }
        std::fs::set_permissions(state_dir, Permissions::from_mode(0o700)).map_err(fail("restrict"))?;
    }
    rustix::fs::access(state_dir, READ_AND_WRITE).map_err(|error| fail("write to")(error.into()))?;
    let new = !catalog.exists();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&catalog);
    let file = file.map_err(|error| LocalError::from_io("write to", &catalog, error))?;
    let found = file.metadata().map_err(|error| LocalError::from_io("open", &catalog, error))?;
    if !found.is_file() {
        return Err(LocalError::WrongKind { path: catalog, wanted: "regular file" });
    }
    if found.mode() & 0o077 != 0 {
        let closed = file.set_permissions(Permissions::from_mode(0o600));
        closed.map_err(|error| LocalError::from_io("restrict", &catalog, error))?;
    }
    if new {
        sync_directory(state_dir)?;
    }
    Ok(catalog)
}

/// Bytes that this user may still write to the file system of `path`.
///
/// # Errors
/// When the path does not exist.
pub fn free_bytes(path: &Path) -> Result<u64, LocalError> {
    let found = rustix::fs::statvfs(path).map_err(|error| LocalError::from_io("look at", path, error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Replaces a file as a whole: at every instant, and after a crash at any instant, either all of the old or all of
/// the new contents stand there. Missing directories above it are not made. A symbolic link stays one, and what it
/// points to is replaced.
///
/// # Errors
/// When it cannot be written; the old file is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LocalError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = &match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            std::fs::canonicalize(path).map_err(|error| LocalError::from_io("follow", path, error))?
        }
        _ => path.to_owned(),
    };
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(LocalError::WrongKind { path: path.clone(), wanted: "file" });
    };
    sweep(directory, name);
    // A dot in front keeps it out of configuration directories while it is being written.
    let mut staged = OsStr::new(".").to_owned();
    staged.push(name);
    staged.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let staged = directory.join(staged);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&staged, path)
    })();
    if let Err(error) = written {
        // It may not even exist; and if it cannot be removed, it is ignored by name.
        let _ = std::fs::remove_file(&staged);
        return Err(match error.kind() {
            std::io::ErrorKind::NotFound => LocalError::Missing { path: directory.to_owned() },
            _ => LocalError::from_io("write to", path, error),
        });
    }
    sync_directory(directory)
}

/// Removes what processes that ended in the middle of replacing this very file left beside it.
fn sweep(directory: &Path, name: &OsStr) {
    let left_by = |entry: &OsStr| -> Option<u32> {
        let rest = entry.as_bytes().strip_prefix(b".")?.strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
        let (process, _) = std::str::from_utf8(rest.strip_suffix(b".tmp")?).ok()?.split_once('-')?;
        process.parse().ok()
    };
    // What cannot be listed or removed is in nobody's way.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let gone = left_by(&entry.file_name()).is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists());
        if gone {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes a directory below the configuration directory if it is missing, with the modes the process's mask leaves.
///
/// # Errors
/// When it cannot be made.
pub fn create_config_directory(path: &Path) -> Result<(), LocalError> {
    let made = DirBuilder::new().recursive(true).create(path);
    made.map_err(|error| LocalError::from_io("create", path, error))
}

/// Reads the configuration directory: the main file, then `conf.d/*.toml`, then `policies/*.toml`, by the bytes of their
/// names, each with its full path. Hidden files, editors' leftovers and directories are passed over; links are followed.
/// A directory without any file gives an empty list.
///
/// # Errors
/// When the directory does not exist, or a file in it cannot be read or is absurdly large.
pub fn read_config(config_dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, LocalError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |error| LocalError::from_io("read", &path, error)
    };
    if !std::fs::metadata(config_dir).map_err(fail(config_dir))?.is_dir() {
        return Err(LocalError::WrongKind { path: config_dir.to_owned(), wanted: "directory" });
    }
    let mut paths = Vec::new();
    for more in [config_dir.join(MORE_FILES), config_dir.join(POLICIES)] {
        match std::fs::read_dir(&more) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(fail(&more))?.file_name();
                    if is_config_name(&name) {
                        paths.push(more.join(name));
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(&more)(error)),
        }
    }
    // The bytes of `conf.d` stand before those of `policies`.
    paths.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let main = config_dir.join(MAIN_FILE);
    if std::fs::symlink_metadata(&main).is_ok() {
        paths.insert(0, main);
    }
    let mut files = Vec::new();
    for path in paths {
        // A link to nothing is an error: somebody meant to configure something.
        let found = std::fs::metadata(&path).map_err(fail(&path))?;
        if found.is_dir() {
            continue;
        }
        if !found.is_file() {
            return Err(LocalError::WrongKind { path, wanted: "regular file" });
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(CONFIG_FILE_MAX + 1).read_to_end(&mut bytes));
        read.map_err(fail(&path))?;
        if bytes.len() as u64 > CONFIG_FILE_MAX {
            return Err(LocalError::TooLarge { path, limit: CONFIG_FILE_MAX });
        }
        files.push((path, bytes));
    }
    Ok(files)
}

/// Whether a name in `conf.d` or `policies` is a configuration file: not hidden (`.swp` files and `..data` links are) and ending in
/// `.toml` (which `~` and `.bak` copies do not).
#[must_use]
pub fn is_config_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.starts_with(b".") && name.len() > 5 && name.ends_with(b".toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .expect("there")
            .map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_state_directory_is_made_for_its_owner_alone_and_kept() {
        let dir = tempfile::tempdir().expect("made");
        let state = dir.path().join("a/state");
        let catalog = prepare(&state).expect("prepared");
        assert_eq!((mode(&state), mode(&catalog)), (0o700, 0o600));
        std::fs::write(&catalog, "rows").expect("written");
        set_mode(&state, 0o755);
        set_mode(&catalog, 0o644);
        assert_eq!(prepare(&state).expect("again"), catalog);
        assert_eq!((mode(&state), mode(&catalog)), (0o700, 0o600));
        assert_eq!(std::fs::read(&catalog).expect("read"), b"rows");
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().expect("made");
        std::fs::write(dir.path().join("theirs"), "x").expect("written");
        set_mode(dir.path(), 0o1777);
        assert!(matches!(prepare(dir.path()), Err(LocalError::Exposed { .. })));
        assert_eq!((mode(dir.path()), names(dir.path())), (0o1777, vec!["theirs".to_owned()]));
    }

    #[test]
    fn a_place_that_cannot_hold_state_is_named() {
        let dir = tempfile::tempdir().expect("made");
        let file = dir.path().join("file");
        std::fs::write(&file, "x").expect("written");
        assert!(matches!(prepare(&file), Err(LocalError::WrongKind { .. })));
        assert!(matches!(prepare(&file.join("x")), Err(LocalError::WrongKind { .. })));
        assert!(prepare(Path::new("/proc/backstop")).is_err());
        let state = dir.path().join("state");
        std::fs::create_dir_all(state.join(CATALOG)).expect("made");
        set_mode(&state, 0o700);
        assert!(prepare(&state).is_err(), "a directory stands where the catalog belongs");
        assert!(free_bytes(dir.path()).expect("there") > 0);
        assert!(free_bytes(&state.join("none")).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("docs.toml");
        write_atomic(&path, b"one", 0o644).expect("written");
        write_atomic(&path, b"two", 0o640).expect("replaced");
        assert_eq!((std::fs::read(&path).expect("read"), mode(&path)), (b"two".to_vec(), 0o640));
        assert_eq!(names(dir.path()), ["docs.toml"]);
    }

    #[test]
    fn what_a_process_left_that_ended_while_writing_is_removed_by_the_next_write() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("docs.toml");
        for left in [".docs.toml.4194305-0.tmp", ".docs.toml.1-0.tmp", ".web.toml.4194305-0.tmp", ".docs.toml.old.tmp"]
        {
            std::fs::write(dir.path().join(left), "half").expect("written");
        }
        write_atomic(&path, b"whole", 0o644).expect("written");
        let left = [".docs.toml.1-0.tmp", ".docs.toml.old.tmp", ".web.toml.4194305-0.tmp", "docs.toml"];
        assert_eq!(names(dir.path()), left, "only what belonged to this file, by a process that ended");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().expect("made");
        let blocked = dir.path().join("taken");
        std::fs::create_dir_all(blocked.join("inside")).expect("made");
        assert!(write_atomic(&blocked, b"new", 0o600).is_err(), "a directory cannot be replaced by a file");
        assert_eq!(names(dir.path()), ["taken"]);
        let nowhere = write_atomic(&dir.path().join("none/x"), b"new", 0o600);
        assert!(matches!(nowhere, Err(LocalError::Missing { path }) if path == dir.path().join("none")));
        // A device that is always full stands for a full disk.
        assert!(OpenOptions::new().write(true).open("/dev/full").is_ok_and(|mut full| {
            let error = full.write_all(b"x").expect_err("full");
            matches!(LocalError::from_io("write to", &blocked, error), LocalError::Full { .. })
        }));
    }

    #[test]
    fn a_symbolic_link_stays_and_its_file_is_replaced() {
        let dir = tempfile::tempdir().expect("made");
        std::fs::create_dir_all(dir.path().join("real")).expect("made");
        let (real, link) = (dir.path().join("real/x.toml"), dir.path().join("x.toml"));
        std::fs::write(&real, "old").expect("written");
        std::os::unix::fs::symlink("real/x.toml", &link).expect("linked");
        write_atomic(&link, b"new", 0o600).expect("replaced");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(std::fs::read(&real).expect("read"), b"new");
    }

    #[test]
    fn configuration_files_come_main_first_then_by_bytes_and_leftovers_do_not() {
        let dir = tempfile::tempdir().expect("made");
        let more = dir.path().join(MORE_FILES);
        assert!(read_config(dir.path()).expect("empty").is_empty());
        create_config_directory(&more).expect("made");
        for name in [
            "b.toml",
            "B.toml",
            "a.toml",
            ".hidden.toml",
            "a.toml~",
            ".a.toml.swp",
            "..data",
            "x.toml.bak",
            "c.txt",
            ".toml",
        ] {
            std::fs::write(more.join(name), name).expect("written");
        }
        std::fs::create_dir(more.join("d.toml")).expect("made");
        create_config_directory(&dir.path().join(POLICIES)).expect("made");
        for name in ["A.toml", "A.wasm", ".b.toml", "a.manifest"] {
            std::fs::write(dir.path().join(POLICIES).join(name), name).expect("written");
        }
        std::fs::write(dir.path().join(MAIN_FILE), "main").expect("written");
        std::os::unix::fs::symlink("../backstop.toml", more.join("z.toml")).expect("linked");
        let found = read_config(dir.path()).expect("read");
        let shown: Vec<(String, &str)> = found
            .iter()
            .map(|(path, bytes)| {
                let path = path.strip_prefix(dir.path()).expect("below").display().to_string();
                (path, std::str::from_utf8(bytes).expect("UTF-8"))
            })
            .collect();
        let expected = [
            ("backstop.toml", "main"),
            ("conf.d/B.toml", "B.toml"),
            ("conf.d/a.toml", "a.toml"),
            ("conf.d/b.toml", "b.toml"),
            ("conf.d/z.toml", "main"),
            ("policies/A.toml", "A.toml"),
        ];
        assert_eq!(shown, expected.map(|(path, text)| (path.to_owned(), text)));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
        let dir = tempfile::tempdir().expect("made");
        assert!(matches!(read_config(&dir.path().join("none")), Err(LocalError::Missing { .. })));
        std::os::unix::fs::symlink("nowhere", dir.path().join(MAIN_FILE)).expect("linked");
        assert!(matches!(read_config(dir.path()), Err(LocalError::Missing { .. })));
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(matches!(read_config(&file), Err(LocalError::WrongKind { .. })));
    }
}
