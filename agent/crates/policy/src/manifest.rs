//! What the author of a component says about it: `NAME.manifest` beside `NAME.wasm`.
//!
//! A manifest grants nothing. It is there so that an operator sees, before binding a policy, what it is for and what it
//! will ask for.

use backstop_model::policy::World;
use serde::{Deserialize, Serialize};

/// The most bytes of a manifest.
pub const MANIFEST_MAX: usize = 64 << 10;

/// What stands in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The policy's name, as its author calls it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it decides.
    pub world: World,
    /// The version of `backstop:policy` it was built for.
    pub wit: String,
    /// What it does, in a few lines.
    #[serde(default)]
    pub description: String,
    /// What it wants to be granted.
    #[serde(default)]
    pub asks: Asks,
    /// The settings it understands.
    #[serde(default)]
    pub settings: Vec<SettingNote>,
}

/// What a policy wants to be granted, in the words of `grants` in TOML.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// Hosts; `*` where the operator chooses.
    #[serde(default)]
    pub http: Vec<String>,
    /// Secrets, by the names the plugin uses.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Probes.
    #[serde(default)]
    pub probes: Vec<String>,
}

/// A setting that a policy understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingNote {
    /// Its key.
    pub key: String,
    /// `text`, `whole`, `real`, `truth`, `texts` or `wholes`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the policy cannot do without it.
    #[serde(default)]
    pub required: bool,
    /// What it means.
    #[serde(default)]
    pub description: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// One line, what is wrong and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MANIFEST_MAX {
            return Err(format!("it has {} bytes, at most {MANIFEST_MAX} are read", bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            format!("line {line}: {}", error.message().lines().next().unwrap_or("it is not TOML"))
        })
    }
}
