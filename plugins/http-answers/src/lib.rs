//! A restored web server answers as it should: the status, and what the page says.

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Settings, probes};

struct HttpAnswers;

impl HealthCheck for HttpAnswers {
    fn check(question: &Question) -> Result<Answer, String> {
        let settings = &question.settings;
        settings.only(&["port", "paths", "host", "status", "contains", "lacks", "timeout"])?;
        let port = port(settings.whole_or("port", 80)?)?;
        let timeout_ms = timeout_ms(settings.whole_or("timeout", 10)?)?;
        let headers: Vec<(String, String)> =
            settings.find_text("host")?.map(|host| ("host".to_owned(), host.to_owned())).into_iter().collect();
        let wanted = Wanted {
            status: match settings.wholes("status")? {
                none if none.is_empty() => vec![200],
                status => status,
            },
            contains: settings.texts("contains")?,
            lacks: settings.texts("lacks")?,
        };
        let mut looked = Looked::default();
        for path in settings.texts_or("paths", &["/"])? {
            let name = format!("http:{port}{path}");
            match probes::http(port, path, &headers, timeout_ms) {
                Ok(page) => wanted.compare(&name, &page, &mut looked),
                Err(failure) => looked.failed(name, &failure),
            }
        }
        Ok(looked.answer())
    }
}

struct Wanted<'a> {
    status: Vec<i64>,
    contains: Vec<&'a str>,
    lacks: Vec<&'a str>,
}

impl Wanted<'_> {
    fn compare(&self, name: &str, page: &probes::HttpResponse, looked: &mut Looked) {
        looked.check(self.status.contains(&i64::from(page.status)), name, format!("status {}", page.status));
        let body = String::from_utf8_lossy(&page.body);
        for part in &self.contains {
            let found = body.contains(part);
            looked.check(found, name, format!("{} `{part}`", if found { "contains" } else { "does not contain" }));
        }
        for part in &self.lacks {
            let found = body.contains(part);
            looked.check(!found, name, format!("{} `{part}`", if found { "contains" } else { "does not contain" }));
        }
    }
}

fn port(whole: i64) -> Result<u16, String> {
    u16::try_from(whole)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("setting `port` is {whole}; write a whole number from 1 to 65535"))
}

fn timeout_ms(seconds: i64) -> Result<u32, String> {
    match u32::try_from(seconds) {
        Ok(seconds @ 1..=60) => Ok(seconds * 1_000),
        _ => Err(format!("setting `timeout` is {seconds}; write seconds from 1 to 60")),
    }
}

backstop_policy_sdk::health_check!(HttpAnswers);
