//! Ways to restored systems: a tree is shown as its backup knew it, and what a system has not is not available.

use std::time::Duration;

use backstop_model::policy::health::Restored;

use crate::reach::{FileKind, READ_MAX, Reach, ReachFailure, ReachFailureKind, Reaches};

const LONG: Duration = Duration::from_secs(10);

fn kind<T: std::fmt::Debug>(what: &str, answer: Result<T, ReachFailure>) -> ReachFailureKind {
    let failure = answer.expect_err(what);
    assert!(!failure.message.is_empty() && !failure.message.contains('\n'), "{what}: {failure:?}");
    failure.kind
}

/// A system of which nothing is known has nothing.
///
/// # Panics
/// When it seems to have something.
pub fn nothing(reaches: &dyn Reaches) {
    let reach = reaches.reach(&Restored::default());
    let wanted = ReachFailureKind::NotAvailable;
    assert_eq!(kind("tcp", reach.tcp(22, b"", 0, LONG)), wanted);
    assert_eq!(kind("http", reach.http(80, "/", &[], LONG)), wanted);
    assert_eq!(kind("run", reach.run(&["true".to_owned()], LONG)), wanted);
    assert_eq!(kind("stat", reach.stat("/")), wanted);
    assert_eq!(kind("read", reach.read("/etc/passwd", 0, 1)), wanted);
    assert_eq!(kind("entries", reach.entries("/")), wanted);
    assert_eq!(kind("serial log", reach.serial_log(1)), wanted);
}

/// A tree that stands for `/srv/docs` of its backup and holds
///
/// - `plan.txt`: `hello, world\n`, mode 0640, changed at 1,600,000,000; `empty`: nothing; `large`: two megabytes of `x`;
/// - `sub`, a directory with `inner.txt` (`inner\n`);
/// - `pipe`, a named pipe nobody writes to;
/// - `out`, a link to `/`; `up`, a link to `..`; `alias`, a link to `plan.txt`; `dir`, a link to `sub`.
///
/// # Panics
/// When something is shown that is not in the tree, or something in it is not shown as it is.
pub fn tree(reach: &dyn Reach) {
    let (invalid, unreachable) = (ReachFailureKind::Invalid, ReachFailureKind::Unreachable);

    let names = ["alias", "dir", "empty", "large", "out", "pipe", "plan.txt", "sub", "up"];
    assert_eq!(reach.entries("/srv/docs").expect("the top"), names);
    assert_eq!(reach.entries("/srv//docs/./sub/").expect("a directory"), ["inner.txt"]);
    for path in ["/srv/docs/plan.txt", "/srv/docs/pipe", "/srv/docs/dir", "/srv/docs/out"] {
        assert_eq!(kind(path, reach.entries(path)), invalid, "{path}");
    }
    assert_eq!(kind("none", reach.entries("/srv/docs/none")), unreachable);

    let facts = reach.stat("/srv/docs/plan.txt").expect("told").expect("there");
    assert_eq!((facts.kind, facts.size, facts.modified, facts.mode), (FileKind::File, 13, 1_600_000_000, 0o640));
    for (name, wanted) in [
        ("", Some(FileKind::Directory)),
        ("sub", Some(FileKind::Directory)),
        ("sub/inner.txt", Some(FileKind::File)),
        ("alias", Some(FileKind::Link)),
        ("out", Some(FileKind::Link)),
        ("pipe", Some(FileKind::Other)),
        ("none", None),
        ("none/deeper", None),
        ("plan.txt/deeper", None),
    ] {
        let facts = reach.stat(&format!("/srv/docs/{name}")).expect(name);
        assert_eq!(facts.map(|facts| facts.kind), wanted, "{name}");
    }
    for path in ["/", "/srv", "/srv/doc", "/srv/docsx", "/etc/passwd"] {
        assert_eq!(reach.stat(path).expect(path), None, "{path} is not part of what was restored");
        assert_eq!(kind(path, reach.read(path, 0, 1)), unreachable);
    }

    assert_eq!(reach.read("/srv/docs/plan.txt", 0, 100).expect("read"), b"hello, world\n");
    assert_eq!(reach.read("/srv/docs/plan.txt", 7, 5).expect("read"), b"world");
    for offset in [13, 14, u64::MAX] {
        assert_eq!(reach.read("/srv/docs/plan.txt", offset, 5).expect("read"), b"", "at {offset}");
    }
    assert_eq!(reach.read("/srv/docs/empty", 0, 5).expect("read"), b"");
    let large = reach.read("/srv/docs/large", 1, u32::MAX).expect("read");
    assert!(large.len() == READ_MAX as usize && large.iter().all(|byte| *byte == b'x'), "{}", large.len());
    for name in ["sub", "pipe", "alias", "out/etc/passwd", "up/other", "dir/inner.txt"] {
        let path = format!("/srv/docs/{name}");
        assert_eq!(kind(&path, reach.read(&path, 0, 1)), invalid, "{path}");
    }
    assert_eq!(kind("none", reach.read("/srv/docs/none", 0, 1)), unreachable);

    for path in ["", "plan.txt", "srv/docs/plan.txt", "/srv/docs/../docs/plan.txt", "/srv/docs/..", "/srv/docs/a\0b"] {
        assert_eq!(kind(path, reach.stat(path)), invalid, "{path:?}");
        assert_eq!(kind(path, reach.read(path, 0, 1)), invalid, "{path:?}");
        assert_eq!(kind(path, reach.entries(path)), invalid, "{path:?}");
    }
}
