//! The files of the ledger: `usage/sessions/ID` with a session's notes, and `usage/2026-11.jsonl` with a month.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;

use super::note::{Note, Notes, line};
use crate::state;
use crate::system::file::{self, Durability, OpenError};

/// The largest file that is read, in bytes. A month of heavy use has a twentieth of it.
const LARGEST: u64 = 32 << 20;
/// From this size on, in bytes, the notes of a live session are summed. The next time is at twice the size that is left.
const LONG: u64 = 256 << 10;
/// The ending of a month's file.
const ENDING: &str = ".jsonl";

/// The directory of the ledger.
pub fn directory(state: &Path) -> PathBuf {
    state.join("usage")
}

/// The directory of the notes.
pub fn sessions(state: &Path) -> PathBuf {
    directory(state).join("sessions")
}

/// The file of a session's notes.
pub fn notes(state: &Path, session: &str) -> PathBuf {
    sessions(state).join(session)
}

/// The sessions that have notes.
pub fn noted(state: &Path) -> io::Result<Vec<String>> {
    let entries = file::entries(&sessions(state))?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort_unstable();
    Ok(names)
}

/// The file of the month that begins on `first`.
pub fn month(state: &Path, first: Date) -> PathBuf {
    directory(state).join(format!("{}{ENDING}", first.strftime("%Y-%m")))
}

/// The first days of the months that have a file, in order.
pub fn months(state: &Path) -> io::Result<Vec<Date>> {
    let first = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        Date::strptime("%Y-%m-%d", format!("{}-01", name.strip_suffix(ENDING)?)).ok()
    };
    let mut months: Vec<Date> = file::entries(&directory(state))?.filter_map(first).collect();
    months.sort_unstable();
    Ok(months)
}

/// Reads one of the files; empty where there is none.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    match file::read_regular(path, LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        content => content,
    }
}

/// Replaces one of the files. It survives a crash of the system: a month has what no other file has any more.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    file::replace(path, content, 0o600, Durability::Synced)
}

/// Writes the notes of one session. It is not synced, because each export would wait for it.
#[derive(Debug)]
pub struct Notebook {
    state: PathBuf,
    session: String,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    /// Notes that could not be written. They are written before the next one.
    unwritten: Vec<u8>,
    /// The size at which the notes are summed.
    long: u64,
}

/// How many bytes of notes that can't be written are kept.
const UNWRITTEN: usize = 64 << 10;

impl Notebook {
    /// The notes of a session. Nothing is opened yet.
    pub fn of(state: &Path, session: &str) -> Self {
        let open = Mutex::new(Open { long: LONG, ..Open::default() });
        Self { state: state.to_owned(), session: session.to_owned(), open }
    }

