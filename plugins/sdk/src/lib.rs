//! Write policies for Backstop in Rust.
//!
//! A policy is a type that implements one of four traits, and one macro that exports it:
//!
//! | it decides | trait | macro |
//! |---|---|---|
//! | how long backups live | [`retention::Retention`] | [`retention!`] |
//! | which requests are acceptable | [`validation::Validation`] | [`validation!`] |
//! | where alerts go | [`alert_sink::AlertSink`] | [`alert_sink!`] |
//! | whether a restored system is healthy | [`health_check::HealthCheck`] | [`health_check!`] |
//!
//! ```
//! use backstop_policy_sdk::retention::{Question, ReleaseQuestion, Retention, Verdict};
//! use backstop_policy_sdk::Settings;
//!
//! struct KeepNewest;
//!
//! impl Retention for KeepNewest {
//!     fn release(question: &ReleaseQuestion) -> Result<Vec<Verdict>, String> {
//!         question.settings.only(&["keep"])?;
//!         let keep = question.settings.count_or("keep", 7)?;
//!         let newest_first = question.past().rev().enumerate();
//!         Ok(newest_first
//!             .map(|(age, (position, _))| {
//!                 if age < keep { Verdict::keep(position, "among the newest") } else { Verdict::release(position, "older") }
//!             })
//!             .collect())
//!     }
//! }
//!
//! // backstop_policy_sdk::retention!(KeepNewest);
//! ```
//!
//! The same code compiles natively. The macro brings a test that reads every `cases/*.toml` beside `Cargo.toml`, asks
//! the policy, and compares: `cargo test` needs no WebAssembly. `backstop policy test` runs the same files against the
//! built component.
//!
//! An `Err` means that no answer was found, and has its safe default: retention keeps everything, validation refuses,
//! an alert is tried again, a health check is unknown. A panic means the same with a worse message.

pub mod alert_sink;
pub mod date;
pub mod glob;
pub mod health_check;
#[cfg(target_family = "wasm")]
mod heap;
pub mod http;
pub mod json;
pub mod log;
pub mod period;
pub mod probes;
pub mod retention;
pub mod settings;
pub mod validation;
pub mod wit;

#[cfg(not(target_family = "wasm"))]
pub mod cases;
#[cfg(not(target_family = "wasm"))]
pub mod golden;

pub use date::Date;
pub use json::Json;
pub use period::Period;
pub use settings::Settings;
pub use wit::retention::backstop::policy::types::{CivilTime, Field, Level, Value};

impl CivilTime {
    /// The day.
    #[must_use]
    pub fn date(&self) -> Date {
        Date::of(self)
    }

    /// The seconds since a clock here showed 1970-01-01T00:00:00, as in
    /// [`Backup::local`](retention::Backup::local).
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.date().days() * period::DAY + i64::from(self.minute_of_day()) * 60 + i64::from(self.second)
    }

    /// Minutes since midnight, 0 to 1439.
    #[must_use]
    pub fn minute_of_day(&self) -> u32 {
        u32::from(self.hour) * 60 + u32::from(self.minute)
    }
}

impl Level {
    /// Reads `L3` or `consistent`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "nothing" => Level::Nothing,
            "L0" | "present" => Level::Present,
            "L1" | "intact" => Level::Intact,
            "L2" | "attachable" => Level::Attachable,
            "L3" | "consistent" => Level::Consistent,
            "L4" | "boots" => Level::Boots,
            "L5" | "serves" => Level::Serves,
            _ => return None,
        })
    }

    /// `L3 (consistent)`, as the agent writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Level::Nothing => "nothing",
            Level::Present => "L0 (present)",
            Level::Intact => "L1 (intact)",
            Level::Attachable => "L2 (attachable)",
            Level::Consistent => "L3 (consistent)",
            Level::Boots => "L4 (boots)",
            Level::Serves => "L5 (serves)",
        }
    }
}
