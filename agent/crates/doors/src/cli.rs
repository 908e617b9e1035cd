//! The command line.
//!
//! `tree` says what can be written (one file per noun), `help` holds the examples and exit codes of every verb,
//! `query` calls verbs that only look or record, `act` those that work for a while, `show` turns answers into text.
//! stdout is data, stderr is talk; with `--json` a query prints exactly one document, and long work a line per event.

mod act;
mod ask;
mod help;
mod manual;
mod progress;
mod query;
mod screen;
mod show;
mod table;
mod tree;
mod values;
mod words;

use std::ffi::OsString;

use backstop_model::{ExitCode, Fault};
use backstop_ops::{Context, Outside};

pub use screen::Console;
pub use tree::GlobalOptions;

use screen::Screen;

/// What the command line needs from outside. The composition root implements it.
pub trait Wiring: Sync {
    /// The outside alone: works with a broken configuration and without a catalog.
    ///
    /// # Errors
    /// When an edge cannot be made.
    fn outside(&self, options: &GlobalOptions) -> Result<Outside, Fault>;

    /// The outside with configuration and catalog.
    ///
    /// # Errors
    /// A configuration that is invalid, a catalog that cannot be opened.
    fn context(&self, options: &GlobalOptions) -> Result<Context, Fault>;

    /// The exit code of a clean stop, once the operator wants one. Cheap: asked with every tick of progress.
    fn stop(&self) -> Option<ExitCode>;

    /// What stands behind the standard streams.
    fn console(&self) -> Console;
}

/// Parses the arguments (the program's name first), carries out the verb, and says the exit code.
pub fn run(arguments: impl Iterator<Item = OsString>, wire: &dyn Wiring) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let mut screen = Screen::standard(wire.console());
    run_on(&arguments, wire, &mut screen)
}

/// The same on a given screen.
fn run_on(arguments: &[OsString], wire: &dyn Wiring, screen: &mut Screen) -> ExitCode {
    let cli = match tree::parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return screen.clap(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    screen.obey(&cli.options);
    let code = match dispatch(cli, wire, screen) {
        Ok(code) => code,
        Err(fault) => {
            // What was interrupted says so with the code of the signal.
            screen.fault(&fault);
            wire.stop().filter(|_| fault.code == ExitCode::Interrupted).unwrap_or(fault.code)
        }
    };
    screen.end(code);
    code
}

fn dispatch(cli: tree::Cli, wire: &dyn Wiring, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let options = &cli.options;
    match cli.command {
        tree::Command::Completions(arguments) => manual::completions(&arguments, screen),
        tree::Command::Man(arguments) => manual::man(&arguments, options, wire, screen),
        tree::Command::Doctor => query::doctor(options, wire, screen),
        tree::Command::Config(tree::Config::Check) => query::config_check(options, wire, screen),
        command => {
            let ctx = wire.context(options)?;
            let call = Call { ctx: &ctx, options, wire };
            match query::query(&call, command, screen)? {
                query::Asked::Answered(code) => Ok(code),
                query::Asked::Not(command) => act::act(&call, *command, screen),
            }
        }
    }
}

/// What a verb is called with.
struct Call<'a> {
    ctx: &'a Context,
    options: &'a GlobalOptions,
    wire: &'a dyn Wiring,
}
