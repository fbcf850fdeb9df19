//! Why TLS with a server failed, in words (pure).

use rustls::CertificateError::{
    BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    UnknownIssuer,
};

/// Why TLS failed, empty where that is not known. `None`: an authority is missing among those that are trusted.
pub fn cause(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => None,
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => Some("The certificate is out of date, or the clock of this machine is wrong"),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            Some("Another server answers under this name, or the URL is wrong")
        }
        rustls::Error::InvalidMessage(_) => Some("The server does not speak TLS at this port, or the URL is wrong"),
        _ => Some(""),
    }
}

/// What the certificate, or the answer, is.
pub fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => "the certificate's issuer is not known".to_owned(),
        rustls::Error::InvalidCertificate(BadSignature) => {
            "the certificate is not signed by the authority it names".to_owned()
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "the certificate has expired".to_owned(),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "the certificate is for another host".to_owned()
        }
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            "the certificate is not valid yet".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "the answer is no TLS".to_owned(),
        other => other.to_string(),
    }
}
