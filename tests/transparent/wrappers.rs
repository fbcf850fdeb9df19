//! A21: a wrapper named claude, or a copy or link of act-claude, never hides the real claude; and every loop
//! ends.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, setrlimit};

use crate::support::probe::{Form, ProbeLab};
use crate::support::sandbox::Text;
use crate::support::{act_claude, skip};

const SYSTEM: &str = "/usr/bin:/bin";

/// The wrappers, as shell scripts. `$own` is the wrapper's own directory.
const WRAPPERS: [(&str, &str); 8] = [
    ("exec, its directory taken out of PATH", "PATH=$(without \"$own\"); exec claude \"$@\""),
    ("child, its directory taken out of PATH", "PATH=$(without \"$own\"); claude \"$@\"; exit $?"),
    ("exec of the next one, PATH as it was", "exec \"$(next \"$own\")\" \"$@\""),
    ("child of the next one, PATH as it was", "\"$(next \"$own\")\" \"$@\"; exit $?"),
    ("exec of the next one, with an argument more", "exec \"$(next \"$own\")\" --verbose \"$@\""),
    (
        "a child through another shell, PATH as it was",
        "sh -c '\"$@\"; exit $?' sh \"$(next \"$own\")\" \"$@\"; exit $?",
    ),
    ("act-claude by name", "exec act-claude \"$@\""),
    ("act-claude by name, as a child", "act-claude \"$@\"; exit $?"),
];

const FUNCTIONS: &str = r#"
without() { printf %s "$PATH" | tr : '\n' | grep -vxF "$1" | paste -sd:; }
next() { printf %s "$PATH" | tr : '\n' | grep -vxF "$1" | while read -r d; do [ -x "$d/claude" ] && echo "$d/claude" && break; done; }
own=$(dirname "$0")
"#;

/// The maximum number of runs of a wrapper: with another program in between it looks like nested sessions for a while.
const MOST: usize = 20;

struct Wrapped {
    lab: ProbeLab,
    shim: PathBuf,
    real: PathBuf,
    /// The directory with `act-claude` under its own name.
    own: PathBuf,
}

impl Wrapped {
    fn new() -> Self {
        let lab = ProbeLab::new();
        let [shim, own] = ["shim", "own"].map(|name| lab.sandbox.directory(name));
        symlink(act_claude(), shim.join("claude")).unwrap();
        symlink(act_claude(), own.join("act-claude")).unwrap();
        let real = lab.sandbox.directory("bin");
        Self { lab, shim, real, own }
    }

    fn wrapper(&self, name: &str, body: &str) -> PathBuf {
        let note = format!("echo x >>{}; [ $(wc -l <{0}) -lt 90 ] || exit 98\n", self.runs().display());
        let text = format!("#!/bin/sh\n{FUNCTIONS}{note}{body}\n");
        self.lab.sandbox.script(&format!("{name}/claude"), &text).parent().unwrap().to_path_buf()
    }

    fn runs(&self) -> PathBuf {
        self.lab.sandbox.root().join("runs")
    }

    /// Starts `claude` by PATH, or `act-claude`; returns the exit status, the arguments of the real claude, how often a
    /// wrapper ran, and standard error.
    fn run(&self, program: &str, path: &[&Path]) -> (i32, Vec<String>, usize, String) {
        let _ = std::fs::remove_file(self.runs());
        let path = [path, &[&self.own, Path::new("/usr/bin"), Path::new("/bin")]].concat();
        let path = std::env::join_paths(path).unwrap();
        let sh = PathBuf::from("/bin/sh");
        let line = format!("{program} -p x");
        let (mut command, log) = self.lab.prepare_through(&sh, &["-c", &line], Form::Relay, "given\nexit 21");
        let output = limited(command.env("PATH", path).stderr(Stdio::piped())).output().unwrap();
        let given =
            log.notes().iter().find_map(|note| note["given"]["arguments"].as_array().cloned()).unwrap_or_default();
        let given = given.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect();
        let runs = std::fs::read_to_string(self.runs()).unwrap_or_default().lines().count();
        (output.status.code().unwrap_or(-1), given, runs, output.err())
    }
}

/// A limit on CPU time protects the machine.
fn limited(command: &mut Command) -> &mut Command {
    // SAFETY: setrlimit is async-signal-safe.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, || Ok(setrlimit(Resource::RLIMIT_CPU, 60, 60)?)) }
}

