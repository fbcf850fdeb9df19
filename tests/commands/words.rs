//! The exact words of refusals and help: each refusal names the command that mends it, and help is readable on any terminal.

use std::os::unix::fs::chown;
use std::process::Command;

use serde_json::json;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::tls::Authority;
use crate::support::user;

/// A sandbox with a claude that exports once.
fn sandbox(endpoint: &str, names: &[&str]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post");
    let alias = |name: &&str| {
        ((*name).to_owned(), json!({"account": "acme", "id": format!("id-{name}"), "provider_type": "P"}))
    };
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(endpoint)},
        "aliases": names.iter().map(alias).collect::<serde_json::Map<_, _>>(),
    }));
    sandbox.directory("work");
    sandbox
}

const ENDPOINT: &str = "http://127.0.0.1:9/metric-ingestion/v1/acme/otlp/public/metrics";

fn in_work(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.act_claude(args);
    command.current_dir(sandbox.home().join("work"));
    command
}

/// What a session says, with `~` for the home.
fn said(sandbox: &Sandbox, args: &[&str]) -> (String, i32) {
    let output = in_work(sandbox, args).output().unwrap();
    (output.err().replace(&sandbox.home().display().to_string(), "~"), output.code())
}

#[test]
fn no_rule_names_the_command_with_the_known_names() {
    let run = |names: &[&str]| said(&sandbox(ENDPOINT, names), &["-p", "hi", "--report=always"]);
    for (names, mend) in [
        (&["billing"][..], "act-claude act use billing"),
        (&["billing", "web"], "act-claude act use NAME (known: billing, web)"),
        (
            &["a", "b", "c", "d", "e", "f", "g"],
            "act-claude act use NAME (known: a, b, c, d, e, and 2 more: act-claude act aliases)",
        ),
    ] {
        assert_eq!(run(names), (format!("act-claude: no telemetry: no rule covers ~/work: {mend}\n"), 0));
    }
    // The command is the one that mends it.
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    assert_eq!(in_work(&sandbox, &["act", "use", "billing"]).output().unwrap().code(), 0);
    assert!(said(&sandbox, &["-p", "hi", "--report=always"]).0.contains("billing: 1 export"), "now it reports");
}

#[test]
fn nothing_configured_and_a_null_rule_name_their_command() {
    let with = |config| {
        let sandbox = sandbox(ENDPOINT, &[]);
        sandbox.configure(&config);
        said(&sandbox, &["-p", "hi", "--report=always"]).0
    };
    assert_eq!(
        with(json!({})),
        "act-claude: no telemetry: no alias is configured in ~/.config/act-claude/config.json: act-claude act setup\n"
    );
    let null = with(json!({"directories": {"~/work": null}}));
    assert!(null.starts_with("act-claude: no telemetry here: the rule \"~/work\": null in "), "{null}");
    assert!(null.ends_with("; to report it nevertheless: act-claude act use NAME\n"), "{null}");
    let required = sandbox(ENDPOINT, &["billing"]);
    required.configure(&json!({"required": true}));
    let (text, code) = said(&required, &["--no-act", "-p", "hi"]);
    assert!(text.starts_with("act-claude: telemetry can't be switched off: it is required by ~/.config/"), "{text}");
    assert!(text.ends_with(": start claude without --no-act, and: unset ACT_CLAUDE\n"), "{text}");
    assert_eq!(code, 78);
}

#[test]
fn a_file_of_certificates_that_is_missing_is_what_is_said() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let mut sandbox = sandbox(&act.endpoint(), &["billing"]);
    let file = sandbox.root().join("company.pem");
    let shown = file.display().to_string();
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        sandbox.set(variable, &shown);
        let (text, _) = said(&sandbox, &["--alias=billing", "-p", "hi", "--report=always"]);
        assert_eq!(
            text.replace(&shown, "FILE"),
            format!(
                "act-claude: billing: 1 export waiting (TLS with 127.0.0.1 failed: the certificate's issuer is not known), kept for the next session. \
                 {variable} names FILE, which does not exist: put the company's certificate into FILE, or correct {variable}\n"
            )
        );
        sandbox.unset(variable);
    }
    // Without a named file, it is still the variable that is to be set.
    let (text, _) = said(&sandbox, &["--alias=billing", "-p", "hi", "--report=always"]);
    assert!(text.contains("export NODE_EXTRA_CA_CERTS=/path/to/company-ca.pem"), "{text}");
}

