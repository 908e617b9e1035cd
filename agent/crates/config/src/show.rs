//! A configuration as text, with every default and override spelled out. It loads again to the same configuration.

pub(crate) mod policies;

use std::fmt::Write as _;
use std::path::Path;

use backstop_model::Span;
use backstop_model::config::{
    Config, Daily, FilesSpec, Monthly, Schedule, TimeOfDay, Weekday, Weekly, Workload, WorkloadKind,
};
use backstop_model::name::Place;
use toml::Value;

use crate::draft::WEEKDAYS;

/// The whole configuration as TOML. Secrets appear as their references only.
#[must_use]
pub fn show(config: &Config) -> String {
    let mut out = format!("state_dir = {}\n", path(&config.state_dir));
    for (name, vault) in &config.vaults {
        let key = quoted(&String::from(vault.key.clone()));
        section(&mut out, &format!("vault.{name}"));
        line(&mut out, "url", &quoted(&vault.url));
        line(&mut out, "region", &quoted(vault.region.as_str()));
        line(&mut out, "key", &key);
    }
    for (name, schedule) in &config.schedules {
        section(&mut out, &format!("schedule.{name}"));
        tiers(&mut out, schedule);
        objectives(&mut out, schedule);
    }
    for (name, workload) in &config.workloads {
        section(&mut out, &format!("workload.{name}"));
        let _ = writeln!(out, "# from {}", workload.origin.display());
        workload_body(&mut out, workload, config.schedules.get(&workload.schedule.name));
    }
    policies::policies(&mut out, config);
    section(&mut out, "limits");
    line(&mut out, "releases_per_run", &config.limits.releases_per_run.to_string());
    line(&mut out, "release_percent_per_day", &config.limits.release_percent_per_day.to_string());
    line(&mut out, "undelete_window", &span(config.limits.undelete_window));
    line(&mut out, "undo_window", &span(config.limits.undo_window));
    line(&mut out, "prune_grace", &span(config.limits.prune_grace));
    out
}

/// One workload as TOML, with its schedule's values spelled out: what `config-show` prints.
#[must_use]
pub fn show_workload(workload: &Workload) -> String {
    let mut out = format!("[workload.{}]\n", workload.name);
    let _ = writeln!(out, "# from {}", workload.origin.display());
    workload_body(&mut out, workload, None);
    out
}

fn workload_body(out: &mut String, workload: &Workload, base: Option<&Schedule>) {
    let WorkloadKind::Files(spec) = &workload.kind;
    files(out, spec);
    line(out, "enabled", &workload.enabled.to_string());
    if let Some(health) = &workload.health {
        let command = list(health.argv.iter().map(|word| quoted(word)));
        line(out, "health", &format!("{{ command = {command}, timeout = {} }}", span(health.timeout)));
    }
    line(out, "schedule", &quoted(workload.schedule.name.as_str()));
    if base.is_none_or(|base| keeps(base) != keeps(&workload.schedule)) {
        let keep = keeps(&workload.schedule).map(|(name, keep)| match keep {
            Some(keep) => format!("{name} = {keep}"),
            None => format!("{name} = false"),
        });
        line(out, "keep", &format!("{{ {} }}", keep.join(", ")));
    }
    objectives(out, &workload.schedule);
}

fn keeps(schedule: &Schedule) -> [(&'static str, Option<u32>); 3] {
    [
        ("daily", schedule.daily.map(|tier| tier.keep)),
        ("weekly", schedule.weekly.map(|tier| tier.keep)),
        ("monthly", schedule.monthly.map(|tier| tier.keep)),
    ]
}

fn files(out: &mut String, spec: &FilesSpec) {
    line(out, "kind", "\"files\"");
    line(out, "paths", &list(spec.paths.iter().map(|p| path(p))));
    line(out, "exclude", &list(spec.exclude.iter().map(|glob| quoted(glob))));
    line(out, "exclude_caches", &spec.exclude_caches.to_string());
    line(out, "one_file_system", &spec.one_file_system.to_string());
    line(out, "images", &list(spec.images.iter().map(|glob| quoted(glob))));
}

fn tiers(out: &mut String, schedule: &Schedule) {
    if let Some(Daily { at, keep }) = schedule.daily {
        line(out, "daily", &format!("{{ at = {}, keep = {keep} }}", time(at)));
    }
    if let Some(Weekly { on, at, keep }) = schedule.weekly {
        line(out, "weekly", &format!("{{ on = \"{}\", at = {}, keep = {keep} }}", weekday(on), time(at)));
    }
    if let Some(Monthly { on, at, keep }) = schedule.monthly {
        line(out, "monthly", &format!("{{ on = {on}, at = {}, keep = {keep} }}", time(at)));
    }
}

fn objectives(out: &mut String, schedule: &Schedule) {
    let place = |place: &Place| quoted(&place.to_string());
    line(out, "timezone", &quoted(&schedule.timezone));
    line(out, "rpo", &span(schedule.rpo));
    line(out, "rto", &span(schedule.rto));
    line(out, "home", &place(&schedule.home));
    line(out, "copies", &list(schedule.copies.iter().map(place)));
    let verify = schedule.verify.map(|rule| format!("{{ every = {}, level = \"{}\" }}", span(rule.every), rule.level));
    line(out, "verify", &verify.unwrap_or_else(off));
    line(
        out,
        "dr_test",
        &schedule.dr_test.map(|rule| format!("{{ every = {} }}", span(rule.every))).unwrap_or_else(off),
    );
    line(out, "full_every", &schedule.full_every.map(span).unwrap_or_else(off));
}

fn off() -> String {
    "false".to_owned()
}

pub(crate) fn weekday(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

pub(crate) fn clock_time(at: TimeOfDay) -> String {
    format!("{:02}:{:02}", at.hour, at.minute)
}

fn time(at: TimeOfDay) -> String {
    quoted(&clock_time(at))
}

fn span(span: Span) -> String {
    quoted(&span.to_string())
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn section(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n[{title}]");
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::{FULL, load_text};

    #[test]
    fn what_is_shown_loads_again_to_the_same_configuration() {
        let config = load_text(FULL);
        let again = load_text(&show(&config));
        assert_eq!(again, config, "{}", show(&config));
    }

    #[test]
    fn a_workload_is_shown_with_what_it_inherits() {
        let config = load_text(FULL);
        let text = show_workload(config.workloads.values().next().expect("one"));
        for part in [
            "[workload.docs]",
            "keep = { daily = 30, weekly = false, monthly = 12 }",
            "rpo = \"1d\"",
            "copies = [\"vault:offsite\"]",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
