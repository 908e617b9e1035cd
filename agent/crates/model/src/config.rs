//! What the operator wants: the validated configuration. Built only by the `config` crate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backup::Level;
use crate::name::{Place, PolicyName, Region, ScheduleName, SignerName, VaultName, WorkloadName};
use crate::policy::{PolicyConfig, SignerConfig};
use crate::time::Span;

/// Everything in force at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// Where the agent keeps its catalog and caches.
    pub state_dir: PathBuf,
    /// Where bytes live.
    pub vaults: BTreeMap<VaultName, VaultConfig>,
    /// Named schedules.
    pub schedules: BTreeMap<ScheduleName, Schedule>,
    /// What is protected. Each carries its schedule with its own overrides already applied.
    pub workloads: BTreeMap<WorkloadName, Workload>,
    /// Rules of the site, each a component.
    pub policies: BTreeMap<PolicyName, PolicyConfig>,
    /// Keys whose signatures on components are trusted.
    pub signers: BTreeMap<SignerName, SignerConfig>,
    /// Brakes above every policy.
    pub limits: Limits,
}

/// A vault: a place for bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultConfig {
    /// Its name.
    pub name: VaultName,
    /// `file:///path`; other schemes come with their edges.
    pub url: String,
    /// Where it stands; copies in another region than home's are the off-site ones.
    pub region: Region,
    /// The key that opens it, by reference.
    pub key: SecretRef,
}

/// Where a secret is found. The secret itself is never stored, printed or logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A systemd credential.
    Credential(String),
    /// A program and its arguments, split at spaces; its standard output is the secret.
    Command(Vec<String>),
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        match reference {
            SecretRef::Env(name) => format!("env:{name}"),
            SecretRef::File(path) => format!("file:{}", path.display()),
            SecretRef::Credential(name) => format!("credential:{name}"),
            SecretRef::Command(argv) => format!("command:{}", argv.join(" ")),
        }
    }
}

/// Objectives and retention. Data, never constants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// Its name.
    pub name: ScheduleName,
    /// IANA name of the zone in which days, weeks and months begin.
    pub timezone: String,
    /// The daily tier, if kept.
    pub daily: Option<Daily>,
    /// The weekly tier, if kept.
    pub weekly: Option<Weekly>,
    /// The monthly tier, if kept.
    pub monthly: Option<Monthly>,
    /// The most data the operator accepts to lose.
    pub rpo: Span,
    /// The longest the operator accepts to wait for a restore.
    pub rto: Span,
    /// Where a backup is made first.
    pub home: Place,
    /// Where it is copied to.
    pub copies: Vec<Place>,
    /// How old a proof may grow, and the level promised.
    pub verify: Option<VerifyRule>,
    /// How often recovery is rehearsed.
    pub dr_test: Option<DrTestRule>,
    /// How often everything is read again instead of trusting size and times.
    pub full_every: Option<Span>,
}

impl Schedule {
    /// The level at which a backup counts as good: what `verify` promises, else that its bytes are intact.
    #[must_use]
    pub fn promised_level(&self) -> Level {
        self.verify.as_ref().map_or(Level::L1, |rule| rule.level)
    }
}

/// A time of day, local to the schedule's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// When daily backups run and how many days are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Daily {
    /// Time of day.
    pub at: TimeOfDay,
    /// Distinct days kept, newest first.
    pub keep: u32,
}

/// When weekly backups run and how many weeks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Weekly {
    /// The day on which the week's backup runs.
    pub on: Weekday,
    /// Time of day.
    pub at: TimeOfDay,
    /// Distinct weeks kept, newest first.
    pub keep: u32,
}

/// When monthly backups run and how many months are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Monthly {
    /// Day of the month, 1 to 28.
    pub on: u8,
    /// Time of day.
    pub at: TimeOfDay,
    /// Distinct months kept, newest first.
    pub keep: u32,
}

/// A promise about proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerifyRule {
    /// The oldest a copy's proof may be.
    pub every: Span,
    /// The level promised.
    pub level: Level,
}

/// A promise about rehearsals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DrTestRule {
    /// The oldest the last passed DR test may be.
    pub every: Span,
}

/// What is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Its name.
    pub name: WorkloadName,
    /// What kind of thing it is, and where.
    pub kind: WorkloadKind,
    /// Its schedule with the workload's own overrides applied.
    pub schedule: Schedule,
    /// False: nothing is scheduled; existing backups stay and are still verified on request.
    pub enabled: bool,
    /// The command that decides whether a restored tree is healthy, if any.
    pub health: Option<HealthCommand>,
    /// The file that configures it, for messages.
    pub origin: PathBuf,
}

/// The kinds of workload. More come with their edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum WorkloadKind {
    /// Directories and files of this machine.
    Files(FilesSpec),
}

/// Which directories and files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesSpec {
    /// Absolute paths; none contains another.
    pub paths: Vec<PathBuf>,
    /// Globs. One without `/` matches a name anywhere; one with `/` matches a path below a root.
    pub exclude: Vec<String>,
    /// Do not descend into other file systems.
    pub one_file_system: bool,
    /// Leave out the contents of directories marked by a valid `CACHEDIR.TAG`.
    pub exclude_caches: bool,
    /// Globs of names that hold disk images or database files, cut in fixed blocks. Content is sniffed as well.
    pub images: Vec<String>,
}

/// A program run against a restored tree; exit code 0 is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCommand {
    /// Program and arguments; `{}` in an argument becomes the path of the restored tree.
    pub argv: Vec<String>,
    /// How long it may take.
    pub timeout: Span,
}

/// Brakes of the delete firewall and of the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Most backups one run may release.
    pub releases_per_run: u32,
    /// Most of a workload's backups that may be released in one day, in percent (at least one is allowed).
    pub release_percent_per_day: u32,
    /// How long a released backup can be brought back.
    pub undelete_window: Span,
    /// How long the trees stay that a restore in place put aside, so that `restore undo` can bring them back.
    pub undo_window: Span,
    /// How long an unreferenced pack stays before a prune removes it. Must exceed the longest backup run.
    pub prune_grace: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            releases_per_run: 50,
            release_percent_per_day: 34,
            undelete_window: Span::from_days(7),
            undo_window: Span::from_days(7),
            prune_grace: Span::from_days(2),
        }
    }
}
