//! Where `act setup` passes the token: over standard input to the keychain's own tool, or into one file. It is never in
//! an argument, the environment, another file or the output.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};
use crate::support::{self, act::Act};

/// The token of this file's tests. It differs from those of other tests and runs, because the tests search all
/// processes of the machine for it.
static OWN: LazyLock<String> = LazyLock::new(|| format!("canary-of-{}-setup", std::process::id()));

const ANSWERS: [&str; 12] = [
    "act",
    "setup",
    "--yes",
    "--name",
    "billing",
    "--id",
    "id-billing",
    "--provider-type",
    "P",
    "--user",
    USER,
    "--default",
];

fn setup(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn config(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap()
}

/// The first part of every stand-in: it records its arguments, and each place where the token can be seen at that
/// moment.
const LOOK: &str = r#"#!/bin/sh
root=$(dirname "$HOME")
printf '%s\n' "$*" >> "$HOME/arguments"
secret=$FIRST_HALF$SECOND_HALF
for process in /proc/[0-9]*; do
  for view in cmdline environ; do
    if tr '\0' '\n' 2>/dev/null < "$process/$view" | grep -q -F "$secret"; then
      case $(tr '\0' ' ' < "$process/cmdline") in *grep*) ;; *) echo "$process/$view" >> "$HOME/seen" ;; esac
    fi
  done
done
grep -r -l -F "$secret" "$root" >> "$HOME/seen"
"#;

/// A sandbox with a stand-in called `name` that continues with `script`, and otherwise only the system's programs.
fn with_stand_in(name: &str, script: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.script(&format!("bin/{name}"), &format!("{LOOK}{script}"));
    // In two halves: the environment must not contain the token itself.
    let (first, second) = OWN.split_at(OWN.len() / 2);
    sandbox.set("FIRST_HALF", first);
    sandbox.set("SECOND_HALF", second);
    sandbox.set("TMPDIR", sandbox.directory("tmp"));
    // Links to these programs only, so that installed keychain tools are not found.
    for program in ["sh", "bash", "cat", "dirname", "tr", "grep", "sed"] {
        if let Some(path) = support::program(program) {
            std::os::unix::fs::symlink(path, sandbox.home().join("bin").join(program)).unwrap();
        }
    }
    let bin = sandbox.home().join("bin");
    sandbox.set("PATH", &bin);
    sandbox
}

/// Sets up with the keychain; returns the places where the token was seen meanwhile.
fn through_keychain(sandbox: &Sandbox, endpoint: &str) -> String {
    let mut command = sandbox.act_claude(&ANSWERS);
    command.args(["--endpoint", endpoint, "--account", "acme", "--token-stdin", "--store", "keychain"]);
    let output = setup(&mut command, &format!("{}\n", *OWN));
    assert_eq!(output.code(), 0, "{} {}", output.out(), output.err());
    assert!(!output.out().contains(&*OWN) && !output.err().contains(&*OWN));
    assert!(output.out().contains("Endpoint, token and alias are correct"), "{}", output.out());
    std::fs::read_to_string(sandbox.home().join("seen")).unwrap()
}

/// An ACT that accepts only the right credential.
fn act(token: &str) -> Act {
    let right = format!("BOOMI_TOKEN.{USER}:{token}");
    let act = Act::start();
    act.answer_by(move |request| match request.header("authorization") {
        None => support::act::refused(401, "Unauthorized"),
        Some(_) if support::act::credential(request) != right => support::act::refused(401, "Unauthorized"),
        _ if request.header("x-alias-id") != Some("id-billing") => support::act::refused(404, "Agent alias not found"),
        _ if request.json()["resourceMetrics"] != json!([]) => support::act::accepted(),
        _ => support::act::refused(400, "Empty resourceMetrics in OTLP payload"),
    });
    act
}

