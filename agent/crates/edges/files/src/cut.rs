//! How a file's contents are best cut: whether it is written in place, as disk images and databases are.
//!
//! Names decide first. Contents are looked at only where the answer matters and the look is rare compared with the
//! bytes: large files, and middle-sized ones whose name allows a database. Formats that are compressed as a whole
//! are not looked at, for they are never written in place and there may be very many of them.

use std::os::fd::AsFd;

use backstop_model::tree::Cut;
use globset::{Candidate, GlobSet};
use rustix::io::pread;

use crate::directory::open_file;

const IMAGES: [&[u8]; 7] = [b"img", b"raw", b"qcow2", b"vmdk", b"vdi", b"vhd", b"vhdx"];
const DATABASES: [&[u8]; 6] = [b"db", b"db3", b"sqlite", b"sqlite3", b"s3db", b"sqlitedb"];
const COMPRESSED: [&[u8]; 24] = [
    b"7z", b"avi", b"bz2", b"flac", b"gz", b"heic", b"jpeg", b"jpg", b"lz4", b"m4a", b"m4v", b"mkv", b"mov", b"mp3",
    b"mp4", b"ogg", b"pdf", b"png", b"rar", b"webm", b"xz", b"zip", b"zst", b"deb",
];

/// From this size on any file may be a disk image.
const IMAGE_MIN: u64 = 64 << 20;
/// From this size on fixed blocks pay for a database.
const DATABASE_MIN: u64 = 1 << 20;

/// Decides for the file `name` of `dir`, which may be opened for it. Doubt and errors mean `Content`.
pub(crate) fn choose(images: &GlobSet, dir: impl AsFd, name: &[u8], size: u64) -> Cut {
    let extension = extension(name);
    let is = |list: &[&[u8]]| extension.is_some_and(|have| list.iter().any(|want| want.eq_ignore_ascii_case(have)));
    if is(&IMAGES) || !images.is_empty() && images.is_match_candidate(&Candidate::from_bytes(name)) {
        return Cut::Blocks;
    }
    let worth_a_look = match size {
        IMAGE_MIN.. => !is(&COMPRESSED),
        DATABASE_MIN.. => extension.is_none() || is(&DATABASES),
        _ => false,
    };
    if worth_a_look && head(dir, name).is_some_and(|head| written_in_place(&head)) {
        return Cut::Blocks;
    }
    Cut::Content
}

fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    (dot > 0).then(|| &name[dot + 1..])
}

fn head(dir: impl AsFd, name: &[u8]) -> Option<[u8; 2048]> {
    let fd = open_file(dir, name).ok()?;
    let mut head = [0; 2048];
    pread(&fd, &mut head[..], 0).ok()?;
    Some(head)
}

fn written_in_place(head: &[u8; 2048]) -> bool {
    const AT_START: [&[u8]; 6] = [b"SQLite format 3\0", b"QFI\xfb", b"XFSB", b"KDMV", b"vhdxfile", b"<<< "];
    let ext_superblock = head[1080..1082] == [0x53, 0xef];
    let partition_table = head[512..520] == *b"EFI PART";
    // Two signature bytes alone are too easily met by chance: the four partitions' boot flags must be plausible too.
    let boot_record = head[510..512] == [0x55, 0xaa] && (0..4).all(|entry| head[446 + 16 * entry] & 0x7f == 0);
    AT_START.iter().any(|magic| head.starts_with(magic)) || ext_superblock || partition_table || boot_record
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::exclude::name_globs;

    fn cut(name: &str, size: u64, magic: (&[u8], u64)) -> Cut {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join(name)).unwrap();
        file.write_all_at(magic.0, magic.1).unwrap();
        file.set_len(size).unwrap();
        let images = name_globs(&["*.ibd".to_owned()]).unwrap();
        choose(&images, File::open(dir.path()).unwrap(), name.as_bytes(), size)
    }

    #[test]
    fn names_of_images_decide_without_a_look() {
        assert_eq!(cut("disk.QCOW2", 1, (b"", 0)), Cut::Blocks);
        assert_eq!(cut("table.ibd", 1, (b"", 0)), Cut::Blocks);
        assert_eq!(cut("text.txt", 1, (b"", 0)), Cut::Content);
    }

    #[test]
    fn large_files_are_recognised_by_their_head() {
        assert_eq!(cut("disk", IMAGE_MIN, (&[0x55, 0xaa], 510)), Cut::Blocks);
        assert_eq!(cut("disk", IMAGE_MIN, (b"EFI PART", 512)), Cut::Blocks);
        assert_eq!(cut("disk", IMAGE_MIN, (&[0x53, 0xef], 1080)), Cut::Blocks);
        assert_eq!(cut("disk.bin", IMAGE_MIN, (b"QFI\xfb", 0)), Cut::Blocks);
        assert_eq!(cut("disk.bin", IMAGE_MIN - 1, (b"EFI PART", 512)), Cut::Content);
        assert_eq!(cut("plain", IMAGE_MIN, (b"hello", 0)), Cut::Content);
        assert_eq!(cut("film.mkv", IMAGE_MIN, (b"EFI PART", 512)), Cut::Content);
    }

    #[test]
    fn a_boot_signature_alone_is_not_enough() {
        let mut sector = [0x41; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(cut("noise", IMAGE_MIN, (&sector, 0)), Cut::Content);
    }

    #[test]
    fn middle_sized_databases_are_recognised_where_the_name_allows_one() {
        assert_eq!(cut("History", DATABASE_MIN, (b"SQLite format 3\0", 0)), Cut::Blocks);
        assert_eq!(cut("app.db", DATABASE_MIN, (b"SQLite format 3\0", 0)), Cut::Blocks);
        assert_eq!(cut("app.db", DATABASE_MIN - 1, (b"SQLite format 3\0", 0)), Cut::Content);
        assert_eq!(cut("app.txt", DATABASE_MIN, (b"SQLite format 3\0", 0)), Cut::Content);
    }
}
