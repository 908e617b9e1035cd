//! Which backups may be released, with the reasons for keeping and for letting go in words.
//!
//! Per tier the newest `keep` distinct periods are kept, each with every backup that holds the tier in it. Complete
//! backups are counted among themselves, so that no number of partial ones displaces one; a partial backup is kept
//! while its period is among the newest of all. Backups dated in the future count toward nothing and stay.
//! Whatever the counting says, what the delete firewall would refuse anyway is kept here already, with its reason:
//! the evidence must be better than what is let go.

use backstop_model::{Backup, BackupName, BackupState, Completeness, CopyState, Level, Place, Tier, Timestamp};

use crate::calendar::{Calendar, Cycle, Period, Rule, is_future};

/// What retention needs to know beside the backups.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The schedule's periods.
    pub calendar: &'a Calendar,
    /// The level the schedule promises to prove; `None` when it proves nothing.
    pub promised: Option<Level>,
    /// Places outside the home region that hold copies; empty when none are configured.
    pub offsite: &'a [Place],
    /// Whether the workload is scheduled at all; nothing of a disabled one is released.
    pub enabled: bool,
    /// The present.
    pub now: Timestamp,
}

/// What is to become of one kept backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which backup.
    pub backup: BackupName,
    /// False: it may be released.
    pub keep: bool,
    /// Why, in words, a line each; never empty.
    pub reasons: Vec<String>,
    /// When it would be past retention if every coming period gets its backup and nothing else changes. `None` when
    /// no such time can be told: it is held, has a tier without end, or is kept for its evidence alone.
    pub expires: Option<Timestamp>,
    /// It is kept for nothing but a tier that a policy named: policies that agree may let it go.
    pub only_named: bool,
}

/// Verdicts over the kept backups of one workload, newest first. Released ones are left out.
#[must_use]
pub fn verdicts(terms: &Terms<'_>, backups: &[Backup]) -> Vec<Verdict> {
    let mut weighed = Vec::new();
    weigh(terms, backups, &mut weighed);
    let coming: Vec<Period> =
        (0..terms.calendar.rules().len()).map(|slot| coming(terms, backups, &weighed, slot)).collect();
    weighed.iter().map(|one| verdict(terms, &backups[one.index], one, &coming)).collect()
}

/// A verdict before it is put into words. Small and flat: the agenda weighs hundreds of thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weighed {
    /// Position in the slice of backups.
    pub(crate) index: usize,
    /// Per rule of the calendar: how many periods are at least as new as this one's, if the tier is held and kept.
    ranks: [Option<u32>; 3],
    why: Guards,
}

/// Reasons to keep that do not come from counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Guards {
    held: bool,
    future: bool,
    endless_tier: bool,
    disabled: bool,
    newest_good: bool,
    newest_proved: bool,
    newest_complete: bool,
    nothing_good: bool,
    newest_offsite: bool,
    nothing_offsite: bool,
}

impl Guards {
    fn any(self) -> bool {
        self != Guards::default()
    }

    /// Whether these reasons end by themselves only when something else changes.
    fn without_end(self) -> bool {
        self.held || self.future || self.endless_tier || self.disabled
    }
}

impl Weighed {
    pub(crate) fn is_releasable(&self) -> bool {
        !self.why.any() && self.ranks == [None; 3]
    }

    /// Whether nothing but a tier that a policy named keeps it.
    pub(crate) fn is_only_named(&self) -> bool {
        self.why == Guards { endless_tier: true, ..Guards::default() } && self.ranks == [None; 3]
    }
}

/// Weighs the kept backups into `out`, newest first. Allocates nothing beyond the growth of `out`.
pub(crate) fn weigh(terms: &Terms<'_>, backups: &[Backup], out: &mut Vec<Weighed>) {
    out.clear();
    out.extend(backups.iter().enumerate().filter(|(_, b)| b.state == BackupState::Present).map(|(index, backup)| {
        let why = Guards {
            held: backup.hold.is_some(),
            future: is_future(backup.created, terms.now),
            endless_tier: backup.tiers.iter().any(|tier| matches!(tier, Tier::Named(_))),
            disabled: !terms.enabled,
            ..Guards::default()
        };
        Weighed { index, ranks: [None; 3], why }
    }));
    out.sort_unstable_by(|a, b| {
        let (a, b) = (&backups[a.index], &backups[b.index]);
        b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name))
    });
    for (slot, rule) in terms.calendar.rules().iter().enumerate() {
        count(terms, rule, backups, out, slot);
    }
    guard(terms, backups, out);
}

