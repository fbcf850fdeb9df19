//! `act demo` shows the whole path, fails if the exports that arrive differ from those that were sent, and leaves
//! nothing behind.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text, snapshot};
use crate::support::{act_claude, eventually};

/// A sandbox without a claude, and a TMPDIR whose name identifies the processes of this test.
struct DemoLab {
    sandbox: Sandbox,
    temporary: PathBuf,
}

impl DemoLab {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let temporary = sandbox.root().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        sandbox.set("TMPDIR", &temporary);
        Self { sandbox, temporary }
    }

    fn demo(&self, args: &[&str]) -> Command {
        self.sandbox.act_claude(&[&["act", "demo"], args].concat())
    }

    /// Installs a script as `claude`.
    fn claude(&mut self, script: &str) {
        let path = self.sandbox.script("bin/claude", script);
        self.sandbox.path_first(path.parent().unwrap());
    }

    /// Asserts that no file and no process is left.
    fn assert_nothing_left(&self) {
        let left: Vec<PathBuf> = snapshot(&self.temporary).into_keys().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(std::fs::read_dir(&self.temporary).unwrap().count(), 0);
        assert!(!self.sandbox.state().exists());
        let carrying = carrying(self.temporary.to_str().unwrap());
        assert!(carrying.is_empty(), "{carrying:?}");
    }
}

/// The command lines of processes with `mark` in their environment.
fn carrying(mark: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| std::fs::read(process.join("environ")).is_ok_and(|environ| holds(&environ)))
        .map(|process| {
            String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).unwrap_or_default()).into_owned()
        })
        .collect()
}