#[test]
fn a21_a_wrapper_before_the_shim_ends_in_the_real_one() {
    let world = Wrapped::new();
    for (name, body) in WRAPPERS {
        let wrapper = world.wrapper("wrapper", body);
        for program in ["claude", "act-claude"] {
            for path in [&[&*wrapper, &*world.shim, &*world.real][..], &[&*world.shim, &*wrapper, &*world.real]] {
                let (code, given, runs, err) = world.run(program, path);
                assert_eq!(code, 21, "{name}, {program}: {err}");
                assert_eq!(given[given.len() - 2..], ["-p", "x"], "{name}, {program}");
                assert!((1..=MOST).contains(&runs), "{name}, {program}: ran {runs} times");
            }
            // With wrappers and shims only: an error, after a few runs.
            let (code, _, runs, err) = world.run(program, &[&wrapper, &world.shim]);
            assert!([126, 127].contains(&code), "{name}, {program}: {code}: {err}");
            assert!(runs <= MOST, "{name}, {program}: ran {runs} times");
        }
    }
}

#[test]
fn a21_wrappers_that_start_each_other() {
    let world = Wrapped::new();
    for (name, body) in &WRAPPERS[2..] {
        let [one, two] = ["one", "two"].map(|directory| world.wrapper(directory, body));
        for program in ["claude", "act-claude"] {
            // Without the shim between them, the first two would call each other without end.
            let (code, given, runs, err) = world.run(program, &[&one, &world.shim, &two, &world.real]);
            assert_eq!((code, given.len()), (21, given.len().max(3)), "{name}, {program}: {err}");
            assert!(runs <= 2 * MOST, "{name}, {program}: ran {runs} times");
        }
    }
}

#[test]
fn a21_shims_and_copies_in_any_number() {
    let world = Wrapped::new();
    let copy = world.lab.sandbox.directory("copy");
    std::fs::copy(act_claude(), copy.join("claude")).unwrap();
    let other = world.lab.sandbox.directory("other");
    symlink(copy.join("claude"), other.join("claude")).unwrap();
    let wrapper = world.wrapper("wrapper", WRAPPERS[2].1);
    for program in ["claude", "act-claude"] {
        let path = [&*world.shim, &copy, &other, &wrapper, &world.shim, &copy, &world.real];
        let (code, given, _, err) = world.run(program, &path);
        assert_eq!((code, given), (21, ["claude", "-p", "x"].map(str::to_owned).to_vec()), "{program}: {err}");
        let (code, _, _, err) = world.run(program, &[&world.shim, &copy, &other]);
        assert_eq!(code, 127, "{program}: {err}");
    }
}

/// A wrapper named by ACT_CLAUDE_BIN is run once; after that PATH is searched.
#[test]
fn a21_after_a_named_wrapper_path_is_searched() {
    let mut world = Wrapped::new();
    let wrapper = world.wrapper("wrapper", WRAPPERS[6].1);
    world.lab.sandbox.set("ACT_CLAUDE_BIN", wrapper.join("claude"));
    let (code, given, runs, err) = world.run("act-claude", &[&world.real]);
    assert_eq!((code, given.len(), runs), (21, 3, 1), "{err}");
    let (code, _, _, err) = world.run("act-claude", &[]);
    assert_eq!(code, 126, "{err}");
    assert!(err.contains("which would start it again: set ACT_CLAUDE_BIN=/path/to/claude"), "{err}");
}

/// `command` in a namespace without /proc. `None`: skipped.
fn without_proc(command: &Command) -> Option<Command> {
    let may = Command::new("unshare").args(["-m", "-p", "-f", "sh", "-c", "umount -l /proc"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        skip("no namespaces of one's own: run the tests as root");
        return None;
    }
    let mut wrapped = Command::new("unshare");
    // A shell is the first process, because the kernel does not kill that one.
    wrapped.args(["-m", "-p", "-f", "sh", "-c", "umount -l /proc; \"$@\"; exit $?", "sh"]);
    wrapped.arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    // SAFETY: setrlimit is async-signal-safe.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut wrapped, || Ok(setrlimit(Resource::RLIMIT_CPU, 60, 60)?));
    }
    Some(wrapped)
}

