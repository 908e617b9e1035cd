//! Detached signatures: `NAME.sig` beside `NAME.wasm`.
//!
//! Ed25519 over four lines of text, so that another tool can make or check one; `agent/docs/policy-files.md` describes
//! the format. The signature covers the component and the manifest (or that there is none) by their SHA-256, and nothing
//! of the operator's: what a policy may do is never the author's to say.

use std::fmt::Write as _;

use backstop_model::policy::SignerConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// First line of a signature.
const MAGIC: &str = "backstop policy signature 1";

/// What a secret key begins with when written down.
const SECRET_PREFIX: &str = "backstop-policy-key-1:";

/// The most bytes of a signature's file that are read.
const SIGNATURE_MAX: usize = 4 << 10;

/// Why there is no signature, or why it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The text of a secret key is not one.
    #[error("this is not a signing key: it begins with `{SECRET_PREFIX}` and 44 letters of base64 follow")]
    BadSecretKey,
    /// The operator's public key is not one.
    #[error("the public key of signer `{0}` is not an Ed25519 key: 32 bytes in base64")]
    BadPublicKey(String),
    /// The file is not a signature.
    #[error("the signature cannot be read: {0}")]
    Malformed(&'static str),
    /// Made with another key.
    #[error("the signature was made with key `{found}`, not with that of signer `{signer}`")]
    OtherKey {
        /// Its public key in base64.
        found: String,
        /// The signer expected.
        signer: String,
    },
    /// Of another component or manifest.
    #[error("the signature is for another {0}: it changed since it was signed")]
    OtherContent(&'static str),
    /// It does not hold.
    #[error("the signature does not hold: it, or what it covers, was tampered with")]
    Invalid,
}

/// A pair of keys, as text.
#[derive(Clone)]
pub struct KeyPair {
    /// For [`sign`]; one line. Keep it offline.
    pub secret: String,
    /// For `[signer.NAME] public_key` in TOML.
    pub public: String,
}

/// Makes a pair of keys from 32 random bytes.
#[must_use]
pub fn keygen(seed: [u8; 32]) -> KeyPair {
    let key = SigningKey::from_bytes(&seed);
    KeyPair {
        secret: format!("{SECRET_PREFIX}{}", BASE64.encode(seed)),
        public: BASE64.encode(key.verifying_key().as_bytes()),
    }
}

/// The public key, in base64, that belongs to a secret one.
///
/// # Errors
/// The text is no secret key.
pub fn public_of(secret: &str) -> Result<String, SignError> {
    Ok(BASE64.encode(secret_key(secret)?.verifying_key().as_bytes()))
}

fn secret_key(secret: &str) -> Result<SigningKey, SignError> {
    let encoded = secret.trim().strip_prefix(SECRET_PREFIX).ok_or(SignError::BadSecretKey)?;
    let seed = BASE64.decode(encoded).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    Ok(SigningKey::from_bytes(&seed.ok_or(SignError::BadSecretKey)?))
}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The lines that are signed, each ended by a line feed.
fn signed_lines(key: &str, component: &str, manifest: &str) -> String {
    format!("{MAGIC}\nkey {key}\ncomponent {component}\nmanifest {manifest}\n")
}

fn manifest_digest(manifest: Option<&[u8]>) -> String {
    manifest.map_or_else(|| "none".to_owned(), sha256_hex)
}

/// Signs a component and its manifest; returns the text for `NAME.sig`.
///
/// # Errors
/// The text is no secret key.
pub fn sign(secret: &str, component: &[u8], manifest: Option<&[u8]>) -> Result<String, SignError> {
    let key = secret_key(secret)?;
    let public = BASE64.encode(key.verifying_key().as_bytes());
    let lines = signed_lines(&public, &sha256_hex(component), &manifest_digest(manifest));
    let signature = BASE64.encode(key.sign(lines.as_bytes()).to_bytes());
    Ok(format!("{lines}signature {signature}\n"))
}

/// Checks a signature against the key that the operator trusts.
///
/// # Errors
/// It does not hold, with the reason.
pub fn verify(
    signature: &[u8],
    component: &[u8],
    manifest: Option<&[u8]>,
    signer: &SignerConfig,
) -> Result<(), SignError> {
    let name = signer.name.to_string();
    let trusted = public_key(signer)?;
    let parts = Parts::parse(signature)?;
    if parts.key != BASE64.encode(trusted.as_bytes()) {
        return Err(SignError::OtherKey { found: parts.key, signer: name });
    }
    let lines = signed_lines(&parts.key, &parts.component, &parts.manifest);
    trusted.verify_strict(lines.as_bytes(), &parts.signature).map_err(|_| SignError::Invalid)?;
    if parts.component != sha256_hex(component) {
        return Err(SignError::OtherContent("component"));
    }
    if parts.manifest != manifest_digest(manifest) {
        return Err(SignError::OtherContent("manifest"));
    }
    Ok(())
}

fn public_key(signer: &SignerConfig) -> Result<VerifyingKey, SignError> {
    let bytes = BASE64.decode(signer.public_key.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()).filter(|key| !key.is_weak());
    key.ok_or_else(|| SignError::BadPublicKey(signer.name.to_string()))
}

/// The fields of a signature's file.
struct Parts {
    key: String,
    component: String,
    manifest: String,
    signature: Signature,
}

impl Parts {
    fn parse(bytes: &[u8]) -> Result<Self, SignError> {
        if bytes.len() > SIGNATURE_MAX {
            return Err(SignError::Malformed("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| SignError::Malformed("it is not text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return Err(SignError::Malformed("its first line is not `backstop policy signature 1`"));
        }
        let mut field = |name: &'static str, problem: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)).and_then(|rest| rest.strip_prefix(' '));
            value.map(str::to_owned).ok_or(SignError::Malformed(problem))
        };
        let key = field("key", "its second line is not `key BASE64`")?;
        let component = field("component", "its third line is not `component SHA256`")?;
        let manifest = field("manifest", "its fourth line is not `manifest SHA256` or `manifest none`")?;
        let signature = field("signature", "its fifth line is not `signature BASE64`")?;
        if key.len() > 64 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SignError::Malformed("its key is not base64"));
        }
        let signature = BASE64.decode(signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let signature = signature.ok_or(SignError::Malformed("the signature is not 64 bytes of base64"))?;
        if lines.next().is_some() {
            return Err(SignError::Malformed("something follows the signature"));
        }
        Ok(Self { key, component, manifest, signature: Signature::from_bytes(&signature) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(public_key: &str) -> SignerConfig {
        SignerConfig { name: "release".parse().expect("a name"), public_key: public_key.to_owned() }
    }

    /// A signature holds for exactly what was signed, by exactly that key.
    #[test]
    fn a_signature_holds_for_nothing_else() {
        let pair = keygen([7; 32]);
        let text = sign(&pair.secret, b"component", Some(b"manifest")).expect("signed");
        let trusted = signer(&pair.public);
        let check = |text: &str, component: &[u8], manifest: Option<&[u8]>| {
            verify(text.as_bytes(), component, manifest, &trusted)
        };
        assert_eq!(check(&text, b"component", Some(b"manifest")), Ok(()));
        assert_eq!(check(&text, b"komponent", Some(b"manifest")), Err(SignError::OtherContent("component")));
        assert_eq!(check(&text, b"component", Some(b"manifesto")), Err(SignError::OtherContent("manifest")));
        assert_eq!(check(&text, b"component", None), Err(SignError::OtherContent("manifest")));
        let other = keygen([8; 32]);
        let foreign = sign(&other.secret, b"component", Some(b"manifest")).expect("signed");
        assert!(matches!(check(&foreign, b"component", Some(b"manifest")), Err(SignError::OtherKey { .. })));
        let forged = foreign.replace(&other.public, &pair.public);
        assert_eq!(check(&forged, b"component", Some(b"manifest")), Err(SignError::Invalid));
    }

    /// Whatever single bit of the file is turned, it is refused.
    #[test]
    fn no_bit_of_a_signature_can_be_turned() {
        let pair = keygen([9; 32]);
        let text = sign(&pair.secret, b"component", None).expect("signed").into_bytes();
        for at in 0..text.len() - 1 {
            for bit in 0..8 {
                let mut turned = text.clone();
                turned[at] ^= 1 << bit;
                assert!(verify(&turned, b"component", None, &signer(&pair.public)).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn the_text_of_a_signature_is_as_documented() {
        let pair = keygen([1; 32]);
        let text = sign(&pair.secret, b"", None).expect("signed");
        let expected = "backstop policy signature 1\n\
            key iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n\
            component e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
            manifest none\n\
            signature ";
        assert!(text.starts_with(expected), "{text}");
    }
}
