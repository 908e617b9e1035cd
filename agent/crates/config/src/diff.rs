//! What changes between two configurations, in words, and which changes weaken protection.
//!
//! A change that weakens is one after which some loss that was covered before no longer is, or is noticed later.
//! Workloads are compared with their schedules applied, so that it does not matter where a value is written.

mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use backstop_model::Span;
use backstop_model::config::{Config, FilesSpec, Limits, Schedule, VaultConfig, Workload, WorkloadKind};
use serde::Serialize;

use crate::show::{clock_time, weekday};

/// What a change does to protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Less is protected, or for a shorter time, or problems are noticed later. Needs approval.
    Weakens,
    /// More is protected, or longer, or problems are noticed earlier.
    Strengthens,
    /// Neither can be said.
    Neutral,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is about, as in `workload docs`.
    pub subject: String,
    /// What is different, as in `daily backups kept: 7 → 3`.
    pub what: String,
    /// What it does to protection.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)?;
        match self.effect {
            Effect::Weakens => f.write_str(" (weakens protection)"),
            Effect::Strengthens | Effect::Neutral => Ok(()),
        }
    }
}

/// Every difference that has an effect, ordered by subject. A schedule that no workload follows has none.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut out = Changes { subject: String::new(), found: Vec::new() };
    if old.state_dir != new.state_dir {
        out.about("the agent".to_owned());
        out.turn("state directory", old.state_dir.display(), new.state_dir.display(), Effect::Neutral);
    }
    limits(&mut out, &old.limits, &new.limits);
    pairs(&old.vaults, &new.vaults, |name, pair| {
        out.about(format!("vault {name}"));
        match pair {
            (Some(_), None) => out.add("is removed; what it holds can no longer be reached", Effect::Weakens),
            (None, _) => out.add("is new", Effect::Neutral),
            (Some(old), Some(new)) => vault(&mut out, old, new),
        }
    });
    pairs(&old.workloads, &new.workloads, |name, pair| {
        out.about(format!("workload {name}"));
        match pair {
            (Some(_), None) => out.add("is removed; nothing new is backed up", Effect::Weakens),
            (None, _) => out.add("is new", Effect::Strengthens),
            (Some(old), Some(new)) => workload(&mut out, old, new),
        }
    });
    policies::policies(&mut out, old, new);
    out.found
}

/// Calls back for every name in either map, in order.
fn pairs<'m, N: Ord, T>(
    old: &'m BTreeMap<N, T>,
    new: &'m BTreeMap<N, T>,
    mut each: impl FnMut(&'m N, (Option<&'m T>, Option<&'m T>)),
) {
    let names: BTreeSet<&N> = old.keys().chain(new.keys()).collect();
    for name in names {
        each(name, (old.get(name), new.get(name)));
    }
}

struct Changes {
    subject: String,
    found: Vec<Change>,
}

impl Changes {
    fn about(&mut self, subject: String) {
        self.subject = subject;
    }

    fn add(&mut self, what: impl Into<String>, effect: Effect) {
        self.found.push(Change { subject: self.subject.clone(), what: what.into(), effect });
    }

    fn turn(&mut self, what: &str, old: impl fmt::Display, new: impl fmt::Display, effect: Effect) {
        self.add(format!("{what}: {old} → {new}"), effect);
    }

    /// A number of which less is weaker; `None` is none at all.
    fn more_is_stronger<T: Ord + fmt::Display>(&mut self, what: &str, old: Option<T>, new: Option<T>) {
        let effect = if new < old { Effect::Weakens } else { Effect::Strengthens };
        self.optional(what, old, new, effect);
    }

    /// A span of which more is weaker, and none at all the weakest.
    fn less_is_stronger(&mut self, what: &str, old: Option<Span>, new: Option<Span>) {
        let rank = |span: Option<Span>| span.map_or(u64::MAX, Span::as_millis);
        let effect = if rank(new) > rank(old) { Effect::Weakens } else { Effect::Strengthens };
        self.optional(what, old, new, effect);
    }

    fn optional<T: PartialEq + fmt::Display>(&mut self, what: &str, old: Option<T>, new: Option<T>, effect: Effect) {
        if old != new {
            let word = |value: Option<T>| value.map_or_else(|| "off".to_owned(), |value| value.to_string());
            self.turn(what, word(old), word(new), effect);
        }
    }

    fn neutral<T: PartialEq + fmt::Display>(&mut self, what: &str, old: T, new: T) {
        if old != new {
            self.turn(what, old, new, Effect::Neutral);
        }
    }

