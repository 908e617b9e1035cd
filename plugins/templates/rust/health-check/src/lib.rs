//! A restored tree is healthy when the files named in the setting `files` are there and not empty.

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Settings, probes};

struct Policy;

impl HealthCheck for Policy {
    fn check(question: &Question) -> Result<Answer, String> {
        question.settings.only(&["files"])?;
        let files = question.settings.texts("files")?;
        if files.is_empty() {
            return Err("setting `files` is missing: write `files = [\"/srv/docs/index.html\"]`".into());
        }
        let mut looked = Looked::default();
        for path in files {
            match probes::stat(path) {
                Ok(Some(facts)) => looked.check(facts.size > 0, path, format!("{} bytes", facts.size)),
                Ok(None) => looked.fail(path, "nothing stands there"),
                Err(failure) => looked.failed(path, &failure),
            }
        }
        Ok(looked.answer())
    }
}

backstop_policy_sdk::health_check!(Policy);
