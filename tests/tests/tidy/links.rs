//! Links of the documents lead somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::tree;

/// The text without fenced blocks and inline code, where brackets are no links.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.extend(line.split('`').step_by(2));
        }
        out.push('\n');
    }
    out
}

/// Targets of `[text](target)` and `[name]: target`.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).map(str::to_owned);
    let named = prose.lines().filter_map(|line| {
        let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
        target.split_whitespace().next().map(str::to_owned)
    });
    inline.chain(named).collect()
}

/// The anchors that headings make: lower case, spaces to `-`, other punctuation gone.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if !fenced && title.len() < line.len() && title.starts_with(' ') {
            let kept = title.trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// `a/b/../c` as `a/c`; `None` when it leads out of the tree.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Links of `text`, standing at `path`, that lead nowhere. `exists` and `read` see the tree.
fn findings(path: &Path, text: &str, exists: impl Fn(&Path) -> bool, read: impl Fn(&Path) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for target in targets(text) {
        if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let folder = path.parent().unwrap_or(Path::new(""));
        let there = if file.is_empty() { Some(path.to_owned()) } else { plain(&folder.join(file)) };
        match there.filter(|there| exists(there)) {
            None => found.push(format!("{}: `{target}` leads nowhere", path.display())),
            Some(there) if !anchor.is_empty() && there.extension().is_some_and(|e| e == "md") => {
                let known = if file.is_empty() { anchors(text) } else { anchors(&read(&there)) };
                if !known.contains(anchor) {
                    found.push(format!("{}: `{target}` names no heading", path.display()));
                }
            }
            Some(_) => {}
        }
    }
    found
}

#[test]
fn every_relative_link_leads_somewhere() {
    let documents = tree::texts("md");
    let links: usize = documents.iter().map(|(_, text)| targets(text).len()).sum();
    assert!(documents.len() >= 5 && links > 0, "{} documents with {links} links", documents.len());
    let exists = |path: &Path| tree::root().join(path).exists();
    super::assert_tidy(documents.iter().flat_map(|(path, text)| findings(path, text, exists, tree::read)).collect());
}

#[test]
fn dead_links_are_found_and_code_is_no_link() {
    let exists = |path: &Path| matches!(path.to_str(), Some("docs/a.md" | "docs/b.md" | "README.md"));
    let check = |text: &str| findings(Path::new("docs/a.md"), text, exists, |_| "# The End!\n".to_owned()).len();
    for good in [
        "[b](b.md)",
        "[r](../README.md)",
        "[e](b.md#the-end)",
        "`[x](gone.md)`",
        "```\n[x](gone.md)\n```",
        "[w](https://x)",
    ] {
        assert_eq!(check(good), 0, "{good}");
    }
    for bad in ["[b](gone.md)", "see\n[n]: gone.md", "[b](b.md#start)", "[x](../../etc/passwd)", "[x](#nothing)"] {
        assert_eq!(check(bad), 1, "{bad}");
    }
}
