//! Reads a source: a variable, a private file, or a command. What it gave is judged elsewhere.

use std::io::Read;
use std::process::Stdio;

use zeroize::Zeroizing;

use super::wanted::Wanted;
use super::{COMMAND_LIMIT, TokenError, command, private};
use crate::config::typed::credential::LONGEST;
use crate::config::typed::secret::value;
use crate::config::values::TokenSource;
use crate::system::environment::Environment;
use crate::system::error::plain;

/// What stands in place of a text that is not UTF-8. It is neither a token nor a header's value.
const NO_TEXT: &str = "\u{0}";

/// What a source gave. It is never printed. Its words are made only for an error: a session's start waits for this.
pub(super) struct Given<'a> {
    /// The text, at most a little longer than the longest secret.
    pub text: Zeroizing<String>,
    /// What it should be.
    pub wanted: Wanted<'a>,
    /// Where it comes from.
    pub source: &'a TokenSource,
}

impl Given<'_> {
    /// The error that says `what` the source contains, or printed.
    pub fn refused(&self, what: &str) -> TokenError {
        let (verb, must, again) = match self.source {
            TokenSource::Command(_) => ("printed", "print", String::new()),
            TokenSource::Env(_) => ("contains", "contain", String::new()),
            TokenSource::File(path) => ("contains", "contain", format!(": {}", self.wanted.command_for(path))),
        };
        TokenError {
            what: format!("{} {verb} {what}", self.wanted.source(self.source)),
            fix: format!("it must {must} {} and nothing else{again}", self.wanted.content()),
        }
    }
}

/// Reads `source`. A command writes its errors to `terminal`, or nowhere.
pub(super) fn read<'a>(
    wanted: Wanted<'a>,
    source: &'a TokenSource,
    environment: &Environment,
    terminal: Option<Stdio>,
) -> Result<Given<'a>, TokenError> {
    let text = match source {
        TokenSource::Env(name) => {
            let found = environment.get(name).ok_or_else(|| TokenError {
                what: format!(
                    "the environment variable {}, which should hold {}, is not set",
                    value(name),
                    wanted.name()
                ),
                fix: format!("export {}=…", value(name)),
            })?;
            Zeroizing::new(found.to_str().unwrap_or(NO_TEXT).to_owned())
        }
        TokenSource::File(path) => {
            // It does not grow: what a longer one leaves behind would not be overwritten.
            let mut text = Zeroizing::new(String::with_capacity(LONGEST + 2));
            let error = |error: std::io::Error| TokenError {
                what: format!("{} cannot be read ({})", wanted.source(source), plain(&error)),
                fix: wanted.written_again(path),
            };
            private::open(wanted, path)?.take(LONGEST as u64 + 2).read_to_string(&mut text).map_err(error)?;
            text
        }
        TokenSource::Command(argv) => {
            let bytes = command::run(wanted, argv, environment, COMMAND_LIMIT, terminal)?;
            Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or(NO_TEXT).to_owned())
        }
    };
    Ok(Given { text, wanted, source })
}

/// Checks whether `source` can give something, without reading a file or running a command.
pub(super) fn look<'a>(
    wanted: Wanted<'a>,
    source: &'a TokenSource,
    environment: &Environment,
) -> Result<Option<Given<'a>>, TokenError> {
    match source {
        TokenSource::Env(_) => read(wanted, source, environment, None).map(Some),
        TokenSource::File(path) => private::open(wanted, path).map(|_| None),
        TokenSource::Command(argv) => command::find(wanted, &argv[0], environment).map(|_| None),
    }
}
