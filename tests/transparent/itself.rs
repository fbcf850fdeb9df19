//! A21: act-claude never starts itself as claude, and a session inside a session is not treated as a loop.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use crate::support::act_claude;
use crate::support::probe::{Form, ProbeLab};
use crate::support::sandbox::Text;
use crate::support::user;

const SYSTEM: &str = "/usr/bin:/bin";

/// A directory with the shim: a link named `claude` to act-claude.
fn shim(lab: &ProbeLab) -> PathBuf {
    let directory = lab.sandbox.directory("shim");
    symlink(act_claude(), directory.join("claude")).expect("a link");
    directory
}

fn path(directories: &[&PathBuf]) -> String {
    let shown = directories.iter().map(|directory| directory.display().to_string());
    shown.chain([SYSTEM.to_owned()]).collect::<Vec<_>>().join(":")
}

#[test]
fn a21_the_shim() {
    let lab = ProbeLab::new();
    let (shim, real) = (shim(&lab), lab.sandbox.directory("bin"));
    let run = |path: String| {
        let sh = PathBuf::from("/bin/sh");
        let (mut command, log) =
            lab.prepare_through(&sh, &["-c", "claude -p 'a b'; echo $?"], Form::Relay, "given\nexit 21");
        let output = command.env("PATH", path).output().expect("sh");
        (output.out(), log.wait_for("given")["arguments"].clone(), log.notes().len())
    };
    let bare = run(path(&[&real]));
    assert_eq!(bare.0, "21\n");
    assert_eq!(run(path(&[&shim, &real])), bare);
    // Its own directory twice, and once more through a link to the directory.
    symlink(&shim, lab.sandbox.home().join("again")).expect("a link");
    assert_eq!(run(path(&[&shim, &lab.sandbox.home().join("again"), &shim, &real])), bare);
}

#[test]
fn a21_two_copies() {
    let lab = ProbeLab::new();
    let copies = ["one", "two"].map(|name| {
        let directory = lab.sandbox.directory(name);
        std::fs::copy(act_claude(), directory.join("claude")).expect("a copy");
        directory
    });
    let real = lab.sandbox.directory("bin");
    let run = |path: String| {
        let (mut command, _log) = lab.prepare_through(&copies[0].join("claude"), &[], Form::Relay, "exit 22");
        command.env("PATH", path).stderr(std::process::Stdio::piped()).output().expect("started")
    };
    assert_eq!(run(path(&[&copies[0], &copies[1], &real])).code(), 22);
    let nowhere = run(path(&[&copies[0], &copies[1]]));
    assert_eq!(nowhere.code(), 127);
    assert!(nowhere.err().contains("no claude on PATH but act-claude itself"), "{}", nowhere.err());
}

/// A script named `claude` that starts act-claude, which finds the script again.
#[test]
fn a21_a_loop_through_a_script() {
    let lab = ProbeLab::new();
    let start = act_claude().display().to_string();
    let runs = lab.sandbox.root().join("runs");
    // An upper limit for this test.
    let note = format!("echo >>{0}; [ $(wc -l <{0}) -lt 40 ] || exit 98", runs.display());
    // Directly, or with another program in between, which looks like nested sessions up to a limit.
    for (body, most) in [
        (format!("exec {start} \"$@\""), 4),
        (format!("{start} \"$@\"\nexit $?"), 4),
        (format!("/bin/sh -c '{start} \"$@\"; exit $?' sh \"$@\"\nexit $?"), 20),
    ] {
        let script = lab.sandbox.script("script/claude", &format!("#!/bin/sh\n{note}\n{body}\n"));
        let directory = script.parent().expect("its directory").to_path_buf();
        let (mut command, _log) = lab.prepare_through(&script, &["-p", "x"], Form::Relay, "exit 0");
        command.env("PATH", path(&[&directory])).stderr(std::process::Stdio::piped());
        let output = command.output().expect("started");
        assert_eq!(output.code(), 126, "{body}: {}", output.err());
        assert!(output.err().contains("which would start it again"), "{}", output.err());
        let times = std::fs::read_to_string(&runs).unwrap().len();
        assert!(times <= most, "{body}: ran {times} times");
        std::fs::remove_file(&runs).unwrap();
        // If the real claude is found or named, the script is an ordinary launcher.
        let (mut command, _log) = lab.prepare_through(&script, &["-p", "x"], Form::Relay, "exit 23");
        command.env("PATH", path(&[&directory])).env("ACT_CLAUDE_BIN", &lab.claude);
        assert_eq!(command.output().expect("started").code(), 23);
        std::fs::remove_file(&runs).unwrap();
    }
}

