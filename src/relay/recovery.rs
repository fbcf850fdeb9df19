//! Recovers the state of a relay that was killed: the spool says what is stored, the book says what was known of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::ledger::Ledger;
use crate::otlp::{self, Content};
use crate::state::outcome::{Problem, State};
use crate::state::spool::{self, Claim, Spool, list};

/// Makes a session's book agree with its spool.
pub fn reconcile(ledger: &Ledger, state: Option<&Path>, session: &str) {
    settle(ledger, state.map(Spool::of).as_ref(), session, &mut |spool, sequence| {
        receive(ledger, spool, session, sequence)
    });
}

/// Makes the books of a session's copies agree with their spools. Those of ACT's exports agree already.
pub fn reconcile_copies(ledger: &Ledger, state: Option<&Path>, session: &str) {
    let known = ledger.destinations();
    let mut spools = state.map(Spool::all_of_copies).unwrap_or_default();
    // Other sessions have destinations, too.
    spools.retain(|spool| stored(spool, session).map_or(true, |stored| !stored.is_empty()));
    let names: BTreeSet<&str> =
        spools.iter().filter_map(Spool::destination).chain(known.iter().map(String::as_str)).collect();
    for destination in names {
        let spool = state.map(|state| Spool::of_copies(state, destination));
        let copies = ledger.of_copies(destination);
        settle(&copies, spool.as_ref(), session, &mut |spool, sequence| {
            let Ok(claim) = Claim::take(spool, &spool::name(session, sequence)) else { return };
            if sequence < ledger.next() {
                let points = claim.header.points;
                copies.received(sequence, Content { points, ..Content::default() });
            } else {
                // ACT's export was not stored, so claude got no answer, and sends it again.
                let _ = claim.done();
            }
        });
    }
}

/// Makes a book agree with its spool. `receive` is called for each export that is stored and not counted.
fn settle(ledger: &Ledger, spool: Option<&Spool>, session: &str, receive: &mut dyn FnMut(&Spool, u64)) {
    // A spool that can't be read may not be empty. Then each export is checked when it is to be delivered.
    let Ok(stored) = spool.map_or(Ok(BTreeSet::new()), |spool| stored(spool, session)) else { return };
    if let Some(spool) = spool {
        remove_half_written(spool, session);
        for sequence in stored.range(ledger.next()..).copied().collect::<Vec<_>>() {
            receive(spool, sequence);
        }
    }
    let (open, unstored) = ledger.open();
    for (sequence, was) in open {
        if was == State::Lost || stored.contains(&sequence) {
            continue;
        }
        if unstored.contains(&sequence) {
            ledger.set_state(sequence, State::Lost, &never_stored());
        } else if let Some(spool) = spool
            && let Ok((state, why)) = final_state(spool, &spool::name(session, sequence))
        {
            ledger.settle(sequence, state, why);
        }
    }
}

/// The numbers of a session's exports in `new`.
fn stored(spool: &Spool, session: &str) -> std::io::Result<BTreeSet<u64>> {
    let names = list::sessions(spool)?.remove(session).unwrap_or_default();
    Ok(names.iter().filter_map(|name| spool::number_of(name)).collect())
}

/// Counts an export that was stored, but not counted before the relay ended. Claude may have received the answer.
fn receive(ledger: &Ledger, spool: &Spool, session: &str, sequence: u64) {
    let Ok(claim) = Claim::take(spool, &spool::name(session, sequence)) else { return };
    let mut content = otlp::read(claim.body()).unwrap_or_default();
    content.points = claim.header.points;
    let reported = (claim.header.alias.as_str(), claim.header.account.as_str());
    ledger.arrived(sequence, &content, reported, true);
    ledger.received(sequence, content);
    ledger.is_not_missing();
}

/// The final state of an export that is not in `new` any more. Only its own relay removes it from there, for one of these
/// reasons.
fn final_state(spool: &Spool, name: &str) -> std::io::Result<(State, Option<Problem>)> {
    let dead_letter =
        |said: &str| Some(Problem { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 65 });
    Ok(if spool.rejected().join(name).try_exists()? {
        let receiver = spool.destination().unwrap_or("ACT");
        (State::Rejected, dead_letter(&format!("{receiver} rejected it; it is in spool/rejected")))
    } else if spool.corrupt().join(name).try_exists()? {
        (State::Lost, dead_letter("its file was damaged; it is in spool/corrupt"))
    } else {
        (State::Delivered, None)
    })
}

fn never_stored() -> Problem {
    let said = "the relay ended before ACT had answered, and it could not be stored".to_owned();
    Problem { said, cause: String::new(), fix: String::new(), code: 74 }
}

