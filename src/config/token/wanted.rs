//! What a source is asked for, in the words of messages (pure).

use std::path::Path;

use super::RENEW;
use crate::config::typed::secret::value;
use crate::config::values::TokenSource;
use crate::text::shell::shell_word;

/// What a source is asked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// A platform API token.
    Token,
    /// The value of a copy's header.
    Header(&'a str),
}

impl Wanted<'_> {
    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Self::Token => "the API token".to_owned(),
            Self::Header(name) => format!("header {} of a copy", value(name)),
        }
    }

    /// What a source must contain.
    pub fn content(self) -> &'static str {
        match self {
            Self::Token => "the API token",
            Self::Header(_) => "the header's value",
        }
    }

    /// The source. Of a command only the program is shown: arguments may hold the secret.
    pub fn source(self, source: &TokenSource) -> String {
        match (source, self) {
            (TokenSource::Env(name), Self::Token) => format!("the environment variable {}", value(name)),
            (TokenSource::Env(name), _) => format!("the environment variable {} for {}", value(name), self.name()),
            (TokenSource::File(path), _) => self.file(path),
            (TokenSource::Command(argv), _) => self.command(&format!("`{}`", value(&argv[0]))),
        }
    }

    /// A file.
    pub fn file(self, path: &Path) -> String {
        match self {
            Self::Token => format!("the token file {}", path.display()),
            Self::Header(_) => format!("the file {} for {}", path.display(), self.name()),
        }
    }

    /// A command.
    pub fn command(self, program: &str) -> String {
        match self {
            Self::Token => format!("the token command {program}"),
            Self::Header(_) => format!("the command {program} for {}", self.name()),
        }
    }

    /// What to do about a file that is not there.
    pub fn written_again(self, path: &Path) -> String {
        match self {
            Self::Token => RENEW.to_owned(),
            Self::Header(_) => format!("write its value there: {}", self.command_for(path)),
        }
    }

    /// The command that writes a file again.
    pub fn command_for(self, path: &Path) -> String {
        match self {
            Self::Token => RENEW.to_owned(),
            Self::Header(_) => format!("(umask 077 && cat >{})", shell_word(path)),
        }
    }

    /// What to do about a command that fails.
    pub fn seen(self) -> &'static str {
        match self {
            Self::Token => "in a terminal, act-claude act check --all shows its error output",
            Self::Header(_) => "run it in a terminal, which shows its error output",
        }
    }
}
