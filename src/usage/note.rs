//! A session's notes: one about each export that arrives, and one about each that is decided (pure).
//!
//! The notes of a session stand in one file, one on each line, in the order in which they were written. A process that is killed
//! leaves at most one unfinished line.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::disposition::Disposition;
use super::ranges::Ranges;
use super::row::{Place, Row};
use super::share::{self, Share};

/// The version of the format.
pub const VERSION: u32 = 1;

/// What is noted about an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// [`VERSION`]
    v: u32,
    /// The export's number in its session.
    pub seq: u64,
    /// What became of it.
    pub state: Disposition,
    /// How many of its points ACT rejected although it accepted the export.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Where it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What was used.
    #[serde(default, rename = "use", skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Note {
    /// A note that says only what became of an export.
    pub fn of(seq: u64, state: Disposition) -> Self {
        Self { v: VERSION, seq, state, rejected: 0, place: None, shares: Vec::new() }
    }

    /// A note with what was used.
    pub fn with(self, place: Place, shares: Vec<Share>) -> Self {
        Self { place: Some(place), shares, ..self }
    }

    /// A note with the number of points that ACT rejected.
    pub fn rejecting(self, rejected: u64) -> Self {
        Self { rejected, ..self }
    }
}

/// The notes about decided exports of a long session, in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    v: u32,
    /// The exports' numbers.
    seqs: Ranges,
    place: Place,
    sums: BTreeMap<Disposition, Vec<Share>>,
}

/// An export, by all notes about it.
#[derive(Debug, Clone, PartialEq)]
pub struct NotedExport {
    /// What became of it.
    pub state: Disposition,
    /// How many of its points ACT rejected.
    pub rejected: u64,
    /// Where it was used.
    pub place: Place,
    /// What was used.
    pub shares: Vec<Share>,
}

/// All that a session's notes say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    /// The exports by number, but for those in `sums`.
    pub exports: BTreeMap<u64, NotedExport>,
    sums: Vec<Sum>,
    /// How many lines can't be read.
    pub damaged: u64,
    /// How many lines a newer act-claude wrote.
    pub newer: u64,
}

