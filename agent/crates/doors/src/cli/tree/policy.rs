//! `policy …`, `approval …`, `alert …`.

use std::path::PathBuf;

use backstop_model::policy::World;
use backstop_model::{PolicyName, SignerName, WorkloadName};
use clap::{Args, Subcommand};

use crate::cli::values::{self, When};

/// `policy …`
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// List policies, and whether they are in force
    ///
    /// Loads every policy of the configuration. One that cannot be loaded stays listed with its error and with what
    /// holds meanwhile: everything is kept, or refused, or unknown.
    List,
    /// Show one policy, or look at a component's file
    ///
    /// For a policy of the configuration: how it is bound, its component, its faults. For a file: its world, what it
    /// imports and asks for, its digest, size and manifest. Nothing is run.
    Inspect(Inspect),
    /// Make a pair of keys for signing policies
    ///
    /// The secret key goes into a file of mode 0600: keep it off this machine. The public one is printed; it goes into
    /// `[signer.NAME]`.
    Keygen(Keygen),
    /// Sign a component and its manifest
    ///
    /// Writes the signature beside the component, as `NAME.sig`. Works offline.
    Sign(Sign),
    /// Check the signature of a component
    ///
    /// Says whether the signature beside it holds, for the component and its manifest as they are now.
    Verify(Verify),
    /// Ask a built component the written questions of a project
    ///
    /// Reads `DIR/cases/*.toml`: questions with the answers they must get. Alert sinks and health checks meet the world
    /// that the case writes, so nothing leaves this machine. Fails with 4 when an answer is another one.
    Test(Test),
    /// Measure how long a component takes to answer
    ///
    /// Every call gets a fresh instance, as in the agent.
    Bench(Component),
    /// Show why: the question, the answer, the log
    ///
    /// Asks a retention policy about a workload as it stands, or shows the last (or a numbered) decision of any other
    /// and asks the same again where that is possible. Records nothing.
    Explain(Explain),
    /// Ask a candidate what was asked before, and show the differences
    ///
    /// Retention and validation policies are pure, so what was recorded is asked again exactly. Fails with 4 when an
    /// answer is another one.
    Replay(Replay),
    /// Live through the coming years in memory
    ///
    /// Lives through the recorded backups again, then goes on by the calendar: planner, retention, delete firewall and policies are the
    /// real ones. Shows what would be deleted when, how much is stored, and fails with 4 on the first day on which the
    /// schedule or a promise of a policy is broken.
    Simulate(Simulate),
    /// Make a project for a policy
    ///
    /// Writes a small working policy with its build command and its cases, and prints what to run.
    New(New),
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// A policy, or the file of a component
    #[arg(value_name = "NAME|FILE")]
    pub what: String,
}

#[derive(Debug, Args)]
pub struct Keygen {
    /// Where the secret key is written
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// The component
    #[arg(value_name = "FILE")]
    pub component: PathBuf,
    /// The file of the secret key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("trust").required(true))]
pub struct Verify {
    /// The component
    #[arg(value_name = "FILE")]
    pub component: PathBuf,
    /// A signer of the configuration
    #[arg(long, value_name = "NAME", group = "trust")]
    pub signer: Option<SignerName>,
    /// A public key in base64
    #[arg(long, value_name = "KEY", group = "trust")]
    pub key: Option<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The project, or one file of cases in it
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub path: PathBuf,
    /// The component, when it is not the only one in the project
    #[arg(long, value_name = "FILE")]
    pub component: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Component {
    /// The component
    #[arg(value_name = "FILE")]
    pub component: PathBuf,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// A policy, or the number of a decision
    #[arg(value_name = "NAME|DECISION")]
    pub what: String,
    /// About this workload
    #[arg(long, value_name = "NAME")]
    pub workload: Option<WorkloadName>,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// The policy whose decisions are asked again
    #[arg(value_name = "NAME")]
    pub policy: PolicyName,
    /// Those made since
    #[arg(long, value_name = "TIME", value_parser = values::when, default_value = "90d")]
    pub since: When,
    /// Ask this component instead of the one that is bound
    #[arg(long, value_name = "FILE")]
    pub candidate: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Simulate {
    /// Only this workload
    #[arg(long, value_name = "NAME")]
    pub workload: Option<WorkloadName>,
    /// How far
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub years: u32,
    /// A file that binds policies, as if it stood in `policies/`
    #[arg(long, value_name = "FILE", conflicts_with = "diff")]
    pub policy: Option<PathBuf>,
    /// Two files that bind policies: what would be different
    #[arg(long, value_names = ["OLD", "NEW"], num_args = 2)]
    pub diff: Option<Vec<PathBuf>>,
}

#[derive(Debug, Args)]
pub struct New {
    /// The language
    #[arg(long, value_name = "LANG", value_parser = ["rust", "js", "python", "c"])]
    pub lang: String,
    /// What it decides: retention, validation, alert-sink or health-check
    #[arg(long, value_name = "WORLD")]
    pub world: World,
    /// Where; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `approval …`
#[derive(Debug, Subcommand)]
pub enum Approval {
    /// List requests that wait for another person
    ///
    /// Each was held back by a policy. It passes once, within a day, when somebody else than who asked approves.
    List(Approvals),
    /// Approve a request that somebody else made
    ///
    /// Whoever asked then gives the same command again.
    Approve(Decide),
    /// Deny a request
    ///
    /// The same request is refused for as long as it would have waited.
    Deny(Decide),
}

#[derive(Debug, Args)]
pub struct Approvals {
    /// Those that are over, too
    #[arg(long)]
    pub all: bool,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// The number of the request
    #[arg(value_name = "ID")]
    pub id: i64,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// `alert …`
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// List alerts and how far they have come
    ///
    /// Those on their way, and those that no sink took over.
    List(Approvals),
    /// Send an alert that says that alerts arrive
    ///
    /// Goes to every bound sink, as a real one.
    Test,
}
