//! The probe: a stand-in for claude, started bare or behind act-claude; its notes must be the same. The program itself
//! is tests/support/probe/main.rs, built as an example. Its script has one step a line:
//!
//! - `given`: notes its arguments, environment and so on; `ready`: notes its pid
//! - `catch SIG…`: handles these signals; `hear SIG`, `until FILE`: notes received signals until then
//! - `stop SIG`: stops itself and notes that it was continued; `signal-parent SIG`
//! - `exit N`, `die N`: ends with a status, by a signal
//! - `say TEXT`, `spew`, `read`: a line of output, endless lines, a line of input; `run COMMAND`: through sh;
//!   `nonblock FD`, `block FD`, `flood FD`
//! - `raw`, `noecho`, `touch-modes`: changes the terminal's modes; `modes`, `size`: notes them
//! - `post`: one export in claude's format

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::act::Act;
use super::eventually;
use super::sandbox::Sandbox;

/// Makes the probe `claude` on PATH, beside act-claude; its notes go into the sandbox's file `log`.
pub fn on_path(sandbox: &mut Sandbox) {
    let bin = sandbox.directory("bin");
    std::os::unix::fs::symlink(super::example("probe"), bin.join("claude")).expect("a link");
    std::os::unix::fs::symlink(super::act_claude(), bin.join("act-claude")).expect("a link");
    sandbox.path_first(&bin);
    sandbox.set("PROBE_LOG", sandbox.root().join("log"));
}

/// How the probe is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Without act-claude.
    Bare,
    /// Behind act-claude, with a relay.
    Relay,
    /// Behind act-claude, with the documented variables.
    Direct,
    /// Behind act-claude, without telemetry, but with a line of output.
    Line,
}

/// All forms with act-claude.
pub const WRAPPED: [Form; 3] = [Form::Relay, Form::Direct, Form::Line];

/// How act-claude comes to write a line before claude starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// Claude sends by itself, which is said before act-claude becomes claude.
    NoAct,
    /// Another claude runs (`other_claude`), which is said before claude is started as a child.
    Verify,
}

/// Both.
pub const EARLY: [Early; 2] = [Early::NoAct, Early::Verify];

/// A sandbox with the probe as `claude`, first on PATH, and a configuration for each form.
pub struct ProbeLab {
    pub sandbox: Sandbox,
    pub act: Act,
    pub claude: PathBuf,
    runs: AtomicUsize,
}

