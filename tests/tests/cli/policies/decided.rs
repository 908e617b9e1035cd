//! What policies decide, verb by verb.

use backstop_tests::Site;
use serde_json::Value;

use super::kit::{bind, bind_guest, rebind, shows, source, two_days};

fn decisions(site: &Site, policy: &str) -> Vec<Value> {
    let shown = site.json(&["policy", "explain", policy]);
    shown["explanations"].as_array().expect("explanations").clone()
}

/// A configuration without policies starts no engine and keeps nothing of one.
#[test]
fn without_policies_nothing_of_them_is_made() {
    let site = Site::new();
    site.backup();
    assert!(!site.path("state/policy-cache").exists() && !site.path("state/policy-cache.key").exists());
    assert_eq!(site.json(&["policy", "list"])["policies"], serde_json::json!([]));
}

/// A hold in the law keeps what retention would let go, says so everywhere, and lets go when it ends.
#[test]
fn a_legal_hold_keeps_what_is_past_retention_until_it_ends() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    let held = "mode = \"active\"\nsettings = { until = 2032-01-01, matter = \"case 7\" }";
    bind(&site, "legal-hold", "retention", held);

    assert_eq!(
        site.json(&["agenda"])["due"].as_array().expect("due").iter().filter(|l| l["verb"] == "release").count(),
        0
    );
    shows(
        &site,
        0,
        &["backup", "delete", "--expired", "--reason", "tidy", "--dry-run"],
        &["policy `legal-hold` keeps it"],
    );
    shows(
        &site,
        0,
        &["backup", "delete", "--expired", "--reason", "tidy", "--yes"],
        &[&names[0], "legal-hold", "case 7"],
    );
    let refused = site.fails(5, &["backup", "delete", &names[0], "--reason", "mine", "--yes"]);
    refused.says(&["policy `legal-hold` keeps it", "hint:"]);
    assert_eq!(site.names().len(), 2);
    shows(&site, 0, &["backup", "show", &names[0]], &["legal-hold"]);

    rebind(
        &site,
        "legal-hold",
        "retention",
        "mode = \"active\"\nsettings = { until = 2031-01-01, matter = \"case 7\" }",
    );
    let due = site.json(&["agenda"]);
    assert!(due["due"].as_array().expect("due").iter().any(|line| line["verb"] == "release"), "{due}");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names(), [names[1].clone()]);
    let cache = std::fs::metadata(site.path("state/policy-cache")).expect("compiled code is kept");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&cache.permissions()) & 0o777, 0o700);
}

/// A shadow is asked and recorded, and changes nothing.
#[test]
fn a_shadow_changes_nothing_and_shows_that_it_would_have() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let names = two_days(&mut site);
    bind(&site, "legal-hold", "retention", "mode = \"shadow\"\nsettings = { until = 2032-01-01, matter = \"case 7\" }");
    assert_eq!(site.json(&["policy", "list"])["policies"][0]["standing"], "shadow");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names(), [names[1].clone()]);
    let recorded = site.json(&["policy", "explain", "1"]);
    let decision = &recorded["explanations"][0]["recorded"];
    assert_eq!((&decision["effect"], &decision["diverged"]), (&"shadow only".into(), &true.into()), "{recorded}");
    assert_eq!(recorded["explanations"][0]["same"], true);
}

/// Fiscal quarters add a tier of their own, and only a policy ends it.
#[test]
fn a_tier_of_a_policy_is_given_and_kept_without_it() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let settings = "mode = \"active\"\nsettings = { first_month = \"april\", quarters = 2, years = 1 }";
    bind(&site, "fiscal-quarters", "retention", settings);
    let names = two_days(&mut site);
    let tiers = &site.json(&["backup", "show", &names[0]])["backup"]["tiers"];
    assert!(tiers.as_array().expect("tiers").iter().any(|tier| tier == "quarterly"), "{tiers}");
    std::fs::remove_file(site.path("conf/policies/fiscal-quarters.toml")).expect("unbound");
    site.ok(&["backup", "delete", "--expired", "--reason", "tidy", "--yes"]);
    assert_eq!(site.names().len(), 2, "a named tier without its policy is kept for ever");
}

