//! Reads where a secret comes from: an account's `token`, or the value of a copy's header. No fault repeats what is written there:
//! the secret itself may stand in the wrong place.

use std::path::Path;

use crate::config::typed::credential::is_credential;
use crate::config::typed::secret::{quoted, value};
use crate::config::values::TokenSource;
use crate::text::json::{Fault, Node};
use crate::text::nearest::nearest;

use super::{absolute, unknown_key};

const KEYS: [&str; 3] = ["command", "file", "env"];
/// Variables that claude and its tools need. Those that hold secrets are kept from claude.
const NEEDED: [&str; 10] = ["HOME", "PATH", "USER", "LOGNAME", "SHELL", "PWD", "TERM", "TMPDIR", "LANG", "HOSTNAME"];
/// How the names of claude's own variables begin.
const OF_CLAUDE: [&str; 4] = ["CLAUDE", "ANTHROPIC_", "OTEL_", "ACT_CLAUDE"];

/// What comes from the source.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// An account's token.
    Token,
    /// The header of a copy.
    Header(&'a str),
}

impl Subject<'_> {
    fn one_of(self, node: Node<'_>) -> Fault {
        let whose = match self {
            Self::Token => "token".to_owned(),
            Self::Header(name) => format!("header {}", quoted(name)),
        };
        node.fault(format!("{whose} must be one of {{\"command\": […]}}, {{\"file\": \"…\"}}, {{\"env\": \"…\"}}"))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Token => "a token",
            Self::Header(_) => "a header's value",
        }
    }

    /// What to do where the secret itself is written.
    fn not_here(self) -> &'static str {
        match self {
            Self::Token => {
                "the token itself does not belong into this file: act-claude act setup --account NAME stores it"
            }
            Self::Header(_) => {
                "the value itself does not belong into this file: keep it in a file of mode 600, a command's output or a variable"
            }
        }
    }
}

/// Reads the source of a secret.
pub fn read(node: Node<'_>, home: Option<&Path>, subject: Subject<'_>) -> Result<TokenSource, Fault> {
    let members = node.members("").map_err(|_| subject.one_of(node).fix(subject.not_here()))?;
    let [member] = &members[..] else { return Err(subject.one_of(node)) };
    let value = member.value;
    let text = |what: &str| {
        let text = value.string(what).map_err(|_| value.fault(format!("{what} must be a text")))?;
        match is_credential(&text) {
            true => Err(value.fault(format!("{what} holds {}", subject.word())).fix(subject.not_here())),
            false => Ok(text),
        }
    };
    match member.key.as_ref() {
        "command" => {
            let argv = value.strings("command").map_err(|_| value.fault("command must be a list of texts"))?;
            if argv.first().is_none_or(String::is_empty) {
                return Err(value.fault("command is empty"));
            }
            if argv.iter().any(|arg| arg.contains('\0')) {
                return Err(value.fault("command holds a NUL character"));
            }
            if is_credential(&argv[0]) {
                let what = format!("command holds {} instead of a program", subject.word());
                return Err(value.fault(what).fix(subject.not_here()));
            }
            Ok(TokenSource::Command(argv))
        }
        "file" => {
            let text = text("file")?;
            let is_path = text.starts_with(['/', '~']) || text.starts_with("file:");
            if !is_path {
                return Err(value.fault("file is not an absolute path").fix("start it with / or ~/"));
            }
            Ok(TokenSource::File(absolute(value, &text, home)?))
        }
        "env" => {
            let name = text("env")?;
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(value.fault("env is not the name of an environment variable"));
            }
            if let Subject::Header(_) = subject {
                check_variable(value, &name)?;
            }
            Ok(TokenSource::Env(name))
        }
        key if nearest(key, KEYS).is_some() => Err(unknown_key(member, &KEYS)),
        _ => Err(subject.one_of(member.key_node).fix(subject.not_here())),
    }
}

/// Checks the variable of a header. A header can hold what is no secret, such as a tenant's name: somebody may name a variable
/// that claude needs.
fn check_variable(node: Node<'_>, name: &str) -> Result<(), Fault> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(is_inner) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(node.fault("env is not the name of an environment variable"));
    }
    if NEEDED.contains(&name) || OF_CLAUDE.iter().any(|start| name.starts_with(start)) {
        let what = format!("claude itself needs {}, and the variable of a header is kept from claude", value(name));
        let fault = node.fault(what);
        return Err(fault.fix("name another variable"));
    }
    Ok(())
}
