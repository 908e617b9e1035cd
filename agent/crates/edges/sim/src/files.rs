//! Directories and small files of the simulated machine.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstop_model::tree::{Cut, Meta, NodeKind};
use backstop_model::{Advice, Bytes, ExitCode, Fault};
use backstop_seams::Files;

use crate::disk::{Entry, Mood, SimDisk, key, parent};
use crate::life::{End, Life, Touch};

/// The disk as one process reaches it.
pub struct SimFiles {
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) life: Arc<Life>,
}

/// The error of whoever is gone.
pub(crate) fn gone() -> io::Error {
    io::Error::other("the process has ended")
}

impl SimFiles {
    /// Has the effect, or not, and hears of it, or not. The last effect of a process may be done by half.
    fn change(
        &self,
        what: &str,
        path: &Path,
        whole: impl FnOnce() -> io::Result<()>,
        half: impl FnOnce(),
    ) -> Result<(), Fault> {
        let done = match self.life.touch(&format!("{what} {}", path.display())) {
            Touch::Alive => whole(),
            Touch::Ends(End::Before) => {
                half();
                Err(gone())
            }
            Touch::Ends(End::After) => whole().and(Err(gone())),
            Touch::Gone => Err(gone()),
        };
        done.map_err(|error| fault(what, path, &error))
    }

    fn look(&self, what: &str, path: &Path) -> Result<(), Fault> {
        match self.life.touch(&format!("{what} {}", path.display())) {
            Touch::Alive => Ok(()),
            Touch::Ends(_) | Touch::Gone => Err(fault(what, path, &gone())),
        }
    }
}

fn fault(what: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::new(ExitCode::Failed, Advice::CallAPerson, format!("cannot {what} `{}`: {error}", path.display()), "")
}

impl Files for SimFiles {
    fn exists(&self, path: &Path) -> Result<bool, Fault> {
        self.look("look at", path)?;
        Ok(self.disk.lock().get(&key(path)).is_some())
    }

    fn identity(&self, path: &Path) -> Result<Option<(u64, u64)>, Fault> {
        self.look("look at", path)?;
        Ok(self.disk.lock().get(&key(path)).map(|entry| (entry.meta.device, entry.meta.inode)))
    }

    /// No link of this disk leads anywhere.
    fn real(&self, path: &Path) -> Result<PathBuf, Fault> {
        Ok(path.to_owned())
    }

    fn own_directory(&self, dir: &Path) -> Result<(), Fault> {
        let make = || {
            let (path, now) = (key(dir), self.disk.stamp());
            let mut entries = self.disk.lock();
            match entries.get(&path).map(|entry| &entry.kind) {
                Some(NodeKind::Directory) if entries.tree(&path).count() > 1 => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                Some(NodeKind::Directory) => return Ok(()),
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {}
            }
            entries.directories(parent(&path).unwrap_or_default(), 0o755, now)?;
            entries.directories(&path, 0o700, now)
        };
        self.change("create", dir, make, || {})
    }

