//! `act setup --yes`: it takes what the questions would propose, and ends with a configuration that works. Two answers are no
//! default.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use serde_json::{Value, json};

use crate::support::act::{Act, credential};
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};
use crate::support::{self, fake_claude};

const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";

/// A Spec that names everything, for this metrics URL. Its title says nothing about the alias.
fn spec(endpoint: &str) -> String {
    let (server, _) = endpoint.split_once("/otlp/").expect("a metrics URL");
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Monitoring API", "version": "1"},
        "servers": [{"url": server}],
        "paths": {"/otlp/public/metrics": {"post": {"responses": {}}}},
        "x-alias-id": ID,
        "x-provider-type": "CUSTOM_PROVIDER"
    })
    .to_string()
}

fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// `act setup --no-check --yes ARGS` in a directory, the token on standard input.
fn setup(sandbox: &Sandbox, directory: impl AsRef<Path>, args: &[&str]) -> Output {
    let mut command = sandbox.act_claude(&["act", "setup", "--no-check", "--yes"]);
    command.args(args).current_dir(directory);
    run(command, TOKEN)
}

fn config(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap()
}

fn words(output: &Output) -> String {
    output.err().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The whole way with three values: a Spec, a user, a token. The next session is delivered.
#[test]
fn a_spec_a_user_and_a_token_are_enough() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post\nexit 0");
    let here = sandbox.directory("work/billing");
    sandbox.write("work/billing/spec.json", spec(&act.endpoint()));
    let mut command =
        sandbox.act_claude(&["act", "setup", "--spec", "spec.json", "--user", USER, "--token-stdin", "--yes"]);
    command.current_dir(&here);
    let output = run(command, &format!("{TOKEN}\n"));
    assert_eq!((output.code(), output.err().as_str()), (0, ""), "{}", output.out());
    let config = config(&sandbox);
    let account = config["accounts"].as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(config["aliases"]["billing"], json!({"account": account, "id": ID, "provider_type": "CUSTOM_PROVIDER"}));
    assert_eq!(config["directories"], json!({"~/work/billing": "billing"}));
    let file = json!({"file": format!("~/.config/act-claude/{account}.token")});
    assert_eq!(config["accounts"][&account]["token"], file);
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).current_dir(&here).output().unwrap();
    assert!(output.err().contains("billing: 1 export delivered"), "{}", output.err());
    let sent = act.requests().pop().unwrap();
    assert_eq!((credential(&sent), sent.header("x-alias-id")), (format!("BOOMI_TOKEN.{USER}:{TOKEN}"), Some(ID)));
}

/// The home directory and `/` hold everything else: the user has to say that this is meant.
#[test]
fn the_home_and_the_root_are_no_default() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("work/billing.json", spec(URL)).display().to_string();
    let args = ["--spec", &file, "--user", USER, "--token-stdin"];
    let above = sandbox.root().to_path_buf();
    let before = snapshot(sandbox.root());
    for directory in [sandbox.home(), above, "/".into()] {
        let output = setup(&sandbox, &directory, &args);
        assert_eq!(output.code(), 64, "{}", output.out());
        let said = words(&output);
        assert!(said.contains("--directory DIR or --default: where the alias is used; --yes does not take"), "{said}");
    }
    assert_eq!(snapshot(sandbox.root()), before);
    let output = setup(&sandbox, "/", &[&args[..], &["--default"]].concat());
    assert_eq!(output.code(), 0, "{}", output.err());
    // The file names the alias where no directory does.
    assert_eq!((&config(&sandbox)["default"], config(&sandbox).get("directories")), (&json!("billing"), None));
    // The alias is in use, so a repetition needs no directory.
    let output = setup(&sandbox, "/", &args);
    assert_eq!(output.code(), 0, "{}", output.err());
}