#[test]
fn secret_tool_gets_it_over_standard_input() {
    let act = act(&OWN);
    // Stores its input and returns it.
    let script = r#"case $1 in
store) cat > "$HOME/../kept" ;;
lookup) cat "$HOME/../kept" ;;
esac
"#;
    let sandbox = with_stand_in("secret-tool", script);
    let seen = through_keychain(&sandbox, &act.endpoint());
    let kept = sandbox.root().join("kept");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), *OWN, "without a newline");
    // Only the stand-in's own store contains the token.
    assert!(seen.lines().all(|line| line == kept.canonicalize().unwrap().to_str().unwrap()), "{seen}");
    let arguments = std::fs::read_to_string(sandbox.home().join("arguments")).unwrap();
    let entry = format!("service act-claude.acme username {USER}");
    let first: Vec<&str> = arguments.lines().take(2).collect();
    let store = format!("store --label act-claude: acme ({USER}) {entry}");
    assert_eq!(first, [store, format!("lookup {entry}")], "stored, then read back");
    let lookup = json!(["secret-tool", "lookup", "service", "act-claude.acme", "username", USER]);
    assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], json!({"command": lookup}));
    assert!(!format!("{:?}", snapshot(&sandbox.home())).contains(&*OWN));
}

#[test]
fn security_gets_it_over_standard_input() {
    let act = act(&OWN);
    // Reads commands as `security -i` does, and exits with 0 even if they fail.
    let script = r#"case $1 in
-i)
  read -r line
  printf '%s\n' "$line" > "$HOME/../commands"
  hex=$(printf %s "$line" | sed 's/.* -X //; s/../\\x&/g')
  HEX=$hex bash -c 'printf "$HEX"' > "$HOME/../kept"
  ;;
find-generic-password) cat "$HOME/../kept"; echo ;;
esac
exit 0
"#;
    let sandbox = with_stand_in("security", script);
    let seen = through_keychain(&sandbox, &act.endpoint());
    let kept = sandbox.root().join("kept").canonicalize().unwrap();
    assert!(seen.lines().all(|line| line == kept.to_str().unwrap()), "{seen}");
    let hex: String = OWN.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        std::fs::read_to_string(sandbox.root().join("commands")).unwrap(),
        format!(
            "add-generic-password -U -s \"act-claude.acme\" -a \"{USER}\" -l \"act-claude: acme ({USER})\" -X {hex}\n"
        )
    );
    let arguments = std::fs::read_to_string(sandbox.home().join("arguments")).unwrap();
    assert!(!arguments.contains(&hex), "{arguments}");
    let lookup = json!(["security", "find-generic-password", "-s", "act-claude.acme", "-a", USER, "-w"]);
    assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], json!({"command": lookup}));
}

/// A keychain that fails, or returns something else, is an error: nothing is written.
#[test]
fn a_keychain_that_fails_is_named() {
    for (script, said) in [
        ("cat >/dev/null; echo 'locked collection' >&2; exit 1\n", "`secret-tool` failed (locked collection)"),
        ("case $1 in store) cat >/dev/null ;; lookup) echo other ;; esac\n", "returns a different value"),
        ("case $1 in store) cat >/dev/null ;; esac\n", "printed no token"),
    ] {
        let sandbox = with_stand_in("secret-tool", script);
        let mut command = sandbox.act_claude(&ANSWERS);
        command.args(["--endpoint", "acme-A1B2C3", "--no-check", "--token-stdin", "--store", "keychain"]);
        let output = setup(&mut command, TOKEN);
        assert_eq!(output.code(), 64, "{}", output.out());
        let words = output.err().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(said) && words.contains("--store file"), "{words}");
        assert!(!sandbox.config_file().exists() && !words.contains(TOKEN));
    }
}

