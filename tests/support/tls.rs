//! A certificate authority for a test, and TLS servers with its certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::http::{Stream, Wrap};

/// The authority with one server certificate for 127.0.0.1 and localhost.
pub struct Authority {
    /// The authority's certificate, PEM.
    pub pem: String,
    server: Arc<rustls::ServerConfig>,
}

impl Authority {
    pub fn new() -> Self {
        Self::for_names(&["localhost", "127.0.0.1"])
    }

    /// The server's certificate holds these names.
    pub fn for_names(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        // Not the default name that rcgen gives to every certificate: OpenSSL would treat the server's certificate as
        // self-signed.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "An authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let certificate =
            CertificateParams::new(names).expect("names").signed_by(&server_key, &issuer).expect("signed");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key"),
            )
            .expect("a server");
        Self { pem, server: Arc::new(server) }
    }

    /// Writes the authority's certificate.
    pub fn write_to(&self, path: &Path) -> PathBuf {
        std::fs::write(path, &self.pem).expect("a file");
        path.to_path_buf()
    }

    /// A function that serves TLS.
    pub fn wrap(&self) -> Wrap {
        let config = self.server.clone();
        Arc::new(move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(rustls::StreamOwned::new(connection, stream)) as Box<dyn Stream>)
        })
    }
}