/// What the user said about this directory before is another answer.
#[test]
fn a_rule_for_this_directory_is_not_replaced_without_a_word() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("spec.json", spec(URL)).display().to_string();
    let args = ["--spec", &file, "--user", USER, "--token-stdin"];
    for (rule, alias, said) in [
        ("~/work/web", json!("other"), Some("~/work/web uses other already, which --directory . replaces")),
        ("~/work", json!(null), Some("the rule for ~/work says that there is no telemetry here")),
        ("~/work", json!("other"), None),
        ("~/work/web/below", json!("other"), None),
    ] {
        sandbox.configure_one("http://127.0.0.1:9/m");
        let mut own = config(&sandbox);
        own["aliases"]["other"] = own["aliases"]["billing"].clone();
        own["directories"] = json!({rule: alias});
        sandbox.configure(&own);
        let output = setup(&sandbox, sandbox.directory("work/web"), &args);
        match said {
            Some(said) => {
                assert_eq!(output.code(), 64, "{rule}: {}", output.out());
                assert!(words(&output).contains(said), "{rule}: {}", output.err());
                assert_eq!(config(&sandbox), own);
            }
            None => {
                assert_eq!(output.code(), 0, "{rule}: {}", output.err());
                assert_eq!(config(&sandbox)["directories"]["~/work/web"], "web", "{rule}");
            }
        }
    }
}

/// The name comes from the repository, the directory, or the Spec's file; never from the title.
#[test]
fn names_of_aliases() {
    for (directory, repository, file, args, name) in [
        ("work/billing", "", "api.json", &[][..], "billing"),
        ("work/billing/src", "work/billing", "api.json", &[], "billing"),
        ("work/src", "", "web-spec (1).json", &[], "web"),
        ("Downloads", "", "web.json", &["--default"], "web"),
        ("Downloads", "", "web.json", &[], "web"),
        ("work/Ünï çode", "", "openapi.json", &[], "n-ode"),
        ("work/日本", "", "openapi.json", &[], "acme"),
        ("x", "", "openapi.json", &["--directory", "../y"], "y"),
        ("work/billing", ".", "openapi.json", &[], "billing"),
    ] {
        let sandbox = Sandbox::new();
        let here = sandbox.directory(directory);
        sandbox.directory("y");
        if !repository.is_empty() {
            sandbox.directory(&format!("{repository}/.git"));
        }
        std::fs::write(here.join(file), spec(URL)).unwrap();
        let args = [&["--spec", file, "--user", USER, "--token-stdin"], args].concat();
        let output = setup(&sandbox, &here, &args);
        assert_eq!(output.code(), 0, "{directory} {file}: {}", output.err());
        let aliases = config(&sandbox)["aliases"].clone();
        assert_eq!(aliases.as_object().unwrap().keys().collect::<Vec<_>>(), [name], "{directory} {file}");
    }
    // A name that is taken gets a number, as the question proposes.
    let sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    let file = sandbox.write("spec.json", spec(URL)).display().to_string();
    let output =
        setup(&sandbox, sandbox.directory("work/billing"), &["--spec", &file, "--user", USER, "--token-stdin"]);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!(config(&sandbox)["directories"]["~/work/billing"], "billing-2");
}

/// The only user there is, is proposed and so taken. Two users are two answers.
#[test]
fn the_user_of_the_other_accounts() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    let file = sandbox.write("spec.json", spec(URL)).display().to_string();
    let args = ["--spec", &file, "--token-stdin"];
    let here = sandbox.directory("work/web");
    let mut own = config(&sandbox);
    own["accounts"]["two"] = own["accounts"]["acme"].clone();
    own["accounts"]["two"]["user"] = json!("eve@acme.com");
    sandbox.configure(&own);
    let output = setup(&sandbox, &here, &args);
    assert_eq!(output.code(), 64, "{}", output.out());
    assert!(output.err().contains("--user EMAIL"), "{}", output.err());
    own["accounts"].as_object_mut().unwrap().remove("two");
    sandbox.configure(&own);
    let output = setup(&sandbox, &here, &args);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!(config(&sandbox)["accounts"]["acme-2"]["user"], USER);
}