/// Root with another user's HOME, as with `sudo` that keeps it: nothing is taken away from that user.
#[test]
fn root_in_another_user_s_home_is_not_told_to_chown() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("needs root");
    }
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    user::give(&sandbox);
    let (text, _) = said(&sandbox, &["--alias=billing", "-p", "hi", "--report=always"]);
    assert!(!text.contains("chown"), "{text}");
    let mend = "start act-claude without sudo, as the user with the id 54321; or with root's own home: sudo -H";
    let check = in_work(&sandbox, &["act", "check", "billing"]).output().unwrap();
    assert!(check.out().split_whitespace().collect::<Vec<_>>().join(" ").contains(mend), "{}", check.out());
    let doctor = in_work(&sandbox, &["act", "doctor", "--json"]).output().unwrap().out();
    assert!(doctor.contains(mend) && !doctor.contains("chown"), "{doctor}");
    std::fs::create_dir_all(sandbox.state()).unwrap();
    for directory in sandbox.state().ancestors().take(3) {
        chown(directory, Some(user::USER), Some(user::USER)).unwrap();
    }
    let flush = in_work(&sandbox, &["act", "flush"]).output().unwrap().err();
    assert!(flush.contains(&format!("belongs to another user: {mend}")), "{flush}");
    // In root's own home, such a file is root's to take.
    chown(sandbox.state().parent().unwrap(), Some(0), Some(0)).unwrap();
    let flush = in_work(&sandbox, &["act", "flush"]).output().unwrap().err();
    assert!(flush.contains(&format!(": sudo chown 0 {}", sandbox.shown(sandbox.state()))), "{flush}");
}

#[test]
fn a_flag_and_its_value_may_be_joined() {
    let act = Act::start();
    let sandbox = sandbox(&act.endpoint(), &["billing", "web"]);
    let delivered = |name: &str| format!("act-claude: {name}: 1 export delivered (1 point)\n");
    for args in [
        &["--alias=web", "--report=always", "-p", "hi"][..],
        &["-p", "hi", "--alias=web", "--report=always"],
        &["--report=always", "-p", "hi", "--alias", "billing", "--alias=web"],
    ] {
        let (text, code) = said(&sandbox, args);
        assert_eq!(
            (text.split(" delivered").next(), code),
            (delivered("web").split(" delivered").next(), 0),
            "{args:?}: {text}"
        );
    }
    for (args, expected) in [
        (
            &["--alias="][..],
            "act-claude: --alias needs the NAME of an alias: act-claude --alias NAME (act-claude act aliases lists them)\n",
        ),
        (
            &["--alias=wep", "-p", "hi"],
            "act-claude: --alias: there is no alias \"wep\"; did you mean \"web\"? (known: billing, web)\n",
        ),
        (
            &["-p", "hi", "--report=alway"],
            "act-claude: --report \"alway\" is not one of auto, always, never, json: did you mean --report always?\n",
        ),
        (
            &["--bg", "hi", "--alias=web"],
            "act-claude: --alias has no effect on a background session (--bg): its directory decides its alias: act-claude act use NAME\n",
        ),
    ] {
        assert_eq!(said(&sandbox, args), (expected.to_owned(), 64), "{args:?}");
    }
}

