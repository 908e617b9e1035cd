//! World `validation`: which requests are acceptable.

use std::marker::PhantomData;

pub use crate::wit::validation::exports::backstop::policy::validation_rules::{Finding, Outcome, Question, Request};

/// Accepts, warns about, holds or refuses requests. Pure: the same question always gets the same answer.
pub trait Validation {
    /// Says what is to be said about a request; an empty list accepts it.
    ///
    /// # Errors
    /// When no answer is found: the request is refused, naming the policy.
    fn check(question: &Question) -> Result<Vec<Finding>, String>;
}

impl Finding {
    /// It goes on; the message is shown and recorded.
    #[must_use]
    pub fn warn(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, message: message.into(), field: None }
    }

    /// It waits until another person approves of it.
    #[must_use]
    pub fn ask_approval(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::AskApproval, message: message.into(), field: None }
    }

    /// It is refused.
    #[must_use]
    pub fn deny(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Deny, message: message.into(), field: None }
    }

    /// The field it concerns.
    #[must_use]
    pub fn about(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }
}

impl Outcome {
    /// Reads `warn`, `ask-approval` or `deny`, as a setting has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "warn" => Outcome::Warn,
            "ask-approval" => Outcome::AskApproval,
            "deny" => Outcome::Deny,
            _ => return None,
        })
    }

    /// A finding with this outcome.
    #[must_use]
    pub fn finding(self, message: impl Into<String>) -> Finding {
        Finding { outcome: self, message: message.into(), field: None }
    }
}

impl Request {
    /// Whether the verb changes the configuration: `configure`, and `reload` of edited files.
    #[must_use]
    pub fn configures(&self) -> bool {
        matches!(self.verb.as_str(), "configure" | "reload")
    }
}

/// Carries a policy to the function that the component exports.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Validation> crate::wit::validation::exports::backstop::policy::validation_rules::Guest for Exported<P> {
    fn check(question: Question) -> Result<Vec<Finding>, String> {
        P::check(&question)
    }
}

/// Exports a type that implements [`Validation`](crate::validation::Validation) as this component's policy, and tests
/// it against `cases/*.toml`.
#[macro_export]
macro_rules! validation {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $crate::validation::Exported<$policy>;
    $crate::wit::validation::export_validation!(Exported with_types_in $crate::wit::validation);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: &$crate::golden::Ask = &$crate::golden::validation::<$policy>;

        #[cfg(all(test, not(target_family = "wasm")))]
        #[test]
        fn every_golden_case_is_answered_as_written() {
            $crate::golden::check(env!("CARGO_MANIFEST_DIR"), &$crate::golden::validation::<$policy>);
        }
    };
}
