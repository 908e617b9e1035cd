//! An alert in the words of chats and pagers: what the alert sinks share.

use backstop_policy_sdk::alert_sink::{Alert, Severity};
use backstop_policy_sdk::http::Response;
use backstop_policy_sdk::settings::shown;

/// Names and values worth showing beside the text: the host, what the alert is about, and its facts.
#[must_use]
pub fn particulars(alert: &Alert) -> Vec<(&str, String)> {
    let about = [
        ("host", Some(&alert.host)),
        ("workload", alert.workload.as_ref()),
        ("backup", alert.backup.as_ref()),
        ("run", alert.run.as_ref()),
    ];
    let about = about.into_iter().filter_map(|(name, value)| Some((name, value?.clone())));
    about.chain(alert.facts.iter().map(|fact| (fact.key.as_str(), shown(&fact.value)))).collect()
}

/// The title, saying when it is over: chats cannot take back what they showed.
#[must_use]
pub fn headline(alert: &Alert) -> String {
    match (alert.recovered, alert.severity) {
        (true, _) => format!("Resolved: {}", alert.title),
        (false, Severity::Critical) => format!("Critical: {}", alert.title),
        (false, Severity::Warning | Severity::Info) => alert.title.clone(),
    }
}

/// At most so many characters; what is cut shows `…`.
#[must_use]
pub fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

/// The first text below a key in a JSON answer, when it is a plain word: an identifier for the receipt and nothing that
/// a decision hangs on. Empty when there is none.
#[must_use]
pub fn identifier(response: &Response, key: &str) -> String {
    let body = String::from_utf8_lossy(&response.body);
    let found = body.split_once(&format!("\"{key}\"")).and_then(|(_, rest)| {
        let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        value.split_once('"').map(|(value, _)| value)
    });
    let is_word =
        |value: &&str| value.len() <= 200 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    found.filter(is_word).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Response {
        Response { status: 200, retry_after: None, body: body.into() }
    }

    #[test]
    fn an_identifier_is_a_plain_word_or_nothing() {
        assert_eq!(identifier(&answer(r#"{"time":1,"id" : "sPs71M8A2T","event":"message"}"#), "id"), "sPs71M8A2T");
        for body in ["", "{}", r#"{"id":7}"#, r#"{"id":"a b"}"#, r#"{"id":"a\"b"}"#, r#"{"id":"cut of"#] {
            assert_eq!(identifier(&answer(body), "id"), "", "{body}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
