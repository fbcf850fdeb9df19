//! B16: an export is sent only to the endpoint for which it was captured, and no other account's token command is run
//! unless the user asks for it.

use act_claude::delivery::target::Credentials;
use serde_json::{Value, json};

use crate::relay::{Relay, export, leave, name_of, waiting};
use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};

struct Two {
    sandbox: Sandbox,
    acme: Act,
    other: Act,
}

impl Two {
    /// Accounts `acme` and `other`, each with a token command that leaves a file when it runs.
    fn new() -> Self {
        let two = Self { sandbox: Sandbox::new(), acme: Act::start(), other: Act::start() };
        two.configure("acme", &two.acme.endpoint());
        two
    }

    fn configure(&self, owner_of_billing: &str, acme: &str) {
        let account = |name: &str, endpoint: &str| -> Value {
            let ran = self.sandbox.root().join(format!("{name}-ran"));
            let script = format!("#!/bin/sh\necho x >>{}\necho token-{name}\n", ran.display());
            let mut account = self.sandbox.account(endpoint);
            account["token"] = json!({"command": [self.sandbox.script(&format!("token-{name}"), &script)]});
            account
        };
        self.sandbox.configure(&json!({
            "accounts": {"acme": account("acme", acme), "other": account("other", &self.other.endpoint())},
            "aliases": {
                "billing": {"account": owner_of_billing, "id": "id-billing", "provider_type": "P"},
                "mine": {"account": "acme", "id": "id-mine", "provider_type": "P"},
                "theirs": {"account": "other", "id": "id-theirs", "provider_type": "P"}
            },
            "default": "billing"
        }));
    }

    fn ran(&self, name: &str) -> bool {
        self.sandbox.root().join(format!("{name}-ran")).exists()
    }

    /// A session of alias `theirs`.
    fn session_of_other(&self) {
        let mut start = crate::relay::start_of(&self.sandbox, &self.other.endpoint());
        let target = &mut start.route.as_mut().unwrap().target;
        (target.alias, target.account) = ("theirs".into(), "other".into());
        let Credentials::Act { id, .. } = &mut target.credentials else { unreachable!("ACT's") };
        *id = "id-theirs".into();
        let relay = Relay::start_with(&self.sandbox, start);
        assert_eq!(relay.post(&export("theirs")), Some(200));
        relay.finish();
    }
}

#[test]
fn b16_another_account_s_backlog_and_command_are_left_alone() {
    let two = Two::new();
    leave(&two.sandbox, "0a", &["a"], &two.acme.endpoint());
    two.session_of_other();
    assert!(two.ran("other") && !two.ran("acme"));
    assert_eq!((two.acme.requests().len(), two.other.requests().len()), (0, 1));
    assert_eq!(waiting(&two.sandbox).len(), 1);
    // The user's own flush is for all accounts.
    let output = two.sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.out());
    assert!(two.ran("acme"));
    assert_eq!((two.acme.requests().len(), two.other.requests().len()), (1, 1));
}

#[test]
fn b16_exports_stay_with_their_account_when_an_alias_moves() {
    let two = Two::new();
    leave(&two.sandbox, "0a", &["a"], &two.acme.endpoint());
    two.configure("other", &two.acme.endpoint());
    two.session_of_other();
    Relay::start(&two.sandbox, &two.acme.endpoint()).finish();
    assert_eq!((two.acme.requests().len(), two.other.requests().len()), (0, 1), "only the session's own");
    let output = two.sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 78, "{}", output.out());
    assert!(output.out().contains("alias billing now belongs to account other, not to acme"), "{}", output.out());
    assert!(output.out().contains("act-claude act flush --to"), "{}", output.out());
    assert_eq!(waiting(&two.sandbox).len(), 1);
    let output = two.sandbox.act_claude(&["act", "flush", "--to", "mine"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.out());
    let request = two.acme.requests().pop().expect("delivered where the user said");
    assert_eq!((name_of(&request.raw).as_str(), request.header("x-alias-id")), ("a", Some("id-mine")));
}

