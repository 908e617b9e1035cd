//! A machine that does not cooperate: full disks, read-only places, clocks that jump.

use backstop_tests::machine::{Mounted, is_root, skipped};
use backstop_tests::{Site, facts};

fn noise(len: u32) -> Vec<u8> {
    (0..len / 32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect()
}

/// A vault on a full disk: the backup fails in words, earlier ones restore, and it works again when there is room.
#[test]
fn a_full_vault_fails_clearly_and_loses_nothing() {
    let site = Site::bare();
    let Some(_mounted) = Mounted::memory(&site.path("disk"), 2_000_000) else { return };
    site.edit(&site.text("vault"), &site.text("disk/vault"));
    site.make_vaults();
    let before = facts::of(&site.tree());
    let first = site.backup();
    site.write("srv/docs/large", noise(6_000_000));
    for _ in 0..2 {
        let full = site.run(&["backup", "trigger", "docs"]);
        assert!(full.code == 1 || full.code == 6, "{full}");
        full.says(&["full", "hint:"]);
    }
    assert_eq!(site.names(), std::slice::from_ref(&first));
    assert!(site.open_runs().is_empty(), "{:?}", site.open_runs());
    facts::assert_same(&before, &facts::of(&site.restored(&first, &[])), "from a full vault");
    std::fs::remove_file(site.path("srv/docs/large")).expect("removed");
    site.ok(&["vault", "prune", "main", "--at-once", "--yes"]);
    let second = site.backup();
    site.ok(&["backup", "verify", &second, "--level", "L3"]);
}

/// A restore onto a full disk fails in words; that says nothing about the copy, and with room it goes on.
#[test]
fn a_restore_onto_a_full_disk_fails_clearly_and_blames_no_copy() {
    let site = Site::new();
    site.write("srv/docs/large", noise(4_000_000));
    let name = site.backup();
    {
        let Some(_mounted) = Mounted::memory(&site.path("small"), 1_000_000) else { return };
        let full = site.run(&["backup", "restore", "docs", "--to", &site.text("small/out")]);
        assert!(full.code == 1 || full.code == 6, "{full}");
        full.says(&["full", "hint:"]);
        let Some(_mounted) = Mounted::memory(&site.path("state/staging"), 1_000_000) else { return };
        for verb in [&["backup", "verify", &name, "--level", "L3"][..], &["dr", "test", "docs"]] {
            let full = site.run(verb);
            assert!(full.code == 1 || full.code == 6, "{full}");
            full.says(&["full", "hint:"]);
            assert!(site.staging().is_empty(), "{:?}", site.staging());
        }
    }
    let shown = site.json(&["backup", "show", &name]);
    assert_eq!(shown["backup"]["copies"][0]["damaged"], false, "{shown}");
    site.ok(&["backup", "verify", &name, "--level", "L3"]);
    assert!(site.open_runs().is_empty());
}

/// A state directory on a full disk.
#[test]
fn a_full_state_directory_fails_clearly_and_loses_nothing() {
    let site = Site::bare();
    let Some(_mounted) = Mounted::memory(&site.path("state"), 1_000_000) else { return };
    site.make_vaults();
    let first = site.backup();
    let filler = site.path("state/filler");
    // Fills what is left to the last byte.
    let _ = std::fs::write(&filler, vec![1; 2_000_000]);
    let full = site.run(&["backup", "trigger", "docs"]);
    assert!(full.code != 0 && full.err.contains("error:"), "{full}");
    assert!(!full.err.contains("panicked"), "{full}");
    std::fs::remove_file(filler).expect("removed");
    assert!(site.names().contains(&first));
    let second = site.backup();
    site.restored(&second, &[]);
    site.restored(&first, &[]);
    assert_eq!(site.json(&["audit", "verify"])["whole"], true);
}

/// A state directory that cannot be written: every verb says so, nothing is half done.
#[test]
fn a_read_only_state_directory_is_told() {
    let site = Site::new();
    let name = site.backup();
    let vault = facts::of(&site.path("vault"));
    {
        let Some(_mounted) = Mounted::read_only(&site.path("state")) else { return };
        for verb in [&["backup", "trigger", "docs"][..], &["backup", "verify", &name], &["backup", "list"]] {
            let answer = site.fails(1, verb);
            answer.says(&["read-only", "state"]);
        }
        site.run(&["doctor"]).expect(4);
    }
    facts::assert_same(&vault, &facts::of(&site.path("vault")), "the vault");
    site.backup();
}

/// A vault that cannot be written still restores and verifies.
#[test]
fn a_read_only_vault_restores_and_verifies() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let name = site.backup();
    {
        let Some(_mounted) = Mounted::read_only(&site.path("vault")) else { return };
        facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "from a read-only vault");
        site.ok(&["backup", "verify", &name, "--level", "L3"]);
        let refused = site.run(&["backup", "trigger", "docs"]);
        assert!(refused.code != 0 && refused.err.contains("error:"), "{refused}");
    }
    site.backup();
    assert!(site.open_runs().is_empty());
}

