//! Symbolic links, pipes and device nodes: entries that are made but not opened for writing.

use std::io;
use std::os::fd::AsRawFd;

use backstop_model::tree::{Node, NodeKind};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, chmodat, chownat, fstat, makedev, mknodat, openat, removexattr,
    setxattr, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::shelf::Shelved;
use crate::stamp::{ACCESS_ACL, Causes, UNFINISHED_FILE, Writer, has, ids, mode, note, times};

/// Makes the entry, without its metadata.
pub(crate) fn make(directory: &Shelved, name: &[u8], kind: &NodeKind) -> Result<(), Errno> {
    let node = |kind, device| mknodat(&directory.fd, name, kind, Mode::from_raw_mode(UNFINISHED_FILE), device);
    match kind {
        NodeKind::Symlink { target } => symlinkat(target.as_slice(), &directory.fd, name),
        NodeKind::Fifo => node(FileType::Fifo, 0),
        NodeKind::BlockDevice { major, minor } => node(FileType::BlockDevice, makedev(*major, *minor)),
        NodeKind::CharDevice { major, minor } => node(FileType::CharacterDevice, makedev(*major, *minor)),
        NodeKind::Directory | NodeKind::File { .. } => Err(Errno::INVAL),
    }
}

/// Applies the metadata to what was just made.
///
/// The entry is held by a descriptor and its kind checked, so that owner and mode cannot be led to another file by
/// somebody who replaces it meanwhile.
pub(crate) fn stamp(directory: &Shelved, name: &[u8], node: &Node, writer: Writer) -> io::Result<Causes> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(&directory.fd, name, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    let is_link = matches!(node.kind, NodeKind::Symlink { .. });
    let wanted = match node.kind {
        NodeKind::Symlink { .. } => FileType::Symlink,
        NodeKind::Fifo => FileType::Fifo,
        NodeKind::BlockDevice { .. } => FileType::BlockDevice,
        NodeKind::CharDevice { .. } => FileType::CharacterDevice,
        NodeKind::Directory => FileType::Directory,
        NodeKind::File { .. } => FileType::RegularFile,
    };
    if FileType::from_raw_mode(stat.st_mode) != wanted {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it was replaced while it was made"));
    }

    let mut causes = Causes::new();
    let meta = &node.meta;
    let mut owned = (stat.st_uid, stat.st_gid) == (meta.uid, meta.gid);
    if !owned {
        let (uid, gid) = ids(meta);
        let mut result = chownat(&fd, c"", uid, gid, AtFlags::EMPTY_PATH);
        if result == Err(Errno::PERM) {
            let group = chownat(&fd, c"", None, gid, AtFlags::EMPTY_PATH);
            if meta.uid == writer.uid {
                result = group;
            }
        }
        owned = note(&mut causes, &format!("owner {}:{}", meta.uid, meta.gid), result);
    }
    let by_descriptor = format!("/proc/self/fd/{}", fd.as_raw_fd());
    if !directory.plain && !is_link && !has(meta, ACCESS_ACL.to_bytes()) {
        match removexattr(&by_descriptor, ACCESS_ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => {
                note(&mut causes, "inherited ACL", Err(error));
            }
        }
    }
    for (name, value) in &meta.xattrs {
        let what = format!("extended attribute `{}`", String::from_utf8_lossy(name).escape_debug());
        note(&mut causes, &what, setxattr(&by_descriptor, name.as_slice(), value, XattrFlags::empty()));
    }
    let touched = utimensat(&directory.fd, name, &times(meta), AtFlags::SYMLINK_NOFOLLOW);
    note(&mut causes, "times", touched);
    if !is_link {
        note(&mut causes, "mode", chmodat(CWD, &by_descriptor, mode(meta, owned), AtFlags::empty()));
    }
    Ok(causes)
}
