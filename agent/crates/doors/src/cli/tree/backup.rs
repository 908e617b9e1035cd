//! `backup …`

use std::path::PathBuf;

use backstop_model::plan::Overwrite;
use backstop_model::{Level, Mode, Place, ReplicationState, Span, Tier, WorkloadName};
use clap::{Args, Subcommand};

use super::protect::{ConfigShow, Configure, Disable};
use crate::cli::values::{self, When};

/// Verbs about backups.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Protect directories, or change how they are protected
    ///
    /// Writes the file of one workload below `conf.d` in the configuration directory. The whole configuration is
    /// checked with it first; if anything is wrong, nothing is written. Only what is named changes; comments stay.
    Configure(Configure),
    /// Stop backing up a workload on schedule
    ///
    /// Its backups stay where they are, nothing of them is released, and they are still verified and restored on
    /// request. `backup configure NAME --enable` puts it on schedule again.
    Disable(Disable),
    /// Show how a workload is protected, every default spelled out
    ///
    /// Paths, tiers and how many of each are kept, objectives, places of copies, promises about proofs and rehearsals,
    /// and when the next backup is due.
    ConfigShow(ConfigShow),
    /// Make a backup now
    ///
    /// Reads what changed since the last backup and writes it to the home vault. The tiers follow from the calendar:
    /// the first backup of a day, week and month holds that tier. What cannot be read is reported and the backup is
    /// then partial; it is never silently left out. Copies to other places are made by the agenda.
    Trigger(Trigger),
    /// List backups: size, where the copies are, what is proved
    ///
    /// Groups by tier, newest first. The last column is the highest level that a copy of the backup stands at and when
    /// that was shown; a copy that failed a check since says so.
    List(List),
    /// Show one backup: copies, every proof, why it is kept
    ///
    /// Lists each copy with all its checks, says why retention keeps the backup and until when, and with `--contents`
    /// reads from a vault what is in it.
    Show(Show),
    /// Bring a workload back, whole or in parts
    ///
    /// Without `--to`, restores in place: the tree is restored beside the live one, compared, and exchanged with it in
    /// one step; the old tree is kept and `backstop restore undo` brings it back. With `--to`, restores into that
    /// directory; files that are there stay unless `--overwrite` says otherwise.
    Restore(Restore),
    /// Copy one backup to another place
    ///
    /// Copies to the places the schedule names, or to `--to`. Bytes that the place has already are not sent again. The
    /// copy starts without proofs: those of other copies do not count for it.
    Replicate(Replicate),
    /// Copy every backup that lacks a copy
    ///
    /// Looks at one workload, or all, and makes the copies that the schedule promises and that are missing.
    ReplicateAll(ReplicateAll),
    /// Show which places have which copies, and how far behind they are
    ///
    /// Per place: copies, what is missing, and what would be lost if only that place were left. Then what is on its
    /// way with its pace, what failed, and what was completed.
    ReplicationStatus(WorkloadArg),
    /// List single replications
    ///
    /// Newest first, with progress, pace and time left of those under way.
    ReplicationJobs(ReplicationJobs),
    /// Prove the copies of a backup
    ///
    /// Checks every copy of the backup, or the one at `--place`, up to `--level`: L0 present, L1 intact (every byte
    /// authenticated), L2 attachable (restored into scratch space), L3 consistent (compared entry by entry). Records a
    /// dated proof for each copy, passed or not.
    Verify(Verify),
    /// Prove every copy whose proof is missing or too old
    ///
    /// Looks at one workload, or all, and proves what the schedule promises. With `--again` also what is fresh.
    VerifyAll(VerifyAll),
    /// Report what is proved, and which checks failed
    ///
    /// Per workload: backups and copies proved to the promised level, the rate of checks that passed with the share
    /// those counts support at 95 % confidence, and every failed check with what to do about it.
    VerificationReport(super::Days),
    /// Release backups: into the trash, and after a while for ever
    ///
    /// Names the backups, or with `--expired` those past retention. A release passes the delete firewall: the newest
    /// good backup, the last copy outside the home region, anything held, and more than the limits allow stay. What was
    /// released can be brought back until its window ends.
    Delete(Delete),
    /// Bring a released backup back from the trash
    ///
    /// Works until the window ends, which `backup list --trash` shows.
    Undelete(Undelete),
    /// Keep backups whatever retention says
    ///
    /// A hold lasts until `backup release-hold`. The reason is kept with the backup and in the audit log.
    Hold(Hold),
    /// End the hold of backups
    ///
    /// Retention decides about them again. The audit log keeps who ended it and why.
    ReleaseHold(ReleaseHold),
    /// Search backups by name, workload, tier or day
    ///
    /// Looks into the catalog only: part of a name, part of a workload's name, a tier, a month as `2026-05` or a day
    /// as `2026-05-20`.
    Search(Search),
    /// Find which backups hold a path, and in which versions
    ///
    /// Reads the lists of contents, not the contents. A pattern that begins with `/` means a whole path, another the
    /// end of one; `*`, `?`, `**`, `[a-z]` and `{a,b}` work.
    Find(Find),
    /// Show what changed between two backups
    ///
    /// Compares the lists of contents of two backups at a place that holds both.
    Diff(Diff),
    /// Print one file of a backup
    ///
    /// Writes the file to standard output. Every byte is authenticated before it is written.
    Cat(Cat),
}

/// A workload, or all.
#[derive(Debug, Args)]
pub struct WorkloadArg {
    /// Only this workload
    #[arg(value_name = "WORKLOAD")]
    pub workload: Option<WorkloadName>,
}