/// Ranks the holders of one tier by distinct period, newest first.
fn count(terms: &Terms<'_>, rule: &Rule, backups: &[Backup], weighed: &mut [Weighed], slot: usize) {
    let (mut all, mut complete) = (Counter::default(), Counter::default());
    for one in weighed.iter_mut() {
        let backup = &backups[one.index];
        if one.why.future || !backup.tiers.contains(&rule.tier) {
            continue;
        }
        let period = terms.calendar.period(rule, backup.created);
        let overall = all.see(period);
        let rank = if backup.completeness == Completeness::Complete { complete.see(period) } else { overall };
        if rank <= rule.keep {
            one.ranks[slot] = Some(rank);
        }
        if complete.seen > rule.keep {
            break;
        }
    }
}

/// Counts distinct periods that come in order.
#[derive(Default)]
struct Counter {
    last: Option<Period>,
    seen: u32,
}

impl Counter {
    fn see(&mut self, period: Period) -> u32 {
        if self.last != Some(period) {
            self.last = Some(period);
            self.seen += 1;
        }
        self.seen
    }
}

/// Marks the newest good backup and the newest good one outside the home region, or that there is none.
fn guard(terms: &Terms<'_>, backups: &[Backup], weighed: &mut [Weighed]) {
    let anywhere =
        |backup: &Backup| backup.copies.iter().any(|c| c.state == CopyState::Present).then(|| backup.level());
    match best(terms, backups, weighed, terms.promised.is_some(), anywhere) {
        Some(at) => {
            weighed[at].why.newest_good = true;
            // Should the best evidence be about a partial backup, the newest complete one stays beside it.
            if backups[weighed[at].index].completeness != Completeness::Complete {
                let complete = |one: &&mut Weighed| {
                    let backup = &backups[one.index];
                    let restorable = !one.why.future && anywhere(backup).is_some();
                    restorable && backup.completeness == Completeness::Complete
                };
                weighed.iter_mut().find(complete).into_iter().for_each(|one| one.why.newest_complete = true);
            }
        }
        None => weighed.iter_mut().for_each(|one| one.why.nothing_good = true),
    }
    // A newer partial one that has reached the promise is what would be lost otherwise.
    if let Some(promised) = terms.promised {
        let proved = |one: &&mut Weighed| !one.why.future && anywhere(&backups[one.index]).flatten() >= Some(promised);
        weighed.iter_mut().find(proved).into_iter().for_each(|one| one.why.newest_proved = true);
    }
    if terms.offsite.is_empty() {
        return;
    }
    let outside = |backup: &Backup| {
        let copies = backup.copies.iter().filter(|c| c.state == CopyState::Present && terms.offsite.contains(&c.place));
        copies.map(backstop_model::Copy::level).max()
    };
    // The promise is about backups; an unproved copy outside is still better than none.
    match best(terms, backups, weighed, false, outside) {
        Some(at) => weighed[at].why.newest_offsite = true,
        None => weighed.iter_mut().for_each(|s| s.why.nothing_offsite = true),
    }
}

/// The newest of the best: complete before partial, then the higher level, where nothing above the promise counts.
/// `level` gives `None` for what does not take part; `strict` admits only what keeps the promise.
fn best(
    terms: &Terms<'_>,
    backups: &[Backup],
    weighed: &[Weighed],
    strict: bool,
    level: impl Fn(&Backup) -> Option<Option<Level>>,
) -> Option<usize> {
    let enough = Some(terms.promised.unwrap_or(Level::L1));
    let mut best: Option<((bool, Option<Level>), usize)> = None;
    for (at, one) in weighed.iter().enumerate() {
        let backup = &backups[one.index];
        let Some(reached) = level(backup).filter(|_| !one.why.future) else { continue };
        let worth = (backup.completeness == Completeness::Complete, reached.min(enough));
        if strict && worth.1 < enough {
            continue;
        }
        if best.is_none_or(|(known, _)| worth > known) {
            best = Some((worth, at));
        }
    }
    best.map(|(_, at)| at)
}