#[test]
fn a_file_is_its_owner_s_alone() {
    let act = act(TOKEN);
    let mut sandbox = Sandbox::new();
    sandbox.set("TMPDIR", sandbox.directory("tmp"));
    let answers = |more: &[&str]| {
        let mut command = sandbox.act_claude(&ANSWERS);
        command.args(["--endpoint", &act.endpoint(), "--account", "acme", "--token-stdin"]).args(more);
        command
    };
    // Without --yes the user must say where to keep the token. With it, a file is the default.
    let without: Vec<&str> = ANSWERS.into_iter().filter(|arg| *arg != "--yes").collect();
    let mut command = sandbox.act_claude(&without);
    command.args(["--endpoint", &act.endpoint(), "--account", "acme", "--token-stdin"]);
    let output = setup(&mut command, TOKEN);
    assert_eq!((output.code(), snapshot(&sandbox.home()).len()), (64, 0));
    assert!(output.err().contains("--store keychain or --store file"), "{}", output.err());

    let output = setup(&mut answers(&[]), TOKEN);
    assert_eq!(output.code(), 0, "{}", output.err());
    let path = sandbox.config_file().with_file_name("acme.token");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let holders: Vec<_> = snapshot(sandbox.root())
        .into_iter()
        .filter(|(_, content)| content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(holders, [path]);
    assert!(!output.out().contains(TOKEN) && !output.err().contains(TOKEN));
}

/// `--account NAME` alone: a new token for an account, stored in place of the old one; then ACT is asked.
#[test]
fn an_account_s_token_is_renewed() {
    let act = act(TOKEN);
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let file = sandbox.home().join("token");
    std::fs::write(&file, "old").unwrap();
    let before = std::fs::read(sandbox.config_file()).unwrap();
    // A session with the old token: its exports are held.
    crate::support::fake_claude::install(&mut sandbox, "post\npost\nexit 0");
    let session = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    assert!(session.err().contains("2 exports held"), "{}", session.err());
    // The relay is ended, because it would notice the new token by itself.
    crate::support::process::end_relays(sandbox.root());
    let renew = ["act", "setup", "--account", "acme", "--yes", "--token-stdin"];
    let output = setup(&mut sandbox.act_claude(&renew), &format!("BOOMI_TOKEN.{USER}:{TOKEN}\n"));
    assert_eq!(output.code(), 0, "{} {}", output.out(), output.err());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), TOKEN);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::read(sandbox.config_file()).unwrap(), before, "the configuration stays");
    assert!(output.out().contains("Delivered: 2 exports that waited for account acme"), "{}", output.out());
    assert!(output.out().contains("Endpoint, token and alias are correct"), "{}", output.out());
    // A wrong token is detected.
    let output = setup(&mut sandbox.act_claude(&renew), "wrong-token");
    assert_eq!(output.code(), 77, "{}", output.out());
    // A token of another user is not accepted silently.
    let output = setup(&mut sandbox.act_claude(&renew), "BOOMI_TOKEN.eve@acme.com:x");
    assert_eq!(output.code(), 64);
    assert!(output.err().contains("--user eve@acme.com"), "{}", output.err());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), "wrong-token");
    let output = setup(&mut sandbox.act_claude(&["act", "setup", "--account", "acne", "--yes"]), "");
    assert_eq!(output.code(), 64);
    assert!(output.err().contains("did you mean \"acme\"?"), "{}", output.err());
}

/// A mistyped e-mail: the command that a 401 names shows it, and corrects it without another token.
#[test]
fn a_mistyped_user_is_corrected() {
    let act = act(TOKEN);
    let mistyped = || {
        let sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        let mut configuration = config(&sandbox);
        configuration["accounts"]["acme"]["user"] = json!("dve@acme.com");
        sandbox.configure(&configuration);
        sandbox
    };
    let sandbox = mistyped();
    let check = sandbox.act_claude(&["act", "check", "--json"]).output().unwrap();
    let said = "The API token is wrong, or its user, dve@acme.com";
    assert!(check.code() == 77 && check.out().contains(said), "{}", check.out());
    assert!(check.out().contains("act-claude act setup --account acme"), "{}", check.out());
    let token = std::fs::read(sandbox.home().join("token")).unwrap();
    let output = setup(&mut sandbox.act_claude(&["act", "setup", "--account", "acme", "--user", USER, "--yes"]), "");
    assert_eq!(output.code(), 0, "{} {}", output.out(), output.err());
    assert!(output.out().contains("Endpoint, token and alias are correct"), "{}", output.out());
    assert_eq!(std::fs::read(sandbox.home().join("token")).unwrap(), token);
    assert_eq!(config(&sandbox)["accounts"]["acme"]["user"], USER);
    // Where there is no token, one is needed.
    std::fs::remove_file(sandbox.home().join("token")).unwrap();
    let output = setup(&mut sandbox.act_claude(&["act", "setup", "--account", "acme", "--user", USER, "--yes"]), "");
    assert!(output.code() == 64 && output.err().contains("--token-stdin"), "{}", output.err());

    // On a terminal: the stored token is kept with Enter, and the stored user is the answer that is proposed.
    for (term, proposal) in [("xterm-256color", "(dve@acme.com)"), ("dumb", "[dve@acme.com]")] {
        let mut sandbox = mistyped();
        sandbox.set("TERM", term);
        let mut pty = Pty::start(sandbox.act_claude(&["act", "setup", "--account", "acme"]));
        pty.wait_for("The token's user in account acme is dve@acme.com.");
        pty.wait_for("API token of acme");
        pty.send("\r");
        pty.wait_for(proposal);
        pty.send(&format!("{USER}\r"));
        let (status, screen) = pty.finish();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert_eq!(config(&sandbox)["accounts"]["acme"]["user"], USER);
        assert_eq!(std::fs::read(sandbox.home().join("token")).unwrap(), token);
    }
}

