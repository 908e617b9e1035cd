//! What is protected and how: the arguments of `backup configure`, `backup disable`, `backup config-show`.

use std::path::PathBuf;

use backstop_model::{Place, Span, WorkloadName};
use backstop_ops::configure::Keep;
use clap::Args;

use crate::cli::values;

#[derive(Debug, Args)]
pub struct Configure {
    /// The workload's name
    pub name: WorkloadName,
    /// A directory or file to protect; may be given several times
    #[arg(long, value_name = "DIR")]
    pub path: Vec<PathBuf>,
    /// A pattern of what to leave out; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// A pattern of disk images and database files; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub image: Vec<String>,
    /// Do not descend into other file systems
    #[arg(long)]
    pub one_file_system: bool,
    /// Leave out what is below a `CACHEDIR.TAG`
    #[arg(long)]
    pub exclude_caches: bool,
    /// The schedule it follows
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// How many days to keep, or `off`
    #[arg(long, value_name = "N", value_parser = values::keep)]
    pub daily_retention: Option<Keep>,
    /// How many weeks to keep, or `off`
    #[arg(long, value_name = "N", value_parser = values::keep)]
    pub weekly_retention: Option<Keep>,
    /// How many months to keep, or `off`
    #[arg(long, value_name = "N", value_parser = values::keep)]
    pub monthly_retention: Option<Keep>,
    /// Where backups are made first, as `vault:main`
    #[arg(long, value_name = "PLACE")]
    pub home: Option<Place>,
    /// Where they are copied to, as `vault:offsite`; may be given several times
    #[arg(long, value_name = "PLACE")]
    pub copy_to: Vec<Place>,
    /// Make no copies
    #[arg(long, alias = "no-cross-region", conflicts_with_all = ["copy_to", "target_region"])]
    pub no_copies: bool,
    /// Copy to another region; needs `--target-region`
    #[arg(long, requires = "target_region")]
    pub cross_region: bool,
    /// Copy to the vault that stands in this region
    #[arg(long, value_name = "REGION")]
    pub target_region: Option<String>,
    /// The most data that may be lost, as `24h`
    #[arg(long, value_name = "SPAN")]
    pub rpo: Option<Span>,
    /// The longest a restore may take, as `15m`
    #[arg(long, value_name = "SPAN")]
    pub rto: Option<Span>,
    /// A command that tells whether a restored tree is healthy; `{}` becomes its path
    #[arg(long, value_name = "COMMAND")]
    pub health: Option<String>,
    /// How long that command may take
    #[arg(long, value_name = "SPAN", default_value = "60s", requires = "health")]
    pub health_timeout: Span,
    /// No such command any more
    #[arg(long, conflicts_with = "health")]
    pub no_health: bool,
    /// Back it up on schedule again
    #[arg(long)]
    pub enable: bool,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Disable {
    /// The workload
    pub name: WorkloadName,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ConfigShow {
    /// The workload
    pub name: WorkloadName,
}
