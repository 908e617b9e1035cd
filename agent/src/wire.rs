//! The composition root: the only file that names concrete edges. Reads the environment and the configuration once
//! and puts the outside together.

#![allow(clippy::disallowed_methods, reason = "wire is where the environment is read")]

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstop_catalog::Catalog;
use backstop_config::{Overrides, SourceFile};
use backstop_doors::cli::{Console, GlobalOptions, Wiring};
use backstop_files::{TargetOptions, TreeSource, TreeTarget, places};
use backstop_local::{
    LocalError, Shift, Stop, SystemClock, SystemEntropy, SystemProbe, SystemReaches, secrets, state, store, who,
};
use backstop_model::config::{Config, FilesSpec, SecretRef};
use backstop_model::plan::Overwrite;
use backstop_model::{Advice, Bytes, ExitCode, Fault, Span, Timestamp};
use backstop_notify::HttpWeb;
use backstop_ops::{Context, Outside};
use backstop_seams::{Clock, Files, Source, SourceFault, Target, Trees, Web};
use backstop_vault::{Secret, Store};

/// The outside of a process: options in, contexts out.
pub struct Wire {
    stop: Stop,
}

impl Wire {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> std::io::Result<Self> {
        // Everything this process makes — vaults, catalog, keys — is for its user alone.
        store::restrict_umask();
        Ok(Self { stop: Stop::listen()? })
    }
}

impl Wiring for Wire {
    fn outside(&self, options: &GlobalOptions) -> Result<Outside, Fault> {
        outside(config_dir(options))
    }

    fn context(&self, options: &GlobalOptions) -> Result<Context, Fault> {
        let config = configuration(options)?;
        let outside = outside(config_dir(options))?;
        let catalog = state::prepare(&config.state_dir).map_err(|error| local(&error))?;
        let catalog = Catalog::open(&catalog, outside.clock.now())?;
        Ok(Context::new(outside, config, catalog))
    }

    fn stop(&self) -> Option<ExitCode> {
        self.stop.exit_code()
    }

    fn console(&self) -> Console {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Console {
            input_is_terminal: std::io::stdin().is_terminal(),
            output_is_terminal: std::io::stdout().is_terminal(),
            error_is_terminal: std::io::stderr().is_terminal(),
            no_color: dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        }
    }
}

/// The configuration directory: what was said, else `/etc/backstop` for root and the XDG place for others.
fn config_dir(options: &GlobalOptions) -> PathBuf {
    if let Some(dir) = &options.config_dir {
        return absolute(dir);
    }
    if places::is_privileged() {
        return PathBuf::from("/etc/backstop");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(|| PathBuf::from("/etc")).join("backstop")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn local(error: &LocalError) -> Fault {
    Fault::from(error)
}

/// Reads and checks the configuration.
fn configuration(options: &GlobalOptions) -> Result<Config, Fault> {
    let files: Vec<SourceFile> = state::read_config(&config_dir(options))
        .map_err(|error| local(&error))?
        .into_iter()
        .map(|(path, bytes)| SourceFile { path, bytes })
        .collect();
    let state_dir = options.state_dir.as_deref().map(absolute);
    backstop_config::load(&files, &Overrides { state_dir }).map_err(|invalid| Fault::from(&invalid))
}

fn outside(config_dir: PathBuf) -> Result<Outside, Fault> {
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(1, 16));
    let clock: Arc<dyn Clock> = Arc::new(clock()?);
    let web: Arc<dyn Web> = Arc::new(HttpWeb::new(Arc::clone(&clock)));
    Ok(Outside {
        clock,
        entropy: Arc::new(SystemEntropy::new()),
        files: Arc::new(Disk),
        trees: Box::new(Disk),
        probe: Box::new(SystemProbe),
        reach: Box::new(SystemReaches::new(Arc::clone(&web))),
        web,
        open_store: Box::new(open_store),
        resolve: Box::new(resolve),
        reveal: Arc::new(reveal),
        by: asker(),
        owner: who::process(),
        may_live: Box::new(who::may_live),
        host: who::host(),
        config_dir,
        privileged: places::is_privileged(),
        threads,
    })
}

/// Who asks: the user who became root with `sudo`, else the user of this process.
fn asker() -> String {
    let plain = |name: &String| {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && name.len() <= 32 && name != "root" && name.chars().all(letter)
    };
    let behind = std::env::var("SUDO_USER").ok().filter(|name| places::is_privileged() && plain(name));
    behind.map_or_else(who::user_at_host, |user| format!("{user}@{}", who::host()))
}

/// The system's clock, or — for rehearsing calendars — one set by `BACKSTOP_CLOCK` (RFC 3339) that goes on from there.
fn clock() -> Result<SystemClock, Fault> {
    let Some(raw) = std::env::var_os("BACKSTOP_CLOCK") else { return Ok(SystemClock::new()) };
    let raw = raw.to_string_lossy().into_owned();
    let wanted: Timestamp = raw.parse().map_err(|_| {
        Fault::usage(format!("`BACKSTOP_CLOCK={raw}` is no instant"), "write RFC 3339, as in 2026-05-01T02:00:00Z")
    })?;
    let now = SystemClock::new().now();
    let shift = if wanted >= now {
        Shift::Later(Span::between(now, wanted))
    } else {
        Shift::Earlier(Span::between(wanted, now))
    };
    Ok(SystemClock::shifted(shift))
}

fn open_store(url: &str, create: bool) -> Result<Store, Fault> {
    let access = if create { store::Access::Create } else { store::Access::Read };
    let inner = store::open(url, access).map_err(|error| match &error {
        LocalError::Missing { path } => Fault::not_found(
            format!("there is no vault at `{}`", path.display()),
            "mount what should be there, or create it with `backstop vault init NAME`",
        ),
        other => local(other),
    })?;
    // The local store works on the calling thread; stores over a network will get a runtime here.
    let shown = store::path_of(url).map_or_else(|| url.to_owned(), |path| path.display().to_string());
    Ok(Store::new(inner, None, shown))
}

fn resolve(reference: &SecretRef) -> Result<Secret, Fault> {
    let secret = secrets::resolve(reference).map_err(|error| local(&error))?;
    Ok(Secret::new(secret.expose().to_vec()))
}

fn reveal(reference: &SecretRef) -> Result<Vec<u8>, Fault> {
    secrets::resolve(reference).map(|secret| secret.expose().to_vec()).map_err(|error| local(&error))
}

/// The local disk, as the seams see it.
struct Disk;

fn io(action: &str, path: &Path, error: &std::io::Error) -> Fault {
    use std::io::ErrorKind;
    let (advice, code, hint) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (Advice::CallAPerson, ExitCode::Failed, "the disk is full; make room and run the same command again")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            (Advice::FixConfiguration, ExitCode::Failed, "check permissions and mounts")
        }
        ErrorKind::CrossesDevices => (
            Advice::FixConfiguration,
            ExitCode::Failed,
            "a mount point cannot be exchanged in place; restore with `--to` and copy",
        ),
        _ => (Advice::CallAPerson, ExitCode::Failed, ""),
    };
    Fault::new(code, advice, format!("cannot {action} `{}`: {}", path.display(), places::cause(error)), hint)
}

