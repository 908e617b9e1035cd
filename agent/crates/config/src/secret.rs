//! References to secrets. A value that is no reference may be the secret itself, so it is never repeated.

use backstop_model::config::SecretRef;

use crate::paths;

/// How each kind of reference begins.
const SCHEMES: [&str; 4] = ["file:", "env:", "credential:", "command:"];

/// Whether it is plainly meant as a reference, right or wrong, so that showing it shows no secret.
pub(crate) fn is_meant_as_reference(raw: &str) -> bool {
    SCHEMES.iter().any(|scheme| raw.starts_with(scheme))
}

/// Reads `file:/path`, `env:NAME`, `credential:NAME` or `command:program arguments`.
///
/// # Errors
/// What is wrong, without the offending value.
pub(crate) fn parse(raw: &str) -> Result<SecretRef, &'static str> {
    let (scheme, rest) = raw.split_once(':').ok_or(NO_REFERENCE)?;
    match scheme {
        "file" => match paths::absolute(rest) {
            Ok(path) => Ok(SecretRef::File(path)),
            Err(_) => Err("`file:` wants an absolute path, as in `file:/etc/backstop/vault.key`"),
        },
        "env" => {
            let valid = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            valid
                .then(|| SecretRef::Env(rest.to_owned()))
                .ok_or("`env:` wants the name of a variable, as in `env:VAULT_KEY`")
        }
        "credential" => {
            let valid = (1..=255).contains(&rest.len())
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !rest.starts_with('.');
            valid
                .then(|| SecretRef::Credential(rest.to_owned()))
                .ok_or("`credential:` wants the name of a systemd credential, as in `credential:vault-key`")
        }
        "command" => {
            let argv: Vec<String> = rest.split_ascii_whitespace().map(str::to_owned).collect();
            let valid = argv.first().is_some_and(|program| program.starts_with('/') || !program.contains('/'))
                && !rest.contains('\0');
            valid
                .then_some(SecretRef::Command(argv))
                .ok_or("`command:` wants a program by absolute path or name, and its arguments, as in `command:pass show vault`")
        }
        _ => Err(NO_REFERENCE),
    }
}

const NO_REFERENCE: &str =
    "this is not a reference to a secret: it begins with `file:`, `env:`, `credential:` or `command:`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_back_what_they_print() {
        for raw in ["file:/etc/backstop/vault.key", "env:VAULT_KEY", "credential:vault-key", "command:pass show vault"]
        {
            assert_eq!(parse(raw).map(String::from), Ok(raw.to_owned()));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_without_being_repeated() {
        for bad in [
            "hunter2",
            "hunter2:x",
            "file:hunter2",
            "env:hunter 2",
            "env:",
            "credential:../hunter2",
            "command:",
            "command:./hunter2",
        ] {
            let why = parse(bad).expect_err(bad);
            assert!(!why.contains("hunter"), "{why}");
        }
    }
}
