//! A rehearsal on this machine.
//!
//! It has a temporary home with two directories and two accounts ([`sandbox`]), a local ACT ([`crate::rehearsal::receiver`]), and
//! claude, which this program starts in the usual way ([`session`]). Claude is the real one with a stand-in for the Messages API
//! ([`messages`]), or a stand-in itself ([`stand_in`]). Then what claude says it used is compared with what ACT received
//! ([`compare`], [`check`]), and the result is printed ([`words`]).

pub mod check;
pub mod children;
pub mod claude;
pub mod compare;
pub mod messages;
pub mod sandbox;
pub mod session;
pub mod stand_in;
pub mod words;

use std::fmt::Write;
use std::io;

/// `N` random bytes.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Random hexadecimal digits, two for each of the `N` bytes.
fn random_hex<const N: usize>() -> io::Result<String> {
    Ok(random::<N>()?.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// A random UUID (version 4).
fn uuid() -> io::Result<String> {
    let mut bytes = random::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn uuids_have_their_form_and_differ() {
        let (one, other) = (super::uuid().unwrap(), super::uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>(), [8, 13, 18, 23]);
        assert!(one[14..].starts_with('4') && "89ab".contains(&one[19..20]), "{one}");
    }
}
