//! What can be told of a component without running it.

use backstop_model::SignerName;
use backstop_model::policy::{Fault, FaultKind, World};
use serde::Serialize;

use crate::manifest::Manifest;

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

/// Reads a component's facts, or why it cannot be a policy.
///
/// # Errors
/// It is no component, for no world of ours, or wants more than its world gives.
pub fn inspect(_bytes: &[u8]) -> Result<Facts, Fault> {
    Err(Fault { kind: FaultKind::NotLoaded, message: "not made yet".to_owned(), backtrace: Vec::new() })
}
