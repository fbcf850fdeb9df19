//! The user's own "off" and own pipeline are respected; direct delivery gives the token to no other endpoint.

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text, snapshot};

struct Case {
    /// Variables of the environment.
    variables: &'static [(&'static str, &'static str)],
    /// User settings, project settings.
    settings: (&'static str, &'static str),
    direct: bool,
    /// The one line; `None` if telemetry is active.
    line: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        variables: &[("CLAUDE_CODE_ENABLE_TELEMETRY", "0")],
        settings: ("", ""),
        direct: false,
        line: Some("no telemetry: you switched it off (CLAUDE_CODE_ENABLE_TELEMETRY in the environment is 0)"),
    },
    Case {
        variables: &[("OTEL_METRICS_EXPORTER", "none")],
        settings: ("", ""),
        direct: true,
        line: Some("no telemetry: you switched it off (OTEL_METRICS_EXPORTER in the environment is none)"),
    },
    Case {
        variables: &[],
        settings: (r#"{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}}"#, ""),
        direct: false,
        line: Some(
            "no telemetry: you switched it off (env.CLAUDE_CODE_ENABLE_TELEMETRY in ~/.claude/settings.json is 0)",
        ),
    },
    // A repository's settings are not respected here.
    Case {
        variables: &[],
        settings: ("", r#"{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0", "OTEL_METRICS_EXPORTER": "none"}}"#),
        direct: false,
        line: None,
    },
    // It is meant for other programs: claude sends nothing there.
    Case {
        variables: &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector.example:4318/v1/metrics")],
        settings: ("", ""),
        direct: false,
        line: None,
    },
    Case {
        variables: &[
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector.example:4318/v1/metrics"),
        ],
        settings: ("", ""),
        direct: false,
        line: Some(
            "no telemetry to ACT: your metrics go to http://collector.example:4318/v1/metrics \
             (OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in the environment); to send them to both, set \"own_pipeline\": \
             \"copy\" in act-claude's configuration, or \"replace\" to send them to ACT only",
        ),
    },
    Case {
        variables: &[("CLAUDE_CODE_ENABLE_TELEMETRY", "1")],
        settings: (
            r#"{"env": {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}}"#,
            "",
        ),
        direct: true,
        line: Some(
            "no telemetry to ACT: your metrics go to http://collector.example:4318 \
             (env.OTEL_EXPORTER_OTLP_ENDPOINT in ~/.claude/settings.json); to send them to both, set \
             \"own_pipeline\": \"copy\" in act-claude's configuration, or \"replace\" to send them to ACT only",
        ),
    },
    // With an alias id it is the documented recipe: our variables replace it.
    Case {
        variables: &[
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://act.example/metrics"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic eDp5,X-Alias-Id=old"),
        ],
        settings: ("", ""),
        direct: false,
        line: None,
    },
    // Another signal would be sent with the documented recipe's generic headers.
    Case {
        variables: &[("OTEL_LOGS_EXPORTER", "otlp")],
        settings: ("", ""),
        direct: true,
        line: Some(
            "no telemetry: with direct delivery OTEL_LOGS_EXPORTER in the environment would receive your ACT token: \
             remove that, or use the relay (without --direct)",
        ),
    },
    Case { variables: &[("OTEL_LOGS_EXPORTER", "otlp")], settings: ("", ""), direct: false, line: None },
    Case {
        variables: &[],
        settings: ("", r#"{"env": {"OTEL_TRACES_EXPORTER": "otlp"}}"#),
        direct: true,
        line: Some(
            "no telemetry: with direct delivery env.OTEL_TRACES_EXPORTER in ~/project/.claude/settings.json would \
             receive your ACT token: remove that, or use the relay (without --direct)",
        ),
    },
    Case {
        variables: &[],
        settings: ("", r#"{"env": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://evil.example/m"}}"#),
        direct: true,
        line: Some(
            "no telemetry: with direct delivery env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in \
             ~/project/.claude/settings.json would receive your ACT token: remove that, or use the relay (without --direct)",
        ),
    },
];

#[test]
fn each_with_its_line() {
    for (number, case) in CASES.iter().enumerate() {
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        let arguments = sandbox.root().join("arguments");
        fake_claude::install(&mut sandbox, &format!("arguments {}\npost\nexit 0", arguments.display()));
        case.variables.iter().for_each(|(name, value)| sandbox.set(name, value));
        sandbox.directory("project");
        if !case.settings.0.is_empty() {
            sandbox.write(".claude/settings.json", case.settings.0);
        }
        if !case.settings.1.is_empty() {
            sandbox.write("project/.claude/settings.json", case.settings.1);
        }
        let settings = || {
            let mut files = snapshot(&sandbox.home());
            files.retain(|path, _| path.ends_with("settings.json"));
            files
        };
        let before = settings();
        let args: &[&str] = if case.direct { &["--direct", "-p", "hi"] } else { &["-p", "hi"] };
        let run = |args: &[&str]| {
            let mut command = sandbox.act_claude(args);
            command.current_dir(sandbox.home().join("project"));
            command
        };
        // On a terminal the line is printed. A script gets no message about the user's own choice.
        let (_, screen) = Pty::start(run(&[&["--report", "always"], args].concat())).finish();
        let words: String = screen.replace('\n', "").replace(&sandbox.home().display().to_string(), "~");
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        match case.line {
            Some(line) => {
                assert_eq!(squeezed(&words), squeezed(&format!("act-claude: {line}")), "case {number}");
                assert!(act.requests().is_empty(), "case {number}");
                let piped = run(args).output().unwrap();
                assert_eq!((piped.err().as_str(), piped.code()), ("", 0), "case {number}");
            }
            None => {
                let requests = act.wait_for(1);
                assert_eq!(requests[0].header("x-alias-id"), Some("id-billing"), "case {number}");
                assert!(words.contains("billing:"), "case {number}: {words}");
            }
        }
        assert_eq!(settings(), before, "case {number}");
    }
}

/// Also in the older form.
#[test]
fn a_pipeline_is_replaced_where_the_configuration_says_so() {
    for says in ["\"replace_endpoint\": true", "\"own_pipeline\": \"replace\""] {
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        let text = std::fs::read_to_string(sandbox.config_file()).unwrap().replacen('{', &format!("{{{says},"), 1);
        sandbox.write(".config/act-claude/config.json", text);
        fake_claude::install(&mut sandbox, "post\nexit 0");
        sandbox.set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector.example:4318/v1/metrics");
        assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
        act.wait_for(1);
    }
}