/// As claude's Bash tool does: `claude -p` through the shim, inside a session that act-claude started.
#[test]
fn a21_a_session_inside_a_session() {
    let lab = ProbeLab::new();
    let (shim, real) = (shim(&lab), lab.sandbox.directory("bin"));
    let run = |path: String| {
        let outer = "run PROBE_SCRIPT='post' claude -p x\nrun PROBE_SCRIPT='exit 5' claude -p x\nexit 24";
        let sh = PathBuf::from("/bin/sh");
        let (mut command, log) = lab.prepare_through(&sh, &["-c", "claude -p outer"], Form::Relay, outer);
        let code = command.env("PATH", path).output().expect("sh").code();
        (code, log.notes().iter().map(|note| note["run"].clone()).filter(|run| !run.is_null()).collect::<Vec<_>>())
    };
    let bare = run(path(&[&real]));
    assert_eq!(bare, (24, vec![0.into(), 5.into()]));
    assert_eq!(run(path(&[&shim, &real])), bare);
    // A claude that is a script, such as one from npm, is no loop either.
    let program = crate::support::example("probe").display().to_string();
    let script = lab.sandbox.script("scripted/claude", &format!("#!/bin/sh\nexec {program} \"$@\"\n"));
    assert_eq!(run(path(&[&shim, &script.parent().expect("its directory").to_path_buf()])), bare);
    // The inner sessions' exports went through their own relays.
    lab.act.wait_for(2);
}

/// As a claude from npm does for an MCP server that is `claude mcp serve`: without a shell in between, only the script.
#[test]
fn a21_a_script_that_starts_a_session_itself() {
    let lab = ProbeLab::new();
    let shim = shim(&lab);
    let body =
        "#!/bin/sh\ncase $1 in outer) claude middle ;; middle) claude inner ;; *) exit 26 ;; esac\nexit $(($? + 1))\n";
    let script = lab.sandbox.script("scripted/claude", body);
    let scripted = script.parent().expect("its directory").to_path_buf();
    let run = |path: String| {
        let sh = PathBuf::from("/bin/sh");
        let (mut command, _log) = lab.prepare_through(&sh, &["-c", "claude outer"], Form::Relay, "exit 0");
        command.env("PATH", path).output().expect("sh").code()
    };
    assert_eq!(run(path(&[&scripted])), 28);
    assert_eq!(run(path(&[&shim, &scripted])), 28);
}

/// A program that may be executed but not read is identified by its inode only.
#[test]
fn a21_the_shim_of_a_program_that_can_t_be_read() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("a program that may not be read needs root");
    }
    let mut sandbox = crate::support::sandbox::Sandbox::new();
    crate::support::fake_claude::install(&mut sandbox, "exit 25");
    let shim = sandbox.directory("shim");
    let program = user::give(&sandbox);
    std::os::unix::fs::chown(&program, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    symlink(&program, shim.join("claude")).unwrap();
    sandbox.path_first(&shim);
    // If it took itself for claude, it would start processes without end: these limits protect the machine.
    let mut command = sandbox.command("timeout");
    command.args(["-k", "1", "20"]).arg(&program).args(["-p", "hi"]).uid(user::USER).gid(user::USER);
    crate::support::process::limit(&mut command, nix::libc::RLIMIT_NPROC, 40);
    let output = command.output().unwrap();
    assert_eq!(output.code(), 25, "{}", output.err());
}
