//! What is kept of an answer.

use std::io::Read;
use std::time::{Duration, SystemTime};

use backstop_model::Timestamp;
use backstop_seams::WebResponse;
use backstop_seams::web::BODY_KEPT_MAX;
use ureq::Body;
use ureq::http::{Response, header};

/// Reads an answer to its end, or as far as it is kept.
pub(crate) fn of(mut response: Response<Body>, now: Timestamp) -> Result<WebResponse, ureq::Error> {
    let text = |value: &header::HeaderValue| value.to_str().ok().map(str::to_owned);
    let fields = response.headers().iter();
    let headers = fields.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let wait = response.headers().get(header::RETRY_AFTER).and_then(text);
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response.body_mut().as_reader().take(BODY_KEPT_MAX as u64).read_to_end(&mut body)?;
    Ok(WebResponse { status, headers, retry_after: wait.and_then(|wait| seconds(&wait, now)), body })
}

/// Seconds until what `retry-after` says (RFC 9110, 10.2.3).
fn seconds(value: &str, now: Timestamp) -> Option<u32> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u32::MAX));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).ok()?);
    let wait = then.duration_since(now).unwrap_or_default();
    Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_or_a_date_in_any_of_the_three_forms() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().expect("an instant");
        for (value, wanted) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999", Some(u32::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:59 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(u32::MAX)),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(value, now), wanted, "{value}");
        }
    }
}
