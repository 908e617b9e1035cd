//! Policies as their authors meet them: look, sign, test, replay, simulate.

use backstop_tests::Site;

use super::kit::{bind, bind_guest, rebind, shows, source, two_days};

/// Keys are made, a component is signed and bound by its signer; what was changed afterwards is not in force.
#[test]
fn a_signed_policy_is_in_force_until_it_is_changed() {
    let site = Site::new();
    bind(&site, "legal-hold", "retention", "mode = \"active\"");
    let (component, key) = (site.text("conf/policies/legal-hold.wasm"), site.text("signing.key"));
    let keys = site.json(&["policy", "keygen", &key]);
    site.fails(5, &["policy", "keygen", &key]);
    site.ok(&["policy", "sign", &component, "--key", &key]);
    let public = keys["public_key"].as_str().expect("a key");
    site.ok(&["policy", "verify", &component, "--key", public]);
    let bound = format!(
        "[signer.site]\npublic_key = \"{public}\"\n[policy.legal-hold]\ncomponent = \"legal-hold.wasm\"\nsigner = \"site\"\n\
         world = \"retention\"\nmode = \"active\"\n"
    );
    site.write("conf/policies/legal-hold.toml", bound);
    site.ok(&["policy", "list"]);
    site.ok(&["policy", "verify", &component, "--signer", "site"]);
    let manifest = std::fs::read_to_string(site.path("conf/policies/legal-hold.manifest")).expect("a manifest");
    site.write("conf/policies/legal-hold.manifest", manifest.replace("version = \"1", "version = \"9"));
    shows(&site, 4, &["policy", "verify", &component, "--signer", "site"], &["changed since it was signed"]);
    shows(&site, 4, &["policy", "list"], &["NOT IN FORCE"]);
}

/// The golden cases beside the sources pass on the built components, and a wrong expectation is found.
#[test]
fn written_questions_are_asked_of_the_built_component() {
    let site = Site::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut asked = 0;
    for name in ["gfs", "legal-hold", "fiscal-quarters", "two-person", "change-freeze", "webhook", "files-fresh"] {
        let (dir, component) = (format!("{root}/plugins/{name}"), format!("{root}/policies/{name}.wasm"));
        let tested = site.json(&["policy", "test", &dir, "--component", &component]);
        assert!(tested["passed"].as_u64() > Some(0) && tested["failed"] == 0, "{name}: {tested}");
        asked += 1;
    }
    assert_eq!(asked, 7);
    let wrong = "[[case]]\nname = \"nonsense\"\nfunction = \"tiers\"\nexpect = { tiers = [\"never\"] }\n";
    site.write("project/cases/wrong.toml", wrong);
    let component = format!("{root}/policies/gfs.wasm");
    shows(&site, 4, &["policy", "test", &site.text("project"), "--component", &component], &["FAIL nonsense"]);
}

/// A candidate is asked what was asked before; every difference is told, and a CI fails on it.
#[test]
fn a_candidate_is_replayed_on_the_recorded_past() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    bind(&site, "legal-hold", "retention", "mode = \"active\"\nsettings = { until = 2032-01-01 }");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    shows(&site, 0, &["policy", "replay", "legal-hold"], &["0 different"]);
    bind_guest(&site, "greedy", "retention", &source("hostile", "release-everything"), "mode = \"shadow\"");
    let candidate = site.text("conf/policies/greedy.wasm");
    let replayed = site.json_with(4, &["policy", "replay", "legal-hold", "--since", "90d", "--candidate", &candidate]);
    let difference = &replayed["differences"][0];
    assert_eq!(difference["function"], "release", "{replayed}");
    let lines = difference["lines"].to_string();
    assert!(lines.contains(&format!("{}: was stays", names[0])) && lines.contains("is may go"), "{replayed}");
}

