//! The main job from end to end, as a user types it.

use backstop_tests::{Site, facts};
use serde_json::Value;

/// The level and word of the copy of a backup at a place.
fn standing(site: &Site, backup: &str, place: &str) -> (String, String) {
    let shown = site.json(&["backup", "show", backup]);
    let copies = shown["backup"]["copies"].as_array().expect("copies");
    let copy = copies.iter().find(|copy| copy["place"] == place).unwrap_or_else(|| panic!("no copy at {place}"));
    (copy["level"].as_str().unwrap_or("-").to_owned(), copy["word"].as_str().unwrap_or("-").to_owned())
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

/// Back up, copy, prove both copies, rehearse, restore from the copy when home is gone.
#[test]
fn what_is_backed_up_is_copied_proved_rehearsed_and_comes_back_without_home() {
    let site = Site::new();
    let before = facts::of(&site.tree());
    let name = site.backup();
    assert!(name.starts_with("docs-backup-") && name.len() <= 80, "{name}");
    assert_eq!(standing(&site, &name, "vault:main").0, "L0", "a backup is proved only by being checked");
    let copied = site.summaries(0, &["backup", "replicate-all"]);
    assert_eq!(copied[0]["outcome"], "done");
    assert_eq!(standing(&site, &name, "vault:offsite").0, "L0", "a copy inherits no proof");
    site.ok(&["backup", "verify-all", "--level", "L3"]);
    for place in ["vault:main", "vault:offsite"] {
        assert_eq!(standing(&site, &name, place), ("L3".into(), "consistent".into()), "{place}");
    }
    let tested = site.summaries(0, &["dr", "test", "docs", "--from", "vault:offsite"]);
    let test = &tested[0]["dr_test"];
    assert_eq!((&test["passed"], &test["place"]), (&true.into(), &"vault:offsite".into()), "{test}");
    assert!(site.staging().is_empty(), "{:?}", site.staging());

    std::fs::remove_dir_all(site.path("vault")).expect("home is gone");
    let out = site.restored(&name, &["--from", "vault:offsite"]);
    facts::assert_same(&before, &facts::of(&out), "restored from the copy");
}

/// An incremental backup reads and stores what changed, and restores alone.
#[test]
fn an_incremental_backup_reads_only_what_changed_and_each_backup_restores_alone() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    site.write("srv/docs/large", vec![7; 3_000_000]);
    let first_facts = facts::of(&site.tree());
    let first = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    site.write("srv/docs/added.txt", "added\n");
    site.write("srv/docs/readme.txt", "changed\n");
    std::fs::remove_file(site.path("srv/docs/deep/empty")).expect("removed");
    let second_facts = facts::of(&site.tree());
    let summary = &site.summaries(0, &["backup", "trigger", "docs"])[0];
    let made = &summary["steps"][0]["output"];
    assert_eq!(summary["backups"][0]["mode"], "incremental");
    assert_eq!(made["changed"], 2, "{made}");
    assert!(made["read"].as_u64().expect("bytes") < 1000, "{made}");
    let second = summary["backups"][0]["name"].as_str().expect("a name").to_owned();
    let full = &site.summaries(0, &["backup", "trigger", "docs", "--mode", "full"])[0];
    assert!(full["steps"][0]["output"]["read"].as_u64().expect("bytes") > 2_999_000, "{full}");
    let differential = &site.summaries(0, &["backup", "trigger", "docs", "--mode", "differential"])[0];
    assert_eq!(differential["backups"][0]["based_on"], full["backups"][0]["name"]);
    facts::assert_same(&first_facts, &facts::of(&site.restored(&first, &[])), "the first backup");
    facts::assert_same(&second_facts, &facts::of(&site.restored(&second, &[])), "the second backup");
}

