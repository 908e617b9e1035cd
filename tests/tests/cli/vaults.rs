//! Vaults: keys, index, pruning, copying all of one to another, and what happens when one is not there.

use backstop_tests::{Site, facts};
use serde_json::Value;

fn new_key(site: &Site, name: &str) -> String {
    let path = site.write(name, "");
    let random = std::fs::read("/proc/sys/kernel/random/uuid").expect("randomness");
    std::fs::write(&path, blake3::hash(&[random.as_slice(), name.as_bytes()].concat()).to_hex().as_bytes())
        .expect("a key");
    backstop_tests::machine::call("chmod", &[&"600", &path]);
    format!("file:{}", path.display())
}

fn labels(site: &Site) -> Vec<String> {
    let slots = site.json(&["vault", "key", "list", "main"]);
    let slots = slots["slots"].as_array().expect("slots").clone();
    slots.iter().map(|slot| slot["label"].as_str().expect("a label").to_owned()).collect()
}

/// A second key opens the vault, a removed one does not, and the last one stays.
#[test]
fn keys_are_added_rotated_and_removed_without_losing_a_backup() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let name = site.backup();
    let spare = new_key(&site, "keys/spare.key");
    site.ok(&["vault", "key", "add", "main", "--key", &spare, "--label", "spare"]);
    assert_eq!(labels(&site).len(), 2);
    site.fails(2, &["vault", "key", "add", "main", "--key", &spare, "--label", "spare"]);

    let first = site.text("keys/main.key");
    site.edit(&format!("file:{first}"), &spare);
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "opened with the spare key");

    let third = new_key(&site, "keys/third.key");
    site.ok(&["vault", "key", "rotate", "main", "--key", &third, "--label", "third"]);
    let old = site.run(&["backup", "restore", "docs", "--to", &site.text("none")]).expect(12);
    old.says(&["error:", "hint:"]);
    site.edit(&spare, &third);
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "opened with the rotated key");

    let others: Vec<String> = labels(&site).into_iter().filter(|label| label != "third").collect();
    site.fails(2, &["vault", "key", "remove", "main", &others[0], "--reason", "nobody was asked"]);
    for label in &others {
        site.ok(&["vault", "key", "remove", "main", label, "--reason", "retired", "--yes"]);
    }
    site.fails(5, &["vault", "key", "remove", "main", "third", "--reason", "x", "--yes"]);
    site.edit(&third, &format!("file:{first}"));
    site.fails(12, &["backup", "trigger", "docs"]);
    site.edit(&format!("file:{first}"), &third);
    site.ok(&["backup", "verify-all", "docs"]);
    let second = site.backup();
    facts::assert_same(&before, &facts::of(&site.restored(&second, &[])), "written after all of it");
}

/// The wrong key opens nothing and changes nothing.
#[test]
fn a_wrong_key_is_told_and_changes_nothing() {
    let site = Site::new();
    let name = site.backup();
    let vault = facts::of(&site.path("vault"));
    let wrong = new_key(&site, "keys/wrong.key");
    let right = format!("file:{}", site.text("keys/main.key"));
    site.edit(&right, &wrong);
    for verb in [&["backup", "trigger", "docs"][..], &["vault", "prune", "main"], &["vault", "rebuild-index", "main"]] {
        site.fails(12, verb).says(&["main", "hint:"]);
    }
    site.run(&["vault", "status", "main"]).expect(12);
    facts::assert_same(&vault, &facts::of(&site.path("vault")), "the vault");
    site.edit(&wrong, &right);
    site.restored(&name, &[]);
    assert!(site.open_runs().is_empty());
}

