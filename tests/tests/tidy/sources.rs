//! Sizes, names and left-overs of the Rust sources.

use std::path::Path;

use super::tree;

/// No source file is longer.
const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason. The list only shrinks.
const LONGER: [(&str, &str); 0] = [];

/// Words that name nothing.
const EMPTY_WORDS: [&str; 9] =
    ["manager", "handler", "helper", "util", "common", "service", "processor", "data", "info"];

fn is_empty_word(word: &str) -> bool {
    let word = word.to_lowercase();
    EMPTY_WORDS.iter().any(|empty| word == *empty || word.strip_suffix('s') == Some(empty))
}

/// The last word of a `CamelCase` or `snake_case` name.
fn last_word(name: &str) -> &str {
    let name = name.rsplit(['_', '-']).next().unwrap_or(name);
    let capitals = |(_, c): &(usize, char)| c.is_uppercase();
    name.char_indices().rfind(capitals).map_or(name, |(at, _)| &name[at..])
}

/// The types that a line of Rust defines: none or one.
fn defined_type(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().filter(|word| !word.starts_with("pub")).peekable();
    if words.peek() == Some(&"unsafe") {
        words.next();
    }
    if !matches!(words.next()?, "struct" | "enum" | "trait" | "type" | "union") {
        return None;
    }
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

fn name_findings(path: &Path, text: &str) -> Vec<String> {
    let shown = path.display();
    let parts = path.iter().filter_map(|part| part.to_str()).map(|part| part.trim_end_matches(".rs"));
    let files = parts
        .filter(|part| is_empty_word(last_word(part)))
        .map(|part| format!("{shown}: `{part}` names nothing; see agent/docs/vocabulary.md"));
    let types = text
        .lines()
        .filter_map(defined_type)
        .filter(|name| is_empty_word(last_word(name)))
        .map(|name| format!("{shown}: type `{name}` names nothing; see agent/docs/vocabulary.md"));
    files.chain(types).collect()
}

/// Written in two halves, so that this file does not find itself.
fn left_overs() -> [String; 5] {
    [("#[", "ignore"), ("to", "do!("), ("unimple", "mented!("), ("db", "g!("), ("allow(un", "safe_code")]
        .map(|(a, b)| format!("{a}{b}"))
}

/// The files that may hold unsafe code, each once and each with the decision record that says why. Their crates take the
/// workspace's lints one by one, since what the workspace forbids cannot be allowed again.
const UNSAFE: [(&str, &str); 1] =
    [("agent/crates/policy/src/cache.rs", "agent/docs/decisions/0009-compiled-policies-are-authenticated.md")];

fn left_over_findings(path: &Path, text: &str) -> Vec<String> {
    let mut excused = UNSAFE.iter().any(|(file, _)| path == Path::new(file));
    // What becomes a guest exports raw functions, and is held by the wall around it, not by this rule.
    let is_guest = path.starts_with("plugins");
    let found = |(at, line): (usize, &str)| {
        let code = line.split("//").next().unwrap_or_default();
        let word = left_overs().into_iter().find(|word| code.contains(word.as_str()))?;
        // The first one is the recorded one.
        if word.ends_with("safe_code") && (is_guest || std::mem::take(&mut excused)) {
            return None;
        }
        Some(format!("{}:{}: `{word}` was left behind", path.display(), at + 1))
    };
    text.lines().enumerate().filter_map(found).collect()
}

#[test]
fn no_source_file_is_longer_than_a_person_reads() {
    let mut findings = Vec::new();
    for (path, text) in tree::texts("rs") {
        let (lines, shown) = (text.lines().count(), path.display().to_string());
        let excused = LONGER.iter().any(|(file, _)| *file == shown);
        if lines > LINES_MAX && !excused {
            findings.push(format!("{shown}: {lines} lines, at most {LINES_MAX}: split it"));
        }
        if lines <= LINES_MAX && excused {
            findings.push(format!("{shown}: is short enough now, so its exception goes"));
        }
    }
    let gone = LONGER.iter().filter(|(file, reason)| reason.is_empty() || !tree::root().join(file).exists());
    findings.extend(gone.map(|(file, _)| format!("{file}: an exception for no file or for no reason")));
    super::assert_tidy(findings);
}

#[test]
fn names_say_what_a_thing_is() {
    super::assert_tidy(tree::texts("rs").iter().flat_map(|(path, text)| name_findings(path, text)).collect());
}

#[test]
fn nothing_is_left_for_later() {
    super::assert_tidy(tree::texts("rs").iter().flat_map(|(path, text)| left_over_findings(path, text)).collect());
}

fn has_unsafe_file(manifest: &Path) -> bool {
    UNSAFE.iter().any(|(file, _)| manifest.parent().is_some_and(|folder| Path::new(file).starts_with(folder)))
}

/// Whether a manifest repeats every lint of the workspace, unsafe code being denied instead of forbidden.
fn has_every_lint(manifest: &str) -> bool {
    let workspace = tree::read(Path::new("Cargo.toml"));
    let lints = workspace
        .lines()
        .skip_while(|line| !line.starts_with("[workspace.lints"))
        .take_while(|line| !line.starts_with("[profile"));
    let wanted = lints.map(|line| line.replace("workspace.lints", "lints").replace("\"forbid\"", "\"deny\""));
    wanted.filter(|line| !line.is_empty()).all(|line| manifest.contains(&line))
}

#[test]
fn unsafe_code_stands_only_where_a_record_says_why() {
    let missing = UNSAFE.iter().filter(|(file, record)| {
        let allowed = left_overs().into_iter().next_back().unwrap_or_default();
        !tree::read(Path::new(file)).contains(&allowed) || !tree::root().join(record).exists()
    });
    super::assert_tidy(missing.map(|(file, record)| format!("{file}: no unsafe code, or no `{record}`")).collect());
}

#[test]
fn every_crate_says_what_it_is_for_and_takes_the_lints() {
    let mut findings = Vec::new();
    let mut crates = 0;
    for path in tree::files() {
        let shown = path.display().to_string();
        if matches!(path.file_name().and_then(|name| name.to_str()), Some("lib.rs" | "main.rs")) {
            if !tree::read(&path).starts_with("//!") {
                findings.push(format!("{shown}: begins without saying what the crate is for (`//!`)"));
            }
        } else if path.ends_with("Cargo.toml") && tree::read(&path).contains("\nedition.workspace") {
            crates += 1;
            let takes_them = tree::read(&path).contains("[lints]\nworkspace = true")
                || has_unsafe_file(&path) && has_every_lint(&tree::read(&path));
            if !takes_them {
                findings.push(format!("{shown}: does not take the workspace's lints"));
            }
        }
    }
    assert!(crates >= 12, "saw {crates} crates");
    super::assert_tidy(findings);
}

#[test]
fn decision_records_are_numbered_and_answer_their_questions() {
    let mut numbers = Vec::new();
    let mut findings = Vec::new();
    for (path, text) in tree::texts("md") {
        if !path.starts_with("agent/docs/decisions") {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.split_once('-').and_then(|(number, _)| (number.len() == 4).then(|| number.parse::<usize>()));
        match number {
            Some(Ok(number)) => numbers.push(number),
            _ => findings.push(format!("{}: is not called NNNN-what-was-decided.md", path.display())),
        }
        for section in ["\nStatus: ", "\n## Question\n", "\n## Decision\n", "\n## Price\n"] {
            if !text.contains(section) {
                findings.push(format!("{}: has no `{}`", path.display(), section.trim()));
            }
        }
    }
    numbers.sort_unstable();
    let twice = numbers.windows(2).filter(|pair| pair[0] == pair[1]);
    findings.extend(twice.map(|pair| format!("two decision records have the number {:04}", pair[0])));
    assert!(numbers.len() > 1, "no records found");
    super::assert_tidy(findings);
}

#[test]
fn names_and_left_overs_are_found_where_they_are() {
    for bad in ["pub struct CopyManager;", "enum Info {", "pub(crate) trait Helpers<T> {", "type LeaseData = u8;"] {
        assert_eq!(name_findings(Path::new("a/b.rs"), bad).len(), 1, "{bad}");
    }
    for good in ["struct Information;", "let data = 1;", "enum Database {", "// struct Manager", "use x::Service;"] {
        assert_eq!(name_findings(Path::new("a/b.rs"), good), Vec::<String>::new(), "{good}");
    }
    for bad in ["a/util.rs", "helpers/a.rs", "a/copy_helper.rs", "a/store-utils.rs"] {
        assert_eq!(name_findings(Path::new(bad), "").len(), 1, "{bad}");
    }
    for word in left_overs() {
        assert_eq!(left_over_findings(Path::new("a.rs"), &format!("fn f() {{\n    {word}\n}}")).len(), 1, "{word}");
        assert_eq!(left_over_findings(Path::new("a.rs"), &format!("// {word}")), Vec::<String>::new());
    }
}
