use crate::relay::{Relay, export};
use crate::support::act::Act;
use crate::support::http::Reply;
use crate::support::sandbox::Sandbox;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn closes() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let times = Arc::new(Mutex::new(Vec::new()));
    let (t, s) = (times.clone(), Instant::now());
    act.answer_by(move |_| {
        t.lock().unwrap().push(s.elapsed());
        Reply::Close
    });
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    let o = relay.outcome(Duration::from_millis(300));
    println!("{o:?}");
    relay.end();
    relay.wait();
    println!("{:?}", times.lock().unwrap());
}