impl ProbeLab {
    pub fn new() -> Self {
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).expect("it")).expect("JSON");
        for (form, key, value) in [
            (Form::Relay, "delivery", json!("relay")),
            (Form::Direct, "delivery", json!("direct")),
            (Form::Line, "directories", json!({"~": null})),
        ] {
            let mut config = config.clone();
            config[key] = value;
            sandbox.write(&format!("{form:?}.json"), config.to_string());
        }
        let directory = sandbox.directory("bin");
        let claude = directory.join("claude");
        std::fs::hard_link(super::example("probe"), &claude)
            .or_else(|_| std::fs::copy(super::example("probe"), &claude).map(drop))
            .expect("the probe");
        sandbox.path_first(&directory);
        // Without this there would be no supervisor without a terminal.
        sandbox.set("ACT_CLAUDE_REPORT", "always");
        Self { sandbox, act, claude, runs: AtomicUsize::new(0) }
    }

    /// Prepares a run with a log of its own.
    pub fn prepare(&self, form: Form, script: &str) -> (Command, Log) {
        let mut command = self.program(form);
        let log = self.log();
        self.aim(&mut command, form, script, &log);
        (command, log)
    }

    /// Prepares a run through another program, which starts `act-claude` or `claude` itself (`$CLAUDE`).
    pub fn prepare_through(&self, program: &Path, args: &[&str], form: Form, script: &str) -> (Command, Log) {
        let mut command = self.sandbox.command(program);
        command.args(args);
        command.env("CLAUDE", self.program(form).get_program());
        let log = self.log();
        self.aim(&mut command, form, script, &log);
        (command, log)
    }

    /// Prepares a run in which act-claude writes a line before claude starts; [`Self::said`] returns it.
    pub fn prepare_early(&self, early: Early, script: &str) -> (Command, Log) {
        let (mut command, log) = self.prepare(Form::Relay, script);
        match early {
            Early::NoAct => {
                command.args(["--no-act", "-p", "hi"]);
                command.env("CLAUDE_CODE_ENABLE_TELEMETRY", "1").env("OTEL_METRICS_EXPORTER", "otlp");
            }
            Early::Verify => drop(command.args(["--verify", "-p", "hi"])),
        }
        command.stderr(std::fs::File::create(self.sandbox.root().join("said")).expect("a file"));
        (command, log)
    }

    /// What was said in the last run with a line before the start.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.sandbox.root().join("said")).expect("a file")
    }

    /// Another claude of this home.
    pub fn other_claude(&self) -> Run {
        let run = self.start(Form::Bare, "ready\nuntil /never");
        run.log.wait_ready();
        run
    }

    /// Starts a run.
    pub fn start(&self, form: Form, script: &str) -> Run {
        let (command, log) = self.prepare(form, script);
        Run::start(command, log)
    }

    fn program(&self, form: Form) -> Command {
        match form {
            Form::Bare => {
                let mut command = self.sandbox.command(&self.claude);
                command.arg0("claude");
                command
            }
            _ => self.sandbox.act_claude(&[]),
        }
    }

    fn log(&self) -> Log {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Log(self.sandbox.root().join(format!("log-{number}")))
    }

    fn aim(&self, command: &mut Command, form: Form, script: &str, log: &Log) {
        // The same variables for all forms, so that only act-claude's own differ.
        let config = if form == Form::Bare { Form::Relay } else { form };
        command.env("ACT_CLAUDE_CONFIG", self.sandbox.home().join(format!("{config:?}.json")));
        command.env("PROBE_SCRIPT", script).env("PROBE_LOG", &log.0);
        command.stderr(Stdio::null());
    }
}

/// The notes of a probe.
pub struct Log(pub PathBuf);

impl Log {
    pub fn notes(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the first note with this name, and returns it.
    pub fn wait_for(&self, name: &str) -> Value {
        eventually(&format!("the note {name:?} in {}", self.0.display()), || {
            self.notes().into_iter().find_map(|mut note| note.get_mut(name).map(Value::take))
        })
    }

    /// Waits until the probe is ready, and returns its pid.
    pub fn wait_ready(&self) -> Pid {
        Pid::from_raw(self.wait_for("ready").as_i64().expect("a pid") as i32)
    }

    /// The received signals in order, each with its sender.
    pub fn heard(&self) -> Vec<String> {
        self.notes()
            .iter()
            .filter_map(|note| Some(format!("{} from {}", note["signal"].as_str()?, note["from"].as_str()?)))
            .collect()
    }

    /// Waits until the probe has received this many signals.
    pub fn wait_heard(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} signals in {}", self.0.display()), || {
            let heard = self.heard();
            (heard.len() >= count).then_some(heard)
        })
    }
}

/// A running probe; killed on drop.
pub struct Run {
    pub child: Child,
    pub log: Log,
}

impl Run {
    pub fn start(mut command: Command, log: Log) -> Self {
        Self { child: command.spawn().expect("started"), log }
    }

    /// The process that the test started: act-claude, or the probe itself.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("sent");
    }

    pub fn wait(&mut self) -> ExitStatus {
        eventually("the end", || self.child.try_wait().expect("waitable"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// An exit status as text: `exit 7`, `signal 15`.
pub fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit {}", status.code().expect("a code")),
    }
}

/// A process's state (`S`, `T`, `Z`, …), session and parent.
pub fn state(pid: Pid) -> Option<(char, i32, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, fields.nth(1)?.parse().ok()?, parent))
}

/// Whether the process has ended, reaped by its parent or not.
pub fn is_gone(pid: Pid) -> bool {
    state(pid).is_none_or(|(state, ..)| state == 'Z' || state == 'X')
}