#[derive(Debug, Args)]
pub struct Trigger {
    /// The workload
    pub workload: WorkloadName,
    /// This tier, instead of what the calendar says
    #[arg(long)]
    pub tier: Option<Tier>,
    /// full, incremental or differential
    #[arg(long, value_parser = values::mode)]
    pub mode: Option<Mode>,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only this workload
    pub workload: Option<WorkloadName>,
    /// Only those that hold this tier
    #[arg(long)]
    pub tier: Option<Tier>,
    /// Only those not older than this: `7d`, or a date
    #[arg(long, value_name = "TIME", value_parser = values::when)]
    pub since: Option<When>,
    /// Only those no copy of which is proved to the promised level
    #[arg(long)]
    pub unverified: bool,
    /// Only those past retention, now or within this time
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "7d")]
    pub expiring: Option<Span>,
    /// What is in the trash, instead of what is kept
    #[arg(long)]
    pub trash: bool,
    /// The newest so many; 0 is all
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The backup: its name, or as much of it as fits no other
    pub backup: String,
    /// Also read from a vault what is in it
    #[arg(long)]
    pub contents: bool,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The workload
    pub workload: WorkloadName,
    /// This backup, instead of the newest
    #[arg(long, value_name = "NAME", conflicts_with_all = ["at", "interactive"])]
    pub backup: Option<String>,
    /// The newest that is not younger than this
    #[arg(long, value_name = "TIME", value_parser = values::when, conflicts_with = "interactive")]
    pub at: Option<When>,
    /// Choose from a list
    #[arg(long)]
    pub interactive: bool,
    /// Into this directory, instead of in place
    #[arg(long, value_name = "PATH")]
    pub to: Option<PathBuf>,
    /// Only what fits this pattern; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Not what fits this pattern; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// What happens to files that are there: never, if-newer or always
    #[arg(long, value_parser = values::overwrite, default_value = "never")]
    pub overwrite: Overwrite,
    /// From this copy, as `vault:offsite`
    #[arg(long, value_name = "PLACE")]
    pub from: Option<Place>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Replicate {
    /// The backup
    pub backup: String,
    /// To this place, as `vault:offsite`
    #[arg(long, value_name = "PLACE", conflicts_with = "target_region")]
    pub to: Option<Place>,
    /// To the vault in this region, of several the one in `copies`
    #[arg(long, value_name = "REGION")]
    pub target_region: Option<String>,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ReplicateAll {
    /// Only this workload
    pub workload: Option<WorkloadName>,
    /// To this place, as `vault:offsite`
    #[arg(long, value_name = "PLACE", conflicts_with = "target_region")]
    pub to: Option<Place>,
    /// To the vault in this region, of several the one in `copies`
    #[arg(long, value_name = "REGION")]
    pub target_region: Option<String>,
    /// How many workloads at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub max_parallel: usize,
    /// Only show the plans
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ReplicationJobs {
    /// Only this workload
    pub workload: Option<WorkloadName>,
    /// Only these: pending, in_progress, completed or failed
    #[arg(long)]
    pub status: Option<ReplicationState>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The backup
    pub backup: String,
    /// Only the copy at this place
    #[arg(long, value_name = "PLACE")]
    pub place: Option<Place>,
    /// Up to this level: L0, L1, L2 or L3
    #[arg(long)]
    pub level: Option<Level>,
    /// Share of the bytes to read at L1, in percent
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, default_value = "100")]
    pub sample: u32,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct VerifyAll {
    /// Only this workload
    pub workload: Option<WorkloadName>,
    /// Only copies at this place
    #[arg(long, value_name = "PLACE")]
    pub place: Option<Place>,
    /// Up to this level: L0, L1, L2 or L3
    #[arg(long)]
    pub level: Option<Level>,
    /// Share of the bytes to read at L1, in percent
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, default_value = "100")]
    pub sample: u32,
    /// Also copies whose proof is fresh
    #[arg(long)]
    pub again: bool,
    /// How many workloads at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub max_parallel: usize,
    /// Only show the plans
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["backups", "expired"]))]
pub struct Delete {
    /// The backups
    #[arg(value_name = "BACKUP")]
    pub backups: Vec<String>,
    /// Those past retention
    #[arg(long)]
    pub expired: bool,
    /// With `--expired`: only of this workload
    #[arg(long, value_name = "WORKLOAD", requires = "expired")]
    pub workload: Option<WorkloadName>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Undelete {
    /// The backup
    pub backup: String,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct Hold {
    /// The backups
    #[arg(required = true, value_name = "BACKUP")]
    pub backups: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct ReleaseHold {
    /// The backups
    #[arg(required = true, value_name = "BACKUP")]
    pub backups: Vec<String>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct Search {
    /// What to look for
    pub text: String,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Find {
    /// A path or pattern
    pub pattern: String,
    /// Only in backups of this workload
    #[arg(long, value_name = "WORKLOAD")]
    pub workload: Option<WorkloadName>,
    /// Only in backups not older than this
    #[arg(long, value_name = "TIME", value_parser = values::when)]
    pub since: Option<When>,
    /// At most so many paths
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The first backup
    pub a: String,
    /// The second backup
    pub b: String,
    /// At most so many differences are listed; all are counted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct Cat {
    /// The backup
    pub backup: String,
    /// The file, as an absolute path
    pub path: PathBuf,
    /// From this copy, as `vault:offsite`
    #[arg(long, value_name = "PLACE")]
    pub from: Option<Place>,
}