/// The reason that nothing can be asked stands only where something would have been asked.
#[test]
fn setup_says_why_it_does_not_ask() {
    let sandbox = Sandbox::new();
    let (text, code) = said_flat(&sandbox, &["act", "setup", "--spec", "none.json"]);
    assert_eq!(
        (text.as_str(), code),
        ("act-claude: act setup: nothing was changed: none.json: No such file or directory", 64)
    );
    let (text, code) = said_flat(&sandbox, &["act", "setup", "--name", "a b"]);
    let rule = "--name: it holds ' ': a name is one word of ASCII characters that does not begin with '-'";
    assert_eq!((text, code), (format!("act-claude: act setup: nothing was changed: {rule}"), 64));
    let (text, code) = said_flat(&sandbox, &["act", "setup"]);
    let why = "act-claude: act setup: nothing was changed; there is no terminal to ask on, so these are needed: --endpoint URL:";
    assert!(text.starts_with(why) && code == 64, "{text}");
    let (text, code) = said_flat(&sandbox, &["act", "setup", "--yes"]);
    let why =
        "act-claude: act setup: nothing was changed; with --yes nothing is asked, so these are needed: --endpoint URL:";
    assert!(text.starts_with(why) && code == 64, "{text}");
    let values = ["--endpoint", ENDPOINT, "--id", "i1", "--provider-type", "P", "--name", "a", "--token-env", "T"];
    let args = [&["act", "setup", "--yes", "--user", "foo", "--directory", "."], &values[..]].concat();
    let (text, code) = said_flat(&sandbox, &args);
    let words = "--user: it is no e-mail address: the one you log in to the Boomi platform with is needed";
    assert_eq!((text, code), (format!("act-claude: act setup: nothing was changed: {words}"), 64));
    assert!(!sandbox.config_file().exists());
}

/// What a command says on standard error, on one line.
fn said_flat(sandbox: &Sandbox, args: &[&str]) -> (String, i32) {
    let output = sandbox.act_claude(args).output().unwrap();
    (output.err().split_whitespace().collect::<Vec<_>>().join(" "), output.code())
}

/// clap's errors look like all others, and have their exit status.
#[test]
fn errors_have_one_style() {
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    for (args, expected) in [
        (
            &["act", "whch"][..],
            "act-claude: there is no command \"whch\": did you mean act-claude act which? (act-claude act --help lists the commands)\n",
        ),
        (
            &["act", "doctor", "--jsn"],
            "act-claude: act doctor: there is no option --jsn: did you mean --json? (act-claude act doctor --help shows examples)\n",
        ),
        (
            &["act", "use"],
            "act-claude: act use: NAME, --none or --remove is needed (act-claude act use --help shows examples)\n",
        ),
        (
            &["act", "receive", "--port", "70000"],
            "act-claude: act receive: --port \"70000\": it must be a number from 0 to 65535 (act-claude act receive --help shows examples)\n",
        ),
        (
            &["act", "use", "biling"],
            "act-claude: there is no alias \"biling\"; did you mean \"billing\"? (known: billing)\n",
        ),
    ] {
        assert_eq!(said(&sandbox, args), (expected.to_owned(), 64), "{args:?}");
    }
    for args in [
        &["act", "setup", "sk-c4nary"][..],
        &["act", "setup", "--token=sk-c4nary"],
        &["act", "setup", "--store", "sk-c4nary"],
    ] {
        let (text, code) = said(&sandbox, args);
        assert!(code == 64 && !text.contains("c4nary"), "{text}");
    }
    // Nothing typed: the help, as an error.
    let output = sandbox.act_claude(&["act"]).output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (64, ""));
    assert!(output.err().contains("\nSet up:\n  setup "), "{}", output.err());
}

const WITH_HELP: [&str; 16] = [
    "",
    "setup",
    "shell-init",
    "uninstall",
    "which",
    "use",
    "aliases",
    "history",
    "usage",
    "statusline",
    "check",
    "doctor",
    "flush",
    "logs",
    "demo",
    "receive",
];

fn help(sandbox: &Sandbox, command: &str, columns: usize) -> Command {
    let args = ["act", command, "--help"];
    let mut help = sandbox.act_claude(&args[..]);
    if command.is_empty() {
        help = sandbox.act_claude(&["act", "--help"]);
    }
    help.env("COLUMNS", columns.to_string());
    help
}

