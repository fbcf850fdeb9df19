//! Inputs with a vocabulary: control characters, which no text format needs, stand for whole words. So a seed is plain
//! text, and a random change of a byte can insert a meaningful word.

/// `data` with its control characters (except tab and line breaks) replaced by words.
pub fn spelled(data: &[u8], words: &[&str]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len());
    for &byte in data {
        match byte {
            b'\t' | b'\n' | b'\r' => text.push(byte),
            0..32 => text.extend_from_slice(words[usize::from(byte) % words.len()].as_bytes()),
            0x7f => text.push(0),
            _ => text.push(byte),
        }
    }
    text
}
