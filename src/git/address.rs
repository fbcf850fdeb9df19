//! The address of a remote, the same for every way to write it (pure).
//!
//! `https://you@github.com:443/acme/billing.git/`, `git@github.com:acme/billing` and `ssh://git@github.com/acme/billing.git` are
//! all `github.com/acme/billing`. Forms: git-clone(1), "GIT URLS".

use std::fmt;
use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::text::printable;

/// Host and path. A remote on this machine has no host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `github.com`, in lower case; empty for a path on this machine.
    pub host: String,
    /// `acme`, `billing`, as written.
    pub path: Vec<String>,
}

/// Why a remote's URL is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAddress {
    /// It is longer than 2 KiB, or has characters that can't be seen: a hostile one.
    Unfit,
    /// It is not clear which part is the host, so a password may be taken for a part of the path.
    Unclear,
    /// It names a program that fetches, such as `ext::…`.
    Helper,
    /// It has no path, or no host.
    Incomplete,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unfit => "its URL has characters that can't be seen, or is too long",
            Self::Unclear => "it is not clear which part of its URL is the host, so a password may be in another one",
            Self::Helper => "its URL names a remote helper, not a host",
            Self::Incomplete => "its URL has no host and path",
        })
    }
}

/// The host of Azure DevOps.
const AZURE: &str = "dev.azure.com";

/// The longest URL, in bytes.
const LONGEST: usize = 2048;

/// Hosts that are the same as another one, as their operators document for ssh over port 443.
const SAME: [(&str, &str); 3] =
    [("ssh.github.com", "github.com"), ("altssh.gitlab.com", "gitlab.com"), ("altssh.bitbucket.org", "bitbucket.org")];

impl Address {
    /// The address of `url`. A path that is relative starts at `directory`. `hosts` replaces names of hosts: `ssh` has short names
    /// for them in its configuration.
    ///
    /// # Errors
    ///
    /// The URL has no address.
    pub fn of(url: &[u8], directory: &Path, hosts: impl Fn(&str) -> Option<String>) -> Result<Self, NoAddress> {
        let url = std::str::from_utf8(url).map_err(|_| NoAddress::Unfit)?;
        if url.len() > LONGEST || url.chars().any(printable::steers) {
            return Err(NoAddress::Unfit);
        }
        let (host, path, has_user) = match split(url)? {
            Form::Remote { host, path, has_user } => (host.to_lowercase(), path.to_owned(), has_user),
            Form::Local(path) => {
                let path = directory.join(path).to_str().ok_or(NoAddress::Unfit)?.to_owned();
                (String::new(), path, true)
            }
        };
        let host = host.trim_end_matches('.').to_owned();
        let host = hosts(&host).map(|host| host.to_lowercase()).unwrap_or(host);
        let is_local = host.is_empty();
        let mut segments: Vec<String> = Vec::new();
        for segment in path.split('/') {
            // A path on this machine is a file's name, in which % has no meaning.
            let segment = if is_local { segment.into() } else { percent_decode_str(segment).decode_utf8_lossy() };
            if segment == ".." {
                segments.pop();
            } else if segment.contains(|c: char| printable::steers(c) || c == '/') {
                return Err(NoAddress::Unfit);
            } else if !has_user && segment.contains('@') {
                return Err(NoAddress::Unclear);
            } else if !segment.is_empty() && segment != "." {
                segments.push(segment.into_owned());
            }
        }
        Self { host, path: segments }.canonical().ok_or(NoAddress::Incomplete)
    }

    /// Without what only some ways of writing have: the ending `.git`, Azure DevOps' `_git` and `v3`, hosts for ssh over port 443.
    /// `None` where no path is left.
    pub fn canonical(mut self) -> Option<Self> {
        if let Some((_, host)) = SAME.iter().find(|(other, _)| *other == self.host) {
            (*host).clone_into(&mut self.host);
        }
        if let Some(last) = self.path.last_mut() {
            if last.to_ascii_lowercase().ends_with(".git") {
                last.truncate(last.len() - ".git".len());
            }
            if last.is_empty() {
                // `/srv/project/.git` is the repository of `/srv/project`.
                self.path.pop();
            }
        }
        self.azure();
        (!self.path.is_empty()).then_some(self)
    }

