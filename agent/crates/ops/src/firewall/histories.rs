//! The firewall against every small history, every proposal out of it, and long random ones.

use super::fixture::{Case, NOW, at, good, held, name, outside, partial, place, trashed, unproved};
use super::*;

/// A day in seconds.
const DAY: i64 = 86_400;

// The invariants once more, written down from the design without looking at how they are kept above.

fn plausible(b: &Backup) -> bool {
    b.created <= at(NOW + 300) && b.state == BackupState::Present
}

fn restorable(b: &Backup) -> bool {
    b.copies.iter().any(|c| c.state == CopyState::Present)
}

fn promise_kept(b: &Backup) -> bool {
    b.level() >= Some(Level::L3)
}

fn complete(b: &Backup) -> bool {
    b.completeness == Completeness::Complete
}

fn is_outside(b: &Backup) -> bool {
    b.copies.iter().any(|c| c.place == place("vault:offsite") && c.state == CopyState::Present)
}

/// The newest plausible backup of a kind.
fn newest(backups: &[Backup], kind: impl Fn(&Backup) -> bool) -> Option<&BackupName> {
    backups.iter().filter(|b| plausible(b) && kind(b)).max_by_key(|b| b.created).map(|b| &b.name)
}

fn assert_invariants(case: &Case, allowed: &[BackupName]) {
    let before = &case.backups;
    let after: Vec<Backup> = before.iter().filter(|b| !allowed.contains(&b.name)).cloned().collect();
    let gone: Vec<&Backup> = before.iter().filter(|b| allowed.contains(&b.name)).collect();
    let story = || format!("{before:#?}\nallowed {allowed:?}");
    assert_eq!(gone.len(), allowed.len(), "known and once: {}", story());
    assert!(gone.iter().all(|b| b.hold.is_none() && plausible(b)), "held or implausible: {}", story());
    if allowed.is_empty() {
        return;
    }
    assert!(newest(&after, restorable).is_some(), "nothing is left: {}", story());
    let good = |b: &Backup| promise_kept(b) && complete(b);
    assert_eq!(newest(before, good), newest(&after, good), "the newest good one went: {}", story());
    if case.promised.is_some() {
        let newest_proved = newest(before, promise_kept);
        assert_eq!(newest_proved, newest(&after, promise_kept), "the newest that was proved went: {}", story());
        assert!(newest_proved.is_some(), "nothing good is left: {}", story());
    }
    if newest(before, |b| complete(b) && restorable(b)).is_some() {
        assert!(newest(&after, |b| complete(b) && restorable(b)).is_some(), "no complete one is left: {}", story());
    }
    if !case.offsite.is_empty() {
        assert!(newest(&after, is_outside).is_some(), "nothing outside is left: {}", story());
    }
    for b in &after {
        let base = b.based_on.as_ref().filter(|_| !case.chained.is_empty());
        assert!(base.is_none_or(|base| !allowed.contains(base)), "{} lost its base: {}", b.name, story());
    }
    let most = (before.iter().filter(|b| plausible(b)).count() * case.limits.release_percent_per_day as usize) / 100;
    assert!(allowed.len() <= most.max(1) && allowed.len() <= case.limits.releases_per_run as usize, "{}", story());
}

/// One backup in each of the states that matter.
fn variants(raw: &str, days: i64) -> Vec<Backup> {
    let mut out = Vec::new();
    for quality in [good(raw, days), unproved(raw, days), partial(raw, days)] {
        for away in [quality.clone(), outside(quality)] {
            out.extend([away.clone(), held(away.clone())]);
            let future = Backup { created: at(NOW + (40 - days) * DAY), ..away };
            out.extend([future.clone(), held(future)]);
        }
    }
    out
}

/// Every proposal out of a history: what is allowed keeps the invariants, what is refused says why.
fn try_every_proposal(case: &Case) {
    let names: Vec<&str> = case.backups.iter().map(|b| b.name.as_str()).collect();
    for chosen in 1u32..1 << names.len() {
        let proposal: Vec<&str> =
            names.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1).map(|(_, name)| *name).collect();
        let decision = case.ask(&proposal, check);
        assert_eq!(decision.allowed.len() + decision.refused.len(), proposal.len());
        assert_invariants(case, &decision.allowed);
    }
}

fn offsite_or_not() -> [Vec<Place>; 2] {
    [vec![], vec![place("vault:offsite")]]
}

#[test]
fn every_history_of_up_to_three_backups_keeps_its_invariants() {
    let states = [variants("a", 3), variants("b", 2), variants("c", 1)];
    for count in 1..=3u32 {
        for number in 0..24usize.pow(count) {
            let backups: Vec<Backup> =
                (0..count).map(|i| states[i as usize][number / 24usize.pow(i) % 24].clone()).collect();
            // The four settings take turns over the histories of three, all four are tried on the shorter ones.
            for turn in if count == 3 { number % 4..number % 4 + 1 } else { 0..4 } {
                let mut case = Case::of(backups.clone());
                case.offsite = offsite_or_not()[turn % 2].clone();
                case.promised = if turn < 2 { Some(Level::L3) } else { None };
                try_every_proposal(&case);
            }
        }
    }
}

