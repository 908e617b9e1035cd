//! World `health-check`: whether what came back is any good. The system is looked at with [`crate::probes`].

use std::marker::PhantomData;

pub use crate::wit::health_check::exports::backstop::policy::health_rules::{Answer, Finding, Question, State};

/// Decides whether a restored system is healthy.
pub trait HealthCheck {
    /// Looks at the restored system.
    ///
    /// # Errors
    /// When it could not be told: unknown, which is not a pass.
    fn check(question: &Question) -> Result<Answer, String>;
}

/// Gathers what was looked at into an answer: unhealthy when something did not pass, else unknown when something could
/// not be told or nothing was looked at, else healthy.
///
/// ```
/// use backstop_policy_sdk::health_check::{Looked, State};
///
/// let mut looked = Looked::default();
/// looked.pass("port 5432", "answers");
/// assert_eq!(looked.answer().state, State::Healthy);
///
/// looked.fail("table orders", "0 rows");
/// assert_eq!(looked.answer().state, State::Unhealthy);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Looked {
    findings: Vec<Finding>,
    unclear: bool,
}

impl Looked {
    /// It is as it should be.
    pub fn pass(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.findings.push(Finding { name: name.into(), passed: true, detail: detail.into() });
    }

    /// It is not.
    pub fn fail(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.findings.push(Finding { name: name.into(), passed: false, detail: detail.into() });
    }

    /// As it is, or not.
    pub fn check(&mut self, passed: bool, name: impl Into<String>, detail: impl Into<String>) {
        self.findings.push(Finding { name: name.into(), passed, detail: detail.into() });
    }

    /// It could not be told, for instance because the probe is not granted.
    pub fn unclear(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.fail(name, detail);
        self.unclear = true;
    }

    /// The answer so far.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let failed = self.findings.iter().any(|finding| !finding.passed);
        let state = match (self.findings.is_empty(), self.unclear, failed) {
            (true, ..) | (_, true, _) => State::Unknown,
            (_, _, true) => State::Unhealthy,
            (_, _, false) => State::Healthy,
        };
        Answer { state, findings: self.findings.clone() }
    }
}

/// Carries a policy to the function that the component exports.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: HealthCheck> crate::wit::health_check::exports::backstop::policy::health_rules::Guest for Exported<P> {
    fn check(question: Question) -> Result<Answer, String> {
        P::check(&question)
    }
}

/// Exports a type that implements [`HealthCheck`](crate::health_check::HealthCheck) as this component's policy, and
/// tests it against `cases/*.toml`.
#[macro_export]
macro_rules! health_check {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $crate::health_check::Exported<$policy>;
    $crate::wit::health_check::export_health_check!(Exported with_types_in $crate::wit::health_check);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: &$crate::golden::Ask = &$crate::golden::health_check::<$policy>;

        #[cfg(all(test, not(target_family = "wasm")))]
        #[test]
        fn every_golden_case_is_answered_as_written() {
            $crate::golden::check(env!("CARGO_MANIFEST_DIR"), &$crate::golden::health_check::<$policy>);
        }
    };
}
