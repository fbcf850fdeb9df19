//! This program itself, under whatever name (promise A21).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::system::inherited;

/// What is in every copy of this program, so that a copy is told from the real claude (promise A21). On Linux an ELF
/// note, which linkers put into a program's first page: one read tells. The program has it, not the library: another
/// program with the library in it, such as a test, is none of its copies.
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
    /// This program's.
    pub const OURS: Self =
        Self { name_size: 11, description_size: 20, kind: 1, name: *b"act-claude\0\0", description: *TEXT };
}

/// The note's description, which is looked for.
const TEXT: &[u8; 20] = b"launcher, not claude";

/// How far into a file the mark is looked for: a page; elsewhere, as far as a copy can be long.
const MARKED: u64 = if cfg!(target_os = "linux") { 4096 } else { 64 * 1024 * 1024 };

/// The running program's own file. Where `/proc` is not mounted, the path it was executed by.
pub fn own_file() -> PathBuf {
    const LINK: &str = "/proc/self/exe";
    if cfg!(target_os = "linux") {
        if fs::symlink_metadata(LINK).is_ok() { LINK.into() } else { inherited::executed_path().unwrap_or_default() }
    } else {
        std::env::current_exe().unwrap_or_default()
    }
}

/// A file: device and inode.
pub type Identity = (u64, u64);

/// Which file `path` leads to.
pub fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether `path` is this program, under whatever name, or a copy of it.
pub fn is_ourselves(path: &Path) -> bool {
    static OWN: OnceLock<Option<Identity>> = OnceLock::new();
    // Opened, a FIFO would wait for a writer.
    let Some(metadata) = fs::metadata(path).ok().filter(|metadata| metadata.is_file()) else { return false };
    let own = OWN.get_or_init(|| identity(&own_file()));
    *own == Some((metadata.dev(), metadata.ino())) || holds_mark(path)
}

fn holds_mark(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut start = Vec::with_capacity(4096);
    let read = file.take(MARKED).read_to_end(&mut start);
    read.is_ok() && !start.starts_with(b"#!") && contains(&start, &[b"act-claude\0\0", &TEXT[..]].concat())
}

/// By hand: memchr first asks the processor what it can do, which takes longer than this does, above all where a hypervisor
/// answers for it.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    (0..text.len()).any(|at| text[at] == part[0] && text[at..].starts_with(part))
}