#[test]
fn every_history_of_four_backups_keeps_its_invariants() {
    // A backup dated in the future is refused whatever else is true of it, so two such states stand for all.
    let states: Vec<Vec<Backup>> = [("a", 4), ("b", 3), ("c", 2), ("d", 1)]
        .iter()
        .map(|(raw, days)| {
            let all = variants(raw, *days);
            let plain = all.iter().filter(|b| b.created <= at(NOW)).cloned();
            let future = [outside(good(raw, days - 40)), unproved(raw, days - 40)];
            plain.chain(future).collect()
        })
        .collect();
    let kinds = states[0].len();
    assert_eq!(kinds, 14);
    for number in 0..kinds.pow(4) {
        let pick = |i: u32| states[i as usize][number / kinds.pow(i) % kinds].clone();
        let mut case = Case::of((0..4).map(pick).collect());
        // The four settings take turns, shifted so that none always meets the same states.
        let turn = (number + number / 4) % 4;
        case.offsite = offsite_or_not()[turn % 2].clone();
        case.promised = if turn < 2 { Some(Level::L3) } else { None };
        try_every_proposal(&case);
    }
}

#[test]
fn every_chain_of_four_backups_keeps_what_others_need() {
    for bases in 0..24usize {
        for in_trash in 0..16usize {
            let names = ["a", "b", "c", "d"];
            let mut backups = vec![good("newest", 0)];
            for (i, raw) in names.iter().enumerate() {
                // The i-th may build on any of the i before it, or on none.
                let base = [0, bases % 2, bases / 2 % 3, bases / 6 % 4][i];
                let mut b = good(raw, 10 - i as i64);
                b.based_on = base.checked_sub(1).map(|at| name(names[at]));
                backups.push(if in_trash >> i & 1 == 1 { trashed(b, NOW - 1) } else { b });
            }
            for limit in [1, 2, 50] {
                let mut case = Case::of(backups.clone());
                case.chained = vec![place("vault:main")];
                case.limits.releases_per_run = limit;
                try_every_proposal(&case);
                let purged = case.ask(&names, check_purge).allowed;
                for b in backups.iter().filter(|b| !purged.contains(&b.name)) {
                    assert!(b.based_on.as_ref().is_none_or(|base| !purged.contains(base)), "{b:?} {purged:?}");
                }
                assert!(in_trash == 0 || !purged.is_empty() || backups.iter().any(|b| b.state == BackupState::Present));
            }
        }
    }
}

/// A small generator (xorshift, 64 bits) so that a failure repeats from its seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn asking_again_and_again_never_wears_the_invariants_down() {
    for seed in 1..=1500 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let count = 1 + dice.below(14);
        let names: Vec<String> = (0..count).map(|i| format!("b{i}")).collect();
        let mut backups: Vec<Backup> = Vec::new();
        for (i, raw) in names.iter().enumerate() {
            let mut b = variants(raw, (count - i) as i64).swap_remove(dice.below(24));
            b.based_on = (i > 0 && dice.below(2) == 0).then(|| name(&names[dice.below(i)]));
            backups.push(b);
        }
        let mut case = Case::of(backups);
        case.promised = (dice.below(3) > 0).then_some(Level::L3);
        case.offsite = offsite_or_not()[dice.below(2)].clone();
        case.chained = if dice.below(2) == 0 { vec![place("vault:main")] } else { vec![] };
        case.limits.releases_per_run = 1 + dice.below(5) as u32;
        case.limits.release_percent_per_day = 10 + dice.below(90) as u32;
        let first = case.backups.clone();
        loop {
            let proposal: Vec<&str> = names.iter().map(String::as_str).collect();
            let decision = case.ask(&proposal, check);
            assert_invariants(&case, &decision.allowed);
            if decision.allowed.is_empty() {
                break;
            }
            for b in case.backups.iter_mut().filter(|b| decision.allowed.contains(&b.name)) {
                *b = trashed(b.clone(), NOW);
            }
            // Within the window everything that went can still be purged only while the rest is good.
            let purge = case.ask(&proposal, check_purge);
            case.backups.retain(|b| !purge.allowed.contains(&b.name));
        }
        let good = |b: &Backup| promise_kept(b) && complete(b);
        assert_eq!(newest(&first, good), newest(&case.backups, good), "seed {seed}");
        let away = |backups: &[Backup]| newest(backups, is_outside).is_some();
        assert!(case.offsite.is_empty() || away(&first) == away(&case.backups), "seed {seed}");
    }
}