/// A restore in place waits for another person; the same request then passes once, and no other does.
#[test]
fn a_guarded_restore_passes_once_after_somebody_else_approved() {
    let mut site = Site::new();
    site.backup();
    bind(&site, "two-person", "validation", "mode = \"active\"\nsettings = { guarded = [\"restore-in-place\"] }");
    let asked = ["backup", "restore", "docs", "--yes", "--reason", "ticket 9"];
    site.set("SUDO_USER", "ann");
    site.ok(&["backup", "restore", "docs", "--dry-run", "--to", &site.text("aside")]);
    let held = site.fails(5, &asked);
    held.says(&["policy `two-person`", "backstop approval approve 1"]);
    assert!(site.json(&["run", "list"])["runs"].as_array().expect("runs").iter().all(|run| run["verb"] != "restore"));
    site.fails(5, &["approval", "approve", "1"]).says(&["your own"]);
    site.set("SUDO_USER", "bob");
    shows(&site, 0, &["approval", "list"], &["ann@", "ticket 9"]);
    site.ok(&["approval", "approve", "1", "--reason", "seen the ticket"]);
    site.fails(5, &asked);
    site.set("SUDO_USER", "ann");
    site.fails(5, &["backup", "restore", "docs", "--yes", "--reason", "another ticket"]);
    shows(&site, 0, &asked, &["approved by bob@"]);
    site.fails(5, &asked);
    let log = site.json(&["audit", "show", "--verb", "approval approve"]);
    assert_eq!(log["entries"].as_array().map(Vec::len), Some(1), "{log}");
}

/// A frozen week refuses changes and says until when; what keeps data safe goes on.
#[test]
fn a_change_freeze_refuses_changes_and_names_itself() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let frozen = "mode = \"active\"\nsettings = { window = { spring = { dates = \"2031-05-01..2031-05-31\" } } }";
    site.backup();
    bind(&site, "change-freeze", "validation", frozen);
    let before = std::fs::read_to_string(site.path("conf/conf.d/docs.toml")).expect("the file");
    let refused = site.fails(5, &["backup", "configure", "docs", "--daily-retention", "3"]);
    refused.says(&["policy `change-freeze` denies it", "hint:"]);
    assert_eq!(std::fs::read_to_string(site.path("conf/conf.d/docs.toml")).expect("the file"), before);
    shows(&site, 0, &["backup", "configure", "docs", "--daily-retention", "3", "--dry-run"], &["change-freeze"]);
    site.backup();
    site.clock("2031-06-02T09:00:00Z");
    site.ok(&["backup", "configure", "docs", "--daily-retention", "3"]);
}

/// A warning is shown and nothing else.
#[test]
fn a_warning_is_shown_and_the_request_goes_on() {
    let site = Site::new();
    let name = site.backup();
    bind_guest(&site, "why", "validation", &source("guests", "wants-reason"), "mode = \"active\"");
    shows(&site, 0, &["backup", "verify", &name], &["policy `why` warns", "say why", "field `reason`"]);
    let explained = decisions(&site, "why");
    assert_eq!(explained[0]["recorded"]["effect"], "in force: accepted with a warning");
}

/// A health check looks at what a DR test restored; what it finds is the test's answer.
#[test]
fn a_health_check_decides_whether_a_rehearsal_passed() {
    let site = Site::new();
    site.backup();
    let look = |path: &str| {
        format!(
            "mode = \"active\"\ngrants = {{ probes = [\"file\"] }}\nsettings = {{ path = \"{}\", pattern = \"{path}\" }}",
            site.text("srv/docs")
        )
    };
    bind(&site, "files-fresh", "health-check", &look("readme.txt"));
    let passed = &site.summaries(0, &["dr", "test", "docs"])[0];
    assert_eq!(
        (&passed["dr_test"]["passed"], &passed["dr_test"]["health_ok"]),
        (&true.into(), &true.into()),
        "{passed}"
    );
    rebind(&site, "files-fresh", "health-check", &look("*.missing"));
    let failed = &site.summaries(4, &["dr", "test", "docs"])[0];
    assert_eq!(
        (&failed["dr_test"]["passed"], &failed["dr_test"]["health_ok"]),
        (&false.into(), &false.into()),
        "{failed}"
    );
    assert!(site.staging().is_empty(), "{:?}", site.staging());
    let restored = site.run(&["backup", "restore", "docs", "--to", &site.text("out")]);
    assert_eq!(restored.code, 4, "{restored}");
    assert!(site.tree_below("out").join("readme.txt").exists(), "what was restored stays");
}

/// Files are edited by hand as often as by `backup configure`: what a policy denies there, `config check` denies here.
#[test]
fn configuration_that_a_policy_denies_is_not_called_valid() {
    let site = Site::new();
    bind(&site, "naming-and-residency", "validation", "mode = \"active\"\nsettings = { keep_daily = 300 }");
    shows(
        &site,
        5,
        &["config", "check"],
        &["a policy denies it", "workload `docs`", "`naming-and-residency` denies it"],
    );
    rebind(&site, "naming-and-residency", "validation", "mode = \"active\"\nsettings = { keep_daily = 1 }");
    shows(&site, 0, &["config", "check"], &["is valid"]);
    rebind(&site, "naming-and-residency", "validation", "mode = \"shadow\"\nsettings = { keep_daily = 300 }");
    shows(&site, 0, &["config", "check"], &["is valid"]);
}
