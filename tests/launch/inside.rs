//! Inside a claude, act-claude uses the environment with which that claude was started (docs/security.md). A probe
//! replaces claude here; tests/secrets/c3_inside_claude.rs does the same with real clients.

use std::os::unix::process::CommandExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{eventually, probe, user};

/// A home with an alias, and another configuration that names the user's own token.
struct InsideLab {
    sandbox: Sandbox,
    act: Act,
    foreign: Act,
}

impl InsideLab {
    fn new() -> Self {
        let (act, foreign) = (Act::start(), Act::start());
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&foreign.endpoint());
        let config = std::fs::read(sandbox.config_file()).unwrap();
        sandbox.write("repository/act-claude/config.json", &config);
        sandbox.write("repository/.config/act-claude/config.json", &config);
        sandbox.configure_one(&act.endpoint());
        probe::on_path(&mut sandbox);
        Self { sandbox, act, foreign }
    }

    /// Runs a claude whose Bash tool runs `line`. The last line of output is the exit status.
    fn tool(&self, line: &str) -> Output {
        let mut command = self.sandbox.command(self.sandbox.home().join("bin/claude"));
        command.arg0("claude").env("PROBE_SCRIPT", format!("run {line}; echo \"[$?]\""));
        command.output().expect("the probe")
    }

    fn required(&self) {
        let mut config: Value = serde_json::from_slice(&std::fs::read(self.sandbox.config_file()).unwrap()).unwrap();
        config["required"] = json!(true);
        self.sandbox.configure(&config);
    }
}

/// A session that exports once.
const SESSION: &str = "PROBE_SCRIPT=post act-claude -p inner";

#[test]
fn a_differing_variable_stops_telemetry_and_changes() {
    let lab = InsideLab::new();
    let repository = lab.sandbox.directory("repository").display().to_string();
    let output = lab.tool(SESSION);
    assert_eq!((output.out().as_str(), output.err().as_str()), ("[0]\n", ""));
    lab.act.wait_for(1);
    for (name, value) in [
        ("ACT_CLAUDE_CONFIG", format!("{repository}/act-claude/config.json")),
        ("XDG_CONFIG_HOME", repository.clone()),
        ("XDG_STATE_HOME", repository.clone()),
        ("HOME", repository.clone()),
        ("CLAUDE_CONFIG_DIR", repository.clone()),
    ] {
        let said = |what: &str| {
            format!("act-claude: {what}{name} differs from the environment with which the enclosing claude was started")
        };
        let output = lab.tool(&format!("{name}={value} {SESSION}"));
        assert_eq!(output.out(), "[0]\n", "claude starts all the same");
        assert!(output.err().starts_with(&said("no telemetry: ")), "{}", output.err());
        assert_eq!(output.err().lines().count(), 1, "{}", output.err());
        for change in [
            "use --none",
            "use billing --default",
            "setup --yes --account acme --token-stdin",
            "aliases --add x --id 1 --provider-type P",
            "aliases --remove billing",
            "check",
            "flush",
            "uninstall --yes --discard",
        ] {
            let output = lab.tool(&format!("{name}={value} act-claude act {change}"));
            assert_eq!(output.out(), "[64]\n", "{name} {change}: {}", output.err());
            assert!(output.err().starts_with(&said("")), "{change}: {}", output.err());
        }
        let which = lab.tool(&format!("{name}={value} act-claude act which"));
        assert!(
            which.out().contains(&said("").replace("act-claude: ", "")) && which.out().ends_with("[1]\n"),
            "{}",
            which.out()
        );
    }
    assert!(!std::path::Path::new(&repository).join("act-claude/spool").exists(), "no state was written there");
    lab.required();
    let output = lab.tool(&format!("ACT_CLAUDE_CONFIG={repository}/act-claude/config.json {SESSION}"));
    assert_eq!(output.out(), "[78]\n", "{}", output.err());
    assert!(output.err().contains("is required by"), "{}", output.err());
    assert_eq!((lab.act.requests().len(), lab.foreign.requests().len()), (1, 0));
}

