//! Configurations that make no sense and names that do not exist: one clear error, its exit code, nothing changed.

use backstop_tests::{Site, facts};

/// Whatever is wrong with the configuration: `config check` shows file, line, column and caret, every other verb says
/// so as well, and none does anything.
#[track_caller]
fn is_refused(site: &Site, words: &[&str]) {
    let before = facts::of(&site.path("vault"));
    let checked = site.run(&["config", "check"]).expect(13);
    for word in words.iter().chain(&["^", "\n"]) {
        assert!(checked.text().contains(word), "no `{word}` in {checked}");
    }
    for verb in [&["backup", "trigger", "docs"][..], &["backup", "list"], &["vault", "prune"]] {
        let answer = site.fails(13, verb);
        assert!(answer.out.is_empty(), "{answer}");
        answer.says(words);
        answer.says(&["^"]);
    }
    facts::assert_same(&before, &facts::of(&site.path("vault")), "the vault");
}

#[test]
fn a_mistake_in_toml_is_shown_where_it_stands() {
    let site = Site::new();
    site.edit("region = \"there\"", "region = \"there");
    is_refused(&site, &["backstop.toml:10:"]);
}

#[test]
fn an_unknown_key_is_shown_with_what_was_meant() {
    let site = Site::new();
    site.edit("undelete_window", "undelete_windows");
    is_refused(&site, &["backstop.toml:", "undelete_windows"]);
}

#[test]
fn retention_that_is_zero_negative_or_absurd_is_refused() {
    for keep in ["0", "-1", "1000000", "99999999999999999999", "1.5", "\"many\""] {
        let site = Site::new();
        site.edit("keep = 7", &format!("keep = {keep}"));
        is_refused(&site, &["backstop.toml:19:"]);
    }
    let site = Site::new();
    for bad in ["0", "-1", "1000000", "1.5", "many", ""] {
        let answer = site.run(&["backup", "configure", "docs", &format!("--daily-retention={bad}")]);
        assert!(answer.code == 2 || answer.code == 13, "`{bad}`: {answer}");
    }
    site.ok(&["config", "check"]);
}

#[test]
fn a_copy_in_the_region_of_home_is_refused() {
    let site = Site::new();
    site.edit("region = \"there\"", "region = \"here\"");
    is_refused(&site, &["vault:offsite", "region"]);
    let site = Site::new();
    site.run(&["backup", "configure", "docs", "--target-region", "here"]).expect(13).says(&["here", "hint:"]);
    site.run(&["backup", "configure", "docs", "--target-region", "nowhere"]).expect(10).says(&["nowhere", "there"]);
    let name = site.backup();
    site.run(&["backup", "replicate", &name, "--target-region", "here"]).expect(13).says(&["here", "choose another"]);
    site.run(&["dr", "test", "docs", "--test-region", "here"]).expect(13).says(&["here", "choose another"]);
    site.ok(&["config", "check"]);
}

#[test]
fn vaults_that_overlap_are_refused() {
    let site = Site::new();
    site.edit("/offsite\"", "/vault/second\"");
    is_refused(&site, &["vault `offsite` lies inside vault `main`"]);
    let site = Site::new();
    site.edit("/offsite\"", "/vault/\"");
    is_refused(&site, &["same directory"]);
}

#[test]
fn a_vault_that_a_link_leads_into_what_it_protects_is_refused_before_a_backup() {
    let site = Site::new();
    std::fs::rename(site.path("vault"), site.path("srv/docs/hidden")).expect("moved");
    std::os::unix::fs::symlink("srv/docs/hidden", site.path("vault")).expect("linked");
    let told = ["contains vault `main`", "really", "would back up itself", "exclude = ["];
    site.run(&["backup", "trigger", "docs"]).expect(13).says(&told);
    let doctor = site.run(&["doctor"]).expect(4);
    assert!(doctor.text().contains("contains vault `main`"), "{doctor}");
    let docs = format!("kind = \"files\"\npaths = [\"{}\"]\nexclude = [\"hidden\"]\n", site.text("srv/docs"));
    site.write("conf/conf.d/docs.toml", format!("[workload.docs]\n{docs}"));
    site.backup();
}

#[test]
fn two_vaults_that_a_link_makes_one_are_refused() {
    let site = Site::new();
    std::fs::remove_dir_all(site.path("offsite")).expect("removed");
    std::os::unix::fs::symlink("vault", site.path("offsite")).expect("linked");
    let doctor = site.run(&["doctor"]).expect(4);
    assert!(doctor.text().contains("is the same directory as"), "{doctor}");
    let told = ["`main`", "is the same directory as", "`offsite`"];
    site.run(&["backup", "trigger", "docs"]).expect(13).says(&told);
}

#[test]
fn a_vault_inside_what_it_protects_is_refused() {
    let site = Site::new();
    site.write(
        "conf/conf.d/all.toml",
        format!("[workload.all]\nkind = \"files\"\npaths = [\"{}\"]\n", site.root_text()),
    );
    is_refused(&site, &["all.toml:3:", "would back up itself"]);

    site.write("conf/conf.d/all.toml", "[workload.all]\nkind = \"files\"\npaths = [\"/\"]\n");
    is_refused(&site, &["all.toml:3:", "would back up itself"]);
}