    fn remove_tree(&self, dir: &Path) -> Result<(), Fault> {
        let path = key(dir);
        let all = || {
            self.disk.lock().remove(&path);
            Ok(())
        };
        let half = || {
            let mut entries = self.disk.lock();
            let below: Vec<Vec<u8>> = entries.tree(&path).map(|(path, _)| path.to_vec()).collect();
            for path in below.iter().rev().take(below.len() / 2) {
                entries.remove(path);
            }
        };
        self.change("remove", dir, all, half)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<(), Fault> {
        let exchange = || {
            let (one, other) = (key(a), key(b));
            let mut entries = self.disk.lock();
            if entries.get(&one).is_none() || entries.get(&other).is_none() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let aside = [one.as_slice(), b"\0aside"].concat();
            entries.rename(&one, &aside);
            entries.rename(&other, &one);
            entries.rename(&aside, &other);
            Ok(())
        };
        self.change("exchange", a, exchange, || {})
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        let rename = || {
            let (from, to) = (key(from), key(to));
            let mut entries = self.disk.lock();
            if entries.get(&from).is_none() || parent(&to).is_some_and(|above| entries.get(above).is_none()) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if entries.get(&to).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            entries.rename(&from, &to);
            Ok(())
        };
        self.change("move", from, rename, || {})
    }

    fn room(&self, path: &Path) -> Result<Bytes, Fault> {
        self.look("look at", path)?;
        Ok(Bytes(1 << 40))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        self.look("read", path)?;
        match self.disk.lock().get(&key(path)) {
            None => Ok(None),
            Some(Entry { kind: NodeKind::File { .. }, contents, .. }) => Ok(Some(contents.to_vec())),
            Some(_) => Err(fault("read", path, &io::ErrorKind::IsADirectory.into())),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        let write = || {
            let (to, now) = (key(path), self.disk.stamp());
            let mut entries = self.disk.lock();
            entries.directories(parent(&to).unwrap_or_default(), 0o700, now)?;
            let inode = entries.inode();
            let meta = Meta { mode, mtime: now, ctime: now, inode, device: 1, links: 1, ..Meta::default() };
            let kind = NodeKind::File { size: bytes.len() as u64, cut: Cut::Content };
            entries.insert(&to, Entry { kind, meta, contents: Arc::new(bytes.to_vec()), mood: Mood::Willing })
        };
        self.change("write", path, write, || {})
    }

    fn remove(&self, path: &Path) -> Result<(), Fault> {
        let remove = || {
            self.disk.lock().remove(&key(path));
            Ok(())
        };
        self.change("remove", path, remove, || {})
    }

    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, Fault> {
        self.look("read", dir)?;
        let top = key(dir);
        let entries = self.disk.lock();
        let files = entries.tree(&top).map(|(path, _)| Path::new("/").join(String::from_utf8_lossy(path).as_ref()));
        Ok(files.filter(|path| path.parent() == Some(dir)).collect())
    }

    fn read_config(&self, dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Fault> {
        self.look("read", dir)?;
        let top = key(dir);
        let entries = self.disk.lock();
        let files = entries.tree(&top).filter(|(path, _)| path.ends_with(b".toml"));
        let file = |(path, entry): (&[u8], &Entry)| {
            (Path::new("/").join(String::from_utf8_lossy(path).as_ref()), entry.contents.to_vec())
        };
        Ok(files.map(file).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn an_exchange_swaps_trees_and_their_identities() {
        let world = World::new(1);
        let (disk, files) = (world.disk(), world.start().files());
        disk.write("/srv/live/a", b"old".to_vec());
        disk.write("/srv/new/b", b"new".to_vec());
        let (live, new) = (Path::new("/srv/live"), Path::new("/srv/new"));
        let before = (files.identity(live).expect("there"), files.identity(new).expect("there"));
        files.exchange(live, new).expect("both are there");
        assert_eq!((files.identity(new).expect("there"), files.identity(live).expect("there")), before);
        assert_eq!(
            (disk.below("/srv/live"), disk.below("/srv/new")),
            (vec!["srv/live/b".into()], vec!["srv/new/a".into()])
        );
        assert!(files.rename(live, new).is_err(), "the name is taken");
    }

    #[test]
    fn a_removal_that_is_cut_short_leaves_a_part() {
        let world = World::new(1);
        let process = world.start();
        for number in 0..10 {
            world.disk().write(&format!("/scratch/{number}"), Vec::new());
        }
        process.life().doom(0, End::Before, || {});
        assert!(process.files().remove_tree(Path::new("/scratch")).is_err());
        let left = world.disk().below("/scratch").len();
        assert!(left > 0 && left < 10, "{left} of 10");
        assert!(process.files().remove_tree(Path::new("/scratch")).is_err(), "it is gone");
        world.start().files().remove_tree(Path::new("/scratch")).expect("alive");
        assert!(!world.disk().exists("/scratch"));
    }

    #[test]
    fn an_own_directory_is_new_or_empty() {
        let world = World::new(1);
        let files = world.start().files();
        let dir = Path::new("/var/staging/run-1");
        files.own_directory(dir).expect("new");
        files.own_directory(dir).expect("empty");
        files.write(&dir.join("x"), b"1", 0o600).expect("written");
        assert!(files.own_directory(dir).is_err(), "something is in it");
        assert_eq!(files.read(&dir.join("x")).expect("readable"), Some(b"1".to_vec()));
    }
}
