//! The attributes that say what an export was sent from: read when the export arrives, because a branch changes during a session.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config;
use crate::config::attribution::{Attribution, Stamp};
use crate::git;
use crate::git::address::Address;
use crate::git::checkout::{self, Checkout};
use crate::git::head::Head;
use crate::git::remote::Remote;
use crate::system::environment::Environment;
use crate::text::printable;

/// The longest value, in bytes: a longer one is left out, because a part of it would be something else.
const LONGEST: usize = 256;

/// An export that gets attributes.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// As claude wrote it; empty where there is none yet.
    pub body: &'a [u8],
    /// The attributes that it gets anyway: the alias's.
    pub own: &'a [(String, String)],
    /// Keys that are never sent.
    pub redact: &'a [String],
}

/// The attributes that an export of a session in `directory` gets in addition, as things are now.
pub fn added(
    stamp: &Stamp,
    directory: Option<&Path>,
    environment: &Environment,
    export: Export<'_>,
) -> Vec<(String, String)> {
    without_others(attributes(stamp, directory, environment), export.body, export.own, export.redact)
}

/// The attributes of a session in `directory` as things are now, in the order of `stamp`. What is not known is left out.
fn attributes(stamp: &Stamp, directory: Option<&Path>, environment: &Environment) -> Vec<(String, String)> {
    let is_wanted = |one: Attribution| stamp.attributes.contains(&one);
    let needs_git = [Attribution::Repository, Attribution::Branch, Attribution::Ticket].into_iter().any(is_wanted);
    let checkout = directory.filter(|_| needs_git).and_then(|directory| nearest(directory, environment));
    let head = checkout.as_ref().map(Head::of).unwrap_or_default();
    let mut found: Vec<(&str, String)> = Vec::new();
    for attribution in &stamp.attributes {
        match attribution {
            Attribution::Repository => {
                let host = |name: &str| stamp.hosts.get(name).cloned();
                let address = checkout.as_ref().and_then(|checkout| remote(checkout, host, environment));
                found.extend(address.iter().flat_map(of_repository));
            }
            Attribution::Branch => {
                found.extend(head.branch.clone().map(|branch| ("vcs.ref.head.name", branch)));
                found.extend(head.revision.clone().map(|revision| ("vcs.ref.head.revision", revision)));
            }
            Attribution::Ticket => {
                found.extend(
                    head.branch.as_deref().and_then(|branch| Some(("ticket.id", ticket(branch, &stamp.ticket)?))),
                );
            }
            Attribution::User => found.push(("user.name", user())),
            Attribution::Person => found.extend(stamp.person.clone().map(|person| ("enduser.id", person))),
            Attribution::Host => found.extend(host().map(|host| ("host.name", host))),
            Attribution::Client => {
                found.push(("act_claude.version", env!("CARGO_PKG_VERSION").to_owned()));
                found.push(("act_claude.configuration", configuration(environment)));
            }
        }
    }
    found.into_iter().filter_map(|(key, value)| Some((key.to_owned(), fit(&value)?))).collect()
}

/// Takes out the attributes that must not be added: those that `body` has itself, whose keys the alias has, or that are never
/// sent.
fn without_others(
    mut attributes: Vec<(String, String)>,
    body: &[u8],
    own: &[(String, String)],
    redact: &[String],
) -> Vec<(String, String)> {
    attributes.retain(|(key, _)| {
        // Claude writes such attributes at each data point, and a key as it is.
        let is_sent = memchr::memmem::find(body, format!("\"{key}\"").as_bytes()).is_some();
        !is_sent && !redact.contains(key) && !own.iter().any(|(own, _)| own == key)
    });
    attributes
}

/// A value without characters that can't be seen; `None` where it is empty or too long.
fn fit(value: &str) -> Option<String> {
    let value: String = value.chars().filter(|&c| !printable::steers(c)).collect();
    let value = value.trim();
    (!value.is_empty() && value.len() <= LONGEST).then(|| value.to_owned())
}

/// The repository that a directory is in, where its files count. A directory that was removed is in none: the system then gives
/// its path another ending, and the directories above are not its own.
fn nearest(directory: &Path, environment: &Environment) -> Option<Checkout> {
    std::fs::metadata(directory).ok()?;
    checkout::above(checkout::levels(directory), environment).into_iter().next()?.1.ok()
}

fn remote(checkout: &Checkout, host: impl Fn(&str) -> Option<String>, environment: &Environment) -> Option<Address> {
    let Ok(Remote::Url(url)) = git::remote(checkout, environment) else { return None };
    Address::of(&url, &checkout.top, host).ok()
}

/// The repository of a directory as host/path. `host` is the host that has another name for `ssh`.
pub fn repository(
    directory: &Path,
    host: impl Fn(&str) -> Option<String>,
    environment: &Environment,
) -> Option<String> {
    fit(&remote(&nearest(directory, environment)?, host, environment)?.key())
}