fn verdict(terms: &Terms<'_>, backup: &Backup, one: &Weighed, coming: &[Period]) -> Verdict {
    let rules = terms.calendar.rules();
    let mut reasons = Vec::new();
    let mut expires = None;
    for ((rule, rank), coming) in rules.iter().zip(one.ranks).zip(coming) {
        if let Some(rank) = rank {
            reasons.push(format!("{}: {} {rank} of the {} kept", rule.tier, word(rule), rule.keep));
            expires = expires.max(Some(forecast(terms, rule, rank, *coming)));
        }
    }
    reasons.extend(guard_words(terms, backup, one.why));
    let keep = !one.is_releasable();
    if !keep {
        reasons.extend(release_words(rules, backup));
    }
    let expires = expires.filter(|_| !one.why.without_end());
    Verdict { backup: backup.name.clone(), keep, reasons, expires, only_named: one.is_only_named() }
}

fn guard_words(terms: &Terms<'_>, backup: &Backup, why: Guards) -> Vec<String> {
    let promised = terms.promised.map(|level| format!("{level} ({})", level.word()));
    let promised_word = promised.clone();
    let hold = backup.hold.as_ref().map_or(String::new(), |hold| format!("held by {}: {}", hold.by, hold.reason));
    let endless = backup.tiers.iter().find(|tier| matches!(tier, Tier::Named(_)));
    let lines = [
        (why.held, hold),
        (why.future, format!("dated {} in the future: a person must look", backup.created)),
        (
            why.endless_tier,
            endless.map_or(String::new(), |tier| format!("{tier}: only a retention policy ends this tier")),
        ),
        (why.disabled, "the workload is disabled: nothing of it is released".to_owned()),
        (
            why.newest_good && (why.newest_proved || terms.promised.is_none()),
            promised.as_ref().map_or_else(
                || "the newest backup with the best evidence".to_owned(),
                |level| format!("the newest backup that has reached {level}"),
            ),
        ),
        (
            why.newest_good && !why.newest_proved && terms.promised.is_some(),
            "the newest complete backup that has reached what is promised".to_owned(),
        ),
        (
            why.nothing_good,
            promised.map_or_else(
                || "no other backup is left".to_owned(),
                |level| format!("no backup has reached {level} yet: nothing is released"),
            ),
        ),
        (
            why.newest_proved && !why.newest_good,
            promised_word.map_or_else(String::new, |level| format!("the newest backup that has reached {level}")),
        ),
        (why.newest_complete, "the newest complete backup, while the newest good one is partial".to_owned()),
        (why.newest_offsite, "the newest good copy outside the home region".to_owned()),
        (why.nothing_offsite, "nothing is outside the home region yet: nothing is released".to_owned()),
    ];
    lines.into_iter().filter(|(applies, _)| *applies).map(|(_, line)| line).collect()
}

fn release_words(rules: &[Rule], backup: &Backup) -> Vec<String> {
    let partial = matches!(backup.completeness, Completeness::Partial { .. });
    let mut reasons: Vec<String> = Vec::new();
    for tier in &backup.tiers {
        reasons.push(match rules.iter().find(|rule| &rule.tier == tier) {
            Some(rule) if partial => format!("{tier}: partial, and {} newer {}s have a backup", rule.keep, word(rule)),
            Some(rule) => format!("{tier}: {} newer {}s have a complete backup", rule.keep, word(rule)),
            None => format!("{tier}: this tier is not kept any more"),
        });
    }
    if reasons.is_empty() {
        reasons.push("holds no tier".to_owned());
    }
    reasons
}

