//! What can be told of a component without running it, and why one cannot be a policy.

use backstop_model::SignerName;
use backstop_model::policy::{Fault, FaultKind, World};
use serde::Serialize;
use wasmparser::{Chunk, Encoding, Parser, Payload};

use crate::call::fault;
use crate::manifest::Manifest;
use crate::sign::sha256_hex;
use crate::text::{LINE_MAX, quoted, untrusted};
use crate::v1;

/// The most bytes of a component. Python guests have 18 MB.
const COMPONENT_MAX: usize = 64 << 20;

/// The most names of imports or exports that are listed.
const NAMES_MAX: usize = 100;

const PACKAGE: &str = "backstop:policy/";

/// What can be told of a component without running it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The world it is for.
    pub world: World,
    /// The version of `backstop:policy` it was built for, as `1.0.0`.
    pub wit_version: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal digits.
    pub sha256: String,
    /// Interfaces it imports, in its own order.
    pub imports: Vec<String>,
    /// Interfaces it exports, in its own order.
    pub exports: Vec<String>,
    /// What its author says about it; only from [`PolicySet::load`](crate::PolicySet::load).
    pub manifest: Option<Manifest>,
    /// Whose signature was verified; only from [`PolicySet::load`](crate::PolicySet::load).
    pub signer: Option<SignerName>,
}

/// Reads a component's facts.
///
/// # Errors
/// It is no component, is for no world of ours, or wants more than its world gives; the message says what to do.
pub fn inspect(bytes: &[u8]) -> Result<Facts, Fault> {
    let names = Names::read(bytes)?;
    let world = names.world()?;
    let version = names.version();
    names.check_version(version)?;
    names.check_imports(world, version)?;
    Ok(Facts {
        world,
        wit_version: shown(version),
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
        imports: names.imports,
        exports: names.exports,
        manifest: None,
        signer: None,
    })
}

pub(crate) fn not_loaded(message: impl Into<String>) -> Fault {
    fault(FaultKind::NotLoaded, message)
}

type Version = (u64, u64, u64);

fn shown((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// `backstop:policy/log@1.0.0` as its interface and version.
fn ours(name: &str) -> Option<(&str, Version)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some((interface, version))
}

/// What a component names at its outside.
#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Names {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > COMPONENT_MAX {
            return Err(not_loaded(format!("it has {} bytes, at most {COMPONENT_MAX} are loaded", bytes.len())));
        }
        if bytes.is_empty() {
            return Err(not_loaded("its file is empty"));
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(not_loaded("its file is no WebAssembly component"));
        }
        let damaged = |error: &dyn std::fmt::Display| {
            let message = untrusted(&error.to_string(), LINE_MAX);
            not_loaded(format!("its file is cut off or damaged: {message}"))
        };
        let mut names = Names::default();
        let (mut parser, mut at, mut stack) = (Parser::new(0), 0, Vec::new());
        // Nested modules and components are walked through, so that a file cut off anywhere is noticed; names count only
        // at the outside.
        loop {
            let chunk = parser.parse(&bytes[at..], true).map_err(|error| damaged(&error))?;
            let Chunk::Parsed { consumed, payload } = chunk else { return Err(damaged(&"it ends too early")) };
            at += consumed;
            match payload {
                Payload::Version { encoding: Encoding::Module, .. } if stack.is_empty() => {
                    let hint = "make a component of it, as with `wasm-tools component new`";
                    return Err(not_loaded(format!("its file is a core module, not a component: {hint}")));
                }
                Payload::ComponentImportSection(section) if stack.is_empty() => {
                    for import in section {
                        names.imports.push(untrusted(import.map_err(|error| damaged(&error))?.name.name, LINE_MAX));
                    }
                }
                Payload::ComponentExportSection(section) if stack.is_empty() => {
                    for export in section {
                        names.exports.push(untrusted(export.map_err(|error| damaged(&error))?.name.name, LINE_MAX));
                    }
                }
                Payload::ModuleSection { parser: inner, .. } | Payload::ComponentSection { parser: inner, .. } => {
                    stack.push(std::mem::replace(&mut parser, inner));
                }
                Payload::End(_) => match stack.pop() {
                    Some(outer) => parser = outer,
                    None if at == bytes.len() => return names.within_limits(),
                    None => return Err(damaged(&"something follows its end")),
                },
                _ => {}
            }
        }
    }

    fn within_limits(self) -> Result<Self, Fault> {
        if self.imports.len() > NAMES_MAX || self.exports.len() > NAMES_MAX {
            return Err(not_loaded(format!("it has more than {NAMES_MAX} imports or exports")));
        }
        Ok(self)
    }

    /// The one world whose interface it exports.
    fn world(&self) -> Result<World, Fault> {
        let exports_of = |world: &World| {
            self.exports.iter().filter_map(|name| ours(name)).any(|(name, _)| name == v1::exported(*world))
        };
        let mut worlds = World::ALL.into_iter().filter(exports_of);
        match (worlds.next(), worlds.next()) {
            (Some(world), None) => Ok(world),
            (Some(one), Some(other)) => {
                Err(not_loaded(format!("it is for two worlds, `{one}` and `{other}`: make a component for each")))
            }
            (None, _) => {
                let exported = self.exports.iter().take(3).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
                let exported = if exported.is_empty() { "nothing".to_owned() } else { exported };
                let wanted = World::ALL.map(v1::exported).join("`, `");
                Err(not_loaded(format!(
                    "it is for no world of `backstop:policy`: it exports {exported} and none of `{wanted}`"
                )))
            }
        }
    }

    /// The newest version that it names.
    fn version(&self) -> Version {
        let names = self.imports.iter().chain(&self.exports);
        names.filter_map(|name| ours(name)).map(|(_, version)| version).max().unwrap_or(v1::NEWEST)
    }

    fn check_version(&self, version: Version) -> Result<(), Fault> {
        if version.0 == v1::NEWEST.0 {
            return Ok(());
        }
        let (built, known) = (shown(version), shown(v1::NEWEST));
        let hint = if version > v1::NEWEST { "a newer agent is needed" } else { "build it anew" };
        Err(not_loaded(format!("it was built for `backstop:policy` {built}, this agent knows {known}: {hint}")))
    }

    fn check_imports(&self, world: World, version: Version) -> Result<(), Fault> {
        let allowed = v1::importable(world);
        let is_allowed = |name: &&String| !ours(name).is_some_and(|(interface, _)| allowed.contains(&interface));
        let Some(import) = self.imports.iter().find(is_allowed) else { return Ok(()) };
        Err(not_loaded(refusal(import, world, version)))
    }
}

/// Why an import is not allowed, and what to do.
fn refusal(import: &str, world: World, version: Version) -> String {
    if import.starts_with("wasi:") {
        let hint =
            "build it without WASI (Rust: target `wasm32-unknown-unknown`; JavaScript and Python: `--stub-wasi`)";
        return format!("it imports `{import}`: policies get no files, clocks, environment or chance: {hint}");
    }
    let Some((interface, _)) = ours(import) else {
        return format!("it imports {}, which is not part of world `{world}`", quoted(import));
    };
    if World::ALL.into_iter().any(|world| v1::importable(world).contains(&interface)) {
        return format!("it imports `{import}`, which world `{world}` does not have");
    }
    if version > v1::NEWEST {
        let (built, known) = (shown(version), shown(v1::NEWEST));
        return format!(
            "it was built for `backstop:policy` {built} and wants `{import}`; this agent knows {known}: a newer agent is \
             needed"
        );
    }
    format!("it imports `{import}`, which `backstop:policy` {} does not have", shown(v1::NEWEST))
}