    /// Members that were added to or taken from a list.
    fn members<T: PartialEq>(
        &mut self,
        (old, new): (&[T], &[T]),
        show: impl Fn(&T) -> String,
        (gone, effect_gone): (&str, Effect),
        (come, effect_come): (&str, Effect),
    ) {
        for member in old.iter().filter(|member| !new.contains(member)) {
            self.add(format!("{gone} `{}`", show(member)), effect_gone);
        }
        for member in new.iter().filter(|member| !old.contains(member)) {
            self.add(format!("{come} `{}`", show(member)), effect_come);
        }
    }

    fn switch(&mut self, old: bool, new: bool, on: (&str, Effect), off: (&str, Effect)) {
        match (old, new) {
            (false, true) => self.add(on.0, on.1),
            (true, false) => self.add(off.0, off.1),
            (true, true) | (false, false) => {}
        }
    }
}

fn limits(out: &mut Changes, old: &Limits, new: &Limits) {
    out.about("limits".to_owned());
    let fewer = |old: u32, new: u32| if new > old { Effect::Weakens } else { Effect::Strengthens };
    if old.releases_per_run != new.releases_per_run {
        let effect = fewer(old.releases_per_run, new.releases_per_run);
        out.turn("releases in one run", old.releases_per_run, new.releases_per_run, effect);
    }
    if old.release_percent_per_day != new.release_percent_per_day {
        let effect = fewer(old.release_percent_per_day, new.release_percent_per_day);
        out.turn("percent released in one day", old.release_percent_per_day, new.release_percent_per_day, effect);
    }
    out.more_is_stronger("undelete window", Some(old.undelete_window), Some(new.undelete_window));
    out.more_is_stronger("undo window", Some(old.undo_window), Some(new.undo_window));
    out.more_is_stronger("prune grace", Some(old.prune_grace), Some(new.prune_grace));
}

fn vault(out: &mut Changes, old: &VaultConfig, new: &VaultConfig) {
    if old.url != new.url {
        out.turn("place of its bytes", &old.url, &new.url, Effect::Weakens);
    }
    out.neutral("region", &old.region, &new.region);
    out.neutral("key", String::from(old.key.clone()), String::from(new.key.clone()));
}

fn workload(out: &mut Changes, old: &Workload, new: &Workload) {
    let (on, off) = (("is enabled", Effect::Strengthens), ("is disabled; nothing new is backed up", Effect::Weakens));
    out.switch(old.enabled, new.enabled, on, off);
    let (WorkloadKind::Files(old_spec), WorkloadKind::Files(new_spec)) = (&old.kind, &new.kind);
    files(out, old_spec, new_spec);
    schedule(out, &old.schedule, &new.schedule);
    match (&old.health, &new.health) {
        (Some(_), None) => out.add("has no health command any more", Effect::Weakens),
        (None, Some(_)) => out.add("has a health command", Effect::Strengthens),
        (Some(old), Some(new)) => {
            out.neutral("health command", old.argv.join(" "), new.argv.join(" "));
            out.neutral("health command's time limit", old.timeout, new.timeout);
        }
        (None, None) => {}
    }
}

fn files(out: &mut Changes, old: &FilesSpec, new: &FilesSpec) {
    use Effect::{Neutral, Strengthens, Weakens};
    let (lost, gained) = (("no longer protects", Weakens), ("also protects", Strengthens));
    out.members((&old.paths, &new.paths), |path| path.display().to_string(), lost, gained);
    let (back, cut) = (("no longer excludes", Strengthens), ("also excludes", Weakens));
    out.members((&old.exclude, &new.exclude), String::clone, back, cut);
    let (on, off) = (("stays on one file system", Weakens), ("enters other file systems", Strengthens));
    out.switch(old.one_file_system, new.one_file_system, on, off);
    let (on, off) =
        (("leaves out marked cache directories", Weakens), ("includes marked cache directories", Strengthens));
    out.switch(old.exclude_caches, new.exclude_caches, on, off);
    let (no, yes) = (("no longer treats as images", Neutral), ("treats as images", Neutral));
    out.members((&old.images, &new.images), String::clone, no, yes);
}

