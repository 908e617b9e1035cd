//! World `alert-sink`: where alerts go. Requests are sent with [`crate::http`].

use std::marker::PhantomData;

pub use crate::wit::alert_sink::exports::backstop::policy::alert_delivery::{
    Alert, Failure, Question, Receipt, Setback, Severity,
};

/// Brings alerts to people and their tools.
pub trait AlertSink {
    /// Delivers an alert.
    ///
    /// # Errors
    /// When it was not delivered: again later, or never. [`crate::http::accepted`] decides that for most services.
    fn deliver(question: &Question) -> Result<Receipt, Failure>;
}

impl Receipt {
    /// Taken over, without a name that the receiver would know.
    #[must_use]
    pub fn taken() -> Self {
        Self { id: String::new(), note: String::new() }
    }

    /// Taken over under a name.
    #[must_use]
    pub fn named(id: impl Into<String>) -> Self {
        Self { id: id.into(), note: String::new() }
    }
}

impl Failure {
    /// It may go through later, when the agent tries again by its own schedule.
    #[must_use]
    pub fn later(why: impl Into<String>) -> Self {
        Failure::Again(Setback { after: None, why: why.into() })
    }
}

/// Settings that are wrong stay wrong: `settings.text("url")?` in a sink ends in `never`, and the fallback takes over.
impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::Never(why)
    }
}

impl Severity {
    /// `info`, `warning`, `critical`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Carries a policy to the function that the component exports.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: AlertSink> crate::wit::alert_sink::exports::backstop::policy::alert_delivery::Guest for Exported<P> {
    fn deliver(question: Question) -> Result<Receipt, Failure> {
        P::deliver(&question)
    }
}

/// Exports a type that implements [`AlertSink`](crate::alert_sink::AlertSink) as this component's policy, and tests it
/// against `cases/*.toml`.
#[macro_export]
macro_rules! alert_sink {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $crate::alert_sink::Exported<$policy>;
    $crate::wit::alert_sink::export_alert_sink!(Exported with_types_in $crate::wit::alert_sink);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: &$crate::golden::Ask = &$crate::golden::alert_sink::<$policy>;

        #[cfg(all(test, not(target_family = "wasm")))]
        #[test]
        fn every_golden_case_is_answered_as_written() {
            $crate::golden::check(env!("CARGO_MANIFEST_DIR"), &$crate::golden::alert_sink::<$policy>);
        }
    };
}
