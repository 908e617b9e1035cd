//! A restored tree and the live one change places, and back, so that a crash at any line can tell which is which.

use std::path::{Path, PathBuf};

use backstop_model::Fault;

use super::Worker;

impl Worker<'_> {
    /// First the restored tree takes the name under which the old one will be kept, then the two change places.
    /// A small file beside them, written before the exchange, tells after a crash whether it has happened.
    pub(super) fn swap_in(&self, staged: &Path, target: &Path, keep: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        let marker = marker_of(keep);
        if let Some(identity) = self.marked(&marker)? {
            if files.identity(target)? != Some(identity) && files.identity(keep)? == Some(identity) {
                self.exchange_or_move(keep, target)?;
            }
            files.write(&note_of(keep), format!("{}\n", self.run.id).as_bytes(), 0o600)?;
            return files.remove(&marker);
        }
        if files.exists(staged)? {
            if files.exists(keep)? {
                return Err(Fault::refused(
                    format!("`{}` is in the way", keep.display()),
                    "move it aside and resume the run",
                ));
            }
            files.rename(staged, keep)?;
        } else if !files.exists(keep)? {
            // Nothing staged and nothing kept: the target did not exist before and has been moved in.
            return Ok(());
        } else {
            // Renamed, but the marker was not written yet; or all done and the marker removed. The note tells.
            let done = note_of(keep);
            if files.exists(&done)? {
                return Ok(());
            }
        }
        let identity =
            files.identity(keep)?.ok_or_else(|| Fault::not_found(format!("`{}` is gone", keep.display()), ""))?;
        files.write(&marker, format!("{} {}\n", identity.0, identity.1).as_bytes(), 0o600)?;
        self.exchange_or_move(keep, target)?;
        files.write(&note_of(keep), format!("{}\n", self.run.id).as_bytes(), 0o600)?;
        files.remove(&marker)
    }

    pub(super) fn exchange_or_move(&self, keep: &Path, target: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        if files.exists(target)? { files.exchange(keep, target) } else { files.rename(keep, target) }
    }

    pub(super) fn marked(&self, marker: &Path) -> Result<Option<(u64, u64)>, Fault> {
        let Some(bytes) = self.ctx.outside.files.read(marker)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(device)), Some(Ok(inode))) => Ok(Some((device, inode))),
            _ => Err(Fault::refused(
                format!("`{}` does not read", marker.display()),
                "look which tree is the live one, remove it, and resume",
            )),
        }
    }

    /// The way back, with the same marker: it says which tree is the restored one, so that a repeated undo cannot
    /// exchange twice.
    pub(super) fn swap_back(&self, staged: &Path, target: &Path, keep: &Path) -> Result<(), Fault> {
        let files = &self.ctx.outside.files;
        let (marker, note) = (marker_of(keep), note_of(keep));
        let mut restored = self.marked(&marker)?;
        if restored.is_none() && files.exists(&note)? {
            restored = files.identity(target)?;
            if let Some((device, inode)) = restored {
                files.write(&marker, format!("{device} {inode}\n").as_bytes(), 0o600)?;
            }
        }
        files.remove(&note)?;
        if restored.is_some() && files.identity(target)? == restored {
            if files.exists(keep)? { files.exchange(keep, target)? } else { files.rename(target, keep)? }
        }
        if files.exists(keep)? && !files.exists(staged)? {
            files.rename(keep, staged)?;
        }
        files.remove(&marker)
    }
}

fn marker_of(keep: &Path) -> PathBuf {
    with_suffix(keep, ".swapping")
}

pub(crate) fn note_of(keep: &Path) -> PathBuf {
    with_suffix(keep, ".swapped")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
