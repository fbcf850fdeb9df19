//! Stores tokens in the operating system's keychain, with the keychain's own command-line tool. The tool gets the token on
//! standard input, never as an argument. act-claude later reads the token back with a token command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{TokenSource, token};
use crate::system::child::{self, Bounds, ChildError, Kept};
use crate::system::descriptors::no_input_or_output;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::text::shell::shell_word;

/// A keychain's tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keychain {
    kind: Service,
    program: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// macOS
    Security,
    /// The Secret Service (GNOME Keyring, KWallet, KeePassXC)
    SecretTool,
}

/// The first part of the service name of all entries.
const SERVICE: &str = "act-claude";

/// How long a keychain may take (it may have to ask its owner for a password), and how much of what it says is read.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(120), bytes: 4096 };

/// `security` reads lines of this many bytes, the one that ends them included.
const LONGEST_FOR_SECURITY: usize = 4095;

impl Keychain {
    /// The keychain of this machine, where its tool is installed.
    pub fn find(environment: &Environment) -> Option<Self> {
        let kinds = if cfg!(target_os = "macos") {
            [Service::Security, Service::SecretTool]
        } else {
            [Service::SecretTool, Service::Security]
        };
        kinds.into_iter().find_map(|kind| {
            let program = which::which_in(kind.program(), environment.get("PATH"), "/").ok()?;
            Some(Self { kind, program })
        })
    }

    /// Whether the keychain can be reached. The Secret Service needs a D-Bus session bus.
    pub fn is_reachable(&self, environment: &Environment) -> bool {
        let socket = || environment.path("XDG_RUNTIME_DIR").map(|directory| directory.join("bus"));
        self.kind == Service::Security
            || environment.text("DBUS_SESSION_BUS_ADDRESS").is_some()
            || socket().is_some_and(|socket| socket.exists())
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Service::Security => "the macOS keychain",
            Service::SecretTool => "the keychain (Secret Service)",
        }
    }

    /// The token command that reads the token of an account and user.
    pub fn lookup(&self, account: &str, user: &str) -> Vec<String> {
        let service = format!("{SERVICE}.{account}");
        let words = match self.kind {
            Service::Security => ["security", "find-generic-password", "-s", &service, "-a", user, "-w"],
            Service::SecretTool => ["secret-tool", "lookup", "service", &service, "username", user, ""],
        };
        words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Whether a token command reads an entry that act-claude stores for this account, whoever the user is: the account's user may
    /// have been corrected since.
    pub fn owns(&self, command: &[String], account: &str) -> bool {
        command.iter().any(|user| command == self.lookup(account, user))
    }

    /// Stores a token, and reads it back to verify it.
    pub fn store(&self, account: &str, user: &str, token: &str, environment: &Environment) -> Result<(), String> {
        let service = format!("{SERVICE}.{account}");
        let label = format!("act-claude: {account} ({user})");
        match self.kind {
            Service::SecretTool => {
                let args = ["store", "--label", &label, "service", &service, "username", user];
                self.run(&args, token.as_bytes(), environment)?;
            }
            Service::Security => {
                let line = line_for_security(&service, user, &label, token)?;
                self.run(&["-i"], line.as_bytes(), environment)?;
            }
        }
        // `security -i` exits with 0 even if its commands failed, so the token is read back.
        match token::fetch(&TokenSource::Command(self.lookup(account, user)), environment) {
            Ok(kept) if kept.is(token) => Ok(()),
            Ok(_) => Err(format!("{} returns a different value", self.name())),
            Err(error) => Err(error.what),
        }
    }

    fn run(&self, args: &[&str], input: &[u8], environment: &Environment) -> Result<(), String> {
        let program = self.kind.program();
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().envs(environment.iter()).stdout(no_input_or_output());
        let finished = child::run(&mut command, input, Kept::Errors, BOUNDS).map_err(|error| match error {
            ChildError::Start(error) | ChildError::Watch(error) => {
                format!("`{program}` can't be run ({})", plain(&error))
            }
            ChildError::Late => format!("`{program}` took longer than {} s", BOUNDS.time.as_secs()),
        })?;
        let status = finished.status;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&finished.bytes);
        let said: String = said.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        Err(format!("`{program}` failed ({})", if said.is_empty() { status.to_string() } else { said }))
    }
}

impl Service {
    fn program(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::SecretTool => "secret-tool",
        }
    }
}

