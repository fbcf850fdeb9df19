//! The value that the user gives to `--settings`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::claude::arguments::argument_value;
use crate::claude::overlay;
use crate::system::environment::Environment;

use super::unread::{Reason, Unread};
use super::{decoding, file};
use crate::text::json;

/// Current clients ignore a larger value, and old ones read it (docs/observed-claude.md, "Settings files"). So its effect is not
/// known, and an overlay of this size would be lost.
pub const LARGEST: u64 = 2 * 1024 * 1024;

/// The effective `--settings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// There is none; or it is neither a file nor JSON, and claude itself refuses it.
    Absent,
    /// Settings.
    Given {
        /// Their text.
        text: String,
        /// The bytes as the user wrote them.
        bytes: Vec<u8>,
    },
    /// A file that is not understood.
    Unread(Unread),
}

/// Reads the effective `--settings`, a file or JSON. For an overlay of ours it reads the user's own settings.
pub fn of(directory: &Path, args: &[OsString], environment: &Environment) -> Argument {
    let Some(value) = argument_value(args) else { return Argument::Absent };
    // Claude treats bytes that are not UTF-8 in the same way as in a file.
    let text = value.to_string_lossy();
    if text.is_empty() {
        // Observed: an empty value has no effect, but the argument is there.
        return Argument::Given { text: String::new(), bytes: Vec::new() };
    }
    if let Some(json) = inline(&text) {
        if json::members(json).is_none() {
            return Argument::Absent;
        }
        return Argument::Given { text: json.to_owned(), bytes: json.as_bytes().to_vec() };
    }
    let path = directory.join(value);
    let state = crate::state::directory(environment);
    let own = state.and_then(|state| overlay::own_beside(&state, &path));
    of_file(own.unwrap_or(path))
}

/// The effective `--settings` for a process in another directory: the path of a file is absolute.
pub fn anywhere(directory: &Path, args: &[OsString]) -> Option<PathBuf> {
    let value = argument_value(args)?;
    let is_inline = inline(&value.to_string_lossy()).is_some();
    Some(if is_inline { PathBuf::from(value) } else { directory.join(value) })
}

/// Claude reads a value in braces as JSON, with white space around it ignored; any other value is a file's name.
fn inline(value: &str) -> Option<&str> {
    let trimmed = decoding::trim(value);
    (trimmed.starts_with('{') && trimmed.ends_with('}')).then_some(trimmed)
}

fn of_file(path: PathBuf) -> Argument {
    match file::bytes(&path) {
        None => Argument::Absent,
        Some(Ok(bytes)) if bytes.len() as u64 > LARGEST => {
            Argument::Unread(Unread { path, reason: Reason::TooLarge { limit: LARGEST } })
        }
        Some(Ok(bytes)) => Argument::Given { text: decoding::decode(bytes.clone()), bytes },
        Some(Err(reason)) => Argument::Unread(Unread { path, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_braces_is_json() {
        for (value, expected) in [
            ("{}", Some("{}")),
            (" \n{}\t", Some("{}")),
            ("\u{feff}{}", Some("{}")),
            ("\u{a0}{\"a\":1,}\u{2028}", Some("{\"a\":1,}")),
            ("\u{85}{}", None),
            ("{", None),
            ("{}x", None),
            ("a.json", None),
            ("", None),
        ] {
            assert_eq!(inline(value), expected, "{value:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_read_as_claude_reads_them() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(b"{\"note\":\"caf\xe9\"}".to_vec());
        let environment = Environment::default();
        let given = of(Path::new("/nowhere"), &["--settings".into(), value], &environment);
        let Argument::Given { text, .. } = given else { panic!("{given:?}") };
        assert_eq!(text, "{\"note\":\"caf\u{fffd}\"}");
    }
}
