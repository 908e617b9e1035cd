//! Workloads: what is protected, how its restore is judged, and what differs from its schedule.

use backstop_model::Span;
use backstop_model::config::{FilesSpec, HealthCommand};

use super::schedule::{keep_number, objectives};
use super::{KeepDraft, MINUTE, SECOND, WorkloadDraft, path};
use crate::problem::Spot;
use crate::reader::{Field, Fields};
use crate::{paths, suggest};

pub(super) fn workload(table: &Fields<'_>) -> Option<WorkloadDraft> {
    let kind = table.need("kind", "say what it is: `kind = \"files\"`");
    if let Some(field) = kind
        && let Some(kind) = field.text()
        && kind != "files"
    {
        field.report(
            format!("`{}` names a kind that is not in this build", field.title),
            suggest::hint(kind, ["files"]),
        );
        table.forgive();
        return None;
    }
    let paths_field = table.need("paths", "say what to protect, as in `paths = [\"/srv/docs\"]`");
    let mut paths = Vec::new();
    let mut path_spots = Vec::new();
    if let Some(field) = &paths_field
        && let Some(listed) = field.list()
    {
        if listed.is_empty() {
            field.report(format!("`{}` names nothing to protect", field.title), "");
        }
        for element in listed {
            if let Some(path) = path(&element) {
                paths.push(path);
                path_spots.push(element.at);
            }
        }
    }
    let spec = FilesSpec {
        paths,
        exclude: table.get("exclude").map(|field| excludes(&field)).unwrap_or_default(),
        one_file_system: table.get("one_file_system").and_then(|field| field.flag()).unwrap_or(false),
        exclude_caches: table.get("exclude_caches").and_then(|field| field.flag()).unwrap_or(true),
        images: table.get("images").map(|field| images(&field)).unwrap_or_default(),
    };
    Some(WorkloadDraft {
        spec,
        path_spots,
        schedule: table.get("schedule").and_then(|field| Some(field.spot(field.text()?.to_owned()))),
        enabled: table.get("enabled").and_then(|field| field.flag()).unwrap_or(true),
        health: table.get("health").and_then(|field| health(&field)),
        keep: table.get("keep").and_then(|field| keep_table(&field)),
        objectives: objectives(table),
    })
}

fn excludes(field: &Field<'_>) -> Vec<String> {
    texts(field, |element, pattern| match paths::exclusion(pattern) {
        Err(why) => element.report(format!("`{}` holds a pattern that is not valid: {why}", field.title), ""),
        Ok(exclusion) if exclusion.takes_everything() => {
            element.report("this pattern excludes everything", "`enabled = false` pauses a workload");
        }
        Ok(_) => {}
    })
}

fn images(field: &Field<'_>) -> Vec<String> {
    texts(field, |element, pattern| {
        if let Err(why) = paths::exclusion(pattern) {
            element.report(format!("`{}` holds a pattern that is not valid: {why}", field.title), "");
        } else if pattern.contains('/') {
            element.report(format!("`{}` compares names, which hold no `/`", field.title), "as in `*.qcow2`");
        }
    })
}

fn texts(field: &Field<'_>, check: impl Fn(&Field<'_>, &str)) -> Vec<String> {
    let mut found = Vec::new();
    for element in field.list().unwrap_or_default() {
        if let Some(text) = element.text() {
            check(&element, text);
            found.push(text.to_owned());
        }
    }
    found
}

fn health(field: &Field<'_>) -> Option<HealthCommand> {
    let table = field.table()?;
    let command = table
        .need("command", "give the program and its arguments, as in `command = [\"/usr/local/bin/check\", \"{}\"]`");
    let timeout = table.get("timeout").map_or(Some(MINUTE), |field| field.span(SECOND..=Span::from_days(1)));
    table.finish();
    let command = command?;
    let argv: Vec<String> = command.list()?.iter().filter_map(|word| word.text().map(str::to_owned)).collect();
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|word| word.contains('\0')) {
        command
            .report(format!("`{}` names no program", command.title), "it is a list: the program, then its arguments");
        return None;
    }
    Some(HealthCommand { argv, timeout: timeout? })
}

fn keep_table(field: &Field<'_>) -> Option<Spot<KeepDraft>> {
    let table = field.table()?;
    let read = |key, tier| {
        let field: Field<'_> = table.get(key)?;
        if field.is_off() { Some(None) } else { keep_number(&field, tier).map(Some) }
    };
    let keep = KeepDraft { daily: read("daily", 0), weekly: read("weekly", 1), monthly: read("monthly", 2) };
    table.finish();
    Some(field.spot(keep))
}
