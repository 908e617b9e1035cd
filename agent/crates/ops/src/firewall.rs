//! The heart of the delete firewall: what may go, and which invariant stands in the way of the rest.
//!
//! Planner, policies and people propose; this decides, from reality read afresh, knowing nothing of their reasons.
//! It looks at one workload at a time. A release moves every copy of a backup to the trash, a purge removes its last
//! trace; both are checked here, and a purge again: what was released in good order may be all that is left by then.
//!
//! - The newest backup that has reached its promised level stays, and so does the newest complete one that has; while
//!   none has, everything stays.
//! - Where copies outside the home region are configured, one stays there; while none is there, everything stays.
//! - What is held stays, and so does what another kept backup needs at a place whose snapshots build on each other.
//! - A run and a day have their limits; within them, the oldest go first.
//! - What is dated in the future stays until somebody looked, and counts toward nothing: neither as the newest, nor as
//!   a copy outside, nor toward the number of which the day's share is taken.
//! - When the clock reads earlier than something already journalled, nothing goes at all.
//!
//! Each rule speaks about what would be left, so allowing less than asked never breaks another rule.

use std::collections::BTreeMap;

use backstop_model::Copy as BackupCopy;
use backstop_model::config::Limits;
use backstop_model::{
    Backup, BackupName, BackupState, Completeness, CopyState, Level, Place, Span, Timestamp, WorkloadName,
};

/// How far ahead of now an instant may lie: clocks of two machines differ a little.
const CLOCK_TOLERANCE: Span = Span::from_secs(300);

/// One workload as it is, read at the moment of deciding.
#[derive(Debug, Clone, Copy)]
pub struct Reality<'a> {
    /// The present.
    pub now: Timestamp,
    /// The newest instant the journal knows. The clock may not read earlier.
    pub journalled: Option<Timestamp>,
    /// Whose backups these are.
    pub workload: &'a WorkloadName,
    /// Every record of the workload, whatever its state, in any order.
    pub backups: &'a [Backup],
    /// The level the schedule promises to prove; `None` when it proves nothing.
    pub promised: Option<Level>,
    /// Places for copies that stand outside the home region; empty when none are configured.
    pub offsite: &'a [Place],
    /// Places where a snapshot needs the one it is based on. Vaults are never among them.
    pub chained: &'a [Place],
    /// The brakes.
    pub limits: &'a Limits,
    /// Backups, of whatever workload, this run has released (or, for a purge, purged) already.
    pub gone_this_run: u32,
    /// Backups of this workload released in the last 24 hours.
    pub released_today: u32,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// There is no such backup to release (or none in the trash to purge).
    NotThere,
    /// Somebody wants it kept.
    Held,
    /// It is dated in the future, or the clock cannot be right.
    ImplausibleTime,
    /// It can still be brought back from the trash.
    WindowOpen,
    /// The newest good backup, or there is none.
    NewestGood,
    /// The last good copy outside the home region, or there is none.
    LastOffsite,
    /// Another backup cannot be restored without it.
    NeededByOther,
    /// This run has done enough.
    TooManyPerRun,
    /// This day has.
    TooManyPerDay,
}

/// A proposal that was turned down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which backup.
    pub backup: BackupName,
    /// By which invariant; where several apply, the first in the order of [`Invariant`].
    pub invariant: Invariant,
    /// Why, one line.
    pub words: String,
}

/// What may go and what may not. Every name proposed is in one of the two, once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// May go, in this order: oldest first, and nothing before what needs it.
    pub allowed: Vec<BackupName>,
    /// Stays.
    pub refused: Vec<Refusal>,
}

/// Which of the proposed backups may be released into the trash.
#[must_use]
pub fn check(proposal: &[BackupName], reality: &Reality<'_>) -> Decision {
    let limit = Budget {
        run: reality.limits.releases_per_run.saturating_sub(reality.gone_this_run),
        day: day_share(reality).saturating_sub(reality.released_today),
    };
    decide(proposal, reality, &limit, &Release::of(reality))
}

/// Which of the proposed backups may be purged from the trash for ever.
#[must_use]
pub fn check_purge(proposal: &[BackupName], reality: &Reality<'_>) -> Decision {
    let limit = Budget { run: reality.limits.releases_per_run.saturating_sub(reality.gone_this_run), day: u32::MAX };
    decide(proposal, reality, &limit, &Purge::of(reality))
}

