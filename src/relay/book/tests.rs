use super::*;

fn content(points: u64) -> Content {
    let total = Total { value: points as f64, unit: "tokens".to_owned(), ..Total::default() };
    Content { points, totals: [("t".to_owned(), total)].into(), ..Content::default() }
}

fn problem(said: &str) -> Problem {
    Problem { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 75 }
}

fn events() -> Vec<Event> {
    vec![
        Event::Opened("id".to_owned(), Timestamp::UNIX_EPOCH),
        Event::Command(7),
        Event::Taking(0, "d0".to_owned()),
        Event::Received(0, content(2)),
        Event::Settled(0, State::Delivered, None),
        Event::Taking(1, "d1".to_owned()),
        Event::Received(1, content(3)),
        Event::Marked(1, State::Waiting, Some(problem("503"))),
        Event::Taking(2, "d2".to_owned()),
        Event::Received(2, content(4)),
        Event::Unkept(2, "the disk is full".to_owned()),
        Event::Taking(3, "d3".to_owned()),
    ]
}

fn written(events: &[Event]) -> Vec<u8> {
    events.iter().flat_map(|event| [serde_json::to_vec(event).unwrap(), b"\n".to_vec()].concat()).collect()
}

#[test]
fn what_is_written_is_the_same_book_again_with_or_without_a_snapshot() {
    let events = events();
    let book = Book::read(&written(&events));
    assert_eq!((book.next, book.exports(), book.command), (3, 3, Some(7)));
    assert_eq!(book.open, [(1, State::Waiting), (2, State::UnderWay)].into());
    assert_eq!((&book.unstored, book.taking.len(), book.recent.len()), (&[2].into(), 1, 3));
    let outcome = book.outcome();
    assert_eq!((outcome.exports, outcome.points, outcome.count(State::Delivered)), (3, 9, 1));
    for cut in 0..events.len() {
        let snapshot = Event::Snapshot(Box::new(Book::read(&written(&events[..cut]))));
        let rest = [&[snapshot], &events[cut..]].concat();
        assert_eq!(Book::read(&written(&rest)), book, "a snapshot after {cut} events");
    }
}

#[test]
fn what_act_does_with_others_is_said_where_it_is_known() {
    let words = |accepts_others| {
        let aside = Event::SteppedAside(1, problem("its file can't be read now"), accepts_others);
        let book = Book::read(&written(&[&events()[..8], &[aside]].concat()));
        crate::state::outcome::words_of(&book.outcome(), "ACT")
    };
    let said = "1 of 2 exports delivered; 1 stepped aside (its file can't be read now): ";
    let kept = "; it is kept: act-claude act flush";
    assert_eq!(words(true), format!("{said}ACT accepts others{kept}"));
    assert_eq!(words(false), format!("{said}the others go first{kept}"));
}

#[test]
fn a_line_that_can_t_be_read_is_passed_over() {
    let mut journal = written(&events()[..4]);
    journal.extend_from_slice(b"{\"Unknown\":1}\n\xff\n");
    journal.extend(written(&events()[4..]));
    assert_eq!(Book::read(&journal), Book::read(&written(&events())));
}

#[test]
fn only_the_last_exports_are_remembered() {
    let mut book = Book::default();
    for sequence in 0..REMEMBERED as u64 + 9 {
        book.apply(Event::Taking(sequence, format!("d{sequence}")));
        book.apply(Event::Received(sequence, content(1)));
    }
    assert_eq!((book.recent.len(), book.recent[0].sequence), (REMEMBERED, 9));
    assert!(book.taking.is_empty());
}

#[test]
fn an_export_is_settled_once() {
    let mut book = Book::read(&written(&events()));
    for _ in 0..2 {
        book.apply(Event::Settled(1, State::Delivered, None));
    }
    assert_eq!(book.outcome().count(State::Delivered), 2);
}
