//! `act setup --spec`: finds the right values or asks, never guesses silently; hostile documents are refused.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};

const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";

fn spec(name: &str) -> &'static str {
    format!("{}/tests/specs/{name}", env!("CARGO_MANIFEST_DIR")).leak()
}

/// Runs `act setup ARGS` with `input` on standard input, without a terminal. In the home directory, `--yes` needs to be told
/// where the alias is used.
fn setup(sandbox: &Sandbox, args: &[&str], input: &str) -> Output {
    let mut command = sandbox.act_claude(&["act", "setup", "--no-check"]);
    if args.contains(&"--yes") && !args.contains(&"--directory") {
        command.arg("--default");
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A process that ends before it reads its input has closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn config(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap()
}

/// The flags that answer everything except the values from the Spec.
const REST: [&str; 7] = ["--yes", "--user", USER, "--name", "billing", "--token-env", "ACT_TOKEN"];

#[test]
fn values_of_the_spec_are_used_and_shown_with_their_place() {
    for name in ["literal.json", "templated.yaml", "path-parameter.yaml", "operation-servers.yaml", "anchors.yaml"] {
        let sandbox = Sandbox::new();
        let output = setup(&sandbox, &[&["--spec", spec(name), "--directory", "."][..], &REST].concat(), "");
        assert_eq!((output.code(), output.err().as_str()), (0, ""), "{name}: {}", output.out());
        assert_eq!(
            config(&sandbox),
            json!({
                "accounts": {"acme": {"endpoint": URL, "user": USER, "token": {"env": "ACT_TOKEN"}}},
                "aliases": {"billing": {"account": "acme", "id": ID, "provider_type": "CUSTOM_PROVIDER"}},
                "directories": {"~": "billing"}
            }),
            "{name}"
        );
        for shown in [URL, ID, "CUSTOM_PROVIDER", "servers[0]"] {
            assert!(output.out().contains(shown), "{name}: {}", output.out());
        }
    }
    // From standard input: nothing but the account names the alias.
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(spec("templated.yaml")).unwrap();
    let output = setup(&sandbox, &["--spec", "-", "--yes", "--user", USER, "--token-command", "pass 'a b'"], &text);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], json!({"command": ["pass", "a b"]}));
    assert_eq!(
        (&config(&sandbox)["aliases"]["acme"]["id"], &config(&sandbox)["default"]),
        (&json!(ID), &json!("acme"))
    );
}

/// An ambiguous value ends with status 64 and the flag that decides; nothing is written.
#[test]
fn an_ambiguity_fails_and_writes_nothing() {
    for (name, flag, value) in [
        ("several-servers.yaml", "--endpoint", URL),
        ("two-aliases.yaml", "--id", ID),
        ("two-defaults.yaml", "--id", ID),
        ("provider-choice.yaml", "--provider-type", "CUSTOM_PROVIDER"),
        ("numbers.yaml", "--id", "0012345"),
        ("other-metrics-path.yaml", "--endpoint", URL),
        ("hostile/other-host.yaml", "--endpoint", "https://agentcontroltower.boomi.com.evil.example/m"),
    ] {
        let sandbox = Sandbox::new();
        let before = snapshot(&sandbox.home());
        let args = [&["--spec", spec(name)][..], &REST].concat();
        let output = setup(&sandbox, &args, "");
        assert_eq!(output.code(), 64, "{name}: {}", output.out());
        assert!(output.err().contains(flag), "{name}: {}", output.err());
        assert_eq!(snapshot(&sandbox.home()), before, "{name}");
        let output = setup(&sandbox, &[&args[..], &[flag, value]].concat(), "");
        assert_eq!(output.code(), 0, "{name} with {flag}: {}", output.err());
        assert!(sandbox.config_file().is_file());
    }
    // The value occurs only in descriptive text: it is proposed, and the user is asked.
    let sandbox = Sandbox::new();
    let args = [&["--spec", spec("prose.yaml")][..], &REST].concat();
    let output = setup(&sandbox, &args, "");
    assert_eq!(output.code(), 64);
    for proposed in [URL, ID, "CUSTOM_PROVIDER", "found in descriptive text"] {
        assert!(output.err().contains(proposed), "{}", output.err());
    }
    let given = ["--endpoint", "acme-A1B2C3", "--id", ID, "--provider-type", "P"];
    assert_eq!(setup(&sandbox, &[&args[..], &given].concat(), "").code(), 0);
    assert_eq!(config(&sandbox)["accounts"]["acme"]["endpoint"], URL);
}

