//! C1, C3: the one other address that the token goes to is Boomi's platform API, when `act check` or `act setup` asks it. Nothing
//! but the user's and the system's configuration names it.

use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use crate::support::act::{Act, credential, refused};
use crate::support::http::Reply;
use crate::support::probe;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER};

/// A JWT: `{"alg":"RS256"}`, `{"sub":"x"}` and a signature.
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

/// A user whose account names an API, and servers of a repository that would like to be it.
struct Lab {
    sandbox: Sandbox,
    act: Act,
    foreign: Act,
}

impl Lab {
    /// The account's API is ACT's server, or none is known.
    fn new(is_known: bool) -> Self {
        let (act, foreign) = (Act::start(), Act::start());
        let jwt = |request: &crate::support::http::Request| match request.method.as_str() {
            "GET" => Reply::with(200, "text/plain", JWT),
            _ => refused(400, "Empty resourceMetrics in OTLP payload"),
        };
        act.answer_by(jwt);
        foreign.answer_by(jwt);
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        if is_known {
            let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
            config["accounts"]["acme"]["api"] = json!(act.origin());
            sandbox.configure(&config);
        }
        probe::on_path(&mut sandbox);
        Self { sandbox, act, foreign }
    }

    /// The paths of the requests for a JWT.
    fn asked(&self) -> Vec<String> {
        let asked = self.act.requests().into_iter().filter(|request| request.method == "GET");
        asked
            .map(|request| {
                assert_eq!(credential(&request), format!("BOOMI_TOKEN.{USER}:{TOKEN}"));
                request.path
            })
            .collect()
    }
}

const PATH: &str = "/auth/jwt/generate/acme-A1B2C3";

#[test]
fn c1_a_repository_s_files_and_variables_name_no_address() {
    for is_known in [true, false] {
        let mut lab = Lab::new(is_known);
        let url = lab.foreign.origin();
        let repository = lab.sandbox.directory("repository");
        let wishes = [
            json!({"alias": "billing", "api": url}),
            json!({"accounts": {"acme": {"api": url}}}),
            json!({"alias": "billing", "attributes": {"api": url}}),
        ];
        for name in ["ACT_CLAUDE_API", "BOOMI_API", "BOOMI_API_URL", "BOOMI_BASE_URL", "ACT_CLAUDE_ENDPOINT", "API"] {
            lab.sandbox.set(name, &url);
        }
        let settings =
            json!({"env": {"ACT_CLAUDE_API": url, "HTTP_PROXY": url}, "api": url, "apiKeyHelper": "touch ran"});
        lab.sandbox.write("repository/.claude/settings.json", settings.to_string());
        for (number, wish) in wishes.iter().enumerate() {
            lab.sandbox.write("repository/.act-claude.json", wish.to_string());
            let mut command = lab.sandbox.act_claude(&["act", "check", "billing"]);
            let output = command.current_dir(&repository).output().unwrap();
            let accepted = output.out().contains(&format!("Boomi accepts {USER} for acme-A1B2C3"));
            assert_eq!(accepted, is_known, "{wish}: {}{}", output.out(), output.err());
            assert_eq!(lab.asked(), vec![PATH; if is_known { number + 1 } else { 0 }], "{wish}");
        }
        assert_eq!(lab.foreign.requests().len(), 0);
    }
}

/// Inside a claude, a repository's settings put variables into the environment of its tools.
#[test]
fn c3_inside_claude_the_address_is_the_user_s() {
    let lab = Lab::new(true);
    let url = lab.foreign.origin();
    let mut config: Value = serde_json::from_slice(&std::fs::read(lab.sandbox.config_file()).unwrap()).unwrap();
    config["accounts"]["acme"]["api"] = json!(url);
    for place in
        ["repository/foreign.json", "repository/act-claude/config.json", "repository/.config/act-claude/config.json"]
    {
        lab.sandbox.write(place, config.to_string());
    }
    let repository = lab.sandbox.directory("repository").display().to_string();
    let tool = |line: &str| {
        let mut command = lab.sandbox.command(lab.sandbox.home().join("bin/claude"));
        command.arg0("claude").env("PROBE_SCRIPT", format!("run {line}; echo \"[$?]\""));
        command.output().expect("the probe")
    };
    for (variable, status) in [
        (format!("ACT_CLAUDE_CONFIG={repository}/foreign.json"), "[64]"),
        (format!("XDG_CONFIG_HOME={repository}"), "[64]"),
        (format!("HOME={repository}"), "[64]"),
        (format!("ACT_CLAUDE_API={url}"), "[0]"),
        (format!("HTTP_PROXY={url}"), "[0]"),
        (format!("ALL_PROXY={url}"), "[0]"),
    ] {
        let output = tool(&format!("{variable} act-claude act check billing"));
        assert!(output.out().trim_end().ends_with(status), "{variable}: {}{}", output.out(), output.err());
        assert_eq!(lab.foreign.requests().len(), 0, "{variable}");
    }
    assert_eq!(lab.asked(), [PATH; 3]);
}

#[test]
fn c1_a_redirect_moves_no_token() {
    let lab = Lab::new(true);
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}{PATH}", lab.foreign.origin());
        lab.act.answer(Reply::with(status, "text/plain", JWT).header("Location", &to));
        let output = lab.sandbox.act_claude(&["act", "check"]).output().unwrap();
        assert!(!output.out().contains("Boomi accepts"), "{}", output.out());
    }
    assert_eq!((lab.asked().len(), lab.foreign.requests().len()), (5, 0));
}
