//! Names of backups: `{workload}-backup-{tier}-{YYYYMMDD-HHMM}` in UTC, unique, at most 80 characters.

use std::collections::BTreeSet;

use backstop_model::{BackupName, Tier, Timestamp, WorkloadName};

const LONGEST: usize = 80;

/// The word a backup is named by: its longest built-in tier, else the first named one, else `extra`.
#[must_use]
pub fn tier_word(tiers: &BTreeSet<Tier>) -> &str {
    for (tier, word) in [(Tier::Monthly, "monthly"), (Tier::Weekly, "weekly"), (Tier::Daily, "daily")] {
        if tiers.contains(&tier) {
            return word;
        }
    }
    let named = tiers.iter().find_map(|tier| match tier {
        Tier::Named(name) => Some(name.as_str()),
        Tier::Daily | Tier::Weekly | Tier::Monthly => None,
    });
    named.unwrap_or("extra")
}

/// The name of a backup of `workload` with these tiers, made at `now`. When `taken` knows the plain name, `-2`, `-3`…
/// is appended. A name that would be too long has its workload part cut, and carries a hash of the whole of it.
pub fn backup_name(
    workload: &WorkloadName,
    tiers: &BTreeSet<Tier>,
    now: Timestamp,
    taken: &dyn Fn(&BackupName) -> bool,
) -> BackupName {
    let stamp = now.strftime("%Y%m%d-%H%M");
    let base = format!("-backup-{}-{stamp}", tier_word(tiers));
    let mut tail = base.clone();
    for count in 2u64.. {
        let name = fitted(workload.as_str(), &tail);
        if !taken(&name) {
            return name;
        }
        tail = format!("{base}-{count}");
    }
    unreachable!("a catalog holds fewer than 2^64 backups")
}

fn fitted(workload: &str, tail: &str) -> BackupName {
    let plain = format!("{workload}{tail}");
    let name = if plain.len() <= LONGEST {
        plain
    } else {
        let hash = format!("-{:08x}", fnv1a(workload.as_bytes()));
        // Workload names are ASCII, so any cut falls between characters.
        let room = LONGEST.saturating_sub(hash.len() + tail.len()).max(1);
        format!("{}{hash}{tail}", &workload[..room.min(workload.len())])
    };
    name.parse().expect("a workload's first letters, a hash, a tier and a time make a valid name")
}

/// FNV-1a, 32 bits: offset basis 2166136261, prime 16777619. Only tells names apart; nothing secret hangs on it.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::t;

    fn named(workload: &str, tiers: &[Tier], taken: &[&str]) -> String {
        let now = t("2026-11-20T08:05:59Z");
        let is_taken = |name: &BackupName| taken.contains(&name.as_str());
        let tiers = tiers.iter().cloned().collect();
        backup_name(&workload.parse().expect("valid"), &tiers, now, &is_taken).to_string()
    }

    #[test]
    fn the_longest_tier_names_the_backup() {
        assert_eq!(named("docs", &[Tier::Daily], &[]), "docs-backup-daily-20261120-0805");
        assert_eq!(
            named("docs", &[Tier::Daily, Tier::Monthly, Tier::Weekly], &[]),
            "docs-backup-monthly-20261120-0805"
        );
        let quarterly: Tier = "quarterly".parse().expect("valid");
        assert_eq!(named("docs", &[quarterly], &[]), "docs-backup-quarterly-20261120-0805");
        assert_eq!(named("docs", &[], &[]), "docs-backup-extra-20261120-0805");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let (first, second) = ("docs-backup-daily-20261120-0805", "docs-backup-daily-20261120-0805-2");
        assert_eq!(named("docs", &[Tier::Daily], &[first]), second);
        assert_eq!(named("docs", &[Tier::Daily], &[first, second]), "docs-backup-daily-20261120-0805-3");
    }

    #[test]
    fn long_names_fit_and_still_differ() {
        let (a, b) = (format!("{}a", "w".repeat(63)), format!("{}b", "w".repeat(63)));
        let (first, second) = (named(&a, &[Tier::Monthly], &[]), named(&b, &[Tier::Monthly], &[]));
        assert_eq!(first.len(), 80);
        assert_ne!(first, second);
        assert!(first.ends_with("-backup-monthly-20261120-0805"), "{first}");
        let again = named(&a, &[Tier::Monthly], &[&first]);
        assert!(again.len() <= 80 && again.ends_with("-0805-2"), "{again}");
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }
}