fn schedule(out: &mut Changes, old: &Schedule, new: &Schedule) {
    use Effect::{Strengthens, Weakens};
    out.neutral("schedule", &old.name, &new.name);
    out.neutral("time zone", &old.timezone, &new.timezone);
    out.more_is_stronger("daily backups kept", old.daily.map(|tier| tier.keep), new.daily.map(|tier| tier.keep));
    out.more_is_stronger("weekly backups kept", old.weekly.map(|tier| tier.keep), new.weekly.map(|tier| tier.keep));
    out.more_is_stronger("monthly backups kept", old.monthly.map(|tier| tier.keep), new.monthly.map(|tier| tier.keep));
    if let (Some(old), Some(new)) = (&old.daily, &new.daily) {
        out.neutral("time of daily backups", clock_time(old.at), clock_time(new.at));
    }
    if let (Some(old), Some(new)) = (&old.weekly, &new.weekly) {
        let when = |on, at| format!("{} {}", weekday(on), clock_time(at));
        out.neutral("time of weekly backups", when(old.on, old.at), when(new.on, new.at));
    }
    if let (Some(old), Some(new)) = (&old.monthly, &new.monthly) {
        let when = |on, at| format!("day {on} {}", clock_time(at));
        out.neutral("time of monthly backups", when(old.on, old.at), when(new.on, new.at));
    }
    out.less_is_stronger("recovery point objective", Some(old.rpo), Some(new.rpo));
    out.less_is_stronger("recovery time objective", Some(old.rto), Some(new.rto));
    out.neutral("home", &old.home, &new.home);
    let (lost, gained) = (("is no longer copied to", Weakens), ("is also copied to", Strengthens));
    out.members((&old.copies, &new.copies), ToString::to_string, lost, gained);
    out.less_is_stronger("verified every", old.verify.map(|rule| rule.every), new.verify.map(|rule| rule.every));
    if let (Some(old), Some(new)) = (&old.verify, &new.verify) {
        out.more_is_stronger("level promised", Some(old.level), Some(new.level));
    }
    out.less_is_stronger("DR test every", old.dr_test.map(|rule| rule.every), new.dr_test.map(|rule| rule.every));
    out.less_is_stronger("read in full every", old.full_every, new.full_every);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Overrides, SourceFile, load};

    pub(crate) const FULL: &str = r#"
