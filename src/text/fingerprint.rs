//! A short number for a text, the same in every build: names of files and notes outlive an upgrade, and the standard library's hasher
//! may change with each compiler. It protects against nothing: whoever wants two texts with the same number finds them.

/// FNV-1a, 64 bits (RFC 9923).
pub fn of(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The number of several texts. A text ends where the next one begins: `["a", "bc"]` is another one than `["ab", "c"]`.
pub fn of_all(texts: &[&[u8]]) -> u64 {
    let lengths = texts.iter().flat_map(|text| (text.len() as u64).to_le_bytes());
    of(&lengths.chain(texts.concat()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_in_every_build() {
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(b"foobar"), 0x8594_4171_f739_67e8);
        assert_ne!(of_all(&[b"a", b"bc"]), of_all(&[b"ab", b"c"]));
    }
}