#[test]
fn without_a_terminal_all_that_is_missing_is_named_at_once() {
    let sandbox = Sandbox::new();
    let output = setup(&sandbox, &[], "");
    assert_eq!(output.code(), 64);
    for flag in ["no terminal to ask on", "--endpoint", "--id", "--provider-type", "--name", "--token-stdin", "--user"]
    {
        assert!(output.err().contains(flag), "{flag}: {}", output.err());
    }
    assert!(snapshot(&sandbox.home()).is_empty());
}

#[test]
fn hostile_documents_are_refused_with_the_reason() {
    for (name, reason) in [
        ("http.yaml", "would send the token unencrypted"),
        ("user-in-url.yaml", "holds a user name or password"),
        ("cyclic-ref.yaml", "leads back to itself"),
        ("cyclic-all-of.yaml", "leads back to itself"),
        ("bomb.yaml", "not usable YAML"),
        ("twice.json", "occurs twice"),
        ("swagger.json", "it is Swagger 2.0, the version before OpenAPI 3"),
        ("many-servers.yaml", "more than 50 metrics URLs"),
        ("ref-bomb.yaml", "need more steps than a Monitoring Spec does"),
        ("header-break.yaml", "--id"),
    ] {
        let sandbox = Sandbox::new();
        let output = setup(&sandbox, &[&["--spec", spec(&format!("hostile/{name}"))][..], &REST].concat(), "");
        assert_eq!(output.code(), 64, "{name}");
        assert!(output.err().replace("\n    ", " ").contains(reason), "{name}: {}", output.err());
        assert!(snapshot(&sandbox.home()).is_empty(), "{name}");
    }
    let sandbox = Sandbox::new();
    let output = setup(&sandbox, &[&["--spec", "-"][..], &REST].concat(), &"x".repeat(5 << 20));
    assert!(output.err().contains("larger than 4 MiB"), "{}", output.err());
    // A title or a place in the document can't send escape sequences to the terminal.
    let steering = "openapi: 3.0.0\nx: {\"a\\e[31m\": {providerType: \"A\\e[2J\"}}\n";
    let output = setup(&sandbox, &[&["--spec", "-"][..], &REST].concat(), steering);
    assert!(!format!("{}{}", output.out(), output.err()).contains('\x1b'), "{}", output.out());
}

/// A document can't make act-claude send a token to another host.
#[test]
fn a_spec_can_t_move_an_account_to_another_host() {
    let sandbox = Sandbox::new();
    let first = [&["--spec", spec("literal.json")][..], &REST].concat();
    assert_eq!(setup(&sandbox, &first, "").code(), 0);
    let before = snapshot(&sandbox.home());
    let evil = spec("hostile/other-host.yaml");
    for more in [&["--account", "acme"][..], &["--endpoint", URL]] {
        let output = setup(&sandbox, &[&["--spec", evil][..], &REST, more].concat(), "");
        assert_eq!(output.code(), 64, "{more:?}: {}", output.out());
        let said = output.err().replace("\n    ", " ");
        assert!(said.contains("leads to another host (agentcontroltower.boomi.com.evil.example)"), "{said}");
    }
    assert_eq!(snapshot(&sandbox.home()), before);
}