/// The questions about contents agree with what was changed.
#[test]
fn contents_are_compared_found_printed_and_searched() {
    let site = Site::new();
    let first = site.backup();
    site.write("srv/docs/readme.txt", "read me again\n");
    site.write("srv/docs/new.txt", "new\n");
    std::fs::remove_file(site.path("srv/docs/deep/empty")).expect("removed");
    let second = site.backup();

    let diff = site.json(&["backup", "diff", &first, &second]);
    let counts = ["added", "removed", "modified"].map(|what| diff[what].as_u64().expect("a count"));
    assert_eq!(counts, [1, 1, 1], "{diff}");
    let paths: Vec<&str> = array(&diff["entries"]).iter().filter_map(|entry| entry["path"].as_str()).collect();
    assert!(paths.iter().any(|path| path.ends_with("srv/docs/new.txt")), "{paths:?}");

    let found = site.json(&["backup", "find", "new.txt"]);
    let versions = &array(&found["paths"])[0]["versions"];
    assert_eq!(versions[0]["backups"], serde_json::json!([second]), "{found}");
    assert_eq!(
        array(&site.json(&["backup", "find", "readme.txt"])["paths"])[0]["versions"].as_array().map(Vec::len),
        Some(2)
    );
    assert!(array(&site.json_with(10, &["backup", "find", "no-such-file"])["paths"]).is_empty());

    let path = site.text("srv/docs/readme.txt");
    assert_eq!(site.ok(&["backup", "cat", &first, &path]).out, b"read me\n");
    assert_eq!(site.ok(&["backup", "cat", &second, &path]).out, b"read me again\n");
    let absent = site.fails(10, &["backup", "cat", &second, &site.text("srv/docs/none")]);
    assert!(absent.out.is_empty());
    let directory = site.run(&["backup", "cat", &second, &site.text("srv/docs/deep")]);
    assert!(directory.code != 0 && directory.out.is_empty(), "{directory}");

    let shown = site.json(&["backup", "show", &second, "--contents"]);
    assert_eq!(shown["contents"]["files"], 3, "{shown}");
    for text in [second.as_str(), "docs", "doc"] {
        let hits = site.json(&["backup", "search", text]);
        assert!(array(&hits["backups"]).iter().any(|row| row["name"] == second.as_str()), "{text}: {hits}");
    }
    assert!(array(&site.json(&["backup", "search", "nothing-like-this"])["backups"]).is_empty());
}

/// Released backups go to the trash, come back, and are purged only when their window is over.
#[test]
fn a_released_backup_waits_in_the_trash_and_comes_back_until_its_window_ends() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    let old_facts = facts::of(&site.tree());
    let old = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    site.write("srv/docs/only-later", vec![9; 200_000]);
    let new = site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);

    site.fails(2, &["backup", "delete", &old, "--reason", "no terminal to ask"]);
    site.ok(&["backup", "delete", &old, "--reason", "shown only", "--dry-run"]);
    assert_eq!(site.names(), [new.clone(), old.clone()]);
    site.ok(&["backup", "delete", &old, "--reason", "not needed", "--yes"]);
    assert_eq!(site.names(), std::slice::from_ref(&new));
    let trash = site.json(&["backup", "list", "--trash"]);
    assert_eq!(trash["backups"][0]["name"], old.as_str());
    site.fails(10, &["backup", "delete", &old, "--reason", "again", "--yes"]);

    site.ok(&["backup", "undelete", &old]);
    assert_eq!(site.names(), [new.clone(), old.clone()]);
    facts::assert_same(&old_facts, &facts::of(&site.restored(&old, &[])), "an undeleted backup");

    site.ok(&["backup", "delete", &old, "--reason", "not needed", "--yes"]);
    site.clock("2031-05-04T10:00:00Z");
    site.ok(&["vault", "prune"]);
    site.ok(&["backup", "undelete", &old]);
    site.ok(&["backup", "delete", &old, "--reason", "not needed", "--yes"]);
    site.clock("2031-05-08T10:00:00Z");
    site.ok(&["vault", "prune"]);
    let late = site.run(&["backup", "undelete", &old]);
    assert!(late.code == 10 || late.code == 2, "its window is over: {late}");
    site.clock("2031-05-10T10:00:00Z");
    site.ok(&["vault", "prune"]);
    assert_eq!(site.names(), std::slice::from_ref(&new));
    site.ok(&["backup", "verify-all", "--again"]);
    assert_eq!(site.json(&["audit", "verify"])["whole"], true);
}

/// A hold keeps a backup whatever is asked for; the newest good one and the last copy stay as well.
#[test]
fn what_is_held_or_the_last_of_its_kind_is_not_released() {
    let mut site = Site::at("2031-05-01T10:00:00Z");
    let old = site.backup();
    site.clock("2031-05-02T10:00:00Z");
    let new = site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify-all"]);
    site.ok(&["backup", "hold", &old, "--reason", "a court asked for it"]);
    let refused = site.fails(5, &["backup", "delete", &old, "--reason", "x", "--yes"]);
    refused.says(&["held by", "a court asked for it", "hint:"]);
    assert_eq!(site.json(&["backup", "show", &old])["backup"]["hold"]["reason"], "a court asked for it");
    site.ok(&["backup", "release-hold", &old, "--reason", "the case is closed"]);
    site.fails(5, &["backup", "delete", &new, "--reason", "x", "--yes"]);
    site.ok(&["backup", "delete", &old, "--reason", "x", "--yes"]);
    assert_eq!(site.names(), [new]);
}