/// A variable that only selects one of the permitted aliases, or concerns the report, still works.
#[test]
fn variables_that_a_session_may_still_set() {
    let lab = InsideLab::new();
    let acme = lab.sandbox.account(&lab.act.endpoint());
    let other = lab.sandbox.account(&lab.foreign.endpoint());
    let alias = |account: &str, id: &str| json!({"account": account, "id": id, "provider_type": "P"});
    lab.sandbox.configure(&json!({
        "accounts": {"acme": acme, "other": other},
        "aliases": {"billing": alias("acme", "id-billing"), "web": alias("acme", "id-web"), "labs": alias("other", "id-labs")},
        "directories": {"~": "billing"}
    }));
    lab.tool(&format!("ACT_CLAUDE_ALIAS=web {SESSION}"));
    // A repository may not select another account's alias. On the command line the user has selected it.
    let passed_over = lab.tool(&format!("ACT_CLAUDE_ALIAS=labs ACT_CLAUDE_REPORT=always {SESSION}"));
    assert!(
        passed_over.err().contains("ACT_CLAUDE_ALIAS inside of claude: ignored: alias \"labs\" belongs to"),
        "{}",
        passed_over.err()
    );
    let requests = lab.act.wait_for(2);
    let ids: Vec<_> = requests.iter().map(|request| request.header("x-alias-id").unwrap().to_owned()).collect();
    assert_eq!(ids, ["id-web", "id-billing"]);
    assert_eq!(lab.foreign.requests().len(), 0);
    lab.tool(&format!("{} --alias labs", SESSION.replace("-p inner", "").trim_end()));
    lab.foreign.wait_for(1);
    let off = lab.tool(&format!("ACT_CLAUDE=off {SESSION}"));
    assert_eq!((off.out().as_str(), off.err().as_str(), lab.act.requests().len()), ("[0]\n", "", 2));
}

/// If the environment with which claude was started is unknown, nothing is sent.
#[test]
fn an_environment_that_can_t_be_read_or_seen() {
    let lab = InsideLab::new();
    // The claude has ended before act-claude looks, so its variables can't be distinguished from the user's.
    let barrier = lab.sandbox.root().join("go");
    let late = format!(
        "(while [ ! -e {0} ]; do sleep 0.01; done; CLAUDECODE=1 ACT_CLAUDE_CONFIG=/x {SESSION} >{1} 2>&1; touch {1}.done) >/dev/null 2>&1 &",
        barrier.display(),
        lab.sandbox.root().join("late").display()
    );
    let mut command = lab.sandbox.command(lab.sandbox.home().join("bin/claude"));
    command.arg0("claude").env("PROBE_SCRIPT", format!("run {late}"));
    assert_eq!(command.output().unwrap().code(), 0);
    std::fs::write(barrier, "").unwrap();
    let late = lab.sandbox.root().join("late");
    eventually("the session's end", || late.with_extension("done").exists().then_some(()));
    let said = std::fs::read_to_string(late).unwrap();
    assert!(said.contains("is set, and the claude this was started from has ended or can't be seen"), "{said}");
    assert_eq!(lab.foreign.requests().len(), 0);
}

/// The claude of another user: its environment is not readable.
#[test]
fn another_user_s_claude() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("another user's process needs root");
    }
    let mut lab = InsideLab::new();
    crate::support::fake_claude::install(&mut lab.sandbox, "print claude ran");
    let program = user::give(&lab.sandbox);
    let setpriv = format!("setpriv --reuid {0} --regid {0} --clear-groups", user::USER);
    let output = lab.tool(&format!("PROBE_SCRIPT=post {setpriv} {} -p inner", program.display()));
    assert!(output.err().contains("can't be read, so it is not known"), "{}{}", output.out(), output.err());
    assert_eq!(output.out(), "claude ran\n[0]\n");
    assert_eq!(lab.act.requests().len(), 0);
}

/// The user's own pipeline is copied, and claude removes its variables for its Bash tool: ACT gets the session inside all the
/// same, and the pipeline gets what it would get without act-claude.
#[test]
fn the_users_own_pipeline_is_no_reason_to_send_nothing() {
    for in_settings in [false, true] {
        let mut lab = InsideLab::new();
        let own = Act::start();
        let mut config: Value = serde_json::from_slice(&std::fs::read(lab.sandbox.config_file()).unwrap()).unwrap();
        config["own_pipeline"] = json!("copy");
        lab.sandbox.configure(&config);
        let pipeline = [
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".to_owned()),
            ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json".to_owned()),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("{}/v1/metrics", own.origin())),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "X-Own=1".to_owned()),
        ];
        if in_settings {
            let env: serde_json::Map<_, _> =
                pipeline.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            lab.sandbox.write(".claude/settings.json", json!({ "env": env }).to_string());
        } else {
            pipeline.iter().for_each(|(name, value)| lab.sandbox.set(name, value));
        }
        // The session outside is one of act-claude, too: it passes on the user's own values.
        let names = "$(env | sed -n 's/^\\(OTEL_[A-Z_]*\\)=.*/\\1/p')";
        let inner = format!("unset {names}; ACT_CLAUDE_REPORT=always {SESSION}");
        let mut command = lab.sandbox.act_claude(&["-p", "outer"]);
        command.env("PROBE_SCRIPT", format!("run CLAUDECODE=1; export CLAUDECODE; {inner}; echo \"[$?]\""));
        let output = command.output().expect("the probe");
        assert!(!output.err().contains("no telemetry"), "{}", output.err());
        lab.act.wait_for(1);
        if in_settings {
            own.wait_for(1);
        }
        for request in own.requests() {
            assert_eq!(request.header("x-own"), Some("1"), "{in_settings}");
        }
        assert_eq!(own.requests().len(), usize::from(in_settings), "{}", output.err());
    }
}