#[test]
fn help_has_its_groups_and_examples() {
    let sandbox = Sandbox::new();
    let wide = help(&sandbox, "", 80).output().unwrap().out();
    for group in [
        "\nSet up:\n  setup       Account, alias and token: ",
        "\nEvery day:\n  which       The alias for this directory, and why\n",
        "\nWhen something is wrong:\n  check       ",
        "\nTry it out:\n  demo        ",
        "\n  --report WHEN  when to report: auto (where it helps), always, never, or json\n                 (one JSON object, always) (also ACT_CLAUDE_REPORT)\n",
    ] {
        assert!(wide.contains(group), "{group}: {wide}");
    }
    let narrow = help(&sandbox, "", 40).output().unwrap().out();
    assert!(narrow.contains("\nEvery day:\n  which\n      The alias for this directory, and\n      why\n"), "{narrow}");
    for columns in [80, 40] {
        let text = help(&sandbox, "use", columns).output().unwrap().out();
        let examples =
            "\n\nExamples:\n  This directory and all below use the alias billing:\n    act-claude act use billing\n";
        let examples = match columns {
            80 => examples.to_owned(),
            _ => examples.replace("the alias billing:", "the\n  alias billing:"),
        };
        assert!(text.contains(&examples), "{columns}: {text}");
    }
    let setup = help(&sandbox, "setup", 80).output().unwrap().out();
    let headings: Vec<&str> = setup.lines().filter(|line| !line.starts_with(' ') && line.ends_with(':')).collect();
    assert_eq!(
        headings,
        [
            "Where the values come from:",
            "The account:",
            "The alias:",
            "Where it is used:",
            "The token:",
            "How it runs:",
            "Examples:"
        ]
    );
    let demo = help(&sandbox, "demo", 80).output().unwrap().out();
    assert!(demo.contains("- 401:     ACT does not accept the token or its user (Unauthorized)\n"), "{demo}");
    // `help` says the same.
    let other = sandbox.act_claude(&["act", "help", "demo"]).env("COLUMNS", "80").output().unwrap().out();
    assert_eq!(other, demo);
}

/// On any terminal: 20 to 200 columns, without colours, in any locale, no control character, nothing that is not ASCII.
#[test]
fn help_and_doctor_on_any_terminal() {
    let mut sandbox = sandbox(ENDPOINT, &["billing"]);
    sandbox.set("PATH", "/usr/bin:/bin");
    let doctor = |columns: usize| {
        let mut doctor = in_work(&sandbox, &["act", "doctor"]);
        doctor.env("COLUMNS", columns.to_string());
        doctor
    };
    for columns in [20, 40, 49, 50, 56, 80, 200] {
        let texts = WITH_HELP.map(|command| help(&sandbox, command, columns));
        for mut command in texts.into_iter().chain([doctor(columns)]) {
            let output = command.env("LC_ALL", "C").env("TERM", "dumb").output().unwrap();
            let text = output.out();
            assert!(text.is_ascii() && !text.contains('\u{1b}') && text.ends_with('\n'), "{columns}: {text}");
            // Lines that are to be typed are not wrapped, and a word that is longer than the page stays whole.
            let is_typed = |line: &str| {
                ["act-claude act ", "eval ", "curl ", "Usage: "].iter().any(|start| line.trim().starts_with(start))
            };
            let long =
                |line: &&str| line.chars().count() > columns.max(34) && line.trim().contains(' ') && !is_typed(line);
            assert_eq!(text.lines().find(long), None, "{columns}: {text}");
        }
    }
}

/// Colours are an addition: the text is the same without them.
#[test]
fn colours_only_where_the_terminal_shows_them() {
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = in_work(&sandbox, args);
        command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        let mut pty = Pty::start(command);
        let (_, screen) = pty.finish();
        (screen, pty.raw().contains(&0x1b))
    };
    for args in [&["act", "doctor"][..], &["act", "use", "--help"]] {
        let (with, coloured) = run(args, &[]);
        assert!(coloured, "{args:?}");
        for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
            assert_eq!(run(args, &variables), (with.clone(), false), "{args:?} {variables:?}");
        }
    }
}

