//! From the bytes of a file to a component that can be asked.
//!
//! Everything is decided on the very bytes that are then compiled: nothing is read twice, so that what was checked is what
//! runs. Each check comes before whatever it protects: digest and signature before the bytes are parsed, names before
//! anything is compiled, and one instance is made under the policy's own limits before the first question.

use std::sync::Arc;

use backstop_model::policy::{Fault, FaultKind, PolicyConfig};

use crate::call::{Guest, root};
use crate::facts::{Facts, inspect, not_loaded};
use crate::manifest::Manifest;
use crate::sign::{self, sha256_hex};
use crate::state::Reach;
use crate::text::quoted;
use crate::v1::Entry;
use crate::{Candidate, Engine};

/// A component that can be asked.
pub(crate) struct Loaded {
    pub(crate) guest: Arc<Guest>,
    pub(crate) entry: Entry,
}

/// Loads a component: its digest, its facts as far as they could be told, and itself or why not.
pub(crate) fn load(engine: &Engine, candidate: &Candidate) -> (String, Option<Facts>, Result<Loaded, Fault>) {
    let bytes = match &candidate.component {
        Ok(bytes) => bytes,
        Err(why) => {
            let file = candidate.config.component.display();
            return (String::new(), None, Err(not_loaded(format!("its file `{file}` cannot be read: {why}"))));
        }
    };
    let digest = sha256_hex(bytes);
    if let Err(fault) = check_origin(candidate, bytes, &digest) {
        return (digest, None, Err(fault));
    }
    let mut facts = match inspect(bytes) {
        Ok(facts) => facts,
        Err(fault) => return (digest, None, Err(fault)),
    };
    facts.signer.clone_from(&candidate.config.signer);
    let agreed = add_manifest(&mut facts, candidate);
    let loaded = agreed.and_then(|()| prepare(engine, &candidate.config, &digest, bytes, &facts));
    (digest, Some(facts), loaded)
}

/// Whether the bytes are those that the operator meant: by digest, by signature, or both.
fn check_origin(candidate: &Candidate, bytes: &[u8], digest: &str) -> Result<(), Fault> {
    let config = &candidate.config;
    if let Some(pinned) = config.sha256.as_ref().filter(|pinned| *pinned != digest) {
        return Err(not_loaded(format!(
            "its digest is {digest}, `sha256` says {}: it is another component, or it was changed",
            quoted(pinned)
        )));
    }
    let Some(name) = &config.signer else {
        return match config.sha256 {
            Some(_) => Ok(()),
            None => Err(not_loaded("neither `sha256` nor `signer` says which component is meant")),
        };
    };
    let signer = candidate.signer.as_ref().filter(|signer| signer.name == *name);
    let signer =
        signer.ok_or_else(|| not_loaded(format!("its signer `{name}` is not configured (`[signer.{name}]`)")))?;
    let file = config.component.with_extension("sig");
    let signature = candidate.signature.as_ref().ok_or_else(|| {
        not_loaded(format!("it must be signed by `{name}`, and there is no signature in `{}`", file.display()))
    })?;
    sign::verify(signature, bytes, candidate.manifest.as_deref(), signer).map_err(|error| not_loaded(error.to_string()))
}

/// Adds what the author says. World, binding and manifest must agree.
fn add_manifest(facts: &mut Facts, candidate: &Candidate) -> Result<(), Fault> {
    let (world, bound) = (facts.world, candidate.config.world);
    if world != bound {
        return Err(not_loaded(format!(
            "it is for world `{world}` and bound as `{bound}`: write `world = \"{world}\"`, or bind another component"
        )));
    }
    let Some(bytes) = &candidate.manifest else { return Ok(()) };
    let manifest = Manifest::parse(bytes);
    let manifest = manifest.map_err(|why| not_loaded(format!("its manifest cannot be read: {why}")))?;
    let said = manifest.world;
    facts.manifest = Some(manifest);
    if said != world {
        return Err(not_loaded(format!("its manifest says that it is for world `{said}`, and it is for `{world}`")));
    }
    Ok(())
}

/// Compiles it, or takes it from the cache, links it, and makes one instance to see that it can.
fn prepare(engine: &Engine, config: &PolicyConfig, digest: &str, bytes: &[u8], facts: &Facts) -> Result<Loaded, Fault> {
    let compiled = engine.cache().component(engine.wasm(), digest, bytes);
    let component = compiled.map_err(|error| not_loaded(format!("it cannot be compiled: {}", root(&error))))?;
    let unlike = |error: wasmtime::Error| {
        not_loaded(format!("it is not what world `{}` {} asks for: {}", facts.world, facts.wit_version, root(&error)))
    };
    let pre = engine.linker(facts.world).instantiate_pre(&component).map_err(unlike)?;
    let entry = Entry::find(facts.world, &pre).map_err(unlike)?;
    let guest = Arc::new(Guest { engine: engine.clone(), pre, limits: config.limits });
    // Functions of another type than the WIT's are seen only on an instance.
    let tried = guest.ask(
        Reach::Nothing,
        &Arc::default(),
        |store, instance| Ok(entry.check(store, instance).map_err(unlike)),
        |checked, _| checked,
    );
    match tried.answer {
        Ok(()) => Ok(Loaded { guest, entry }),
        Err(fault) if fault.kind == FaultKind::NotLoaded => Err(fault),
        Err(Fault { message, backtrace, .. }) => {
            Err(Fault { backtrace, ..not_loaded(format!("it cannot be started: {message}")) })
        }
    }
}