    /// `dev.azure.com/ORGANIZATION/PROJECT/REPOSITORY` for each way to write a repository of Azure DevOps.
    fn azure(&mut self) {
        let is_ssh = matches!(self.host.as_str(), "ssh.dev.azure.com" | "vs-ssh.visualstudio.com");
        if is_ssh && self.path.first().is_some_and(|version| version.eq_ignore_ascii_case("v3")) {
            self.path.remove(0);
            self.host = AZURE.to_owned();
        } else if let Some(organization) =
            self.host.strip_suffix(".visualstudio.com").filter(|name| !name.contains('.'))
        {
            self.path.insert(0, organization.to_owned());
            if self.path.get(1).is_some_and(|collection| collection.eq_ignore_ascii_case("DefaultCollection")) {
                self.path.remove(1);
            }
            self.host = AZURE.to_owned();
        }
        if self.host != AZURE {
            return;
        }
        match self.path.iter().position(|segment| segment.eq_ignore_ascii_case("_git")) {
            // A project's first repository has the project's name, and is written without it.
            Some(1) if self.path.len() == 3 => self.path[1] = self.path[2].clone(),
            Some(2) if self.path.len() == 4 => drop(self.path.remove(2)),
            _ => {}
        }
    }

    /// The address in lower case, to compare it: hosts of repositories ignore case.
    pub fn key(&self) -> String {
        self.to_string().to_lowercase()
    }

    /// The address of its page, where the path is on a host. Without user, password and port.
    pub fn url(&self) -> String {
        const KEPT: &percent_encoding::AsciiSet =
            &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');
        let mut path: Vec<String> =
            self.path.iter().map(|part| percent_encoding::utf8_percent_encode(part, KEPT).to_string()).collect();
        if self.host == AZURE && path.len() == 3 {
            path.insert(2, "_git".to_owned());
        }
        format!("https://{}/{}", self.host, path.join("/"))
    }

    /// Whether it is a path on this machine.
    pub fn is_local(&self) -> bool {
        self.host.is_empty()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.host, self.path.join("/"))
    }
}

/// The two forms of an address.
enum Form<'a> {
    /// On a host. Where the URL has no user, an `@` in the path may end a password with a slash or a colon.
    Remote { host: &'a str, path: &'a str, has_user: bool },
    /// A path on this machine.
    Local(&'a str),
}

fn split(url: &str) -> Result<Form<'_>, NoAddress> {
    if let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        if scheme.eq_ignore_ascii_case("file") {
            return Ok(Form::Local(rest.find('/').map_or(rest, |at| &rest[at..])));
        }
        // What follows a question mark is no part of the path, and may be a token.
        let is_web = scheme.to_ascii_lowercase().contains("http");
        let rest = rest.split(['?', '#']).next().filter(|_| is_web).unwrap_or(rest);
        let (authority, path) = rest.split_once('/').ok_or(NoAddress::Incomplete)?;
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        if after_host(authority).is_some_and(|port| !is_port(port)) {
            return Err(NoAddress::Unclear);
        }
        return remote(authority, path);
    }
    if url.split_once("::").is_some_and(|(helper, _)| is_scheme(helper)) {
        return Err(NoAddress::Helper);
    }
    match scp_like(url) {
        Some((authority, path)) => remote(authority, path),
        None if url.find(':').zip(url.rfind('@')).is_some_and(|(colon, at)| colon < at) => Err(NoAddress::Unclear),
        None => Ok(Form::Local(url)),
    }
}

fn remote<'a>(authority: &'a str, path: &'a str) -> Result<Form<'a>, NoAddress> {
    let host = host_of(authority);
    if host.is_empty() {
        return Err(NoAddress::Incomplete);
    }
    if !host.chars().all(|c| c.is_alphanumeric() || "-._+:".contains(c)) {
        return Err(NoAddress::Unclear);
    }
    Ok(Form::Remote { host, path, has_user: authority.contains('@') })
}

/// What follows the colon after the host, where there is one: the port.
fn after_host(authority: &str) -> Option<&str> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let end = host.rfind(']').map_or(0, |end| end + 1);
    host[end..].split_once(':').map(|(_, port)| port)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// `[user@]host:path`: no slash may stand before the colon, or the whole is a path.
fn scp_like(url: &str) -> Option<(&str, &str)> {
    // `[::1]:path` and `user@[host:22]:path`.
    if let Some(start) = url.find('[').filter(|start| *start == 0 || url[..*start].ends_with('@')) {
        let end = start + url[start..].find(']')?;
        if !url[..start].contains('/')
            && let Some(path) = url[end + 1..].strip_prefix(':')
        {
            return Some((&url[..=end], path));
        }
    }
    let colon = url.find(':')?;
    (!url[..colon].contains('/')).then(|| (&url[..colon], &url[colon + 1..]))
}

