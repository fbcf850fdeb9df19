//! The sources of tokens and of headers' values, and their protection against leaks.
//!
//! A token is never `Debug`-printed, and its memory is overwritten when it is dropped (promise C5).

mod command;
mod given;
mod header;
mod private;
mod wanted;

use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use zeroize::Zeroizing;

use crate::config::typed::credential::{Credential, LONGEST, NO_TOKEN, Refused};
use crate::config::values::{TokenSource, USER_PREFIX, without_prefix};
use crate::system::environment::Environment;
use crate::text::pasted::starts_with;
use crate::text::shell::shell_word;

use given::Given;
pub use header::{SecretHeaders, fetch_header, fetch_headers, look_header};
use wanted::Wanted;

/// A platform API token.
pub struct Token(Zeroizing<String>);

/// The reason why there is no token, and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenError {
    /// What is wrong, naming the source.
    pub what: String,
    /// A command or a concrete step.
    pub fix: String,
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.fix)
    }
}

/// The command that writes a token file again. [`TokenError::of`] names the account in it.
const RENEW: &str = "act-claude act setup --account NAME";

impl TokenError {
    /// The same error during set-up, which is no fix for itself.
    #[must_use]
    pub fn in_setup(self) -> Self {
        Self { fix: self.fix.replace(&format!(": {RENEW}"), "").replace(&format!(" && {RENEW}"), ""), ..self }
    }

    /// The same error for the token of `account`: a fix that sets the token up again names the account.
    #[must_use]
    pub fn of(self, account: &str) -> Self {
        let command = RENEW.replace("NAME", &shell_word(Path::new(account)));
        Self { fix: self.fix.replace(RENEW, &command), ..self }
    }
}

/// How long a token command may take.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

impl Token {
    /// Judges what a source gave, as set-up judges a token that is typed.
    fn new(given: &Given<'_>) -> Result<Self, TokenError> {
        let error = |refused: Refused| given.refused(refused.what);
        if given.text.trim().len() > LONGEST {
            return Err(error(NO_TOKEN));
        }
        let Credential { token, user, .. } = Credential::read(&given.text).map_err(error)?;
        Ok(Self(match user {
            Some(user) => Zeroizing::new(format!("{USER_PREFIX}{user}:{}", *token)),
            None => token,
        }))
    }

    /// Whether `text` is this token.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_str() == text
    }

    /// The value of the `Authorization` header: Basic, `BOOMI_TOKEN.<user>:<token>`, with the prefix exactly once.
    pub fn authorization(&self, user: &str) -> Zeroizing<String> {
        let prefix = format!("{USER_PREFIX}{}:", without_prefix(user));
        let secret = if starts_with(&self.0, &prefix) { &self.0[prefix.len()..] } else { &self.0 };
        let plain = Zeroizing::new(format!("{prefix}{secret}"));
        let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()));
        Zeroizing::new(format!("Basic {}", *encoded))
    }
}

/// Fetches the token of `source`. A command gets `environment`, no terminal, no input, and 30 s.
pub fn fetch(source: &TokenSource, environment: &Environment) -> Result<Token, TokenError> {
    fetch_with(source, environment, None)
}

/// Fetches the token for a user who wants to see what goes wrong: where standard error is a terminal, a command writes to it.
pub fn fetch_shown(source: &TokenSource, environment: &Environment) -> Result<Token, TokenError> {
    let error = std::io::stderr();
    let terminal = error.is_terminal().then(|| error.as_fd().try_clone_to_owned().ok()).flatten();
    fetch_with(source, environment, terminal.map(Stdio::from))
}

fn fetch_with(source: &TokenSource, environment: &Environment, terminal: Option<Stdio>) -> Result<Token, TokenError> {
    Token::new(&given::read(Wanted::Token, source, environment, terminal)?)
}

/// Checks whether `source` can give a token, without reading a token file or running a command.
pub fn look(source: &TokenSource, environment: &Environment) -> Result<(), TokenError> {
    match given::look(Wanted::Token, source, environment)? {
        Some(given) => Token::new(&given).map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn token(text: &str) -> Token {
        let source = TokenSource::Env("T".to_owned());
        let text = Zeroizing::new(text.to_owned());
        Token::new(&Given { text, wanted: Wanted::Token, source: &source }).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The test is that it compiles.
    #[test]
    fn c5_a_token_is_overwritten_and_never_printed() {
        fn overwritten(_: &impl zeroize::ZeroizeOnDrop) {}
        overwritten(&token("abc").0);
        overwritten(&token("abc").authorization("u"));
        // If `Token` implemented `Debug`, the compiler could not choose between the two.
        trait Printed<How> {
            fn check() {}
        }
        impl<T: ?Sized> Printed<()> for T {}
        impl<T: ?Sized + fmt::Debug> Printed<u8> for T {}
        <Token as Printed<_>>::check();
    }

    #[test]
    fn c4_token_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let fetch = || {
            fetch(&TokenSource::File(path.clone()), &Environment::default())
                .map(|token| token.0.to_string())
                .map_err(|error| error.to_string())
        };
        assert!(fetch().unwrap_err().ends_with(" does not exist: act-claude act setup --account NAME"));
        let error = TokenError { what: "w".to_owned(), fix: format!("rm x && {RENEW}") };
        assert_eq!(error.of("a b").to_string(), "w: rm x && act-claude act setup --account 'a b'");
        std::fs::write(&path, "abc\n").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&path, 0o644);
        let error = fetch().unwrap_err();
        assert!(error.contains("can be read by others (mode 0644)") && error.contains("chmod 600"), "{error}");
        mode(&path, 0o600);
        assert_eq!(fetch().unwrap(), "abc");
        std::fs::write(&path, "\n").unwrap();
        let must = "it must contain the API token and nothing else";
        let error = fetch().unwrap_err();
        assert!(error.ends_with(&format!(": {must}: act-claude act setup --account NAME")), "{error}");
        std::fs::write(&path, "abc\n").unwrap();
        mode(directory.path(), 0o770);
        assert!(fetch().unwrap_err().contains("chmod go-w"));
        mode(directory.path(), 0o700);
        let real = directory.path().join("real");
        std::fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert!(fetch().unwrap_err().contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = fetch().unwrap_err();
        let fix = format!(" is not a regular file: rm -r {} && act-claude act setup --account NAME", path.display());
        assert!(error.ends_with(&fix), "{error}");
    }

    #[test]
    fn the_prefix_is_never_doubled() {
        let decode = |text: &str, user: &str| {
            let header = token(text).authorization(user).to_string();
            let bytes = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ").unwrap());
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        for (text, user) in [("t", "u@x"), ("t", "BOOMI_TOKEN.u@x"), ("BOOMI_TOKEN.u@x:t", "u@x")] {
            assert_eq!(decode(text, user), "BOOMI_TOKEN.u@x:t");
        }
    }
}