impl Notes {
    /// Reads a file.
    pub fn read(text: &[u8]) -> Self {
        let mut notes = Self::default();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Note>(line) {
                Ok(note) if note.v == VERSION => notes.add(note),
                _ => notes.add_other(line),
            }
        }
        notes
    }

    fn add_other(&mut self, line: &[u8]) {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        match serde_json::from_slice::<Sum>(line) {
            Ok(sum) if sum.v == VERSION => self.sums.push(sum),
            _ => match serde_json::from_slice(line) {
                Ok(Versioned { v }) if v > VERSION => self.newer += 1,
                _ => self.damaged += 1,
            },
        }
    }

    fn add(&mut self, note: Note) {
        if self.is_summed(note.seq) {
            return;
        }
        let Note { seq, state, rejected, place, shares, .. } = note;
        let export = self.exports.entry(seq).or_insert_with(|| NotedExport {
            state,
            rejected,
            place: Place::default(),
            shares: Vec::new(),
        });
        if export.state.then(state) == state {
            (export.state, export.rejected) = (state, rejected);
        }
        // A later note may be about the same export after redaction.
        if export.shares.is_empty() {
            export.shares = shares;
        }
        if let Some(place) = place {
            let Place { directory, repository, .. } = export.place.clone();
            export.place = Place {
                directory: place.directory.or(directory),
                repository: place.repository.or(repository),
                ..place
            };
        }
    }

    /// Whether every line could be read.
    pub fn is_whole(&self) -> bool {
        self.damaged == 0 && self.newer == 0
    }

    /// Whether there is a note about this export.
    pub fn knows(&self, seq: u64) -> bool {
        self.exports.contains_key(&seq) || self.is_summed(seq)
    }

    fn is_summed(&self, seq: u64) -> bool {
        self.sums.iter().any(|sum| sum.seqs.contains(seq))
    }

    /// The same notes in fewer lines: those about decided exports become sums. Returns nothing where lines can't be read, which must
    /// stay.
    pub fn summed(&self) -> Option<Vec<u8>> {
        if !self.is_whole() {
            return None;
        }
        let mut sums = self.sums.clone();
        let mut text = Vec::new();
        for (seq, export) in &self.exports {
            let NotedExport { state, rejected, place, shares } = export;
            if !state.is_decided() {
                let note = Note::of(*seq, *state).rejecting(*rejected).with(place.clone(), shares.clone());
                line(&mut text, &note);
                continue;
            }
            let at = sums.iter().position(|sum| sum.place == *place).unwrap_or_else(|| {
                sums.push(Sum { v: VERSION, seqs: Ranges::default(), place: place.clone(), sums: BTreeMap::new() });
                sums.len() - 1
            });
            sums[at].seqs.insert(*seq);
            let of_state = sums[at].sums.entry(*state).or_default();
            shares_of(export).into_iter().for_each(|more| share::add(of_state, more));
        }
        let mut summed = Vec::new();
        sums.iter().for_each(|sum| line(&mut summed, sum));
        summed.extend(text);
        Some(summed)
    }

    /// The rows of the session. `state` says what became of an export that no note has decided.
    pub fn rows(&self, session: &str, state: impl Fn(u64, &NotedExport) -> Disposition) -> Vec<Row> {
        let mut rows = Vec::new();
        let session: Arc<str> = session.into();
        let mut add = |disposition, place: &Arc<Place>, share: Share| {
            let Share { day, model, measured } = share;
            let (session, place) = (Some(session.clone()), place.clone());
            rows.push(Row { day, session, place, model: model.map(Arc::from), disposition, measured });
        };
        for Sum { place, sums, .. } in &self.sums {
            let place = &Arc::new(place.clone());
            for (disposition, shares) in sums {
                shares.iter().for_each(|share| add(*disposition, place, share.clone()));
            }
        }
        for (seq, export) in &self.exports {
            let disposition = if export.state.is_decided() { export.state } else { state(*seq, export) };
            let place = &Arc::new(export.place.clone());
            shares_of(export).into_iter().for_each(|share| add(disposition, place, share));
        }
        rows
    }
}

/// The shares of an export, with its rejected points at the first ones: ACT does not say which points they are. None has more of them
/// than points: what ACT rejects of an export is never subtracted from another one.
fn shares_of(export: &NotedExport) -> Vec<Share> {
    let mut shares = export.shares.clone();
    let mut left = export.rejected;
    for Share { measured, .. } in &mut shares {
        measured.rejected = left.min(measured.points);
        left -= measured.rejected;
    }
    shares
}

