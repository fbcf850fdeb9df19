//! B11 and B12: oldest first within a session, and few duplicates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::relay::{Relay, export, leave, name_of};
use crate::support::act::{Act, accepted, refused};
use crate::support::http::Reply;
use crate::support::sandbox::Sandbox;

#[test]
fn b11_arrival_order_is_send_order() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    // Each export fails twice before it is accepted, which is too few failures to step aside.
    let asked = Arc::new(Mutex::new(BTreeMap::new()));
    let count = asked.clone();
    act.answer_by(move |request| {
        let mut asked = count.lock().unwrap();
        let times = asked.entry(name_of(&request.raw)).or_insert(0);
        *times += 1;
        match times {
            1 => Reply::json(503, ""),
            2 => Reply::Close,
            _ => accepted(),
        }
    });
    leave(&sandbox, "0a", &["old0", "old1", "old2"], &act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    for number in 0..3 {
        assert_eq!(relay.post(&export(&format!("new{number}"))), Some(200));
    }
    crate::support::eventually("everything delivered", || crate::relay::waiting(&sandbox).is_empty().then_some(()));
    relay.end();
    let mut times = BTreeMap::new();
    let requests = act.requests();
    let taken = requests.iter().map(|request| name_of(&request.raw)).filter(|name| {
        let times: &mut usize = times.entry(name.clone()).or_default();
        *times += 1;
        *times == 3
    });
    let taken: Vec<String> = taken.collect();
    for kind in ["old", "new"] {
        let own: Vec<_> = taken.iter().filter(|name| name.starts_with(kind)).collect();
        assert_eq!(own, [0, 1, 2].map(|number| format!("{kind}{number}")).iter().collect::<Vec<_>>(), "{taken:?}");
    }
}

#[test]
fn b12_a_repetition_joins_what_it_repeats() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    // Claude did not receive our 200 and posts again, several times in parallel.
    let (address, path) = relay.place();
    let posts: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || crate::relay::post(address, &path, &export("same")))
        })
        .collect();
    for post in posts {
        assert_eq!(post.join().unwrap(), Some(200));
    }
    assert_eq!(relay.post(&export("other")), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.exports, outcome.points), (2, 2));
    let names: Vec<String> = act.requests().iter().map(|request| name_of(&request.raw)).collect();
    assert_eq!(names, ["same", "other"]);
}

#[test]
fn b12_a_repetition_never_joins_a_refused_export() {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    // Nothing can be stored: what ACT does not accept is refused, and claude posts again.
    let file = sandbox.write("no-directory", "");
    sandbox.set("XDG_STATE_HOME", &file);
    let mut start = crate::relay::start_of(&sandbox, &act.endpoint());
    start.state = Some(file.join("act-claude"));
    let mut relay = Relay::start_with(&sandbox, start);
    act.answer(refused(503, "later"));
    assert_eq!(relay.post(&export("one")), Some(503));
    act.answer(accepted());
    assert_eq!(relay.post(&export("one")), Some(200));
    assert_eq!(relay.post(&export("one")), Some(200), "ACT has it");
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.exports, 1);
    assert_eq!(outcome.states, [(act_claude::state::outcome::State::Delivered, 1)].into());
    assert_eq!(act.requests().len(), 2);
}
