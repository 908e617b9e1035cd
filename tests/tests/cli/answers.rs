//! What is printed: documents for programs, text for people, help, pages and completions.

use std::io::Read;
use std::process::Stdio;

use backstop_tests::Site;

/// Every question answers with exactly one JSON document that names its schema, and says nothing else on stdout.
#[test]
fn every_question_answers_with_one_document() {
    let site = Site::new();
    let first = site.backup();
    site.write("srv/docs/more", "more");
    let second = site.backup();
    site.ok(&["backup", "replicate-all"]);
    site.ok(&["backup", "verify", &first]);
    site.ok(&["dr", "test", "docs"]);
    let run = site.json(&["run", "list"])["runs"][0]["run"].as_str().expect("a run").to_owned();
    let questions: &[&[&str]] = &[
        &["backup", "list"],
        &["backup", "list", "docs", "--tier", "daily"],
        &["backup", "list", "--since", "7d"],
        &["backup", "list", "--unverified"],
        &["backup", "list", "--expiring", "30d"],
        &["backup", "list", "--trash"],
        &["backup", "show", &first],
        &["backup", "show", &first, "--contents"],
        &["backup", "config-show", "docs"],
        &["backup", "replication-status"],
        &["backup", "replication-jobs"],
        &["backup", "replication-jobs", "--status", "completed"],
        &["backup", "verification-report", "--days", "7"],
        &["backup", "search", "docs"],
        &["backup", "find", "more"],
        &["backup", "diff", &first, &second],
        &["dr", "test-history"],
        &["dr", "success-rate"],
        &["agenda"],
        &["run", "list"],
        &["run", "show", &run],
        &["vault", "status"],
        &["vault", "key", "list", "main"],
        &["config", "check"],
        &["config", "show"],
        &["status"],
        &["status", "docs"],
        &["doctor"],
        &["audit", "show"],
        &["audit", "verify"],
        &["backup", "hold", &first, "--reason", "x"],
        &["backup", "release-hold", &first],
        &["vault", "rebuild-index", "main"],
        &["vault", "copy", "main", "offsite"],
        &["catalog", "rebuild"],
    ];
    let acting = ["rebuild-index", "copy", "rebuild"];
    for question in questions {
        let mut arguments = question.to_vec();
        arguments.push("--json");
        let answer = site.run(&arguments).expect(0);
        let documents = answer.text().lines().count();
        let long = question.iter().any(|word| acting.contains(word));
        assert!(documents == 1 || long, "{documents} lines from {answer}");
        site.json(question);
        let text = site.run(question).expect(0);
        assert!(!text.out.is_empty() && !text.text().starts_with('{'), "{text}");
        assert!(!text.text().contains('\u{1b}'), "colour without a terminal: {text}");
        assert!(text.err.is_empty(), "talk where only data was asked for: {text}");
    }
}

/// Long work says line by line what it does; a dry run does not do it.
#[test]
fn long_work_streams_events_and_a_dry_run_changes_nothing() {
    let site = Site::new();
    let dry = site.summaries(0, &["backup", "trigger", "docs", "--dry-run"]);
    assert_eq!((&dry[0]["dry_run"], &dry[0]["run"]), (&true.into(), &serde_json::Value::Null), "{dry:?}");
    assert!(site.names().is_empty());
    let name = site.backup();
    for verb in [
        &["backup", "replicate-all"][..],
        &["backup", "verify-all"],
        &["dr", "test", "docs"],
        &["dr", "test-all"],
        &["vault", "prune"],
        &["backup", "restore", "docs"],
    ] {
        let runs = site.json(&["run", "list"]);
        let mut arguments = verb.to_vec();
        arguments.push("--dry-run");
        let summaries = site.summaries(0, &arguments);
        assert!(summaries.iter().all(|summary| summary["outcome"].is_null()), "{summaries:?}");
        let again = site.json(&["run", "list"]);
        assert_eq!(runs["runs"], again["runs"], "{verb:?} was only planned");
    }
    let done = site.summaries(0, &["backup", "verify", &name, "--level", "L3"]);
    assert_eq!((&done[0]["outcome"], &done[0]["code"]), (&"done".into(), &0.into()));
    assert!(done[0]["steps"].as_array().expect("steps").iter().all(|step| step["state"] == "done"), "{done:?}");
}