/// The command that deletes act-claude's entry from a keychain, given the command that reads it.
pub fn forget(argv: &[String]) -> Option<String> {
    let program = Path::new(argv.first()?).file_name()?.to_str()?;
    let ours = argv.iter().any(|word| word.starts_with("act-claude"));
    let rest: Vec<String> = match (program, argv.get(1)?.as_str()) {
        ("secret-tool", "lookup") => ["clear".to_owned()].into_iter().chain(argv[2..].iter().cloned()).collect(),
        ("security", "find-generic-password") => ["delete-generic-password".to_owned()]
            .into_iter()
            .chain(argv[2..].iter().filter(|word| *word != "-w").cloned())
            .collect(),
        _ => return None,
    };
    let words = std::iter::once(program.to_owned()).chain(rest).map(|word| shell_word(Path::new(&word)));
    ours.then(|| words.collect::<Vec<_>>().join(" "))
}

/// The line by which `security -i` stores a token, which is written in hexadecimal.
fn line_for_security(service: &str, user: &str, label: &str, token: &str) -> Result<Zeroizing<String>, String> {
    if [service, user].iter().any(|word| word.contains(char::is_control)) {
        return Err(format!("`security` can't take the service {service:?} or the user {user:?}"));
    }
    let words = [("-s", service), ("-a", user), ("-l", label)].map(|(flag, word)| format!("{flag} {}", quoted(word)));
    let start = format!("add-generic-password -U {} -X ", words.join(" "));
    if start.len() + 2 * token.len() + 1 > LONGEST_FOR_SECURITY {
        return Err("the token, or a name, is too long for `security`".to_owned());
    }
    // All at once, so that no copy is left where it grew.
    let mut line = Zeroizing::new(String::with_capacity(LONGEST_FOR_SECURITY));
    line.push_str(&start);
    for byte in token.bytes() {
        [byte >> 4, byte & 15]
            .into_iter()
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .for_each(|it| line.push(it));
    }
    line.push('\n');
    Ok(line)
}

/// A word as `security -i` reads it: between double quotes, where a backslash makes the next character an ordinary one.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', r#"\""#))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line, by the rules of `security -i`.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = line.chars().peekable();
        loop {
            while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
            let Some(first) = rest.next() else { return words };
            let quote = ['"', '\''].contains(&first).then_some(first);
            let mut word = if quote.is_some() { String::new() } else { first.to_string() };
            while let Some(c) = rest.next() {
                match c {
                    '\\' => word.extend(rest.next()),
                    _ if quote == Some(c) || (quote.is_none() && c.is_ascii_whitespace()) => break,
                    _ => word.push(c),
                }
            }
            words.push(word);
        }
    }

    #[test]
    fn security_gets_every_name_as_it_is() {
        for (service, user) in [
            ("act-claude.acme", "you@example.com"),
            ("act-claude.two words", "Ada Lovelace"),
            (r#"act-claude."it's""#, r"a\b\"),
            ("act-claude.é", " "),
            ("act-claude.", ""),
        ] {
            let label = format!("act-claude: {service} ({user})");
            let line = line_for_security(service, user, &label, "tok é").unwrap();
            let expected =
                ["add-generic-password", "-U", "-s", service, "-a", user, "-l", &label, "-X", "746f6b20c3a9"];
            assert_eq!(words(&line), expected, "{line:?}");
            assert!(line.ends_with('\n') && line.lines().count() == 1);
        }
    }

    #[test]
    fn what_would_be_another_line_is_refused() {
        for (service, user) in [("a\nb", "u"), ("a", "u\ndelete-keychain"), ("a\0", "u")] {
            assert!(line_for_security(service, user, "l", "t").is_err(), "{service:?} {user:?}");
        }
        let longest = |length: usize| line_for_security("s", "u", "l", &"t".repeat(length));
        let room = LONGEST_FOR_SECURITY - longest(0).unwrap().len();
        assert_eq!(longest(room / 2).unwrap().len(), LONGEST_FOR_SECURITY - room % 2);
        assert!(longest(room / 2 + 1).is_err() && line_for_security(&"s".repeat(4096), "u", "l", "t").is_err());
    }

    #[test]
    fn a_keychain_entry_of_ours_can_be_forgotten() {
        for (argv, command) in [
            (
                "secret-tool lookup service act-claude:acme username a@b.c",
                Some("secret-tool clear service act-claude:acme username a@b.c"),
            ),
            (
                "/usr/bin/security find-generic-password -s act-claude:acme -a a@b.c -w",
                Some("security delete-generic-password -s act-claude:acme -a a@b.c"),
            ),
            ("secret-tool lookup service other username a", None),
            ("op read op://dev/act-claude/token", None),
            ("op", None),
        ] {
            let argv: Vec<String> = argv.split(' ').map(str::to_owned).collect();
            assert_eq!(forget(&argv).as_deref(), command);
        }
    }
}