const fn word(rule: &Rule) -> &'static str {
    match rule.cycle {
        Cycle::Day => "day",
        Cycle::Week(_) => "week",
        Cycle::Month(_) => "month",
    }
}

/// The first period that will still get its backup: the present one while it has none, else the next.
fn coming(terms: &Terms<'_>, backups: &[Backup], weighed: &[Weighed], slot: usize) -> Period {
    let rule = &terms.calendar.rules()[slot];
    let present = terms.calendar.period(rule, terms.now);
    // Rank 1 is the newest period with a backup; the weighed come newest first.
    let newest = weighed.iter().find(|one| one.ranks[slot] == Some(1));
    match newest.map(|one| terms.calendar.period(rule, backups[one.index].created)) {
        Some(period) if period >= present => terms.calendar.after(rule, period),
        Some(_) | None => present,
    }
}

/// When so many coming periods will have their backups that `rank` is no longer among the kept.
fn forecast(terms: &Terms<'_>, rule: &Rule, rank: u32, coming: Period) -> Timestamp {
    let period = terms.calendar.shifted(rule, coming, i64::from(rule.keep) - i64::from(rank));
    terms.calendar.due_at(rule, period).unwrap_or_else(|| terms.calendar.begins(period))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{self, backup, offsite, place, proof, proved, schedule, t};
    use crate::tiers;
    use backstop_model::{Hold, Span};

    const NOW: &str = "2026-05-20T12:00:00Z";

    struct Case {
        promised: Option<Level>,
        offsite: Vec<Place>,
        enabled: bool,
        now: Timestamp,
    }

    fn judged(backups: &[Backup], change: impl Fn(&mut Case)) -> Vec<Verdict> {
        let calendar = Calendar::of(&schedule("UTC")).expect("known zone");
        let mut case = Case { promised: Some(Level::L3), offsite: Vec::new(), enabled: true, now: t(NOW) };
        change(&mut case);
        let Case { promised, offsite, enabled, now } = case;
        verdicts(&Terms { calendar: &calendar, promised, offsite: &offsite, enabled, now }, backups)
    }

    fn kept(verdicts: &[Verdict]) -> Vec<&str> {
        verdicts.iter().filter(|v| v.keep).map(|v| v.backup.as_str()).collect()
    }

    fn of<'a>(verdicts: &'a [Verdict], name: &str) -> &'a Verdict {
        verdicts.iter().find(|v| v.backup.as_str() == name).expect(name)
    }

    /// `count` daily backups, d0 made today, each proved.
    fn dailies(count: u64) -> Vec<Backup> {
        let day = |i| Span::from_days(i).before(t("2026-05-20T02:00:00Z"));
        (0..count).map(|i| proved(backup(&format!("d{i}"), day(i), &[Tier::Daily]), day(i))).collect()
    }

    #[test]
    fn the_newest_seven_days_are_kept_and_the_reasons_say_so() {
        let verdicts = judged(&dailies(9), |_| ());
        assert_eq!(kept(&verdicts), ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
        assert_eq!(of(&verdicts, "d6").reasons, ["daily: day 7 of the 7 kept"]);
        assert_eq!(of(&verdicts, "d7").reasons, ["daily: 7 newer days have a complete backup"]);
    }

    #[test]
    fn days_without_a_backup_do_not_use_up_the_count() {
        let mut backups = dailies(20);
        backups.retain(|b| !matches!(b.name.as_str(), "d1" | "d2" | "d3"));
        assert_eq!(kept(&judged(&backups, |_| ())).len(), 7);
    }

    #[test]
    fn two_backups_of_one_day_count_once_and_are_both_kept() {
        let mut backups = dailies(9);
        backups.push(backup("extra", t("2026-05-18T18:00:00Z"), &[Tier::Daily]));
        assert_eq!(kept(&judged(&backups, |_| ())).len(), 8);
    }

    #[test]
    fn partial_backups_never_displace_complete_ones() {
        let mut backups = dailies(20);
        for b in &mut backups[..10] {
            b.completeness = Completeness::Partial { troubles: 3 };
        }
        let verdicts = judged(&backups, |_| ());
        assert!((10..17).all(|i| of(&verdicts, &format!("d{i}")).keep), "{:?}", kept(&verdicts));
        assert!(of(&verdicts, "d6").keep && !of(&verdicts, "d7").keep);
        assert_eq!(of(&verdicts, "d7").reasons, ["daily: partial, and 7 newer days have a backup"]);
    }

    #[test]
    fn future_dated_backups_count_toward_nothing_and_stay() {
        let mut backups = dailies(9);
        for i in 0..30 {
            backups.push(backup(&format!("f{i}"), Span::from_days(i + 1).after(t(NOW)), &[Tier::Daily]));
        }
        let verdicts = judged(&backups, |_| ());
        assert!((0..7).all(|i| of(&verdicts, &format!("d{i}")).keep));
        assert!(!of(&verdicts, "d7").keep);
        assert!(of(&verdicts, "f0").keep && of(&verdicts, "f0").reasons[0].contains("in the future"));
        assert_eq!(of(&verdicts, "f0").expires, None);
    }

    #[test]
    fn a_hold_keeps_whatever_the_count_says() {
        let mut backups = dailies(9);
        backups[8].hold = Some(Hold { reason: "audit".into(), by: "ann@ops".into(), since: t(NOW) });
        let verdicts = judged(&backups, |_| ());
        assert_eq!(of(&verdicts, "d8").reasons, ["held by ann@ops: audit"]);
        assert!(of(&verdicts, "d8").keep && of(&verdicts, "d8").expires.is_none());
    }

    #[test]
    fn the_newest_backup_at_the_promised_level_outlives_its_retention() {
        let mut backups = dailies(12);
        for b in &mut backups[..10] {
            b.copies[0].proofs.clear();
        }
        let verdicts = judged(&backups, |_| ());
        assert_eq!(of(&verdicts, "d10").reasons, ["the newest backup that has reached L3 (consistent)"]);
        assert!(!of(&verdicts, "d11").keep && !of(&verdicts, "d9").keep);
    }

    #[test]
    fn nothing_is_released_while_nothing_keeps_the_promise() {
        let mut backups = dailies(12);
        backups.iter_mut().for_each(|b| b.copies[0].proofs.clear());
        assert_eq!(kept(&judged(&backups, |_| ())).len(), 12);
        assert_eq!(kept(&judged(&backups, |case| case.promised = None)).len(), 7, "without a promise the best counts");
    }

    #[test]
    fn while_the_newest_good_backup_is_partial_the_newest_complete_one_stays_too() {
        let mut backups = dailies(16);
        for b in &mut backups[..8] {
            b.completeness = Completeness::Partial { troubles: 1 };
        }
        for b in &mut backups[8..] {
            b.copies[0].proofs.clear();
            b.tiers.clear();
        }
        let verdicts = judged(&backups, |_| ());
        assert_eq!(of(&verdicts, "d8").reasons, ["the newest complete backup, while the newest good one is partial"]);
        assert!(!of(&verdicts, "d9").keep);
    }

    #[test]
    fn a_backup_without_any_copy_is_no_evidence() {
        let mut backups = dailies(9);
        backups.iter_mut().for_each(|b| b.copies[0].proofs.clear());
        backups[0].copies[0].state = CopyState::Lost;
        let verdicts = judged(&backups, |case| case.promised = None);
        assert!(of(&verdicts, "d1").reasons.contains(&"the newest backup with the best evidence".to_owned()));
    }

    #[test]
    fn the_newest_backup_with_a_copy_outside_is_kept_and_without_any_nothing_goes() {
        let outside = |case: &mut Case| case.offsite = vec![place("vault:offsite")];
        let mut backups = dailies(12);
        assert_eq!(kept(&judged(&backups, outside)).len(), 12);
        for i in [9, 11] {
            backups[i] = offsite(backups[i].clone());
        }
        let verdicts = judged(&backups, outside);
        assert_eq!(of(&verdicts, "d9").reasons, ["the newest good copy outside the home region"]);
        assert!(!of(&verdicts, "d11").keep && !of(&verdicts, "d8").keep);
        backups[11].copies[1].proofs.push(proof(Level::L3, true, t(NOW)));
        let verdicts = judged(&backups, outside);
        assert!(of(&verdicts, "d11").keep && !of(&verdicts, "d9").keep, "a proved copy outside is worth more");
    }

    #[test]
    fn a_site_tier_has_no_end_and_a_dropped_tier_keeps_nothing() {
        let mut backups = dailies(9);
        backups[8].tiers = ["quarterly".parse().expect("valid")].into();
        backups[7].tiers.clear();
        let verdicts = judged(&backups, |_| ());
        assert_eq!(of(&verdicts, "d8").reasons, ["quarterly: only a retention policy ends this tier"]);
        assert_eq!(of(&verdicts, "d7").reasons, ["holds no tier"]);
    }

    #[test]
    fn nothing_of_a_disabled_workload_is_released() {
        let verdicts = judged(&dailies(9), |case| case.enabled = false);
        assert!(verdicts.iter().all(|v| v.keep && v.expires.is_none()));
    }

    #[test]
    fn expiry_tells_the_day_on_which_enough_newer_backups_will_exist() {
        let verdicts = judged(&dailies(7), |_| ());
        assert_eq!(of(&verdicts, "d6").expires, Some(t("2026-05-21T02:00:00Z")));
        assert_eq!(of(&verdicts, "d0").expires, Some(t("2026-05-27T02:00:00Z")));
        let without_today = judged(&dailies(8)[1..], |case| case.now = t("2026-05-20T01:00:00Z"));
        assert_eq!(of(&without_today, "d7").expires, Some(t("2026-05-20T02:00:00Z")));
    }

    #[test]
    fn released_backups_get_no_verdict() {
        let mut backups = dailies(2);
        backups[0].state = BackupState::Trashed { since: t(NOW), purge_after: t(NOW) };
        assert_eq!(kept(&judged(&backups, |_| ())), ["d1"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Living on for as long as a forecast says releases the backup at that instant and not before.
        #[test]
        fn the_forecast_comes_true(zone in proptest::sample::select(&["UTC", "Europe/Berlin", "America/New_York"][..]),
                                   lived in 1u64..60, pick in 0usize..8) {
            let calendar = Calendar::of(&schedule(zone)).expect("known zone");
            let daily = &calendar.rules()[0];
            let mut backups: Vec<Backup> = Vec::new();
            let mut period = calendar.period(daily, t("2026-03-01T12:00:00Z"));
            let live_a_day = |backups: &mut Vec<Backup>, period: Period| {
                let now = calendar.due_at(daily, period).expect("a real day");
                let tiers: Vec<Tier> = tiers::of_backup_now(&calendar, backups, now, None).into_iter().collect();
                backups.push(proved(fixture::backup(&format!("b{}", backups.len()), now, &tiers), now));
                now
            };
            let mut now = Timestamp::MIN;
            for _ in 0..lived {
                now = live_a_day(&mut backups, period);
                period = calendar.after(daily, period);
            }
            let at = |backups: &[Backup], now| {
                verdicts(&Terms { calendar: &calendar, promised: Some(Level::L3), offsite: &[], enabled: true, now }, backups)
            };
            let before = at(&backups, now);
            let chosen = &before[pick % before.len()];
            if let Some(expires) = chosen.expires {
                let mut kept_until = now;
                for _ in 0..500 {
                    now = live_a_day(&mut backups, period);
                    period = calendar.after(daily, period);
                    let verdicts = at(&backups, now);
                    if !of(&verdicts, chosen.backup.as_str()).keep {
                        break;
                    }
                    kept_until = now;
                }
                // Weekly and monthly tiers are given with that day's daily run, some hours before their own due time.
                prop_assert!(kept_until < expires && now <= expires, "{kept_until} < {expires} <= {now}");
                prop_assert!(Span::between(now, expires) <= Span::from_days(1), "{now} {expires}");
            }
        }
    }
}
