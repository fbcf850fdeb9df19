//! `act doctor` and copies: what is kept for their receivers, what nobody gets, and the user's own pipeline.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::act::{Act, accepted, refused};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{eventually, fake_claude};

const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";

struct Machine {
    sandbox: Sandbox,
    act: Act,
    receiver: Act,
}

impl Machine {
    /// With a claude that exports once, and a copy for `acme-grafana` with a header from a file.
    fn new() -> Self {
        let (act, receiver, mut sandbox) = (Act::start(), Act::start(), Sandbox::new());
        fake_claude::install(&mut sandbox, "post\nexit 0");
        sandbox.configure_one(&act.endpoint());
        let file = sandbox.write("grafana", format!("Bearer {CANARY}\n"));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let machine = Self { sandbox, act, receiver };
        let endpoint = format!("{}/c4nary-tenant/v1/metrics", machine.receiver.origin());
        let headers = json!({"Authorization": {"file": "~/grafana"}});
        machine
            .configure(|config| config["copies"] = json!({"acme-grafana": {"endpoint": endpoint, "headers": headers}}));
        machine
    }

    fn configure(&self, change: impl FnOnce(&mut Value)) {
        let mut config = serde_json::from_slice(&std::fs::read(self.sandbox.config_file()).unwrap()).unwrap();
        change(&mut config);
        self.sandbox.configure(&config);
    }

