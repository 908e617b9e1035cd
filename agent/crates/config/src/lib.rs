//! From bytes of TOML to a validated [`Config`], or to the complete list of what is wrong with them.
//!
//! No file is read here: an edge hands over the bytes ([`SourceFile`]), so that what was validated is what comes
//! into force. Three steps, each in its own file: `draft` reads the shape of every file and remembers where each
//! value stands; `check` looks at all of them together; [`problem`] says what is wrong, where and what to do.
//! Nothing stops at the first mistake.
//!
//! [`load`] is the entry point. [`compose`] writes the file of one workload for `backup configure` and `disable`;
//! [`diff`] tells two configurations apart and which differences weaken protection; [`show`] prints a configuration
//! with every default and override spelled out, in a form that loads again.
//!
//! Called by `ops` and the composition root. Touches no file, clock, randomness or environment.

mod check;
pub mod compose;
pub mod diff;
mod draft;
mod paths;
pub mod problem;
mod reader;
mod secret;
pub mod show;
mod suggest;

use std::path::PathBuf;

use backstop_model::config::Config;

pub use compose::{Keep, WorkloadSettings, compose};
pub use diff::{Change, Effect, diff};
pub use paths::is_excluded;
pub use problem::{Invalid, Problem};
pub use show::show;

/// The largest file that is looked at, in bytes. Ten thousand workloads in one file stay well below it.
pub const FILE_SIZE_MAX: usize = 16 << 20;

/// One file of the configuration directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as messages should name it.
    pub path: PathBuf,
    /// Its contents, read once.
    pub bytes: Vec<u8>,
}

/// The main file, then those of `conf.d` in bytewise order of their names. The order decides only which of two
/// clashing definitions is called the first.
pub type Files = Vec<SourceFile>;

/// What the command line decides over the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where the agent keeps its catalog, instead of what `state_dir` says.
    pub state_dir: Option<PathBuf>,
}

/// Reads, checks and resolves the configuration. No files at all is a configuration too: it protects nothing.
///
/// # Errors
/// Everything that is wrong, ordered by file and position. Defects of shape in any file come first and alone; names
/// and places are compared only once every file can be read, so that one mistake is not reported as several.
pub fn load(files: &[SourceFile], overrides: &Overrides) -> Result<Config, Invalid> {
    let sources = problem::Sources::new(files);
    let draft = draft::read(&sources);
    if sources.is_clean() {
        let config = check::resolve(&draft, overrides, &sources);
        if sources.is_clean() {
            return Ok(config);
        }
    }
    Err(sources.into_invalid())
}
