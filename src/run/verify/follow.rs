//! Reads a growing log: passes on the lines that match, in constant memory, whatever happens to the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use crate::system::file;

/// How many bytes are read at once; of a longer line only the first part is examined.
const CHUNK: usize = 256 * 1024;

/// A followed file.
pub struct Follow {
    path: PathBuf,
    pattern: &'static Regex,
    file: Option<Open>,
    /// The offset to start at in the current file.
    from: u64,
    buffer: Vec<u8>,
    filled: usize,
    /// Whether the rest of an overlong line is being skipped.
    skipping: bool,
}

struct Open {
    file: File,
    inode: u64,
    read: u64,
}

impl Follow {
    /// Follows `path`, which need not exist yet, from byte `from` on, for lines that match.
    pub fn new(path: &Path, from: u64, pattern: &'static Regex) -> Self {
        let path = path.to_path_buf();
        Self { path, pattern, file: None, from, buffer: vec![0; CHUNK], filled: 0, skipping: false }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads new text, and passes on each complete line that matches.
    pub fn read(&mut self, on_line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        if self.file.is_none() && !self.open()? {
            return Ok(());
        }
        self.drain(on_line)?;
        if self.is_replaced() {
            self.finish(on_line);
            self.file = None;
            if self.open()? {
                self.drain(on_line)?;
            }
        }
        Ok(())
    }

    /// Treats the text after the last line break as a line.
    pub fn finish(&mut self, on_line: &mut dyn FnMut(&[u8])) {
        if !self.skipping {
            scan(self.pattern, &self.buffer[..self.filled], on_line);
        }
        (self.filled, self.skipping) = (0, false);
    }

    fn open(&mut self) -> io::Result<bool> {
        let (mut file, metadata) = match file::open_regular_through_links(&self.path).map_err(io::Error::from) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let from = std::mem::take(&mut self.from).min(metadata.len());
        file.seek(SeekFrom::Start(from))?;
        self.file = Some(Open { file, inode: metadata.ino(), read: from });
        Ok(true)
    }

    /// Whether another file has replaced it.
    fn is_replaced(&self) -> bool {
        let now = std::fs::metadata(&self.path);
        matches!((&self.file, now), (Some(open), Ok(now)) if now.ino() != open.inode)
    }

    fn drain(&mut self, on_line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        if open.file.metadata()?.len() < open.read {
            // The file was truncated, so it is read from the start again.
            open.file.seek(SeekFrom::Start(0))?;
            open.read = 0;
            (self.filled, self.skipping) = (0, false);
        }
        loop {
            let count = open.file.read(&mut self.buffer[self.filled..])?;
            if count == 0 {
                return Ok(());
            }
            open.read += count as u64;
            let end = self.filled + count;
            let mut start = 0;
            if self.skipping {
                match memchr::memchr(b'\n', &self.buffer[..end]) {
                    Some(at) => (start, self.skipping) = (at + 1, false),
                    None => {
                        self.filled = 0;
                        continue;
                    }
                }
            }
            let complete = memchr::memrchr(b'\n', &self.buffer[start..end]).map_or(start, |at| start + at + 1);
            scan(self.pattern, &self.buffer[start..complete], on_line);
            self.buffer.copy_within(complete..end, 0);
            self.filled = end - complete;
            if self.filled == self.buffer.len() {
                scan(self.pattern, &self.buffer, on_line);
                (self.filled, self.skipping) = (0, true);
            }
        }
    }
}

/// Passes on each line of `text` that matches. The pattern is searched across lines, which is far faster than line by line.
fn scan(pattern: &Regex, text: &[u8], on_line: &mut dyn FnMut(&[u8])) {
    let mut at = 0;
    while let Some(found) = pattern.find_at(text, at) {
        let start = memchr::memrchr(b'\n', &text[..found.start()]).map_or(0, |end| end + 1);
        let end = memchr::memchr(b'\n', &text[found.end()..]).map_or(text.len(), |end| found.end() + end);
        on_line(&text[start..end]);
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(follow: &mut Follow) -> Vec<String> {
        let mut lines = Vec::new();
        follow.read(&mut |line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap();
        lines
    }

    fn followed(directory: &Path) -> Follow {
        Follow::new(&directory.join("log"), 0, crate::claude::debug_log::kept())
    }

    #[test]
    fn what_grep_would_keep_as_the_file_grows() {
        let directory = tempfile::tempdir().unwrap();
        let mut follow = followed(directory.path());
        assert_eq!(lines(&mut follow), [""; 0], "not there yet");
        let mut file = File::create(directory.path().join("log")).unwrap();
        write!(file, "one\ntwo METRICs\nthree Telemetry oTLP\nfour expor").unwrap();
        assert_eq!(lines(&mut follow), ["two METRICs", "three Telemetry oTLP"]);
        write!(file, "ter\nfive").unwrap();
        assert_eq!(lines(&mut follow), ["four exporter"]);
        write!(file, " metric").unwrap();
        assert_eq!(lines(&mut follow), [""; 0]);
        let mut rest = Vec::new();
        follow.finish(&mut |line| rest.push(line.to_vec()));
        assert_eq!(rest, [b"five metric"]);
    }

    #[test]
    fn truncated_and_replaced_files_are_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut follow = followed(directory.path());
        std::fs::write(&path, "a metric, and more of it\n").unwrap();
        assert_eq!(lines(&mut follow), ["a metric, and more of it"]);
        std::fs::write(&path, "b metric\n").unwrap();
        assert_eq!(lines(&mut follow), ["b metric"]);
        std::fs::write(directory.path().join("new"), "c metric\n").unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert_eq!(lines(&mut follow), ["c metric"]);
    }

    #[test]
    fn overlong_lines_do_not_grow_memory() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(CHUNK * 3);
        std::fs::write(directory.path().join("log"), format!("metric {long} metric\nb\nc otlp\n")).unwrap();
        let mut follow = followed(directory.path());
        let lines = lines(&mut follow);
        assert_eq!((lines.len(), lines[0].len(), lines[1].as_str()), (2, CHUNK, "c otlp"));
        assert_eq!(follow.buffer.len(), CHUNK);
    }
}
