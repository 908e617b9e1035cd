//! What a valid configuration becomes: defaults, overrides, and that nothing anybody writes makes the reader panic.

use std::path::PathBuf;

use backstop_config::{Overrides, SourceFile, compose, diff, load, show};
use backstop_model::Span;
use backstop_model::backup::Level;
use backstop_model::config::{Config, SecretRef, TimeOfDay, WorkloadKind};
use backstop_model::policy::{Field, Mode, PolicyConfig, PolicyLimits, Value, World};
use proptest::prelude::*;

const MAIN: &str = r#"
[vault.main]
url = "file:///var/lib/backstop/vault/"
region = "here"
key = "file:/etc/backstop/vault.key"
[vault.offsite]
url = "file:///mnt/offsite/vault"
region = "there"
key = "env:OFFSITE_KEY"
[schedule.standard]
timezone = "europe/berlin"
daily   = { at = "02:00", keep = 7 }
weekly  = { on = "sunday", at = "03:00", keep = 4 }
home   = "vault:main"
copies = ["vault:offsite"]
verify  = { every = "7d", level = "L2" }
dr_test = { every = "7d" }
[schedule.rare]
monthly = {}
home = "vault:offsite"
verify = false
"#;

const DOCS: &str = r#"
[workload.docs]
kind = "files"
paths = ["/srv//docs/", "/etc"]
exclude = ["*.tmp"]
health = { command = ["/usr/bin/true", "{}"] }
"#;

const POLICIES: &str = r#"
[signer.ops]
public_key = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
[policy.hold]
component = "../hold.wasm"
signer = "ops"
world = "retention"
applies_to = ["do*"]
mode = "canary"
canary = 20
settings = { until = 2027-01-01, n = 0x1f, share = 5e-1, on = true, slack = { "ch.x" = 'a"b', deep.er = [1, 2] }, "a.b" = ["x"] }
limits = { time = "100ms", memory = "65537B" }
promises = { daily = 7, quarterly = 8 }
[policy.chat]
component = "/usr/lib/chat.wasm"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
world = "alert-sink"
grants = { http = ["a.example", "private:http://b.internal:81", "[fd00::1]:8443"], secrets = { "u.1" = "env:U", v = "command:pass show v" } }
[policy.alive]
component = "alive.wasm"
signer = "ops"
world = "health-check"
mode = "shadow"
grants = { probes = ["tcp:5432", "ssh:/usr/bin/systemctl", "file"] }
"#;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.into(), bytes: text.as_bytes().to_vec() }
}