/// A token that comes from a variable can be kept elsewhere: in a file, for background agents, or of one's own in a company.
#[test]
fn a_token_in_a_variable_is_kept_elsewhere_on_request() {
    let act = act(TOKEN);
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let mut configuration = config(&sandbox);
    configuration["accounts"]["acme"]["token"] = json!({"env": "BOOMI"});
    sandbox.configure(&configuration);
    sandbox.set("BOOMI", TOKEN);
    sandbox.set("LC_ALL", "C");
    // A letter that was erased is no answer.
    for (answer, source) in
        [("maybe\ry\x15", json!({"env": "BOOMI"})), ("y", json!({"file": "~/.config/act-claude/acme.token"}))]
    {
        let mut pty = Pty::start(sandbox.act_claude(&["act", "setup", "--account", "acme", "--user", USER]));
        pty.wait_for("Keep it elsewhere?");
        pty.send(&format!("{answer}\r"));
        if answer == "y" {
            let screen = pty.wait_for("Where to keep acme's API token");
            assert!(!screen.contains('…'), "{screen}");
            pty.wait_for("(pass, op, vault ...)");
            pty.send("\r");
            pty.wait_for("API token of acme:");
            pty.send(&format!("{TOKEN}\r"));
        }
        let (status, screen) = pty.finish();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], source, "{screen}");
    }
}

/// A token in the keychain is found under the user with whom it was stored, also after the account's user was corrected.
#[test]
fn a_token_in_the_keychain_outlives_a_correction_of_its_user() {
    let act = act(&OWN);
    let script = r#"kept=$HOME/../kept-$(printf %s "$*" | sed 's/.*username //; s/@.*//')
case $1 in
store) cat > "$kept" ;;
lookup) cat "$kept" ;;
esac
"#;
    let sandbox = with_stand_in("secret-tool", script);
    through_keychain(&sandbox, &act.endpoint());
    let run = |more: &[&str], input: &str| {
        let output = setup(sandbox.act_claude(&["act", "setup", "--account", "acme", "--yes"]).args(more), input);
        (output.code(), output.out() + &output.err())
    };
    assert_eq!(run(&["--user", "dve@acme.com"], "").0, 77);
    assert_eq!(run(&["--user", USER], "").0, 0);
    let (code, said) = run(&["--user", "dve@acme.com", "--no-check"], "");
    assert_eq!(code, 0, "{said}");
    // The renewal stores it under the new name, and not in a file.
    let (code, said) = run(&["--token-stdin", "--no-check"], "t-new-one");
    assert!(code == 0 && said.contains("keychain"), "{said}");
    let lookup = json!(["secret-tool", "lookup", "service", "act-claude.acme", "username", "dve@acme.com"]);
    assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], json!({"command": lookup}));
}

/// The real `secret-tool`, with its own keyring on its own session bus. A session fetches the token from it.
#[test]
fn the_real_secret_service() {
    for program in ["secret-tool", "gnome-keyring-daemon", "dbus-run-session"] {
        if support::program(program).is_none() {
            return;
        }
    }
    let act = act(TOKEN);
    let mut sandbox = Sandbox::new();
    let runtime = sandbox.directory("run");
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.set("XDG_RUNTIME_DIR", runtime);
    sandbox.path_first(support::act_claude().parent().unwrap());
    sandbox.set("ENDPOINT", act.endpoint());
    let script = sandbox.script(
        "session",
        r#"#!/bin/sh -eu
printf 'a password\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
act-claude act setup --yes --name billing --id id-billing --provider-type P --user dev@acme.com \
  --endpoint "$ENDPOINT" --account acme --token-stdin --store keychain --default
act-claude act check billing
"#,
    );
    let output = setup(sandbox.command("dbus-run-session").arg("--").arg(script), TOKEN);
    assert_eq!(output.code(), 0, "{} {}", output.out(), output.err());
    assert_eq!(output.out().matches("Endpoint, token and alias are correct").count(), 2, "{}", output.out());
    // The keyring's own file is encrypted.
    let files = snapshot(sandbox.root());
    assert!(files.keys().any(|path| path.to_string_lossy().contains("keyrings")), "{:?}", files.keys());
    let holds = |content: &[u8]| content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
    assert!(!files.values().any(|content| holds(content.as_slice())));
}

