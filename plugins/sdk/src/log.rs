//! Lines for whoever asks why: shown by `backstop policy explain`, and kept with the decision.

use crate::wit::retention::backstop::policy::log::Severity;

/// A line for the author of the policy.
pub fn debug(line: &str) {
    write(Severity::Debug, line);
}

/// A line for whoever asks why.
pub fn info(line: &str) {
    write(Severity::Info, line);
}

/// A line that the operator is shown unasked.
pub fn warning(line: &str) {
    write(Severity::Warning, line);
}

#[cfg(target_family = "wasm")]
fn write(severity: Severity, line: &str) {
    crate::wit::retention::backstop::policy::log::write(severity, line);
}

/// Natively there is no host: the test runner shows the lines of a test that fails.
#[cfg(not(target_family = "wasm"))]
fn write(severity: Severity, line: &str) {
    println!("{severity:?}: {line}");
}
