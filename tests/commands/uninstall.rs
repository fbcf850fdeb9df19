//! `act uninstall`: nothing stays but what it names, nothing goes that is not act-claude's, no export is lost unasked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::act::{Act, accepted};
use crate::support::fake_claude;
use crate::support::http::Reply;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

/// Everything below a directory, directories too.
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

/// A home before act-claude: what the user has, mentions of act-claude in it included.
fn home() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".bashrc", "PS1=x\neval \"$(act-claude act shell-init bash)\"\n");
    sandbox.write(".claude/settings.json", "{\"statusLine\": {\"command\": \"act-claude act statusline\"}}\n");
    sandbox.write(".config/other/file", "x");
    sandbox.directory(".local/state");
    sandbox
}

/// One session, and the wait until its relay has gone.
fn session(sandbox: &mut Sandbox) {
    fake_claude::install(sandbox, "post");
    assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
    let sessions = sandbox.state().join("sessions");
    crate::support::eventually("the end of the relay", || {
        let mut names = tree(&sessions).into_iter();
        (!names.any(|path| path.extension().is_some_and(|extension| extension == "lock"))).then_some(())
    });
}

#[test]
fn leaves_what_was_there_and_names_it() {
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
    // The token lies where the user put it: named, not removed.
    let token = sandbox.home().join("token");
    assert!(after.remove(&token), "the user's token file");
    assert_eq!(after, before);
    let said = output.out();
    for expected in [
        format!("removed:\n  {}\n  {}\n", sandbox.state().display(), sandbox.config_file().display()),
        format!("  {}:2: eval \"$(act-claude act shell-init bash)\"\n", sandbox.home().join(".bashrc").display()),
        format!("  {}:1: ", sandbox.home().join(".claude/settings.json").display()),
        format!("  the token of acme: rm {}\n", token.display()),
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
    pty.wait_for("Go on? [y/N]");
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
fn exports_that_wait_are_in_the_way() {
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

#[test]
fn what_waits_is_delivered_first() {
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
fn a_running_session_is_in_the_way() {
    let act = Act::start();
    let mut sandbox = home();
    sandbox.configure_one(&act.endpoint());
    let (ready, go) = (sandbox.root().join("ready"), sandbox.root().join("go"));
    fake_claude::install(&mut sandbox, &format!("post\ntouch {}\nwait {}", ready.display(), go.display()));
    let mut running = sandbox.act_claude(&["-p", "hi"]).spawn().unwrap();
    act.wait_for(1);
    crate::support::eventually("the session's record", || {
        let mut names = tree(&sandbox.state().join("sessions")).into_iter();
        names.find(|path| path.extension().is_some_and(|extension| extension == "json"))
    });
    let refused = sandbox.act_claude(&["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(refused.code(), 75, "{}", refused.out());
    assert!(refused.err().contains("1 session still runs under act-claude"), "{}", refused.err());
    assert!(sandbox.state().is_dir() && sandbox.config_file().is_file());
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}