/// Five years in seconds: what the schedule promises stays, and a rule that breaks its promise is found with its day.
#[test]
fn five_years_show_that_a_rule_breaks_its_promise() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    site.backup();
    site.clock("2031-05-06T01:00:00Z");
    let plain = site.json(&["policy", "simulate", "--workload", "docs", "--years", "5"]);
    assert_eq!(plain["breaks"], serde_json::json!([]), "{plain}");
    let life = &plain["workloads"][0];
    assert!(
        life["made"].as_u64().is_some_and(|made| (1_820..1_840).contains(&made))
            && life["deleted"].as_array().map(Vec::len) > Some(1_700),
        "{life}"
    );
    assert!(life["curve"].as_array().map(Vec::len) > Some(55), "{life}");

    let good = "mode = \"active\"\nsettings = { first_month = \"april\", quarters = 8, years = 2 }\npromises = { quarterly = 8 }";
    bind(&site, "fiscal-quarters", "retention", good);
    let kept = site.json(&["policy", "simulate", "--workload", "docs", "--years", "5"]);
    assert_eq!(kept["workloads"][0]["named"]["quarterly"].as_u64().map(|count| count >= 18), Some(true), "{kept}");
    let bad = "mode = \"active\"\nsettings = { first_month = \"april\", quarters = 6, years = 1 }\npromises = { quarterly = 8 }";
    let sha256 = super::kit::digest(&site, "conf/policies/fiscal-quarters.wasm");
    let head = format!(
        "[policy.fiscal-quarters]\ncomponent = \"fiscal-quarters.wasm\"\nsha256 = \"{sha256}\"\nworld = \"retention\"\n"
    );
    site.write("conf/policies/new.toml.candidate", format!("{head}{bad}\n"));
    let candidate = site.text("conf/policies/new.toml.candidate");
    let words = ["breaks", "policy `fiscal-quarters` promises the newest 8 of quarterly"];
    shows(&site, 4, &["policy", "simulate", "--workload", "docs", "--policy", &candidate], &words);
    let old = site.text("conf/policies/fiscal-quarters.toml");
    let compared = site.json_with(4, &["policy", "simulate", "--workload", "docs", "--diff", &old, &candidate]);
    assert!(compared["earlier"].as_array().map(Vec::len) > Some(0), "{compared}");
    let past = &kept["workloads"][0]["past"];
    assert_eq!(past, &serde_json::json!([]), "one backup is never past retention");
    rebind(&site, "fiscal-quarters", "retention", good);
    assert_eq!(site.names().len(), 1, "nothing of this happened");
}

/// What a rule would have done since the first backup shows, too.
#[test]
fn the_recorded_past_is_lived_through_again() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    let past = |site: &Site| site.json(&["policy", "simulate", "--years", "1"])["workloads"][0]["past"].clone();
    assert_eq!(past(&site)[0]["backup"], names[0].as_str());
    bind(&site, "legal-hold", "retention", "mode = \"active\"\nsettings = { until = 2032-01-01 }");
    assert_eq!(past(&site), serde_json::json!([]));
    assert_eq!(site.names().len(), 2);
}

/// An author needs no agent: nothing is made beside what was asked for.
#[test]
fn looking_at_a_component_makes_no_agent() {
    let mut site = Site::bare();
    site.set("BACKSTOP_STATE_DIR", site.text("state"));
    std::fs::remove_dir_all(site.path("conf")).expect("no configuration");
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/gfs.wasm");
    site.ok(&["policy", "inspect", component]);
    site.ok(&["policy", "test", concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/gfs"), "--component", component]);
    site.ok(&["policy", "keygen", &site.text("signing.key")]);
    assert!(!site.path("state").exists() && !site.path("conf").exists());
}

/// A project has everything that its build and its cases need.
#[test]
fn a_new_project_holds_source_cases_and_the_interface() {
    let site = Site::bare();
    for (language, source) in [("rust", "src/lib.rs"), ("js", "policy.js"), ("python", "policy.py"), ("c", "policy.c")]
    {
        let dir = site.text(&format!("new-{language}"));
        let made = site.json(&["policy", "new", "--lang", language, "--world", "retention", &dir]);
        assert!(made["commands"].as_array().map(Vec::len) > Some(2), "{made}");
        for file in [source, "build", "wit/retention.wit", "policy.manifest"] {
            assert!(site.path(format!("new-{language}/{file}")).exists(), "{language}: {file}: {made}");
        }
        site.fails(5, &["policy", "new", "--lang", language, "--world", "retention", &dir]);
    }
}