/// The recipe's own token goes into a file, unless its account has a source that works.
#[test]
fn the_recipe_s_token_needs_no_flag() {
    let sandbox = Sandbox::new();
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("BOOMI_TOKEN.{USER}:{TOKEN}"));
    let recipe = json!({"env": {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": URL,
        "OTEL_EXPORTER_OTLP_HEADERS": format!("Authorization=Basic {encoded},X-Alias-Id=id-1"),
        "OTEL_RESOURCE_ATTRIBUTES": "providerType=P"
    }});
    sandbox.write(".claude/settings.json", recipe.to_string());
    let output = setup(&sandbox, sandbox.home(), &["--from-settings"]);
    assert_eq!((output.code(), output.err().as_str()), (0, ""), "{}", output.out());
    let token = sandbox.config_file().with_file_name("acme.token");
    assert_eq!(std::fs::read_to_string(&token).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(config(&sandbox)["default"], "acme");
    // A command that the account has already stays.
    std::fs::remove_file(&token).unwrap();
    let mut own = config(&sandbox);
    own["accounts"]["acme"]["token"] = json!({"command": ["cat", "t"]});
    sandbox.configure(&own);
    let output = setup(&sandbox, sandbox.home(), &["--from-settings"]);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!((&config(&sandbox)["accounts"], token.exists()), (&own["accounts"], false));
}

/// A claude that is installed, but not on PATH: the launch names it and the line for the configuration, and setup writes it.
#[test]
fn a_claude_that_path_does_not_lead_to() {
    for place in [".local/bin/claude", ".claude/local/claude"] {
        let mut sandbox = Sandbox::new();
        fake_claude::install(&mut sandbox, "print claude ran\nexit 0");
        let directory = sandbox.directory("work/billing");
        sandbox.set("PATH", "/usr/bin:/bin");
        let launch = || sandbox.act_claude(&["-p", "hi"]).current_dir(&directory).output().unwrap();
        assert!(words(&launch()).contains("claude: command not found: install Claude Code"), "{}", launch().err());
        let claude = sandbox.home().join(place);
        std::fs::create_dir_all(claude.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(support::example("fake_claude"), &claude).unwrap();
        let output = launch();
        assert_eq!(output.code(), 127);
        let line = format!(
            "claude: command not found, but {} is there: put its directory on PATH, or add \"claude\": \"~/{place}\" to {}, as \
             act-claude act setup offers",
            sandbox.shown(&claude),
            sandbox.shown(sandbox.config_file())
        );
        assert!(words(&output).contains(&line), "{}", output.err());
        // On a terminal it is a question.
        let file = sandbox.write("spec.json", spec(URL)).display().to_string();
        let args =
            ["act", "setup", "--no-check", "--spec", &file, "--user", USER, "--token-env", "T", "--name", "billing"];
        for (answer, is_written) in [("n\r", false), ("\r", true)] {
            let mut command = sandbox.act_claude(&args);
            command.arg("--default").current_dir(&directory);
            let mut pty = Pty::start(command);
            let screen = pty.wait_for("? Name it in the configuration?");
            assert!(screen.contains(&format!("claude is not on PATH, but ~/{place} is there.")), "{screen}");
            pty.send(answer);
            let (status, screen) = pty.finish();
            assert_eq!(status.code(), Some(0), "{screen}");
            assert_eq!(config(&sandbox).get("claude").is_some(), is_written, "{screen}");
        }
        assert_eq!(config(&sandbox)["claude"], format!("~/{place}"));
        assert!(launch().out().contains("claude ran"), "{}", launch().err());
        // With --yes it is written.
        std::fs::remove_dir_all(sandbox.config_file().parent().unwrap()).unwrap();
        let output = setup(&sandbox, &directory, &["--spec", &file, "--user", USER, "--token-stdin"]);
        assert_eq!(output.code(), 0, "{}", output.err());
        assert_eq!(config(&sandbox)["claude"], format!("~/{place}"));
        // So it is where only a token is renewed.
        let mut before = config(&sandbox);
        assert!(before.as_object_mut().unwrap().remove("claude").is_some());
        sandbox.configure(&before);
        let account = before["accounts"].as_object().unwrap().keys().next().unwrap().clone();
        let output = setup(&sandbox, &directory, &["--account", &account, "--token-stdin"]);
        assert_eq!(output.code(), 0, "{}", output.err());
        assert_eq!(config(&sandbox)["claude"], format!("~/{place}"));
    }
}
