//! The certificates that are trusted: the system's, and what NODE_EXTRA_CA_CERTS, SSL_CERT_FILE and SSL_CERT_DIR add.

#[cfg(target_os = "macos")]
mod darwin;
#[cfg(any(test, target_os = "macos"))]
mod pem;
#[cfg(any(test, target_os = "macos"))]
mod trust;

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, RootCerts};

use crate::claude::network::{EXTRA_CERTIFICATES, Network};
use crate::system::error::plain;

/// A file or directory of certificates that a variable names, but that gives none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The variable, or the settings key.
    pub place: String,
    /// The file or directory.
    pub path: PathBuf,
    /// Why it gives none, as the rest of a sentence about it.
    pub why: String,
}

impl Unused {
    /// What is wrong: "NODE_EXTRA_CA_CERTS names /ca.pem, which does not exist".
    pub fn said(&self) -> String {
        format!("{} names {}, which {}", self.place, self.path.display(), self.why)
    }

    /// What the user can do.
    pub fn fix(&self) -> String {
        format!("put the company's certificate into {}, or correct {}", self.path.display(), self.place)
    }
}

/// Loads the certificates. A file that can't be read is left out and named: the first of them is the likely reason why a
/// connection is not trusted.
pub fn load(network: &Network) -> (RootCerts, Option<Unused>) {
    let mut found = platform::system();
    let mut unused = Vec::new();
    for (name, path) in named(network) {
        let more = match usable(name, &path) {
            Ok(()) if name == DIRECTORY => platform::in_directory(&path),
            Ok(()) => platform::in_file(&path),
            Err(_) => Vec::new(),
        };
        if more.is_empty() {
            let why = usable(name, &path).err().unwrap_or_else(|| "contains no certificate".to_owned());
            unused.push(Unused { place: network.place(name), path, why });
        }
        found.extend(more);
    }
    let certificates: Vec<Certificate<'static>> =
        found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    (RootCerts::new_with_certs(&certificates), unused.into_iter().next())
}

/// What the variables name but does not exist or can't be read, without reading any certificate.
pub fn unusable(network: &Network) -> Vec<Unused> {
    let look = |(name, path): (&'static str, PathBuf)| {
        let why = usable(name, &path).err()?;
        Some(Unused { place: network.place(name), path, why })
    };
    named(network).into_iter().filter_map(look).collect()
}

/// The variable that names a directory; the others name a file.
const DIRECTORY: &str = "SSL_CERT_DIR";

fn named(network: &Network) -> Vec<(&'static str, PathBuf)> {
    let names = [EXTRA_CERTIFICATES, "SSL_CERT_FILE", DIRECTORY];
    names.into_iter().filter_map(|name| Some((name, network.path(name)?))).collect()
}

/// Whether it can be read; otherwise why not. A pipe or a device may never end, and no bundle is larger than the limit.
fn usable(name: &str, path: &Path) -> Result<(), String> {
    const LARGEST: u64 = 16 * 1024 * 1024;
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("can't be read ({})", plain(&error)),
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    match name == DIRECTORY {
        true if !metadata.is_dir() => Err("is not a directory".to_owned()),
        true => std::fs::read_dir(path).map(drop).map_err(unreadable),
        false if !metadata.is_file() => Err("is not a regular file".to_owned()),
        false if metadata.len() > LARGEST => Err("is larger than 16 MiB".to_owned()),
        false => std::fs::File::open(path).map(drop).map_err(unreadable),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_gives_no_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let shown = file.display().to_string();
        let missing = directory.path().join("missing").display().to_string();
        std::fs::write(&file, "no certificate").unwrap();
        for (name, value, why, is_seen_at_once) in [
            ("NODE_EXTRA_CA_CERTS", missing.as_str(), "does not exist", true),
            ("SSL_CERT_FILE", missing.as_str(), "does not exist", true),
            ("SSL_CERT_DIR", missing.as_str(), "does not exist", true),
            ("SSL_CERT_DIR", shown.as_str(), "is not a directory", true),
            ("SSL_CERT_FILE", "/dev/null", "is not a regular file", true),
            ("SSL_CERT_FILE", shown.as_str(), "contains no certificate", false),
        ] {
            let network: Network = [(name, value)].into_iter().collect();
            let (_, unused) = load(&network);
            let unused = unused.unwrap();
            assert_eq!(unused.said(), format!("{name} names {value}, which {why}"));
            assert_eq!(unused.fix(), format!("put the company's certificate into {value}, or correct {name}"));
            assert_eq!(!unusable(&network).is_empty(), is_seen_at_once, "{name} {value}");
        }
        assert_eq!(load(&Network::default()).1, None);
    }
}
