//! Certificates in files and directories, where the library for the system's roots is not used.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certificates in a file; none where it can't be read. What is no certificate is left out.
pub fn in_file(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).into_iter().flatten().flatten().collect()
}

/// The certificates in a directory's files.
pub fn in_directory(path: &Path) -> Vec<CertificateDer<'static>> {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| super::usable("", file).is_ok()).flat_map(|file| in_file(&file)).collect()
}

#[cfg(all(test, not(target_os = "macos")))]
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
        std::fs::write(path("ca.pem"), certificate("four")).unwrap();
        std::fs::write(path("none"), "no certificate").unwrap();
        let sorted = |mut certificates: Vec<CertificateDer<'static>>| {
            certificates.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
            certificates
        };
        let library = |file: Option<&Path>, directory: Option<&Path>| {
            rustls_native_certs::load_certs_from_paths(file, directory).certs
        };
        for name in ["0123abcd.0", "0123abcd.1", "ca.pem", "none", "missing"] {
            assert_eq!(sorted(in_file(&path(name))), sorted(library(Some(&path(name)), None)), "{name}");
        }
        assert_eq!(in_file(&path("0123abcd.0")).len(), 2);
        let found = sorted(in_directory(directory.path()));
        assert_eq!((found.len(), &found), (4, &sorted(library(None, Some(directory.path())))));
    }
}
