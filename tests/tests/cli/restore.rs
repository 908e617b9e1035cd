//! Restores: where to, which parts, what happens to files that are there, in place and back.

use backstop_tests::{Site, facts};

/// Paths choose what is restored; nothing else appears.
#[test]
fn include_and_exclude_choose_what_is_restored() {
    let site = Site::new();
    site.write("srv/docs/keep/one.txt", "1");
    site.write("srv/docs/keep/one.tmp", "t");
    site.write("srv/docs/other/two.txt", "2");
    let name = site.backup();
    let tree = site.restored(&name, &["--include", &site.text("srv/docs/keep"), "--exclude", "*.tmp"]);
    assert!(tree.join("keep/one.txt").exists());
    for absent in ["keep/one.tmp", "other", "readme.txt"] {
        assert!(!tree.join(absent).exists(), "{absent}");
    }
    let one = site.restored(&name, &["--include", "two.txt"]);
    assert_eq!(std::fs::read(one.join("other/two.txt")).expect("restored"), b"2");
    assert!(!one.join("keep").exists());
}

/// Files that exist stay unless asked otherwise, and what was kept is said.
#[test]
fn files_that_are_there_stay_unless_overwrite_says_otherwise() {
    let site = Site::new();
    let name = site.backup();
    let tree = site.restored(&name, &[]);
    let to = site.text("out");
    let (older, newer) = (tree.join("readme.txt"), tree.join("deep/er/notes.md"));
    std::fs::write(&older, "mine, older\n").expect("written");
    std::fs::write(&newer, "mine, newer\n").expect("written");
    std::fs::remove_file(tree.join("deep/empty")).expect("removed");
    let touch = |path: &std::path::Path, when: &str| {
        backstop_tests::machine::call("touch", &[&"-d", &when, &path]);
    };
    touch(&older, "2001-01-01");
    touch(&newer, "2101-01-01");
    let restore = |rule: &[&str]| {
        let mut arguments = vec!["backup", "restore", "docs", "--backup", &name, "--to", &to];
        arguments.extend(rule);
        site.ok(&arguments)
    };
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file");
    let said = restore(&[]);
    assert!(said.text().contains("kept"), "{said}");
    assert_eq!((read(&older).as_str(), read(&newer).as_str()), ("mine, older\n", "mine, newer\n"));
    assert!(tree.join("deep/empty").exists(), "what is missing is restored");
    restore(&["--overwrite", "if-newer"]);
    assert_eq!((read(&older).as_str(), read(&newer).as_str()), ("read me\n", "mine, newer\n"));
    restore(&["--overwrite", "always"]);
    assert_eq!((read(&older).as_str(), read(&newer).as_str()), ("read me\n", "# notes\n"));
}

/// In place, the old tree is kept and comes back whole, including what is not in any backup.
#[test]
fn a_restore_in_place_can_be_undone_exactly() {
    let site = Site::new();
    let old = facts::of(&site.tree());
    let name = site.backup();
    site.write("srv/docs/readme.txt", "broken by somebody\n");
    site.write("srv/docs/never-backed-up", "precious\n");
    std::fs::remove_dir_all(site.path("srv/docs/deep")).expect("removed");
    let live = facts::of(&site.tree());

    site.fails(2, &["backup", "restore", "docs", "--backup", &name]);
    facts::assert_same(&live, &facts::of(&site.tree()), "asked without a terminal");
    site.ok(&["backup", "restore", "docs", "--backup", &name, "--dry-run"]);
    facts::assert_same(&live, &facts::of(&site.tree()), "a dry run");

    site.ok(&["backup", "restore", "docs", "--backup", &name, "--yes", "--reason", "it broke"]);
    facts::assert_same(&old, &facts::of(&site.tree()), "restored in place");
    site.ok(&["restore", "undo", "docs", "--yes"]);
    facts::assert_same(&live, &facts::of(&site.tree()), "undone");
    let audit = site.ok(&["audit", "show"]).text();
    assert!(audit.contains("it broke"), "{audit}");
}