/// A second run changes nothing. A change keeps the user's own entries and the rest of the text.
#[test]
fn it_can_be_repeated_and_keeps_what_is_there() {
    let sandbox = Sandbox::new();
    let own =
        "{ \"report\": \"always\",\n  \"directories\": {\"~/x\":null},\n  \"accounts\": {}, \"exit_wait_ms\":  5 }\n";
    sandbox.write(".config/act-claude/config.json", own);
    let args = [&["--spec", spec("literal.json"), "--directory", "."][..], &REST].concat();
    let output = setup(&sandbox, &args, "");
    assert_eq!(output.code(), 0, "{}", output.err());
    let backup = sandbox.config_file().with_file_name("config.json.bak");
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), own);
    let text = std::fs::read_to_string(sandbox.config_file()).unwrap();
    assert!(
        text.starts_with("{ \"report\": \"always\",\n  \"directories\": {\"~/x\":null, \"~\": \"billing\"},\n"),
        "{text}"
    );
    assert!(text.contains("\"exit_wait_ms\":  5"), "{text}");
    let before = snapshot(&sandbox.home());
    let output = setup(&sandbox, &[&args[..], &["--json"]].concat(), "");
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!(snapshot(&sandbox.home()), before, "unchanged");
    let said: Value = serde_json::from_str(&output.out()).expect("JSON and nothing else");
    assert_eq!((&said["changed"], &said["aliases"]), (&json!(false), &json!(["billing"])));
    assert_eq!(said["found"]["id"][0]["place"], "paths./otlp/public/metrics.post.parameters[1].schema.default");

    // Members that the user added to an entry stay. A new Spec for the same alias changes its id.
    let with_team = text.replace("\"provider_type\": ", "\"attributes\": {\"team\": \"x\"}, \"provider_type\": ");
    std::fs::write(sandbox.config_file(), &with_team).unwrap();
    assert_eq!(setup(&sandbox, &[&args[..], &["--id", "id-2"]].concat(), "").code(), 0);
    assert_eq!(std::fs::read_to_string(sandbox.config_file()).unwrap(), with_team.replace(ID, "id-2"));

    // A faulty configuration is reported and left unchanged.
    let faulty = with_team.replace("\"report\"", "\"reprot\"");
    std::fs::write(sandbox.config_file(), &faulty).unwrap();
    let output = setup(&sandbox, &args, "");
    assert_eq!(output.code(), 78);
    assert!(
        output.err().contains("config.json:1:3: unknown key \"reprot\": did you mean \"report\"?"),
        "{}",
        output.err()
    );
    assert_eq!(std::fs::read_to_string(sandbox.config_file()).unwrap(), faulty);
}

/// Typical mistakes are corrected with a message: e-mail, account id and token swapped, prefixes, whole headers.
#[test]
fn typical_mistakes_are_corrected_with_a_message() {
    use base64::Engine;
    let token = ["--token-stdin", "--store", "file"];
    let base = ["--yes", "--name", "billing", "--id", "a-1", "--provider-type", "P"];
    let run = |args: &[&str], input: &str| {
        let sandbox = Sandbox::new();
        let output = setup(&sandbox, &[&base[..], &token, args].concat(), input);
        assert_eq!(output.code(), 0, "{args:?}: {}", output.err());
        let account = config(&sandbox)["accounts"]["acme"].clone();
        let kept = std::fs::read_to_string(sandbox.home().join(".config/act-claude/acme.token")).unwrap();
        assert_eq!(
            (&account["user"], &account["endpoint"], kept.trim()),
            (&json!(USER), &json!(URL), TOKEN),
            "{args:?}"
        );
        assert!(!output.out().contains(TOKEN) && !output.err().contains(TOKEN));
        output.out()
    };
    let url = ["--endpoint", URL];
    let header = base64::engine::general_purpose::STANDARD.encode(format!("BOOMI_TOKEN.{USER}:{TOKEN}"));
    let said = run(&url, &format!("Basic {header}\n"));
    assert!(said.contains("a whole Authorization header was given"), "{said}");
    let said = run(&url, &format!("BOOMI_TOKEN.BOOMI_TOKEN.{USER}:{TOKEN}\n"));
    assert!(said.contains("BOOMI_TOKEN. was doubled"), "{said}");
    let said = run(&url, &format!("BOOMI_TOKEN.{TOKEN}:{USER}\n"));
    assert!(said.contains("user and token were exchanged"), "{said}");
    // White space around a token is no part of it, and not worth a message.
    let said = run(&[&url[..], &["--user", &format!("BOOMI_TOKEN.{USER}")]].concat(), &format!(" {TOKEN} \r\n"));
    assert!(!said.contains("API token:"), "{said}");
    let swapped = URL.replace("acme-A1B2C3", USER);
    let said = run(&["--endpoint", &swapped, "--user", "acme-A1B2C3", "--account", "acme"], TOKEN);
    assert!(said.contains("E-mail and account id were exchanged"), "{said}");

    // An account id in place of the e-mail can't be corrected: it is reported.
    let sandbox = Sandbox::new();
    let output = setup(&sandbox, &[&base[..], &token, &url, &["--user", "acme-a1b2c3"]].concat(), TOKEN);
    assert_eq!(output.code(), 64);
    assert!(output.err().contains("that is the account id"), "{}", output.err());
    assert!(snapshot(&sandbox.home()).is_empty());
}
