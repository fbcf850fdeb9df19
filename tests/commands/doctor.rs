//! `act doctor` reports nothing when all is well, finds each problem alone and all of them together, and each fix it
//! prints, carried out, removes its finding.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::support::act::{Act, accepted, refused};
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::{self, system};

/// A machine without problems; each test case adds some.
struct Machine {
    sandbox: Sandbox,
    /// Commands that were typed into the shell before.
    typed: String,
    /// /etc/claude-code/managed-settings.json
    managed: Option<String>,
    /// Running claudes.
    running: Vec<Child>,
    /// ACT, for cases with deliveries.
    act: Option<Act>,
}

const USER: &str = ".claude/settings.json";
const PROJECT: &str = "work/.claude/settings.json";
const LOCAL: &str = "work/.claude/settings.local.json";

/// A claude that answers `--version` and can be updated.
const CLAUDE: &str = r#"#!/bin/sh
case $1 in
  --version) echo "$(cat "$HOME/client-version") (Claude Code)" ;;
  update) echo 2.1.330 > "$HOME/client-version" ;;
  daemon) kill "$(cat "$HOME/daemon.pid")" ;;
esac
"#;

impl Machine {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.set("PATH", format!("{}:/usr/bin:/bin", sandbox.directory("bin").display()));
        sandbox.script("bin/claude", CLAUDE);
        sandbox.write("client-version", "2.1.330");
        std::os::unix::fs::symlink(support::act_claude(), sandbox.home().join("bin/act-claude")).unwrap();
        sandbox.directory("work");
        sandbox.configure(&json!({
            "accounts": {"acme": sandbox.account("https://act.invalid/metric-ingestion/v1/acme/otlp/public/metrics")},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
            "directories": {"~/work": "billing"}
        }));
        let machine = Self { sandbox, typed: String::new(), managed: None, running: Vec::new(), act: None };
        machine.mode(".config/act-claude", 0o700);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.home().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn type_in(&mut self, line: &str) {
        self.typed.push_str(line);
        self.typed.push('\n');
    }

    /// Changes a JSON file, which is created if it does not exist.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = std::fs::read(self.path(name))
            .ok()
            .map_or_else(|| json!({}), |bytes| serde_json::from_slice(&bytes).expect("JSON"));
        change(&mut value);
        self.sandbox.write(name, serde_json::to_vec_pretty(&value).unwrap());
    }

    fn configure(&self, change: impl FnOnce(&mut Value)) {
        self.change(".config/act-claude/config.json", change);
    }

    /// Sets variables in a settings file.
    fn set_env(&self, name: &str, variables: &[(&str, &str)]) {
        self.change(name, |settings| {
            for (variable, value) in variables {
                settings["env"][variable] = json!(value);
            }
        });
    }

    /// Runs `act doctor` in ~/work, in a shell in which `typed` was typed. `None`: the test is skipped.
    fn doctor(&self, arguments: &str) -> Option<(String, i32)> {
        let mut shell = self.sandbox.command("sh");
        // From a file, not as an argument: doctor would treat a path in an argument as a script that started it.
        self.sandbox.write("typed", &self.typed);
        shell.arg("-c").arg(format!(". ~/typed; act-claude act doctor {arguments}"));
        shell.current_dir(self.path("work")).env("COLUMNS", "80");
        if let Some(managed) = &self.managed {
            shell = system::with_files(&self.sandbox, &[("/etc/claude-code/managed-settings.json", managed)], &shell)?;
        }
        let output = shell.output().unwrap();
        assert_eq!(output.err(), "");
        assert!(!output.out().contains(TOKEN));
        Some((output.out(), output.code()))
    }

    /// Asserts that there is no problem.
    fn is_healthy(&self, when: &str) {
        let Some((text, code)) = self.doctor("") else { return };
        assert!(code == 0 && text.starts_with("no problems found\n\nact-claude "), "{when}: {text}");
    }

    /// The findings. Asserts that each one has all its parts.
    fn findings(&self) -> Option<Vec<Value>> {
        let (text, code) = self.doctor("--json")?;
        let findings: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let findings = findings["findings"].as_array().unwrap().clone();
        assert_eq!(code, i32::from(!findings.is_empty()));
        for finding in &findings {
            for part in ["what", "where", "effect"] {
                assert!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {finding}");
            }
            let has_fix = finding["command"].is_string() || finding["fix"].as_str().is_some_and(|fix| !fix.is_empty());
            assert!(has_fix, "{finding}");
        }
        Some(findings)
    }

    /// Starts a claude that runs until it is ended, in a directory under the home.
    fn start(&mut self, directory: &str, arguments: &[&str], variables: &[(&str, &str)]) -> u32 {
        let program = self.sandbox.directory("running").join("claude");
        if !program.exists() {
            std::fs::copy(support::example("fake_claude"), &program).unwrap();
        }
        let barrier = self.path("never");
        let mut command = self.sandbox.command(&program);
        command.args(arguments).current_dir(self.sandbox.directory(directory)).envs(variables.iter().copied());
        let ready = self.path(&format!("ready-{}", self.running.len()));
        command.env("FAKE_CLAUDE", format!("touch {}\nwait {}", ready.display(), barrier.display()));
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.running.push(child);
        support::eventually("a running claude", || ready.exists().then_some(()));
        pid
    }

    /// A session under act-claude, with a claude that runs `script`.
    fn exporting(&self, script: &str) -> Command {
        let mut command = self.sandbox.act_claude(&["-p", "hi"]);
        command.current_dir(self.path("work")).env("ACT_CLAUDE_BIN", support::example("fake_claude"));
        command.env("FAKE_CLAUDE", script);
        command
    }

    /// Runs a command that ends some of the claudes, and waits for their end.
    fn end_by(&mut self, command: &str) {
        let status = self.sandbox.command("sh").args(["-c", command]).status().unwrap();
        assert!(status.success(), "{command}");
        for mut child in self.running.drain(..) {
            child.wait().unwrap();
        }
    }

    /// Carries out a finding's fix: its command, or else the change to a file that it describes.
    fn follow(&mut self, finding: &Value) {
        let text = |part: &str| finding[part].as_str().unwrap_or_default().to_owned();
        if let Some(command) = finding["command"].as_str() {
            let ends = command.starts_with("kill ") || command == "claude daemon stop --any";
            return if ends { self.end_by(command) } else { self.type_in(command) };
        }
        let (fix, place) = (text("fix"), text("where"));
        let (file, line) = match place.split(':').collect::<Vec<_>>()[..] {
            [file, line, _] => (file.to_owned(), line.parse().unwrap()),
            _ => (place.clone(), 0),
        };
        if fix == "remove this comma" {
            return remove_comma(&file, line);
        }
        if let Some(keys) = text("what").split_once("of a project: ").map(|(_, keys)| keys.to_owned()) {
            keys.split(", ").for_each(|key| remove_key(&file, &format!("env.{key}")));
            return;
        }
        let key = fix.strip_prefix("remove ").unwrap_or_else(|| panic!("how? {finding}"));
        remove_key(&file, key.split([' ', ',', ';', ':']).next().unwrap());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn remove_comma(file: &str, line: usize) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let without =
        lines[line - 1].strip_suffix(',').unwrap_or_else(|| panic!("no comma ends line {line} of {text}")).to_owned();
    lines[line - 1] = without;
    std::fs::write(file, lines.join("\n")).unwrap();
}

