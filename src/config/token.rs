//! Where tokens come from, and what keeps them from going elsewhere.
//!
//! A token is never `Debug`-printed, and its memory is overwritten when it is dropped (promise C5).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use zeroize::Zeroizing;

use crate::config::{TokenSource, USER_PREFIX};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::text::shell::shell_word;

/// A platform API token.
pub struct Token(Zeroizing<String>);

/// Why there is no token: what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenError {
    /// What is wrong, naming the source.
    pub what: String,
    /// A command or a concrete step.
    pub fix: String,
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.fix)
    }
}

/// How long a token command may take.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The longest token, in bytes. (Platform tokens have 36.)
const LONGEST: usize = 8 * 1024;

impl Token {
    /// Checks what a source gave: one line, no white space inside.
    fn new(text: &str, source: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let error = |what: &str, fix: &str| TokenError { what: format!("{source} {what}"), fix: fix.to_owned() };
        if text.is_empty() {
            return Err(error("gave no token", "it must give the API token and nothing else"));
        }
        if text.lines().count() > 1 {
            return Err(error("gave more than one line", "it must give the API token and nothing else"));
        }
        if text.len() > LONGEST || text.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(error("gave something that is no API token", "it must give the API token and nothing else"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether it is this one.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_str() == text
    }

    /// The value of the `Authorization` header: Basic, `BOOMI_TOKEN.<user>:<token>`, the prefix never doubled.
    pub fn authorization(&self, user: &str) -> Zeroizing<String> {
        let user = user.strip_prefix(USER_PREFIX).unwrap_or(user);
        let prefix = format!("{USER_PREFIX}{user}:");
        let secret = self.0.strip_prefix(&prefix).unwrap_or(&self.0);
        let plain = Zeroizing::new(format!("{prefix}{secret}"));
        let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()));
        Zeroizing::new(format!("Basic {}", *encoded))
    }
}

/// Fetches the token of `source`. A command gets `environment`, no terminal, no input, and 30 s.
pub fn fetch(source: &TokenSource, environment: &Environment) -> Result<Token, TokenError> {
    match source {
        TokenSource::Env(name) => match environment.get(name) {
            Some(value) => Token::new(value.to_str().unwrap_or("\u{0}"), &format!("the environment variable {name}")),
            None => Err(TokenError {
                what: format!("the environment variable {name}, which should hold the API token, is not set"),
                fix: format!("export {name}=…"),
            }),
        },
        TokenSource::File(path) => {
            let mut text = Zeroizing::new(String::new());
            let error = |error: std::io::Error| TokenError {
                what: format!("the token file {} cannot be read ({})", path.display(), plain(&error)),
                fix: "act-claude act setup".to_owned(),
            };
            open_private(path)?.take(LONGEST as u64 + 2).read_to_string(&mut text).map_err(error)?;
            Token::new(&text, &format!("the token file {}", path.display()))
        }
        TokenSource::Command(argv) => command(argv, environment, COMMAND_LIMIT),
    }
}

/// Looks, without reading a token or running a command, whether `source` can give one.
pub fn look(source: &TokenSource, environment: &Environment) -> Result<(), TokenError> {
    match source {
        TokenSource::Env(_) => fetch(source, environment).map(drop),
        TokenSource::File(path) => open_private(path).map(drop),
        TokenSource::Command(argv) => find_program(&argv[0], environment).map(drop),
    }
}

/// Opens a file that only the user can read: regular, own, 0600, in a directory that others can't write to
/// (promise C4).
fn open_private(path: &Path) -> Result<File, TokenError> {
    let shown = path.display();
    let word = shell_word(path);
    let refuse = |what: String, fix: String| TokenError { what: format!("the token file {shown} {what}"), fix };
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) => {
            return Err(match error.raw_os_error().map(nix::errno::Errno::from_raw) {
                Some(nix::errno::Errno::ELOOP) => {
                    refuse("is a symbolic link".to_owned(), "name the file itself in the configuration".to_owned())
                }
                Some(nix::errno::Errno::ENOENT) => {
                    refuse("does not exist".to_owned(), format!("write the API token to it, then: chmod 600 {word}"))
                }
                _ => refuse(format!("cannot be read ({})", plain(&error)), format!("chmod 600 {word}")),
            });
        }
    };
    let unreadable =
        |error: std::io::Error| refuse(format!("cannot be read ({})", plain(&error)), format!("chmod 600 {word}"));
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(refuse(
            "is not a regular file".to_owned(),
            format!("rm -r {word}, then write the API token to it"),
        ));
    }
    let user = nix::unistd::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(refuse(format!("belongs to user {}", metadata.uid()), format!("sudo chown {user} {word}")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse(
            format!("can be read by others (mode {:04o})", metadata.mode() & 0o7777),
            format!("chmod 600 {word}"),
        ));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let metadata = std::fs::metadata(directory).map_err(unreadable)?;
    let sticky = metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o022 != 0 && !sticky {
        return Err(refuse(
            format!("stands in a directory that others can write to (mode {:04o})", metadata.mode() & 0o7777),
            format!("chmod go-w {}", shell_word(directory)),
        ));
    }
    Ok(file)
}

fn find_program(program: &str, environment: &Environment) -> Result<std::path::PathBuf, TokenError> {
    which::which_in(program, environment.get("PATH"), "/").map_err(|_| TokenError {
        what: format!("the token command {program} is not found, or is not executable"),
        fix: "correct \"command\" in the configuration, or install it".to_owned(),
    })
}

