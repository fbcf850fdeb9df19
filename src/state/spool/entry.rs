//! The format of a spool file (pure).

use std::io::{self, BufRead, BufReader, Read};

use jiff::Timestamp;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::shared::Shared;

const MAGIC: &str = "act-claude-export/";
/// The version of the format that is written and read.
pub const VERSION: u32 = 1;
/// Written over the beginning of a file that ACT has, and that could be neither unlinked nor renamed.
pub const DELIVERED: &[u8] = b"act-claude-delivered\n";
/// The greatest length of the first and of the second line, in bytes.
pub const LONGEST_HEAD: usize = 16 * 1024;

/// The greatest size of a file, in bytes. No file is written that could not be read again.
pub const LARGEST_FILE: u64 = 24 << 20;
/// The greatest length of a body: with the longest header the file has its greatest size.
pub const LONGEST_BODY: usize = LARGEST_FILE as usize - LONGEST_HEAD - LONGEST_FIRST_LINE;
/// The format's name, version, digest and the end of the line.
const LONGEST_FIRST_LINE: usize = MAGIC.len() + 10 + 1 + 64 + 1;

/// What an export is, and where it may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The session's id.
    pub session: String,
    /// Its number in the session.
    pub sequence: u64,
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// The metrics URL it was captured for.
    pub endpoint: String,
    /// The user it was captured for.
    pub user: String,
    /// Its data points.
    pub points: u64,
    /// When it was captured.
    pub captured: Timestamp,
    /// Of a copy: how its body is made from ACT's file. Then this file has no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

/// Why a file can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its content is not what was written.
    Corrupt,
    /// A newer act-claude wrote it, with this version of the format.
    Newer(u32),
    /// ACT has it; it could not be removed.
    Delivered,
    /// It does not exist.
    Gone,
    /// It can't be read now; its content may be intact.
    Unreadable(Errno),
}

