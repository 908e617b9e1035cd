//! Checked names. Each type is built only by parsing, so a value in hand satisfies its rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a string is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {what}: {rule}")]
pub struct BadName {
    /// The kind of name, as a person calls it ("workload name").
    pub what: &'static str,
    /// The offending input, control characters escaped and cut to 80 characters.
    pub shown: String,
    /// The rule in words.
    pub rule: &'static str,
}

fn shown(raw: &str) -> String {
    raw.escape_debug().to_string().chars().take(80).collect()
}

/// Defines a string newtype that can only be built through its rule.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(raw: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(raw) {
                    Ok(Self(raw.to_owned()))
                } else {
                    Err(BadName { what: $what, shown: shown(raw), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(raw: String) -> Result<Self, BadName> {
                raw.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn word(raw: &str, most: usize) -> bool {
    (1..=most).contains(&raw.len())
        && raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && raw.starts_with(|c: char| c.is_ascii_alphanumeric())
}

checked_name!(
    /// What is protected, as the operator calls it.
    WorkloadName, "workload name",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A vault, as the configuration calls it.
    VaultName, "vault name",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A schedule, as the configuration calls it.
    ScheduleName, "schedule name",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A named place of a cloud or of a vault.
    Region, "region",
    "1 to 40 lower-case letters, digits or `-`, beginning with a letter",
    |s| (1..=40).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && s.starts_with(|c: char| c.is_ascii_lowercase())
);
checked_name!(
    /// A backup: `{workload}-backup-{tier}-{YYYYMMDD-HHMM}`, unique, at most 80 characters (rule R3.2).
    BackupName, "backup name",
    "1 to 80 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 80)
);
checked_name!(
    /// One attempt at a plan. Sorts by time of creation.
    RunId, "run id",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A policy, as the configuration calls it.
    PolicyName, "policy name",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A key whose signatures are trusted, as the configuration calls it.
    SignerName, "signer name",
    "1 to 64 letters, digits, `-` or `_`, beginning with a letter or digit", |s| word(s, 64)
);
checked_name!(
    /// A tier a policy has named; never one of the three built-in words.
    TierName, "tier name",
    "1 to 32 lower-case letters, digits or `-`, beginning with a letter, and not daily, weekly or monthly",
    |s| (1..=32).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && !matches!(s, "daily" | "weekly" | "monthly")
);

/// Where a copy is: `vault:offsite` or `region:westus2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// In one of our vaults.
    Vault(VaultName),
    /// In a region of the cloud that owns the machine.
    Region(Region),
}

impl Place {
    /// The vault's name when this place is a vault.
    #[must_use]
    pub fn vault(&self) -> Option<&VaultName> {
        match self {
            Place::Vault(name) => Some(name),
            Place::Region(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Vault(name) => f.pad(&format!("vault:{name}")),
            Place::Region(name) => f.pad(&format!("region:{name}")),
        }
    }
}

impl FromStr for Place {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        match raw.split_once(':') {
            Some(("vault", name)) => Ok(Place::Vault(name.parse()?)),
            Some(("region", name)) => Ok(Place::Region(name.parse()?)),
            _ => Err(BadName { what: "place", shown: shown(raw), rule: "written `vault:NAME` or `region:NAME`" }),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = BadName;
    fn try_from(raw: String) -> Result<Self, BadName> {
        raw.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

/// A snapshot inside a vault: the BLAKE3 digest of its sealed object, 64 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(pub [u8; 32]);

impl SnapshotId {
    /// The first twelve hexadecimal digits, enough for a person to tell snapshots apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SnapshotId {
    type Err = BadName;
    fn from_str(raw: &str) -> Result<Self, BadName> {
        parse_hex(raw).map(Self).ok_or_else(|| BadName {
            what: "snapshot id",
            shown: shown(raw),
            rule: "64 hexadecimal digits",
        })
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = BadName;
    fn try_from(raw: String) -> Result<Self, BadName> {
        raw.parse()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> String {
        id.to_string()
    }
}

/// Parses exactly `2 * N` lower-case hexadecimal digits.
#[must_use]
pub fn parse_hex<const N: usize>(raw: &str) -> Option<[u8; N]> {
    let digits = raw.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_a_path_or_a_shell_do_not_parse() {
        for bad in ["", "..", "a/b", "a b", "a;b", "-a", "é", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<WorkloadName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(64).parse::<WorkloadName>().is_ok());
        assert!("prod-db_1".parse::<WorkloadName>().is_ok());
    }

    #[test]
    fn a_place_reads_back_what_it_prints() {
        for raw in ["vault:main", "region:westus2"] {
            assert_eq!(raw.parse::<Place>().expect("valid").to_string(), raw);
        }
        for bad in ["main", "vault:", "region:West US", "disk:x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_built_in_tier_word_is_no_site_tier() {
        assert!("daily".parse::<TierName>().is_err());
        assert!("quarterly".parse::<TierName>().is_ok());
    }
}