/// How many more may go.
struct Budget {
    run: u32,
    day: u32,
}

/// The number of this workload's backups that may be released in a day: the configured share, at least one.
fn day_share(reality: &Reality<'_>) -> u32 {
    let kept = reality.backups.iter().filter(|b| counts(b, reality.now)).count() as u64;
    let all = kept + u64::from(reality.released_today);
    let share = all.saturating_mul(u64::from(reality.limits.release_percent_per_day)) / 100;
    u32::try_from(share.max(1)).unwrap_or(u32::MAX)
}

/// The rules that look at one backup by itself.
trait Rules {
    /// What stands in the way of this backup, whatever else is proposed.
    fn alone(&self, backup: &Backup) -> Option<Invariant>;
}

fn decide(proposal: &[BackupName], reality: &Reality<'_>, budget: &Budget, rules: &dyn Rules) -> Decision {
    let by_name: BTreeMap<&BackupName, &Backup> = reality.backups.iter().map(|b| (&b.name, b)).collect();
    let late = reality.journalled.is_some_and(|journalled| is_future(journalled, reality.now));
    let mut verdicts: BTreeMap<&BackupName, Option<Invariant>> = BTreeMap::new();
    let mut waiting: Vec<&Backup> = Vec::new();
    for name in proposal {
        let verdict = match by_name.get(name) {
            None => Some(Invariant::NotThere),
            Some(backup) => rules.alone(backup).or(late.then_some(Invariant::ImplausibleTime)),
        };
        let first_time = verdicts.insert(name, verdict).is_none();
        if let (true, None, Some(backup)) = (first_time, verdict, by_name.get(name)) {
            waiting.push(backup);
        }
    }
    waiting.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let allowed = within_limits(waiting, reality, budget, &mut verdicts);
    let refused = verdicts.into_iter().filter_map(|(name, verdict)| {
        let invariant = verdict?;
        Some(Refusal { backup: name.clone(), invariant, words: words(invariant, by_name.get(name).copied(), reality) })
    });
    Decision { allowed, refused: refused.collect() }
}

/// Lets go, oldest first, of whatever nothing left needs, until the budget is spent.
fn within_limits<'a>(
    mut waiting: Vec<&'a Backup>,
    reality: &Reality<'a>,
    budget: &Budget,
    verdicts: &mut BTreeMap<&BackupName, Option<Invariant>>,
) -> Vec<BackupName> {
    let mut allowed: Vec<BackupName> = Vec::new();
    let spent = |allowed: &[BackupName]| match u32::try_from(allowed.len()).unwrap_or(u32::MAX) {
        gone if gone >= budget.run => Some(Invariant::TooManyPerRun),
        gone if gone >= budget.day => Some(Invariant::TooManyPerDay),
        _ => None,
    };
    loop {
        let free = waiting.iter().position(|backup| !is_needed(backup, &allowed, reality));
        let stop = spent(&allowed);
        match (free, stop) {
            (Some(at), None) => allowed.push(waiting.remove(at).name.clone()),
            (_, _) => {
                for backup in waiting {
                    let needed = is_needed(backup, &allowed, reality);
                    let invariant =
                        if needed { Invariant::NeededByOther } else { stop.unwrap_or(Invariant::TooManyPerRun) };
                    if let Some(verdict) = verdicts.get_mut(&backup.name) {
                        *verdict = Some(invariant);
                    }
                }
                return allowed;
            }
        }
    }
}

/// Whether a backup that stays, be it in the trash, builds on this one at a place where snapshots do so.
fn is_needed(backup: &Backup, going: &[BackupName], reality: &Reality<'_>) -> bool {
    let here = |b: &Backup, place: &Place| b.copies.iter().any(|c| &c.place == place && is_there(c));
    reality.chained.iter().filter(|place| here(backup, place)).any(|place| {
        reality.backups.iter().any(|other| {
            other.based_on.as_ref() == Some(&backup.name) && here(other, place) && !going.contains(&other.name)
        })
    })
}

/// The rules of a release.
struct Release<'a> {
    now: Timestamp,
    newest_proved: Best<'a>,
    newest_good: Best<'a>,
    newest_complete: Best<'a>,
    newest_offsite: Best<'a>,
}