/// Adds a line. It begins with the end of a line, because the line before may be unfinished.
pub(super) fn line(text: &mut Vec<u8>, written: &impl Serialize) {
    text.push(b'\n');
    if serde_json::to_writer(&mut *text, written).is_err() {
        text.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::measured::Measured;
    use jiff::civil::date;

    fn place(alias: &str) -> Place {
        Place { alias: alias.to_owned(), account: "acme".to_owned(), directory: Some("/w".into()), repository: None }
    }

    fn used(points: u64) -> Vec<Share> {
        let measured = Measured { points, cost_usd: points as f64, ..Measured::default() };
        vec![Share { day: date(2026, 11, 28), model: None, measured }]
    }

    fn written(notes: &[Note]) -> Vec<u8> {
        let mut text = Vec::new();
        notes.iter().for_each(|note| line(&mut text, note));
        text
    }

    fn points(notes: &Notes) -> Vec<(Disposition, String, u64, u64)> {
        let rows = notes.rows("s", |_, _| Disposition::UnderWay);
        let mut points: Vec<_> = rows
            .into_iter()
            .map(|row| (row.disposition, row.place.alias.clone(), row.measured.points, row.measured.rejected))
            .collect();
        points.sort();
        points
    }

    fn session() -> Vec<Note> {
        use Disposition::{Delivered, Discarded, Lost, Partial, Waiting};
        vec![
            Note::of(0, Waiting).with(place("a"), used(1)),
            Note::of(0, Delivered),
            Note::of(1, Waiting).with(place("a"), used(2)),
            Note::of(1, Partial).rejecting(1),
            Note::of(2, Waiting).with(place("a"), used(4)),
            // Delivered later under another alias, by a process that does not know the repository.
            Note::of(2, Delivered).with(Place { directory: None, ..place("b") }, used(3)),
            Note::of(3, Waiting).with(place("a"), used(8)),
            Note::of(3, Discarded),
            Note::of(3, Lost),
            Note::of(4, Lost).with(place("a"), used(16)),
            Note::of(5, Waiting).with(place("a"), used(32)),
            // A second delivery.
            Note::of(0, Delivered),
        ]
    }

    #[test]
    fn each_export_is_counted_once_and_where_it_is() {
        use Disposition::{Delivered, Discarded, Partial, UnderWay};
        let notes = Notes::read(&written(&session()));
        let expected = [
            (Delivered, "a".to_owned(), 1, 0),
            (Delivered, "b".to_owned(), 4, 0),
            (Partial, "a".to_owned(), 2, 1),
            (UnderWay, "a".to_owned(), 16, 0),
            (UnderWay, "a".to_owned(), 32, 0),
            (Discarded, "a".to_owned(), 8, 0),
        ];
        assert_eq!(points(&notes), expected);
        assert_eq!(notes.exports[&2].place.directory, Some("/w".into()));
        assert!(notes.knows(5) && !notes.knows(6) && notes.is_whole());
    }

    #[test]
    fn no_more_points_are_rejected_than_an_export_has() {
        let shares = || [used(2), used(3)].concat();
        for (rejected, expected) in [(0, [0, 0]), (1, [1, 0]), (4, [2, 2]), (u64::MAX, [2, 3])] {
            let note = Note::of(0, Disposition::Partial).rejecting(rejected).with(place("a"), shares());
            let notes = Notes::read(&written(&[note]));
            let of_rows: Vec<u64> = points(&notes).into_iter().map(|(_, _, _, rejected)| rejected).collect();
            assert_eq!(of_rows, expected, "{rejected}");
        }
    }

    #[test]
    fn sums_say_the_same_and_a_repetition_counts_once() {
        let notes = Notes::read(&written(&session()));
        let mut text = notes.summed().unwrap();
        let by_state = |notes: &Notes| {
            let mut sums: BTreeMap<_, u64> = BTreeMap::new();
            points(notes)
                .into_iter()
                .for_each(|(state, alias, points, _)| *sums.entry((state, alias)).or_default() += points);
            sums
        };
        assert_eq!(by_state(&Notes::read(&text)), by_state(&notes));
        assert!(Notes::read(&text).knows(0));
        text.extend(written(&[
            Note::of(0, Disposition::Delivered).with(place("a"), used(99)),
            Note::of(5, Disposition::Delivered),
        ]));
        let later = Notes::read(&text);
        assert_eq!(by_state(&later)[&(Disposition::Delivered, "a".to_owned())], 33);
        let again = Notes::read(&later.summed().unwrap());
        assert_eq!(by_state(&again), by_state(&later));
        assert_eq!(again.summed(), later.summed().map(|_| again.summed().unwrap()));
    }

    #[test]
    fn what_can_t_be_read_is_counted_and_the_rest_is_used() {
        let mut text = written(&session()[..2]);
        text.extend_from_slice(b"\n{\"v\":1,\"seq\":7,\"sta");
        text.extend(written(&session()[2..4]));
        text.extend_from_slice(b"\n{\"v\":2,\"kind\":\"new\"}\n\xff\xfe\n{\"v\":1,\"seq\":9,\"state\":\"eaten\"}");
        let notes = Notes::read(&text);
        assert_eq!((notes.exports.len(), notes.damaged, notes.newer), (2, 3, 1));
        assert_eq!(notes.summed(), None, "a line that can't be read stays");
    }
}
