//! stdout and stderr: data and talk.

use std::io::{BufRead, ErrorKind, Write};

use backstop_model::{Advice, ExitCode, Fault, Timestamp};
use serde::Serialize;

use super::tree::GlobalOptions;
use super::words::{Look, Tone};

/// What stands behind the standard streams, as wire sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console {
    /// Standard input is a terminal.
    pub input_is_terminal: bool,
    /// Standard output is a terminal.
    pub output_is_terminal: bool,
    /// Standard error is a terminal.
    pub error_is_terminal: bool,
    /// The environment asks for no colours (`NO_COLOR`, or a dumb terminal).
    pub no_color: bool,
}

/// The streams and how to use them.
pub struct Screen {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    input: Box<dyn BufRead + Send>,
    console: Console,
    /// Print data as JSON.
    pub json: bool,
    /// Say only what was asked for.
    pub quiet: bool,
    /// Say more.
    pub verbose: u8,
    /// Nobody reads standard output any more.
    closed: bool,
    /// Data could not be written.
    lost: bool,
    /// Where the configuration is wrong, for the next fault.
    places: Vec<String>,
    /// The first thing that went wrong: message and hint.
    first: Option<(String, String)>,
}

/// Standard output, for those who write by themselves.
struct Out<'a> {
    screen: &'a mut Screen,
}

impl Out<'_> {
    fn note<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        let gone = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        self.screen.closed |= gone;
        result
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.screen.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.screen.out.flush();
        self.note(flushed)
    }
}

/// A document with its schema's name first.
#[derive(Serialize)]
struct Document<'a, T: Serialize> {
    schema: String,
    #[serde(flatten)]
    body: &'a T,
}

/// The last line of stderr when something went wrong.
#[derive(Serialize)]
struct ExitError<'a> {
    message_type: &'a str,
    code: u8,
    message: &'a str,
    hint: &'a str,
}

/// A line of long work.
#[derive(Serialize)]
struct Event<'a, T: Serialize> {
    message_type: &'a str,
    schema: String,
    #[serde(flatten)]
    body: &'a T,
}

impl Screen {
    /// The streams of this process.
    pub fn standard(console: Console) -> Self {
        let out = std::io::BufWriter::new(std::io::stdout());
        Self::new(
            Box::new(out),
            Box::new(std::io::stderr()),
            Box::new(std::io::BufReader::new(std::io::stdin())),
            console,
        )
    }

    /// Given streams.
    pub fn new(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        input: Box<dyn BufRead + Send>,
        console: Console,
    ) -> Self {
        Self {
            out,
            err,
            input,
            console,
            json: false,
            quiet: false,
            verbose: 0,
            closed: false,
            lost: false,
            places: Vec::new(),
            first: None,
        }
    }

    /// Takes over what the operator asked for.
    pub fn obey(&mut self, options: &GlobalOptions) {
        self.json = options.json;
        self.quiet = options.quiet;
        self.verbose = options.verbose;
        self.console.no_color |= options.no_color;
    }

    /// How text on standard output is to look.
    pub fn look(&self, now: Timestamp) -> Look {
        let colour = self.console.output_is_terminal && !self.console.no_color;
        Look { colour, verbose: self.verbose, now }
    }

    /// Whether somebody can be asked.
    pub fn is_interactive(&self) -> bool {
        self.console.input_is_terminal && self.console.error_is_terminal
    }

    /// Whether progress can be drawn.
    pub fn draws_progress(&self) -> bool {
        self.console.error_is_terminal && !self.quiet && !self.json
    }

    /// Prints an answer: one document, or text.
    pub fn answer<T: Serialize>(&mut self, name: &str, answer: &T, text: impl FnOnce() -> String) {
        if self.json {
            let document = Document { schema: format!("backstop/{name}/v1"), body: answer };
            self.json_line(&document);
        } else {
            self.text(&text());
        }
    }

    /// Prints what came of long work: its last line of JSON, or text.
    pub fn outcome<T: Serialize>(&mut self, name: &str, outcome: &T, text: impl FnOnce() -> String) {
        if self.json { self.event("summary", name, outcome) } else { self.text(&text()) }
    }

    /// Prints a line of long work, in JSON only.
    pub fn event<T: Serialize>(&mut self, kind: &str, name: &str, body: &T) {
        let event = Event { message_type: kind, schema: format!("backstop/{name}/v1"), body };
        self.json_line(&event);
    }