/// The backup a rule protects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Best<'a> {
    /// The rule does not apply here.
    NoRule,
    /// Nothing satisfies it: everything stays.
    Missing,
    /// This one stays.
    Is(&'a BackupName),
}

impl Best<'_> {
    fn protects(self, name: &BackupName) -> bool {
        match self {
            Best::NoRule => false,
            Best::Missing => true,
            Best::Is(best) => best == name,
        }
    }
}

impl<'a> Release<'a> {
    fn of(reality: &Reality<'a>) -> Self {
        let is_complete = |b: &&Backup| b.completeness == Completeness::Complete;
        let good = best(reality, reality.promised, evidence);
        // Should the best evidence be about a partial backup, the newest complete one stays beside it.
        let complete = reality.backups.iter().filter(|b| counts(b, reality.now)).filter(is_complete);
        let complete = complete.filter(|b| evidence(b).is_some());
        let newest_complete = complete.max_by(|a, b| (a.created, &b.name).cmp(&(b.created, &a.name)));
        let newest_complete = match good {
            Some(good) if good.completeness != Completeness::Complete => newest_complete,
            Some(_) | None => None,
        };
        let offsite = best(reality, None, |b| offsite_level(b, reality.offsite));
        Self {
            now: reality.now,
            newest_proved: newest_proved(reality).map_or(Best::NoRule, |b| Best::Is(&b.name)),
            newest_good: good.map_or(Best::Missing, |b| Best::Is(&b.name)),
            newest_complete: newest_complete.map_or(Best::NoRule, |b| Best::Is(&b.name)),
            newest_offsite: match offsite {
                _ if reality.offsite.is_empty() => Best::NoRule,
                None => Best::Missing,
                Some(b) => Best::Is(&b.name),
            },
        }
    }
}

impl Rules for Release<'_> {
    fn alone(&self, backup: &Backup) -> Option<Invariant> {
        let rules = [
            (backup.state != BackupState::Present, Invariant::NotThere),
            (backup.hold.is_some(), Invariant::Held),
            (is_future(backup.created, self.now), Invariant::ImplausibleTime),
            (self.newest_proved.protects(&backup.name), Invariant::NewestGood),
            (self.newest_good.protects(&backup.name), Invariant::NewestGood),
            (self.newest_complete.protects(&backup.name), Invariant::NewestGood),
            (self.newest_offsite.protects(&backup.name), Invariant::LastOffsite),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, invariant)| invariant)
    }
}

/// The rules of a purge.
struct Purge {
    now: Timestamp,
    good_is_kept: bool,
    offsite_is_kept: bool,
}

impl Purge {
    fn of(reality: &Reality<'_>) -> Self {
        Self {
            now: reality.now,
            good_is_kept: best(reality, reality.promised, evidence).is_some(),
            offsite_is_kept: reality.offsite.is_empty()
                || best(reality, None, |b| offsite_level(b, reality.offsite)).is_some(),
        }
    }
}

impl Rules for Purge {
    fn alone(&self, backup: &Backup) -> Option<Invariant> {
        let BackupState::Trashed { since, purge_after } = backup.state else { return Some(Invariant::NotThere) };
        let rules = [
            (backup.hold.is_some(), Invariant::Held),
            (is_future(backup.created, self.now) || is_future(since, self.now), Invariant::ImplausibleTime),
            (purge_after > self.now, Invariant::WindowOpen),
            (!self.good_is_kept, Invariant::NewestGood),
            (!self.offsite_is_kept, Invariant::LastOffsite),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, invariant)| invariant)
    }
}

/// The newest of the best kept backups: complete before partial, then the higher level, where nothing above the
/// promise counts. With `promised`, only what keeps it. `level` gives `None` for what does not take part.
fn best<'a>(
    reality: &Reality<'a>,
    promised: Option<Level>,
    level: impl Fn(&Backup) -> Option<Option<Level>>,
) -> Option<&'a Backup> {
    let enough = Some(reality.promised.unwrap_or(Level::L1));
    let kept = reality.backups.iter().filter(|b| counts(b, reality.now));
    let worth = kept.filter_map(|b| Some((level(b)?.min(enough), b)));
    let good = worth.filter(|(reached, _)| promised.is_none() || *reached >= enough);
    let key =
        |(reached, b): &(Option<Level>, &'a Backup)| (b.completeness == Completeness::Complete, *reached, b.created);
    good.max_by(|a, b| key(a).cmp(&key(b)).then_with(|| b.1.name.cmp(&a.1.name))).map(|(_, backup)| backup)
}