/// A site that belongs to a user who is not root, and a program that runs as that user.
fn site_of_a_user() -> Site {
    let mut site = Site::bare();
    if is_root() {
        backstop_tests::machine::call("chown", &[&"-R", &"65534:65534", &site.path("")]);
        site.run_under(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    site.make_vaults();
    site
}

/// That the directories above belong to root, as `/home` does, takes nothing from a user's backups and restores.
#[test]
fn a_user_backs_up_and_restores_without_being_root() {
    let site = site_of_a_user();
    let before = facts::of(&site.tree());
    let name = site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    site.ok(&["dr", "test", "docs"]);
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "elsewhere");
    site.ok(&["backup", "restore", "docs", "--yes"]);
    facts::assert_same(&before, &facts::of(&site.tree()), "in place");
}

/// Somebody else's tree, read by a user who may not: what can be read is backed up, the run is partial.
#[test]
fn unreadable_files_make_a_backup_partial_and_are_named() {
    let site = site_of_a_user();
    let secret = site.write("srv/docs/secret.txt", "secret");
    let locked = site.path("srv/docs/locked");
    std::fs::create_dir(&locked).expect("made");
    std::fs::write(locked.join("inside"), "x").expect("written");
    for path in [&secret, &locked] {
        backstop_tests::machine::call("chmod", &[&"0", path]);
    }
    let answer = site.run(&["backup", "trigger", "docs"]);
    assert_eq!(answer.code, 3, "{answer}");
    let said = format!("{}{}", answer.text(), answer.err);
    assert!(said.contains("secret.txt") && said.contains("docs/locked"), "{answer}");
    let rows = site.json(&["backup", "list"]);
    assert_eq!(
        (&rows["backups"][0]["complete"], &rows["backups"][0]["troubles"]),
        (&false.into(), &2.into()),
        "{rows}"
    );
    let name = rows["backups"][0]["name"].as_str().expect("a name").to_owned();
    let to = site.text("out");
    let _ = site.run(&["backup", "restore", "docs", "--backup", &name, "--to", &to]);
    assert_eq!(std::fs::read(site.tree_below("out").join("readme.txt")).expect("restored"), b"read me\n");
    for path in [&secret, &locked] {
        backstop_tests::machine::call("chmod", &[&"755", path]);
    }
    site.backup();
}

/// A clock set back a year: backups go on, nothing is released on its word, and it is said.
#[test]
fn a_clock_set_back_a_year_still_backs_up_and_releases_nothing() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    let first = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    site.clock("2030-05-02T10:00:00Z");
    let early = site.backup();
    assert_eq!(site.names().len(), 3);
    site.restored(&early, &[]);
    site.fails(5, &["backup", "delete", &first, "--reason", "x", "--yes"]).says(&["future"]);
    let expired = site.run(&["backup", "delete", "--expired", "--reason", "x", "--yes"]);
    assert!(expired.code == 0 || expired.code == 5, "{expired}");
    site.ok(&["vault", "prune"]);
    assert_eq!(site.names().len(), 3);
    let doctor = site.run(&["doctor"]);
    assert!(doctor.text().contains("clock"), "{doctor}");
    site.clock("2031-05-03T10:00:00Z");
    site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    site.ok(&["backup", "delete", &first, "--reason", "x", "--yes"]);
    site.run(&["backup", "list"]).expect(0);
    site.set("BACKSTOP_CLOCK", "half past ten");
    site.fails(2, &["backup", "list"]).says(&["BACKSTOP_CLOCK"]);
}

/// What depends on root is shown on the machines that build this; here it is at least counted.
#[test]
fn tests_that_need_root_say_when_they_show_nothing() {
    if !is_root() {
        skipped("full disks and read-only mounts", "not run as root");
    }
}
