//! Version 1 of `backstop:policy`: bindings made from `wit/1.0.0`, and the way between its words and the model's.
//!
//! A later major version gets a module of its own beside this one; [`Entry`] is where they meet.

pub(crate) mod alert_sink;
pub(crate) mod health_check;
mod http;
mod probes;
pub(crate) mod retention;
pub(crate) mod validation;
mod words;

use backstop_model::policy::{LogSeverity, World};
use wasmtime::component::{HasSelf, InstancePre, Linker};

use crate::state::State;

#[allow(missing_docs, reason = "documented in the WIT")]
pub(crate) mod wit {
    wasmtime::component::bindgen!({
        inline: "package backstop:host; world every-world {
            include backstop:policy/retention@1.0.0;
            include backstop:policy/validation@1.0.0;
            include backstop:policy/alert-sink@1.0.0;
            include backstop:policy/health-check@1.0.0;
        }",
        path: "../../../wit/1.0.0",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
    });
}

use wit::backstop::policy as imports;
use wit::exports::backstop::policy as exports;

/// The newest version of the package that this host knows: major, minor, patch.
pub(crate) const NEWEST: (u64, u64, u64) = (1, 0, 0);

/// Interfaces that a world of this version may import.
pub(crate) const fn importable(world: World) -> &'static [&'static str] {
    match world {
        World::Retention | World::Validation => &["types", "log"],
        World::AlertSink => &["types", "log", "http"],
        World::HealthCheck => &["types", "log", "probes"],
    }
}

/// The interface that a component for this world exports.
pub(crate) const fn exported(world: World) -> &'static str {
    match world {
        World::Retention => "retention-rules",
        World::Validation => "validation-rules",
        World::AlertSink => "alert-delivery",
        World::HealthCheck => "health-rules",
    }
}

/// What the host offers a world: exactly what [`importable`] says.
pub(crate) fn linker(engine: &wasmtime::Engine, world: World) -> wasmtime::Result<Linker<State>> {
    fn own(state: &mut State) -> &mut State {
        state
    }
    let mut linker = Linker::new(engine);
    imports::types::add_to_linker::<State, HasSelf<State>>(&mut linker, own)?;
    imports::log::add_to_linker::<State, HasSelf<State>>(&mut linker, own)?;
    match world {
        World::Retention | World::Validation => {}
        World::AlertSink => imports::http::add_to_linker::<State, HasSelf<State>>(&mut linker, own)?,
        World::HealthCheck => imports::probes::add_to_linker::<State, HasSelf<State>>(&mut linker, own)?,
    }
    Ok(linker)
}

/// Where a component is entered.
#[derive(Clone)]
pub(crate) enum Entry {
    Retention(exports::retention_rules::GuestIndices),
    Validation(exports::validation_rules::GuestIndices),
    AlertSink(exports::alert_delivery::GuestIndices),
    HealthCheck(exports::health_rules::GuestIndices),
}

impl Entry {
    pub(crate) fn find(world: World, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(match world {
            World::Retention => Entry::Retention(exports::retention_rules::GuestIndices::new(pre)?),
            World::Validation => Entry::Validation(exports::validation_rules::GuestIndices::new(pre)?),
            World::AlertSink => Entry::AlertSink(exports::alert_delivery::GuestIndices::new(pre)?),
            World::HealthCheck => Entry::HealthCheck(exports::health_rules::GuestIndices::new(pre)?),
        })
    }

    /// Whether an instance's functions have the types of the WIT.
    pub(crate) fn check(
        &self,
        store: &mut wasmtime::Store<State>,
        instance: &wasmtime::component::Instance,
    ) -> wasmtime::Result<()> {
        match self {
            Entry::Retention(entry) => entry.load(store, instance).map(drop),
            Entry::Validation(entry) => entry.load(store, instance).map(drop),
            Entry::AlertSink(entry) => entry.load(store, instance).map(drop),
            Entry::HealthCheck(entry) => entry.load(store, instance).map(drop),
        }
    }
}

impl imports::types::Host for State {}

impl imports::log::Host for State {
    fn write(&mut self, severity: imports::log::Severity, line: String) -> wasmtime::Result<()> {
        let severity = match severity {
            imports::log::Severity::Debug => LogSeverity::Debug,
            imports::log::Severity::Info => LogSeverity::Info,
            imports::log::Severity::Warning => LogSeverity::Warning,
        };
        self.log(severity, &line);
        Ok(())
    }
}
