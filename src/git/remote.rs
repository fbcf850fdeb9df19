//! Which remote a repository is a clone of (pure).

use std::collections::HashMap;

use super::entries::Entry;

/// The remote that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `origin`, or the only one: its URL as git uses it, after `url.….insteadOf`.
    Url(Vec<u8>),
    /// There are several, and none is named `origin`.
    Several(Vec<String>),
    /// There is none.
    None,
}

impl Remote {
    /// The remote that these variables configure.
    pub fn of(variables: &[Entry]) -> Self {
        // Any variable makes a remote, also one without a URL.
        let mut remotes: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for entry in of_remotes(variables) {
            let index = *places.entry(&entry.subsection).or_insert_with_key(|name| {
                remotes.push((name, Vec::new()));
                remotes.len() - 1
            });
            match entry.value.as_deref().filter(|_| entry.key == "url") {
                None => {}
                // An empty URL removes the ones before it.
                Some([]) => remotes[index].1.clear(),
                Some(url) => remotes[index].1.push(url),
            }
        }
        let origin = remotes.iter().find(|(name, _)| *name == b"origin");
        match (origin, &remotes[..]) {
            (Some((_, urls)), _) | (None, [(_, urls)]) => {
                urls.first().map_or(Self::None, |url| Self::Url(rewritten(url, variables)))
            }
            (None, []) => Self::None,
            (None, several) => {
                Self::Several(several.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect())
            }
        }
    }
}

/// The variables of remotes, in order.
fn of_remotes(variables: &[Entry]) -> impl Iterator<Item = &Entry> {
    let of_remotes = variables.iter().filter(|entry| entry.section == "remote");
    of_remotes.filter(|entry| !entry.subsection.is_empty() && !entry.subsection.starts_with(b"/"))
}

/// The URLs of all remotes, as they are written.
pub(super) fn all_urls(variables: &[Entry]) -> impl Iterator<Item = &[u8]> {
    of_remotes(variables).filter(|entry| entry.key == "url").filter_map(|entry| entry.value.as_deref())
}

/// The URL after the longest `insteadOf` that it starts with; of two equal ones, the first base that is configured wins.
fn rewritten(url: &[u8], variables: &[Entry]) -> Vec<u8> {
    let rules = variables.iter().filter(|entry| entry.section == "url" && entry.key == "insteadof");
    let mut bases: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for rule in rules {
        let Some(prefix) = rule.value.as_deref() else { continue };
        let index = *places.entry(&rule.subsection).or_insert_with_key(|base| {
            bases.push((base, Vec::new()));
            bases.len() - 1
        });
        bases[index].1.push(prefix);
    }
    let mut longest: Option<(&[u8], &[u8])> = None;
    for (base, prefixes) in &bases {
        for prefix in prefixes.iter().filter(|prefix| url.starts_with(prefix)) {
            if longest.is_none_or(|(_, other)| other.len() < prefix.len()) {
                longest = Some((base, prefix));
            }
        }
    }
    match longest {
        Some((base, prefix)) => [base, &url[prefix.len()..]].concat(),
        None => url.to_vec(),
    }
}
