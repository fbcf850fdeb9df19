//! Which certificates of macOS's keychains are trusted roots for a TLS server (pure).

use std::collections::HashMap;

/// A trust setting of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The policy it is for; `None`: every one.
    pub policy: Option<String>,
    /// `kSecTrustSettingsResult`; `None` stands for a trusted root.
    pub result: Option<i64>,
    /// Whether it is for one host, one program, or one error only: it does not make the certificate a root for others.
    pub is_limited: bool,
}

/// The policy for TLS servers.
const SERVER: &str = "sslServer";
/// Results that say nothing: invalid, unspecified.
const SILENT: [i64; 2] = [0, 4];
/// Results that trust the certificate: as a root, and as if it were one.
const TRUSTED: [i64; 2] = [1, 2];

/// The trusted certificates of all domains. The user's settings come first, then the administrator's, then the system's: the first
/// domain that says something about a certificate decides about it.
pub fn trusted(found: impl Iterator<Item = (Vec<u8>, Vec<Setting>)>) -> Vec<Vec<u8>> {
    let mut decided: HashMap<Vec<u8>, bool> = HashMap::new();
    for (certificate, settings) in found {
        if let Some(is_trusted) = decision(&settings) {
            decided.entry(certificate).or_insert(is_trusted);
        }
    }
    decided.into_iter().filter_map(|(certificate, is_trusted)| is_trusted.then_some(certificate)).collect()
}

/// Whether a certificate is trusted by its settings in one domain; `None` where they say nothing about TLS servers. The first
/// setting for all TLS servers that says something decides. A certificate with an empty list is trusted for everything.
fn decision(settings: &[Setting]) -> Option<bool> {
    if settings.is_empty() {
        return Some(true);
    }
    let is_for_servers =
        |setting: &&Setting| !setting.is_limited && setting.policy.as_deref().is_none_or(|policy| policy == SERVER);
    let results = settings.iter().filter(is_for_servers).map(|setting| setting.result.unwrap_or(TRUSTED[0]));
    results.into_iter().find(|result| !SILENT.contains(result)).map(|result| TRUSTED.contains(&result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_is_trusted_for() {
        let setting = |policy: &str, result: Option<i64>| Setting {
            policy: (!policy.is_empty()).then(|| policy.to_owned()),
            result,
            is_limited: false,
        };
        let limited = Setting { is_limited: true, ..setting("sslServer", Some(1)) };
        const DENY: Option<i64> = Some(3);
        for (settings, expected) in [
            (vec![], Some(true)),
            (vec![setting("", None)], Some(true)),
            (vec![setting("", Some(1))], Some(true)),
            (vec![setting("sslServer", Some(2))], Some(true)),
            (vec![setting("", DENY)], Some(false)),
            (vec![setting("sslServer", DENY)], Some(false)),
            // For mail only.
            (vec![setting("SMIME", DENY)], None),
            (vec![setting("SMIME", Some(1))], None),
            (vec![setting("SMIME", Some(1)), setting("sslServer", DENY)], Some(false)),
            // For one host only.
            (vec![limited.clone()], None),
            (vec![limited, setting("", DENY)], Some(false)),
            // Unspecified: the next one decides.
            (vec![setting("", Some(4)), setting("", DENY)], Some(false)),
            (vec![setting("", Some(0)), setting("sslServer", Some(1)), setting("", DENY)], Some(true)),
            (vec![setting("", Some(4))], None),
            (vec![setting("", Some(99))], Some(false)),
        ] {
            assert_eq!(decision(&settings), expected, "{settings:?}");
        }
    }

    #[test]
    fn the_first_domain_decides() {
        let setting = |policy: Option<&str>, result| {
            vec![Setting { policy: policy.map(str::to_owned), result: Some(result), is_limited: false }]
        };
        let (deny, mail) = (|| setting(None, 3), || setting(Some("SMIME"), 1));
        let found = [
            (vec![1], deny()),
            (vec![2], vec![]),
            (vec![1], vec![]),
            (vec![2], deny()),
            (vec![3], mail()),
            (vec![3], vec![]),
            (vec![4], mail()),
        ];
        let mut trusted = trusted(found.into_iter());
        trusted.sort();
        assert_eq!(trusted, [[2], [3]]);
    }
}
