//! What every verb stands on: the outside, the configuration in force, the catalog, and vaults opened on demand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use backstop_catalog::Catalog;
use backstop_model::config::{Config, SecretRef, Workload};
use backstop_model::{Advice, Backup, BackupName, ExitCode, Fault, Place, Timestamp, VaultName, WorkloadName};
use backstop_seams::{Clock, Entropy, Files, Probe, Reaches, Trees, Web};
use backstop_vault::{Parts, Secret, Store, Vault};

/// Opens the object store of a vault's URL. The flag says whether an empty place may be made.
pub type OpenStore = dyn Fn(&str, bool) -> Result<Store, Fault> + Send + Sync;

/// Resolves a reference to a secret.
pub type Resolve = dyn Fn(&SecretRef) -> Result<Secret, Fault> + Send + Sync;

/// The text of a secret, for a header or an address.
pub type Reveal = dyn Fn(&SecretRef) -> Result<Vec<u8>, Fault> + Send + Sync;

/// Everything outside of the program, put together by wire.
pub struct Outside {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Directories and small files.
    pub files: Arc<dyn Files>,
    /// Sources and targets.
    pub trees: Box<dyn Trees>,
    /// Programs run against restored trees.
    pub probe: Box<dyn Probe>,
    /// Web servers, for alert sinks.
    pub web: Arc<dyn Web>,
    /// Restored systems, for health checks.
    pub reach: Box<dyn Reaches>,
    /// Object stores.
    pub open_store: Box<OpenStore>,
    /// Secrets.
    pub resolve: Box<Resolve>,
    /// The same for those who pass it on: alert sinks.
    pub reveal: Arc<Reveal>,
    /// Who asks, as `user@host`.
    pub by: String,
    /// This process, so that its leases can be told from those of others and of the dead.
    pub owner: String,
    /// Whether the owner of a lease may still be alive; false only when that is certain.
    pub may_live: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// This machine.
    pub host: String,
    /// Where the configuration was read from.
    pub config_dir: PathBuf,
    /// Whether owners can be restored.
    pub privileged: bool,
    /// How many threads to work with.
    pub threads: usize,
}

/// What every verb stands on.
pub struct Context {
    /// The outside.
    pub outside: Outside,
    /// The configuration in force for this command.
    pub config: Config,
    /// The catalog.
    pub catalog: Catalog,
    vaults: Mutex<BTreeMap<VaultName, Arc<Vault>>>,
    /// Policies, loaded once something is decided that they are bound to.
    pub(crate) loaded: crate::gate::load::Loaded,
    /// The schedule asks, no person.
    scheduled: AtomicBool,
    /// An alert was raised and may have to be delivered.
    pub(crate) alerted: AtomicBool,
    /// What goes wrong in the next runs; only tests say so.
    #[cfg(test)]
    pub(crate) faults: Mutex<Vec<backstop_saga::Injection>>,
}

impl Context {
    /// Puts a context together.
    #[must_use]
    pub fn new(outside: Outside, config: Config, catalog: Catalog) -> Self {
        Self {
            outside,
            config,
            catalog,
            vaults: Mutex::default(),
            loaded: crate::gate::load::Loaded::default(),
            scheduled: AtomicBool::new(false),
            alerted: AtomicBool::new(false),
            #[cfg(test)]
            faults: Mutex::default(),
        }
    }