/// The part before the body. A header that is too long to be read again is an error.
pub fn head(header: &Header, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut second = serde_json::to_vec(header)?;
    second.push(b'\n');
    if second.len() > LONGEST_HEAD {
        return Err(io::Error::other("the names of account and alias and the endpoint are too long"));
    }
    if body.len() > LONGEST_BODY {
        return Err(io::Error::other(format!("an export is larger than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(compose(&second, body))
}

/// Both lines before the body, made from the second line and the body.
pub(super) fn compose(second: &[u8], body: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(second).chain_update(body).finalize();
    let mut head = format!("{MAGIC}{VERSION} {digest:x}\n").into_bytes();
    head.extend_from_slice(second);
    head
}

/// Parses a file: its header, and the offset of the body. Every byte is checked.
pub fn read(bytes: &[u8]) -> Result<(Header, usize), Fault> {
    let (digest, rest) = first_line(bytes)?;
    if format!("{:x}", Sha256::digest(rest)) != digest {
        return Err(Fault::Corrupt);
    }
    let (header, body) = second_line(rest)?;
    Ok((header, bytes.len() - body.len()))
}

/// What is wrong with a file of any size: its format or its checksum.
pub fn check(file: impl Read) -> io::Result<Result<(), Fault>> {
    let mut file = BufReader::new(file);
    let mut first = Vec::new();
    (&mut file).take(LONGEST_HEAD as u64).read_until(b'\n', &mut first)?;
    let digest = match first_line(&first) {
        Ok((digest, [])) => digest,
        Ok(_) => return Ok(Err(Fault::Corrupt)),
        Err(fault) => return Ok(Err(fault)),
    };
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(if format!("{:x}", hasher.finalize()) == digest { Ok(()) } else { Err(Fault::Corrupt) })
}

/// The header at the beginning of a file, without a check of the checksum. It serves to list exports, not to send them.
pub fn peek(beginning: &[u8]) -> Result<Header, Fault> {
    Ok(second_line(first_line(beginning)?.1)?.0)
}

fn first_line(bytes: &[u8]) -> Result<(&str, &[u8]), Fault> {
    if bytes.starts_with(DELIVERED) {
        return Err(Fault::Delivered);
    }
    let (line, rest) = split_line(bytes)?;
    let line = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC)).ok_or(Fault::Corrupt)?;
    let (version, digest) = line.split_once(' ').unwrap_or((line, ""));
    match version.parse::<u32>() {
        // "+1" and "01" are never written, so they are corrupt: every byte is checked.
        Ok(number) if number.to_string() != version => Err(Fault::Corrupt),
        Ok(VERSION) => Ok((digest, rest)),
        Ok(newer) if newer > VERSION => Err(Fault::Newer(newer)),
        _ => Err(Fault::Corrupt),
    }
}

fn second_line(rest: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let (line, body) = split_line(rest)?;
    Ok((serde_json::from_slice(line).map_err(|_| Fault::Corrupt)?, body))
}

fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let searched = &bytes[..bytes.len().min(LONGEST_HEAD)];
    let end = searched.iter().position(|&byte| byte == b'\n').ok_or(Fault::Corrupt)?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

/// The header of some export, for tests.
#[cfg(test)]
pub(super) fn sample(session: &str, sequence: u64) -> Header {
    Header {
        session: session.to_owned(),
        sequence,
        alias: "billing".to_owned(),
        account: "acme".to_owned(),
        endpoint: "https://act.example/m".to_owned(),
        user: "u@x".to_owned(),
        points: 3,
        captured: Timestamp::UNIX_EPOCH,
        shared: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (Header, Vec<u8>) {
        let header = sample("s", 7);
        let mut bytes = head(&header, b"{\"body\":\n1}").unwrap();
        bytes.extend_from_slice(b"{\"body\":\n1}");
        (header, bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let (header, bytes) = file();
        let (read, at) = read(&bytes).unwrap();
        assert_eq!((&read, &bytes[at..]), (&header, &b"{\"body\":\n1}"[..]));
        assert_eq!(peek(&bytes[..at]), Ok(header));
    }

    #[test]
    fn b8_cut_at_each_byte_and_every_bit_flipped() {
        let (_, bytes) = file();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Err(Fault::Corrupt), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        let mut longer = bytes.clone();
        longer.push(b' ');
        assert_eq!(read(&longer), Err(Fault::Corrupt));
    }

    #[test]
    fn b1_what_could_not_be_read_again_is_not_written() {
        let (mut header, _) = file();
        header.alias = String::new();
        let rest = serde_json::to_vec(&header).unwrap().len() + 1;
        header.alias = "a".repeat(LONGEST_HEAD - rest);
        assert_eq!(read(&head(&header, b"").unwrap()).unwrap().0, header);
        header.alias.push('a');
        assert!(head(&header, b"").is_err());
    }

    #[test]
    fn b1_long_names_and_urls_are_written() {
        let (mut header, _) = file();
        header.endpoint = format!("https://act.example/{}", "m".repeat(12_000));
        let head = head(&header, b"{}").unwrap();
        assert_eq!(peek(&head), Ok(header));
    }

    #[test]
    fn the_version_has_one_spelling() {
        let (_, bytes) = file();
        let text = String::from_utf8(bytes).unwrap();
        for other in ["+1", "01"] {
            assert_eq!(read(text.replacen("/1 ", &format!("/{other} "), 1).as_bytes()), Err(Fault::Corrupt));
        }
    }

    #[test]
    fn a_newer_format_is_known_as_such() {
        assert_eq!(read(b"act-claude-export/2 whatever it may be\n"), Err(Fault::Newer(2)));
        assert_eq!(read(b"act-claude-export/0 x\n"), Err(Fault::Corrupt));
        assert_eq!(read(b"\n\n"), Err(Fault::Corrupt));
    }

    #[test]
    fn what_is_marked_as_delivered_is_never_sent_again() {
        let (_, mut bytes) = file();
        bytes[..DELIVERED.len()].copy_from_slice(DELIVERED);
        assert_eq!((read(&bytes), peek(&bytes)), (Err(Fault::Delivered), Err(Fault::Delivered)));
        // A marker that a crash left incomplete, or with wrong bits, never makes an export.
        for length in 1..DELIVERED.len() {
            let (_, mut half) = file();
            half[..length].copy_from_slice(&DELIVERED[..length]);
            assert_eq!(read(&half).is_err(), length > "act-claude-".len(), "{length}");
        }
    }
}
