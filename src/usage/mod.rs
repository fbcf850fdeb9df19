//! The ledger: what was used, and what ACT has of it. `act usage` and others read it, and docs/usage.md describes its files.
//!
//! The relay notes each export that arrives, and whoever decides about an export notes that before the export leaves the spool
//! ([`files::Notebook`], [`decided`]). So a process that is killed at any moment loses no note of an export that claude was told is
//! stored, and no export is counted twice: a session's notes are about numbered exports. The notes of ended sessions are folded into
//! one file for each month ([`fold`]).

mod disposition;
pub mod files;
pub mod fold;
pub mod ledger;
pub mod month;
pub mod note;
pub mod ranges;
pub mod row;
pub mod share;

use std::path::Path;

use jiff::tz::TimeZone;

use crate::otlp;
use crate::state::record;
use crate::state::spool::{self, Header};
use files::Notebook;
use note::Note;

pub use disposition::Disposition;
pub use ledger::Ledger;
pub use row::{Place, Row};

/// Notes that an export, given by its name in the spool, is lost: its file is damaged.
pub fn lost(state: &Path, name: &str) {
    let Some(number) = spool::number_of(name) else { return };
    note(state, spool::session_of(name), &Note::of(number, Disposition::Lost));
}

/// How many days the rows keep their sessions.
pub const KEPT: i32 = 90;

/// Notes what became of an export that its session left, with all that is known of the export: its relay may have been killed before
/// it noted anything. `body` is empty where the export can't be read.
pub fn decided(state: &Path, header: &Header, body: &[u8], disposition: Disposition, rejected: u64) {
    let content = otlp::read(body).unwrap_or_default();
    let shares = share::of_export(&content.portions, &TimeZone::system(), header.captured);
    let directory = record::read(state, &header.session).map(|record| record.directory);
    let (alias, account) = (header.alias.clone(), header.account.clone());
    let place = Place { alias, account, directory, repository: None };
    let note = Note::of(header.sequence, disposition).rejecting(rejected).with(place, shares);
    self::note(state, &header.session, &note);
}

fn note(state: &Path, session: &str, note: &Note) {
    if let Err(error) = Notebook::of(state, session).note(note) {
        tracing::debug!(%error, session, "what was used can't be noted");
    }
}
