//! Paths in JSON: as text where they are UTF-8, else as a URL.
//!
//! A path consists of bytes, and JSON holds text. A path that is UTF-8 is written as it is. Any other is written as a URL of the
//! scheme `file` (RFC 8089), its bytes percent-encoded: `file:///home/you/caf%E9`. Nothing is ambiguous: an absolute path starts
//! with `/`, and a relative one that starts with `file:` is written with `./` in front.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The scheme of the URL.
const SCHEME: &str = "file:";
/// The characters that are percent-encoded, besides all that are not ASCII.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path as it is written in JSON.
pub fn to_text(path: &Path) -> Cow<'_, str> {
    match path.to_str() {
        Some(text) if text.starts_with(SCHEME) => format!("./{text}").into(),
        Some(text) => text.into(),
        None => {
            let slashes = if path.is_absolute() { "//" } else { "" };
            format!("{SCHEME}{slashes}{}", percent_encode(path.as_os_str().as_bytes(), ENCODED)).into()
        }
    }
}

/// The path that `text` was written for.
pub fn from_text(text: &str) -> PathBuf {
    let Some(encoded) = text.strip_prefix(SCHEME) else { return PathBuf::from(text) };
    let encoded = encoded.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(encoded);
    OsString::from_vec(percent_decode_str(encoded).collect()).into()
}

/// For `#[serde(with = "crate::text::paths")]`.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    to_text(path).serialize(serializer)
}

/// For `#[serde(with = "crate::text::paths")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(from_text(&String::deserialize(deserializer)?))
}

/// A path in JSON that may be missing.
pub mod optional {
    use super::*;

    /// For `#[serde(with = "crate::text::paths::optional")]`.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(to_text).serialize(serializer)
    }

    /// For `#[serde(with = "crate::text::paths::optional")]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(|text| from_text(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> PathBuf {
        OsString::from_vec(bytes.to_vec()).into()
    }

    #[test]
    fn every_path_comes_back() {
        for (bytes, text) in [
            (&b"/home/you/work"[..], "/home/you/work"),
            ("/home/you/café %41".as_bytes(), "/home/you/café %41"),
            (b"/home/you/caf\xe9", "file:///home/you/caf%E9"),
            (b"/a b%\x1b\xff", "file:///a%20b%25%1B%FF"),
            (b"/", "/"),
            (b"//\xff", "file:////%FF"),
            (b"", ""),
            (b"bin/caf\xe9", "file:bin/caf%E9"),
            (b"file:///x", "./file:///x"),
            (b"file:\xff", "file:file%3A%FF"),
        ] {
            assert_eq!(to_text(&path(bytes)), text);
            let again = from_text(text);
            assert_eq!(again.strip_prefix(".").unwrap_or(&again), path(bytes), "{text}");
        }
    }
}
