//! Restored files are as recent, as many and as large as they should be when the backup was made, and a marker among them
//! says what it should.
//!
//! A backup that runs every night over a dump that stopped in March is green everywhere else.

mod marker;
mod tree;

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Field, Settings};

use marker::Marker;
use tree::Tree;

/// What changed while the backup ran is younger than its instant.
const RUNNING: i64 = 3_600;

struct FilesFresh;

impl HealthCheck for FilesFresh {
    fn check(question: &Question) -> Result<Answer, String> {
        let settings = &question.settings;
        settings.only(&["path", "pattern", "max_age_hours", "min_count", "min_bytes", "marker.", "json."])?;
        let wanted = Wanted::read(settings)?;
        let markers = marker::read(settings)?;
        let paths: Vec<&str> = match settings.find_text("path")? {
            Some(path) => vec![path],
            None => question.paths.iter().map(String::as_str).collect(),
        };
        if paths.is_empty() {
            return Err("nothing to look at: write `path = \"/srv/dumps\"`".into());
        }
        let mut looked = Looked::default();
        if wanted.any() || markers.is_empty() {
            for path in paths {
                wanted.look(path, question.created, &mut looked);
            }
        }
        markers.iter().for_each(|marker: &Marker| marker.look(&mut looked));
        Ok(looked.answer())
    }
}

/// What is wanted of the files below a path.
struct Wanted<'a> {
    pattern: &'a str,
    max_age: Option<i64>,
    min_count: usize,
    min_bytes: Option<u64>,
}

impl<'a> Wanted<'a> {
    fn read(settings: &'a [Field]) -> Result<Self, String> {
        let not_negative = |key: &str| match settings.find_whole(key)? {
            Some(whole) if whole < 0 => Err(format!("setting `{key}` is {whole}; write a whole number from 0 on")),
            whole => Ok(whole),
        };
        Ok(Self {
            pattern: settings.text_or("pattern", "*")?,
            max_age: not_negative("max_age_hours")?.map(|hours| hours.saturating_mul(3_600)),
            min_count: settings.count_or("min_count", 1)?,
            min_bytes: not_negative("min_bytes")?.map(i64::unsigned_abs),
        })
    }

    fn any(&self) -> bool {
        self.max_age.is_some() || self.min_count > 1 || self.min_bytes.is_some() || self.pattern != "*"
    }

    fn look(&self, path: &str, created: i64, looked: &mut Looked) {
        let tree = match Tree::walk(path, self.pattern, created.saturating_add(RUNNING)) {
            Ok(tree) => tree,
            Err(tree::Stopped::Probe(failure)) => return looked.failed(path, &failure),
            Err(tree::Stopped::TooMany) => {
                return looked.unclear(path, format!("more than {} entries: choose a smaller path", tree::ENTRIES_MAX));
            }
        };
        looked.check(tree.count >= self.min_count, path, format!("{} files fit `{}`", tree.count, self.pattern));
        if let Some(least) = self.min_bytes {
            looked.check(tree.bytes >= least, path, format!("{} bytes, {least} wanted", tree.bytes));
        }
        if let Some(most) = self.max_age {
            match tree.newest {
                Some((ref name, modified)) => {
                    let hours = created.saturating_sub(modified).max(0) / 3_600;
                    let fresh = created.saturating_sub(modified) <= most;
                    looked.check(
                        fresh,
                        path,
                        format!("the newest, {name}, was {hours} h old when the backup was made"),
                    );
                }
                None => looked.fail(path, "no file that is not dated after the backup"),
            }
        }
    }
}

backstop_policy_sdk::health_check!(FilesFresh);