/// A token file that another account names, or that is there for another reason, may be the only place of its token.
#[test]
fn a_token_file_is_taken_from_nobody() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    let file = sandbox.config_file().with_file_name("acme.token");
    let mut account = sandbox.account(&act.endpoint());
    account["token"] = json!({"file": file.display().to_string()});
    sandbox.configure(&json!({"accounts": {"Acme": account}, "aliases": {}}));
    std::fs::write(&file, "t-first\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(sandbox.config_file().with_file_name("ACME-2.token"), "t-old\n").unwrap();
    let other = act.endpoint_of("acme-Z9Z9Z9");
    let run = [&ANSWERS[..], &["--endpoint", &other, "--no-check", "--token-stdin"]].concat();
    let output = setup(&mut sandbox.act_claude(&run), "t-second");
    assert_eq!(output.code(), 0, "{}", output.err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "t-first\n");
    assert_eq!(config(&sandbox)["accounts"]["acme"]["token"], json!({"file": "~/.config/act-claude/acme-3.token"}));
    // Its own file is written again.
    let output = setup(&mut sandbox.act_claude(&run), "t-third");
    assert_eq!(output.code(), 0, "{}", output.err());
    let own = sandbox.config_file().with_file_name("acme-3.token");
    assert_eq!(std::fs::read_to_string(own).unwrap(), "t-third\n");
}

/// A configuration that can't be written: the token that was just stored is taken back, or where it is left is said.
#[test]
fn a_set_up_that_fails_at_the_configuration_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("https://act.test/metric-ingestion/v1/acme-A1/otlp/public/metrics");
    std::fs::create_dir(sandbox.config_file().with_extension("json.bak")).unwrap();
    let file = sandbox.home().join("token");
    std::fs::write(&file, "the-earlier-one").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let before = snapshot(&sandbox.home());
    let renew = ["act", "setup", "--account", "acme", "--yes", "--token-stdin", "--user", "other@acme.com"];
    let output = setup(&mut sandbox.act_claude(&renew), TOKEN);
    let expected = "act-claude: act setup: nothing was changed: ~/.config/act-claude/config.json.bak: Is a directory\n";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((words(&output.err()), output.code()), (words(expected), 64));
    assert_eq!(output.out(), "", "nothing is said to be stored");
    assert_eq!(snapshot(&sandbox.home()), before);
    // A first token, in a file of act-claude's own: it is gone again.
    let first = ["--endpoint", "other-A1", "--account", "other", "--token-stdin", "--no-check"];
    let output = setup(sandbox.act_claude(&ANSWERS).args(first), TOKEN);
    assert_eq!((output.code(), snapshot(&sandbox.home())), (64, before), "{}", output.err());

    let script = "case $1 in store) cat > \"$HOME/../kept\" ;; lookup) cat \"$HOME/../kept\" ;; esac\n";
    let sandbox = with_stand_in("secret-tool", script);
    sandbox.configure(&json!({}));
    std::fs::create_dir(sandbox.config_file().with_extension("json.bak")).unwrap();
    let more = ["--endpoint", "acme-A1", "--account", "acme", "--no-check", "--token-stdin", "--store", "keychain"];
    let output = setup(sandbox.act_claude(&ANSWERS).args(more), TOKEN);
    let expected = format!(
        "act-claude: act setup: the configuration was not changed, but the token of account acme in the keychain (Secret \
         Service) is the new one; to remove it: secret-tool clear service act-claude.acme username {USER}: ~/.config/act-claude/config.json.bak: Is a directory"
    );
    assert_eq!((words(&output.err()), output.code()), (expected, 64));
}
