//! A1–A3: act-claude ends as claude ends.

use std::os::unix::process::ExitStatusExt;

use crate::support::probe::{Form, ProbeLab, Run, WRAPPED, ended};
use crate::support::pty::Pty;
use crate::support::sandbox::Text;

#[test]
fn a1_exit_code() {
    let lab = ProbeLab::new();
    for code in [0, 1, 2, 32, 64, 126, 127, 254, 255] {
        for form in WRAPPED {
            let status = lab.start(form, &format!("exit {code}")).wait();
            assert_eq!(ended(status), format!("exit {code}"), "{form:?}");
        }
    }
}

#[test]
fn a1_exit_code_on_a_terminal() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (command, _log) = lab.prepare(form, "exit 7");
        assert_eq!(ended(Pty::start(command).finish().0), "exit 7", "{form:?}");
    }
}

/// TERM, INT, QUIT, KILL, SEGV, HUP, PIPE, ABRT, USR1, and a real-time signal.
#[test]
fn a2_death_by_signal() {
    let lab = ProbeLab::new();
    for signal in [15, 2, 3, 9, 11, 1, 13, 6, 10, 40] {
        for form in WRAPPED {
            let directory = lab.sandbox.directory(&format!("cores-{signal}-{form:?}"));
            let (mut command, log) = lab.prepare(form, &format!("die {signal}"));
            command.current_dir(&directory);
            unlimited_cores(&mut command);
            let status = Run::start(command, log).wait();
            assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{form:?}");
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "no core file of ours");
        }
    }
}

/// The probe forbids its own core dump; act-claude must do the same for itself.
fn unlimited_cores(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: setrlimit is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
            Ok(setrlimit(Resource::RLIMIT_CORE, hard, hard)?)
        });
    }
}

#[test]
fn a2_128_and_more_where_no_signal_kills() {
    let Some(unshare) = crate::support::program("unshare") else { return };
    let lab = ProbeLab::new();
    for signal in [15, 2, 13] {
        // With --fork act-claude is pid 1 of the namespace, which default actions do not kill.
        let args = ["--pid", "--fork", "--kill-child", "sh", "-c", "exec \"$CLAUDE\""];
        let (mut command, _log) = lab.prepare_through(&unshare, &args, Form::Relay, &format!("die {signal}"));
        let output = command.stderr(std::process::Stdio::piped()).output().expect("started");
        if output.err().contains("unshare failed") {
            return crate::support::skip("no pid namespace");
        }
        assert_eq!(output.code(), 128 + signal, "{}", output.err());
    }
}

/// The same status as from a shell, for every kind of file that is no command.
#[test]
fn a3_bad_command() {
    let Some(bash) = crate::support::program("bash") else { return };
    let lab = ProbeLab::new();
    let missing = lab.sandbox.directory("missing");
    let plain = lab.sandbox.write("plain/claude", "text");
    let directory = lab.sandbox.directory("directory/claude");
    let gone = lab.sandbox.script("gone/claude", "#!/no/such/interpreter\n");
    let no_shebang = lab.sandbox.script("old/claude", "exit 9\n");
    for place in [missing.join("claude"), plain, directory, gone, no_shebang] {
        let path = format!("{}:/usr/bin:/bin", place.parent().unwrap().display());
        let run = |word: &str| {
            let mut command = lab.sandbox.command(&bash);
            command.args(["-c", &format!("{word} --print")]).env("PATH", &path);
            command.output().expect("bash runs")
        };
        let (bare, ours) = (run("claude"), run(&crate::support::act_claude().display().to_string()));
        assert_eq!(ours.code(), bare.code(), "{}: {} {}", place.display(), bare.err(), ours.err());
        let lines = if bare.code() == 9 { 0 } else { 1 };
        let said = ours.err().lines().filter(|line| !line.contains("no telemetry")).count();
        assert_eq!(said, lines, "{}", ours.err());
    }
}
