//! Values as they are written on the command line.

use std::str::FromStr;

use backstop_model::config::SecretRef;
use backstop_model::plan::Overwrite;
use backstop_model::{Fault, Mode, Span, Timestamp};

/// A time: an instant, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long before now.
    Ago(Span),
    /// At an instant.
    At(Timestamp),
}

impl When {
    /// The instant meant, seen from `now`.
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            When::Ago(span) => span.before(now),
            When::At(at) => at,
        }
    }
}

/// Reads `7d`, `2026-05-20`, `2026-05-20 14:30` (UTC) or RFC 3339.
pub fn when(raw: &str) -> Result<When, String> {
    if let Ok(span) = raw.parse::<Span>() {
        return Ok(When::Ago(span));
    }
    let spaced = raw.trim().replacen(' ', "T", 1);
    let tries = [spaced.clone(), format!("{spaced}Z"), format!("{spaced}:00Z"), format!("{spaced}T00:00:00Z")];
    tries
        .iter()
        .find_map(|text| Timestamp::from_str(text).ok())
        .map(When::At)
        .ok_or_else(|| "write so long ago as `7d` or `12h`, or a time in UTC as `2026-05-20 14:30`".to_owned())
}

/// Reads a number of periods, or `off`.
pub fn keep(raw: &str) -> Result<backstop_ops::configure::Keep, String> {
    use backstop_ops::configure::Keep;
    match raw {
        "off" => Ok(Keep::Off),
        number => number.parse().map(Keep::Periods).map_err(|_| "write a number of periods, or `off`".to_owned()),
    }
}

/// Reads a mode.
pub fn mode(raw: &str) -> Result<Mode, String> {
    [Mode::Full, Mode::Incremental, Mode::Differential]
        .into_iter()
        .find(|mode| mode.to_string() == raw)
        .ok_or_else(|| "one of full, incremental, differential".to_owned())
}

/// Reads an overwrite rule.
pub fn overwrite(raw: &str) -> Result<Overwrite, String> {
    match raw {
        "never" => Ok(Overwrite::Never),
        "if-newer" => Ok(Overwrite::IfNewer),
        "always" => Ok(Overwrite::Always),
        _ => Err("one of never, if-newer, always".to_owned()),
    }
}

/// Reads a share in percent as parts per million.
pub fn percent(raw: &str) -> Result<u32, String> {
    let bad = || "a share in percent above 0 and up to 100, as in `5` or `0.5%`".to_owned();
    let share: f64 = raw.trim_end_matches('%').trim().parse().map_err(|_| bad())?;
    if !(share > 0.0 && share <= 100.0) {
        return Err(bad());
    }
    Ok(((share * 10_000.0).round() as u32).max(1))
}

/// Reads a target in percent.
pub fn target(raw: &str) -> Result<f64, String> {
    let share: f64 = raw.trim_end_matches('%').trim().parse().map_err(|_| "a share in percent".to_owned())?;
    if (0.0..=100.0).contains(&share) { Ok(share) } else { Err("a share between 0 and 100 percent".to_owned()) }
}

/// What was written where a reference to a secret belongs. Judged only after parsing: the parser repeats what it does
/// not take, and that may be a secret pasted in its place.
#[derive(Debug, Clone)]
pub struct KeyArg(Result<SecretRef, String>);

impl KeyArg {
    /// The reference.
    ///
    /// # Errors
    /// A usage fault that does not repeat what was written.
    pub fn reference(&self) -> Result<&SecretRef, Fault> {
        let hint = "the key itself is never written on a command line";
        self.0.as_ref().map_err(|how| Fault::usage(format!("`--key` names no place of a key: {how}"), hint))
    }
}

/// Reads a reference to a secret, or remembers that it is none.
pub fn key(raw: &str) -> Result<KeyArg, std::convert::Infallible> {
    Ok(KeyArg(secret(raw)))
}

/// Reads a reference to a secret. The secret itself is never written on a command line.
fn secret(raw: &str) -> Result<SecretRef, String> {
    let bad = || "write `file:/path`, `env:NAME`, `credential:NAME` or `command:program args`".to_owned();
    let (scheme, rest) = raw.split_once(':').ok_or_else(bad)?;
    match (scheme, rest) {
        (_, "") => Err(bad()),
        ("file", path) if path.starts_with('/') => Ok(SecretRef::File(path.into())),
        ("env", name) => Ok(SecretRef::Env(name.to_owned())),
        ("credential", name) => Ok(SecretRef::Credential(name.to_owned())),
        ("command", words) => Ok(SecretRef::Command(words.split_whitespace().map(str::to_owned).collect())),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |text: &str| Ok(When::At(text.parse().expect("an instant")));
        assert_eq!(when("7d"), Ok(When::Ago(Span::from_days(7))));
        for raw in ["2026-05-20", "2026-05-20 00:00", "2026-05-20T00:00:00", "2026-05-20T00:00:00Z"] {
            assert_eq!(when(raw), at("2026-05-20T00:00:00Z"), "{raw}");
        }
        assert_eq!(when("2026-05-20T02:00:00+02:00"), at("2026-05-20T00:00:00Z"));
        assert!(when("yesterday").is_err() && when("").is_err());
    }

    #[test]
    fn shares_are_parts_per_million_and_never_none() {
        assert_eq!((percent("5"), percent("0.5%"), percent("100")), (Ok(50_000), Ok(5_000), Ok(1_000_000)));
        for bad in ["0", "-1", "101", "x", ""] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_itself_is_no_reference_and_is_not_repeated() {
        let read = |raw| key(raw).expect("judged later").reference().cloned();
        assert!(read("file:/etc/backstop/a.key").is_ok() && read("env:KEY").is_ok());
        for bad in ["hunter2", "file:", "file:relative", "https://x"] {
            let fault = read(bad).expect_err(bad);
            assert!(!format!("{fault:?}").contains("hunter"), "{fault:?}");
        }
    }
}