/// Removes unfinished files of the session, because their names are used again.
fn remove_half_written(spool: &Spool, session: &str) {
    for entry in std::fs::read_dir(spool.tmp()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| spool::session_of(name) == session) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::super::journal::{Counter, Journal};
    use super::*;
    use crate::state::spool::{Header, Limits, Store};

    const BODY: &[u8] = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"t","unit":"tokens","sum":{"aggregationTemporality":1,"dataPoints":[{"asInt":"5"}]}}]}]}]}"#;

    struct Left {
        state: tempfile::TempDir,
        store: Store,
        journal: Arc<Journal>,
        ledger: Ledger,
    }

    fn left_behind() -> Left {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), Limits::default()).unwrap();
        let journal = Arc::new(Journal::new().unwrap());
        let ledger = Ledger::resume(journal.clone());
        Left { state, store, journal, ledger }
    }

    impl Left {
        fn store(&self, sequence: u64) {
            self.ledger.taking(sequence, &[sequence as u8; 32]);
            let text = |text: &str| text.to_owned();
            let header = Header {
                session: text("s"),
                sequence,
                alias: text("a"),
                account: text("b"),
                endpoint: text("e"),
                user: text("u"),
                points: 1,
                captured: jiff::Timestamp::UNIX_EPOCH,
                shared: None,
            };
            self.store.append(&header, BODY).unwrap();
        }

        fn receive(&self, sequence: u64) {
            self.ledger.received(sequence, otlp::read(BODY).unwrap());
        }

        fn path(&self, part: &str, sequence: u64) -> std::path::PathBuf {
            self.state.path().join("spool").join(part).join(spool::name("s", sequence))
        }

        fn reconciled(&self) -> Ledger {
            let ledger = Ledger::resume(self.journal.clone());
            reconcile(&ledger, Some(self.state.path()), "s");
            ledger
        }
    }

    #[test]
    fn every_export_is_where_it_belongs() {
        let before = left_behind();
        for sequence in 0..4 {
            before.store(sequence);
            before.receive(sequence);
        }
        fs::remove_file(before.path("new", 0)).unwrap();
        fs::rename(before.path("new", 1), before.path("rejected", 1)).unwrap();
        fs::rename(before.path("new", 2), before.path("corrupt", 2)).unwrap();
        before.ledger.received(4, otlp::read(BODY).unwrap());
        before.ledger.unkept(4, "the disk is full".to_owned());
        let ledger = before.reconciled();
        let states = [(State::Lost, 2), (State::Rejected, 1), (State::UnderWay, 1), (State::Delivered, 1)];
        assert_eq!(ledger.outcome().states, states.into());
        assert_eq!(ledger.open().0, [(3, State::UnderWay), (4, State::Lost)]);
        // No export is counted a second time.
        assert_eq!(before.reconciled().outcome(), ledger.outcome());
    }

    /// A copy is stored before ACT's export. Where the relay ended in between, claude got no answer, and sends it again.
    #[test]
    fn copies_of_what_act_has_count_and_others_are_removed() {
        let before = left_behind();
        let copies = Store::open_copies(before.state.path(), "grafana", Limits::default()).unwrap();
        let copy = |sequence| {
            let text = |text: &str| text.to_owned();
            let header = Header {
                session: text("s"),
                sequence,
                alias: text("a"),
                account: text("grafana"),
                endpoint: text("e"),
                user: String::new(),
                points: 1,
                captured: jiff::Timestamp::UNIX_EPOCH,
                shared: None,
            };
            copies.append(&header, BODY).unwrap();
        };
        let counted = before.ledger.of_copies("grafana");
        for sequence in 0..3 {
            copy(sequence);
        }
        before.store(0);
        before.receive(0);
        counted.received(0, Content { points: 1, ..Content::default() });
        before.store(1);
        let ledger = before.reconciled();
        reconcile_copies(&ledger, Some(before.state.path()), "s");
        let counted = ledger.of_copies("grafana");
        assert_eq!(counted.open().0, [(0, State::UnderWay), (1, State::UnderWay)]);
        assert_eq!((counted.outcome().exports, ledger.outcome().exports), (2, 2));
        assert_eq!(list::usage(copies.spool()).unwrap().files, 2, "the third is sent again");
        // Another relay finds the same.
        let again = before.reconciled();
        reconcile_copies(&again, Some(before.state.path()), "s");
        assert_eq!(again.of_copies("grafana").outcome(), counted.outcome());
    }

    #[test]
    fn what_was_stored_and_not_counted_counts_and_joins_its_repetition() {
        let before = left_behind();
        before.store(0);
        before.receive(0);
        before.store(1);
        before.journal.counter(Counter::CutOff).store(2, std::sync::atomic::Ordering::Release);
        let ledger = before.reconciled();
        let outcome = ledger.outcome();
        assert_eq!((outcome.exports, outcome.points, outcome.cut_off, ledger.next()), (2, 2, 1, 2));
        let remembered: Vec<_> =
            ledger.remembered().into_iter().map(|(known, stored)| (known.sequence, stored)).collect();
        assert_eq!(remembered, [(0, true), (1, true)]);
    }

    #[test]
    fn what_was_cut_off_and_comes_again_is_not_missing() {
        let before = left_behind();
        before.ledger.taking(0, &[7; 32]);
        fs::create_dir_all(before.path("tmp", 0).parent().unwrap()).unwrap();
        fs::write(before.path("tmp", 0), "half").unwrap();
        before.journal.counter(Counter::CutOff).store(1, std::sync::atomic::Ordering::Release);
        let ledger = before.reconciled();
        assert!(!before.path("tmp", 0).exists());
        ledger.taking(0, &[8; 32]);
        assert_eq!(ledger.outcome().cut_off, 1);
        ledger.taking(1, &[7; 32]);
        ledger.taking(2, &[7; 32]);
        assert_eq!(ledger.outcome().cut_off, 0);
    }
}