    /// Adds a note. An error: it could not be written, and is written with the next one. Nothing else depends on it.
    pub fn note(&self, note: &Note) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.unwritten.len() < UNWRITTEN {
            line(&mut open.unwritten, note);
        }
        self.write(&mut open)
    }

    fn write(&self, open: &mut Open) -> io::Result<()> {
        // The state directory may have been removed meanwhile.
        let metadata = open.file.as_ref().and_then(|file| file.metadata().ok());
        let before = match metadata.filter(|metadata| metadata.nlink() > 0) {
            Some(metadata) => metadata.len(),
            None => open.file.insert(self.create()?).metadata()?.len(),
        };
        let Open { file: Some(file), unwritten, .. } = open else { return Ok(()) };
        if let Err(error) = file.write_all(unwritten) {
            // The disk may be full. All of it is written again later.
            file.set_len(before)?;
            return Err(error);
        }
        unwritten.clear();
        Ok(())
    }

    /// Writes what could not be written before.
    pub fn flush(&self) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.unwritten.is_empty() { Ok(()) } else { self.write(&mut open) }
    }

    /// Sums the notes about decided exports, where the file is long. Only the relay of a live session does that.
    pub fn shorten(&self) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = &open.file else { return Ok(()) };
        if old.metadata()?.len() < open.long {
            return Ok(());
        }
        let path = notes(&self.state, &self.session);
        let text = read(&path)?;
        let Some(summed) = Notes::read(&text).summed() else {
            open.long = u64::MAX;
            return Ok(());
        };
        file::replace(&path, &summed, 0o600, Durability::Unsynced)?;
        let mut new = self.create()?;
        // What another process has noted meanwhile.
        let mut late = vec![0; (old.metadata()?.len() as usize).saturating_sub(text.len())];
        old.read_exact_at(&mut late, text.len() as u64)?;
        new.write_all(&late)?;
        open.long = LONG.max(2 * summed.len() as u64);
        open.file = Some(new);
        Ok(())
    }

    fn create(&self) -> io::Result<File> {
        let path = notes(&self.state, &self.session);
        let open = || file::open(&path, File::options().read(true).append(true).create(true).mode(0o600));
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state::prepare(&self.state)?;
                state::make_private(&directory(&self.state))?;
                state::make_private(&sessions(&self.state))?;
                open()
            }
            result => result,
        }?;
        // A pipe that nobody reads is full after a while, and then keeps each export waiting.
        if opened.metadata()?.is_file() { Ok(opened) } else { Err(OpenError::Special.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disposition::Disposition;
    use super::super::row::Place;
    use super::super::share::Share;
    use super::*;
    use crate::claude::measured::Measured;
    use jiff::civil::date;

    fn arrived(number: u64) -> Note {
        let measured = Measured { points: 1, cost_usd: 0.5, ..Measured::default() };
        let share = Share { day: date(2026, 11, 28), model: Some("opus".to_owned()), measured };
        Note::of(number, Disposition::Waiting)
            .with(Place { alias: "billing".to_owned(), ..Place::default() }, vec![share])
    }

    fn points(state: &Path) -> u64 {
        let notes = Notes::read(&read(&notes(state, "s")).unwrap());
        assert!(notes.is_whole());
        notes.rows("s", |_, export| export.state).iter().map(|row| row.measured.points).sum()
    }

    #[test]
    fn the_notes_of_a_long_session_are_summed() {
        let state = tempfile::tempdir().unwrap();
        let notebook = Notebook::of(state.path(), "s");
        let mut largest = 0;
        for number in 0..6_000 {
            notebook.note(&arrived(number)).unwrap();
            if number % 7 != 0 {
                notebook.note(&Note::of(number, Disposition::Delivered)).unwrap();
            }
            notebook.shorten().unwrap();
            largest = largest.max(fs::metadata(notes(state.path(), "s")).unwrap().len());
        }
        assert_eq!(points(state.path()), 6_000);
        assert!(largest < 2 * LONG, "{largest}");
    }

    #[test]
    fn a_removed_directory_is_made_again_for_its_user_alone() {
        let state = tempfile::tempdir().unwrap();
        let notebook = Notebook::of(state.path(), "s");
        notebook.note(&arrived(0)).unwrap();
        fs::remove_dir_all(directory(state.path())).unwrap();
        notebook.note(&arrived(1)).unwrap();
        assert_eq!(points(state.path()), 1);
        for (path, mode) in [(sessions(state.path()), 0o700), (notes(state.path(), "s"), 0o600)] {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
        }
    }

    #[test]
    fn notes_are_written_to_a_file_of_the_ledger_and_to_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let notebook = Notebook::of(state.path(), "s");
        fs::create_dir_all(sessions(state.path())).unwrap();
        let path = notes(state.path(), "s");
        fs::write(state.path().join("mine"), "mine").unwrap();
        std::os::unix::fs::symlink(state.path().join("mine"), &path).unwrap();
        assert!(notebook.note(&arrived(0)).is_err());
        assert_eq!(fs::read(state.path().join("mine")).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(notebook.note(&arrived(1)).is_err());
        fs::remove_file(&path).unwrap();
        notebook.note(&arrived(2)).unwrap();
        assert_eq!(points(state.path()), 3);
    }

    #[test]
    fn what_can_t_be_written_is_written_with_the_next_note() {
        let state = tempfile::tempdir().unwrap();
        let notebook = Notebook::of(state.path(), "s");
        fs::write(directory(state.path()), "in the way").unwrap();
        assert!(notebook.note(&arrived(0)).is_err() && notebook.note(&arrived(1)).is_err());
        fs::remove_file(directory(state.path())).unwrap();
        notebook.note(&arrived(2)).unwrap();
        assert_eq!(points(state.path()), 3);
    }
}