/// The host of `user:password@host:port`.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.split(']').next().unwrap_or(inner);
        // `[host:22]` of the scp-like form; a numeric address has more than one colon.
        return if inner.matches(':').count() == 1 { inner.split(':').next().unwrap_or(inner) } else { inner };
    }
    host.split(':').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> String {
        let hosts = |host: &str| (host == "github-work").then(|| "GitHub.com".to_owned());
        Address::of(url.as_bytes(), Path::new("/w/repo"), hosts)
            .map_or_else(|why| format!("{why:?}"), |address| address.key())
    }

    #[test]
    fn every_spelling_is_the_same() {
        for url in [
            "https://github.com/acme/billing",
            "https://github.com/acme/billing.git",
            "https://github.com/acme/billing.git/",
            "https://github.com//acme//billing/",
            "https://GitHub.com/Acme/Billing.git",
            "https://github.com:443/acme/billing",
            "https://github.com./acme/billing",
            "https://you@github.com/acme/billing",
            "https://you:ghp_secret@github.com/acme/billing.git",
            "https://you:p@ss@github.com/acme/billing",
            "http://github.com/acme/billing",
            "git://github.com/acme/billing.git",
            "ssh://git@github.com/acme/billing.git",
            "ssh://git@github.com:22/acme/billing.git",
            "SSH://git@github.com/acme/billing.git",
            "git+ssh://git@github.com/acme/billing",
            "git@github.com:acme/billing.git",
            "git@github.com:/acme/billing.git",
            "github.com:acme/billing",
            "[git@github.com:22]:acme/billing",
            "git@[github.com:22]:acme/billing",
            "git@github-work:acme/billing.git",
            "ssh://git@ssh.github.com:443/acme/billing.git",
            "https://github.com/acme/%62illing",
            "https://github.com/other/../acme/billing",
            "https://github.com/other/%2E%2e/acme/%2e/billing",
            "https://github.com/acme/billing?private_token=canary",
            "https://github.com/acme/billing.git#canary",
        ] {
            assert_eq!(address(url), "github.com/acme/billing", "{url}");
        }
        for url in [
            "https://dev.azure.com/Org/My%20Project/_git/Repo",
            "https://Org@dev.azure.com/Org/My%20Project/_git/Repo",
            "git@ssh.dev.azure.com:v3/Org/My%20Project/Repo",
            "ssh://git@ssh.dev.azure.com/v3/Org/My%20Project/Repo",
            "ssh://git@ssh.dev.azure.com:22/v3/Org/My%20Project/Repo",
            "https://org.visualstudio.com/My%20Project/_git/Repo",
            "https://org.visualstudio.com/DefaultCollection/My%20Project/_git/Repo",
            "org@vs-ssh.visualstudio.com:v3/org/My%20Project/Repo",
        ] {
            assert_eq!(address(url), "dev.azure.com/org/my project/repo", "{url}");
        }
        assert_eq!(address("https://dev.azure.com/org/_git/repo"), "dev.azure.com/org/repo/repo");
        for url in
            ["/srv/git/x.git", "file:///srv/git/x.git", "file:///srv/git/x/", "/srv/git/x/.git", "../../srv/git/x"]
        {
            assert_eq!(address(url), "/srv/git/x", "{url}");
        }
        assert_eq!(address("ssh://git@[2001:db8::1]:22/acme/x"), "2001:db8::1/acme/x");
        assert_eq!(address("[2001:db8::1]:acme/x"), "2001:db8::1/acme/x");
        assert_eq!(address("host:~you/x.git"), "host/~you/x");
        assert_eq!(address("./with:colon"), "/w/repo/with:colon");
    }

    #[test]
    fn what_is_no_address() {
        for (url, expected) in [
            ("ext::sh -c true", "Helper"),
            ("https://github.com", "Incomplete"),
            ("https:///acme/x", "Incomplete"),
            ("https://github.com/", "Incomplete"),
            ("https://you@/acme", "Incomplete"),
            ("https://github.com/a\u{1b}[2J/b", "Unfit"),
            ("https://github.com/a%0ab/c", "Unfit"),
            (":x", "Incomplete"),
            ("https://github.com/a\u{202e}b/c", "Unfit"),
            ("https://github.com/a%E2%80%8Bb/c", "Unfit"),
            // Passwords that would be taken for a path or a host.
            ("you:canary@github.com/acme/x", "Unclear"),
            ("you:canary@github.com:acme/x", "Unclear"),
            ("you:can/ary@github.com:acme/x", "Unclear"),
            ("you:canary%40github.com/acme/x", "Unclear"),
            ("https:/you:canary@github.com/acme/x", "Unclear"),
            ("//you:canary@github.com/acme/x", "Unclear"),
            ("htt ps://you:canary@github.com/acme/x", "Unclear"),
            ("https://you:can/ary@github.com/acme/x", "Unclear"),
            ("https://you:12/34@github.com/acme/x", "Unclear"),
            ("https://you%3Acanary%40github.com/acme/x", "Unclear"),
            ("ssh://git@github.com:acme/x", "Unclear"),
            ("https://*/acme/x", "Unclear"),
        ] {
            assert_eq!(address(url), expected, "{url}");
        }
        assert_eq!(address(&format!("https://github.com/{}", "a".repeat(3000))), "Unfit");
        assert_eq!(Address::of(b"https://h/\xff", Path::new("/"), |_| None), Err(NoAddress::Unfit));
    }
}
