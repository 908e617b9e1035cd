//! `componentize CORE.wasm COMPONENT.wasm`: makes a component of a core module.
//!
//! The module carries the description of its world in a custom section, put there by wit-bindgen for Rust or for C. What
//! comes out is checked to be a valid component, and is the same for the same input.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: componentize CORE.wasm COMPONENT.wasm");
        return ExitCode::from(2);
    };
    match componentize(Path::new(from), Path::new(to)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("componentize: {why}");
            ExitCode::FAILURE
        }
    }
}

fn componentize(from: &Path, to: &Path) -> Result<(), String> {
    let module = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    // Should the module import something of WASI, this says which function: there is no adapter, since policies get none.
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{}: {error:#}", from.display()))?;
    fs::write(to, component).map_err(|error| format!("{}: {error}", to.display()))
}
