//! Parse, wire, hand over to a door; the exit code is the door's answer.

mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    match wire::Wire::new() {
        Ok(wire) => ExitCode::from(backstop_doors::cli::run(std::env::args_os(), &wire).number()),
        Err(error) => {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
