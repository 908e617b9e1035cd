//! Damaged vaults: each kind of damage has its own clear error, names what it touches, and leaves the rest readable.

use std::path::PathBuf;

use backstop_tests::{Site, facts};

use crate::vaults::walk;

/// Bytes that do not compress, different for each seed.
fn noise(seed: u32, len: u32) -> Vec<u8> {
    (0..len / 32).flat_map(|n| *blake3::hash(&[seed.to_le_bytes(), n.to_le_bytes()].concat()).as_bytes()).collect()
}

/// Two workloads whose bytes stand in different packs, and the packs only the first one needs.
fn two_workloads() -> (Site, String, String, Vec<PathBuf>) {
    let site = Site::new();
    site.write("srv/docs/noise", noise(1, 6_000_000));
    let docs = site.backup();
    let packs = walk(&site.path("vault/packs"));
    site.add_workload("other", "");
    site.write("srv/other/noise", noise(2, 2_000_000));
    let other = site.backup_of("other");
    (site, docs, other, packs)
}

/// The largest of these files: it holds data, not only lists.
fn largest(paths: &[PathBuf]) -> PathBuf {
    paths.iter().max_by_key(|path| std::fs::metadata(path).expect("a file").len()).expect("some").clone()
}

fn writable(path: &PathBuf) -> std::fs::File {
    backstop_tests::machine::call("chmod", &[&"600", path]);
    std::fs::OpenOptions::new().read(true).write(true).open(path).expect("a file of the vault")
}

/// The checks of one backup fail and say so; the other backup is proved and restores.
fn affects_only_docs(site: &Site, docs: &str, other: &str, level: &str) {
    let failed = site.run(&["backup", "verify", docs, "--level", level]);
    assert_eq!(failed.code, 4, "{failed}");
    let all = site.run(&["backup", "verify-all", "--again", "--level", level]);
    assert_eq!(all.code, 4, "{all}");
    assert!(all.text().contains(docs) || all.err.contains(docs), "it names the backup: {all}");
    let shown = site.json(&["backup", "show", docs]);
    assert_eq!(shown["backup"]["copies"][0]["damaged"], true, "{shown}");
    let sound = site.json(&["backup", "show", other]);
    assert_eq!(sound["backup"]["copies"][0]["damaged"], false, "{sound}");
    let report = site.ok(&["backup", "verification-report"]).text();
    assert!(report.contains(docs), "{report}");
    site.ok(&["backup", "verify", other, "--level", "L3"]);
    let to = site.text("other-out");
    site.ok(&["backup", "restore", "other", "--to", &to]);
    let out = site.path("other-out").join(site.path("srv/other").strip_prefix("/").expect("absolute"));
    facts::assert_same(&facts::of(&site.path("srv/other")), &facts::of(&out), "the backup that is not touched");
}

#[test]
fn a_flipped_bit_is_found_and_touches_only_its_backups() {
    use std::os::unix::fs::FileExt;
    let (site, docs, other, packs) = two_workloads();
    let pack = largest(&packs);
    let file = writable(&pack);
    let middle = file.metadata().expect("its size").len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], middle).expect("flipped");
    affects_only_docs(&site, &docs, &other, "L1");
    let to = site.text("out");
    let restored = site.run(&["backup", "restore", "docs", "--backup", &docs, "--to", &to]);
    assert!(
        restored.code == 3 && restored.text().contains("docs/noise"),
        "a restore never passes damage off as success: {restored}"
    );
    let torn = site.tree_below("out").join("noise");
    if let Ok(bytes) = std::fs::read(torn) {
        assert!(bytes != std::fs::read(site.path("srv/docs/noise")).expect("read"), "it cannot be whole");
    }
    assert_eq!(std::fs::read(site.tree_below("out").join("readme.txt")).ok().as_deref(), Some(&b"read me\n"[..]));
}

#[test]
fn a_truncated_pack_is_found_and_touches_only_its_backups() {
    let (site, docs, other, packs) = two_workloads();
    let file = writable(&largest(&packs));
    file.set_len(file.metadata().expect("its size").len() - 100).expect("cut");
    affects_only_docs(&site, &docs, &other, "L0");
}