/// An error is one line and a hint, and with `--json` the last line of stderr for programs.
#[test]
fn an_error_is_one_line_with_a_hint_and_a_document_for_programs() {
    let site = Site::new();
    let answer = site.fails(10, &["backup", "trigger", "unknown"]);
    assert_eq!(answer.err.lines().count(), 2, "{answer}");
    assert!(answer.out.is_empty(), "{answer}");
    let answer = site.run(&["backup", "trigger", "unknown", "--json"]).expect(10);
    let last: serde_json::Value =
        serde_json::from_str(answer.err.lines().last().expect("a line")).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!((&last["message_type"], &last["code"]), (&"exit_error".into(), &10.into()));
    assert!(answer.out.is_empty(), "{answer}");
}

/// A reader that goes away early is no failure of the program.
#[test]
fn a_closed_pipe_ends_the_output_quietly() {
    let site = Site::new();
    site.write("srv/docs/large", vec![b'x'; 4_000_000]);
    let name = site.backup();
    let mut command = site.command(&["backup", "cat", &name, &site.text("srv/docs/large")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut first = [0; 10];
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut first).expect("bytes");
    drop(out);
    let ended = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.is_empty() && ended.status.success(), "{:?} {said}", ended.status);
}

/// Data that could not be written is no success.
#[test]
fn a_full_output_is_an_error() {
    let site = Site::new();
    let name = site.backup();
    for verb in [&["backup", "list"][..], &["backup", "cat", &name, &site.text("srv/docs/readme.txt")]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
        let mut command = site.command(verb);
        let ended = command.stdout(full).stderr(Stdio::piped()).output().expect("runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(1) && said.contains("error:"), "{:?} {said}", ended.status);
    }
}

/// Help of every verb explains, gives an example and the exit codes; needs no configuration.
#[test]
fn every_verb_has_help_with_an_example() {
    let mut site = Site::bare();
    site.set("BACKSTOP_CONFIG_DIR", site.path("nowhere"));
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(verb) = open.pop() {
        let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = site.run(&arguments).expect(0);
        let text = help.text();
        assert!(help.err.is_empty(), "{help}");
        seen += 1;
        let Some((_, below)) = text.split_once("\nCommands:\n") else {
            assert!(text.contains("xample"), "no example in {help}");
            continue;
        };
        for line in below.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().filter(|_| line.starts_with("  ") && !line.starts_with("   "));
            if let Some(name) = name.filter(|name| *name != "help") {
                open.push(verb.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
    }
    assert!(seen > 45, "walked over {seen} pages of help only");
    assert!(site.ok(&["--version"]).text().starts_with("backstop "));
}

/// Pages and completions are made without a configuration.
#[test]
fn pages_and_completions_are_printed() {
    let mut site = Site::bare();
    site.set("BACKSTOP_CONFIG_DIR", site.path("nowhere"));
    for shell in ["bash", "zsh", "fish"] {
        let script = site.ok(&["completions", shell]).text();
        assert!(script.contains("verify-all"), "{shell}");
    }
    let script = site.write("completions.bash", site.ok(&["completions", "bash"]).out);
    backstop_tests::machine::call("bash", &[&"-n", &script]);
    site.run(&["completions", "tcsh"]).expect(2);
    assert!(site.ok(&["man"]).text().contains(".TH"));
    site.ok(&["man", &site.text("man")]);
    let pages = std::fs::read_dir(site.path("man")).expect("pages").count();
    assert!(pages > 45, "{pages} pages");
    assert!(site.path("man/backstop-backup-restore.1").exists());
}
