//! The tables of `agent/docs/floors.md` against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One row of the arrows table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    floor: String,
    may_use: BTreeSet<String>,
}

/// Where third-party crates may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fence {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
}

/// A dependency as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    from: String,
    to: String,
    only_tests: bool,
}

/// The rules of the document.
#[derive(Debug, Default)]
struct Floors {
    homes: BTreeMap<String, Home>,
    fences: Vec<(BTreeSet<String>, Fence)>,
}

/// The rows of the first table below `## heading`, without its two header lines; cells without back-ticks.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    text.lines()
        .skip_while(|line| line.trim() != format!("## {heading}"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect()
}

fn list(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(str::trim).filter(|word| !matches!(*word, "" | "–")).map(str::to_owned).collect()
}

fn parse(text: &str) -> Floors {
    let homes = table(text, "Arrows").into_iter().map(|row| {
        let floor = row[1].split(':').next().unwrap_or_default().to_owned();
        (row[0].clone(), Home { floor, may_use: list(&row[2]) })
    });
    let fences = table(text, "Third-party crates").into_iter().map(|row| {
        let fence = match row[1].strip_prefix("not ") {
            Some(places) => Fence::NotIn(list(places)),
            None if row[1] == "nowhere" => Fence::In(BTreeSet::new()),
            None => Fence::In(list(&row[1])),
        };
        (list(&row[0]), fence)
    });
    Floors { homes: homes.collect(), fences: fences.collect() }
}

impl Floors {
    /// Everything about these packages and arrows that breaks a rule.
    fn findings(&self, packages: &BTreeSet<String>, arrows: &[Arrow]) -> Vec<String> {
        let mut found: Vec<String> = packages
            .iter()
            .filter(|package| !self.homes.contains_key(*package))
            .map(|package| format!("{package} has no row in agent/docs/floors.md"))
            .collect();
        for arrow in arrows {
            let Some(from) = self.homes.get(&arrow.from) else { continue };
            match self.homes.get(&arrow.to) {
                Some(to) => {
                    let allowed = from.may_use.contains(&to.floor) || (arrow.only_tests && to.floor == "E");
                    if !allowed {
                        found.push(format!(
                            "{} ({}) may not use {} ({}): a new arrow is a decision record",
                            arrow.from, from.floor, arrow.to, to.floor
                        ));
                    }
                }
                None if packages.contains(&arrow.to) => {}
                None => found.extend(self.beyond_fence(arrow, &from.floor)),
            }
        }
        found
    }

    fn beyond_fence(&self, arrow: &Arrow, floor: &str) -> Option<String> {
        let stands_in = |places: &BTreeSet<String>| places.contains(&arrow.from) || places.contains(floor);
        let (_, fence) = self.fences.iter().find(|(crates, _)| crates.contains(&arrow.to))?;
        let allowed = arrow.only_tests
            || match fence {
                Fence::In(places) => stands_in(places),
                Fence::NotIn(places) => !stands_in(places),
            };
        (!allowed).then(|| format!("{} ({floor}) may not use {}: see the fences in floors.md", arrow.from, arrow.to))
    }
}

fn metadata() -> (BTreeSet<String>, Vec<Arrow>) {
    let answer = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(super::tree::root())
        .output()
        .expect("cargo runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let parsed: Value = serde_json::from_slice(&answer.stdout).expect("cargo speaks JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let mut packages = BTreeSet::new();
    let mut arrows = Vec::new();
    for package in parsed["packages"].as_array().expect("packages") {
        packages.insert(text(&package["name"]));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            arrows.push(Arrow {
                from: text(&package["name"]),
                to: text(&dependency["name"]),
                only_tests: dependency["kind"] == "dev",
            });
        }
    }
    (packages, arrows)
}

fn floors() -> Floors {
    parse(&super::tree::read(Path::new("agent/docs/floors.md")))
}

#[test]
fn arrows_point_down() {
    let (packages, arrows) = metadata();
    assert!(packages.len() >= 12 && arrows.len() >= 30, "saw {} packages, {} arrows", packages.len(), arrows.len());
    super::assert_tidy(floors().findings(&packages, &arrows));
}

#[test]
fn the_document_states_the_design() {
    let floors = floors();
    let may_use = |package: &str| floors.homes[package].may_use.iter().cloned().collect::<Vec<_>>().join(" ");
    for (package, floors) in [
        ("backstop-model", ""),
        ("backstop-seams", "F0"),
        ("backstop-vault", "F0 F1"),
        ("backstop-catalog", "F0 F1"),
        ("backstop-saga", "F0 F1"),
        ("backstop-config", "F0"),
        ("backstop-policy", "F0"),
        ("backstop-planner", "F0"),
        ("backstop-observe", "F0"),
        ("backstop-ops", "F0 F1 F2"),
        ("backstop-doors", "F0 F3"),
    ] {
        assert_eq!(may_use(package), floors, "{package}");
    }
    for package in floors.homes.iter().filter(|(_, home)| home.floor == "E").map(|(package, _)| package) {
        assert_eq!(may_use(package), "F0 F1", "{package}: edges see the seams and nothing else");
    }
    assert!(floors.fences.len() >= 8, "{:?}", floors.fences);
}

#[test]
fn each_forbidden_arrow_is_found() {
    let floors = floors();
    let arrow = |from: &str, to: &str| Arrow { from: from.into(), to: to.into(), only_tests: false };
    let packages: BTreeSet<String> = floors.homes.keys().cloned().collect();
    let forbidden = [
        ("backstop-vault", "backstop-catalog"),
        ("backstop-doors", "backstop-vault"),
        ("backstop-planner", "backstop-seams"),
        ("backstop-files", "backstop-local"),
        ("backstop-files", "backstop-vault"),
        ("backstop-model", "backstop-seams"),
        ("backstop-ops", "rusqlite"),
        ("backstop-ops", "clap"),
        ("backstop-ops", "reqwest"),
        ("backstop-ops", "wasmtime"),
        ("backstop-model", "tokio"),
        ("backstop-planner", "futures"),
        ("backstop-saga", "anyhow"),
        ("backstop-doors", "object_store"),
    ];
    for (from, to) in forbidden {
        assert_eq!(floors.findings(&packages, &[arrow(from, to)]).len(), 1, "{from} → {to}");
    }
    for (from, to) in [("backstop-ops", "backstop-vault"), ("backstop-catalog", "rusqlite"), ("backstop-ops", "tokio")]
    {
        assert_eq!(floors.findings(&packages, &[arrow(from, to)]), Vec::<String>::new());
    }
    let in_tests = Arrow { only_tests: true, ..arrow("backstop-vault", "backstop-files") };
    assert_eq!(floors.findings(&packages, &[in_tests]), Vec::<String>::new());
    let upwards = Arrow { only_tests: true, ..arrow("backstop-vault", "backstop-ops") };
    assert_eq!(floors.findings(&packages, &[upwards]).len(), 1);
    assert_eq!(floors.findings(&["backstop-new".to_owned()].into(), &[]).len(), 1);
}