/// Wrappers that start act-claude, and nothing else on PATH: without /proc the number of launches ends the loop.
#[test]
fn a21_without_proc() {
    let world = Wrapped::new();
    let run = |path: &[&Path]| {
        let _ = std::fs::remove_file(world.runs());
        let path: OsString =
            std::env::join_paths([path, &[&world.own, Path::new("/usr/bin"), Path::new("/bin")]].concat()).unwrap();
        let sh = PathBuf::from("/bin/sh");
        let (mut command, _log) = world.lab.prepare_through(&sh, &["-c", "claude -p x"], Form::Line, "exit 21");
        let output = without_proc(command.env("PATH", path))?.output().unwrap();
        let runs = std::fs::read_to_string(world.runs()).unwrap_or_default().lines().count();
        Some((output.code(), runs, output.err()))
    };
    let Some((code, _, err)) = run(&[&world.shim, &world.real]) else { return };
    assert_eq!(code, 21, "the shim first: {err}");
    let copy = world.lab.sandbox.directory("copy");
    std::fs::copy(act_claude(), copy.join("claude")).unwrap();
    assert_eq!(run(&[&copy, &world.shim, &world.real]).unwrap().0, 21, "a copy, and the shim");
    assert_eq!(run(&[&copy, &world.shim]).unwrap().0, 127, "nothing else");
    // It may be executed but not read: it is identified by device and inode only.
    let unread = world.lab.sandbox.directory("unread");
    std::fs::copy(act_claude(), unread.join("claude")).unwrap();
    std::fs::set_permissions(unread.join("claude"), std::fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(run(&[&unread, &world.real]).unwrap().0, 21, "unreadable");
    for (name, body) in WRAPPERS {
        let wrapper = world.wrapper("wrapper", body);
        let (code, runs, err) = run(&[&wrapper, &world.shim, &world.real]).unwrap();
        assert_eq!(code, 21, "{name}: {err}");
        assert!(runs <= 40, "{name}: ran {runs} times");
        let (code, runs, err) = run(&[&wrapper, &world.shim]).unwrap();
        assert!([126, 127].contains(&code), "{name}: {code}: {err}");
        assert!(runs <= 80, "{name}: ran {runs} times");
    }
}

/// Nested sessions are not counted: a high count from earlier generations does not stop a session.
#[test]
fn a21_nested_sessions_have_no_limit() {
    let world = Wrapped::new();
    // A count from a generation that started long ago: it would stop a loop, but it was not reached within a minute.
    let mut command = world.lab.sandbox.act_claude(&["-p", "x"]);
    command.env("PATH", format!("{}:{}:{SYSTEM}", world.shim.display(), world.real.display()));
    command.env("PROBE_SCRIPT", "exit 21").env("ACT_CLAUDE_CHAIN", "99 1000 child.1 1.1");
    assert_eq!(command.output().unwrap().code(), 21);
}

/// A program of a native claude's size is claude: it is never skipped, and does not get the chain variable.
#[test]
fn a21_claude_itself_gets_no_chain() {
    let lab = ProbeLab::new();
    let directory = lab.sandbox.directory("native");
    let claude = directory.join("claude");
    std::fs::copy(crate::support::example("probe"), &claude).unwrap();
    std::fs::File::options().append(true).open(&claude).unwrap().set_len(200 << 20).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let file = std::fs::metadata(&claude).unwrap();
    let file = format!("{}.{}", std::os::unix::fs::MetadataExt::dev(&file), std::os::unix::fs::MetadataExt::ino(&file));
    let chain = format!("40 {now} child.{} {file} {file}", std::process::id());
    for form in [Form::Relay, Form::Direct, Form::Line] {
        let (mut command, log) = lab.prepare(form, "given\nexit 21");
        command.env("PATH", format!("{}:{SYSTEM}", directory.display())).env("ACT_CLAUDE_CHAIN", &chain);
        assert_eq!(command.output().unwrap().code(), 21, "{form:?}");
        let given = log.wait_for("given")["environment"].to_string();
        assert!(!given.contains("ACT_CLAUDE_CHAIN"), "{given}");
    }
    // The same chain with a smaller program: it is treated as a wrapper that led here.
    let (mut command, _log) = lab.prepare(Form::Relay, "exit 21");
    let small = std::fs::metadata(&lab.claude).unwrap();
    let small =
        format!("{}.{}", std::os::unix::fs::MetadataExt::dev(&small), std::os::unix::fs::MetadataExt::ino(&small));
    command.env("ACT_CLAUDE_CHAIN", chain.replace(&file, &small)).stderr(Stdio::piped());
    assert_eq!(command.output().unwrap().code(), 126);
}
