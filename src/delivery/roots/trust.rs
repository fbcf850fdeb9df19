//! Which certificates of macOS's keychains are trusted roots for a TLS server (pure).

use std::collections::HashMap;

/// A trust setting of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The policy it is for; `None`: every one.
    pub policy: Option<String>,
    /// `kSecTrustSettingsResult`; `None` stands for a trusted root.
    pub result: Option<i64>,
}

/// The policy for TLS servers.
const SERVER: &str = "sslServer";
/// Results that say nothing: invalid, unspecified.
const SILENT: [i64; 2] = [0, 4];
/// Results that trust the certificate: as a root, and as if it were one.
const TRUSTED: [i64; 2] = [1, 2];

/// The trusted certificates of all domains. The user's settings come first, then the administrator's, then the system's: the first
/// domain that has a certificate decides about it.
pub fn trusted(found: impl Iterator<Item = (Vec<u8>, Vec<Setting>)>) -> Vec<Vec<u8>> {
    let mut decided: HashMap<Vec<u8>, bool> = HashMap::new();
    for (certificate, settings) in found {
        decided.entry(certificate).or_insert_with(|| is_trusted(&settings));
    }
    decided.into_iter().filter_map(|(certificate, is_trusted)| is_trusted.then_some(certificate)).collect()
}

/// The first setting for TLS servers that says something decides. A certificate without any is trusted: it is in the list of
/// trusted ones.
fn is_trusted(settings: &[Setting]) -> bool {
    let is_for_servers = |setting: &&Setting| setting.policy.as_deref().is_none_or(|policy| policy == SERVER);
    let results = settings.iter().filter(is_for_servers).map(|setting| setting.result.unwrap_or(TRUSTED[0]));
    results.into_iter().find(|result| !SILENT.contains(result)).is_none_or(|result| TRUSTED.contains(&result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_is_trusted_for() {
        let setting = |policy: &str, result: Option<i64>| Setting {
            policy: (!policy.is_empty()).then(|| policy.to_owned()),
            result,
        };
        const DENY: Option<i64> = Some(3);
        for (settings, expected) in [
            (vec![], true),
            (vec![setting("", None)], true),
            (vec![setting("", Some(1))], true),
            (vec![setting("sslServer", Some(2))], true),
            (vec![setting("", DENY)], false),
            (vec![setting("sslServer", DENY)], false),
            // Denied for mail only.
            (vec![setting("SMIME", DENY)], true),
            (vec![setting("SMIME", Some(1)), setting("sslServer", DENY)], false),
            // Unspecified: the next one decides.
            (vec![setting("", Some(4)), setting("", DENY)], false),
            (vec![setting("", Some(0)), setting("sslServer", Some(1)), setting("", DENY)], true),
            (vec![setting("", Some(4))], true),
            (vec![setting("", Some(99))], false),
        ] {
            assert_eq!(is_trusted(&settings), expected, "{settings:?}");
        }
    }

    #[test]
    fn the_first_domain_decides() {
        let deny = || vec![Setting { policy: None, result: Some(3) }];
        let found = [(vec![1], deny()), (vec![2], vec![]), (vec![1], vec![]), (vec![2], deny()), (vec![3], vec![])];
        let mut trusted = trusted(found.into_iter());
        trusted.sort();
        assert_eq!(trusted, [[2], [3]]);
    }
}