    /// The present. Also teaches the catalog, so that a clock set back is noticed.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn now(&self) -> Result<Timestamp, Fault> {
        let now = self.outside.clock.now();
        self.catalog.note_time(now)?;
        Ok(now)
    }

    /// A configured workload.
    ///
    /// # Errors
    /// `NotFound` with the names there are.
    pub fn workload(&self, name: &WorkloadName) -> Result<&Workload, Fault> {
        self.config.workloads.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.config.workloads.keys().map(WorkloadName::as_str).collect();
            let hint = match known.len() {
                0 => "configure one: `backstop backup configure NAME --path DIR`".to_owned(),
                _ => format!("configured are: {}", known.join(", ")),
            };
            Fault::not_found(format!("there is no workload `{name}`"), hint)
        })
    }

    /// The workload of a backup as configured now.
    ///
    /// # Errors
    /// `NotFound` when it is configured no more.
    pub fn workload_of(&self, backup: &Backup) -> Result<&Workload, Fault> {
        self.workload(&backup.workload)
    }

    /// Every record of a workload's backups, oldest first.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn backups_of(&self, workload: &WorkloadName) -> Result<Vec<Backup>, Fault> {
        let filter = backstop_catalog::BackupFilter { workload: Some(workload.clone()), ..Default::default() };
        let mut backups = self.catalog.backups(&filter)?;
        backups.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        Ok(backups)
    }

    /// A backup by its name or by a beginning of it that fits no other.
    ///
    /// # Errors
    /// `NotFound`, or a usage fault when several fit.
    pub fn backup(&self, shortened: &str) -> Result<Backup, Fault> {
        let name: BackupName = self.catalog.find_backup(shortened)?;
        self.catalog.backup(&name)?.ok_or_else(|| {
            Fault::not_found(format!("there is no backup `{name}`"), "`backstop backup list` shows what there is")
        })
    }

    /// A configured vault's record.
    ///
    /// # Errors
    /// `NotFound` with the names there are.
    pub fn vault_config(&self, name: &VaultName) -> Result<&backstop_model::config::VaultConfig, Fault> {
        self.config.vaults.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.config.vaults.keys().map(VaultName::as_str).collect();
            Fault::not_found(format!("there is no vault `{name}`"), format!("configured are: {}", known.join(", ")))
        })
    }

    /// A vault, opened once per process: deriving its key takes a moment.
    ///
    /// # Errors
    /// Whatever opening it says, with the vault's name.
    pub fn vault(&self, name: &VaultName) -> Result<Arc<Vault>, Fault> {
        let mut vaults = self.vaults.lock().expect("no thread panics holding it");
        if let Some(vault) = vaults.get(name) {
            return Ok(Arc::clone(vault));
        }
        let config = self.vault_config(name)?;
        let secret = (self.outside.resolve)(&config.key)?;
        let parts = self.parts(config, false)?;
        let vault = Arc::new(Vault::open(parts, &secret).map_err(|error| {
            let fault = error.fault();
            Fault { message: format!("vault `{name}`: {}", fault.message), ..fault }
        })?);
        vaults.insert(name.clone(), Arc::clone(&vault));
        Ok(vault)
    }

    /// The vault at a place.
    ///
    /// # Errors
    /// When the place is no vault, or as [`Context::vault`].
    pub fn vault_at(&self, place: &Place) -> Result<Arc<Vault>, Fault> {
        match place {
            Place::Vault(name) => self.vault(name),
            Place::Region(_) => Err(Fault::new(
                ExitCode::BadConfiguration,
                Advice::FixConfiguration,
                format!("{place} is no vault; regions belong to machines in a cloud"),
                "name a place `vault:NAME`",
            )),
        }
    }

    /// What a vault is opened or made from.
    ///
    /// # Errors
    /// When its store cannot be reached.
    pub fn parts(&self, config: &backstop_model::config::VaultConfig, create: bool) -> Result<Parts, Fault> {
        Ok(Parts {
            store: (self.outside.open_store)(&config.url, create)?,
            clock: Arc::clone(&self.outside.clock),
            entropy: Arc::clone(&self.outside.entropy),
            threads: self.outside.threads,
        })
    }

    /// Forgets an opened vault, so that the next use opens it with a new key.
    pub fn close_vault(&self, name: &VaultName) {
        self.vaults.lock().expect("no thread panics holding it").remove(name);
    }

    /// The scratch directory of this agent.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.config.state_dir.join("staging")
    }

    /// Whether the schedule asks, and no person.
    #[must_use]
    pub(crate) fn is_scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    /// Says that what is asked for from now on is asked by the schedule, or by a person again.
    pub(crate) fn set_scheduled(&self, scheduled: bool) {
        self.scheduled.store(scheduled, Ordering::Relaxed);
    }

    /// Writes a line into the audit log.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn audit(&self, verb: &str, subject: &str, reason: &str, details: serde_json::Value) -> Result<(), Fault> {
        let at = self.outside.clock.now();
        let by = &self.outside.by;
        self.catalog.audit_append(&backstop_catalog::NewAudit { at, by, verb, subject, reason, details })?;
        Ok(())
    }
}
