//! Whose certificates are believed.

use std::sync::Arc;

use backstop_seams::WebFailure;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::failure::unreachable;

/// Certificates of authorities that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificates {
    /// Nothing in it is a certificate.
    #[error("there is no PEM certificate in it")]
    None,
    /// One of them is damaged, or no X.509 certificate.
    #[error("certificate {number} cannot be read: {why}")]
    Unreadable {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
}

/// The machine's authorities and our own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    ours: Vec<CertificateDer<'static>>,
}

impl Trust {
    pub(crate) fn with(mut self, pem: &[u8]) -> Result<Self, BadCertificates> {
        let before = self.ours.len();
        for (at, parsed) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let unreadable = |why: String| BadCertificates::Unreadable { number: at + 1, why };
            let certificate = parsed.map_err(|error| unreadable(error.to_string()))?;
            RootCertStore::empty().add(certificate.clone()).map_err(|error| unreadable(error.to_string()))?;
            self.ours.push(certificate);
        }
        if self.ours.len() == before { Err(BadCertificates::None) } else { Ok(self) }
    }

    /// TLS 1.2 and 1.3 with everybody trusted now.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, WebFailure> {
        let mut roots = RootCertStore::empty();
        // A machine's store holds odd ones; who is signed by none of the others is not believed anyway.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.ours.iter().cloned());
        if roots.is_empty() {
            return Err(unreachable(
                "this machine trusts no authority, so nobody can prove who they are; `ca-certificates` is missing",
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
