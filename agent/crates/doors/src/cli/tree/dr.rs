//! `dr …`

use backstop_model::{Place, WorkloadName};
use clap::{Args, Subcommand};

use crate::cli::values;

/// Verbs about rehearsals.
#[derive(Debug, Subcommand)]
pub enum Dr {
    /// Rehearse the recovery of a workload
    ///
    /// Restores the newest backup, or the one named, into an empty place of its own, compares every entry with the
    /// backup's list, runs the configured health command, measures how long recovery took, and cleans up. The workload
    /// itself is not touched.
    Test(DrTest),
    /// Rehearse the recovery of every workload that promises it
    ///
    /// The same as `dr test`, one workload after the other.
    TestAll(TestAll),
    /// Show past rehearsals
    ///
    /// Newest first: whether it passed, how long recovery took against the objective, from which copy. Then the rate and
    /// what it supports.
    TestHistory(Days),
    /// Show how often rehearsals passed, and what that supports
    ///
    /// A rate alone promises too much. Beside it stands the share that the counts support at 95 % confidence: 36 of 36
    /// support 92 %, not 99.9 %.
    SuccessRate(Success),
}

#[derive(Debug, Args)]
pub struct DrTest {
    /// The workload
    pub workload: WorkloadName,
    /// This backup, instead of the newest
    #[arg(long, value_name = "NAME")]
    pub backup: Option<String>,
    /// From this copy, as `vault:offsite`
    #[arg(long, value_name = "PLACE", conflicts_with = "test_region")]
    pub from: Option<Place>,
    /// From the copy in the vault that stands in this region
    #[arg(long, value_name = "REGION")]
    pub test_region: Option<String>,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct TestAll {
    /// Only show the plans
    #[arg(long)]
    pub dry_run: bool,
}

/// A workload, or all, over some days.
#[derive(Debug, Args)]
pub struct Days {
    /// Only this workload
    pub workload: Option<WorkloadName>,
    /// Only this workload
    #[arg(long = "vm", value_name = "WORKLOAD", conflicts_with = "workload", hide = true)]
    pub vm: Option<WorkloadName>,
    /// The last so many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_600))]
    pub days: u32,
}

impl Days {
    /// The workload, whichever way it was written.
    pub fn workload(&self) -> Option<&WorkloadName> {
        self.workload.as_ref().or(self.vm.as_ref())
    }
}

#[derive(Debug, Args)]
pub struct Success {
    #[command(flatten)]
    pub days: Days,
    /// The share of rehearsals that should pass, in percent
    #[arg(long, value_name = "PERCENT", default_value = "99.9", value_parser = values::target)]
    pub target: f64,
}
