//! UUIDs in their usual form, RFC 9562, section 4: `3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e`.
//!
//! The ids of a configuration are looked at by each launch, and a regular expression for them takes a tenth of a launch to compile.

use std::ops::Range;

const LENGTH: usize = 36;

/// Whether a text is a UUID.
pub fn is_uuid(text: &str) -> bool {
    is_written(text.as_bytes())
}

/// Whether a text holds a UUID.
pub fn has_uuid(text: &str) -> bool {
    uuids(text).next().is_some()
}

/// Where a text holds UUIDs, in bytes. Of two that overlap, the first one.
pub fn uuids(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    let places = text.as_bytes().windows(LENGTH).enumerate();
    places.filter(|(_, part)| is_written(part)).filter_map(move |(start, _)| {
        let is_free = start >= next;
        if is_free {
            next = start + LENGTH;
        }
        is_free.then_some(start..start + LENGTH)
    })
}

fn is_written(text: &[u8]) -> bool {
    let is_right = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == LENGTH && text.iter().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    const UUID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";

    #[test]
    fn a_uuid_has_its_form() {
        assert!(is_uuid(UUID) && is_uuid(&UUID.to_uppercase()));
        for text in ["3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5g", "3f2c7e10", "3f2c7e108-a41-4b6e-9d0c-5f1a2b3c4d5e", ""] {
            assert!(!is_uuid(text), "{text}");
        }
        assert!(!is_uuid(&format!("{UUID}0")) && !is_uuid(&format!(" {UUID}")));
    }

    #[test]
    fn those_in_a_text_are_found_as_a_regular_expression_finds_them() {
        let hex = |length: usize| format!("[0-9A-Fa-f]{{{length}}}");
        let pattern = Regex::new(&[8, 4, 4, 4, 12].map(hex).join("-")).unwrap();
        for text in [
            format!("a {UUID}."),
            format!("{UUID}{UUID}"),
            // Two that overlap.
            "3f2c7e10-8a41-4b6e-9d0c-5f1a3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e".to_owned(),
            format!("ä{UUID}ä0{UUID}"),
            UUID[1..].to_owned(),
            "ä".repeat(40),
        ] {
            let expected: Vec<_> = pattern.find_iter(&text).map(|found| found.range()).collect();
            assert_eq!(uuids(&text).collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(has_uuid(&text), !expected.is_empty(), "{text}");
        }
    }
}
