//! Putting recorded metadata onto what was made.
//!
//! The order matters: changing the owner clears setuid and capabilities, so it comes first; attributes of a file that
//! will be read-only can be set only before its mode; an ACL and the mode write the same bits and agree. The mode
//! comes last because it takes away the mark of an unfinished entry (see [`UNFINISHED`]).
//!
//! What cannot be applied is returned in words and never stops a restore.

use std::ffi::CStr;

use backstop_model::tree::Meta;
use rustix::fd::OwnedFd;
use rustix::fs::{
    Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, fchmod, fchown, flistxattr, fremovexattr, fsetxattr,
    futimens,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

/// Marks an entry this crate made and did not finish: sticky, and nobody but the owner may do anything. Nobody sets
/// the sticky bit without sharing a directory, nor on a file at all, so a restore that is begun again recognises what
/// an interrupted one left and makes it anew instead of keeping it as found.
pub(crate) const UNFINISHED: u32 = 0o1000;
/// Mode of an unfinished file.
pub(crate) const UNFINISHED_FILE: u32 = UNFINISHED | 0o600;
/// Mode of an unfinished directory.
pub(crate) const UNFINISHED_DIRECTORY: u32 = UNFINISHED | 0o700;

pub(crate) const ACCESS_ACL: &CStr = c"system.posix_acl_access";
const DEFAULT_ACL: &CStr = c"system.posix_acl_default";

/// As whom this process writes.
#[derive(Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Writer {
    pub(crate) fn this_process() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }
}

/// What could not be applied, a line each.
pub(crate) type Causes = Vec<String>;

/// Stamps a file just made. `plain`: it inherited nothing from its directory, so owner and ACL are as expected.
pub(crate) fn file(fd: &OwnedFd, meta: &Meta, writer: Writer, plain: bool) -> Causes {
    let mut causes = Causes::new();
    let owned = (plain && (meta.uid, meta.gid) == (writer.uid, writer.gid)) || owner(fd, meta, writer, &mut causes);
    if !plain {
        drop_inherited(fd, meta, ACCESS_ACL, &mut causes);
    }
    set_attributes(fd, meta, &mut causes);
    note(&mut causes, "times", futimens(fd, &times(meta)));
    note(&mut causes, "mode", fchmod(fd, mode(meta, owned)));
    causes
}

/// Stamps a directory, which may have stood there before: attributes it should not have are removed.
pub(crate) fn directory(fd: &OwnedFd, meta: &Meta, writer: Writer) -> Causes {
    let mut causes = Causes::new();
    let owned = owner(fd, meta, writer, &mut causes);
    remove_surplus(fd, meta, &mut causes);
    set_attributes(fd, meta, &mut causes);
    note(&mut causes, "mode", fchmod(fd, mode(meta, owned)));
    note(&mut causes, "times", futimens(fd, &times(meta)));
    causes
}

/// Makes a directory just created forget what its parent's default ACL gave it.
pub(crate) fn forget_inheritance(fd: &OwnedFd) -> Causes {
    let mut causes = Causes::new();
    let nothing = Meta::default();
    drop_inherited(fd, &nothing, DEFAULT_ACL, &mut causes);
    drop_inherited(fd, &nothing, ACCESS_ACL, &mut causes);
    note(&mut causes, "mode", fchmod(fd, Mode::from_raw_mode(UNFINISHED_DIRECTORY)));
    causes
}

/// Whether entries made in this directory inherit an ACL from it.
pub(crate) fn bequeaths_acl(fd: &OwnedFd) -> bool {
    matches!(rustix::fs::fgetxattr(fd, DEFAULT_ACL, &mut [0u8; 4][..]), Ok(_) | Err(Errno::RANGE))
}

/// The recorded modification time; the access time is left to the system.
pub(crate) fn times(meta: &Meta) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: meta.mtime.0, tv_nsec: meta.mtime.1.into() },
    }
}

/// The recorded mode. What could not be given to its owner must not run with the rights of another.
pub(crate) fn mode(meta: &Meta, owned: bool) -> Mode {
    Mode::from_raw_mode(if owned { meta.mode & 0o7777 } else { meta.mode & 0o1777 })
}

/// Owner and group for a chown call; `None` for the one value that means "leave it".
pub(crate) fn ids(meta: &Meta) -> (Option<Uid>, Option<Gid>) {
    let known = |id: u32| (id != u32::MAX).then_some(id);
    (known(meta.uid).map(Uid::from_raw), known(meta.gid).map(Gid::from_raw))
}

pub(crate) fn note(causes: &mut Causes, what: &str, result: Result<(), Errno>) -> bool {
    if let Err(error) = result {
        causes.push(format!("{what}: {}", crate::source::cause(&error.into())));
    }
    result.is_ok()
}

fn owner(fd: &OwnedFd, meta: &Meta, writer: Writer, causes: &mut Causes) -> bool {
    let (uid, gid) = ids(meta);
    let mut result = fchown(fd, uid, gid);
    if result == Err(Errno::PERM) {
        // Without privilege a group of ours can still be given.
        let group = fchown(fd, None, gid);
        if meta.uid == writer.uid {
            result = group;
        }
    }
    note(causes, &format!("owner {}:{}", meta.uid, meta.gid), result)
}

fn set_attributes(fd: &OwnedFd, meta: &Meta, causes: &mut Causes) {
    for (name, value) in &meta.xattrs {
        let result = fsetxattr(fd, name.as_slice(), value, XattrFlags::empty());
        if result.is_err() {
            note(causes, &format!("extended attribute `{}`", String::from_utf8_lossy(name).escape_debug()), result);
        }
    }
}

pub(crate) fn has(meta: &Meta, name: &[u8]) -> bool {
    meta.xattrs.iter().any(|(have, _)| have == name)
}

fn drop_inherited(fd: &OwnedFd, meta: &Meta, name: &CStr, causes: &mut Causes) {
    if has(meta, name.to_bytes()) {
        return;
    }
    match fremovexattr(fd, name) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
        Err(error) => {
            note(causes, "inherited ACL", Err(error));
        }
    }
}

fn remove_surplus(fd: &OwnedFd, meta: &Meta, causes: &mut Causes) {
    let mut list = Vec::new();
    let Ok(len @ 1..) = rustix::fs::flistxattr_query(fd) else { return };
    list.resize(len + 256, 0);
    let Ok(len) = flistxattr(fd, &mut list[..]) else { return };
    for name in list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Labels of a security module belong to the system that set them.
        let ours = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
        if ours && !has(meta, name) {
            match fremovexattr(fd, name) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(error) => {
                    note(causes, "surplus extended attribute", Err(error));
                }
            }
        }
    }
}
