//! Why there was no answer from ACT.

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The host's name has no address.
    UnknownHost(String),
    /// It is not known whether the host's name has an address: no name server answers.
    NoNameServer(String),
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

impl Failure {
    /// The failure to look up the name `host`, by the words of the C library: the standard library does not pass on its code.
    pub fn of_look_up(error: &std::io::Error, host: &str) -> Self {
        // EAI_AGAIN, in the words of glibc and of musl. macOS has none of its own for a machine that is offline.
        let is_temporary = ["Temporary failure", "Try again"].iter().any(|words| error.to_string().contains(words));
        if is_temporary { Self::NoNameServer(host.to_owned()) } else { Self::UnknownHost(host.to_owned()) }
    }
}
