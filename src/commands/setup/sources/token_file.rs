//! Stores a token in a file that only its owner can read.

use std::io::{ErrorKind, Result, Write};
use std::path::Path;

use crate::system::file;

/// Writes the token into a new file under its final name, so that no other file ever holds the token.
pub fn write(path: &Path, token: &str) -> Result<()> {
    let directory = file::parent(path);
    file::create_directories(directory)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = file::create_private(path)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file::sync(&file)?;
    file::sync_directory(directory)
}