/// The recipe in claude's own settings: claude sends without act-claude, so "no telemetry" would not be true.
#[test]
fn where_claude_sends_by_itself_this_is_said() {
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    let recipe = json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp"}});
    sandbox.write(".claude/settings.json", recipe.to_string());
    let itself =
        "Claude Code itself sends metrics, without act-claude: env.OTEL_METRICS_EXPORTER in ~/.claude/settings.json";
    let (text, code) = said(&sandbox, &["-p", "hi", "--report=always"]);
    let expected = format!(
        "act-claude: no telemetry from act-claude: no rule covers ~/work: act-claude act use billing\nact-claude: {itself}\n"
    );
    assert_eq!((text, code), (expected, 0));
    let (text, code) = said(&sandbox, &["--no-act", "--report=always", "-p", "hi"]);
    assert_eq!((text, code), (format!("act-claude: {itself}\n"), 0));
    assert_eq!(said(&sandbox, &["--no-act", "-p", "hi"]), (String::new(), 0), "nobody reads it");
    let which = in_work(&sandbox, &["act", "which"]).output().unwrap();
    let which = which.out().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(which.starts_with("no telemetry from act-claude in ~/work "), "{which}");
    assert!(which.contains("alias none: act-claude adds nothing here") && which.contains(itself), "{which}");
    // What is switched off is not sent.
    sandbox.write(".claude/settings.json", json!({"env": {"OTEL_METRICS_EXPORTER": "none"}}).to_string());
    assert!(!said(&sandbox, &["-p", "hi", "--report=always"]).0.contains("itself"));
}

/// Root with the HOME of the user who started `sudo`: nothing of the user's becomes root's.
#[test]
fn root_takes_no_configuration_from_its_owner() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("needs root");
    }
    let mut sandbox = sandbox(ENDPOINT, &["billing"]);
    user::give(&sandbox);
    let before = crate::support::sandbox::snapshot(&sandbox.home());
    let mend = "start act-claude without sudo, as the user with the id 54321; or with root's own home: sudo -H";
    let values =
        ["--endpoint", "other-A1", "--user", "u@x.test", "--id", "i", "--provider-type", "P", "--token-env", "T"];
    let setup = [&["act", "setup", "--yes", "--no-check", "--default"][..], &values].concat();
    for args in [&setup[..], &["act", "use", "billing"]] {
        let output = in_work(&sandbox, args).output().unwrap();
        let words = output.err().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("nothing was changed: ") && words.contains(&format!("it belongs to user 54321: {mend}")),
            "{words}"
        );
        assert_ne!(output.code(), 0);
    }
    assert_eq!(crate::support::sandbox::snapshot(&sandbox.home()), before);
    // Nor is anything made that the user could not change.
    std::fs::remove_dir_all(sandbox.config_file().parent().unwrap()).unwrap();
    sandbox.set("SUDO_UID", "54321");
    let output = in_work(&sandbox, &setup).output().unwrap();
    let words = output.err().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("its directory belongs to user 54321: {mend}")), "{words}");
    assert!(!sandbox.config_file().exists());
    // A container's root in a home that somebody else owns has nobody to take it from.
    sandbox.unset("SUDO_UID");
    assert_eq!(in_work(&sandbox, &setup).output().unwrap().code(), 0);
}

/// What root has left in a user's home: `chmod` would fail, so it is not said.
#[test]
fn what_belongs_to_root_is_not_mended_with_chmod() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("needs root");
    }
    let sandbox = sandbox(ENDPOINT, &["billing"]);
    let program = user::give(&sandbox);
    let run = |args: &[&str]| {
        let mut command = sandbox.command(&program);
        let output = command.args(args).uid(user::USER).gid(user::USER).output().unwrap();
        let text = format!("{}{}", output.out(), output.err());
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace(&sandbox.home().display().to_string(), "~")
    };
    let token = sandbox.home().join("token");
    chown(&token, Some(0), Some(0)).unwrap();
    // The sandbox's home is the user's, so root's file there is the user's to take.
    let check = run(&["act", "check", "billing"]);
    assert!(check.contains("sudo chown 54321 ~/token") && !check.contains("chmod"), "{check}");
    let config = sandbox.config_file();
    chown(&config, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    for args in [&["act", "check"][..], &["act", "use", "--none"]] {
        let said = run(args);
        assert!(
            said.contains("sudo chown 54321 ~/.config/act-claude/config.json") && !said.contains("chmod"),
            "{said}"
        );
    }
    // A directory above it.
    chown(config.parent().unwrap(), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(config.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let said = run(&["act", "check"]);
    assert!(said.contains("sudo chown 54321 ~/.config/act-claude") && !said.contains("config.json chmod"), "{said}");
}