state_dir = "/var/lib/backstop"
[vault.main]
url = "file:///var/lib/backstop/vault"
region = "here"
key = "file:/etc/backstop/vault.key"
[vault.offsite]
url = "file:///mnt/offsite/vault"
region = "there"
key = "command:pass show offsite"
[schedule.standard]
timezone = "Europe/Berlin"
daily = { at = "02:00", keep = 7 }
weekly = { on = "sunday", at = "03:00", keep = 4 }
monthly = { on = 1, at = "04:00", keep = 12 }
rpo = "24h"
rto = "15m"
home = "vault:main"
copies = ["vault:offsite"]
verify = { every = "7d", level = "L3" }
dr_test = { every = "7d" }
[workload.docs]
kind = "files"
paths = ["/srv/docs", "/srv/it's \"odd\""]
exclude = ["*.tmp"]
images = ["*.qcow2"]
keep = { daily = 30, weekly = false }
health = { command = ["/usr/local/bin/check", "{}"], timeout = "5m" }
[signer.release]
public_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[policy.legal-hold]
component = "plugins/legal-hold.wasm"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
world = "retention"
applies_to = ["do*"]
settings = { until = 2027-01-01, share = 0.5, strict = true, days = [1, 15], slack = { "ch.x" = "it's \"odd\"", n = -3 }, none = [] }
promises = { quarterly = 8, daily = 3 }
[policy.two-people]
component = "/usr/lib/backstop/two-people.wasm"
signer = "release"
world = "validation"
mode = "canary"
canary = 25
limits = { time = "100ms", memory = "32MiB" }
[policy.chat]
component = "chat.wasm"
signer = "release"
world = "alert-sink"
grants = { http = ["hooks.example.com", "private:http://[fd00::1]:8080"], secrets = { chat_url = "env:CHAT_URL", "t.1" = "command:pass show t" } }
[policy.alive]
component = "alive.wasm"
signer = "release"
world = "health-check"
mode = "shadow"
grants = { probes = ["tcp:5432", "ssh:systemctl", "file"] }
[limits]
releases_per_run = 20
"#;

    pub(crate) fn load_text(text: &str) -> Config {
        let files = [SourceFile { path: "a.toml".into(), bytes: text.as_bytes().to_vec() }];
        load(&files, &Overrides::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
    }

    /// The differences after replacing one piece of the text.
    fn after(from: &str, to: &str) -> Vec<String> {
        assert!(FULL.contains(from), "{from}");
        diff(&load_text(FULL), &load_text(&FULL.replace(from, to))).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_configuration_does_not_differ_from_itself() {
        assert_eq!(diff(&load_text(FULL), &load_text(FULL)), []);
    }

    #[test]
    fn every_way_to_protect_less_is_named_as_weaker() {
        for (from, to, words) in [
            ("daily = 30", "daily = 3", "workload docs: daily backups kept: 30 → 3"),
            ("keep = 12", "keep = 6", "workload docs: monthly backups kept: 12 → 6"),
            ("monthly = { on = 1, at = \"04:00\", keep = 12 }", "", "workload docs: monthly backups kept: 12 → off"),
            ("copies = [\"vault:offsite\"]", "copies = []", "workload docs: is no longer copied to `vault:offsite`"),
            (
                "kind = \"files\"",
                "kind = \"files\"\nenabled = false",
                "workload docs: is disabled; nothing new is backed up",
            ),
            ("[workload.docs]", "[workload.other]", "workload docs: is removed; nothing new is backed up"),
            ("level = \"L3\"", "level = \"L1\"", "workload docs: level promised: L3 → L1"),
            ("every = \"7d\", level", "every = \"30d\", level", "workload docs: verified every: 7d → 30d"),
            (
                "verify = { every = \"7d\", level = \"L3\" }",
                "verify = false",
                "workload docs: verified every: 7d → off",
            ),
            ("dr_test = { every = \"7d\" }", "", "workload docs: DR test every: 7d → off"),
            ("rpo = \"24h\"", "rpo = \"48h\"", "workload docs: recovery point objective: 1d → 2d"),
            ("paths = [\"/srv/docs\", ", "paths = [", "workload docs: no longer protects `/srv/docs`"),
            ("[\"*.tmp\"]", "[\"*.tmp\", \"*.doc\"]", "workload docs: also excludes `*.doc`"),
            (
                "health = { command = [\"/usr/local/bin/check\", \"{}\"], timeout = \"5m\" }",
                "",
                "workload docs: has no health command any more",
            ),
            ("[policy.legal-hold]", "[policy.other]", "policy legal-hold: is removed; what it kept longer may go"),
            ("promises =", "mode = \"shadow\"\npromises =", "policy legal-hold: mode: active → shadow"),
            ("promises =", "mode = \"canary\"\npromises =", "policy legal-hold: mode: active → canary 10 %"),
            ("canary = 25", "canary = 20", "policy two-people: mode: canary 25 % → canary 20 %"),
            ("[policy.two-people]", "[policy.others]", "policy two-people: is removed; what it refused is accepted"),
            ("[policy.chat]", "[policy.others]", "policy chat: is removed; alerts no longer go there"),
            ("[\"do*\"]", "[\"do\"]", "policy legal-hold: no longer applies to `docs`"),
            ("quarterly = 8", "quarterly = 4", "policy legal-hold: quarterly backups promised: 8 → 4"),
            ("\"file\"]", "\"file\", \"tcp:22\"]", "policy alive: may also reach `tcp:22`"),
            (
                "[\"hooks.example.com\"",
                "[\"hooks.example.com:8443\"",
                "policy chat: may also reach `hooks.example.com:8443`",
            ),
            ("env:CHAT_URL", "env:ROOT", "policy chat: may also use the secret `chat_url = env:ROOT`"),
            ("releases_per_run = 20", "releases_per_run = 40", "limits: releases in one run: 20 → 40"),
            ("releases_per_run", "undelete_window = \"1d\"\nreleases_per_run", "limits: undelete window: 7d → 1d"),
            ("releases_per_run", "undo_window = \"2h\"\nreleases_per_run", "limits: undo window: 7d → 2h"),
            (
                "file:///mnt/offsite/vault",
                "file:///mnt/elsewhere",
                "vault offsite: place of its bytes: file:///mnt/offsite/vault → file:///mnt/elsewhere",
            ),
        ] {
            let found = after(from, to);
            assert!(found.contains(&format!("{words} (weakens protection)")), "{from} → {to}: {found:#?}");
        }
    }

    #[test]
    fn the_way_back_strengthens() {
        let (old, new) = (load_text(FULL), load_text(&FULL.replace("daily = 30", "daily = 3")));
        assert_eq!(diff(&old, &new)[0].effect, Effect::Weakens);
        assert_eq!(diff(&new, &old)[0].effect, Effect::Strengthens);
        assert_eq!(diff(&old, &new).len(), 1);
    }

    #[test]
    fn what_a_shadow_loses_or_another_setting_weakens_nothing() {
        for (from, to, words) in [
            ("[policy.alive]", "[policy.dead]", "policy alive: is removed; it was shadow only"),
            ("n = -3", "n = -4", "policy legal-hold: setting `slack.n`: -3 → -4"),
            ("none = []", "none = [1]", "policy legal-hold: setting `none`: [] → [1]"),
            (
                "plugins/legal-hold",
                "legal-hold",
                "policy legal-hold: component: plugins/legal-hold.wasm → legal-hold.wasm",
            ),
            ("[\"do*\"]", "[\"docs\"]", "policy legal-hold: applies to: do* → docs"),
            ("\"tcp:5432\", ", "", "policy alive: may no longer reach `tcp:5432`"),
            ("memory = \"32MiB\"", "memory = \"1GiB\"", "policy two-people: memory limit: 32MiB → 1GiB"),
        ] {
            let found = after(from, to);
            assert!(found.contains(&words.to_owned()), "{from} → {to}: {found:#?}");
            assert!(!found.iter().any(|change| change.contains("weakens")), "{found:#?}");
        }
    }

    #[test]
    fn another_time_of_day_is_neither() {
        assert_eq!(after("at = \"02:00\"", "at = \"01:30\""), ["workload docs: time of daily backups: 02:00 → 01:30"]);
    }
}
