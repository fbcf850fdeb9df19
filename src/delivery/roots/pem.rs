//! Certificates in files and directories, where the library for the system's roots is not used.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certificates in a file; none where it can't be read. What is no certificate is left out.
pub fn in_file(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).into_iter().flatten().flatten().collect()
}

/// The certificates in a directory, in the files that OpenSSL reads: named by a hash.
pub fn in_directory(path: &Path) -> Vec<CertificateDer<'static>> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_hash));
    named.filter(|entry| super::is_sensible(&entry.path())).flat_map(|entry| in_file(&entry.path())).collect()
}

/// `1a2b3c4d.0`
fn is_hash(name: &str) -> bool {
    let digits = |text: &str, digit: fn(&char) -> bool| !text.is_empty() && text.chars().all(|c| digit(&c));
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8 && digits(hash, char::is_ascii_hexdigit) && digits(number, char::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_as_the_library_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let certificate = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem();
        let both = format!("text\n{}{}", certificate("one"), certificate("two"));
        std::fs::write(path("0123abcd.0"), &both).unwrap();
        std::fs::write(path("0123abcd.1"), certificate("three")).unwrap();
        for name in ["ca.pem", "0123abcd.r0", "0123abcde.0", "0123abcg.0", "0123abcd"] {
            std::fs::write(path(name), certificate(name)).unwrap();
        }
        std::fs::write(path("none"), "no certificate").unwrap();
        let library = |file: Option<&Path>, directory: Option<&Path>| {
            rustls_native_certs::load_certs_from_paths(file, directory).certs
        };
        for name in ["0123abcd.0", "0123abcd.1", "ca.pem", "none", "missing"] {
            assert_eq!(in_file(&path(name)), library(Some(&path(name)), None), "{name}");
        }
        assert_eq!(in_file(&path("0123abcd.0")).len(), 2);
        let sorted = |mut certificates: Vec<CertificateDer<'static>>| {
            certificates.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
            certificates
        };
        let found = sorted(in_directory(directory.path()));
        assert_eq!((found.len(), &found), (3, &sorted(library(None, Some(directory.path())))));
    }
}