    fn json_line(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => self.text(&line),
            Err(error) => {
                let fault = Fault::new(ExitCode::Failed, Advice::CallAPerson, format!("no JSON for this: {error}"), "");
                self.fault(&fault);
            }
        }
    }

    /// Prints data, ended by a line feed.
    pub fn text(&mut self, text: &str) {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.raw(&mut |out| write!(out, "{text}{end}"));
    }

    /// Writes data as it is. A reader that went away is no error: it has what it wanted.
    pub fn raw(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>) {
        if self.closed {
            return;
        }
        match write(&mut self.out) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => {
                self.closed = true;
                self.lost = true;
                self.say(&format!("error: cannot write to standard output: {error}"));
            }
        }
    }

    /// Where data goes, for those who write it themselves.
    pub fn out(&mut self) -> impl Write + '_ {
        Out { screen: self }
    }

    /// Whether nobody reads standard output any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Talks, unless asked to be quiet.
    pub fn tell(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    fn say(&mut self, text: &str) {
        // There is nobody left to tell when this fails.
        let _ = writeln!(self.err, "{text}");
    }

    /// Asks, and reads a line. `None` at the end of input.
    pub fn ask(&mut self, question: &str) -> Option<String> {
        let _ = write!(self.err, "{question}");
        let _ = self.err.flush();
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(read) if read > 0 => Some(line.trim().to_owned()),
            // The input ended where an answer was expected: what is said next begins on a line of its own.
            _ => {
                let _ = writeln!(self.err);
                None
            }
        }
    }

    /// Shows these lines below the next fault.
    pub fn point_out(&mut self, lines: Vec<String>) {
        self.places = lines;
    }

    /// Says what went wrong and what to do about it.
    pub fn fault(&mut self, fault: &Fault) {
        self.flush();
        self.first.get_or_insert_with(|| (fault.message.clone(), fault.hint.clone()));
        let colour = self.console.error_is_terminal && !self.console.no_color;
        let look = Look { colour, verbose: 0, now: Timestamp::UNIX_EPOCH };
        self.say(&format!("{} {}", look.paint(Tone::Bad, "error:"), fault.message));
        for line in std::mem::take(&mut self.places) {
            self.say(&line);
        }
        if !fault.hint.is_empty() {
            self.say(&format!("{} {}", look.paint(Tone::Strong, "hint:"), fault.hint));
        }
    }

    /// Brings everything out; whoever reads JSON is told on the last line of stderr how it ended, unless all is well.
    pub fn end(&mut self, code: ExitCode) -> ExitCode {
        self.flush();
        let code = if self.lost && code == ExitCode::Ok { ExitCode::Failed } else { code };
        if self.json && code != ExitCode::Ok {
            let words = ExitCode::TABLE.iter().find(|(known, ..)| *known == code).map_or("", |(.., words)| words);
            let (message, hint) = self.first.take().unwrap_or_else(|| (words.to_owned(), String::new()));
            self.exit_error(code, &message, &hint);
        }
        code
    }

    fn exit_error(&mut self, code: ExitCode, message: &str, hint: &str) {
        let error = ExitError { message_type: "exit_error", code: code.number(), message, hint };
        if let Ok(line) = serde_json::to_string(&error) {
            self.say(&line);
        }
    }

    /// What the parser has to say: help and version on stdout, mistakes on stderr.
    pub fn clap(&mut self, error: &clap::Error, json: bool) -> ExitCode {
        let text = error.render();
        if error.use_stderr() {
            let colour = self.console.error_is_terminal && !self.console.no_color;
            let shown = if colour { text.ansi().to_string() } else { text.to_string() };
            self.say(shown.trim_end());
            if json {
                let words = text.to_string();
                let first = words.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.exit_error(ExitCode::Usage, &first, "");
            }
            return ExitCode::Usage;
        }
        let colour = self.console.output_is_terminal && !self.console.no_color;
        self.text(&if colour { text.ansi().to_string() } else { text.to_string() });
        self.flush();
        ExitCode::Ok
    }

    /// Brings out what was written.
    pub fn flush(&mut self) {
        self.raw(&mut |out| out.flush());
    }
}
