//! The usage ledger has each data point once, in the state that it is in, whatever becomes of its export.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use act_claude::relay::protocol::ToRelay;
use act_claude::state::outcome::State;
use act_claude::usage::Disposition::{self, Delivered, Discarded, Held, Lost, Partial, Rejected, UnderWay, Waiting};
use serde_json::json;

use crate::relay::{Relay, export, start_of, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::usage::{ledger, points};

const WAIT: Duration = Duration::from_secs(5);

fn started() -> (Sandbox, Act) {
    let (sandbox, act) = (Sandbox::new(), Act::start());
    sandbox.configure_one(&act.endpoint());
    (sandbox, act)
}

fn found(sandbox: &Sandbox) -> BTreeMap<Disposition, u64> {
    let ledger = ledger(&sandbox.state());
    assert_eq!(ledger.faults, []);
    points(&ledger.rows)
}

/// Posts one export, and waits until the relay has this outcome for it.
fn one(sandbox: &Sandbox, act: &Act, state: State) -> Relay {
    let relay = Relay::start(sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("one")), Some(200));
    relay.until(sandbox, state, 1);
    relay
}

#[test]
fn every_state_of_an_export_is_one_of_its_points() {
    for (reply, state, disposition) in [
        (accepted(), State::Delivered, Delivered),
        (refused(400, "malformed"), State::Rejected, Rejected),
        (refused(401, "who?"), State::Held, Held),
        (Reply::json(503, ""), State::Waiting, Waiting),
        (Reply::json(200, "<html>"), State::NotUnderstood, Disposition::NotUnderstood),
        (
            Reply::json(200, r#"{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"no"}}"#),
            State::Partial,
            Partial,
        ),
    ] {
        let (sandbox, act) = started();
        act.answer(reply);
        let relay = one(&sandbox, &act, state);
        // The same bytes again.
        assert_eq!(relay.post(&export("one")), Some(200));
        assert_eq!(found(&sandbox), [(disposition, 1)].into(), "{state:?}, while the relay runs");
        relay.finish();
        assert_eq!(found(&sandbox), [(disposition, 1)].into(), "{state:?}, and after its end");
        let rejected: u64 = ledger(&sandbox.state()).rows.iter().map(|row| row.measured.rejected).sum();
        assert_eq!(rejected, u64::from(disposition == Partial));
    }
}

#[test]
fn what_is_delivered_later_counts_under_the_alias_it_is_delivered_for() {
    let (sandbox, act) = started();
    act.answer(refused(404, "Agent alias id-billing not found"));
    one(&sandbox, &act, State::Held).finish();
    let day = ledger(&sandbox.state()).rows[0].day;
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["aliases"] = json!({"other": {"account": "acme", "id": "id-other", "provider_type": "P"}});
    config["directories"] = json!({});
    config.as_object_mut().unwrap().remove("default");
    sandbox.configure(&config);
    act.answer(accepted());
    let output = sandbox.act_claude(&["act", "flush", "--to", "other"]).output().unwrap();
    assert!(output.status.success(), "{}", output.err());
    let rows = ledger(&sandbox.state()).rows;
    let aliases: Vec<_> =
        rows.iter().map(|row| (row.place.alias.as_str(), row.disposition, row.measured.points)).collect();
    assert_eq!(aliases, [("other", Delivered, 1)]);
    assert_eq!((rows[0].day, rows[0].place.directory.clone()), (day, Some(sandbox.home())));
}

#[test]
fn what_the_user_discards_is_discarded_and_not_lost() {
    let (sandbox, act) = started();
    act.answer(refused(401, "who?"));
    one(&sandbox, &act, State::Held).finish();
    sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    assert_eq!(found(&sandbox), [(Discarded, 1)].into());
}

#[test]
fn what_a_killed_relay_stored_is_counted_with_or_without_its_notes() {
    let (sandbox, act) = started();
    act.answer(Reply::json(503, ""));
    let mut relay = one(&sandbox, &act, State::Waiting);
    relay.kill();
    assert_eq!(found(&sandbox), [(Waiting, 1)].into());
    fs::remove_dir_all(sandbox.state().join("usage")).unwrap();
    assert_eq!(found(&sandbox), [(Waiting, 1)].into(), "an earlier version wrote no notes");
    act.answer(accepted());
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(found(&sandbox), [(Delivered, 1)].into());
}

#[test]
fn what_was_removed_or_damaged_is_lost() {
    let (sandbox, act) = started();
    act.answer(Reply::json(503, ""));
    let relay = one(&sandbox, &act, State::Waiting);
    assert_eq!(found(&sandbox), [(Waiting, 1)].into());
    let name = waiting(&sandbox).remove(0);
    let file = sandbox.state().join("spool/new").join(name);
    fs::write(&file, b"act-claude-export/1 0\n{}").unwrap();
    relay.finish();
    act.answer(accepted());
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(found(&sandbox), [(Lost, 1)].into());
}

#[test]
fn an_export_that_can_t_be_stored_is_lost_until_act_has_it() {
    let (sandbox, act) = started();
    act.answer(Reply::json(503, ""));
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["spool_files"] = json!(0);
    sandbox.configure(&config);
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_ne!(relay.post(&export("one")), Some(200));
    assert_eq!(found(&sandbox), [(Lost, 1)].into());
    act.answer(accepted());
    assert_eq!(relay.post(&export("one")), Some(200));
    assert_eq!(found(&sandbox), [(Delivered, 1)].into());
    relay.finish();
}

#[test]
fn what_is_not_decided_yet_is_under_way_or_waits() {
    let (sandbox, act) = started();
    act.answer(Reply::After(Duration::from_millis(500), Box::new(accepted())));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("one")), Some(200));
    let before = found(&sandbox);
    assert!(before == [(Waiting, 1)].into() || before == [(UnderWay, 1)].into(), "{before:?}");
    relay.outcome(WAIT);
    assert_eq!(found(&sandbox), [(Delivered, 1)].into());
    relay.finish();
}

/// An export of one point that costs so many dollars.
fn costing(dollars: f64) -> Vec<u8> {
    let metric = json!({
        "name": "claude_code.cost.usage", "unit": "USD",
        "sum": {"aggregationTemporality": 1, "dataPoints": [{"asDouble": dollars}]}
    });
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string().into_bytes()
}

#[test]
fn the_status_line_has_the_cost_of_the_day_where_it_is_asked_for() {
    let (sandbox, act) = started();
    // Another session of today, and one under another alias.
    for (dollars, alias) in [(1.25, "billing"), (64.0, "web")] {
        let mut start = start_of(&sandbox, &act.endpoint());
        start.route.as_mut().unwrap().target.alias = alias.to_owned();
        let relay = Relay::start_with(&sandbox, start);
        assert_eq!(relay.post(&costing(dollars)), Some(200));
        relay.finish();
    }
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    relay.say(&ToRelay::Command { pid: std::process::id().cast_signed() });
    assert_eq!(relay.post(&costing(0.5)), Some(200));
    relay.until(&sandbox, State::Delivered, 1);
    let line = |args: &[&str]| {
        let args = [&["act", "statusline"], args].concat();
        sandbox.act_claude(&args).env("NO_COLOR", "1").output().unwrap().out()
    };
    assert_eq!((line(&[]), line(&["--cost"])), ("billing ✓ 1\n".to_owned(), "billing ✓ 1 $1.75 today\n".to_owned()));
    let value: serde_json::Value = serde_json::from_str(&line(&["--json", "--cost"])).unwrap();
    assert_eq!(value["cost_usd_today"], 1.75);
    relay.kill();
}
