//! The format of a month's file: the rows of all sessions whose notes are final (pure).
//!
//! One JSON object on each line. The first has the version and the names of the numbers. Then come the places and the models, each
//! with a number; then the sessions: `{"session":"…","at":0,"use":{"delivered":[[28,1,220,0,0,1.5]]}}`. A list has the day of the
//! month, the number of the model (0: none), and the sums as in [`Measured::NAMES`], without zeros at the end. A line without a session
//! has the sums of all sessions of a place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::disposition::Disposition;
use super::note::{VERSION, line};
use super::row::{Place, Row};
use super::share::{Number, numbers};
use crate::claude::measured::Measured;

/// A month.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Month {
    /// Its rows.
    pub rows: Vec<Row>,
    /// Lines that can't be read, as they are: they are written again.
    pub damaged: Vec<u8>,
}

/// The rows of one session at one place, or of all sessions that have no line of their own.
#[derive(Debug, Serialize, Deserialize)]
struct Line<N> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    at: usize,
    #[serde(rename = "use")]
    used: BTreeMap<Disposition, Vec<Vec<N>>>,
}

#[derive(Serialize, Deserialize)]
struct First {
    v: u32,
    month: String,
    numbers: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct PlaceLine {
    place: usize,
    #[serde(flatten)]
    is: Place,
}

#[derive(Serialize, Deserialize)]
struct ModelLine {
    model: usize,
    name: String,
}

type Places = BTreeMap<usize, Arc<Place>>;
type Models = BTreeMap<usize, Arc<str>>;

/// Why a month is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer;

impl Month {
    /// Reads the file of the month that begins on `first`.
    ///
    /// # Errors
    ///
    /// A newer act-claude wrote it.
    pub fn read(text: &[u8], first: Date) -> Result<Self, Newer> {
        let mut month = Self::default();
        let (mut places, mut models) = (Places::new(), Models::new());
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            if let Ok(read) = serde_json::from_slice::<Line<f64>>(line) {
                match rows(read, first, &places, &models) {
                    Some(rows) => month.rows.extend(rows),
                    None => month.keep(line),
                }
            } else if let Ok(PlaceLine { place, is }) = serde_json::from_slice(line) {
                places.insert(place, Arc::new(is));
            } else if let Ok(ModelLine { model, name }) = serde_json::from_slice(line) {
                models.insert(model, Arc::from(name));
            } else if let Ok(First { v, numbers, .. }) = serde_json::from_slice(line) {
                // Numbers that this version does not know would be lost when it writes the month again.
                if v > VERSION || numbers.len() > Measured::NAMES.len() {
                    return Err(Newer);
                }
            } else {
                month.keep(line);
            }
        }
        Ok(month)
    }

    fn keep(&mut self, damaged: &[u8]) {
        self.damaged.push(b'\n');
        self.damaged.extend_from_slice(damaged);
    }

    /// How many lines can't be read.
    pub fn damaged_lines(&self) -> usize {
        memchr::memchr_iter(b'\n', &self.damaged).count()
    }

    /// Replaces all rows of these sessions.
    pub fn replace(&mut self, sessions: &BTreeSet<&str>, rows: impl IntoIterator<Item = Row>) {
        self.rows.retain(|row| row.session.as_deref().is_none_or(|session| !sessions.contains(session)));
        self.rows.extend(rows);
    }

    /// Takes the session out of the rows before `day`, but for sessions that have notes. Returns whether there was any.
    pub fn forget_sessions(&mut self, day: Date, noted: &BTreeSet<String>) -> bool {
        let is_old =
            |row: &Row| row.day < day && row.session.as_deref().is_some_and(|session| !noted.contains(session));
        let mut any = false;
        for row in self.rows.iter_mut().filter(|row| is_old(row)) {
            row.session = None;
            any = true;
        }
        any
    }

    /// The file. Rows that differ only in their numbers become one.
    pub fn write(&self, first: Date) -> Vec<u8> {
        let mut text = Vec::new();
        let numbers_named = Measured::NAMES.map(str::to_owned).to_vec();
        line(&mut text, &First { v: VERSION, month: first.strftime("%Y-%m").to_string(), numbers: numbers_named });
        let places: BTreeSet<&Place> = self.rows.iter().map(|row| &*row.place).collect();
        let models: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.model.as_deref()).collect();
        let places: BTreeMap<&Place, usize> = places.into_iter().zip(0..).collect();
        let models: BTreeMap<&str, usize> = models.into_iter().zip(1..).collect();
        places.iter().for_each(|(is, place)| line(&mut text, &PlaceLine { place: *place, is: (*is).clone() }));
        models.iter().for_each(|(name, model)| line(&mut text, &ModelLine { model: *model, name: (*name).to_owned() }));
        type Lists<'a> = BTreeMap<(Disposition, i8, usize), Measured>;
        let mut lines: BTreeMap<(Option<&str>, usize), Lists<'_>> = BTreeMap::new();
        for row in &self.rows {
            let model = row.model.as_deref().map_or(0, |model| models[model]);
            let lists = lines.entry((row.session.as_deref(), places[&*row.place])).or_default();
            lists.entry((row.disposition, row.day.day(), model)).or_default().join(&row.measured);
        }
        for ((session, at), lists) in lines {
            let mut used: BTreeMap<Disposition, Vec<Vec<Number>>> = BTreeMap::new();
            for ((disposition, day, model), measured) in lists {
                let mut list = vec![Number(f64::from(day)), Number(model as f64)];
                list.extend(numbers(&measured));
                used.entry(disposition).or_default().push(list);
            }
            line(&mut text, &Line { session: session.map(str::to_owned), at, used });
        }
        text.extend_from_slice(&self.damaged);
        text.push(b'\n');
        text
    }
}

