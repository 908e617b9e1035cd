//! Secrets, by reference. What is found is wiped from memory when it is dropped, and nothing here prints it.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use backstop_model::config::SecretRef;
use zeroize::Zeroizing;

use crate::LocalError;
use crate::process::{self, Ended, Keep};

/// Largest secret, in bytes.
const SECRET_MAX: usize = 64 << 10;
/// How long a program may take to give a secret.
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// The bytes of a secret. Prints as `Secret(…)`.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret without one trailing line end, which editors and `echo` add: for passphrases and keys in text.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        let bytes = self.expose_raw();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes.strip_suffix(b"\r").filter(|_| self.0.ends_with(b"\r\n")).unwrap_or(bytes)
    }

    /// The secret to the last byte: for binary keys, whose last byte may look like a line end.
    #[must_use]
    pub fn expose_raw(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Fetches a secret.
///
/// A file must be readable by nobody but its owner, and belong to this user or root. A credential is what the service
/// manager put in `$CREDENTIALS_DIRECTORY`. A command is started without a shell, with this process's environment, and
/// has 30 seconds; what it says on standard error is dropped, as it may hold the secret.
///
/// # Errors
/// When it cannot be had, is empty or exceeds 64 KiB. The error names the reference, never what was found.
pub fn resolve(reference: &SecretRef) -> Result<Secret, LocalError> {
    resolve_in(reference, &|name| std::env::var_os(name))
}

fn resolve_in(reference: &SecretRef, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, LocalError> {
    let bytes = match reference {
        SecretRef::Env(name) => match environment(name) {
            Some(value) => Zeroizing::new(value.into_vec()),
            None => return Err(refuse(reference, "the variable is not set")),
        },
        SecretRef::File(path) => from_file(reference, path, Guarded::ByUs)?,
        SecretRef::Credential(name) => match environment("CREDENTIALS_DIRECTORY") {
            Some(directory) => from_file(reference, &PathBuf::from(directory).join(name), Guarded::ByServiceManager)?,
            None => return Err(refuse(reference, "this process was given no credentials (`$CREDENTIALS_DIRECTORY`)")),
        },
        SecretRef::Command(argv) => from_command(reference, argv)?,
    };
    let secret = Secret(bytes);
    if secret.expose().is_empty() {
        return Err(refuse(reference, "it is empty"));
    }
    if secret.expose_raw().len() > SECRET_MAX {
        return Err(refuse(reference, "it is larger than 64 KiB, which no key is"));
    }
    Ok(secret)
}

fn refuse(reference: &SecretRef, why: impl Into<String>) -> LocalError {
    LocalError::Secret { reference: String::from(reference.clone()), why: why.into() }
}

/// Who sees to it that others cannot read the file.
#[derive(PartialEq, Eq)]
enum Guarded {
    ByUs,
    ByServiceManager,
}

fn from_file(reference: &SecretRef, path: &Path, guarded: Guarded) -> Result<Zeroizing<Vec<u8>>, LocalError> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => refuse(reference, format!("`{}` does not exist", path.display())),
        _ => refuse(reference, error.to_string()),
    };
    // Looked at before it is opened, since opening a pipe would wait; and again once open, since it may have changed.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(refuse(reference, "it is not a regular file"));
    }
    let file = File::open(path).map_err(fail)?;
    let found = file.metadata().map_err(fail)?;
    if guarded == Guarded::ByUs {
        let exposed = |why, hint| LocalError::Exposed { path: path.to_owned(), why, hint };
        if found.mode() & 0o077 != 0 {
            let hint = format!("`chmod 600 {}`", path.display());
            return Err(exposed("holds a secret and is open to other users", hint));
        }
        if found.uid() != 0 && found.uid() != rustix::process::geteuid().as_raw() {
            let hint = format!("`chown root {}`", path.display());
            return Err(exposed("holds a secret and belongs to another user", hint));
        }
    }
    // Room for one byte too many, so that the buffer never moves and leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX + 2));
    file.take(SECRET_MAX as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

fn from_command(reference: &SecretRef, argv: &[String]) -> Result<Zeroizing<Vec<u8>>, LocalError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(refuse(reference, "it names no program"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match process::run(command, Keep::HeadOfOutput(SECRET_MAX + 1), COMMAND_MAX) {
        Ok(Ended::Exited(status, kept)) if status.success() => Ok(kept.output),
        Ok(Ended::Exited(status, _)) => {
            Err(refuse(reference, format!("the program ended with code {}", process::code(status))))
        }
        Ok(Ended::TimedOut) => Err(refuse(reference, "the program did not end within 30 seconds")),
        Err(error) => Err(refuse(reference, format!("the program could not be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use backstop_model::Fault;

    use super::*;

    const SECRET: &[u8] = b"hunter2";

    fn file(contents: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("key");
        std::fs::write(&path, contents).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        (dir, path)
    }

    fn command(words: &[&str]) -> SecretRef {
        SecretRef::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn each_kind_of_reference_gives_its_secret_without_the_line_end() {
        let (dir, path) = file(b"hunter2\n", 0o600);
        let environment = |name: &str| match name {
            "KEY" => Some(OsString::from("hunter2\r\n")),
            "CREDENTIALS_DIRECTORY" => Some(dir.path().into()),
            _ => None,
        };
        let get = |reference| resolve_in(&reference, &environment).expect("there");
        assert_eq!(get(SecretRef::File(path)).expose(), SECRET);
        assert_eq!(get(SecretRef::Env("KEY".into())).expose(), SECRET);
        assert_eq!(get(SecretRef::Credential("key".into())).expose(), SECRET);
        let echoed = get(command(&["echo", "hunter2"]));
        assert_eq!((echoed.expose(), echoed.expose_raw()), (SECRET, &b"hunter2\n"[..]));
        assert_eq!(format!("{echoed:?}"), "Secret(…)");
    }

    #[test]
    fn only_one_line_end_is_taken_away() {
        let secret = |bytes: &[u8]| Secret(Zeroizing::new(bytes.to_vec()));
        for (bytes, left) in [("a\n\n", "a\n"), ("a\r\n", "a"), ("a\r", "a\r"), ("a \n", "a "), ("a", "a")] {
            assert_eq!(secret(bytes.as_bytes()).expose(), left.as_bytes(), "{bytes:?}");
        }
    }

    #[test]
    fn a_key_file_open_to_others_is_refused_with_the_remedy() {
        for mode in [0o644, 0o640, 0o602, 0o601] {
            let (_dir, path) = file(SECRET, mode);
            let error = resolve(&SecretRef::File(path.clone())).expect_err("open to others");
            let fault = Fault::from(&error);
            assert_eq!(fault.hint, format!("`chmod 600 {}`", path.display()), "{mode:o}");
            assert!(!format!("{error:?}{error}").contains("hunter2"));
        }
        let (_dir, path) = file(SECRET, 0o400);
        assert!(resolve(&SecretRef::File(path)).is_ok());
    }

    #[test]
    fn what_is_missing_empty_too_large_or_no_file_is_refused() {
        let (dir, empty) = file(b"\n", 0o600);
        let (_large_dir, large) = file(&vec![b'x'; SECRET_MAX + 1], 0o600);
        let cases = [
            SecretRef::File(dir.path().join("none")),
            SecretRef::File(dir.path().to_owned()),
            SecretRef::File(empty),
            SecretRef::File(large),
            SecretRef::Env("NOT_SET".into()),
            SecretRef::Credential("none".into()),
            command(&["/bin/sh", "-c", "echo hunter2; echo hunter2 >&2; exit 1"]),
            command(&["/no/such/program"]),
            command(&["head", "-c", "70000", "/dev/zero"]),
            command(&["true"]),
            command(&[]),
        ];
        for reference in cases {
            let error = resolve_in(&reference, &|_| None).expect_err("no secret");
            let LocalError::Secret { reference: named, why } = &error else { panic!("{error:?}") };
            assert_eq!(*named, String::from(reference));
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
