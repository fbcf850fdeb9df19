//! Reads an account's `token`. No fault repeats what is written there: the token itself may stand in the wrong place.

use std::path::Path;

use crate::config::typed::credential::is_credential;
use crate::config::values::TokenSource;
use crate::text::json::{Fault, Node};
use crate::text::nearest::nearest;

use super::{absolute, unknown_key};

const KEYS: [&str; 3] = ["command", "file", "env"];
const ONE_OF: &str = "token must be one of {\"command\": […]}, {\"file\": \"…\"}, {\"env\": \"…\"}";
const NOT_HERE: &str = "the token itself does not belong into this file: act-claude act setup --account NAME stores it";

/// Reads the source of a token.
pub fn read(node: Node<'_>, home: Option<&Path>) -> Result<TokenSource, Fault> {
    let members = node.members("token").map_err(|_| node.fault(ONE_OF).fix(NOT_HERE))?;
    let [member] = &members[..] else { return Err(node.fault(ONE_OF)) };
    let value = member.value;
    let text = |what: &str| {
        let text = value.string(what).map_err(|_| value.fault(format!("{what} must be a text")))?;
        if is_credential(&text) { Err(value.fault(format!("{what} holds a token")).fix(NOT_HERE)) } else { Ok(text) }
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
                return Err(value.fault("command holds a token instead of a program").fix(NOT_HERE));
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
            Ok(TokenSource::Env(name))
        }
        key if nearest(key, KEYS).is_some() => Err(unknown_key(member, &KEYS)),
        _ => Err(member.key_node.fault(ONE_OF).fix(NOT_HERE)),
    }
}