#[test]
fn names_that_break_the_rules_are_refused_everywhere() {
    let site = Site::new();
    let long = "x".repeat(65);
    for bad in ["../etc", "a b", "-x", "", "ümlaut", "a/b", "a;b", "a$(b)", &long] {
        let section = format!("[workload.\"{bad}\"]\nkind = \"files\"\npaths = [\"/srv\"]\n");
        site.write("conf/conf.d/bad.toml", section);
        site.run(&["config", "check"]).expect(13);
        std::fs::remove_file(site.path("conf/conf.d/bad.toml")).expect("removed");
        let path = site.text("srv/docs");
        let answer = site.run(&["backup", "configure", "--path", &path, "--", bad]);
        assert_eq!(answer.code, 2, "`{bad}`: {answer}");
        assert_eq!(site.run(&["backup", "trigger", "--", bad]).code, 2, "`{bad}`");
    }
    let written = std::fs::read_dir(site.path("conf/conf.d")).expect("conf.d").count();
    assert_eq!(written, 1, "nothing was written");
}

#[test]
fn what_does_not_exist_is_not_found_and_says_what_does() {
    let site = Site::new();
    let name = site.backup();
    let cases: &[(&[&str], &str)] = &[
        (&["backup", "trigger", "unknown"], "docs"),
        (&["backup", "list", "unknown"], "docs"),
        (&["backup", "config-show", "unknown"], "docs"),
        (&["backup", "restore", "unknown", "--to", "/nonexistent/x"], "docs"),
        (&["backup", "restore", "docs", "--backup", "unknown", "--to", "/nonexistent/x"], "backup list"),
        (&["backup", "restore", "docs", "--from", "vault:unknown", "--to", "/nonexistent/x"], ""),
        (&["backup", "replicate", "unknown"], "backup list"),
        (&["backup", "replicate", &name, "--to", "vault:unknown"], "offsite"),
        (&["backup", "replicate", &name, "--target-region", "mars"], "there"),
        (&["backup", "verify", "unknown"], "backup list"),
        (&["backup", "verify-all", "unknown"], "docs"),
        (&["backup", "show", "unknown"], "backup list"),
        (&["backup", "delete", "unknown", "--reason", "x", "--yes"], "backup list"),
        (&["backup", "undelete", "unknown"], "backup list"),
        (&["backup", "hold", "unknown", "--reason", "x"], "backup list"),
        (&["backup", "disable", "unknown"], "docs"),
        (&["dr", "test", "unknown"], "docs"),
        (&["run", "show", "unknown"], "run list"),
        (&["run", "resume", "unknown"], "run list"),
        (&["run", "cancel", "unknown"], "run list"),
        (&["restore", "undo", "unknown", "--yes"], "docs"),
        (&["vault", "status", "unknown"], "offsite"),
        (&["vault", "prune", "unknown"], "offsite"),
        (&["vault", "key", "list", "unknown"], "offsite"),
        (&["vault", "key", "remove", "main", "unknown", "--reason", "x", "--yes"], ""),
        (&["vault", "rebuild-index", "unknown"], "offsite"),
        (&["status", "unknown"], "docs"),
    ];
    for (verb, hint) in cases {
        let answer = site.fails(10, verb);
        let said = format!("{}{}", answer.err, answer.text());
        assert!(said.contains(hint), "no word of `{hint}` in {answer}");
    }
    assert_eq!(site.names(), [name]);
    assert!(site.open_runs().is_empty());
}

#[test]
fn values_that_make_no_sense_are_usage_errors() {
    let site = Site::new();
    let name = site.backup();
    let cases: &[&[&str]] = &[
        &["backup", "trigger", "docs", "--tier", "hourly tier"],
        &["backup", "trigger", "docs", "--mode", "sideways"],
        &["backup", "verify", &name, "--level", "L9"],
        &["backup", "verify", &name, "--sample", "0"],
        &["backup", "verify", &name, "--sample", "101"],
        &["backup", "verify-all", "--max-parallel", "0"],
        &["backup", "list", "--since", "yesterday"],
        &["backup", "restore", "docs", "--overwrite", "maybe", "--to", "/x"],
        &["backup", "restore", "docs", "--from", "offsite", "--to", "/x"],
        &["backup", "verification-report", "--days", "0"],
        &["vault", "key", "add", "main", "--key", "hunter2", "--label", "x"],
        &["backup"],
        &["backup", "tigger", "docs"],
        &["backup", "delete"],
        &[],
    ];
    for verb in cases {
        let answer = site.run(verb);
        assert_eq!(answer.code, 2, "{answer}");
        assert!(answer.out.is_empty() && !answer.err.is_empty(), "{answer}");
        assert!(!answer.err.contains("hunter2"), "a secret is never repeated: {answer}");
    }
}

#[test]
fn a_level_only_a_rehearsal_reaches_is_refused_with_the_way_there() {
    let site = Site::new();
    let name = site.backup();
    let answer = site.run(&["backup", "verify", &name, "--level", "L5"]);
    assert_eq!(answer.code, 2, "{answer}");
    answer.says(&["dr test"]);
}

#[test]
fn a_key_that_is_missing_or_no_key_is_told() {
    let site = Site::bare();
    site.fails(12, &["vault", "init", "main"]).says(&["main.key"]);
    assert!(!site.path("vault/config").exists(), "nothing is made without a key");
    site.write("keys/main.key", "");
    let empty = site.run(&["vault", "init", "main"]);
    assert!(empty.code != 0, "an empty key is no key: {empty}");
    assert!(!site.path("vault/config").exists());
}

#[test]
fn without_any_configuration_the_way_to_one_is_said() {
    let mut site = Site::bare();
    site.set("BACKSTOP_CONFIG_DIR", site.path("nowhere"));
    let answer = site.run(&["backup", "list"]);
    assert!(answer.code == 10 || answer.code == 13, "{answer}");
    answer.says(&["nowhere", "error:"]);
    site.run(&["doctor"]).expect(4);
}