#[test]
fn b16_another_endpoint_or_user_needs_the_user_s_consent() {
    let two = Two::new();
    leave(&two.sandbox, "0a", &["a"], "http://127.0.0.1:9/captured/for/another");
    Relay::start(&two.sandbox, &two.acme.endpoint()).finish();
    assert_eq!(two.acme.requests().len(), 0);
    let output = two.sandbox.act_claude(&["act", "flush", "--json"]).output().unwrap();
    let json: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(json["aliases"][0]["stays"], json!({"held": 1}), "{json}");
    assert_eq!(json["aliases"][0]["trouble"]["said"], "account acme has another endpoint now");
    let output = two.sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "billing: 1 export deleted\n"));
    assert_eq!((waiting(&two.sandbox).len(), two.acme.requests().len()), (0, 0));
}

#[test]
fn b16_two_configurations_with_one_state_directory() {
    let two = Two::new();
    leave(&two.sandbox, "0a", &["a"], &two.acme.endpoint());
    // In the other configuration the name `acme` means another company's account.
    two.configure("acme", &two.other.endpoint());
    Relay::start(&two.sandbox, &two.other.endpoint()).finish();
    assert_eq!(two.other.requests().len(), 0);
    two.configure("acme", &two.acme.endpoint());
    Relay::start(&two.sandbox, &two.acme.endpoint()).finish();
    assert_eq!(two.acme.requests().len(), 1);
}

/// Whoever lists them says so, and names the command that delivers them.
#[test]
fn b16_exports_whose_account_has_changed_are_listed_as_held() {
    let (sandbox, act, old) = (Sandbox::new(), Act::start(), Act::start());
    sandbox.configure_one(&act.endpoint());
    leave(&sandbox, "0a", &["old"], &old.endpoint());
    leave(&sandbox, "0b", &["new"], &act.endpoint());
    let said = "account acme has another endpoint now";
    let history = sandbox.act_claude(&["act", "history", "--json"]).output().unwrap().out();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let waiting: Vec<_> = history["spool"]["waiting"].as_array().unwrap().iter().collect();
    let states: Vec<_> = waiting.iter().map(|waiting| waiting["state"].as_str().unwrap()).collect();
    assert_eq!((states, &waiting[1]["trouble"]["said"]), (vec!["waiting", "held"], &json!(said)), "{history}");
    for command in ["history", "doctor"] {
        let output = sandbox.act_claude(&["act", command]).output().unwrap().out();
        let output = output.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(output.contains(said), "{command}: {output}");
        assert!(output.contains("act-claude act flush --to billing"), "{command}: {output}");
    }
    // Only what can go somewhere by itself.
    assert_eq!(sandbox.act_claude(&["act", "flush"]).output().unwrap().code(), 78);
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(!history.contains("to deliver it now: act-claude act flush\n"), "{history}");
    // A relay of the session runs: it has the route that it began with.
    let session = act_claude::state::record::lock(&sandbox.state(), "0a").unwrap();
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(!history.contains(said), "{history}");
    drop(session);
    let output = sandbox.act_claude(&["act", "flush", "--to", "billing"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.out());
    assert_eq!((old.requests().len(), act.requests().len()), (0, 2));
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(!history.contains(said), "{history}");
}

/// The command names an alias that there is.
#[test]
fn b16_exports_of_an_alias_that_is_gone_can_go_to_another_one() {
    let (sandbox, act) = (Sandbox::new(), Act::start());
    sandbox.configure_one(&act.endpoint());
    leave(&sandbox, "0a", &["old"], &act.endpoint());
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    let alias = config["aliases"].as_object_mut().unwrap().remove("billing").unwrap();
    config["aliases"]["web"] = alias;
    config["directories"] = json!({});
    sandbox.configure(&config);
    for command in ["history", "doctor"] {
        let output = sandbox.act_claude(&["act", command]).output().unwrap().out();
        let output = output.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(output.contains("act-claude act flush --to web"), "{command}: {output}");
    }
    assert_eq!(sandbox.act_claude(&["act", "flush", "--to", "web"]).output().unwrap().code(), 0);
    assert_eq!(act.requests().len(), 1);
}