/// The agenda names what is due, does it, and then has nothing left; retention keeps what it promises.
#[test]
fn the_agenda_does_what_is_due_and_retention_over_a_month_keeps_what_it_promises() {
    let mut site = Site::at("2031-05-01T00:00:00Z");
    site.edit("keep = 7", "keep = 3");
    for day in [1, 2, 3, 4, 5, 6, 7, 8, 9] {
        site.clock(&format!("2031-05-{day:02}T12:00:00Z"));
        site.write("srv/docs/day.txt", format!("day {day}\n"));
        site.ok(&["agenda", "--run"]);
        // The delete firewall lets a third of the backups go per day at most, so a release may have to wait.
        let left = site.json(&["agenda"]);
        assert!(array(&left["due"]).iter().all(|due| due["verb"] == "release"), "day {day}: {left}");
    }
    let names = site.names();
    // Three days, both Sundays or first days of their weeks, one month.
    let listed = site.json(&["backup", "list"]);
    let daily = array(&listed["backups"]).iter().filter(|row| array(&row["tiers"]).iter().any(|tier| tier == "daily"));
    assert!((3..=7).contains(&names.len()), "{names:?}");
    assert!(daily.count() >= 3, "{listed}");
    assert!(names[0].contains("20310509"), "{names:?}");
    for name in &names {
        let tree = site.restored(name, &[]);
        let day = std::fs::read_to_string(tree.join("day.txt")).expect("restored");
        let stamp: String = name.chars().filter(char::is_ascii_digit).skip(6).take(2).collect();
        assert_eq!(day.trim(), format!("day {}", stamp.trim_start_matches('0')), "{name}");
    }
    assert!(site.open_runs().is_empty());
    assert_eq!(site.json(&["audit", "verify"])["whole"], true);
}

/// Everything but vaults and configuration is lost: the catalog is made anew and everything restores.
#[test]
fn with_only_vaults_and_configuration_left_everything_comes_back() {
    let site = Site::new();
    let first_facts = facts::of(&site.tree());
    let first = site.backup();
    site.write("srv/docs/more", "more\n");
    let second_facts = facts::of(&site.tree());
    let second = site.backup();
    site.ok(&["backup", "replicate-all"]);
    std::fs::remove_dir_all(site.path("state")).expect("the state is lost");
    std::fs::remove_dir_all(site.path("srv")).expect("the tree is lost");
    let rebuilt = site.json(&["catalog", "rebuild"]);
    assert_eq!((&rebuilt["backups"], &rebuilt["copies"]["offsite"]), (&2.into(), &2.into()), "{rebuilt}");
    assert_eq!(site.names(), [second.clone(), first.clone()]);
    facts::assert_same(&first_facts, &facts::of(&site.restored(&first, &["--from", "vault:offsite"])), "the first");
    site.ok(&["backup", "restore", "docs", "--yes"]);
    facts::assert_same(&second_facts, &facts::of(&site.tree()), "the newest, in place where nothing was");
    site.ok(&["backup", "verify-all"]);
}

/// The settings are written, shown, checked and turned off again; nothing is written when they make no sense.
#[test]
fn a_workload_is_configured_shown_and_disabled_on_the_command_line() {
    let site = Site::new();
    std::fs::create_dir_all(site.path("srv/web")).expect("a tree");
    let web = site.text("srv/web");
    site.ok(&["backup", "configure", "web", "--path", &web, "--dry-run"]);
    assert!(!site.path("conf/conf.d/web.toml").exists());
    site.ok(&["backup", "configure", "web", "--path", &web, "--daily-retention", "5", "--target-region", "there"]);
    let shown = site.json(&["backup", "config-show", "web"]);
    assert_eq!(shown["paths"], serde_json::json!([web]), "{shown}");
    let daily = array(&shown["tiers"]).iter().find(|tier| tier["tier"] == "daily").expect("a daily tier");
    assert_eq!((&daily["keep"], &shown["copies"][0]["place"]), (&5.into(), &"vault:offsite".into()));
    site.ok(&["config", "check"]);
    site.backup_of("web");
    site.ok(&["backup", "disable", "web"]);
    assert_eq!(site.json(&["backup", "config-show", "web"])["enabled"], false);
    site.ok(&["backup", "configure", "web", "--enable"]);
    assert_eq!(site.json(&["backup", "config-show", "web"])["enabled"], true);
}