/// A lost index is written anew from the packs; until then nothing is made of thin air.
#[test]
fn a_lost_index_is_rebuilt_and_every_backup_restores() {
    let site = Site::new();
    site.write("srv/docs/large", (0..400_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let first_facts = facts::of(&site.tree());
    let first = site.backup();
    site.write("srv/docs/more", "more");
    let second = site.backup();
    std::fs::remove_dir_all(site.path("vault/index")).expect("the index is lost");
    let rebuilt = site.json(&["vault", "rebuild-index", "main"]);
    assert!(rebuilt["packs"].as_u64().expect("a count") >= 2, "{rebuilt}");
    facts::assert_same(&first_facts, &facts::of(&site.restored(&first, &[])), "after the index was rebuilt");
    site.ok(&["backup", "verify", &second, "--level", "L3"]);
    site.backup();
}

/// A vault that is not mounted is said to be missing; an empty one is never made in its place.
#[test]
fn a_vault_that_is_away_is_not_made_anew() {
    let site = Site::new();
    let name = site.backup();
    std::fs::rename(site.path("vault"), site.path("elsewhere")).expect("moved");
    for verb in [
        &["backup", "trigger", "docs"][..],
        &["backup", "verify", &name],
        &["backup", "restore", "docs", "--to", "/nonexistent/x"],
        &["backup", "replicate-all"],
        &["vault", "prune", "main"],
        &["vault", "rebuild-index", "main"],
        &["vault", "copy", "offsite", "main"],
        &["catalog", "rebuild"],
    ] {
        let answer = site.run(verb);
        assert_eq!(answer.code, 10, "{answer}");
        assert!(!site.path("vault").exists(), "{answer}");
    }
    site.run(&["vault", "status", "main"]).expect(10);
    assert_eq!(site.names(), std::slice::from_ref(&name), "the records stay");
    // An empty directory is what an unmounted disk leaves.
    std::fs::create_dir(site.path("vault")).expect("a mount point");
    let empty = site.run(&["backup", "trigger", "docs"]);
    assert!(empty.code != 0, "{empty}");
    assert_eq!(std::fs::read_dir(site.path("vault")).expect("there").count(), 0, "{empty}");
    std::fs::remove_dir(site.path("vault")).expect("unmade");
    std::fs::rename(site.path("elsewhere"), site.path("vault")).expect("mounted again");
    site.ok(&["backup", "verify", &name]);
    site.backup();
    assert!(site.open_runs().is_empty(), "{:?}", site.open_runs());
}

/// What exists is never made again over it.
#[test]
fn a_vault_is_made_once() {
    let site = Site::new();
    let name = site.backup();
    let vault = facts::of(&site.path("vault"));
    let again = site.run(&["vault", "init", "main", "--generate-key"]);
    assert!(again.code != 0, "{again}");
    facts::assert_same(&vault, &facts::of(&site.path("vault")), "the vault");
    site.restored(&name, &[]);
    site.fails(10, &["vault", "init", "third"]);
    site.write("foreign/file", "not a vault");
    site.edit(&site.text("offsite"), &site.text("foreign"));
    let foreign = site.run(&["vault", "init", "offsite"]);
    assert!(foreign.code != 0, "a directory that holds something else is no place for a vault: {foreign}");
    assert_eq!(std::fs::read_dir(site.path("foreign")).expect("there").count(), 1);
}

/// All snapshots of a vault go to another by one command; the second time costs nothing.
#[test]
fn a_vault_is_copied_whole_and_again_for_nothing() {
    let site = Site::new();
    let first_facts = facts::of(&site.tree());
    let first = site.backup();
    site.write("srv/docs/second", "2");
    site.backup();
    let copied = site.json(&["vault", "copy", "main", "offsite"]);
    assert_eq!((&copied["copied"], &copied["existed"]), (&2.into(), &0.into()), "{copied}");
    let again = site.json(&["vault", "copy", "main", "offsite"]);
    assert_eq!((&again["copied"], &again["existed"], &again["stored"]), (&0.into(), &2.into(), &0.into()), "{again}");
    std::fs::remove_dir_all(site.path("vault")).expect("home is gone");
    let tree = site.restored(&first, &["--from", "vault:offsite"]);
    facts::assert_same(&first_facts, &facts::of(&tree), "from the copied vault");
    site.fails(2, &["vault", "copy", "main", "main"]);
    site.fails(10, &["vault", "copy", "main", "third"]);
}

/// Space comes back after the window of the trash and the grace of packs, and only then.
#[test]
fn pruning_gives_space_back_after_trash_and_grace() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    let random: Vec<u8> = (0..60_000_u32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    site.write("srv/docs/random", &random);
    let old = site.backup();
    std::fs::remove_file(site.path("srv/docs/random")).expect("removed");
    site.clock("2031-05-02T10:00:00Z");
    let new = site.backup();
    site.ok(&["backup", "replicate", &new]);
    site.ok(&["backup", "verify", &new, "--level", "L3"]);
    let packs = site.path("vault/packs");
    let size = || walk(&packs).iter().map(|pack| std::fs::metadata(pack).expect("a pack").len()).sum::<u64>();
    assert!(size() > 1_900_000, "{}", size());
    site.ok(&["backup", "delete", &old, "--reason", "space", "--yes"]);
    site.ok(&["vault", "prune"]);
    assert!(size() > 1_900_000, "its window is not over");
    site.clock("2031-05-06T10:00:00Z");
    site.ok(&["vault", "prune"]);
    assert!(size() > 1_900_000, "marked first");
    site.clock("2031-05-08T10:00:00Z");
    site.ok(&["vault", "prune"]);
    assert!(size() < 200_000, "{}", size());
    site.ok(&["backup", "verify", &new, "--level", "L3"]);
}

/// `--at-once` does it in one go, and asks first.
#[test]
fn pruning_at_once_needs_a_yes_and_keeps_what_is_kept() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    let before = facts::of(&site.tree());
    let old = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    let new = site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    site.ok(&["backup", "delete", &old, "--reason", "space", "--yes"]);
    site.fails(2, &["vault", "prune", "--at-once"]);
    site.clock("2031-05-09T10:00:00Z");
    site.ok(&["vault", "prune", "--at-once", "--yes"]);
    facts::assert_same(&before, &facts::of(&site.restored(&new, &[])), "after pruning at once");
    let status: Value = site.json(&["vault", "status"]);
    assert!(status["vaults"].as_array().expect("vaults").iter().all(|vault| vault["fault"].is_null()), "{status}");
}

/// Every file below a directory.
pub fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_prune_removes_what_killed_writers_left_once_it_is_old() {
    let mut site = Site::new();
    site.backup();
    let old = site.write("vault/packs/ab#1", "half");
    let object = site.write("vault/packs/ab#1x", "not ours");
    site.ok(&["vault", "prune", "main"]);
    assert!(old.exists(), "somebody may still be writing it");
    site.clock("2099-01-01T00:00:00Z");
    site.ok(&["vault", "prune", "main"]);
    assert!(!old.exists() && object.exists());
    site.ok(&["backup", "restore", "docs", "--to", &site.text("out")]);
}
