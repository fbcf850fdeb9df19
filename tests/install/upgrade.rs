//! A new version is installed, or the program removed, while a session runs: the session, its relay and its report go on as if
//! nothing had happened.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::npm::{Npm, run};
use crate::packages::{LATER, PLATFORM, VERSION, is_program_of, npm};
use crate::support::act::Act;
use crate::support::eventually;
use crate::support::fake_claude;
use crate::support::process::relays;
use crate::support::sandbox::{Sandbox, Text};

/// A session that has sent one export, and waits.
pub struct Session {
    act: Act,
    child: Child,
    go: PathBuf,
}

impl Session {
    /// Starts a session by a command.
    pub fn start(sandbox: &mut Sandbox, command: &Path) -> Self {
        let act = Act::start();
        sandbox.configure_one(&act.endpoint());
        let go = sandbox.root().join("go");
        let _ = std::fs::remove_file(&go);
        fake_claude::install(sandbox, &format!("post\nwait {}\npost\nexit 3", go.display()));
        let mut command: Command = sandbox.command(command);
        command.args(["-p", "hi"]).env("ACT_CLAUDE_REPORT", "always");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        act.wait_for(1);
        Self { act, child, go }
    }

    /// Lets it go on, and asserts that it ends as it should.
    pub fn ends_well(self, sandbox: &Sandbox) {
        std::fs::write(&self.go, "").unwrap();
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(output.code(), 3, "{}", output.err());
        assert!(output.err().contains("act-claude: billing: 2 exports delivered (4 points)"), "{}", output.err());
        self.act.wait_for(2);
        eventually("the relays' end", || relays(sandbox.root()).0.is_empty().then_some(()));
    }
}

#[test]
fn npm_upgrades_beside_a_session() {
    for args in [&[][..], &["--ignore-scripts"]] {
        let Some(mut npm_) = Npm::new() else { return };
        npm_.install(&npm(VERSION), args);
        let command = npm_.command();
        let session = Session::start(&mut npm_.sandbox, &command);
        npm_.install(&npm(LATER), args);
        let program = npm_.prefix.join(format!("lib/node_modules/act-claude-{PLATFORM}/act-claude"));
        assert!(is_program_of(&program, LATER));
        let (guards, workers) = relays(npm_.sandbox.root());
        assert!(!guards.is_empty() || !workers.is_empty(), "the relay of the session still runs");
        // The new version works beside it.
        run(npm_.sandbox.command(&command).args(["act", "history"]));
        session.ends_well(&npm_.sandbox);
    }
}

#[test]
fn npm_uninstalls_beside_a_session() {
    let Some(mut npm_) = Npm::new() else { return };
    npm_.install(&npm(VERSION), &[]);
    let command = npm_.command();
    let session = Session::start(&mut npm_.sandbox, &command);
    run(&mut npm_.global(&["uninstall", "act-claude", &format!("act-claude-{PLATFORM}")]));
    assert!(!command.exists());
    session.ends_well(&npm_.sandbox);
}