/// The rows of a line; `None` where a list has no day of the month. A place or a model whose line is damaged is not known, and what
/// was used there is.
fn rows(line: Line<f64>, first: Date, places: &Places, models: &Models) -> Option<Vec<Row>> {
    let (session, place) = (line.session.map(Arc::from), places.get(&line.at).cloned().unwrap_or_default());
    let mut rows = Vec::new();
    for (disposition, lists) in line.used {
        for list in lists {
            let [day, model, numbers @ ..] = list.as_slice() else { return None };
            let day = first.with().day(*day as i8).build().ok().filter(|date| f64::from(date.day()) == *day)?;
            let model = models.get(&(*model as usize)).cloned();
            let (session, place, measured) = (session.clone(), place.clone(), Measured::of(numbers));
            rows.push(Row { day, session, place, model, disposition, measured });
        }
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn row(day: i8, session: &str, alias: &str, model: Option<&str>, cost_usd: f64) -> Row {
        Row {
            day: date(2026, 11, day),
            session: Some(session.into()),
            place: Place { alias: alias.to_owned(), directory: Some("/w".into()), ..Place::default() }.into(),
            model: model.map(Arc::from),
            disposition: Disposition::Delivered,
            measured: Measured { points: 2, cost_usd, ..Measured::default() },
        }
    }

    fn month() -> Month {
        let rows = vec![
            row(1, "s1", "billing", Some("opus"), 1.5),
            row(1, "s1", "billing", None, 0.0),
            row(2, "s2", "web", Some("haiku"), 0.25),
            row(30, "s1", "billing", Some("opus"), 2.0),
        ];
        Month { rows, damaged: Vec::new() }
    }

    fn sum(month: &Month) -> (u64, f64) {
        month.rows.iter().fold((0, 0.0), |sum, row| (sum.0 + row.measured.points, sum.1 + row.measured.cost_usd))
    }

    const FIRST: Date = date(2026, 11, 1);

    #[test]
    fn what_is_written_is_read() {
        let text = month().write(FIRST);
        let mut again = Month::read(&text, FIRST).unwrap();
        again.rows.sort_by_key(|row| (row.day, row.model.is_none()));
        assert_eq!(again, month());
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("\n{\"v\":1,\"month\":\"2026-11\",\"numbers\":[\"points\",\"unsummed\","), "{text}");
        assert!(
            text.contains("\n{\"session\":\"s2\",\"at\":1,\"use\":{\"delivered\":[[2,1,2,0,0,0.25]]}}\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_old_has_no_session_and_the_same_sums() {
        let mut old = month();
        old.rows.push(row(1, "s3", "billing", Some("opus"), 4.0));
        let before = sum(&old);
        assert!(old.forget_sessions(date(2026, 11, 30), &["s2".to_owned()].into()));
        let again = Month::read(&old.write(FIRST), FIRST).unwrap();
        assert_eq!(sum(&again), before);
        let sessions: Vec<_> = again.rows.iter().map(|row| row.session.as_deref()).collect();
        assert_eq!(sessions, [None, None, Some("s1"), Some("s2")], "two rows of one place, day and model are one");
        assert!(!old.forget_sessions(date(2026, 11, 30), &["s2".to_owned()].into()), "done once");
    }

    #[test]
    fn the_rows_of_a_session_are_replaced() {
        let mut month = month();
        month.replace(&["s1"].into(), [row(3, "s1", "billing", None, 8.0)]);
        assert_eq!(sum(&month), (4, 8.25));
    }

    #[test]
    fn damage_costs_what_it_hits() {
        let text = String::from_utf8(month().write(FIRST)).unwrap();
        let torn = text.replace("{\"place\":0", "{\"pla").replace("{\"session\":\"s2\"", "{\"session\":s2");
        let damaged = Month::read(torn.as_bytes(), FIRST).unwrap();
        assert_eq!((damaged.damaged_lines(), sum(&damaged)), (2, (6, 3.5)));
        assert!(damaged.rows.iter().all(|row| *row.place == Place::default()));
        // What can't be read is still there after the next change.
        let written = String::from_utf8(damaged.write(FIRST)).unwrap();
        assert!(written.contains("{\"pla") && written.contains("{\"session\":s2"), "{written}");
        assert_eq!(Month::read(written.as_bytes(), FIRST).unwrap(), damaged);
        let cut = &text.as_bytes()[..text.len() / 2];
        assert!(Month::read(cut, FIRST).is_ok());
        for list in ["[31,1,220]", "[0,1,220]", "[2.5,1,220]", "[2]", "[]"] {
            let text = text.replace("[2,1,2,0,0,0.25]", list);
            let damaged = Month::read(text.as_bytes(), FIRST).unwrap();
            assert_eq!((damaged.damaged_lines(), sum(&damaged)), (1, (6, 3.5)), "{list}");
        }
        for (known, newer) in [("\"v\":1", "\"v\":2"), ("\"sessions\"]", "\"sessions\",\"more\"]")] {
            assert_eq!(Month::read(text.replace(known, newer).as_bytes(), FIRST), Err(Newer));
        }
    }
}
