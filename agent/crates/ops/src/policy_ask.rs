//! Asking a recorded or written question again, whatever the world: for `policy explain`, `replay`, `test` and `bench`.

use std::path::Path;

use backstop_model::policy::retention::{ReleaseQuestion, TiersQuestion};
use backstop_model::policy::validation::ValidationQuestion;
use backstop_model::policy::{
    Asked, Decision, Fault as PolicyFault, FaultKind, LogLine, Mode, PolicyConfig, PolicyLimits, World,
};
use backstop_model::{Fault, Span};
use backstop_policy::{Candidate, Engine, Policy, PolicySet};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Outside;

/// An answer of any world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The answer, or why there is none.
    pub answer: Result<Value, PolicyFault>,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
    /// Lines beyond the limit.
    pub log_dropped: u32,
    /// Wall clock of the call.
    pub took: Span,
    /// Fuel used.
    pub fuel: u64,
}

impl Answer {
    pub(crate) fn of<A: Serialize>(asked: Asked<A>) -> Self {
        let answer = asked.answer.map(|answer| serde_json::to_value(answer).unwrap_or(Value::Null));
        Self { answer, log: asked.log, log_dropped: asked.log_dropped, took: asked.took, fuel: asked.fuel }
    }

    /// An answer that could not even be asked for.
    pub(crate) fn none(message: String) -> Self {
        let fault = PolicyFault { kind: FaultKind::BadAnswer, message, backtrace: Vec::new() };
        Self { answer: Err(fault), log: Vec::new(), log_dropped: 0, took: Span::ZERO, fuel: 0 }
    }
}

/// Asks a pure policy a recorded question.
pub(crate) fn again(policy: &Policy, world: World, function: &str, question: &Value) -> Answer {
    fn read<Q: DeserializeOwned>(question: &Value) -> Result<Q, String> {
        Q::deserialize(question).map_err(|error| format!("the recorded question does not read: {error}"))
    }
    let asked = match (world, function) {
        (World::Retention, "tiers") => {
            read::<TiersQuestion>(question).map(|question| Answer::of(policy.ask_tiers(&question)))
        }
        (World::Retention, _) => {
            read::<ReleaseQuestion>(question).map(|question| Answer::of(policy.ask_release(&question)))
        }
        (World::Validation, _) => {
            read::<ValidationQuestion>(question).map(|question| Answer::of(policy.ask_validation(&question)))
        }
        (World::AlertSink | World::HealthCheck, _) => {
            Err("what depends on the world outside cannot be asked again".to_owned())
        }
    };
    asked.unwrap_or_else(Answer::none)
}

/// Whether two answers to one question say the same.
pub(crate) fn same(before: &Decision, now: &Answer) -> bool {
    match (&before.answer, &now.answer) {
        (Ok(a), Ok(b)) => a == b,
        (Err(a), Err(b)) => a.kind == b.kind,
        _ => false,
    }
}

/// A component that is bound to nothing, loaded by itself: pinned to the bytes just read.
pub(crate) fn loose(
    outside: &Outside,
    engine: &Engine,
    path: &Path,
    like: Option<&PolicyConfig>,
) -> Result<PolicySet, Fault> {
    let missing = || Fault::not_found(format!("there is no file `{}`", path.display()), "");
    let bytes = outside.files.read(path)?.ok_or_else(missing)?;
    let world = match like {
        Some(config) => config.world,
        None => backstop_policy::inspect(&bytes).map(|facts| facts.world).map_err(|fault| {
            Fault::new(
                backstop_model::ExitCode::Findings,
                backstop_model::Advice::CallAPerson,
                format!("`{}` is no policy: {}", path.display(), fault.message),
                "`backstop policy inspect FILE` shows what it is",
            )
        })?,
    };
    let fresh = || PolicyConfig {
        name: "candidate".parse().expect("a valid name"),
        component: path.to_owned(),
        sha256: None,
        signer: None,
        world,
        applies_to: Vec::new(),
        mode: Mode::Active,
        settings: Vec::new(),
        grants: Default::default(),
        limits: PolicyLimits::of(world),
        promises: Vec::new(),
        origin: path.to_owned(),
    };
    let mut config = like.cloned().unwrap_or_else(fresh);
    path.clone_into(&mut config.component);
    config.sha256 = Some(backstop_policy::sign::sha256_hex(&bytes));
    config.signer = None;
    let manifest = outside.files.read(&path.with_extension("manifest"))?;
    Ok(PolicySet::load(
        engine,
        vec![Candidate { config, component: Ok(bytes), manifest, signature: None, signer: None }],
    ))
}

/// The only policy of a set.
pub(crate) fn only(set: &PolicySet) -> Result<&Policy, Fault> {
    let policy = set.policies().next().expect("loaded one");
    match policy.fault() {
        None => Ok(policy),
        Some(fault) => Err(Fault::new(
            backstop_model::ExitCode::Findings,
            backstop_model::Advice::CallAPerson,
            format!("`{}` cannot be loaded: {}", policy.config().component.display(), fault.message),
            "`backstop policy inspect FILE` shows what it is",
        )),
    }
}
