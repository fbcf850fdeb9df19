//! The value of a copy's header: a secret like a token, but the text itself, whatever it means.

use zeroize::Zeroizing;

use super::TokenError;
use super::given::{self, Given};
use super::wanted::Wanted;
use crate::config::typed::credential::LONGEST;
use crate::config::values::TokenSource;
use crate::system::environment::Environment;

/// Fetches the value of the header `name`, with the protections of a token. No error repeats it.
pub fn fetch_header(
    name: &str,
    source: &TokenSource,
    environment: &Environment,
) -> Result<Zeroizing<String>, TokenError> {
    judged(&given::read(Wanted::Header(name), source, environment, None)?)
}

/// Checks whether `source` can give the value of the header `name`, without reading a file or running a command.
pub fn look_header(name: &str, source: &TokenSource, environment: &Environment) -> Result<(), TokenError> {
    match given::look(Wanted::Header(name), source, environment)? {
        Some(given) => judged(&given).map(drop),
        None => Ok(()),
    }
}

/// One line of visible ASCII and inner blanks, without what follows it.
fn judged(given: &Given<'_>) -> Result<Zeroizing<String>, TokenError> {
    let value = given.text.trim_end();
    let what = match value {
        "" => "no value",
        value if value.len() > LONGEST => "more than 8 KiB",
        value if value.starts_with(char::is_whitespace) => "white space before the value",
        value if value.contains(['\n', '\r']) => "more than one line",
        value if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => "a character that no header can have",
        value => return Ok(Zeroizing::new(value.to_owned())),
    };
    Err(given.refused(what))
}
