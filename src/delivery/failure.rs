//! Why there was no answer from ACT.

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The host's name has no address.
    UnknownHost(String),
    /// The host refused the connection.
    Refused,
    /// No answer in time.
    TimedOut,
    /// There is no route to the host.
    NoRoute,
    /// The connection broke.
    Broken(String),
    /// The server's certificate is not trusted.
    Tls(String),
    /// TLS failed for another reason than who is trusted.
    Handshake {
        /// What happened.
        what: String,
        /// Why, where that is known.
        cause: &'static str,
    },
    /// The server's certificate is not trusted, and a file of certificates that is named can't be used.
    Roots {
        /// What is wrong with the certificate.
        what: String,
        /// What is wrong with the file.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// The proxy did not connect.
    Proxy {
        /// The variable that names it, or the settings key.
        place: String,
        /// What it did.
        what: String,
    },
    /// The proxy asks for credentials (407).
    ProxyAuthentication {
        /// How to set them.
        fix: String,
    },
    /// The setting names a proxy that neither claude nor act-claude can use.
    ProxySetting {
        /// The variable that names it, or the settings key.
        place: String,
        /// Why it can't be used.
        why: String,
        /// What to do.
        fix: String,
    },
}
