//! What stands below a path.

use backstop_policy_sdk::glob;
use backstop_policy_sdk::probes::{self, Failure, FailureKind, FileKind};

/// Looking at more would take longer than a check may.
pub const ENTRIES_MAX: usize = 10_000;

/// The files below a path that fit a pattern.
#[derive(Default)]
pub struct Tree {
    /// How many.
    pub count: usize,
    /// All of them together.
    pub bytes: u64,
    /// The path and the time of the one that changed last, of those that are not too young to be true.
    pub newest: Option<(String, i64)>,
}

/// Why there is no answer.
pub enum Stopped {
    Probe(Failure),
    TooMany,
}

impl Tree {
    /// Looks at everything below a path, or at a single file. Links are not followed. Files dated after `latest` count,
    /// and are nobody's newest.
    pub fn walk(path: &str, pattern: &str, latest: i64) -> Result<Self, Stopped> {
        let mut tree = Tree::default();
        let mut open = vec![path.trim_end_matches('/').to_owned()];
        let mut seen = 0;
        while let Some(path) = open.pop() {
            seen += 1;
            if seen > ENTRIES_MAX {
                return Err(Stopped::TooMany);
            }
            let shown = if path.is_empty() { "/" } else { &path };
            let Some(facts) = probes::stat(shown).map_err(Stopped::Probe)? else {
                if seen == 1 {
                    let message = "nothing stands there".to_owned();
                    return Err(Stopped::Probe(Failure { kind: FailureKind::Unreachable, message }));
                }
                continue;
            };
            match facts.kind {
                FileKind::Directory => {
                    let names = probes::entries(shown).map_err(Stopped::Probe)?;
                    open.extend(names.iter().map(|name| format!("{path}/{name}")));
                }
                FileKind::File => {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    if glob::fits(pattern, name) {
                        tree.add(&path, facts.size, facts.modified, latest);
                    }
                }
                FileKind::Link | FileKind::Other => {}
            }
        }
        Ok(tree)
    }

    fn add(&mut self, path: &str, size: u64, modified: i64, latest: i64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(size);
        let newer = self.newest.as_ref().is_none_or(|(_, newest)| modified > *newest);
        if modified <= latest && newer {
            self.newest = Some((path.to_owned(), modified));
        }
    }
}
