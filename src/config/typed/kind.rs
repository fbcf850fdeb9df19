//! What a text is that was given as a token but can't be one (pure).

use super::credential::Refused;
use super::{credential, placeholder, user};
use crate::text::pasted::starts_with;

const ALONE: &str = "give the API token alone";
const NEW: &str =
    "Boomi shows a token only when it is made; add a new one: Settings → My User Settings → Platform API Tokens";
const PRIVATE_KEY: Refused = Refused { what: "a private key or certificate", fix: ALONE };

/// Beginnings of other vendors' keys.
const OTHERS: [&str; 12] =
    ["sk-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "npm_", "pypi-", "akia", "hvs."];
/// Beginnings of the paths of files.
const PATHS: [&str; 19] = [
    "~/",
    "./",
    "../",
    "/home/",
    "/users/",
    "/root/",
    "/etc/",
    "/tmp/",
    "/run/",
    "/var/",
    "/opt/",
    "/usr/",
    "/bin/",
    "/sbin/",
    "/srv/",
    "/mnt/",
    "/volumes/",
    "c:\\",
    "file:",
];

/// The kind of text that can't be a token.
pub fn of(text: &str) -> Option<Refused> {
    let refused = |what, fix| Some(Refused { what, fix });
    if text.contains("-----BEGIN") {
        return Some(PRIVATE_KEY);
    }
    if let Some(address) = address(text) {
        return Some(address);
    }
    if user::is_mail(text) {
        return refused("an e-mail address, which is the user and not the token", ALONE);
    }
    if PATHS.iter().any(|start| starts_with(text, start)) {
        return refused("the path of a file", "for a token in a file: --token-file FILE");
    }
    if text.starts_with('#') {
        return refused("a comment, which begins with '#'", ALONE);
    }
    if text.starts_with("$(") {
        return refused("a command", "for a command that prints the token: --token-command COMMAND");
    }
    if placeholder::is_variable(text) || (is_name_of_variable(text) && placeholder::kind(text).is_none()) {
        return refused("a variable's name instead of its value", "for a token in a variable: --token-env NAME");
    }
    if is_jwt(text) {
        return refused("a JWT, which expires soon", "give the API token from which it was made");
    }
    if is_other_key(text) {
        return refused("another vendor's key", "give the API token of the Boomi platform");
    }
    match placeholder::kind(text)? {
        "a placeholder" => refused("a placeholder instead of the token", ALONE),
        kind if kind.starts_with("masked") => refused("a masked token", NEW),
        _ => refused("the sample of a documentation tool", ALONE),
    }
}

/// Whether a text is written as the name of a variable, and is called a token: `ACT_TOKEN`.
fn is_name_of_variable(text: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.contains('_') && text.chars().all(is_upper) && credential::is_called_token(text)
}

/// Whether a text begins like another vendor's key.
pub fn is_other_key(text: &str) -> bool {
    OTHERS.iter().any(|start| starts_with(text, start))
}

/// A URL, or a password manager's reference.
pub fn address(text: &str) -> Option<Refused> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    Some(match scheme.as_str() {
        "http" | "https" => Refused { what: "a URL", fix: ALONE },
        scheme if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric()) => Refused {
            what: "the address of an entry in a password manager",
            fix: "for a command that prints the token: --token-command COMMAND",
        },
        _ => return None,
    })
}

/// Whether a text is a JSON web token: three parts, of which the first is base64 of an object.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}
