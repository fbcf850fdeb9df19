//! The certificates that are trusted: the system's, and what NODE_EXTRA_CA_CERTS, SSL_CERT_FILE and SSL_CERT_DIR add.

#[cfg(target_os = "macos")]
mod darwin;
#[cfg(any(test, target_os = "macos"))]
mod pem;
#[cfg(any(test, target_os = "macos"))]
mod trust;

use std::path::Path;

use ureq::tls::{Certificate, RootCerts};

use crate::claude::network::{EXTRA_CERTIFICATES, Network};

/// Loads the certificates. A file that can't be read is left out: a connection that needs its certificates fails with its own
/// message.
pub fn load(network: &Network) -> RootCerts {
    let mut found = platform::system();
    for path in [EXTRA_CERTIFICATES, "SSL_CERT_FILE"].into_iter().filter_map(|name| network.path(name)) {
        if is_sensible(&path) {
            found.extend(platform::in_file(&path));
        }
    }
    if let Some(directory) = network.path("SSL_CERT_DIR").filter(|path| path.is_dir()) {
        found.extend(platform::in_directory(&directory));
    }
    let certificates: Vec<Certificate<'static>> =
        found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}

/// Whether it is a regular file of a plausible size: a pipe or a device may never end, and no bundle is larger.
fn is_sensible(path: &Path) -> bool {
    const LARGEST: u64 = 16 * 1024 * 1024;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST)
}

#[cfg(not(target_os = "macos"))]
mod platform {
    use std::path::Path;

    use rustls::pki_types::CertificateDer;

    /// Where systems keep their root certificates. They are read by these names, because SSL_CERT_FILE would replace them in the
    /// library's search, and here it only adds.
    const SYSTEM_FILES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];

    pub fn system() -> Vec<CertificateDer<'static>> {
        match SYSTEM_FILES.iter().map(Path::new).find(|path| path.is_file()) {
            Some(path) => in_file(path),
            None => rustls_native_certs::load_native_certs().certs,
        }
    }

    pub fn in_file(path: &Path) -> Vec<CertificateDer<'static>> {
        rustls_native_certs::load_certs_from_paths(Some(path), None).certs
    }

    pub fn in_directory(path: &Path) -> Vec<CertificateDer<'static>> {
        rustls_native_certs::load_certs_from_paths(None, Some(path)).certs
    }
}

#[cfg(target_os = "macos")]
mod platform {
    pub use super::darwin::roots as system;
    pub use super::pem::{in_directory, in_file};
}
