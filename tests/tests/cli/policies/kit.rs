//! Binding policies in a site: the ready-made ones, and guests written by hand.

use std::path::{Path, PathBuf};

use backstop_tests::Site;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The digest that pins a component.
pub fn digest(site: &Site, component: &str) -> String {
    let file = site.text(component);
    site.json(&["policy", "inspect", &file])["facts"]["sha256"].as_str().expect("a digest").to_owned()
}

/// Copies a ready-made component into the site and binds it with these lines besides.
pub fn bind(site: &Site, name: &str, world: &str, more: &str) {
    let from = root().join("policies");
    let component = std::fs::read(from.join(format!("{name}.wasm"))).expect("a ready-made component");
    site.write(&format!("conf/policies/{name}.wasm"), component);
    if let Ok(manifest) = std::fs::read(from.join(format!("{name}.manifest"))) {
        site.write(&format!("conf/policies/{name}.manifest"), manifest);
    }
    rebind(site, name, world, more);
}

/// Writes the binding of a component that stands in the site.
pub fn rebind(site: &Site, name: &str, world: &str, more: &str) {
    let sha256 = digest(site, &format!("conf/policies/{name}.wasm"));
    let text =
        format!("[policy.{name}]\ncomponent = \"{name}.wasm\"\nsha256 = \"{sha256}\"\nworld = \"{world}\"\n{more}\n");
    site.write(&format!("conf/policies/{name}.toml"), text);
}

/// Makes a component of a hand-written guest and binds it.
pub fn bind_guest(site: &Site, name: &str, world: &str, fields: &str, more: &str) {
    site.write(&format!("conf/policies/{name}.wasm"), guest(world, fields));
    rebind(site, name, world, more);
}

/// The source of a hand-written guest of the host's own tests.
pub fn source(folder: &str, name: &str) -> String {
    let path = root().join("agent/crates/policy/tests").join(folder).join(format!("{name}.wat"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A component for a world from the fields of a core module. A function that is missing answers with nothing.
pub fn guest(world: &str, fields: &str) -> Vec<u8> {
    let functions: &[(&str, &str)] = match world {
        "retention" => &[("retention-rules", "tiers"), ("retention-rules", "release")],
        "validation" => &[("validation-rules", "check")],
        other => panic!("no hand-written guest is for {other}"),
    };
    let mut text = source("guests", "prelude");
    let mut fields = fields.to_owned();
    for (interface, name) in functions {
        let export = format!("(export \"backstop:policy/{interface}@1.0.0#{name}\")");
        let short = format!("(export \"{name}\")");
        if fields.contains(&short) {
            fields = fields.replace(&short, &export);
        } else {
            text += &format!("(func {export} (param i32) (result i32) (i32.const 64))\n");
        }
    }
    // Imports come first in a module.
    let (imports, rest): (Vec<&str>, Vec<&str>) = fields.lines().partition(|line| line.starts_with("(import "));
    let module = format!("(module\n{}\n{text}\n{}\n)", imports.join("\n"), rest.join("\n"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit/1.0.0")).expect("the WIT is valid");
    let world = resolve.select_world(&[package], Some(world)).expect("a world of the package");
    let mut core = wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata");
    let mut encoder = ComponentEncoder::default().validate(true).module(&core).expect("a module for this world");
    encoder.encode().expect("a component")
}

/// Two proved backups off-site, the older one past a retention of one day; returns their names, oldest first.
pub fn two_days(site: &mut Site) -> Vec<String> {
    site.edit("daily = { at = \"02:00\", keep = 7 }", "daily = { at = \"02:00\", keep = 1 }");
    site.edit("weekly = { on = \"sunday\", at = \"03:00\", keep = 4 }", "weekly = false");
    site.edit("monthly = { on = 1, at = \"04:00\", keep = 12 }", "monthly = false");
    let mut names = Vec::new();
    for day in [5, 6] {
        site.clock(&format!("2031-05-{day:02}T10:00:00Z"));
        site.write("srv/docs/day.txt", format!("day {day}\n"));
        names.push(site.backup());
        site.ok(&["backup", "replicate-all"]);
        site.ok(&["backup", "verify-all"]);
    }
    names
}

/// What a question answers: its exit code is as expected and its text holds every word. Findings are no errors.
#[track_caller]
pub fn shows(site: &Site, code: i32, arguments: &[&str], words: &[&str]) {
    let answer = site.run(arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&answer.out), answer.err);
    assert_eq!(answer.code, code, "{answer}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in {answer}");
    }
}