/// The newest kept backup that has reached what is promised, be it partial: what a newer state is worth more than, and
/// what an older complete one lacks, nobody here can tell, so both stay.
fn newest_proved<'a>(reality: &Reality<'a>) -> Option<&'a Backup> {
    let promised = reality.promised?;
    let kept = reality.backups.iter().filter(|b| counts(b, reality.now));
    let proved = kept.filter(|b| evidence(b).flatten() >= Some(promised));
    proved.max_by(|a, b| (a.created, &b.name).cmp(&(b.created, &a.name)))
}

/// The highest level of the copies; outer `None` when there is no copy to restore from.
fn evidence(backup: &Backup) -> Option<Option<Level>> {
    backup.copies.iter().any(is_present).then(|| backup.level())
}

/// The highest level of the copies outside the home region; outer `None` when there is no such copy.
fn offsite_level(backup: &Backup, offsite: &[Place]) -> Option<Option<Level>> {
    backup.copies.iter().filter(|c| is_present(c) && offsite.contains(&c.place)).map(BackupCopy::level).max()
}

/// Kept, and dated when it can have been made.
fn counts(backup: &Backup, now: Timestamp) -> bool {
    backup.state == BackupState::Present && !is_future(backup.created, now)
}

fn is_future(instant: Timestamp, now: Timestamp) -> bool {
    instant > CLOCK_TOLERANCE.after(now)
}

fn is_present(copy: &BackupCopy) -> bool {
    copy.state == CopyState::Present
}

/// In use, or in the trash and recoverable.
fn is_there(copy: &BackupCopy) -> bool {
    match copy.state {
        CopyState::Present | CopyState::Trashed => true,
        CopyState::Lost | CopyState::Purged => false,
    }
}