/// The attributes of a repository, as claude itself forms them. The directory of a remote on this machine is not sent.
fn of_repository(address: &Address) -> Vec<(&'static str, String)> {
    let Some((name, owner)) = address.path.split_last() else { return Vec::new() };
    let mut found = vec![("vcs.repository.name", name.clone())];
    if address.is_local() {
        return found;
    }
    found.push(("vcs.repository.url.full", address.url()));
    if !owner.is_empty() {
        found.push(("vcs.owner.name", owner.join("/")));
    }
    let provider = match address.host.as_str() {
        "github.com" => Some("github"),
        "gitlab.com" => Some("gitlab"),
        "bitbucket.org" => Some("bitbucket"),
        "gitea.com" => Some("gitea"),
        _ => None,
    };
    found.extend(provider.map(|provider| ("vcs.provider.name", provider.to_owned())));
    found
}

/// The first part of a branch's name that matches the pattern: its first group, where it has one.
fn ticket(branch: &str, pattern: &str) -> Option<String> {
    let pattern = config::attribution::ticket(pattern).ok()?;
    let found = pattern.captures(branch.as_bytes())?;
    let part = found.get(1).or_else(|| found.get(0))?;
    std::str::from_utf8(part.as_bytes()).ok().map(str::to_owned)
}

/// The name of the user, or the number of one that the system does not know.
fn user() -> String {
    let user = nix::unistd::geteuid();
    nix::unistd::User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

fn host() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

/// The first digits of a digest of the configuration's files: the same on all machines with the same files.
fn configuration(environment: &Environment) -> String {
    let mut digest = Sha256::new();
    for path in config::user_file(environment).into_iter().chain([config::SYSTEM_FILE.into()]) {
        let content = config::content(&path).unwrap_or_default();
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(content);
    }
    digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_described_as_claude_does() {
        for (url, expected) in [
            (
                "https://you:ghp_secret@github.com/Acme/Billing.git",
                "name=Billing url.full=https://github.com/Acme/Billing owner=Acme provider=github",
            ),
            ("git@gitlab.acme.com:a/b/c.git", "name=c url.full=https://gitlab.acme.com/a/b/c owner=a/b"),
            (
                "git@ssh.dev.azure.com:v3/org/My%20Project/repo",
                "name=repo url.full=https://dev.azure.com/org/My%20Project/_git/repo owner=org/My Project",
            ),
            ("/home/you/private/x.git", "name=x"),
        ] {
            let address = Address::of(url.as_bytes(), Path::new("/"), |_| None).unwrap();
            let shown = of_repository(&address).into_iter().map(|(key, value)| {
                let key = key.trim_start_matches("vcs.").trim_start_matches("repository.").trim_end_matches(".name");
                format!("{}={value}", if key == "name" { "name" } else { key })
            });
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{url}");
        }
    }

    #[test]
    fn a_removed_directory_is_in_no_repository() {
        let root = tempfile::tempdir().unwrap();
        let git = root.path().join(".git");
        for directory in ["objects", "refs"] {
            std::fs::create_dir_all(git.join(directory)).unwrap();
        }
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        let environment = Environment::default();
        assert!(nearest(root.path(), &environment).is_some());
        assert_eq!(nearest(&root.path().join("gone (deleted)"), &environment), None);
    }

    #[test]
    fn tickets() {
        for (branch, pattern, expected) in [
            ("feature/BILL-12-x", config::attribution::TICKET, Some("BILL-12")),
            ("main", config::attribution::TICKET, None),
            ("bill-12", r"(?i)\bbill-\d+", Some("bill-12")),
            ("you/1234-fix", "^[a-z]+/([0-9]+)", Some("1234")),
        ] {
            assert_eq!(ticket(branch, pattern).as_deref(), expected, "{branch}");
        }
    }

    #[test]
    fn values_are_fit_for_an_attribute() {
        assert_eq!(fit("a\u{1b}[31mb\u{202e}\u{200b}\n").as_deref(), Some("a[31mb"));
        assert_eq!(fit(&"x".repeat(256)).map(|value| value.len()), Some(256));
        assert_eq!((fit(&"x".repeat(257)), fit(" \u{7}")), (None, None));
    }

    #[test]
    fn nothing_is_replaced_and_nothing_redacted_is_added() {
        let pair = |key: &str| (key.to_owned(), "v".to_owned());
        let all = vec![pair("vcs.owner.name"), pair("host.name"), pair("user.name"), pair("ticket.id")];
        let body = br#"{"attributes":[{"key":"vcs.owner.name","value":{"stringValue":"x"}}]}"#;
        let left = without_others(all, body, &[pair("host.name")], &["user.name".to_owned()]);
        assert_eq!(left, [pair("ticket.id")]);
    }
}
