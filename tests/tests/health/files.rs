//! `files-fresh` before a real directory, restored to another place than it was backed up from.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use backstop_model::policy::health::{Restored, RestoredTree};

use super::kit::said;

const HOUR: Duration = Duration::from_secs(3_600);

fn write(path: &Path, text: &str, age: Duration) {
    fs::write(path, text).expect("written");
    File::open(path).expect("there").set_modified(SystemTime::now() - age).expect("set");
}

fn asked(dir: &Path, settings: &str) -> String {
    let tree = Some(RestoredTree { dir: dir.to_owned(), strip: PathBuf::from("/srv/app") });
    said("files-fresh", &Restored { tree, ..Restored::default() }, &["file".to_owned()], settings)
}

#[test]
fn dumps_are_healthy_while_they_are_fresh_and_large_enough() {
    let dir = tempfile::tempdir().expect("made");
    fs::create_dir(dir.path().join("db")).expect("made");
    write(&dir.path().join("db/monday.dump"), &"x".repeat(600), HOUR * 30);
    write(&dir.path().join("db/tuesday.dump"), &"x".repeat(500), HOUR * 6 + HOUR / 2);
    write(&dir.path().join("db/notes.txt"), "young, and no dump", Duration::ZERO);
    let wanted = r#"path = "/srv/app/db", pattern = "*.dump", max_age_hours = 26, min_bytes = 1000, min_count = 2"#;
    assert_eq!(
        asked(dir.path(), wanted),
        "healthy\n+ /srv/app/db: 2 files fit `*.dump`\n+ /srv/app/db: 1100 bytes, 1000 wanted\n\
         + /srv/app/db: the newest, /srv/app/db/tuesday.dump, was 6 h old when the backup was made"
    );

    // The dump stopped: what is left is old, and less.
    fs::remove_file(dir.path().join("db/tuesday.dump")).expect("removed");
    assert_eq!(
        asked(dir.path(), wanted),
        "unhealthy\n- /srv/app/db: 1 files fit `*.dump`\n- /srv/app/db: 600 bytes, 1000 wanted\n\
         - /srv/app/db: the newest, /srv/app/db/monday.dump, was 30 h old when the backup was made"
    );

    // A link to a fresh file elsewhere is no dump.
    write(&dir.path().join("fresh"), "x", Duration::ZERO);
    symlink("../fresh", dir.path().join("db/latest.dump")).expect("linked");
    let linked = asked(dir.path(), wanted);
    assert!(linked.contains("- /srv/app/db: 1 files fit `*.dump`"), "{linked}");
}

#[test]
fn what_did_not_come_back_is_missed() {
    let dir = tempfile::tempdir().expect("made");
    assert_eq!(asked(dir.path(), ""), "unhealthy\n- /srv/app: 0 files fit `*`", "the paths of the workload by default");
    let lost = asked(dir.path(), r#"path = "/srv/app/db""#);
    assert_eq!(lost, "unhealthy\n- /srv/app/db: nothing stands there");
    // Outside of what was restored there is nothing either, whatever stands there on this machine.
    assert_eq!(asked(dir.path(), r#"path = "/etc""#), "unhealthy\n- /etc: nothing stands there");
    let machine = said("files-fresh", &Restored::default(), &["file".to_owned()], "");
    assert_eq!(machine, "unknown\n- /srv/app: what was restored has no files that can be looked at");
}

#[test]
fn a_marker_says_whether_the_rest_is_good() {
    let dir = tempfile::tempdir().expect("made");
    write(&dir.path().join("state.json"), r#"{"result": {"state": "complete", "rows": 12}}"#, HOUR);
    write(&dir.path().join("dump.log"), "42 tables\ndump complete\n", HOUR);
    let json = |equals: &str| {
        format!(r#"json = {{ path = "/srv/app/state.json", pointer = "/result/state", equals = "{equals}" }}"#)
    };
    let text = |part: &str| format!(r#"marker = {{ path = "/srv/app/dump.log", contains = "{part}" }}"#);
    assert_eq!(
        asked(dir.path(), &format!("{}, {}", text("dump complete"), json("complete"))),
        "healthy\n+ /srv/app/dump.log: contains `dump complete`\n\
         + /srv/app/state.json: `/result/state` is `complete`, `complete` wanted"
    );
    assert_eq!(
        asked(dir.path(), &format!("{}, {}", text("dump failed"), json("partial"))),
        "unhealthy\n- /srv/app/dump.log: does not contain `dump failed`\n\
         - /srv/app/state.json: `/result/state` is `complete`, `partial` wanted"
    );
    write(&dir.path().join("state.json"), r#"{"result": {"sta"#, HOUR);
    assert_eq!(asked(dir.path(), &json("complete")), "unhealthy\n- /srv/app/state.json: is no JSON: line 1, column 16");
}
