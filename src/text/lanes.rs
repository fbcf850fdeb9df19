//! Eight bytes of a text at once, in one number.
//!
//! A launch goes through texts of many kilobytes. A decision for each byte would take longer than all else about them.
//!
//! What is found among the eight bytes is a number, too: the highest bit of a byte is set where it is one of those looked for. The
//! functions are so short that a call would be longer, and the program is otherwise built for size: so they are always inlined.

/// The highest bit of each byte.
pub const HIGHEST: u64 = all(0x80);

/// Eight times the same byte.
pub const fn all(byte: u8) -> u64 {
    u64::MAX / 0xff * byte as u64
}

/// The eight bytes from `at` on, the first one lowest. Behind the end of the text they are 0.
#[inline(always)]
pub fn word(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(rest),
    }
}

#[cold]
fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The bytes that are less than `limit`, which is at most 0x80. Those behind the first one may be found by mistake.
#[inline(always)]
pub fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(all(limit)) & !word & HIGHEST
}

/// The bytes that are `byte`. Those behind the first one may be found by mistake.
#[inline(always)]
pub fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ all(byte), 1)
}

/// The bytes from `low` to `high`, which are less than 0x80. Behind a byte that is not ASCII there may be mistakes.
#[inline(always)]
pub fn in_range(word: u64, low: u8, high: u8) -> u64 {
    // The highest bit of each byte that is not less than `limit`.
    let from = |limit: u8| word.wrapping_add(all(0x80 - limit));
    (from(low) ^ from(high + 1)) & !word & HIGHEST
}

/// The place of the first byte that is found, where there is one.
#[inline(always)]
pub fn place(found: u64) -> usize {
    found.trailing_zeros() as usize / 8
}

/// The place of the first byte that is found.
#[inline(always)]
pub fn first(found: u64) -> Option<usize> {
    (found != 0).then_some(place(found))
}

/// Those of the bytes `found` that are before the first one in `end`.
#[inline(always)]
pub fn before(found: u64, end: u64) -> u64 {
    found & end.wrapping_sub(1) & !end
}

/// The first place from `at` on where the text has this byte. `memchr::memchr` would first ask the processor for its features. Where a
/// hypervisor answers, that takes longer than to go through 50 KB; and what this search needs, each processor of the kind has.
#[inline(always)]
pub fn position(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    let rest = text.get(at..)?;
    #[cfg(target_arch = "x86_64")]
    let found = memchr::arch::x86_64::sse2::memchr::One::new(byte)?.find(rest);
    #[cfg(not(target_arch = "x86_64"))]
    let found = memchr::memchr(byte, rest);
    found.map(|place| at + place)
}

/// Whether the text starts with `start`. For a few bytes: a call of the C library's comparison would take longer.
#[inline(always)]
pub fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let ((words, rest), (other_words, other_rest)) = (text.as_chunks::<8>(), start.as_chunks::<8>());
    let is_same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    words.iter().zip(other_words).all(is_same) && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of all short lengths, of bytes that are next to the ones looked for, or that carry into the next byte.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        const BYTES: &[u8] = b"a\0[Z\\\"\x7f\x80\xff\x01b!";
        let text = |(length, turn): (usize, usize)| {
            (0..length).map(|at| BYTES[(at * (turn % 5 + 1) + turn) % BYTES.len()]).collect()
        };
        (0..30).flat_map(|length| (0..60).map(move |turn| (length, turn))).map(text)
    }

    #[test]
    fn a_word_has_the_bytes_in_order() {
        for text in texts() {
            for at in 0..text.len() + 9 {
                let expected: [u8; 8] = std::array::from_fn(|place| text.get(at + place).copied().unwrap_or(0));
                assert_eq!(word(&text, at).to_le_bytes(), expected, "{text:?} at {at}");
            }
        }
    }

    #[test]
    fn the_first_one_is_found() {
        for text in texts() {
            let bytes = word(&text, 0);
            let place = |is: &dyn Fn(u8) -> bool| bytes.to_le_bytes().iter().position(|byte| is(*byte));
            for limit in [1, 0x20, 0x21, 0x5b, 0x7f, 0x80] {
                assert_eq!(first(below(bytes, limit)), place(&|byte| byte < limit), "{text:?} below {limit}");
            }
            for (low, high) in [(b'[', b'a'), (0, 0x20), (b'a', 0x7f), (b'"', b'"')] {
                let other = place(&|byte| !(low..=high).contains(&byte));
                assert_eq!(first(HIGHEST & !in_range(bytes, low, high)), other, "{text:?} not in {low} to {high}");
            }
            for byte in *b"[\\\"\x01a\x7f" {
                assert_eq!(first(equal(bytes, byte)), place(&|other| other == byte), "{text:?} is {byte}");
                for at in 0..=text.len() {
                    let expected = text[at..].iter().position(|other| *other == byte).map(|place| at + place);
                    assert_eq!(position(&text, at, byte), expected, "{text:?} {byte} from {at}");
                }
            }
            for end in 0..=8 {
                let mask = if end < 8 { 0x80 << (8 * end) | 1 << 63 } else { 0 };
                let expected = HIGHEST & !u64::MAX.checked_shl(8 * end).unwrap_or(0);
                assert_eq!(before(HIGHEST, mask), expected, "{end}");
            }
        }
    }

    #[test]
    fn a_start_is_compared_to_its_end() {
        for text in texts() {
            for length in 0..=text.len() {
                assert!(starts_with(&text, &text[..length]));
                for changed in 0..length {
                    let mut start = text[..length].to_vec();
                    start[changed] ^= 0x80;
                    assert!(!starts_with(&text, &start));
                }
            }
            assert!(!starts_with(&text, &[&text[..], b"a"].concat()));
        }
    }
}
