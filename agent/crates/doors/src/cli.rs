//! The command line.
//!
//! `tree` says what can be written (one file per noun), `help` holds the examples and exit codes of every verb,
//! `query` calls verbs that only look or record, `act` those that work for a while, `show` turns answers into text.
//! stdout is data, stderr is talk; with `--json` a query prints exactly one document, and long work a line per event.

mod act;
mod ask;
mod help;
mod manual;
mod policy;
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
    screen.end(code)
}

fn dispatch(cli: tree::Cli, wire: &dyn Wiring, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let options = &cli.options;
    match cli.command {
        tree::Command::Completions(arguments) => manual::completions(&arguments, screen),
        tree::Command::Man(arguments) => manual::man(&arguments, options, wire, screen),
        tree::Command::Doctor => query::doctor(options, wire, screen),
        tree::Command::Config(tree::Config::Check) => query::config_check(options, wire, screen),
        tree::Command::Policy(verb) if policy::is_loose(&verb) => policy::loose(&verb, options, wire, screen),
        command => {
            let ctx = wire.context(options).inspect_err(|fault| query::point_out(fault, options, wire, screen))?;
            let call = Call { ctx: &ctx, options, wire };
            let done = match query::query(&call, command, screen) {
                Ok(query::Asked::Answered(code)) => Ok(code),
                Ok(query::Asked::Not(command)) => act::act(&call, *command, screen),
                Err(fault) => Err(fault),
            };
            policy::flush(&call, screen);
            done
        }
    }
}

/// What a verb is called with.
struct Call<'a> {
    ctx: &'a Context,
    options: &'a GlobalOptions,
    wire: &'a dyn Wiring,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A process whose configuration is broken, and that may have been asked to stop.
    struct Broken {
        fault: Fault,
        stop: Option<ExitCode>,
    }

    impl Wiring for Broken {
        fn outside(&self, _: &GlobalOptions) -> Result<Outside, Fault> {
            Err(self.fault.clone())
        }
        fn context(&self, _: &GlobalOptions) -> Result<Context, Fault> {
            Err(self.fault.clone())
        }
        fn stop(&self) -> Option<ExitCode> {
            self.stop
        }
        fn console(&self) -> Console {
            Console::default()
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panics").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Runs a command line; returns the code, stdout and stderr.
    fn ran(line: &str, wire: &Broken) -> (u8, String, String) {
        let (out, err) = (Sink::default(), Sink::default());
        let mut screen =
            Screen::new(Box::new(out.clone()), Box::new(err.clone()), Box::new(std::io::empty()), wire.console());
        let words: Vec<OsString> = std::iter::once("backstop").chain(line.split_whitespace()).map(Into::into).collect();
        let code = run_on(&words, wire, &mut screen).number();
        let text = |sink: &Sink| String::from_utf8(sink.0.lock().expect("no panics").clone()).expect("UTF-8");
        (code, text(&out), text(&err))
    }

    fn broken() -> Broken {
        Broken { fault: Fault::not_found("there is no vault `x`", "configured are: main"), stop: None }
    }

    #[test]
    fn a_fault_is_said_once_with_its_hint_and_nothing_goes_to_stdout() {
        let (code, out, err) = ran("status", &broken());
        assert_eq!((code, out.as_str()), (10, ""));
        assert_eq!(err, "error: there is no vault `x`\nhint: configured are: main\n");
    }

    #[test]
    fn with_json_the_last_line_of_stderr_says_how_it_ended() {
        let (code, out, err) = ran("status --json", &broken());
        assert_eq!((code, out.as_str()), (10, ""));
        let last = err.lines().last().expect("there is one");
        let expected = r#"{"message_type":"exit_error","code":10,"message":"there is no vault `x`","hint":"configured are: main"}"#;
        assert_eq!(last, expected);
    }

    #[test]
    fn a_command_line_that_makes_no_sense_ends_with_2_and_help_with_0() {
        let (code, out, err) = ran("backup trigger", &broken());
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("<WORKLOAD>"), "{err}");
        let (code, _, err) = ran("backup nonsense --json", &broken());
        assert_eq!(code, 2);
        assert!(err.lines().last().is_some_and(|last| last.contains(r#""code":2"#)), "{err}");
        let (code, out, err) = ran("backup trigger --help", &broken());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("Exit codes:"), "{out}");
    }

    #[test]
    fn an_interruption_ends_with_the_code_of_its_signal() {
        let stop = Some(ExitCode::Terminated);
        assert_eq!(ran("status", &Broken { fault: Fault::interrupted(), stop }).0, 143);
        assert_eq!(ran("status", &Broken { fault: Fault::interrupted(), stop: None }).0, 130);
    }

    #[test]
    fn completions_and_the_manual_need_nothing_from_outside() {
        let (code, out, _) = ran("completions bash", &broken());
        assert!(code == 0 && out.contains("backstop"));
        let (code, out, _) = ran("man", &broken());
        assert!(code == 0 && out.contains(".TH"));
    }
}
