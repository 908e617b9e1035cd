//! `bindings generate WIT-DIR WORLD OUT-DIR` writes WORLD.h, WORLD.c and WORLD_component_type.o.
//! `bindings componentize CORE.wasm COMPONENT.wasm` makes a component of what was linked from them.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_bindgen_c::Opts;
use wit_bindgen_core::Files;
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

/// The short names that interfaces get in C: `backstop_value_t` instead of `backstop_policy_types_value_t`.
const NAMES: [(&str, &str); 8] = [
    ("types", "backstop"),
    ("log", "log"),
    ("http", "http"),
    ("probes", "probes"),
    ("retention-rules", "retention"),
    ("validation-rules", "validation"),
    ("alert-delivery", "alert"),
    ("health-rules", "health"),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", wit, world, out] => generate(wit.as_ref(), world, out.as_ref()),
        ["componentize", core, component] => componentize(core.as_ref(), component.as_ref()),
        _ => bail!("usage: bindings generate WIT-DIR WORLD OUT-DIR | bindings componentize CORE.wasm COMPONENT.wasm"),
    }
}

fn generate(wit: &Path, world: &str, out: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let items = resolve.worlds[world].imports.keys().chain(resolve.worlds[world].exports.keys());
    let present: Vec<String> = items.map(|item| resolve.name_world_key(item)).collect();
    let rename = NAMES.map(|(interface, name)| (format!("backstop:policy/{interface}@1.0.0"), name.to_owned()));
    let rename = rename.into_iter().filter(|(interface, _)| present.contains(interface)).collect();
    let options = Opts { rename, ..Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for (name, bytes) in files.iter() {
        fs::write(out.join(name), bytes).with_context(|| name.to_owned())?;
    }
    Ok(())
}

fn componentize(core: &Path, component: &Path) -> Result<()> {
    let module = fs::read(core).with_context(|| core.display().to_string())?;
    // There is no adapter for WASI, since policies get none: should the module import something of it, this says what.
    let bytes = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    fs::write(component, bytes).with_context(|| component.display().to_string())
}
