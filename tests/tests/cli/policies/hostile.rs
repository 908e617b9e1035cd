//! Plugins that mean harm or are broken: the agent stays well, the safe default holds, the operator sees why.

use backstop_tests::Site;

use super::kit::{bind, bind_guest, digest, guest, rebind, shows, source, two_days};

/// What each of them does to retention: everything is kept, backups go on, and the list says why.
#[test]
fn a_retention_policy_that_fails_keeps_everything_and_backups_go_on() {
    for name in ["panics", "infinite-loop", "memory-bomb", "deep-recursion", "unknown-backup"] {
        let mut site = Site::at("2031-05-05T09:00:00Z");
        let names = two_days(&mut site);
        let limits = "mode = \"active\"\nlimits = { time = \"200ms\", memory = \"8MiB\" }";
        bind_guest(&site, "bad", "retention", &source("hostile", name), limits);
        let tidy = ["backup", "delete", "--expired", "--reason", "tidy", "--yes"];
        shows(&site, 0, &tidy, &["policy `bad` keeps it: it found no answer"]);
        assert_eq!(site.names().len(), 2, "{name}");
        site.backup();
        site.fails(5, &["backup", "delete", &names[0], "--reason", "mine", "--yes"]);
        shows(&site, 0, &["alert", "list"], &["policy-fault", "policy `bad` found no answer"]);
    }
}

/// "Release everything" changes nothing but what retention would have let go, and the firewall asks nobody.
#[test]
fn a_policy_that_wants_everything_gone_gets_only_what_was_past_retention() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    bind_guest(&site, "greedy", "retention", &source("hostile", "release-everything"), "mode = \"active\"");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names(), [names[1].clone()]);
    site.fails(5, &["backup", "delete", &names[1], "--reason", "mine", "--yes"]).says(&["firewall"]);
}

/// A broken guard refuses, and says which policy it is; taking it out is the way on.
#[test]
fn a_validation_policy_that_fails_refuses_and_never_steps_back() {
    let site = Site::new();
    let name = site.backup();
    bind_guest(
        &site,
        "guard",
        "validation",
        "(func (export \"check\") (param i32) (result i32) unreachable)",
        "mode = \"active\"",
    );
    for _ in 0..5 {
        site.fails(5, &["backup", "verify", &name]).says(&["policy `guard` found no answer, so nothing is allowed"]);
    }
    let shown = &site.json(&["policy", "inspect", "guard"]);
    assert_eq!((&shown["standing"], &shown["stepped_back"]), (&"in-force".into(), &serde_json::Value::Null), "{shown}");
    assert!(shown["faults"].as_u64().expect("a count") >= 5, "{shown}");
    assert!(site.open_runs().is_empty());
    std::fs::remove_file(site.path("conf/policies/guard.toml")).expect("unbound");
    site.ok(&["backup", "verify", &name]);
}

/// Three faults in a row and a retention policy steps back; everything stays kept until it is changed.
#[test]
fn a_retention_policy_steps_back_after_three_faults_and_its_safe_default_stays() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    two_days(&mut site);
    bind_guest(&site, "bad", "retention", &source("hostile", "panics"), "mode = \"active\"");
    for _ in 0..4 {
        site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    }
    shows(&site, 4, &["policy", "list"], &["stepped back", "3 faults in a row", "everything is kept"]);
    shows(&site, 0, &["alert", "list"], &["policy-stepped-back"]);
    assert_eq!(site.names().len(), 2);
    // Another component begins anew.
    bind_guest(&site, "bad", "retention", &source("hostile", "release-everything"), "mode = \"active\"");
    site.ok(&["policy", "list"]);
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names().len(), 1);
}

/// What cannot be loaded stays listed with its reason, and its safe default holds.
#[test]
fn a_policy_that_cannot_be_loaded_stays_listed_and_keeps_everything() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    bind(&site, "legal-hold", "retention", "mode = \"active\"\nsettings = { until = 2020-01-01 }");
    let whole = std::fs::read(site.path("conf/policies/legal-hold.wasm")).expect("a component");
    let mut tampered = whole.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    for bad in [&whole[..whole.len() / 2], &tampered[..], b"not a component", b""] {
        site.write("conf/policies/legal-hold.wasm", bad);
        shows(&site, 4, &["policy", "list"], &["NOT IN FORCE", "everything is kept"]);
        shows(
            &site,
            0,
            &["backup", "delete", "--expired", "--reason", "tidy", "--yes"],
            &["policy `legal-hold` keeps it"],
        );
        assert_eq!(site.names().len(), 2);
    }
    std::fs::remove_file(site.path("conf/policies/legal-hold.wasm")).expect("gone");
    shows(&site, 4, &["policy", "list"], &["is not there"]);
    site.backup();
    site.write("conf/policies/legal-hold.wasm", &whole);
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert!(!site.names().contains(&names[0]));
}

/// A component of another world, or one that wants more than a world gives, is not loaded.
#[test]
fn a_component_of_another_world_is_not_in_force() {
    let site = Site::new();
    site.write("conf/policies/odd.wasm", guest("retention", ""));
    let sha256 = digest(&site, "conf/policies/odd.wasm");
    site.write(
        "conf/policies/odd.toml",
        format!(
            "[policy.odd]\ncomponent = \"odd.wasm\"\nsha256 = \"{sha256}\"\nworld = \"validation\"\nmode = \"active\"\n"
        ),
    );
    shows(&site, 4, &["policy", "list"], &["NOT IN FORCE", "retention"]);
    site.fails(5, &["backup", "trigger", "docs"]).says(&["policy `odd`"]);
}

/// Compiled code that was tampered with is compiled again.
#[test]
fn tampered_compiled_code_is_never_run() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    two_days(&mut site);
    bind(&site, "legal-hold", "retention", "mode = \"active\"\nsettings = { until = 2032-01-01 }");
    site.ok(&["policy", "list"]);
    let kept: Vec<_> = std::fs::read_dir(site.path("state/policy-cache")).expect("a cache").flatten().collect();
    assert!(!kept.is_empty());
    for entry in &kept {
        let mut bytes = std::fs::read(entry.path()).expect("compiled code");
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0xcc);
        std::fs::write(entry.path(), bytes).expect("tampered");
    }
    site.ok(&["policy", "list"]);
    shows(&site, 0, &["backup", "delete", "--expired", "--reason", "tidy", "--yes"], &["policy `legal-hold` keeps it"]);
    rebind(&site, "legal-hold", "retention", "mode = \"active\"\nsettings = { until = 2020-01-01 }");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names().len(), 1);
}
