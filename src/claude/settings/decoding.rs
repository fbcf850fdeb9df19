//! Decodes a settings file's bytes to text, as claude does it (docs/observed-claude.md, "Settings files") (pure).

/// Decodes a settings file: UTF-16LE where it begins with that byte order mark, otherwise UTF-8, with U+FFFD for each invalid
/// byte sequence. One byte order mark at the beginning is not part of the text.
pub fn decode(bytes: Vec<u8>) -> String {
    let text = match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(units) => return utf16(units),
        None => String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    };
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// Half of a surrogate pair, which no Rust string can hold, becomes its JSON escape: claude reads the same.
fn utf16(bytes: &[u8]) -> String {
    // Half a unit at the end is dropped.
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let mut text = String::with_capacity(bytes.len() / 2);
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(character) => text.push(character),
            Err(half) => text.push_str(&format!("\\u{:04x}", half.unpaired_surrogate())),
        }
    }
    text
}

/// Removes white space around the text, in JavaScript's sense: the byte order mark is white space there, and U+0085 is not.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn what_claude_reads_is_read() {
        let decoded = |bytes: &[u8]| decode(bytes.to_vec());
        assert_eq!(decoded(b"{}"), "{}");
        assert_eq!(decoded(b"\xef\xbb\xbf{}"), "{}");
        assert_eq!(decoded("\u{feff}\u{feff}{}".as_bytes()), "\u{feff}{}", "the second mark is no white space in JSON");
        assert_eq!(decoded(b"caf\xe9"), "caf\u{fffd}");
        assert_eq!(decoded(&wide("\u{feff}{\"a\": \"ä😀\"}")), "{\"a\": \"ä😀\"}");
        assert_eq!(decoded(&[wide("\u{feff}{}"), vec![b'x']].concat()), "{}", "half a unit at the end");
        assert_eq!(decoded(&[0xff, 0xfe, b'"', 0, 0x00, 0xd8, b'"', 0]), r#""\ud800""#);
        // Text that claude does not read as UTF-16 is not JSON: without a mark, or with the most significant byte first.
        assert_eq!(decoded(&wide("{}")), "{\0}\0");
        assert_eq!(decoded(b"\xfe\xff\0{\0}"), "\u{fffd}\u{fffd}\0{\0}");
        assert_eq!(decoded(b""), "");
    }

    #[test]
    fn white_space_is_javascripts() {
        assert_eq!(trim("\u{feff}\u{a0}\u{b}\u{2028} {} \n"), "{}");
        assert_eq!(trim("\u{85}{}"), "\u{85}{}");
    }
}
