//! What an operator writes about a policy.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Field;
use super::grant::{HttpGrant, ProbeGrant};
use crate::config::SecretRef;
use crate::name::{BadName, PolicyName, SignerName, WorkloadName};
use crate::time::Span;

/// The four kinds of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// How long backups live.
    Retention,
    /// Which requests are acceptable.
    Validation,
    /// Where alerts go.
    AlertSink,
    /// Whether what came back is healthy.
    HealthCheck,
}

impl World {
    /// Every world.
    pub const ALL: [World; 4] = [World::Retention, World::Validation, World::AlertSink, World::HealthCheck];

    /// Its name in WIT and TOML.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            World::Retention => "retention",
            World::Validation => "validation",
            World::AlertSink => "alert-sink",
            World::HealthCheck => "health-check",
        }
    }

    /// Whether a question always gets the same answer, so that decisions can be asked again.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        matches!(self, World::Retention | World::Validation)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for World {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|world| world.word() == raw).ok_or_else(|| BadName {
            what: "world",
            shown: raw.escape_debug().take(40).collect(),
            rule: "one of retention, validation, alert-sink, health-check",
        })
    }
}

/// How far a policy is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Mode {
    /// Asked and recorded; its answers change nothing.
    Shadow,
    /// In force for a share of the workloads it applies to, chosen by their names; shadow for the others.
    Canary {
        /// 1 to 99.
        percent: u8,
    },
    /// In force.
    Active,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Shadow => f.pad("shadow"),
            Mode::Canary { percent } => f.pad(&format!("canary {percent} %")),
            Mode::Active => f.pad("active"),
        }
    }
}

/// What a policy may reach beyond its question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Grants {
    /// Hosts, for alert sinks.
    pub http: Vec<HttpGrant>,
    /// Secrets by the name that the plugin uses, for alert sinks.
    pub secrets: Vec<(String, SecretRef)>,
    /// Probes, for health checks.
    pub probes: Vec<ProbeGrant>,
}

/// What a call may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PolicyLimits {
    /// Wall clock of one call, host calls included. 1 ms to 60 s.
    pub time: Span,
    /// Linear memory in bytes. 64 KiB to 1 GiB.
    pub memory: u64,
}

impl PolicyLimits {
    /// What a world gets when nothing is written.
    #[must_use]
    pub const fn of(world: World) -> Self {
        let time = match world {
            World::Retention | World::Validation => Span::from_millis(1_000),
            World::AlertSink => Span::from_secs(30),
            World::HealthCheck => Span::from_secs(60),
        };
        Self { time, memory: 64 << 20 }
    }
}

/// A key whose signatures are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerConfig {
    /// Its name.
    pub name: SignerName,
    /// Ed25519, 32 bytes in base64.
    pub public_key: String,
}

/// A policy as bound by TOML.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyConfig {
    /// Its name.
    pub name: PolicyName,
    /// The component's file, absolute.
    pub component: PathBuf,
    /// The digest it must have; 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    /// Whose signature it must carry (`FILE.sig` beside it). At least one of the two is there.
    pub signer: Option<SignerName>,
    /// What it decides.
    pub world: World,
    /// Patterns over workload names, in which `*` is any text and `?` any character; empty means all.
    pub applies_to: Vec<String>,
    /// How far it is in force.
    pub mode: Mode,
    /// Given to the plugin as it is.
    pub settings: Vec<Field>,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use up.
    pub limits: PolicyLimits,
    /// Retention only: how many newest periods or holders of a named tier the operator counts on; `policy simulate`
    /// fails when fewer remain.
    pub promises: Vec<(crate::backup::Tier, u32)>,
    /// The file that binds it, for messages.
    pub origin: PathBuf,
}

impl PolicyConfig {
    /// Whether it is bound to this workload. How far it is in force there is the mode's business.
    #[must_use]
    pub fn covers(&self, workload: &WorkloadName) -> bool {
        self.applies_to.is_empty() || self.applies_to.iter().any(|pattern| fits(pattern, workload.as_str()))
    }
}

/// Whether a name fits a pattern of `applies_to`. Takes time in proportion to the product of their lengths at most.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // The last star, and where what it stands for ends so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(c) if *c == b'?' || *c == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((position, end)) = star else { return false };
                star = Some((position, end + 1));
                (at, seen) = (position + 1, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

/// Whether an address is one that the whole Internet routes. Everything else needs a grant that says so.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            let first = v6.segments()[0];
            // Only 2000::/3 is handed out; within it, what carries an IPv4 address inside or is for documentation is not trusted.
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && v6.segments()[1] < 0x0200)
                && !(first == 0x2001 && v6.segments()[1] == 0x0db8)
                && first != 0x3fff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names_only() {
        for (pattern, name, expected) in [
            ("docs", "docs", true),
            ("docs", "docs2", false),
            ("db-*", "db-", true),
            ("db-*", "db-main", true),
            ("db-*", "mydb-main", false),
            ("*", "x", true),
            ("*-prod", "a-prod-prod", true),
            ("*-prod", "a-prod-test", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn addresses_inside_are_not_public() {
        let inside = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ];
        for address in inside {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
        for address in ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }
}