fn words(invariant: Invariant, backup: Option<&Backup>, reality: &Reality<'_>) -> String {
    let level = reality.promised.unwrap_or(Level::L1);
    match invariant {
        Invariant::NotThere => match backup.map(|b| b.state) {
            None => format!("`{}` has no such backup", reality.workload),
            Some(BackupState::Present) => "it was not released".to_owned(),
            Some(BackupState::Trashed { .. }) => "it is in the trash already".to_owned(),
            Some(BackupState::Purged { at }) => format!("it was purged at {at}"),
        },
        Invariant::Held => backup
            .and_then(|b| b.hold.as_ref())
            .map_or_else(|| "it is held".to_owned(), |hold| format!("held by {}: {}", hold.by, hold.reason)),
        Invariant::ImplausibleTime => {
            let future = backup.map(|b| b.created).filter(|created| is_future(*created, reality.now));
            match (future, reality.journalled) {
                (Some(created), _) => format!("it is dated {created}, in the future: a person must look"),
                (None, Some(journalled)) => {
                    format!("the clock reads {}, before the journal's last entry of {journalled}", reality.now)
                }
                (None, None) => "it was released in the future: a person must look".to_owned(),
            }
        }
        Invariant::WindowOpen => match backup.map(|b| b.state) {
            Some(BackupState::Trashed { purge_after, .. }) => format!("it can be brought back until {purge_after}"),
            Some(BackupState::Present | BackupState::Purged { .. }) | None => "it is not in the trash".to_owned(),
        },
        Invariant::NewestGood => match best(reality, reality.promised, evidence) {
            None => format!("no kept backup has reached {level} ({}): nothing goes until one has", level.word()),
            Some(best) if backup == Some(best) => {
                format!("it is the newest good backup (promised: {level}, {})", level.word())
            }
            Some(_) if backup == newest_proved(reality) => {
                format!("it is the newest backup that has reached {level} ({})", level.word())
            }
            Some(_) => "it is the newest complete backup, and the newest good one is partial".to_owned(),
        },
        Invariant::LastOffsite => match best(reality, None, |b| offsite_level(b, reality.offsite)) {
            None => "no kept backup has a copy outside the home region: nothing goes until one has".to_owned(),
            Some(_) => "it has the newest good copy outside the home region".to_owned(),
        },
        Invariant::NeededByOther => "another backup cannot be restored without it".to_owned(),
        Invariant::TooManyPerRun => format!("one run releases at most {}", reality.limits.releases_per_run),
        Invariant::TooManyPerDay => {
            format!("at most {} % of a workload's backups go in a day", reality.limits.release_percent_per_day)
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod histories;

#[cfg(test)]
mod tests {
    use super::fixture::{
        Case, NOW, at, good, held, name, outside, partial, place, refused, strings, trashed, unproved,
    };
    use super::*;

    #[test]
    fn release_keeps_the_newest_good_backup_even_when_newer_ones_exist() {
        let case = Case::of(vec![good("a", 3), good("b", 2), unproved("c", 1)]);
        let (allowed, no) = case.release(&["a", "b", "c"]);
        assert_eq!((allowed, no), (strings(&["a", "c"]), vec![refused("b", Invariant::NewestGood)]));
    }

    #[test]
    fn while_nothing_keeps_the_promise_nothing_goes() {
        let mut case = Case::of(vec![unproved("a", 2), unproved("b", 1)]);
        let both = vec![refused("a", Invariant::NewestGood), refused("b", Invariant::NewestGood)];
        assert_eq!(case.release(&["a", "b"]), (vec![], both));
        case.promised = None;
        assert_eq!(case.release(&["a", "b"]).0, ["a"], "without a promise the newest stays");
    }

    #[test]
    fn a_partial_newest_good_backup_keeps_the_newest_complete_one_beside_it() {
        let case = Case::of(vec![unproved("older", 3), unproved("complete", 2), partial("partial", 1)]);
        let both = vec![refused("complete", Invariant::NewestGood), refused("partial", Invariant::NewestGood)];
        assert_eq!(case.release(&["older", "complete", "partial"]), (strings(&["older"]), both));
    }

    #[test]
    fn the_last_copy_outside_the_home_region_stays() {
        let mut case = Case::of(vec![outside(good("a", 3)), good("b", 2), good("c", 1)]);
        case.offsite = vec![place("vault:offsite")];
        let (allowed, no) = case.release(&["a", "b"]);
        assert_eq!((allowed, no), (strings(&["b"]), vec![refused("a", Invariant::LastOffsite)]));
        case.backups.remove(0);
        assert_eq!(case.release(&["b"]).1, [refused("b", Invariant::LastOffsite)], "none is outside at all");
    }

    #[test]
    fn what_is_held_stays_and_the_words_name_the_holder() {
        let case = Case::of(vec![held(good("a", 2)), good("b", 1)]);
        let decision = case.ask(&["a"], check);
        assert_eq!(decision.refused[0].invariant, Invariant::Held);
        assert_eq!(decision.refused[0].words, "held by ann@ops: audit");
    }

    #[test]
    fn future_dated_backups_neither_go_nor_stand_in_for_real_ones() {
        let case = Case::of(vec![good("real", 1), outside(good("planted", -30))]);
        let both = vec![refused("planted", Invariant::ImplausibleTime), refused("real", Invariant::NewestGood)];
        assert_eq!(case.release(&["planted", "real"]), (vec![], both));
        let mut case = Case::of(vec![outside(good("real", 2)), good("newer", 1), outside(good("planted", -30))]);
        case.offsite = vec![place("vault:offsite")];
        assert_eq!(case.release(&["real"]).1, [refused("real", Invariant::LastOffsite)]);
    }

    #[test]
    fn a_few_minutes_ahead_is_no_future() {
        let mut ahead = good("b", 0);
        ahead.created = at(NOW + 300);
        assert_eq!(Case::of(vec![good("a", 1), ahead]).release(&["a"]).0, ["a"]);
    }

    #[test]
    fn a_clock_behind_the_journal_releases_and_purges_nothing() {
        let mut case = Case::of(vec![good("a", 2), good("b", 1), trashed(good("t", 9), NOW - 1)]);
        case.journalled = Some(at(NOW + 301));
        assert_eq!(case.release(&["a"]).1, [refused("a", Invariant::ImplausibleTime)]);
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::ImplausibleTime)]);
        case.journalled = Some(at(NOW + 300));
        assert_eq!(case.release(&["a"]).0, ["a"]);
    }

    #[test]
    fn a_base_stays_where_snapshots_build_on_each_other_and_goes_where_they_do_not() {
        let based = |raw: &str, days, on: &str| Backup { based_on: Some(name(on)), ..good(raw, days) };
        let mut case = Case::of(vec![good("a", 4), based("b", 3, "a"), based("c", 2, "b"), good("d", 1)]);
        assert_eq!(case.release(&["a"]).0, ["a"], "vault snapshots restore alone");
        case.chained = vec![place("vault:main")];
        assert_eq!(case.release(&["a", "b"]).1.len(), 2, "c needs b, which needs a");
        assert_eq!(case.release(&["a", "b", "c"]).0, ["c", "b", "a"], "nothing before what needs it");
        case.limits.releases_per_run = 1;
        let (allowed, no) = case.release(&["a", "b", "c"]);
        assert_eq!(allowed, ["c"], "a limit lets the end of a chain go first");
        assert_eq!(no, [refused("a", Invariant::NeededByOther), refused("b", Invariant::TooManyPerRun)]);
        case.limits.releases_per_run = 50;
        case.backups[1] = trashed(case.backups[1].clone(), NOW + 1);
        assert_eq!(case.release(&["a"]).1, [refused("a", Invariant::NeededByOther)], "b could come back");
    }

    #[test]
    fn a_run_and_a_day_have_their_limits_and_the_oldest_go_first() {
        let mut case = Case::of((0..10).map(|i| good(&format!("b{i}"), i)).collect());
        let all: Vec<String> = (0..10).map(|i| format!("b{i}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        case.limits.releases_per_run = 3;
        case.gone_this_run = 1;
        assert_eq!(case.release(&all).0, ["b9", "b8"]);
        case.limits = Limits { releases_per_run: 50, release_percent_per_day: 34, ..case.limits };
        assert_eq!(case.release(&all).0, ["b9", "b8", "b7"]);
        case.released_today = 2;
        assert_eq!(case.release(&all).0, ["b9", "b8"], "34 % of twelve are four");
        assert!(case.release(&all).1.contains(&refused("b1", Invariant::TooManyPerDay)));
        case.limits.release_percent_per_day = 0;
        case.released_today = 0;
        assert_eq!(case.release(&all).0, ["b9"], "one is always allowed");
        case.backups.extend((0..90).map(|i| good(&format!("f{i}"), -9 - i)));
        case.limits.release_percent_per_day = 10;
        assert_eq!(case.release(&all).0, ["b9"], "planted backups do not raise the share");
    }

    #[test]
    fn a_name_is_decided_once_and_an_unknown_or_released_one_refused() {
        let case = Case::of(vec![good("a", 3), good("b", 1), trashed(good("t", 9), NOW - 1)]);
        let (allowed, no) = case.release(&["a", "a", "nobody", "t"]);
        assert_eq!(allowed, ["a"]);
        assert_eq!(no, [refused("nobody", Invariant::NotThere), refused("t", Invariant::NotThere)]);
        assert_eq!(case.purge(&["a"]).1, [refused("a", Invariant::NotThere)]);
    }

    #[test]
    fn a_purge_waits_for_the_window_and_for_something_good_to_be_kept() {
        let mut case = Case::of(vec![good("kept", 1), trashed(outside(good("t", 9)), NOW)]);
        assert_eq!(case.purge(&["t"]).0, ["t"]);
        case.offsite = vec![place("vault:offsite")];
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::LastOffsite)]);
        case.offsite.clear();
        case.backups[0].copies[0].state = CopyState::Lost;
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::NewestGood)]);
        case.promised = None;
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::NewestGood)], "kept in name only");
        case.backups[0] = unproved("kept", 1);
        assert_eq!(case.purge(&["t"]).0, ["t"]);
        case.backups[1] = trashed(good("t", 9), NOW + 1);
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::WindowOpen)]);
        case.backups[1] = held(trashed(good("t", 9), NOW - 1));
        assert_eq!(case.purge(&["t"]).1, [refused("t", Invariant::Held)]);
    }
}
