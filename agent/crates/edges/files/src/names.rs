//! The names in a directory, sorted, in one buffer.

use std::ffi::CStr;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// Names of a directory, handed out in order of their bytes.
#[derive(Default)]
pub(crate) struct Names {
    /// Each name with its closing NUL.
    bytes: Arc<Vec<u8>>,
    /// In reverse order, so that the next one is taken from the end.
    left: Vec<Name>,
}

/// Where a name stands in the buffer of its directory.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// The first eight bytes as a number: most comparisons end here.
    lead: u64,
    start: usize,
    /// Without the NUL.
    len: usize,
    /// What the listing says it is; may be `Unknown`.
    pub(crate) kind: FileType,
}

impl Name {
    /// The name itself, in its directory's buffer.
    pub(crate) fn within<'b>(&self, buffer: &'b [u8]) -> &'b CStr {
        CStr::from_bytes_with_nul(&buffer[self.start..=self.start + self.len]).expect("ends in the only NUL")
    }
}

impl Names {
    /// Reads all names of an open directory; on failure those read so far, and the cause.
    pub(crate) fn read(dir: &OwnedFd, buffer: &mut Vec<u8>) -> (Self, Option<Errno>) {
        let mut bytes = Vec::new();
        let mut left = Vec::new();
        let mut failure = None;
        let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => {
                    let name = entry.file_name();
                    if name != c"." && name != c".." {
                        let start = bytes.len();
                        bytes.extend_from_slice(name.to_bytes_with_nul());
                        let len = name.to_bytes().len();
                        left.push(Name { lead: lead(name.to_bytes()), start, len, kind: entry.file_type() });
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let rest = |name: &Name| &bytes[name.start..name.start + name.len];
        left.sort_unstable_by(|a, b| b.lead.cmp(&a.lead).then_with(|| rest(b).cmp(rest(a))));
        (Self { bytes: Arc::new(bytes), left }, failure)
    }

    /// Takes the next name.
    pub(crate) fn next(&mut self) -> Option<Name> {
        self.left.pop()
    }

    /// The buffer all names stand in, see [`Name::within`].
    pub(crate) fn buffer(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.bytes)
    }

    pub(crate) fn contains(&self, wanted: &[u8]) -> bool {
        self.left.iter().any(|name| self.is(name, wanted))
    }

    pub(crate) fn keep_only(&mut self, wanted: &[u8]) {
        let mut left = std::mem::take(&mut self.left);
        left.retain(|name| self.is(name, wanted));
        self.left = left;
    }

    fn is(&self, name: &Name, wanted: &[u8]) -> bool {
        &self.bytes[name.start..name.start + name.len] == wanted
    }
}

fn lead(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = name.len().min(8);
    bytes[..len].copy_from_slice(&name[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn names_come_in_order_of_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut wanted = ["a", "a.b", "aaaaaaaab", "aaaaaaaaa", "aaaaaaaa", "B", "z", "ä", "\n"].map(str::as_bytes);
        for name in wanted {
            File::create(dir.path().join(std::str::from_utf8(name).unwrap())).unwrap();
        }
        wanted.sort_unstable();
        let fd = OwnedFd::from(File::open(dir.path()).unwrap());
        let (mut names, failure) = Names::read(&fd, &mut Vec::with_capacity(4096));
        assert!(failure.is_none());
        assert!(names.contains(b"a.b") && !names.contains(b"a."));
        let mut got = Vec::new();
        while let Some(name) = names.next() {
            got.push(name.within(&names.buffer()).to_bytes().to_vec());
        }
        assert_eq!(got, wanted);
    }
}
