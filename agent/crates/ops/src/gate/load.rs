//! Components from their files into force. Compiled code is kept in a private directory, sealed with a key of this agent:
//! what was changed there is compiled again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use backstop_model::policy::{PolicyConfig, PolicyStanding, World};
use backstop_model::{Advice, ExitCode, Fault};
use backstop_policy::{Candidate, CompiledCache, Engine, EngineOutside, PolicySet};
use backstop_seams::Files;

use crate::context::{Context, Outside};

/// What was loaded for one command. Empty until something is decided that a policy is bound to.
#[derive(Default)]
pub(crate) struct Loaded {
    engine: OnceLock<Result<Engine, Fault>>,
    sets: [OnceLock<Arc<PolicySet>>; World::ALL.len()],
    generation: OnceLock<String>,
    /// Policies that were found to have stepped back, or not; see [`super::record`].
    pub standing: Mutex<std::collections::BTreeMap<backstop_model::PolicyName, PolicyStanding>>,
}

/// The largest component that is read.
const COMPONENT_MAX: usize = 256 << 20;

/// Compiled code in files that only this agent reads.
struct Shelf {
    files: Arc<dyn Files>,
    dir: PathBuf,
}

impl Shelf {
    fn path(&self, name: &str) -> Option<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (!name.is_empty() && name.chars().all(plain) && !name.starts_with('.')).then(|| self.dir.join(name))
    }
}

impl CompiledCache for Shelf {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.files.read(&self.path(name)?).ok().flatten()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        // Code that cannot be kept is compiled again next time.
        let _ = self.path(name).map(|path| self.files.write(&path, bytes, 0o600));
    }
}

/// Makes the engine, with the cache of this agent.
pub(crate) fn engine_of(outside: &Outside, state_dir: &Path) -> Result<Engine, Fault> {
    let cache = Shelf { files: Arc::clone(&outside.files), dir: state_dir.join("policy-cache") };
    // Where the key cannot be kept, nothing is: compiling again costs only time.
    make(outside, cache_key(outside, state_dir).ok().map(|key| (key, Arc::new(cache) as Arc<dyn CompiledCache>)))
}

/// Makes an engine that keeps nothing.
pub(crate) fn engine_without_cache(outside: &Outside) -> Result<Engine, Fault> {
    make(outside, None)
}

fn make(outside: &Outside, cache: Option<([u8; 32], Arc<dyn CompiledCache>)>) -> Result<Engine, Fault> {
    let clock = Arc::clone(&outside.clock);
    let (cache_key, cache) = cache.map_or(([0; 32], None), |(key, cache)| (key, Some(cache)));
    let outside = EngineOutside { monotonic: Arc::new(move || clock.monotonic()), cache, cache_key };
    Engine::new(outside).map_err(|error| Fault::new(ExitCode::Failed, Advice::CallAPerson, error.to_string(), ""))
}

/// The key that seals compiled code, made once.
fn cache_key(outside: &Outside, state_dir: &Path) -> Result<[u8; 32], Fault> {
    let path = state_dir.join("policy-cache.key");
    if let Some(bytes) = outside.files.read(&path)?
        && let Ok(key) = bytes.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; 32];
    outside.entropy.fill(&mut key);
    outside.files.write(&path, &key, 0o600)?;
    Ok(key)
}

/// Reads what the configuration says about a policy. What cannot be read makes it one that is not in force.
pub(crate) fn candidate(
    files: &dyn Files,
    policy: &PolicyConfig,
    signers: &backstop_model::config::Config,
) -> Candidate {
    let beside = |extension: &str| policy.component.with_extension(extension);
    let shown = |path: &Path| path.display().to_string();
    let component = match files.read(&policy.component) {
        Ok(Some(bytes)) if bytes.len() <= COMPONENT_MAX => Ok(bytes),
        Ok(Some(bytes)) => {
            Err(format!("`{}` is larger than a component may be: {} bytes", shown(&policy.component), bytes.len()))
        }
        Ok(None) => Err(format!("`{}` is not there", shown(&policy.component))),
        Err(fault) => Err(fault.message),
    };
    Candidate {
        config: policy.clone(),
        component,
        manifest: files.read(&beside("manifest")).ok().flatten(),
        signature: files.read(&beside("sig")).ok().flatten(),
        signer: policy.signer.as_ref().and_then(|name| signers.signers.get(name)).cloned(),
    }
}

/// The engine of this command.
pub(crate) fn engine(ctx: &Context) -> Result<&Engine, Fault> {
    let made = ctx.loaded.engine.get_or_init(|| engine_of(&ctx.outside, &ctx.config.state_dir));
    made.as_ref().map_err(Clone::clone)
}

/// The policies of one world, loaded once per command.
pub(crate) fn policies(ctx: &Context, world: World) -> Result<Arc<PolicySet>, Fault> {
    let at = World::ALL.iter().position(|known| *known == world).expect("all are listed");
    if let Some(set) = ctx.loaded.sets[at].get() {
        return Ok(Arc::clone(set));
    }
    let engine = engine(ctx)?;
    let wanted = ctx.config.policies.values().filter(|policy| policy.world == world);
    let candidates = wanted.map(|policy| candidate(&*ctx.outside.files, policy, &ctx.config)).collect();
    let set = Arc::new(PolicySet::load(engine, candidates));
    Ok(Arc::clone(ctx.loaded.sets[at].get_or_init(|| set)))
}

/// What is in force, in one word: a digest over the configuration's files and the digests of the components.
pub(crate) fn generation(ctx: &Context) -> String {
    let made = || {
        let mut hash = blake3::Hasher::new();
        let files = ctx.outside.files.read_config(&ctx.outside.config_dir).unwrap_or_default();
        for (path, bytes) in &files {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(path.to_string_lossy().as_bytes());
            hash.update(bytes);
        }
        for policy in ctx.config.policies.values() {
            let component = ctx.outside.files.read(&policy.component).ok().flatten().unwrap_or_default();
            hash.update(blake3::hash(&component).as_bytes());
        }
        hash.finalize().to_hex().chars().take(16).collect()
    };
    ctx.loaded.generation.get_or_init(made).clone()
}
