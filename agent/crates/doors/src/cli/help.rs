//! Examples and exit codes of every verb. A test compares this table with the tree: a verb without an example, and an
//! example that does not parse, fail it.

use backstop_model::ExitCode;
use clap::Command;

/// What the help of a verb ends with.
struct Page {
    /// The verb's words.
    verb: &'static str,
    /// Command lines, without the program's name.
    examples: &'static [&'static str],
    /// What it may exit with, beside what every verb may.
    codes: &'static [ExitCode],
}

const fn page(verb: &'static str, examples: &'static [&'static str], codes: &'static [ExitCode]) -> Page {
    Page { verb, examples, codes }
}

use ExitCode::{
    BadKey, Busy, Findings, Interrupted, NotFound, ObjectiveMissed, Partial, Refused, RolledBack, Stuck, Temporary,
    Terminated,
};

/// Every verb may exit with these.
const ALWAYS: [ExitCode; 4] = [ExitCode::Ok, ExitCode::Failed, ExitCode::Usage, ExitCode::BadConfiguration];

/// Verbs that work on a workload for a while may also exit with these.
const WORK: &[ExitCode] = &[RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated];

const PAGES: &[Page] = &[
    page(
        "backup configure",
        &[
            "backup configure docs --path /srv/docs --exclude '*.tmp' --copy-to vault:offsite",
            "backup configure docs --daily-retention 7 --weekly-retention 4 --monthly-retention 12",
            "backup configure docs --cross-region --target-region there",
        ],
        &[NotFound],
    ),
    page("backup disable", &["backup disable docs"], &[NotFound]),
    page("backup config-show", &["backup config-show docs"], &[NotFound]),
    page(
        "backup trigger",
        &["backup trigger docs", "backup trigger docs --tier weekly --mode full"],
        &[Partial, Refused, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page(
        "backup list",
        &["backup list docs", "backup list --unverified --since 7d", "backup list --expiring 3d --json"],
        &[NotFound],
    ),
    page("backup show", &["backup show docs-backup-daily-20260520-0200 --contents"], &[NotFound, BadKey]),
    page(
        "backup restore",
        &[
            "backup restore docs --to /tmp/docs",
            "backup restore docs --at '2026-05-20 14:00' --include '/srv/docs/plan.txt' --to /tmp/docs",
            "backup restore docs --interactive",
        ],
        &[Partial, Refused, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page("backup replicate", &["backup replicate docs-backup-daily-20260520-0200 --to vault:offsite"], WORK),
    page(
        "backup replicate-all",
        &["backup replicate-all docs", "backup replicate-all --max-parallel 3"],
        &[Partial, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page("backup replication-status", &["backup replication-status docs"], &[NotFound]),
    page("backup replication-jobs", &["backup replication-jobs --status failed"], &[]),
    page(
        "backup verify",
        &["backup verify docs-backup-daily-20260520-0200 --level L3"],
        &[Findings, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page(
        "backup verify-all",
        &["backup verify-all docs", "backup verify-all --level L1 --sample 5 --max-parallel 2"],
        &[Findings, Partial, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page("backup verification-report", &["backup verification-report docs --days 7"], &[NotFound]),
    page(
        "backup delete",
        &[
            "backup delete docs-backup-daily-20260520-0200 --reason 'made by mistake'",
            "backup delete --expired --workload docs --reason 'past retention' --yes",
        ],
        &[Partial, Refused, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary],
    ),
    page("backup undelete", &["backup undelete docs-backup-daily-20260520-0200 --reason 'still needed'"], WORK),
    page("backup hold", &["backup hold docs-backup-daily-20260520-0200 --reason 'audit 2026'"], &[NotFound]),
    page(
        "backup release-hold",
        &["backup release-hold docs-backup-daily-20260520-0200 --reason 'audit over'"],
        &[NotFound],
    ),
    page("backup search", &["backup search 2026-05", "backup search weekly"], &[]),
    page(
        "backup find",
        &["backup find plan.txt", "backup find '/srv/docs/**/*.odt' --workload docs"],
        &[NotFound, BadKey],
    ),
    page(
        "backup diff",
        &["backup diff docs-backup-daily-20260519-0200 docs-backup-daily-20260520-0200"],
        &[NotFound, BadKey],
    ),
    page("backup cat", &["backup cat docs-backup-daily-20260520-0200 /srv/docs/plan.txt"], &[NotFound, BadKey]),
    page("restore undo", &["restore undo docs --reason 'wrong day'"], WORK),
    page(
        "dr test",
        &["dr test docs", "dr test docs --from vault:offsite"],
        &[Findings, ObjectiveMissed, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page(
        "dr test-all",
        &["dr test-all"],
        &[
            Findings,
            ObjectiveMissed,
            Partial,
            RolledBack,
            Stuck,
            NotFound,
            Busy,
            BadKey,
            Temporary,
            Interrupted,
            Terminated,
        ],
    ),
    page("dr test-history", &["dr test-history docs --days 90"], &[NotFound]),
    page("dr success-rate", &["dr success-rate --days 90 --target 95"], &[NotFound]),
    page(
        "agenda",
        &["agenda", "agenda --run"],
        &[
            Partial,
            Findings,
            Refused,
            ObjectiveMissed,
            RolledBack,
            Stuck,
            Busy,
            BadKey,
            Temporary,
            Interrupted,
            Terminated,
        ],
    ),
    page("run list", &["run list docs --since 7d", "run list --open"], &[]),
    page("run show", &["run show 20260520-0200"], &[NotFound]),
    page("run cancel", &["run cancel 20260520-0200 --reason 'not wanted'"], WORK),
    page(
        "run resume",
        &["run resume 20260520-0200", "run resume 20260520-0200 --skip 3 --reason 'done by hand'"],
        WORK,
    ),
    page(
        "vault init",
        &["vault init main --generate-key", "vault init offsite --like main"],
        &[Refused, NotFound, BadKey],
    ),
    page("vault status", &["vault status", "vault status offsite --json"], &[Findings, NotFound, BadKey]),
    page(
        "vault prune",
        &["vault prune main --dry-run", "vault prune", "vault prune main --max-unused 0"],
        &[Refused, RolledBack, Stuck, NotFound, Busy, BadKey, Temporary, Interrupted, Terminated],
    ),
    page("vault key add", &["vault key add main --key file:/media/usb/spare.key --label spare"], &[NotFound, BadKey]),
    page("vault key remove", &["vault key remove main spare --reason 'stick was lost'"], &[Refused, NotFound, BadKey]),
    page(
        "vault key rotate",
        &["vault key rotate main", "vault key rotate main --key file:/etc/backstop/new.key"],
        &[NotFound, BadKey],
    ),
    page("vault key list", &["vault key list main"], &[NotFound, BadKey]),
    page("vault rebuild-index", &["vault rebuild-index main"], &[Findings, NotFound, BadKey, Interrupted, Terminated]),
    page("vault copy", &["vault copy main offsite"], &[Partial, NotFound, BadKey, Interrupted, Terminated]),
    page("catalog rebuild", &["catalog rebuild"], &[Partial, BadKey, Temporary, Interrupted, Terminated]),
    page("policy list", &["policy list", "policy list --json"], &[Findings]),
    page("policy inspect", &["policy inspect legal-hold", "policy inspect ./policy.wasm"], &[Findings, NotFound]),
    page("policy keygen", &["policy keygen ./signing.key"], &[Refused]),
    page("policy sign", &["policy sign policy.wasm --key ./signing.key"], &[NotFound, BadKey]),
    page("policy verify", &["policy verify policy.wasm --signer site"], &[Findings, NotFound]),
    page(
        "policy test",
        &["policy test .", "policy test cases/quarters.toml --component policy.wasm"],
        &[Findings, NotFound],
    ),
    page("policy bench", &["policy bench policy.wasm"], &[Findings, NotFound]),
    page("policy explain", &["policy explain legal-hold --workload docs", "policy explain 4711"], &[NotFound]),
    page("policy replay", &["policy replay legal-hold --since 90d --candidate new.wasm"], &[Findings, NotFound]),
    page(
        "policy simulate",
        &[
            "policy simulate --workload docs --years 5",
            "policy simulate --policy new.toml",
            "policy simulate --diff old.toml new.toml",
        ],
        &[Findings, NotFound],
    ),
    page("policy new", &["policy new --lang rust --world retention ./quarters"], &[Refused]),
    page("approval list", &["approval list", "approval list --all --json"], &[]),
    page("approval approve", &["approval approve 7 --reason 'seen the ticket'"], &[Refused, NotFound]),
    page("approval deny", &["approval deny 7 --reason 'not this week'"], &[NotFound]),
    page("alert list", &["alert list", "alert list --all"], &[]),
    page("alert test", &["alert test"], &[Findings]),
    page("config check", &["config check --config-dir ./new"], &[Refused]),
    page("config show", &["config show"], &[]),
    page("status", &["status", "status docs --json"], &[NotFound]),
    page("doctor", &["doctor"], &[Findings]),
    page("audit show", &["audit show --since 30d --verb 'backup delete'"], &[]),
    page("audit verify", &["audit verify"], &[Findings]),
    page("completions", &["completions bash"], &[]),
    page("man", &["man", "man /usr/local/share/man/man1"], &[]),
];

/// Adds examples and exit codes to the tree.
pub fn complete(command: Command) -> Command {
    let table: String = ExitCode::TABLE.iter().map(|(code, ..)| line(*code)).collect();
    let footer = format!(
        "Examples:\n  backstop status\n  backstop backup trigger docs\n  backstop help backup restore\n\nExit codes:\n{table}"
    );
    let mut command = command.after_long_help(footer.trim_end().to_owned());
    for page in PAGES {
        command = at(command, page.verb, page);
    }
    command
}

fn at(command: Command, verb: &str, page: &Page) -> Command {
    match verb.split_once(' ') {
        Some((word, rest)) => command.mut_subcommand(word, |sub| at(sub, rest, page)),
        None => command.mut_subcommand(verb, |sub| sub.after_long_help(footer(page))),
    }
}

fn footer(page: &Page) -> String {
    let title = if page.examples.len() == 1 { "Example:" } else { "Examples:" };
    let examples: String = page.examples.iter().map(|example| format!("  backstop {example}\n")).collect();
    let mut codes: Vec<ExitCode> = ALWAYS.iter().chain(page.codes).copied().collect();
    codes.sort_by_key(|code| code.number());
    let codes: String = codes.into_iter().map(line).collect();
    format!("{title}\n{examples}\nExit codes:\n{}", codes.trim_end())
}

fn line(code: ExitCode) -> String {
    let words = ExitCode::TABLE.iter().find(|(known, ..)| *known == code).map_or("", |(.., words)| words);
    format!("  {:>3}  {words}\n", code.number())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::tree;

    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            if sub.has_subcommands() {
                leaves(sub, &path, found);
            } else {
                found.push((path, sub.clone()));
            }
        }
    }

    #[test]
    fn every_verb_explains_itself_and_ends_with_an_example_and_its_exit_codes() {
        let mut found = Vec::new();
        leaves(&tree::command(), "", &mut found);
        assert!(found.len() > 45, "{}", found.len());
        for (path, command) in &found {
            let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            let short = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(long.len() > short.len() && !short.is_empty(), "`{path}` explains nothing");
            let end = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(end.contains(&format!("backstop {path}")), "`{path}` has no example");
            assert!(end.contains("Exit codes:\n    0  done"), "`{path}` has no exit codes: {end}");
        }
        let known: Vec<&str> = PAGES.iter().map(|page| page.verb).collect();
        assert!(found.iter().all(|(path, _)| known.contains(&path.as_str())));
        assert_eq!(found.len(), known.len());
    }

    #[test]
    fn every_example_parses() {
        for example in PAGES.iter().flat_map(|page| page.examples) {
            let mut words: Vec<OsString> = vec!["backstop".into()];
            // Quoted words hold spaces; nothing else of a shell is used.
            for (index, part) in example.split('\'').enumerate() {
                match index % 2 {
                    0 => words.extend(part.split_whitespace().map(OsString::from)),
                    _ => words.push(part.into()),
                }
            }
            if let Err(error) = tree::parse(&words) {
                panic!("`{example}`: {error}");
            }
        }
    }

    #[test]
    fn the_tree_has_no_contradictions() {
        tree::command().debug_assert();
    }
}
