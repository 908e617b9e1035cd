//! Puts the templates of `policy new`, and the WIT they build against, into the program.
#![allow(clippy::disallowed_methods, reason = "a build script reads the tree it builds")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What building in place leaves behind.
const LEFT_BEHIND: [&str; 6] = ["target", "node_modules", "generated", "build-tools", ".venv", "__pycache__"];

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.join("../../..").canonicalize().expect("the workspace stands above");
    let (templates, wit) = (root.join("plugins/templates"), root.join("wit/1.0.0"));
    let mut found = Vec::new();
    walk(&templates, &templates, "", &mut found);
    walk(&wit, &wit, "wit/", &mut found);
    found.sort();
    let mut out =
        String::from("/// Path below the templates, contents, mode.\nconst TEMPLATES: &[(&str, &[u8], u32)] = &[\n");
    for (name, path, mode) in found.iter().filter(|(name, ..)| name.contains('/')) {
        writeln!(out, "    ({name:?}, include_bytes!({path:?}), {mode:#o}),").expect("a string grows");
    }
    out.push_str("];\n");
    let target = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("templates.rs");
    std::fs::write(target, out).expect("the output directory can be written");
    // The template for Rust holds the SDK and the toolchain as links, and a change behind a link is not noticed.
    let linked = ["plugins/sdk/src", "plugins/sdk/Cargo.toml", "plugins/toolchain"].map(|path| root.join(path));
    for dir in [templates, wit].into_iter().chain(linked) {
        println!("cargo:rerun-if-changed={}", dir.display());
    }
}

fn walk(top: &Path, dir: &Path, prefix: &str, found: &mut Vec<(String, String, u32)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !LEFT_BEHIND.contains(&name.as_ref()) {
                walk(top, &path, prefix, found);
            }
        } else if !name.ends_with(".wasm") {
            let below = path.strip_prefix(top).expect("below it").to_string_lossy().into_owned();
            let mode = if name == "build" { 0o755 } else { 0o644 };
            found.push((format!("{prefix}{below}"), path.to_string_lossy().into_owned(), mode));
        }
    }
}