#[test]
fn two_directories_two_ids_their_exports_and_a_report() {
    let lab = DemoLab::new();
    let before = snapshot(lab.sandbox.root());
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let output = lab.demo(&[]).output().unwrap();
        let text = output.out();
        assert_eq!((output.code(), output.err()), (0, String::new()), "{text}");
        assert!(text.contains("none on PATH: a stand-in that sends the metrics claude sends"), "{text}");
        for (directory, alias, account) in [("~/work/billing", "billing", "acme"), ("~/web/shop", "shop", "globex")] {
            let row = text.lines().find(|line| line.contains(&format!("{directory:<14}  {alias}"))).expect(&text);
            let id = row.split_whitespace().nth(2).unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is not drawn anew");
            assert_eq!(row.split_whitespace().nth(3), Some(account));
            assert!(text.contains(&format!("{directory} $ act-claude -p \"say hello\"")), "{text}");
            assert!(text.contains(&format!("\nact-claude: {alias}: 1 export delivered (7 points)\n")), "{text}");
            assert!(text.contains(&format!("  200 accepted  {id}  {account}-")), "{text}");
        }
        assert_eq!(text.matches("  claude_code.token.usage             15 tokens  input 10, output 5\n").count(), 2);
        assert!(text.contains("All that claude sent has arrived, under the right alias: 2 sessions, 2 exports,"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'));
        lab.assert_nothing_left();
    }
    assert_eq!(snapshot(lab.sandbox.root()), before);
}

#[test]
fn exports_that_act_lost_are_noticed() {
    let lab = DemoLab::new();
    let output = lab.demo(&["--drop"]).output().unwrap();
    let text = output.out();
    assert_eq!(output.code(), 1, "{text}");
    let (shown, missed) = text.split_once("What arrived is not what was sent:\n").expect(&text);
    assert!(shown.contains("act-claude: billing: 1 export delivered (7 points)\n"), "{text}");
    for line in [
        "billing: exports: sent 1, received 0",
        "shop: data points: sent 7, received 0",
        "shop: tokens: sent 15, received 0",
    ] {
        assert!(missed.contains(&format!("  - {line}\n")), "{line}: {text}");
    }
    lab.assert_nothing_left();
}

#[test]
fn failures_show_state_cause_and_fix() {
    let lab = DemoLab::new();
    let held = "held: kept on this machine, and sent after it is corrected";
    let waiting = "waiting: kept on this machine, and tried again";
    let no_fix = "none needed: it is tried again automatically";
    for (fail, status, state, cause, fix) in [
        ("401", "401 refused", held, "The API token or its user is wrong", "act-claude act setup --account acme"),
        (
            "403",
            "403 refused",
            held,
            "The API token lacks the right to write metrics, or the alias is another",
            "act-claude act setup --account acme",
        ),
        (
            "404",
            "404 refused",
            held,
            "Its id is wrong, or it is not published (the UK/EU platform has no such",
            "compare \"id\" of alias billing with the Monitoring Spec",
        ),
        (
            "400",
            "400 refused",
            "rejected: kept on this machine, and not sent again",
            "ACT does not accept this export",
            "act-claude act doctor",
        ),
        ("429", "429 refused", waiting, "ACT is busy or not available", no_fix),
        ("503", "503 refused", waiting, "ACT is busy or not available", no_fix),
        (
            "partial",
            "200 partial",
            "partial: not sent again, ACT has the rest",
            "ACT rejected these points and accepted the others",
            "none known: ACT's answer is above",
        ),
        (
            "hang",
            "no answer",
            "under way: continues in the background; claude did not wait for it",
            "ACT has not answered yet",
            no_fix,
        ),
    ] {
        let output = lab.demo(&["--fail", fail]).output().unwrap();
        let text = output.out();
        assert_eq!((output.code(), output.err()), (0, String::new()), "{fail}: {text}");
        for line in [format!("  state  {state}"), format!("  cause  {cause}"), format!("  fix    {fix}")] {
            assert!(text.lines().any(|shown| shown == line), "{fail}: {line:?} is not in {text}");
        }
        assert!(text.contains(&format!("  {status}  ")) && text.contains("\nact-claude: billing: 1 export "), "{text}");
        assert!(text.contains("\nhello there (15 tokens"), "{fail}: {text}");
        lab.assert_nothing_left();
    }
}

#[test]
fn as_json() {
    let lab = DemoLab::new();
    let output = lab.demo(&["--json"]).output().unwrap();
    let demo: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!((output.code(), &demo["wrong"], &demo["claude"]), (0, &serde_json::json!([]), &Value::Null));
    for (index, alias) in ["billing", "shop"].into_iter().enumerate() {
        let session = &demo["sessions"][index];
        assert_eq!((&session["alias"], &session["report"]["state"]), (&alias.into(), &"delivered".into()));
        assert_eq!(session["received"][0]["alias"], session["id"]);
    }
}

/// Claude reports that it used tokens, but sends nothing.
#[test]
fn a_claude_that_sends_nothing_is_detected() {
    let mut lab = DemoLab::new();
    lab.claude(
        r#"#!/bin/sh
while [ "$1" != --session-id ]; do shift; done
echo '{"session_id":"'$2'","is_error":false,"result":"hi","total_cost_usd":1,"modelUsage":{"m":{"inputTokens":3}}}'
"#,
    );
    let output = lab.demo(&[]).output().unwrap();
    let text = output.out();
    assert_eq!(output.code(), 1, "{text}");
    assert!(text.contains("bin/claude,"), "{text}");
    assert!(text.contains("  - billing: tokens: sent 3, received 0\n"), "{text}");
    assert!(text.contains("  - shop: reported as nothing_sent\n"), "{text}");
    lab.assert_nothing_left();
}

#[test]
fn a_claude_that_does_not_work_is_named() {
    let mut lab = DemoLab::new();
    lab.claude("#!/bin/sh\necho 'no such model'\necho oops >&2\nexit 3\n");
    let output = lab.demo(&[]).output().unwrap();
    let text = output.out();
    assert_eq!(output.code(), 1, "{text}");
    assert!(text.contains("  - billing: claude ended with exit status: 3: no such model\n"), "{text}");
    assert!(text.contains("\noops\n") && text.contains("act-claude act demo --stand-in\n"), "{text}");
    lab.assert_nothing_left();
}

/// Claude in the demo gets nothing of the user's environment and home.
#[test]
fn claude_gets_nothing_of_the_users() {
    let mut lab = DemoLab::new();
    let seen = lab.sandbox.root().join("seen");
    lab.claude(&format!("#!/bin/sh\nenv > {}\nexit 1\n", seen.display()));
    for (name, value) in
        [("ANTHROPIC_API_KEY", "the-users-key"), ("CLAUDE_CONFIG_DIR", "/theirs"), ("HTTPS_PROXY", "http://theirs:1")]
    {
        lab.sandbox.set(name, value);
    }
    lab.demo(&[]).output().unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    let home = lab.sandbox.home().display().to_string();
    assert!(
        !seen.contains("the-users-key") && !seen.contains("theirs") && !seen.contains(&format!("={home}\n")),
        "{seen}"
    );
    for name in [
        "ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "HTTPS_PROXY=http://127.0.0.1:",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
    ] {
        assert!(seen.contains(name), "{seen}");
    }
}

#[test]
fn interrupted_it_ends_all_and_leaves_nothing() {
    let mut lab = DemoLab::new();
    let ready = lab.sandbox.root().join("ready");
    lab.claude(&format!("#!/bin/sh\necho $$ > {}\nexec sleep 600\n", ready.display()));
    for key in [false, true] {
        let _ = std::fs::remove_file(&ready);
        // Ctrl-C reaches all processes on the terminal, a signal from elsewhere only the demo.
        let mut pty = Pty::start(lab.demo(&[]));
        eventually("claude", || std::fs::read_to_string(&ready).ok()?.trim().parse::<i32>().ok());
        if key {
            pty.send("\u{3}");
        } else {
            let pid = nix::unistd::Pid::from_raw(pty.child.id().cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        }
        let (status, screen) = pty.finish();
        assert_eq!(status.signal(), Some(if key { 2 } else { 15 }), "{screen}");
        lab.assert_nothing_left();
    }
}

/// On a terminal with colours, with NO_COLOR without them; the text is the same.
#[test]
fn in_colour_and_without() {
    let mut lab = DemoLab::new();
    let show = |lab: &DemoLab| {
        let mut pty = Pty::start(lab.demo(&["--fail", "401"]));
        let (status, screen) = pty.finish();
        assert_eq!(status.code(), Some(0), "{screen}");
        (pty.raw(), screen)
    };
    let coloured = |raw: &[u8]| raw.windows(2).any(|pair| pair == b"\x1b[");
    let (raw, screen) = show(&lab);
    assert!(coloured(&raw) && screen.contains("  fix    act-claude act setup --account acme"), "{screen}");
    lab.sandbox.set("NO_COLOR", "1");
    let (raw, screen) = show(&lab);
    assert!(!coloured(&raw) && screen.contains("  fix    act-claude act setup --account acme"), "{screen}");
}

#[test]
fn the_reader_may_close_its_end() {
    let lab = DemoLab::new();
    let line = format!("{} act demo | head -1", act_claude().display());
    let output = lab.sandbox.command("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(output.err(), "");
    eventually("the end", || carrying(lab.temporary.to_str().unwrap()).is_empty().then_some(()));
    lab.assert_nothing_left();
}