    /// A session whose export ACT accepts, and whose copy stays here.
    fn session(&self) {
        assert_eq!(self.sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
        self.act.wait_for(1);
        self.receiver.wait_for(1);
        eventually("a copy that stays", || self.ids().iter().any(|id| id.starts_with("copy-")).then_some(()));
    }

    /// The findings about copies and pipelines. No output repeats a header's value.
    fn findings(&self) -> Vec<Value> {
        let plain = self.sandbox.act_claude(&["act", "doctor"]).output().unwrap();
        let output = self.sandbox.act_claude(&["act", "doctor", "--json"]).output().unwrap();
        for text in [plain.out(), plain.err(), output.out(), output.err()] {
            assert!(!text.contains(CANARY), "{text}");
        }
        let report: Value = serde_json::from_str(&output.out()).unwrap();
        let is_of_copies = |finding: &&Value| {
            let id = finding["id"].as_str().unwrap();
            id.contains("cop") || id == "other-pipeline" || id == "held"
        };
        report["findings"].as_array().unwrap().iter().filter(is_of_copies).cloned().collect()
    }

    fn ids(&self) -> Vec<String> {
        self.findings().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs the command of the only finding.
    fn follow(&self, finding: &Value) {
        let command = finding["command"].as_str().unwrap().strip_prefix("act-claude ").unwrap();
        let words = shell_words::split(command).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.sandbox.act_claude(&words).output().unwrap();
        assert!(!(output.out() + &output.err()).contains(CANARY));
    }

    /// What a support ticket has.
    fn bundle(&self) -> String {
        let file = self.sandbox.home().join("ticket.json");
        let _ = std::fs::remove_file(&file);
        self.sandbox.act_claude(&["act", "doctor", "--bundle", file.to_str().unwrap()]).output().unwrap();
        std::fs::read_to_string(file).unwrap()
    }
}

#[test]
fn copies_that_are_held() {
    let machine = Machine::new();
    machine.receiver.answer(refused(401, "Unauthorized"));
    machine.session();
    let findings = machine.findings();
    let finding = &findings[0];
    assert_eq!((findings.len(), &finding["id"]), (1, &json!("copy-held")), "{findings:#?}");
    assert_eq!(finding["what"], "1 copy of billing for acme-grafana held");
    let effect = "acme-grafana answered 401 Unauthorized: acme-grafana does not have them yet; they are kept until this is \
                  corrected";
    assert_eq!(finding["effect"], effect);
    let fix = "correct this first, then deliver them: The headers are missing or wrong: correct \"headers\" of copy \
               acme-grafana in the configuration";
    assert_eq!(finding["fix"], fix);
    assert_eq!(finding["command"], "act-claude act flush --copy acme-grafana");
    let place = finding["where"].as_str().unwrap();
    assert!(place.ends_with("/copies/acme-grafana/spool/new"), "{place}");
    machine.receiver.answer(accepted());
    machine.follow(finding);
    assert_eq!(machine.findings(), [] as [Value; 0]);
}

#[test]
fn copies_for_a_destination_that_is_no_longer_configured() {
    let machine = Machine::new();
    machine.receiver.answer(refused(401, "Unauthorized"));
    machine.session();
    machine.configure(|config| config["copies"] = json!({"acme-grafana": null}));
    let findings = machine.findings();
    assert_eq!((findings.len(), &findings[0]["id"]), (1, &json!("copy-gone")), "{findings:#?}");
    assert_eq!(findings[0]["what"], "1 copy for acme-grafana is kept, which is no longer configured");
    machine.follow(&findings[0]);
    assert_eq!(machine.findings(), [] as [Value; 0]);
    assert_eq!(machine.act.requests().len(), 1, "ACT has its export");
}

/// What deletes the copy leaves ACT's export of the same name alone.
#[test]
fn a_copy_that_stepped_aside() {
    let mut machine = Machine::new();
    fake_claude::install(&mut machine.sandbox, "posts 2 0\nexit 0");
    machine.receiver.answer(refused(401, "no"));
    machine.act.answer(refused(401, "no"));
    assert_eq!(machine.sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
    let queue = |of: &str| machine.sandbox.state().join(of).join("spool/new");
    let names = |of: &str| std::fs::read_dir(queue(of)).into_iter().flatten().flatten().count();
    let ended = || {
        let locks = std::fs::read_dir(machine.sandbox.state().join("sessions")).into_iter().flatten().flatten();
        locks.filter(|file| file.path().extension().is_some_and(|extension| extension == "lock")).count() == 0
    };
    eventually("the end of the relay", || {
        (ended() && names("") == 2 && names("copies/acme-grafana") == 2).then_some(())
    });
    let poison = machine.receiver.requests()[0].body();
    machine.receiver.answer_by(move |request| match request.body() == poison {
        true => refused(500, "this one"),
        false => accepted(),
    });
    let flushed = machine.sandbox.act_claude(&["act", "flush", "--copy", "acme-grafana"]).output().unwrap();
    assert_eq!(machine.ids(), ["held", "copy-stepped-aside"], "{}{}", flushed.out(), flushed.err());
    let findings = machine.findings();
    assert_eq!(findings[1]["what"], "1 copy of billing for acme-grafana stepped aside");
    machine.follow(&findings[1]);
    assert_eq!((machine.ids(), names("copies/acme-grafana"), names("")), (vec!["held".to_owned()], 0, 2));
}

#[test]
fn direct_delivery_makes_no_copies() {
    let machine = Machine::new();
    machine.configure(|config| config["delivery"] = json!("direct"));
    let findings = machine.findings();
    assert_eq!((findings.len(), &findings[0]["id"]), (1, &json!("direct-copies")), "{findings:#?}");
    assert_eq!(findings[0]["effect"], "nothing goes to acme-grafana; ACT gets everything");
    machine.configure(|config| config["delivery"] = json!("relay"));
    assert_eq!(machine.findings(), [] as [Value; 0]);
}

/// Sets up a pipeline of the user's own.
fn own(machine: &mut Machine, protocol: &str) {
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://c4nary-customer.otlp.example/c4nary-path/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &format!("Authorization=Bearer%20{CANARY},X-Key={CANARY}")),
    ] {
        machine.sandbox.set(name, value);
    }
}

#[test]
fn the_user_s_own_pipeline() {
    let mut machine = Machine::new();
    own(&mut machine, "http/json");
    let finding = |machine: &Machine| {
        let findings = machine.findings();
        assert!(findings.len() <= 1, "{findings:#?}");
        findings.into_iter().next().map(|finding| {
            assert_eq!(finding["id"], "other-pipeline");
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("effect"), text("fix"))
        })
    };
    let file = machine.sandbox.config_file().display().to_string();
    let both = format!(
        "to send them to both, set \"own_pipeline\": \"copy\" in {file} (claude then exports every 5 s); to ACT only: \"replace\""
    );
    let nothing = "act-claude does not change that: nothing is reported to ACT".to_owned();
    assert_eq!(finding(&machine), Some((nothing.clone(), both.clone())), "leave, without a word about it");
    let set = |machine: &Machine, own: &str| machine.configure(|config| config["own_pipeline"] = json!(own));
    set(&machine, "leave");
    assert_eq!(finding(&machine), Some((nothing, both)));
    set(&machine, "copy");
    assert_eq!(finding(&machine), None);
    own(&mut machine, "grpc");
    let (effect, fix) = finding(&machine).unwrap();
    let why =
        "its protocol is \"grpc\" (OTEL_EXPORTER_OTLP_PROTOCOL in the environment), and only http/json can be copied";
    assert_eq!(effect, format!("it can't get a copy ({why}), and nothing is reported to ACT"));
    assert_eq!(fix, format!("correct that; or, to send them to ACT only, set \"own_pipeline\": \"replace\" in {file}"));
    own(&mut machine, "http/json");
    machine.configure(|config| {
        config["delivery"] = json!("direct");
        config.as_object_mut().unwrap().remove("copies");
    });
    let (effect, _) = finding(&machine).unwrap();
    assert!(effect.contains("(direct delivery makes no copies)"), "{effect}");
    set(&machine, "replace");
    assert_eq!(finding(&machine), None);
}

#[test]
fn c8_a_ticket_names_no_receiver() {
    let mut machine = Machine::new();
    machine.receiver.answer(refused(401, "c4nary-tenant"));
    machine.session();
    own(&mut machine, "grpc");
    machine.configure(|config| config["own_pipeline"] = json!("copy"));
    let bundle = machine.bundle();
    for canary in ["acme-grafana", "c4nary", CANARY] {
        assert!(!bundle.contains(canary), "{canary}: {bundle}");
    }
    let value: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(value["looked_at"]["copies"], json!(["1", "0 waiting, 1 held", "own pipeline: copy"]));
    assert!(bundle.contains("1 copy of billing for (copy) held"), "{bundle}");
    assert!(bundle.contains("your metrics go to https://(host)/"), "{bundle}");
}
