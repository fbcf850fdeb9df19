//! Notes what the session uses in the usage ledger, on its way.

use std::path::PathBuf;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::attribution;
use crate::config;
use crate::otlp::Content;
use crate::system::environment::Environment;
use crate::usage::files::Notebook;
use crate::usage::note::Note;
use crate::usage::{Disposition, Place, share};

/// The writer of one session's notes.
#[derive(Debug)]
pub struct Meter {
    notebook: Notebook,
    environment: Environment,
    /// The repository of the session's directory, read from git's files once.
    repository: OnceLock<Option<String>>,
}

impl Meter {
    /// The meter of a session, with the variables that its relay was started with.
    pub fn new(notebook: Notebook, environment: Environment) -> Self {
        Self { notebook, environment, repository: OnceLock::new() }
    }

    /// Notes an export that has arrived. Where it is not stored, it counts as lost until it is delivered.
    pub fn arrived(
        &self,
        sequence: u64,
        content: &Content,
        (alias, account): (&str, &str),
        directory: Option<PathBuf>,
        is_stored: bool,
    ) {
        let state = if is_stored { Disposition::Waiting } else { Disposition::Lost };
        let repository = self.repository.get_or_init(|| {
            let hosts = config::load(&self.environment).config.hosts;
            let host = |name: &str| hosts.get(name).map(|host| host.value.clone());
            attribution::repository(directory.as_deref()?, host, &self.environment)
        });
        let (alias, account) = (alias.to_owned(), account.to_owned());
        let place = Place { alias, account, directory, repository: repository.clone() };
        let shares = share::of_export(&content.portions, &TimeZone::system(), Timestamp::now());
        self.note(&Note::of(sequence, state).with(place, shares));
    }

    /// Notes what became of an export, before it leaves the spool.
    pub fn decided(&self, sequence: u64, disposition: Disposition, rejected: u64) {
        self.note(&Note::of(sequence, disposition).rejecting(rejected));
        if let Err(error) = self.notebook.shorten() {
            tracing::debug!(%error, "the notes of what was used stay long");
        }
    }

    /// Writes what could not be written before: the relay ends.
    pub fn finish(&self) {
        if let Err(error) = self.notebook.flush() {
            tracing::debug!(%error, "what was used can't be noted");
        }
    }

    fn note(&self, note: &Note) {
        // It is written with the next note. What never can be is known from the session's record.
        if let Err(error) = self.notebook.note(note) {
            tracing::debug!(%error, "what was used can't be noted");
        }
    }
}