#[test]
fn a_missing_pack_is_found_and_touches_only_its_backups() {
    let (site, docs, other, packs) = two_workloads();
    std::fs::remove_file(largest(&packs)).expect("removed");
    affects_only_docs(&site, &docs, &other, "L0");
}

/// A sound copy elsewhere stands in for a damaged one, and a new copy heals it.
#[test]
fn a_damaged_home_is_passed_over_for_a_sound_copy() {
    let site = Site::new();
    site.write("srv/docs/noise", noise(3, 300_000));
    let before = facts::of(&site.tree());
    let name = site.backup();
    site.ok(&["backup", "replicate-all"]);
    std::fs::remove_file(largest(&walk(&site.path("vault/packs")))).expect("removed");
    site.run(&["backup", "verify-all"]).expect(4).says(&["error:"]);
    let out = site.restored(&name, &[]);
    facts::assert_same(&before, &facts::of(&out), "restored without naming a place");
    site.ok(&["dr", "test", "docs"]);
}

/// Objects of somebody else in a vault are left alone and disturb nothing.
#[test]
fn foreign_objects_in_a_vault_disturb_nothing_and_stay() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let name = site.backup();
    let foreign = ["vault/notes.txt", "vault/packs/zz.tmp", "vault/lost+found/a"];
    for path in foreign {
        site.write(path, "foreign");
    }
    site.ok(&["backup", "verify", &name, "--level", "L3"]);
    site.write("srv/docs/more", "more");
    site.backup();
    site.ok(&["vault", "prune", "--at-once", "--yes"]);
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "beside foreign objects");
    for path in foreign {
        assert!(site.path(path).exists(), "{path} was removed");
    }
    // What might be a snapshot or an index stops a prune, for it might say what is needed; nothing else.
    for path in ["index/x", "snapshots/x"] {
        site.write(&format!("vault/{path}"), "foreign");
        let stopped = site.run(&["vault", "prune", "main"]);
        assert!(stopped.code != 0 && stopped.err.contains(path), "{stopped}");
        site.backup();
        facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), path);
        std::fs::remove_file(site.path(format!("vault/{path}"))).expect("removed");
    }
}

/// A vault of a newer format is not opened, and said to be just that.
#[test]
fn a_vault_of_a_newer_format_is_refused_as_such() {
    let site = Site::new();
    site.backup();
    let config = site.path("vault/config");
    // The format's number stands in the clear, so that a reader of any age can tell.
    let text = std::fs::read_to_string(&config).expect("the vault's config");
    assert!(text.contains("\"backstop_vault\":1"), "{text}");
    backstop_tests::machine::call("chmod", &[&"600", &config]);
    std::fs::write(&config, text.replace("\"backstop_vault\":1", "\"backstop_vault\":2")).expect("written");
    let vault = facts::of(&site.path("vault"));
    let refused = site.run(&["backup", "trigger", "docs"]);
    assert!(refused.code != 0, "{refused}");
    refused.says(&["format 2", "formats up to 1", "hint:"]);
    facts::assert_same(&vault, &facts::of(&site.path("vault")), "the vault");
}

/// A catalog that is damaged is said to be; made anew, everything restores.
#[test]
fn a_damaged_catalog_is_told_and_can_be_made_anew() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let name = site.backup();
    for entry in std::fs::read_dir(site.path("state")).expect("the state") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::write(&path, vec![0xa5; 20_000]).expect("overwritten");
        }
    }
    let told = site.run(&["backup", "list"]);
    assert!(told.code != 0 && told.err.contains("error:") && told.err.contains("hint:"), "{told}");
    site.run(&["doctor"]).expect(4);
    std::fs::remove_dir_all(site.path("state")).expect("put aside");
    site.ok(&["catalog", "rebuild"]);
    facts::assert_same(&before, &facts::of(&site.restored(&name, &[])), "after the catalog was made anew");
}