/// Runs a token command: no shell, no terminal (a session of its own), no input (promise C7).
fn command(argv: &[String], environment: &Environment, limit: Duration) -> Result<Token, TokenError> {
    let program = find_program(&argv[0], environment)?;
    let shown = argv.join(" ");
    let fail = |what: String| TokenError {
        what: format!("the token command `{shown}` {what}"),
        fix: "run it in a terminal to see why".to_owned(),
    };
    let mut command = Command::new(program);
    command.args(&argv[1..]).env_clear().envs(environment.iter()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    in_own_session(&mut command);
    let mut child = command.spawn().map_err(|error| fail(format!("cannot be started ({})", plain(&error))))?;
    let deadline = Instant::now() + limit;
    let output = child.stdout.take().map(|stream| read_in_background(stream, LONGEST * 8));
    let errors = child.stderr.take().map(|stream| read_in_background(stream, LONGEST * 8));
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                // Its whole session: a prompt program may have started others.
                let _ = nix::sys::signal::killpg(
                    nix::unistd::Pid::from_raw(child.id() as i32),
                    nix::sys::signal::Signal::SIGKILL,
                );
                let _ = child.wait();
                return Err(fail(format!("took longer than {} s", limit.as_secs())));
            }
        }
    };
    let collect = |stream: Option<std::sync::mpsc::Receiver<Zeroizing<Vec<u8>>>>| {
        let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(1));
        stream.and_then(|stream| stream.recv_timeout(left).ok()).unwrap_or_default()
    };
    if !status.success() {
        let errors = collect(errors);
        let text = String::from_utf8_lossy(&errors);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
        let how = match status.code() {
            Some(code) => format!("failed with exit status {code}"),
            None => "was killed".to_owned(),
        };
        let said: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(fail(if said.is_empty() { how } else { format!("{how} ({said})") }));
    }
    let output = collect(output);
    let text = std::str::from_utf8(&output).map_err(|_| fail("gave something that is no API token".to_owned()))?;
    Token::new(text, &format!("the token command `{shown}`"))
}

#[allow(unsafe_code)]
fn in_own_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            Ok(())
        });
    }
}

/// Reads up to `limit` bytes and lets the rest go by, so that a chatty command does not hang.
fn read_in_background(
    mut stream: impl Read + Send + 'static,
    limit: usize,
) -> std::sync::mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Zeroizing::new(Vec::with_capacity(LONGEST));
        let mut buffer = Zeroizing::new([0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut buffer[..]) {
            let room = limit.saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..count.min(room)]);
        }
        let _ = sender.send(kept);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn run(argv: &[&str]) -> Result<String, String> {
        let argv: Vec<String> = argv.iter().map(|arg| arg.to_string()).collect();
        let environment: Environment = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        // Short only where it is to run out: a busy machine may need seconds to start a program.
        let limit = if argv.iter().any(|arg| arg == "sleep 60") { 1 } else { 60 };
        command(&argv, &environment, Duration::from_secs(limit))
            .map(|token| token.0.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn c7_tokens_from_commands() {
        assert_eq!(run(&["echo", "  abc "]).unwrap(), "abc");
        for (script, expected) in [
            ("sleep 60", "took longer than 1 s"),
            ("echo locked >&2; exit 3", "failed with exit status 3 (locked)"),
            ("true", "gave no token"),
            ("echo a; echo b", "gave more than one line"),
            ("yes | head -c 10000000 | tr -d '\\n'", "gave something that is no API token"),
            ("kill -9 $$", "was killed"),
            ("printf '\\377'", "gave something that is no API token"),
            // Neither a terminal nor input.
            ("cat; : </dev/tty && echo terminal", "failed with exit status"),
        ] {
            let error = run(&["sh", "-c", script]).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
        }
        assert!(run(&["no-such-program"]).unwrap_err().contains("is not found"));
        // Not through a shell.
        assert_eq!(run(&["echo", "$HOME"]).unwrap(), "$HOME");
    }

    /// That it compiles is the test.
    #[test]
    fn c5_a_token_is_overwritten_and_never_printed() {
        fn overwritten(_: &impl zeroize::ZeroizeOnDrop) {}
        overwritten(&Token::new("abc", "t").unwrap().0);
        overwritten(&Token::new("abc", "t").unwrap().authorization("u"));
        // Which of the two is meant could not be told, were there a `Debug`.
        trait Printed<How> {
            fn check() {}
        }
        impl<T: ?Sized> Printed<()> for T {}
        impl<T: ?Sized + fmt::Debug> Printed<u8> for T {}
        <Token as Printed<_>>::check();
    }

    #[test]
    fn c4_token_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let fetch = || {
            fetch(&TokenSource::File(path.clone()), &Environment::default())
                .map(|token| token.0.to_string())
                .map_err(|error| error.to_string())
        };
        assert!(fetch().unwrap_err().contains("does not exist"));
        std::fs::write(&path, "abc\n").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&path, 0o644);
        let error = fetch().unwrap_err();
        assert!(error.contains("can be read by others (mode 0644)") && error.contains("chmod 600"), "{error}");
        mode(&path, 0o600);
        assert_eq!(fetch().unwrap(), "abc");
        mode(directory.path(), 0o770);
        assert!(fetch().unwrap_err().contains("chmod go-w"));
        mode(directory.path(), 0o700);
        let real = directory.path().join("real");
        std::fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert!(fetch().unwrap_err().contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(fetch().unwrap_err().contains("not a regular file"));
    }

    #[test]
    fn the_prefix_is_never_doubled() {
        let decode = |token: &str, user: &str| {
            let header = Token::new(token, "t").unwrap().authorization(user).to_string();
            let bytes = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ").unwrap());
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        for (token, user) in [("t", "u@x"), ("t", "BOOMI_TOKEN.u@x"), ("BOOMI_TOKEN.u@x:t", "u@x")] {
            assert_eq!(decode(token, user), "BOOMI_TOKEN.u@x:t");
        }
    }
}
