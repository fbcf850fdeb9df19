//! `act uninstall` leaves nothing except what it names, removes nothing of other programs, and loses no export without
//! asking.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::act::{Act, accepted};
use crate::support::fake_claude;
use crate::support::http::Reply;
use crate::support::process::relays;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, eventually};

/// Everything below a directory, including directories.
fn tree(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

/// A file of a session: its record (`json`) or its lock.
fn of_sessions(sandbox: &Sandbox, extension: &str) -> Option<PathBuf> {
    let files = tree(&sandbox.state().join("sessions"));
    files.into_iter().find(|path| path.extension().is_some_and(|own| own == extension))
}

/// A home before the first use of act-claude: the user's own files, some of which mention act-claude.
fn home() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".bashrc", "PS1=x\neval \"$(act-claude act shell-init bash)\"\n");
    sandbox.write(".claude/settings.json", "{\"statusLine\": {\"command\": \"act-claude act statusline\"}}\n");
    sandbox.write(".config/other/file", "x");
    sandbox.directory(".local/state");
    sandbox
}

/// Runs one session and waits until its relay has ended.
fn session(sandbox: &mut Sandbox) {
    fake_claude::install(sandbox, "post");
    assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
    eventually("the end of the relay", || of_sessions(sandbox, "lock").is_none().then_some(()));
}

#[test]
fn leaves_the_user_s_files_and_names_them() {
    let act = Act::start();
    let mut sandbox = home();
    let before = tree(&sandbox.home());
    sandbox.configure_one(&act.endpoint());
    session(&mut sandbox);
    act.wait_for(1);
    assert!(sandbox.state().is_dir());

    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!((output.code(), output.err()), (0, String::new()));
    let mut after = tree(&sandbox.home());
    // The token is in a file of the user's choice: it is named, not removed.
    let token = sandbox.home().join("token");
    assert!(after.remove(&token), "the user's token file");
    assert_eq!(after, before);
    let said = output.out();
    for expected in [
        format!("removed:\n  {}\n  {}\n", sandbox.shown(sandbox.state()), sandbox.shown(sandbox.config_file())),
        format!("  {}:2: eval \"$(act-claude act shell-init bash)\"\n", sandbox.shown(sandbox.home().join(".bashrc"))),
        format!("  {}:1: ", sandbox.shown(sandbox.home().join(".claude/settings.json"))),
        format!("  the token of acme: rm {}\n", sandbox.shown(&token)),
        "  the program: rm /".to_owned(),
    ] {
        assert!(said.contains(&expected), "{expected}: {said}");
    }
    let again = sandbox.act_claude(&["act", "uninstall"]).output().unwrap();
    assert!(again.code() == 0 && !again.out().contains("removed:"), "{}", again.out());
}

#[test]
fn asks_and_keeps_the_configuration_on_request() {
    let act = Act::start();
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    session(&mut sandbox);
    let refused = sandbox.act_claude(&["act", "uninstall"]).output().unwrap();
    assert_eq!(refused.code(), 64);
    assert!(refused.err().contains("--yes removes without asking"), "{}", refused.err());
    let mut pty = Pty::start(sandbox.act_claude(&["act", "uninstall"]));
    pty.wait_for("Continue? [y/N]");
    pty.send("\r");
    let (status, screen) = pty.finish();
    assert!(status.code() == Some(64) && screen.ends_with("nothing was removed"), "{screen}");
    assert!(sandbox.state().is_dir());

    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--keep-config", "--json"]).output().unwrap();
    let said: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(said["removed"], serde_json::json!([sandbox.state()]));
    assert!(sandbox.config_file().is_file() && !sandbox.state().exists());
}

#[test]
fn waiting_exports_stop_it() {
    let act = Act::start();
    act.answer(Reply::json(401, "{}"));
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    session(&mut sandbox);
    let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(refused.code(), 75, "{}", refused.out());
    assert!(refused.err().contains("1 export has not reached ACT"), "{}", refused.err());
    assert!(sandbox.state().is_dir() && sandbox.config_file().is_file());
    assert!(refused.out().contains("401 Unauthorized"), "{}", refused.out());
    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--discard"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(!sandbox.state().exists());
}

