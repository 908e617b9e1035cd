//! `policy keygen`, `policy sign`, `policy verify`: signatures over a component and its manifest, offline.

use std::path::{Path, PathBuf};

use backstop_model::policy::SignerConfig;
use backstop_model::{Advice, ExitCode, Fault, SignerName};
use backstop_policy::sign;
use serde::Serialize;

use crate::context::{Context, Outside};

/// A new pair of keys.
#[derive(Debug, Clone, Serialize)]
pub struct Keys {
    /// Where the secret one stands.
    pub secret: PathBuf,
    /// The public one, for `[signer.NAME]`.
    pub public_key: String,
}

/// A signature that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Signed {
    /// Where it stands.
    pub signature: PathBuf,
    /// SHA-256 of the component.
    pub sha256: String,
    /// Whether it covers a manifest.
    pub manifest: bool,
    /// The public key it can be checked with.
    pub public_key: String,
}

/// Signatures that hold.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The component.
    pub component: PathBuf,
    /// Whose signature it carries.
    pub signer: SignerName,
    /// SHA-256 of the component.
    pub sha256: String,
}

/// Makes a pair of keys; the secret one goes into a file that only its owner reads.
///
/// # Errors
/// When something stands there already.
pub fn keygen(outside: &Outside, path: &Path) -> Result<Keys, Fault> {
    if outside.files.exists(path)? {
        let message = format!("`{}` exists already", path.display());
        return Err(Fault::refused(message, "a key that is replaced is lost; name another file"));
    }
    let mut seed = [0; 32];
    outside.entropy.fill(&mut seed);
    let keys = sign::keygen(seed);
    outside.files.write(path, format!("{}\n", keys.secret).as_bytes(), 0o600)?;
    Ok(Keys { secret: path.to_owned(), public_key: keys.public })
}

/// Signs a component, with the manifest that stands beside it.
///
/// # Errors
/// Files that are not there, a key that is none.
pub fn sign(outside: &Outside, component: &Path, key: &Path) -> Result<Signed, Fault> {
    let bytes = read(outside, component)?;
    let manifest = outside.files.read(&component.with_extension("manifest"))?;
    let text = String::from_utf8(read(outside, key)?).unwrap_or_default();
    let made = |error: sign::SignError| {
        Fault::new(
            ExitCode::BadKey,
            Advice::FixConfiguration,
            format!("`{}`: {error}", key.display()),
            "`backstop policy keygen FILE` makes one",
        )
    };
    let signature = sign::sign(&text, &bytes, manifest.as_deref()).map_err(made)?;
    let public_key = sign::public_of(&text).map_err(made)?;
    let path = component.with_extension("sig");
    outside.files.write(&path, signature.as_bytes(), 0o644)?;
    Ok(Signed { signature: path, sha256: sign::sha256_hex(&bytes), manifest: manifest.is_some(), public_key })
}

/// Whose signature counts.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A configured signer.
    Signer(SignerName),
    /// A public key in base64.
    Key(String),
}

/// Checks the signature beside a component.
///
/// # Errors
/// `Findings` when it does not hold; `NotFound` for files and signers that are not there.
pub fn verify(ctx: &Context, component: &Path, trust: &Trust) -> Result<Verified, Fault> {
    let outside = &ctx.outside;
    let signer = match trust {
        Trust::Key(public_key) => {
            SignerConfig { name: "given".parse().expect("a valid name"), public_key: public_key.clone() }
        }
        Trust::Signer(name) => ctx.config.signers.get(name).cloned().ok_or_else(|| {
            Fault::not_found(format!("there is no signer `{name}`"), "`[signer.NAME]` in the configuration makes one")
        })?,
    };
    let bytes = read(outside, component)?;
    let manifest = outside.files.read(&component.with_extension("manifest"))?;
    let signature = read(outside, &component.with_extension("sig"))?;
    sign::verify(&signature, &bytes, manifest.as_deref(), &signer).map_err(|error| {
        let message = format!("`{}`: {error}", component.display());
        Fault::new(ExitCode::Findings, Advice::CallAPerson, message, "do not bind it before you know why")
    })?;
    let component = component.to_owned();
    Ok(Verified { component, signer: signer.name, sha256: sign::sha256_hex(&bytes) })
}

fn read(outside: &Outside, path: &Path) -> Result<Vec<u8>, Fault> {
    outside.files.read(path)?.ok_or_else(|| Fault::not_found(format!("there is no file `{}`", path.display()), ""))
}
