//! The certificates that are trusted: the system's, and what NODE_EXTRA_CA_CERTS and SSL_CERT_FILE add.

use std::path::{Path, PathBuf};

use rustls_native_certs::CertificateResult;
use ureq::tls::{Certificate, RootCerts};

use crate::system::environment::Environment;

/// Where systems keep their roots, for when SSL_CERT_FILE hides them: it adds here, it does not replace.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Loads them. What can't be read is left out: a connection that needs it says so by itself.
pub fn load(environment: &Environment) -> RootCerts {
    let mut found = CertificateResult::default();
    let mut add = |result: CertificateResult| found.certs.extend(result.certs);
    match SYSTEM_FILES.iter().find(|path| Path::new(path).is_file()) {
        Some(path) if !cfg!(target_os = "macos") => {
            add(rustls_native_certs::load_certs_from_paths(Some(Path::new(path)), None));
        }
        _ => add(rustls_native_certs::load_native_certs()),
    }
    for name in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        if let Some(path) = environment.get(name).filter(|path| !path.is_empty()).map(PathBuf::from) {
            add(rustls_native_certs::load_certs_from_paths(Some(&path), None));
        }
    }
    let certificates: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}