/// Its claude has ended, so there is nothing that the user could end.
#[test]
fn a_relay_that_still_delivers_is_ended() {
    let act = Act::start();
    act.answer(Reply::json(503, "{}"));
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post");
    assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
    eventually("claude's end in the record", || {
        let record = std::fs::read(of_sessions(&sandbox, "json")?).ok()?;
        serde_json::from_slice::<Value>(&record).ok()?["claude_has_gone"].as_bool().filter(|has_gone| *has_gone)
    });
    assert!(of_sessions(&sandbox, "lock").is_some(), "the relay goes on");
    let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(refused.code(), 75, "{}", refused.err());
    assert!(refused.err().contains("1 export has not reached ACT"), "{}", refused.err());
    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--discard"]).output().unwrap();
    assert_eq!((output.code(), sandbox.state().exists()), (0, false), "{}", output.err());
    let (guards, working) = relays(sandbox.root());
    assert!(guards.is_empty() && working.is_empty());
}

/// A container may use the same state directory: the pid of its relay is another process's here.
#[test]
fn a_process_that_only_has_the_pid_of_a_relay_is_left_alone() {
    let act = Act::start();
    act.answer(Reply::json(503, "{}"));
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    session(&mut sandbox);
    let mut other = std::process::Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
    let path = of_sessions(&sandbox, "json").unwrap();
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["end"] = Value::Null;
    record["relay_pid"] = other.id().into();
    for has_gone in [true, false] {
        record["claude_has_gone"] = has_gone.into();
        std::fs::write(&path, record.to_string()).unwrap();
        let _lock = act_claude::state::record::lock(&sandbox.state(), record["id"].as_str().unwrap()).unwrap();
        let refused = sandbox.act_claude(&["act", "uninstall", "--yes", "--discard"]).output().unwrap();
        assert_eq!(refused.code(), 75, "{}", refused.err());
        assert!(refused.err().contains("not visible here, perhaps in a container"), "{}", refused.err());
        assert!(!refused.err().contains("kill"), "{}", refused.err());
        assert!(other.try_wait().unwrap().is_none(), "it runs");
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Without a list it is not known that nothing waits.
#[test]
fn a_spool_that_can_t_be_listed_stops_it() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    for spool in ["spool", "copies/grafana/spool"] {
        let path = sandbox.state().join(spool);
        std::fs::create_dir_all(&path).unwrap();
        for directory in ["", "spool", "copies", "copies/grafana", "copies/grafana/spool"] {
            let _ = std::fs::set_permissions(sandbox.state().join(directory), Permissions::from_mode(0o700));
        }
        std::fs::write(path.join("new"), "").unwrap();
        let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
        assert_eq!(refused.code(), 75, "{}{}", refused.out(), refused.err());
        assert!(refused.err().contains("the waiting exports can't be listed: Not a directory"), "{}", refused.err());
        assert!(path.join("new").exists() && sandbox.config_file().is_file());
        std::fs::remove_file(path.join("new")).unwrap();
    }
    assert_eq!(sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap().code(), 0);
}

#[test]
fn waiting_exports_are_delivered_first() {
    let act = Act::start();
    act.answer(Reply::json(401, "{}"));
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    session(&mut sandbox);
    let refused = act.requests().len();
    act.answer(accepted());
    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(output.out().starts_with("billing: 1 export delivered (2 points)\n"), "{}", output.out());
    assert_eq!(act.requests().len(), refused + 1);
    assert!(!sandbox.state().exists());
}

#[test]
fn a_running_session_stops_it() {
    let act = Act::start();
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    let (ready, go) = (sandbox.root().join("ready"), sandbox.root().join("go"));
    fake_claude::install(&mut sandbox, &format!("post\ntouch {}\nwait {}", ready.display(), go.display()));
    let mut running = sandbox.act_claude(&["-p", "hi"]).spawn().unwrap();
    act.wait_for(1);
    eventually("the session's record", || of_sessions(&sandbox, "json"));
    let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(refused.code(), 75, "{}", refused.out());
    assert!(refused.err().contains("1 session still runs under act-claude"), "{}", refused.err());
    assert!(sandbox.state().is_dir() && sandbox.config_file().is_file());
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

/// A background agent that has sent nothing yet has a waiting relay: uninstall ends the relay, which leaves nothing
/// behind.
#[test]
fn a_relay_that_waits_for_a_first_export_is_ended() {
    let act = Act::start();
    let mut sandbox = home();
    let before = tree(&sandbox.home());
    sandbox.configure_one(&act.endpoint());
    let (ready, go) = (sandbox.root().join("ready"), sandbox.root().join("go"));
    let script = format!("touch {}\nwait {}\npost", ready.display(), go.display());
    let claude = fake_claude::install(&mut sandbox, &script);
    let mut command = sandbox.act_claude(&[claude.to_str().unwrap(), "--session-id", "x"]);
    let mut agent = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let guards = || -> Vec<i32> { relays(sandbox.root()).0.iter().map(|guard| guard.pid).collect() };
    let relay = eventually("a relay", || (ready.exists() && guards().len() == 1).then(|| guards()[0]));
    eventually("its lock", || of_sessions(&sandbox, "lock"));

    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--keep-config"]).output().unwrap();
    assert_eq!((output.code(), output.err()), (0, String::new()));
    assert!(
        output.out().starts_with(&format!("ended:\n  the relay of a claude that had sent nothing (pid {relay})\n")),
        "{}",
        output.out()
    );
    let left = relays(sandbox.root());
    assert!(left.0.is_empty() && left.1.is_empty(), "{left:?}");
    assert!(agent.try_wait().unwrap().is_none(), "claude is not touched");
    // It exports now, without success.
    std::fs::write(&go, "").unwrap();
    agent.wait().unwrap();
    assert!(!sandbox.state().exists() && act.requests().is_empty());
    std::fs::remove_dir_all(sandbox.config_file().parent().unwrap()).unwrap();
    std::fs::remove_file(sandbox.home().join("token")).unwrap();
    assert_eq!(tree(&sandbox.home()), before);
}

/// An agent that has exported something is not idle: uninstall refuses, and names the agent.
#[test]
fn an_agent_that_has_sent_something_stops_it_and_is_named() {
    let act = Act::start();
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    let go = sandbox.root().join("go");
    let claude = fake_claude::install(&mut sandbox, &format!("post\nwait {}", go.display()));
    let mut command = sandbox.act_claude(&[claude.to_str().unwrap(), "--session-id", "x"]);
    let mut agent = command.current_dir(sandbox.directory("work")).spawn().unwrap();
    act.wait_for(1);
    eventually("the session's record", || of_sessions(&sandbox, "json"));
    let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(refused.code(), 75, "{}", refused.out());
    let named = format!("billing in {} (pid {})", sandbox.shown(sandbox.home().join("work")), agent.id());
    assert!(refused.err().contains(&named), "{named}: {}", refused.err());
    std::fs::write(&go, "").unwrap();
    assert!(agent.wait().unwrap().success());
}

/// Claude's daemon starts its agents through the act-claude file that it knows. If the file is removed, they fail at
/// once.
#[test]
fn a_daemon_that_starts_its_agents_through_act_claude_is_named() {
    let mut sandbox = home();
    let go = sandbox.root().join("go");
    let daemon = |sandbox: &mut Sandbox, launcher: &str, name: &str| {
        let ready = sandbox.root().join(name);
        let claude = fake_claude::install(sandbox, &format!("touch {}\nwait {}", ready.display(), go.display()));
        let mut command = sandbox.command(&claude);
        command.arg0("claude").args(["daemon", "run"]).env("CLAUDE_CODE_PROCESS_WRAPPER", launcher);
        let child = command.spawn().unwrap();
        eventually("a daemon", || ready.exists().then_some(()));
        child
    };
    let mut children =
        [daemon(&mut sandbox, act_claude().to_str().unwrap(), "ours"), daemon(&mut sandbox, "/bin/true", "not-ours")];
    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let line = format!(
        "claude's daemon (pid {}) starts agents through act-claude: claude daemon stop --any\n",
        children[0].id()
    );
    assert!(output.out().contains(&line), "{}", output.out());
    assert_eq!(output.out().matches("claude's daemon").count(), 1, "{}", output.out());
    std::fs::write(&go, "").unwrap();
    for child in &mut children {
        child.wait().unwrap();
    }
}

/// A configuration in a directory of the user's own, with a token beside it: both are named, not removed. In act-claude's directory
/// the files go that act-claude writes itself.
#[test]
fn what_is_not_in_its_own_directory_is_named() {
    let mut sandbox = home();
    let account =
        |file: &str| serde_json::json!({"endpoint": "https://a.test/m", "user": "u@a.test", "token": {"file": file}});
    let keys = sandbox
        .write("keys/act.json", serde_json::json!({"accounts": {"acme": account("~/keys/acme.token")}}).to_string());
    sandbox.write("keys/acme.token", "t");
    sandbox.set("ACT_CLAUDE_CONFIG", &keys);
    let before = tree(&sandbox.home());
    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!((output.code(), tree(&sandbox.home())), (0, before), "{}", output.out());
    for named in ["the configuration: rm ", "the token of acme: rm "] {
        assert!(output.out().contains(&format!("  {named}~/keys/")), "{}", output.out());
    }
    sandbox.unset("ACT_CLAUDE_CONFIG");
    let accounts = serde_json::json!({
        "acme": account("~/.config/act-claude/acme.token"), "mine": account("~/.config/act-claude/mine.txt")
    });
    sandbox.configure(&serde_json::json!({"accounts": accounts}));
    let directory = sandbox.config_file().parent().unwrap().to_path_buf();
    for name in ["acme.token", "mine.txt", "notes", "config.json.bak", ".act-claude-AbCdEf"] {
        std::fs::write(directory.join(name), "x").unwrap();
    }
    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.out());
    let left = BTreeSet::from(["mine.txt", "notes"].map(|name| directory.join(name)));
    assert_eq!(tree(&directory), left);
    assert!(output.out().contains("the token of mine: rm ~/.config/act-claude/mine.txt"), "{}", output.out());
}

/// A token that the configuration does not name, because it can't be read or the account's token is elsewhere now: it is named, and set-up
/// says so, too.
#[test]
fn a_token_that_no_account_has_is_named() {
    let sandbox = home();
    sandbox.configure(&serde_json::json!({"accounts": {"acme": {
        "endpoint": "http://127.0.0.1:9/m", "user": "u@a.test", "token": {"file": "~/.config/act-claude/acme.token"}
    }}}));
    let token = sandbox.write(".config/act-claude/acme.token", "t");
    let renew = ["act", "setup", "--account", "acme", "--token-env", "BOOMI", "--yes", "--no-check"];
    let output = sandbox.act_claude(&renew).env("BOOMI", "t0k-en").output().unwrap();
    let earlier =
        "The earlier token of account acme is still there. To remove it:\n  rm ~/.config/act-claude/acme.token\n";
    assert!(output.out().contains(earlier), "{} {}", output.out(), output.err());
    for (configuration, keep) in [(None, true), (Some("{broken"), false)] {
        configuration.map(|text| sandbox.write(".config/act-claude/config.json", text));
        let args = ["act", "uninstall", "--yes", "--keep-config"];
        let output = sandbox.act_claude(&args[..if keep { 4 } else { 3 }]).output().unwrap();
        assert!(output.code() == 0 && token.exists(), "{}", output.err());
        let named = output.out().contains(&format!("  a token that no account has: rm {}\n", sandbox.shown(&token)));
        assert_eq!(named, !keep, "{}", output.out());
    }
}

/// A pipe or a device in the place of a file that is searched: nothing is waited for, and it is named.
#[test]
fn a_pipe_as_a_shell_s_file_is_named_and_not_waited_for() {
    let sandbox = home();
    let pipe = sandbox.home().join(".zshrc");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", sandbox.home().join(".profile")).unwrap();
    let output = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    for name in [".zshrc", ".profile"] {
        let named = format!("  ~/{name}: can't be read (not a regular file); look for act-claude in it\n");
        assert!(output.out().contains(&named), "{}", output.out());
    }
}

/// Copies that wait are delivered first. What stays is counted, and the file of a header is named.
#[test]
fn copies_that_wait_are_not_lost_without_asking() {
    let (act, receiver) = (Act::start(), Act::start());
    receiver.answer(Reply::json(503, ""));
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    let file = sandbox.write("grafana", "Bearer canary-of-grafana");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    config["copies"] = serde_json::json!({"grafana": {
        "endpoint": format!("{}/v1/metrics", receiver.origin()), "headers": {"Authorization": {"file": "~/grafana"}}
    }});
    sandbox.configure(&config);
    session(&mut sandbox);
    act.wait_for(1);
    let run = |args: &[&str]| {
        let output = sandbox.act_claude(&[&["act", "uninstall", "--yes"], args].concat()).output().unwrap();
        assert!(!(output.out() + &output.err()).contains("canary-of-grafana"));
        output
    };
    let refused = run(&[]);
    let expected =
        "act-claude: 1 copy has not reached another receiver: act-claude act uninstall --discard deletes them\n";
    assert_eq!((refused.code(), refused.err().as_str()), (75, expected));
    assert!(sandbox.state().is_dir() && act.requests().len() == 1);
    receiver.answer(accepted());
    let count = receiver.requests().len();
    let done = run(&[]);
    assert_eq!((done.code(), receiver.requests().len()), (0, count + 1), "{}", done.err());
    assert!(done.out().contains(&format!("a header of copy grafana: rm {}\n", sandbox.shown(&file))), "{}", done.out());
    assert!(!sandbox.state().exists() && file.exists());
}
