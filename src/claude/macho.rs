//! Finds a section by its name in a program of macOS (Mach-O): the names of all sections are in the program's first pages, so the
//! program itself, which may have hundreds of megabytes, is not read (pure, but for the `read` that is passed in).

/// The magic number of a program for one 64-bit processor, as it is written there.
const ONE: [u8; 4] = 0xfeed_facf_u32.to_le_bytes();
/// The magic numbers of a universal program, with 32-bit and with 64-bit offsets.
const UNIVERSAL: [[u8; 4]; 2] = [0xcafe_babe_u32.to_be_bytes(), 0xcafe_babf_u32.to_be_bytes()];
/// More programs than this are in no universal one. Java's classes have the same magic number, and there a larger number.
const MOST_PROGRAMS: u32 = 16;
/// The header of a program for one processor; the load commands follow it.
const HEADER: usize = 32;
/// `LC_SEGMENT_64`
const SEGMENT: u32 = 0x19;
/// The lengths of that command without its sections, and of a section.
const SEGMENT_HEADER: usize = 72;
const SECTION: usize = 80;
/// How much is read at once: the header and the load commands of most programs.
const FIRST: usize = 16 * 1024;
/// More load commands than this are not read.
const LONGEST: usize = 256 * 1024;

/// Whether a program has the section `name`. `read` fills the buffer from an offset on, and returns how much there was.
pub fn has_section(read: impl Fn(u64, &mut [u8]) -> usize, name: &[u8]) -> bool {
    let read = |offset, length| {
        let mut bytes = vec![0; length];
        let count = read(offset, &mut bytes);
        bytes.truncate(count);
        bytes
    };
    let start = read(0, FIRST);
    let of_one =
        |offset| load_commands(read(offset, FIRST), |length| read(offset, length)).is_some_and(|it| names(&it, name));
    match programs(&start) {
        Some(offsets) => offsets.into_iter().any(of_one),
        None => load_commands(start, |length| read(0, length)).is_some_and(|it| names(&it, name)),
    }
}

/// The offsets of the programs in a universal one; `None` where it is none.
fn programs(start: &[u8]) -> Option<Vec<u64>> {
    let magic = start.first_chunk::<4>().filter(|magic| UNIVERSAL.contains(magic))?;
    let is_wide = *magic == UNIVERSAL[1];
    let number = |at: usize| Some(u32::from_be_bytes(*start.get(at..)?.first_chunk()?));
    let count = number(4).filter(|count| *count <= MOST_PROGRAMS)?;
    let offset = |index: u32| {
        let at = 8 + index as usize * if is_wide { 32 } else { 20 } + 8;
        match is_wide {
            true => Some(u64::from_be_bytes(*start.get(at..)?.first_chunk()?)),
            false => number(at).map(u64::from),
        }
    };
    Some((0..count).filter_map(offset).collect())
}

/// The load commands of a program for one processor that begins with `start`. `read` reads more of its beginning.
fn load_commands(start: Vec<u8>, read: impl Fn(usize) -> Vec<u8>) -> Option<Vec<u8>> {
    start.starts_with(&ONE).then_some(())?;
    let end = HEADER + usize::try_from(number(&start, 20)?).ok().filter(|length| *length <= LONGEST)?;
    let bytes = if end <= start.len() { start } else { read(end) };
    Some(bytes.get(HEADER..end)?.to_vec())
}

/// Whether one of the segments has a section of this name.
fn names(mut commands: &[u8], name: &[u8]) -> bool {
    while let (Some(kind), Some(length)) = (number(commands, 0), number(commands, 4)) {
        let length = length as usize;
        // A command is at least as long as these two numbers.
        let (8.., Some(command)) = (length, commands.get(..length)) else { return false };
        if kind == SEGMENT {
            let sections = command.get(SEGMENT_HEADER..).unwrap_or_default().chunks_exact(SECTION);
            if sections.map(|section| &section[..16]).any(|it| it.strip_prefix(name).is_some_and(is_filling)) {
                return true;
            }
        }
        commands = &commands[length..];
    }
    false
}

