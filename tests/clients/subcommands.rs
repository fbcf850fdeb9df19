//! Claude's subcommands behave as without act-claude: same output, same status, no session, no export, no message of
//! ours.
//!
//! Each runs with closed input and without a terminal, then those that need a terminal on one. Not run here: `mcp
//! serve`, `daemon run`, `remote-control`, `setup-token`, `update` and similar commands, which run until they are ended
//! or need the vendor's servers.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::overlay::recipe;
use crate::support::client::{self, Lab, NEW, OLD};
use crate::support::process::end_relays;
use crate::support::pty::Pty;
use crate::support::{eventually, sandbox};

/// No subcommand takes this long, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// Subcommands as users type them. The last three name a background session that does not exist.
const SUBCOMMANDS: [&[&str]; 10] = [
    &["mcp", "list"],
    &["plugin", "list"],
    &["auth", "status"],
    &["agents"],
    &["agents", "--json"],
    &["daemon", "status"],
    &["doctor"],
    &["attach", "0123abcd"],
    &["logs", "0123abcd"],
    &["stop", "0123abcd"],
];

/// How a command ended and what it printed, without what differs between two runs of claude alone.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: String,
    out: String,
    err: String,
}

/// Runs `command` to its end, and fails if it takes too long. Output goes to files, not pipes: a relay may outlive the
/// command.
fn seen(lab: &Lab, mut command: Command, what: &str) -> Seen {
    let file = |name: &str| lab.sandbox.root().join(name);
    command.stdout(File::create(file("stdout")).unwrap()).stderr(File::create(file("stderr")).unwrap());
    let mut child = command.process_group(0).spawn().unwrap();
    let end = Instant::now() + LONGEST;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = child.wait();
            panic!("{} {what}: no end after {LONGEST:?}", lab.version);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap()).into_owned();
    Seen { status: status.to_string(), out: read("stdout"), err: read("stderr") }
}

/// Writes the guide's recipe for another alias into the user's settings, or removes them.
fn settings(lab: &Lab, conflict: bool) {
    match conflict {
        true => drop(lab.sandbox.write(".claude/settings.json", recipe(lab).to_string())),
        false => drop(std::fs::remove_file(lab.sandbox.home().join(".claude/settings.json"))),
    }
}

/// The conversations that claude stores.
fn conversations(lab: &Lab) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    sandbox::snapshot(&lab.sandbox.home().join(".claude/projects"))
}

fn compare(version: &'static str, hangs_without_terminal: &[&str]) {
    let Some(lab) = Lab::start(version, &["project"]) else { return };
    lab.sandbox.configure_one(&lab.act.endpoint());
    // The very first run creates files; without it the first comparison would differ.
    seen(&lab, lab.claude("project", &["plugin", "list"]), "first");
    let both = |args: &[&str]| {
        (seen(&lab, lab.claude("project", args), "bare"), seen(&lab, lab.act_claude("project", args), "act-claude"))
    };
    for conflict in [false, true] {
        settings(&lab, conflict);
        for args in SUBCOMMANDS {
            if !hangs_without_terminal.contains(&args[0]) {
                let (bare, mut ours) = both(args);
                if args == ["daemon", "status"] && version == NEW {
                    ours.out = without_launcher(&ours.out);
                }
                assert_eq!(ours, bare, "{version} {args:?}, conflict: {conflict}");
            }
            if conflict {
                let help = [args, &["--help"]].concat();
                let (bare, ours) = both(&help);
                assert_eq!(ours, bare, "{version} {help:?}");
            }
        }
    }
    assert_quiet(&lab);
}

/// `daemon status` reports correctly that agents would be started through act-claude. These lines are removed.
fn without_launcher(out: &str) -> String {
    let (ours, rest): (Vec<&str>, Vec<&str>) =
        out.split_inclusive('\n').partition(|line| line.starts_with("launcher: "));
    assert!(ours.len() == 1 && ours[0].contains("/act-claude` "), "{out}");
    rest.concat()
}

/// Asserts that nothing was exported, the model was not called, and no conversation and no overlay exists.
fn assert_quiet(lab: &Lab) {
    end_relays(lab.sandbox.root());
    assert_eq!(lab.act.requests().len(), 0, "{}: exports", lab.version);
    assert_eq!(lab.messages.turns(), 0, "{}: turns", lab.version);
    assert_eq!(conversations(lab), BTreeMap::new(), "{}", lab.version);
    assert_eq!(sandbox::snapshot(&lab.sandbox.state().join("overlay")), BTreeMap::new(), "{}", lab.version);
}

#[test]
fn of_the_older_client() {
    // The older client's `doctor` needs a terminal; without one it does not end.
    compare(OLD, &["doctor"]);
}

#[test]
fn of_the_newer_client() {
    compare(NEW, &[]);
}

/// The older `doctor` draws its findings and waits for Enter; the newer one prints them. (`agents` would start a
/// daemon: see clients/background.)
#[test]
fn doctor_on_a_terminal() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        let doctor = |command: Command| {
            let mut terminal = Pty::start(command);
            terminal.resize(60, 200);
            terminal.wait_until("all of it", |screen| {
                let is_under_way = ["Probing background server", "Checking Remote Control"];
                let is_whole = !is_under_way.iter().any(|part| screen.contains(part));
                screen.contains("run /doctor") || screen.contains("Enter to close") && is_whole
            });
            // It may not read its input yet, so Enter is sent again.
            eventually("the end of doctor", || {
                let ended = terminal.child.try_wait().unwrap();
                if ended.is_none() {
                    terminal.send("\r");
                    std::thread::sleep(Duration::from_millis(300));
                }
                ended
            });
            let (status, screen) = terminal.finish();
            (status, screen.trim().to_owned())
        };
        // The first run's output differs from that of later runs.
        doctor(lab.claude("project", &["doctor"]));
        for conflict in [false, true] {
            settings(&lab, conflict);
            let bare = doctor(lab.claude("project", &["doctor"]));
            let (status, screen) = doctor(lab.act_claude("project", &["doctor"]));
            // A single word may also be a prompt: settings that could not be overridden for it are reported, after
            // claude's last line.
            let (screen, said) = screen.split_once("\nact-claude: ").unwrap_or((&screen, ""));
            assert_eq!((status, screen.trim_end().to_owned()), bare, "{version}, conflict: {conflict}");
            assert_eq!(said.contains("this can't be overridden here"), conflict, "{version}: {said}");
            assert_eq!(said.lines().count(), usize::from(conflict), "{version}: {said}");
        }
        assert_quiet(&lab);
    }
}
