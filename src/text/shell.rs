//! Words of a shell command.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::printable::visible;

/// A path as one word of a shell command, quoted only where necessary. A path that is not UTF-8, or that is not printable, is
/// written as `$'…'`, which bash, zsh and ksh read.
pub(crate) fn shell_word(path: &Path) -> String {
    match path.to_str() {
        Some(text)
            if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c)) =>
        {
            text.to_owned()
        }
        Some(text) if visible(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let bytes = path.as_os_str().as_bytes().iter();
            let written = bytes.map(|&byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", written.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_word_is_what_the_shell_reads() {
        for (bytes, word) in [
            (&b"/a/b-c_1.x"[..], "/a/b-c_1.x"),
            (b"/a b", "'/a b'"),
            (b"it's", r"'it'\''s'"),
            ("/caf\u{e9}".as_bytes(), "'/caf\u{e9}'"),
            (b"/caf\xe9'1\\", r"$'/caf\xe9\'1\\'"),
            (b"/\x1b[31m", r"$'/\x1b[31m'"),
            (b"", "''"),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(shell_word(path), word);
            let script = format!("printf %s {word}");
            let read = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash").stdout;
            assert_eq!(read, bytes);
        }
    }
}