fn is_filling(rest: &[u8]) -> bool {
    rest.iter().all(|&byte| byte == 0)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"__act_claude";

    /// A program for one processor with these sections, after another command with `filling` bytes, which repeat the name.
    fn program(sections: &[&str], filling: usize) -> Vec<u8> {
        let mut segment = vec![0; SEGMENT_HEADER];
        for section in sections {
            let mut header = section.as_bytes().to_vec();
            header.resize(SECTION, 0);
            segment.extend(header);
        }
        let command = |kind: u32, content: &[u8]| {
            let mut bytes = content.to_vec();
            bytes[..4].copy_from_slice(&kind.to_le_bytes());
            bytes[4..8].copy_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
            bytes
        };
        let other: Vec<u8> =
            [0; 8].into_iter().chain(NAME.iter().chain(&[0; 4]).copied().cycle().take(filling)).collect();
        let commands = [command(0x1b, &other), command(SEGMENT, &segment)].concat();
        let mut bytes = ONE.to_vec();
        bytes.resize(HEADER, 0);
        bytes[20..24].copy_from_slice(&u32::try_from(commands.len()).unwrap().to_le_bytes());
        [bytes, commands, b"__act_claude code".to_vec()].concat()
    }

    fn universal(programs: &[Vec<u8>], is_wide: bool) -> Vec<u8> {
        let magic = UNIVERSAL[usize::from(is_wide)];
        let mut bytes = [&magic[..], &u32::try_from(programs.len()).unwrap().to_be_bytes()].concat();
        let mut at = 4096_u32;
        for program in programs {
            bytes.extend([0; 8]);
            match is_wide {
                true => bytes.extend([&u64::from(at).to_be_bytes()[..], &[0; 16]].concat()),
                false => bytes.extend([&at.to_be_bytes()[..], &[0; 8]].concat()),
            }
            at += u32::try_from(program.len()).unwrap().next_multiple_of(4096);
        }
        for program in programs {
            bytes.resize(bytes.len().next_multiple_of(4096), 0);
            bytes.extend(program);
        }
        bytes
    }

    fn is_found(bytes: &[u8]) -> bool {
        let read = |offset: u64, buffer: &mut [u8]| {
            let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        };
        has_section(read, NAME)
    }

    #[test]
    fn a_section_is_found_by_its_name() {
        let ours = || program(&["__text", "__act_claude"], 0);
        let other = || program(&["__text", "__act_claude2", "__act_claud", ""], 0);
        assert!(is_found(&ours()) && !is_found(&other()));
        assert!(is_found(&program(&["__act_claude"], 50_000)), "behind more commands than are read at once");
        assert!(!is_found(&program(&["__text"], 1000)), "in a command that has no sections");
        for is_wide in [false, true] {
            assert!(is_found(&universal(&[other(), ours()], is_wide)), "{is_wide}");
            assert!(is_found(&universal(&[ours(), other()], is_wide)), "{is_wide}");
            assert!(!is_found(&universal(&[other(), other()], is_wide)), "{is_wide}");
            assert!(!is_found(&universal(&[], is_wide)), "{is_wide}");
        }
    }

    #[test]
    fn what_is_no_program_or_damaged_has_none() {
        let java = [&UNIVERSAL[0][..], &65_u32.to_be_bytes(), NAME].concat();
        for bytes in [&b""[..], b"#!/bin/sh\n__act_claude\n", b"\x7fELF __act_claude", &java, &ONE] {
            assert!(!is_found(bytes), "{bytes:?}");
        }
        let whole = program(&["__text", "__act_claude"], 0);
        let end = whole.len() - b"__act_claude code".len();
        (0..end).for_each(|length| assert!(!is_found(&whole[..length]), "{length}"));
        // A command without a length, which would be read for ever, and one that is longer than all.
        for length in [0_u32, 7, u32::MAX] {
            let mut bytes = program(&["__act_claude"], 0);
            bytes[HEADER + 4..HEADER + 8].copy_from_slice(&length.to_le_bytes());
            assert!(!is_found(&bytes), "{length}");
        }
    }
}
