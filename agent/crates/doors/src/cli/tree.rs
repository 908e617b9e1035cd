//! What can be written on the command line. One file per noun below.

mod backup;
mod dr;
mod policy;
mod protect;
mod system;
mod vault;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use backup::{Backup, Delete, Restore, Trigger, WorkloadArg};
pub use dr::{Days, Dr};
pub use policy::{Alert, Approval, Policy};
pub use protect::Configure;
pub use system::{Agenda, Audit, Completions, Config, Man, Run, Undo};
pub use vault::{Key, Vault};

/// Back up, copy, prove, restore.
///
/// Backstop keeps copies of directories in deduplicating, encrypted vaults, and shows that each copy comes back by
/// restoring it. It never says more than was shown: every copy carries the level it was proved to, and when.
#[derive(Debug, Parser)]
#[command(name = "backstop", version, propagate_version = false, subcommand_required = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub options: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// What every verb understands.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Where the configuration is [default: /etc/backstop, or the user's own]
    #[arg(long, global = true, env = "BACKSTOP_CONFIG_DIR", value_name = "DIR", hide_env_values = true)]
    pub config_dir: Option<PathBuf>,
    /// Where the catalog is, instead of what the configuration says
    #[arg(long, global = true, env = "BACKSTOP_STATE_DIR", value_name = "DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Print data as JSON: one document for a question, a line per event for long work
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what was asked for and what went wrong
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more; twice, still more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No colours, even on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Do not ask before something is replaced or removed
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, verify, copy, restore and release backups
    #[command(subcommand)]
    Backup(Backup),
    /// Undo a restore
    #[command(subcommand)]
    Restore(Undo),
    /// Rehearse recovery, and see what rehearsals have shown
    #[command(subcommand)]
    Dr(Dr),
    /// Show what is due, and why; or do it
    ///
    /// Compares what the configuration promises with what the evidence shows: a backup missing, a copy missing, a
    /// proof too old, a rehearsal overdue, backups past retention. With `--run` it does what is due, most urgent
    /// first, through the same verbs that are typed by hand.
    Agenda(Agenda),
    /// See, resume or undo attempts
    #[command(subcommand)]
    Run(Run),
    /// Make and look after vaults, where bytes are kept
    #[command(subcommand)]
    Vault(Vault),
    /// Write, try, look at and simulate the rules of this site
    #[command(subcommand)]
    Policy(Policy),
    /// Approve what somebody else asked for
    #[command(subcommand)]
    Approval(Approval),
    /// See alerts, and whether they arrive
    #[command(subcommand)]
    Alert(Alert),
    /// Look after the catalog, the agent's memory
    #[command(subcommand)]
    Catalog(Catalog),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Show how every workload stands
    ///
    /// For each workload: the newest backup and what its loss would cost now, where its copies are, how old the oldest
    /// proof is, when recovery was last rehearsed, what is due. Reads only the catalog, so it is quick.
    Status(WorkloadArg),
    /// Look for whatever would make a backup or a restore fail
    ///
    /// Checks the configuration, the state directory, the catalog's file, the clock, the audit log, every key and
    /// vault, the room left on disks, the paths of every workload, interrupted and stuck runs, and what was left
    /// behind. Each finding says what to do.
    Doctor,
    /// Read and check the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Print completions for a shell
    ///
    /// Prints a script that completes verbs and options. Where it goes depends on the shell.
    Completions(Completions),
    /// Print or write manual pages
    ///
    /// Without a directory, prints the main page. With one, writes a page for every verb into it.
    Man(Man),
}

/// `catalog …`
#[derive(Debug, Subcommand)]
pub enum Catalog {
    /// Make the catalog's backups anew from what the vaults hold
    ///
    /// Vaults describe themselves, so a lost or damaged catalog costs only its history. Records of backups and copies
    /// are written anew from every configured vault; holds, and proofs that can still be read, stay.
    Rebuild,
}

/// The whole tree with help, examples and exit codes.
pub fn command() -> clap::Command {
    super::help::complete(Cli::command())
}

/// Parses arguments, the program's name first.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}
