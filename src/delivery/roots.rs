//! The certificates that are trusted: the system's, and what NODE_EXTRA_CA_CERTS, SSL_CERT_FILE and SSL_CERT_DIR add.

use std::path::Path;

use rustls_native_certs::CertificateResult;
use ureq::tls::{Certificate, RootCerts};

use crate::claude::network::{EXTRA_CERTIFICATES, Network};

/// Where systems keep their root certificates. They are read by these names, because SSL_CERT_FILE would replace them in the
/// library's search, and here it only adds.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Loads the certificates. A file that can't be read is left out: a connection that needs its certificates fails with its own
/// message.
pub fn load(network: &Network) -> RootCerts {
    let mut found = CertificateResult::default();
    let mut add = |result: CertificateResult| found.certs.extend(result.certs);
    match SYSTEM_FILES.iter().find(|path| Path::new(path).is_file()) {
        Some(path) if !cfg!(target_os = "macos") => {
            add(rustls_native_certs::load_certs_from_paths(Some(Path::new(path)), None));
        }
        _ => add(rustls_native_certs::load_native_certs()),
    }
    for path in [EXTRA_CERTIFICATES, "SSL_CERT_FILE"].into_iter().filter_map(|name| network.path(name)) {
        if is_sensible(&path) {
            add(rustls_native_certs::load_certs_from_paths(Some(&path), None));
        }
    }
    if let Some(directory) = network.path("SSL_CERT_DIR").filter(|path| path.is_dir()) {
        add(rustls_native_certs::load_certs_from_paths(None, Some(&directory)));
    }
    let certificates: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}

/// Whether it is a regular file of a plausible size: a pipe or a device may never end, and no bundle is larger.
fn is_sensible(path: &Path) -> bool {
    const LARGEST: u64 = 16 * 1024 * 1024;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST)
}