impl Files for Disk {
    fn exists(&self, path: &Path) -> Result<bool, Fault> {
        places::exists(path).map_err(|error| io("look at", path, &error))
    }

    fn identity(&self, path: &Path) -> Result<Option<(u64, u64)>, Fault> {
        use std::os::unix::fs::MetadataExt;
        match std::fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("look at", path, &error)),
        }
    }

    fn real(&self, path: &Path) -> Result<PathBuf, Fault> {
        for standing in path.ancestors() {
            match std::fs::canonicalize(standing) {
                Ok(real) => {
                    let rest = path.strip_prefix(standing).expect("an ancestor");
                    return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("look at", standing, &error)),
            }
        }
        Ok(path.to_owned())
    }

    fn own_directory(&self, dir: &Path) -> Result<(), Fault> {
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent).map_err(|error| io("create", parent, &error))?;
        }
        places::create_owned_dir(dir).map_err(|error| io("create", dir, &error))
    }

    fn remove_tree(&self, dir: &Path) -> Result<(), Fault> {
        places::remove_tree(dir).map_err(|error| io("remove", dir, &error))
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<(), Fault> {
        // What is about to become the live tree must be on disk before its name is.
        places::sync_tree(a).map_err(|error| io("write out", a, &error))?;
        places::exchange(a, b).map_err(|error| io("exchange", b, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        places::rename_durable(from, to).map_err(|error| io("move", from, &error))
    }

    fn room(&self, path: &Path) -> Result<Bytes, Fault> {
        let standing = path.ancestors().find(|above| places::exists(above).unwrap_or(false)).unwrap_or(path);
        places::room(standing).map(|room| room.free).map_err(|error| io("look at", standing, &error))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("read", path, &error)),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(|error| io("create", parent, &error))?;
        }
        state::write_atomic(path, bytes, mode).map_err(|error| local(&error))
    }

    fn remove(&self, path: &Path) -> Result<(), Fault> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path, &error)),
            _ => Ok(()),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, Fault> {
        let listed = match std::fs::read_dir(dir) {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("read", dir, &error)),
        };
        let mut paths = Vec::new();
        for entry in listed {
            let path = entry.map_err(|error| io("read", dir, &error))?.path();
            if path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn sweep(&self, url: &str, now: Timestamp, age: Span) -> Result<u64, Fault> {
        store::sweep_staging(url, now, age).map_err(|error| local(&error))
    }

    fn read_config(&self, dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Fault> {
        state::read_config(dir).map_err(|error| local(&error))
    }
}

fn source_fault(fault: &SourceFault) -> Fault {
    Fault::new(ExitCode::Failed, Advice::FixConfiguration, fault.to_string(), "check the workload's `paths`")
}

impl Trees for Disk {
    fn source(&self, spec: &FilesSpec) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(TreeSource::new(spec).map_err(|fault| source_fault(&fault))?))
    }

    fn restored(&self, dir: &Path, prefix: &[u8]) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(TreeSource::at(dir, prefix).map_err(|fault| source_fault(&fault))?))
    }

    fn target(&self, dir: &Path, strip: &[u8], overwrite: Overwrite) -> Result<Box<dyn Target>, Fault> {
        let options = TargetOptions { strip: strip.to_vec(), overwrite };
        Ok(Box::new(TreeTarget::new(dir, options).map_err(|error| io("open", dir, &error))?))
    }
}
