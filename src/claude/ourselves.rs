//! Recognises this program itself, under any name (promise A21).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::system::inherited;

/// The mark in every copy of this program, which tells a copy from the real claude (promise A21). On Linux it is an ELF note,
/// which linkers put into a program's first page, so that one read is enough. On macOS it is the section [`SECTION`], whose name
/// is in the first pages. The program contains it, not the library: another program with the library in it, such as a test, is
/// not a copy.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Mark {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 12],
    description: [u8; 20],
}

impl Mark {
    /// This program's mark.
    pub const OURS: Self =
        Self { name_size: 11, description_size: 20, kind: 1, name: *b"act-claude\0\0", description: *TEXT };
}

/// The note's description, which files are searched for.
const TEXT: &[u8; 20] = b"launcher, not claude";

/// How the script begins that stands for this program where a package manager may not put the program itself on PATH
/// (`shell/npm-package/stub`). It does nothing but start this program.
const STUB: &[u8] = b"#!/bin/sh\n# act-claude: launcher, not claude\n";

/// The segment and the section of the mark on macOS.
pub const SECTION: &str = "__TEXT,__act_claude";

/// The running program's own file. Where `/proc` is not mounted, the path by which it was executed.
pub fn own_file() -> PathBuf {
    const LINK: &str = "/proc/self/exe";
    if cfg!(target_os = "linux") {
        if fs::symlink_metadata(LINK).is_ok() { LINK.into() } else { inherited::executed_path().unwrap_or_default() }
    } else {
        std::env::current_exe().unwrap_or_default()
    }
}

/// The identity of a file: device and inode.
pub type Identity = (u64, u64);

/// The identity of the file that `path` leads to.
pub fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether `path` is this program, under whatever name, or a copy of it.
pub fn is_ourselves(path: &Path) -> bool {
    static OWN: OnceLock<Option<Identity>> = OnceLock::new();
    // Only regular files are opened: opening a FIFO would wait for a writer.
    let Some(metadata) = fs::metadata(path).ok().filter(|metadata| metadata.is_file()) else { return false };
    let own = OWN.get_or_init(|| identity(&own_file()));
    *own == Some((metadata.dev(), metadata.ino())) || holds_mark(path)
}

#[cfg(target_os = "linux")]
fn holds_mark(path: &Path) -> bool {
    use std::io::Read;
    /// How many bytes of a file are searched: a page.
    const MARKED: u64 = 4096;
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut start = Vec::with_capacity(4096);
    let read = file.take(MARKED).read_to_end(&mut start);
    let is_marked = match start.starts_with(b"#!") {
        true => start.starts_with(STUB),
        false => contains(&start, &[b"act-claude\0\0", &TEXT[..]].concat()),
    };
    read.is_ok() && is_marked
}

#[cfg(not(target_os = "linux"))]
fn holds_mark(path: &Path) -> bool {
    use std::os::unix::fs::FileExt;
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut start = [0; STUB.len()];
    if file.read_exact_at(&mut start, 0).is_ok() && start == *STUB {
        return true;
    }
    let (_, name) = SECTION.split_once(',').unwrap_or_default();
    super::macho::has_section(|offset, buffer| file.read_at(buffer, offset).unwrap_or(0), name.as_bytes())
}

/// Searches without memchr, which first asks the processor for its features. That takes longer than this search, above all where a
/// hypervisor answers.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    (0..text.len()).any(|at| text[at] == part[0] && text[at..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stub_is_recognised_and_no_other_script() {
        let stub = include_bytes!("../../shell/npm-package/stub");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("claude");
        for (content, expected) in [
            (&stub[..], true),
            (STUB, true),
            (b"#!/bin/sh\nexec act-claude \"$@\"\n", false),
            (b"#!/bin/sh\n\n# act-claude: launcher, not claude\n", false),
            (b"#!/bin/sh\n# act-claude: launcher, not claude, for our team\n", false),
            (b"# act-claude: launcher, not claude\n", false),
            (b"", false),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(is_ourselves(&file), expected, "{}", String::from_utf8_lossy(content));
        }
    }
}
