//! `agenda`, `run …`, `restore …`, `config …`, `audit …`, `completions`, `man`.

use std::path::PathBuf;

use backstop_model::{RunId, WorkloadName};
use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::cli::values::{self, When};

/// `restore …`
#[derive(Debug, Subcommand)]
pub enum Undo {
    /// Put the old tree back after a restore in place
    ///
    /// A restore in place keeps the tree it replaced. This exchanges the two again, in one step. What changed in the
    /// restored tree since then is in the tree that is put aside.
    Undo(UndoRestore),
}

#[derive(Debug, Args)]
pub struct UndoRestore {
    /// The workload
    pub workload: WorkloadName,
    /// The run of the restore, instead of the newest
    #[arg(long, value_name = "RUN")]
    pub run: Option<RunId>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct Agenda {
    /// Do what is due
    #[arg(long)]
    pub run: bool,
}

/// `run …`
#[derive(Debug, Subcommand)]
pub enum Run {
    /// List attempts
    ///
    /// Newest first: what for, on what, how it ended, how long it took.
    List(RunList),
    /// Show one attempt: its plan, its steps, its journal
    ///
    /// Says for every step how far it got and why it failed, and what can be done about a run that is stuck.
    Show(RunShow),
    /// Undo an interrupted or stuck attempt
    ///
    /// Undoes what was begun, the last step first. What was complete and visible stays.
    Cancel(Settle),
    /// Go on with an interrupted or stuck attempt
    ///
    /// Goes on after the last step that is known to be done. Steps are safe to repeat. `--skip` passes over a step that
    /// was settled by hand.
    Resume(Settle),
}

#[derive(Debug, Args)]
pub struct RunList {
    /// Only of this workload
    pub workload: Option<WorkloadName>,
    /// Only those begun since
    #[arg(long, value_name = "TIME", value_parser = values::when)]
    pub since: Option<When>,
    /// Only those that did not end
    #[arg(long)]
    pub open: bool,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct RunShow {
    /// The run: its id, or as much of it as fits no other
    pub run: String,
}

#[derive(Debug, Args)]
pub struct Settle {
    /// The run: its id, or as much of it as fits no other
    pub run: String,
    /// A step that was settled by hand; may be given several times
    #[arg(long, value_name = "STEP")]
    pub skip: Vec<u32>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check every file of the configuration
    ///
    /// Names every mistake with file, line and column, and what is valid but may have been overlooked. Needs no catalog
    /// and opens no vault.
    Check,
    /// Show the configuration in force, every default spelled out
    ///
    /// Prints TOML that loads again to the same configuration. Secrets appear as their references only.
    Show,
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show who did what, when and why
    ///
    /// Newest first.
    Show(AuditShow),
    /// Check that the log is as it was written
    ///
    /// Every entry carries a digest over the one before it. A changed, removed or inserted entry shows.
    Verify,
}

#[derive(Debug, Args)]
pub struct AuditShow {
    /// Only since then
    #[arg(long, value_name = "TIME", value_parser = values::when)]
    pub since: Option<When>,
    /// Only this verb, as `backup hold`
    #[arg(long, value_name = "VERB")]
    pub verb: Option<String>,
    /// Only about exactly this
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for every verb into this directory
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