/// Removes `env.NAME` or another key. The fix of another finding may have removed it already.
fn remove_key(file: &str, key: &str) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let object = match key.split_once('.') {
        Some((outer, _)) => &mut value[outer],
        None => &mut value,
    };
    object.as_object_mut().unwrap().remove(key.rsplit('.').next().unwrap());
    std::fs::write(file, value.to_string()).unwrap();
}

/// A problem: how it is made, what doctor finds, and how it is fixed.
struct Problem {
    name: &'static str,
    make: fn(&mut Machine),
    ids: &'static [&'static str],
    /// `None`: the fix in the finding is carried out literally.
    fix: Option<fn(&mut Machine)>,
}

/// The guide's recipe, for another alias.
const RECIPE: [(&str, &str); 8] = [
    ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
    ("OTEL_METRICS_EXPORTER", "otlp"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/x-1/otlp/public/metrics",
    ),
    ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic Zm9vOmJhcg==,X-Alias-Id=old,Origin=https://claude.ai"),
    ("OTEL_RESOURCE_ATTRIBUTES", "providerType=OLD,operation=InvokeAgent,promptType=Interactive"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
];

const TRAILING_COMMA: &str = "{\n  \"env\": {\n    \"DISABLE_AUTOUPDATER\": \"1\",\n  }\n}\n";

const PROBLEMS: &[Problem] = &[
    Problem {
        name: "claude missing",
        make: |machine| std::fs::remove_file(machine.path("bin/claude")).unwrap(),
        ids: &["claude-missing"],
        // Replaces the installer.
        fix: Some(|machine| drop(machine.sandbox.script("bin/claude", CLAUDE))),
    },
    Problem {
        name: "a claude of Windows",
        make: |machine| drop(machine.sandbox.script("bin/claude", "MZ")),
        ids: &["windows-claude"],
        // Replaces the installer.
        fix: Some(|machine| drop(machine.sandbox.script("bin/claude", CLAUDE))),
    },
    Problem {
        name: "a shim loop",
        make: |machine| {
            machine.sandbox.script("shims/claude", "#!/bin/sh\n# the company's\nexec act-claude \"$@\"\n");
            let line = format!("PATH={}:$PATH", machine.path("shims").display());
            machine.type_in(&line);
        },
        ids: &["loop"],
        fix: None,
    },
    Problem {
        name: "two act-claude on PATH",
        make: |machine| {
            std::fs::copy(support::act_claude(), machine.sandbox.directory("old").join("act-claude")).unwrap();
            let line = format!("PATH=$PATH:{}", machine.path("old").display());
            machine.type_in(&line);
        },
        ids: &["several-act-claude"],
        fix: None,
    },
    Problem {
        name: "launcher path gone, by a variable",
        make: |machine| machine.type_in("export CLAUDE_CODE_PROCESS_WRAPPER=/opt/old/act-claude"),
        ids: &["launcher-gone"],
        fix: None,
    },
    Problem {
        name: "launcher path gone, by settings",
        make: |machine| machine.change(USER, |settings| settings["processWrapper"] = json!("/opt/old/act-claude")),
        ids: &["launcher-gone"],
        fix: None,
    },
    Problem {
        name: "configuration syntax",
        make: |machine| {
            let text = std::fs::read_to_string(machine.sandbox.config_file()).unwrap();
            let end = text.rfind("\n  }\n}").unwrap();
            std::fs::write(machine.sandbox.config_file(), format!("{},{}", &text[..end], &text[end..])).unwrap();
        },
        ids: &["configuration"],
        fix: None,
    },
    Problem {
        name: "unknown key",
        make: |machine| machine.configure(|config| config["acounts"] = json!({})),
        ids: &["configuration"],
        fix: Some(|machine| machine.configure(|config| drop(config.as_object_mut().unwrap().remove("acounts")))),
    },
    Problem {
        name: "dangling alias",
        make: |machine| machine.configure(|config| config["directories"]["~/work"] = json!("biling")),
        ids: &["configuration"],
        fix: Some(|machine| machine.configure(|config| config["directories"]["~/work"] = json!("billing"))),
    },
    Problem {
        name: "no rule for the directory",
        make: |machine| machine.configure(|config| config["directories"] = json!({})),
        ids: &["no-alias"],
        fix: Some(|machine| machine.configure(|config| config["directories"]["~/work"] = json!("billing"))),
    },
    Problem {
        name: "permissions of the directory",
        make: |machine| machine.mode(".config/act-claude", 0o777),
        ids: &["exposed"],
        fix: None,
    },
    Problem {
        name: "permissions of the token",
        make: |machine| machine.mode("token", 0o644),
        ids: &["token"],
        fix: None,
    },
    Problem {
        name: "failing token command",
        make: |machine| {
            machine.configure(|config| config["accounts"]["acme"]["token"] = json!({"command": ["false"]}));
        },
        ids: &["token"],
        fix: Some(|machine| {
            machine.configure(|config| config["accounts"]["acme"]["token"] = json!({"command": ["echo", "x"]}));
        }),
    },
    Problem {
        name: "telemetry off in user settings",
        make: |machine| machine.set_env(USER, &[("CLAUDE_CODE_ENABLE_TELEMETRY", "0")]),
        ids: &["settings"],
        fix: None,
    },
    Problem {
        name: "telemetry off by a variable",
        make: |machine| machine.type_in("export OTEL_METRICS_EXPORTER=none"),
        ids: &["off"],
        fix: None,
    },
    Problem {
        name: "an exporter that claude does not know",
        make: |machine| machine.type_in("export OTEL_METRICS_EXPORTER=otpl"),
        ids: &["exporter"],
        fix: Some(|machine| machine.type_in("unset OTEL_METRICS_EXPORTER")),
    },
    Problem {
        name: "the guide's recipe in user settings: endpoint, headers, attributes",
        make: |machine| machine.set_env(USER, &RECIPE),
        ids: &["settings-token", "settings", "settings"],
        fix: None,
    },
    Problem {
        name: "exporter in user settings",
        make: |machine| machine.set_env(USER, &[("OTEL_METRICS_EXPORTER", "console")]),
        ids: &["settings"],
        fix: None,
    },
    Problem {
        name: "protocol in user settings",
        make: |machine| machine.set_env(USER, &[("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")]),
        ids: &["settings"],
        fix: None,
    },
    Problem {
        name: "managed headers",
        make: |machine| {
            machine.managed = Some(json!({"env": {"OTEL_EXPORTER_OTLP_HEADERS": "X-Team=a"}}).to_string());
        },
        ids: &["settings"],
        fix: Some(|machine| machine.managed = Some("{}".to_owned())),
    },
    Problem {
        name: "invalid JSON in user settings",
        make: |machine| drop(machine.sandbox.write(USER, TRAILING_COMMA)),
        ids: &["settings-json"],
        fix: None,
    },
    Problem {
        name: "invalid JSON in project settings",
        make: |machine| drop(machine.sandbox.write(PROJECT, TRAILING_COMMA)),
        ids: &["settings-json"],
        fix: None,
    },
    Problem {
        name: "invalid JSON in local settings",
        make: |machine| drop(machine.sandbox.write(LOCAL, TRAILING_COMMA)),
        ids: &["settings-json"],
        fix: None,
    },
    Problem {
        name: "user settings that claude reads in spite of their encoding",
        make: |machine| {
            drop(machine.sandbox.write(USER, "\u{feff}{\"env\": {\"OTEL_METRICS_EXPORTER\": \"console\"}}"))
        },
        ids: &["settings"],
        fix: Some(|machine| drop(machine.sandbox.write(USER, "{}"))),
    },
    Problem {
        name: "user settings that current claude finds too large",
        make: |machine| drop(machine.sandbox.write(USER, format!("{{\"note\": \"{}\"}}", "x".repeat(2 << 20)))),
        ids: &["settings-json"],
        fix: Some(|machine| drop(machine.sandbox.write(USER, "{}"))),
    },
    Problem {
        name: "a pipe in place of the user's settings",
        make: |machine| {
            machine.sandbox.directory(".claude");
            nix::unistd::mkfifo(&machine.path(USER), nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
        ids: &["settings-unread"],
        fix: Some(|machine| std::fs::remove_file(machine.path(USER)).unwrap()),
    },
    Problem {
        name: "headers helper",
        make: |machine| machine.change(USER, |settings| settings["otelHeadersHelper"] = json!("/bin/echo {}")),
        ids: &["settings"],
        fix: None,
    },
    Problem {
        name: "the guide's recipe in project settings, token included, with a current client",
        make: |machine| machine.set_env(PROJECT, &RECIPE),
        ids: &["settings-token", "ignored", "settings"],
        fix: None,
    },
    Problem {
        name: "another pipeline",
        make: |machine| {
            machine.type_in("export OTEL_METRICS_EXPORTER=otlp OTEL_EXPORTER_OTLP_ENDPOINT=https://otel.example.com");
        },
        ids: &["other-pipeline"],
        fix: Some(|machine| machine.configure(|config| config["replace_endpoint"] = json!(true))),
    },
    Problem {
        name: "a proxy without route",
        make: |machine| {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            machine.type_in(&format!("export HTTPS_PROXY=http://127.0.0.1:{port}"));
        },
        ids: &["proxy"],
        fix: None,
    },
    Problem {
        name: "a proxy that is none",
        make: |machine| machine.type_in("export HTTPS_PROXY=socks5h://127.0.0.1:1080"),
        ids: &["proxy"],
        fix: Some(|machine| machine.type_in("unset HTTPS_PROXY")),
    },
    Problem {
        name: "a proxy without route, in the user's settings",
        make: |machine| machine.set_env(USER, &[("HTTPS_PROXY", "http://127.0.0.1:1")]),
        ids: &["proxy"],
        fix: None,
    },
    Problem {
        name: "a proxy in a repository's settings",
        make: |machine| machine.set_env(PROJECT, &[("HTTPS_PROXY", "http://127.0.0.1:1")]),
        ids: &["proxy-of-repository"],
        fix: Some(|machine| machine.set_env(PROJECT, &[("HTTPS_PROXY", "")])),
    },
    Problem {
        name: "a session started without act-claude",
        make: |machine| {
            machine.start("work", &["-p", "hi"], &[]);
        },
        ids: &["session"],
        fix: None,
    },
    Problem {
        name: "a session under another alias, by the guide's recipe",
        make: |machine| {
            machine.start("work/sub", &[], &RECIPE);
        },
        ids: &["session"],
        fix: None,
    },
    Problem {
        name: "a daemon under another alias, by the guide's recipe",
        make: |machine| {
            let pid = machine.start("", &["daemon", "run"], &RECIPE);
            machine.sandbox.write("daemon.pid", pid.to_string());
        },
        ids: &["daemon"],
        fix: None,
    },
    Problem {
        name: "an old client's daemon, under the alias of the session that started it",
        make: |machine| {
            machine.configure(|config| {
                config["aliases"]["other"] = json!({"account": "acme", "id": "id-other", "provider_type": "P"});
                config["directories"]["~/other"] = json!("other");
            });
            let started_in = machine.sandbox.directory("other").display().to_string();
            let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/secret/v1/metrics");
            let variables = [("ACT_CLAUDE_ORIG", "{}"), endpoint, ("PWD", started_in.as_str())];
            let pid = machine.start("", &["daemon", "run"], &variables);
            machine.sandbox.write("daemon.pid", pid.to_string());
        },
        ids: &["daemon"],
        fix: None,
    },
    Problem {
        name: "held exports",
        make: |machine| {
            let act = Act::start();
            act.answer(refused(401, "Unauthorized"));
            machine.configure(|config| config["accounts"]["acme"]["endpoint"] = json!(act.endpoint()));
            machine.act = Some(act);
            assert!(machine.exporting("post").output().unwrap().status.success());
        },
        ids: &["held"],
        // Replaces a new token; then the printed command is run.
        fix: Some(|machine| {
            machine.act.as_ref().unwrap().answer(accepted());
            let findings = machine.findings().unwrap();
            assert_eq!(findings[0]["command"], "act-claude act flush");
            let status = machine.sandbox.command("sh").args(["-c", "act-claude act flush >/dev/null 2>&1"]).status();
            assert!(status.unwrap().success());
        }),
    },
    Problem {
        name: "a state directory of others",
        make: |machine| {
            machine.sandbox.directory(".local/state/act-claude");
            machine.mode(".local/state/act-claude", 0o777);
        },
        ids: &["state"],
        fix: None,
    },
    Problem {
        name: "an older client",
        make: |machine| drop(machine.sandbox.write("client-version", "2.1.197")),
        ids: &["old-client"],
        fix: None,
    },
    Problem {
        name: "a client that exports nothing with many attributes",
        make: |machine| {
            machine.sandbox.write("client-version", "2.1.170");
            machine.configure(|config| {
                let attributes: Vec<(String, Value)> = (0..9).map(|n| (format!("a{n}"), json!("x"))).collect();
                config["aliases"]["billing"]["attributes"] = Value::Object(attributes.into_iter().collect());
            });
        },
        ids: &["old-client", "many-attributes"],
        fix: None,
    },
];

fn ids(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// The first version's "no problems found" is followed by what was looked at.
#[test]
fn a_healthy_machine_is_described() {
    let machine = Machine::new();
    let (text, code) = machine.doctor("").unwrap();
    let version = concat!("version ", env!("CARGO_PKG_VERSION"));
    let program = support::act_claude().display().to_string();
    let text = text.replace(&program, "PROGRAM");
    let (system, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let expected = format!(
        "no problems found\n\n\
         act-claude     {version}\n               PROGRAM\n\
         claude         version 2.1.330\n               ~/bin/claude\n\
         system         {system} {arch}\n\
         configuration  ~/.config/act-claude/config.json: read\n               {system_file}: not there\n\
         accounts       1\n\
         aliases        1\n               here: billing (the rule \"~/work\" in ~/.config/act-claude/config.json:RULE)\n\
         delivery       by the relay, without a proxy\n\
         settings       no file of Claude Code's\n\
         variables      none that matters\n\
         running        no claude\n\
         spool          empty\n               ~/.local/state/act-claude\n\
         checks         35\n",
        system_file = act_claude::config::SYSTEM_FILE,
    );
    // Where the rule is depends on how the test writes the file.
    let rule = text.split("config.json:").nth(3).and_then(|rest| rest.split(')').next()).unwrap_or_default().to_owned();
    assert!(rule.split(':').all(|number| number.parse::<u32>().is_ok()), "{text}");
    let unwrapped =
        text.replace("\n               ~/.config/act-claude/config.json:", " ~/.config/act-claude/config.json:");
    assert_eq!((unwrapped.replace(&rule, "RULE"), code), (expected, 0));
    let (json, code) = machine.doctor("--json").unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["findings"], code), (&json!([]), 0));
    assert_eq!(json["looked_at"]["claude"], json!(["version 2.1.330", "~/bin/claude"]));
    assert_eq!(json["looked_at"]["checks"], "35");
    assert!(!machine.sandbox.state().exists(), "looking leaves nothing behind");
}

/// Whatever is private on the machine is neither in the block, nor in the JSON, nor in the bundle.
#[test]
fn c8_what_is_private_is_in_no_ticket() {
    const CANARIES: [&str; 10] = [
        "c4nary-foreign",
        "c4nary-account",
        "canary@example.com",
        "canary-alias",
        "canary-proxy-user",
        "c4nary-proxy-pass",
        "c4nary-settings-pass",
        "c4nary-header",
        "c4nary-variable",
        TOKEN,
    ];
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spoiled = |problems: bool| {
        let mut machine = Machine::new();
        machine.configure(|config| {
            let endpoint = "https://act.invalid/metric-ingestion/v1/c4nary-account/otlp/public/metrics";
            config["accounts"]["acme"]["endpoint"] = json!(endpoint);
            config["accounts"]["acme"]["user"] = json!("canary@example.com");
            config["aliases"]["billing"]["id"] = json!("canary-alias");
            let other = json!({"endpoint": endpoint, "user": "canary@example.com", "token": {"env": "BOOMI"}});
            if problems {
                config["accounts"]["other"] = other;
            }
        });
        if problems {
            machine.type_in("export BOOMI=c4nary-variable");
            machine.type_in(&format!("export HTTPS_PROXY=http://canary-proxy-user:c4nary-proxy-pass@127.0.0.1:{port}"));
            machine.set_env(USER, &[("HTTP_PROXY", "http://u:c4nary-settings-pass@127.0.0.1:1")]);
            machine.set_env(PROJECT, &RECIPE);
            machine.set_env(
                PROJECT,
                &[
                    ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic c4nary-header,X-Alias-Id=canary-alias"),
                    (
                        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                        "https://act.invalid/metric-ingestion/v1/c4nary-foreign/otlp",
                    ),
                ],
            );
            let headers =
                [("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic c4nary-header,X-Alias-Id=c4nary-foreign-alias")];
            machine.start("work/sub", &["-p", "hi"], &headers);
        } else {
            machine.type_in("export NO_PROXY=127.0.0.1 OTEL_UNUSED=c4nary-header");
        }
        machine
    };
    for problems in [false, true] {
        let machine = spoiled(problems);
        let bundle = machine.path("bundle.json");
        let (text, code) = machine.doctor("--bundle ~/bundle.json").unwrap();
        assert_eq!(code, i32::from(problems), "{text}");
        let (json, _) = machine.doctor("--json").unwrap();
        let written = std::fs::read_to_string(&bundle).unwrap();
        assert_eq!(std::fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
        let home = machine.sandbox.home().display().to_string();
        let value: Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(value["findings"].as_array().unwrap().is_empty(), !problems);
        let block = text.split("\nact-claude ").nth(1).expect("the block").to_owned();
        let of_json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["looked_at"], of_json["looked_at"]);
        for (name, text) in
            [("block", &block), ("bundle", &written), ("block of the JSON", &of_json["looked_at"].to_string())]
        {
            for canary in CANARIES.into_iter().chain([home.as_str()]) {
                assert!(!text.contains(canary), "{canary} in the {name}: {text}");
            }
        }
        // Findings on the screen and for programs name files as they are, but no secret and no e-mail address.
        for canary in ["canary@", "c4nary-proxy", "c4nary-settings", "c4nary-header", "c4nary-variable", TOKEN] {
            assert!(!json.contains(canary) && !text.contains(canary), "{canary}: {json}");
        }
        assert!(!text.contains(&home), "~ stands for the home: {text}");
    }
}

/// What stands in no valid entry, or is written in another way there, is as private; and ordinary words stay what they are.
#[test]
fn c8_what_is_private_is_masked_wherever_it_stands() {
    const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";
    let mut machine = Machine::new();
    machine.configure(|config| {
        let endpoint = "https://act.invalid/metric-ingestion/v1/C4nary-A1B2C3/otlp/public/metrics";
        let account = json!({"endpoint": endpoint, "user": "canary@example.com", "token": {"env": "NOT_SET"}});
        config["accounts"] = json!({
            "c4nary": account,
            "broken": {"endpoint": endpoint.replace("C4nary", "br0ken"), "user": "canary-user", "tokn": "canary-value"},
        });
        config["aliases"] = json!({
            "billing": {"account": "c4nary", "id": ID, "provider_type": "P"},
            "lost": {"account": "none", "id": "canary-lost", "provider_type": "P"},
        });
        config["directories"]["~/other"] = json!(ID.replace('3', "4"));
    });
    // Ordinary words as the proxy's user and password change no words of act-claude's own.
    machine.type_in("export HTTPS_PROXY=http://configuration:version@127.0.0.1:1");
    machine.type_in(&format!("export ACT_CLAUDE_ALIAS={ID}"));
    machine.set_env(
        PROJECT,
        &[
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://h.invalid/metric-ingestion/v1/c4nary-a1b2c3/otlp"),
            ("OTEL_METRICS_EXPORTER", "cänary@exämple.com"),
        ],
    );
    let (text, _) = machine.doctor("--bundle ~/bundle.json").unwrap();
    let written = std::fs::read_to_string(machine.path("bundle.json")).unwrap();
    let value: Value = serde_json::from_str(&written).unwrap();
    for canary in [
        "C4nary",
        "c4nary",
        "br0ken",
        "A1B2C3",
        "canary",
        "3f2c7e10",
        "4f2c7e10",
        "nary@",
        "exämple",
        "configuration:version",
    ] {
        assert!(!written.contains(canary), "{canary}: {written}");
    }
    let block = text.split("\nact-claude ").nth(1).expect("the block");
    for canary in ["C4nary", "c4nary", "A1B2C3", "3f2c7e10", "canary"] {
        assert!(!block.contains(canary), "{canary}: {block}");
    }
    let version = concat!("version ", env!("CARGO_PKG_VERSION"));
    assert_eq!(value["looked_at"]["act-claude"][0], version);
    assert!(value["looked_at"]["configuration"].is_array(), "{written}");
    let found = ids(value["findings"].as_array().unwrap());
    assert!(found.contains(&"configuration") && found.contains(&"alias"), "{found:?}");
}

/// The account of `act receive` has the same id everywhere, and is a part of usual paths.
/// What somebody has written into Claude Code's settings is shown without what may be a secret: a key in a URL, a command's arguments,
/// a token in another value's place.
#[test]
fn c8_no_finding_repeats_a_secret_of_the_settings() {
    const KEY: &str = "b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99";
    let endpoint = |value: &str| json!({"env": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": value}});
    let variable = |name: &str| json!({"env": {name: KEY}});
    for (settings, shown) in [
        (endpoint("https://otlp.example/v1?api_key=c4nary-key"), "your metrics go to https://otlp.example/v1?…"),
        (endpoint("u:c4nary-pass@otlp.example/v1"), "your metrics go to otlp.example/v1"),
        (endpoint(&format!("https://otlp.example/{KEY}")), "your metrics go to https://otlp.example/…"),
        (
            json!({"otelHeadersHelper": "/opt/headers --token c4nary-argument"}),
            "only while \"/opt/headers …\" succeeds",
        ),
        (variable("OTEL_METRICS_EXPORTER"), "does not know the exporter (not repeated: it may be a token)"),
        (variable("OTEL_METRIC_EXPORT_INTERVAL"), "export every (not repeated: it may be a token) ms"),
        (variable("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"), "sent as (not repeated: it may be a token), which"),
        (variable("CLAUDE_CODE_ENABLE_TELEMETRY"), "collects no metrics (\"(not repeated: it may be a token)\")"),
    ] {
        let machine = Machine::new();
        machine.sandbox.write(USER, settings.to_string());
        let bundle = machine.path("ticket.json");
        for args in [&["doctor", "--json"][..], &["doctor", "--bundle", bundle.to_str().unwrap()], &["which", "--env"]]
        {
            let mut command = machine.sandbox.act_claude(&[&["act"], args].concat());
            let output = command.current_dir(machine.path("work")).output().unwrap();
            let said = output.out() + &output.err();
            assert!(!said.contains("c4nary") && !said.contains(KEY), "{args:?}: {said}");
            if args.contains(&"--json") {
                let said: Value = serde_json::from_str(&output.out()).unwrap();
                let what = said["findings"].as_array().unwrap().iter().map(|finding| finding["what"].as_str().unwrap());
                assert!(what.clone().any(|what| what.contains(shown)), "{shown}: {:?}", what.collect::<Vec<_>>());
            }
        }
        let written = std::fs::read_to_string(bundle).unwrap();
        assert!(!written.contains("c4nary") && !written.contains(KEY), "{written}");
    }
}

#[test]
fn c8_a_rehearsal_s_account_damages_no_path() {
    let machine = Machine::new();
    machine.configure(|config| {
        let endpoint = "http://127.0.0.1:4318/metric-ingestion/v1/local/otlp/public/metrics";
        config["accounts"]["acme"]["endpoint"] = json!(endpoint);
    });
    machine.doctor("--bundle ~/bundle.json").unwrap();
    let value: Value = serde_json::from_slice(&std::fs::read(machine.path("bundle.json")).unwrap()).unwrap();
    assert_eq!(value["looked_at"]["spool"], json!(["empty", "~/.local/state/act-claude"]));
}

/// A bundle that can't be written completely is not there at all.
#[test]
fn c8_a_bundle_is_whole_or_not_there() {
    let machine = Machine::new();
    // No file may be larger than nothing; without the signal, a write fails with an error.
    let line =
        format!("trap '' XFSZ; ulimit -f 0; exec '{}' act doctor --bundle b.json", support::act_claude().display());
    let mut command = machine.sandbox.command("sh");
    let output = command.args(["-c", &line]).current_dir(machine.path("work")).output().unwrap();
    let expected = "act-claude: --bundle: b.json can't be written (File too large): name another file\n";
    assert_eq!((output.code(), output.err().as_str()), (64, expected));
    assert_eq!(std::fs::read_dir(machine.path("work")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn c8_a_bundle_replaces_no_file() {
    let machine = Machine::new();
    machine.sandbox.write("work/there.json", "mine");
    let run = |file: &str| {
        let mut command = machine.sandbox.act_claude(&["act", "doctor", "--bundle", file]);
        command.current_dir(machine.path("work")).output().unwrap()
    };
    let output = run("there.json");
    let expected = "act-claude: --bundle: there.json exists already: name a new file, or: rm there.json\n";
    assert_eq!((output.code(), output.err().as_str(), output.out().as_str()), (64, expected, ""));
    assert_eq!(std::fs::read_to_string(machine.path("work/there.json")).unwrap(), "mine");
    let output = run("no/directory.json");
    let expected =
        "act-claude: --bundle: no/directory.json can't be written (No such file or directory): name another file\n";
    assert_eq!((output.code(), output.err().as_str()), (64, expected));
}

/// The exact words, on a wide and on a narrow page.
#[test]
fn a_problem_in_its_words() {
    let machine = Machine::new();
    machine.configure(|config| {
        config["directories"] = json!({});
        config["aliases"]["web"] = json!({"account": "acme", "id": "id-web", "provider_type": "P"});
    });
    let (text, _) = machine.doctor("").unwrap();
    let (finding, _) = text.split_once("\n\n").unwrap();
    assert_eq!(
        finding,
        "problem   this directory has no alias\n  \
           where   ~/work\n  \
           effect  no rule covers it, and there is no default: sessions here are not\n          reported\n  \
           fix     give it one of your aliases: act-claude act use NAME (known: billing,\n          web)"
    );
    assert!(text.contains("\n\n1 problem found.\n\nact-claude "), "{text}");
    let mut narrow = machine.sandbox.act_claude(&["act", "doctor"]);
    let narrow = narrow.current_dir(machine.path("work")).env("COLUMNS", "40").output().unwrap().out();
    let (finding, _) = narrow.split_once("\n\n").unwrap();
    assert_eq!(
        finding,
        "problem\n  this directory has no alias\n  where\n    ~/work\n  effect\n    no rule covers it, and there is no\n    \
         default: sessions here are not\n    reported\n  fix\n    give it one of your aliases:\n    \
         act-claude act use NAME (known:\n    billing, web)"
    );
}

#[test]
fn a_file_of_certificates_that_is_missing_is_found() {
    let mut machine = Machine::new();
    let file = machine.path("company.pem");
    machine.type_in(&format!("export NODE_EXTRA_CA_CERTS={}", file.display()));
    let findings = machine.findings().unwrap();
    assert_eq!(ids(&findings), ["certificates"]);
    let path = file.display();
    assert_eq!(findings[0]["what"], format!("{path} does not exist"));
    assert_eq!(
        findings[0]["fix"],
        format!("put the company's certificate into {path}, or correct NODE_EXTRA_CA_CERTS")
    );
    machine.sandbox.write("company.pem", "");
    machine.is_healthy("with the file");
}

#[test]
fn each_alone_and_each_fix_removes_it() {
    for problem in PROBLEMS {
        let name = problem.name;
        let mut machine = Machine::new();
        (problem.make)(&mut machine);
        let Some(findings) = machine.findings() else { continue };
        assert_eq!(ids(&findings), problem.ids, "{name}: {findings:#?}");
        let (text, _) = machine.doctor("").unwrap();
        let too_wide = |line: &&str| line.chars().count() > 80 && line.trim().contains(' ');
        let home = machine.sandbox.home().display().to_string();
        let commands = findings.iter().filter_map(|finding| finding["command"].as_str());
        let commands: Vec<String> = commands.map(|command| command.replace(&home, "~")).collect();
        let wide: Vec<&str> = text
            .lines()
            .filter(too_wide)
            .filter(|line| !commands.iter().any(|command| line.ends_with(command)))
            .collect();
        assert!(wide.is_empty(), "{name}: {wide:?}");
        match problem.fix {
            Some(fix) => fix(&mut machine),
            None => findings.iter().for_each(|finding| machine.follow(finding)),
        }
        machine.is_healthy(&format!("{name}, corrected"));
    }
}

#[test]
fn all_together() {
    // Problems that can't be combined: with an unreadable configuration nothing else is reported, and there is only one
    // claude.
    let apart = [
        "claude missing",
        "a claude of Windows",
        "a shim loop",
        "configuration syntax",
        "unknown key",
        "dangling alias",
        "no rule for the directory",
        "permissions of the token",
        "exporter in user settings",
        "telemetry off in user settings",
        "invalid JSON in user settings",
        "invalid JSON in project settings",
        "user settings that claude reads in spite of their encoding",
        "user settings that current claude finds too large",
        "a pipe in place of the user's settings",
        "telemetry off by a variable",
        "an exporter that claude does not know",
        "an older client",
        "a client that exports nothing with many attributes",
        "held exports",
        "a session under another alias, by the guide's recipe",
        "a daemon under another alias, by the guide's recipe",
        "a proxy that is none",
        "a proxy without route, in the user's settings",
    ];
    let mut machine = Machine::new();
    let mut expected: Vec<&str> = Vec::new();
    for problem in PROBLEMS.iter().filter(|problem| !apart.contains(&problem.name)) {
        (problem.make)(&mut machine);
        expected.extend(problem.ids);
    }
    let Some(findings) = machine.findings() else { return };
    // The recipe's endpoint is reported differently: managed headers hide that an alias id belongs to it, so it counts
    // as the user's own pipeline, like the endpoint in the environment.
    expected.remove(expected.iter().position(|id| *id == "settings").unwrap());
    let mut found = ids(&findings);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{findings:#?}");
}

#[test]
fn correct_processes_are_not_reported() {
    let mut machine = Machine::new();
    let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/secret/v1/metrics");
    machine.start("work", &["-p", "hi"], &[("ACT_CLAUDE_ORIG", "{}"), endpoint]);
    machine.start("work", &[], &[("OTEL_EXPORTER_OTLP_HEADERS", "X-Alias-Id=id-billing")]);
    // This directory has no alias.
    machine.start("elsewhere", &[], &[]);
    // This command line is no session, and the next claude has another home.
    machine.start("work", &["mcp", "list"], &[]);
    machine.start("work", &["-p", "hi"], &[("HOME", "/nobody")]);
    let launcher = machine.path("bin/act-claude").display().to_string();
    machine.start("work", &["daemon", "run"], &[("CLAUDE_CODE_PROCESS_WRAPPER", launcher.as_str())]);
    machine.is_healthy("only correct processes");
    machine.start("work", &["daemon", "run"], &[]);
    assert_eq!(ids(&machine.findings().unwrap()), ["daemon"], "one that was started without act-claude");
}

/// A command in a fix is in one line, however narrow the page is, and also in a pipe.
#[test]
fn a_command_in_a_fix_can_be_pasted() {
    let machine = Machine::new();
    let file = machine.path(".config/act-claude/a-file-with-a-long-name-that-does-not-exist");
    machine.configure(|config| {
        config["copies"] = json!({"grafana": {
            "endpoint": "https://otlp.example.com/v1/metrics", "headers": {"Authorization": {"file": file}}
        }});
    });
    let Some((text, _)) = machine.doctor("") else { return };
    let command = "(umask 077 && cat >~/.config/act-claude/a-file-with-a-long-name-that-does-not-exist)";
    assert!(text.lines().any(|line| line.trim() == command), "{text}");
}

/// The arrangement that docs/fleet.md describes for CI is no problem. The block says what it lacks.
#[test]
fn a_token_in_a_variable_is_said_and_no_problem() {
    let mut machine = Machine::new();
    machine.type_in("export ACT_TOKEN=x");
    machine.configure(|config| config["accounts"]["acme"]["token"] = json!({"env": "ACT_TOKEN"}));
    machine.is_healthy("a token in a variable");
    let Some((seen, _)) = machine.doctor("") else { return };
    let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("in the variable ACT_TOKEN, which background sessions don't have"), "{seen}");
}

#[test]
fn a_place_is_a_line_and_a_column() {
    let machine = Machine::new();
    machine.sandbox.write(USER, TRAILING_COMMA);
    machine.set_env(LOCAL, &[("OTEL_METRIC_EXPORT_INTERVAL", "0")]);
    let findings = machine.findings().unwrap();
    let at = |name: &str, place: &str| format!("{}:{place}", Path::new(&machine.path(name)).display());
    assert_eq!(findings[0]["where"], at(USER, "3:31"));
    assert_eq!(findings[1]["where"], at(LOCAL, "3:5"));
}