fn valid(files: &[SourceFile]) -> Config {
    load(files, &Overrides::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn with(workload: &str) -> Config {
    valid(&[file("backstop.toml", MAIN), file("conf.d/docs.toml", &format!("{DOCS}{workload}"))])
}

#[test]
fn no_file_at_all_is_a_configuration_that_protects_nothing() {
    let config = valid(&[]);
    assert!(config.workloads.is_empty() && config.vaults.is_empty());
    assert_eq!(config.state_dir, PathBuf::from("/var/lib/backstop"));
}

#[test]
fn the_command_line_decides_over_the_state_directory_and_it_is_checked_too() {
    let files = [file("backstop.toml", "state_dir = \"/a\""), file("conf.d/docs.toml", &format!("{MAIN}{DOCS}"))];
    let with = |path: &str| load(&files, &Overrides { state_dir: Some(path.into()) });
    assert_eq!(with("/b").map(|config| config.state_dir), Ok("/b".into()));
    let invalid = with("/etc/backstop/state").expect_err("inside a protected path");
    assert!(invalid.to_string().contains("contains the state directory"), "{invalid}");
}

#[test]
fn what_is_left_out_has_a_sensible_value() {
    let config = with("");
    let docs = config.workloads.values().next().expect("one");
    let WorkloadKind::Files(spec) = &docs.kind;
    assert_eq!(spec.paths, [PathBuf::from("/srv/docs"), "/etc".into()]);
    assert!(docs.enabled && spec.exclude_caches && !spec.one_file_system && spec.images.is_empty());
    assert_eq!(docs.origin, PathBuf::from("conf.d/docs.toml"));
    assert_eq!(docs.health.as_ref().map(|health| health.timeout), Some(Span::from_secs(60)));
    let schedule = &docs.schedule;
    assert_eq!((schedule.name.as_str(), schedule.timezone.as_str()), ("standard", "Europe/Berlin"));
    assert_eq!((schedule.rpo, schedule.rto), (Span::from_days(1), Span::from_secs(900)));
    assert_eq!((schedule.monthly, schedule.full_every), (None, None), "a tier that is not named is not kept");
    assert_eq!(schedule.promised_level(), Level::L2);

    let rare = config.schedules.values().next().expect("two");
    let monthly = rare.monthly.expect("named");
    assert_eq!((monthly.on, monthly.at, monthly.keep), (1, TimeOfDay { hour: 4, minute: 0 }, 12));
    assert_eq!((rare.daily, rare.verify, rare.dr_test), (None, None, None));

    let main = config.vaults.values().next().expect("two");
    assert_eq!(main.url, "file:///var/lib/backstop/vault");
    assert_eq!(main.key, SecretRef::File("/etc/backstop/vault.key".into()));
}

#[test]
fn verification_is_promised_unless_it_is_turned_off() {
    let text = MAIN.replace("verify  = { every = \"7d\", level = \"L2\" }", "");
    let config = valid(&[file("backstop.toml", &text), file("conf.d/docs.toml", DOCS)]);
    assert_eq!(config.workloads.values().next().expect("one").schedule.promised_level(), Level::L3);
}

#[test]
fn a_workload_decides_over_its_schedule() {
    let overrides = "keep = { daily = 30, weekly = false, monthly = 2 }\ncopies = []\nrpo = \"1h\"\nrto = \"1m\"\n\
        timezone = \"UTC\"\nverify = { level = \"L1\" }\ndr_test = false\nfull_every = \"30d\"\nenabled = false\n";
    let config = with(overrides);
    let docs = config.workloads.values().next().expect("one");
    let schedule = &docs.schedule;
    assert!(!docs.enabled && schedule.copies.is_empty() && schedule.dr_test.is_none() && schedule.weekly.is_none());
    assert_eq!(schedule.daily.map(|tier| (tier.keep, tier.at.hour)), Some((30, 2)));
    assert_eq!(schedule.monthly.map(|tier| tier.keep), Some(2));
    assert_eq!(schedule.verify.map(|rule| (rule.level, rule.every)), Some((Level::L1, Span::from_days(7))));
    assert_eq!((schedule.rpo, schedule.full_every), (Span::from_secs(3600), Some(Span::from_days(30))));
    let standard = config.schedules.values().find(|s| s.name.as_str() == "standard").expect("there");
    assert_eq!(standard.daily.map(|tier| tier.keep), Some(7), "the schedule itself is as it was");
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let bad = SourceFile { path: "backstop.toml".into(), bytes: b"state_dir = \"/a\"\nx = \"\xff\"\n".to_vec() };
    let invalid = load(&[bad], &Overrides::default()).expect_err("not UTF-8");
    assert_eq!((invalid.problems[0].line, invalid.problems[0].column), (2, 6), "{invalid}");
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_are_no_mistake() {
    let text = format!("\u{feff}{MAIN}{DOCS}").replace('\n', "\r\n");
    assert_eq!(valid(&[file("backstop.toml", &text)]).workloads.len(), 1);
}

/// Everything this crate does with bytes from outside.
fn digest(files: &[SourceFile]) {
    match load(files, &Overrides::default()) {
        Ok(config) => {
            let again = valid(&[file("again.toml", &show(&config))]);
            assert!(diff(&config, &again).is_empty(), "{:?}", diff(&config, &again));
        }
        Err(invalid) => {
            assert!(!invalid.problems.is_empty());
            assert!(!invalid.to_string().is_empty());
        }
    }
    let name = "docs".parse().expect("valid");
    let settings = backstop_config::WorkloadSettings { enabled: Some(false), ..Default::default() };
    for file in files {
        let _ = compose(&name, Some(file), &settings);
    }
}

/// Pieces a configuration is made of, and what tends to break readers.
fn piece() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "[vault.main]\n",
        "[workload.docs]\n",
        "[schedule.standard]\n",
        "[limits]\n",
        "[policy.hold]\n",
        "[signer.ops]\n",
        "component = ",
        "world = ",
        "settings = ",
        "grants = ",
        "http = ",
        "secrets = ",
        "probes = ",
        "\"retention\"",
        "\"tcp:80\"",
        "url = ",
        "region = ",
        "key = ",
        "keep = ",
        "daily = ",
        "at = ",
        "paths = ",
        "exclude = ",
        "home = ",
        "copies = ",
        "verify = ",
        "health = ",
        "\"file:///v\"",
        "\"here\"",
        "\"vault:main\"",
        "\"L3\"",
        "\"7d\"",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "= ",
        "\n",
        "\"",
        "'",
        "\"\"\"",
        "#",
        ".",
        "0x7f",
        "-1",
        "1e999",
        "nan",
        "true",
        "false",
        "02:00",
        "1979-05-27",
        "\\u0000",
        "ß",
        "\u{202e}",
        "\0",
        "\"/srv\"",
        "\"[a-\"",
        "[[workload]]\n",
        "[workload]\n",
        "docs = ",
    ];
    proptest::sample::select(KNOWN).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        digest(&[SourceFile { path: "a.toml".into(), bytes }]);
    }

    #[test]
    fn arbitrary_pieces_of_toml_never_panic(pieces in proptest::collection::vec(piece(), 0..60)) {
        digest(&[file("a.toml", &pieces.concat())]);
    }

    #[test]
    fn a_valid_configuration_with_a_slip_in_it_never_panics(
        at in 0usize..2200, cut in 0usize..12, insert in piece(),
    ) {
        let text: Vec<char> = format!("{MAIN}{DOCS}{POLICIES}").chars().collect();
        let at = at.min(text.len());
        let rest = text[(at + cut).min(text.len())..].iter();
        let slipped: String = text[..at].iter().chain(insert.chars().collect::<Vec<_>>().iter()).chain(rest).collect();
        digest(&[file("a.toml", &slipped)]);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    for text in [
        "[".repeat(20_000),
        format!("a = {}", "[".repeat(20_000)),
        format!("a = {}", "{a=".repeat(20_000)),
        "a.".repeat(20_000),
    ] {
        digest(&[file("a.toml", &text)]);
    }
}

const POLICY: &str = r#"
[policy.legal-hold]
component = "../plugins//legal-hold.wasm"
sha256 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
world = "retention"
"#;

fn policy(more: &str) -> PolicyConfig {
    let text = format!("{POLICY}{more}");
    let config = valid(&[file("/etc/backstop/policies/hold.toml", &text)]);
    config.policies.into_values().next().expect("one policy")
}

#[test]
fn a_policy_is_active_for_every_workload_within_the_limits_of_its_world_unless_it_says_otherwise() {
    let plain = policy("");
    assert_eq!(plain.component, PathBuf::from("/etc/backstop/plugins/legal-hold.wasm"));
    assert_eq!(plain.sha256.as_deref(), Some("a".repeat(64).as_str()));
    assert_eq!((plain.mode, plain.limits), (Mode::Active, PolicyLimits::of(World::Retention)));
    assert!(plain.covers(&"anything".parse().expect("valid")) && plain.settings.is_empty());
    assert_eq!(policy("mode = \"canary\"").mode, Mode::Canary { percent: 10 });
    let bounded = policy("limits = { time = \"100ms\", memory = \"32MiB\" }");
    assert_eq!((bounded.limits.time, bounded.limits.memory), (Span::from_millis(100), 32 << 20));
}

#[test]
fn settings_reach_the_plugin_flat_in_bytewise_order_and_with_dates_as_text() {
    let settings = policy(
        "[policy.legal-hold.settings]\nuntil = 2027-01-01\nsince = 2026-01-02T03:04:05Z\nfreezes = [2026-12-24, \"later\"]\n\
         n = 0x10\nshare = 1.0\nZ = true\nslack = { channel = \"ops\", deep = { er = [1, 2] } }\n",
    )
    .settings;
    let field = |key: &str, value| Field::new(key, value);
    let text = |text: &str| Value::Text(text.to_owned());
    let expected = [
        field("Z", Value::Truth(true)),
        field("freezes", Value::Texts(vec!["2026-12-24".into(), "later".into()])),
        field("n", Value::Whole(16)),
        field("share", Value::Real(1.0)),
        field("since", text("2026-01-02T03:04:05Z")),
        field("slack.channel", text("ops")),
        field("slack.deep.er", Value::Wholes(vec![1, 2])),
        field("until", text("2027-01-01")),
    ];
    assert_eq!(settings, expected);
}

#[test]
fn settings_too_large_to_travel_with_every_question_are_refused() {
    let text = format!("{POLICY}settings = {{ words = \"{}\" }}", "x".repeat(70_000));
    let invalid = load(&[file("a.toml", &text)], &Overrides::default()).expect_err("too large");
    assert!(invalid.to_string().contains("holds more than 64 KiB"), "{invalid}");
}

#[test]
fn the_examples_of_the_document_load() {
    let document = include_str!("../../../docs/policies.md");
    let blocks: Vec<&str> = document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 4, "examples are missing");
    for block in blocks {
        let world = if block.contains("probes") { "health-check" } else { "alert-sink" };
        let text = match block.starts_with("grants") {
            true => POLICY.replace("retention", world) + block,
            false => block.to_owned(),
        };
        valid(&[file("policies/a.toml", &text)]);
    }
}

#[test]
fn a_listed_secret_is_a_systemd_credential_of_that_name() {
    let text = POLICY.replace("retention", "alert-sink") + "grants = { secrets = [\"chat_url\"] }";
    let config = valid(&[file("a.toml", &text)]);
    let policy = config.policies.values().next().expect("one");
    assert_eq!(policy.grants.secrets, [("chat_url".to_owned(), SecretRef::Credential("chat_url".to_owned()))]);
}