/// A selection written into the live tree is preceded by a backup of it, so that nothing is lost.
#[test]
fn a_part_restored_in_place_is_preceded_by_a_safety_backup() {
    let site = Site::new();
    let name = site.backup();
    site.write("srv/docs/readme.txt", "newest words\n");
    site.write("srv/docs/deep/er/notes.md", "newest notes\n");
    let path = site.text("srv/docs/readme.txt");
    site.ok(&["backup", "restore", "docs", "--backup", &name, "--include", &path, "--overwrite", "always", "--yes"]);
    assert_eq!(std::fs::read(site.path("srv/docs/readme.txt")).expect("read"), b"read me\n");
    assert_eq!(std::fs::read(site.path("srv/docs/deep/er/notes.md")).expect("read"), b"newest notes\n");
    let names = site.names();
    assert_eq!(names.len(), 2, "{names:?}");
    let safety = names.iter().find(|other| **other != name).expect("a safety backup");
    assert_eq!(site.ok(&["backup", "cat", safety, &path]).out, b"newest words\n");
}

/// `--at` takes the newest backup that is not younger.
#[test]
fn a_time_chooses_the_state_of_that_time() {
    let mut site = Site::at("2031-05-01T00:00:00Z");
    for day in [1, 3, 5] {
        site.clock(&format!("2031-05-{day:02}T10:00:00Z"));
        site.write("srv/docs/day", day.to_string());
        site.backup();
    }
    let to = site.text("out");
    site.ok(&["backup", "restore", "docs", "--at", "2031-05-04", "--to", &to]);
    assert_eq!(std::fs::read(site.tree_below("out").join("day")).expect("restored"), b"3");
    site.fails(10, &["backup", "restore", "docs", "--at", "2031-04-30", "--to", &to]);
}

/// A destination must make sense; the vault and the backup's owner are checked before anything is written.
#[test]
fn destinations_and_names_that_make_no_sense_are_refused() {
    let site = Site::new();
    let name = site.backup();
    site.add_workload("other", "");
    let other = site.backup_of("other");
    site.fails(2, &["backup", "restore", "docs", "--backup", &name, "--to", "relative"]);
    assert!(!site.path("relative").exists());
    let to = site.text("out");
    site.fails(2, &["backup", "restore", "docs", "--backup", &other, "--to", &to]);
    site.fails(10, &["backup", "restore", "docs", "--backup", &name, "--from", "vault:offsite", "--to", &to]);
    let unanswered = site.run(&["backup", "restore", "docs", "--interactive", "--to", &to]).expect(2);
    assert!(unanswered.err.contains("] \nerror: no answer"), "the error has a line of its own: {unanswered}");
    unanswered.says(&["which one?", "error:"]);
    site.fails(10, &["restore", "undo", "docs", "--yes"]);
    assert!(!site.path("out").exists());
    let file = site.write("file", "x");
    let onto = site.run(&["backup", "restore", "docs", "--to", file.to_str().expect("UTF-8")]);
    assert!(onto.code != 0, "{onto}");
    assert_eq!(std::fs::read(&file).expect("read"), b"x");
}

#[test]
fn what_cannot_be_written_is_named_by_where_it_was_to_go() {
    let site = Site::new();
    let name = site.backup();
    let below = format!("out{}/srv/docs/readme.txt", site.root_text());
    site.write(&format!("{below}/in-the-way"), "x");
    let to = site.text("out");
    let answer = site.run(&["backup", "restore", "docs", "--backup", &name, "--to", &to, "--overwrite", "always"]);
    assert!(answer.code != 0, "{answer}");
    assert!(answer.text().contains(&site.text(&below)), "{answer}");
    assert!(site.tree_below("out").join("deep/er/notes.md").exists(), "the rest is restored");
}
