//! The places of a settings file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use crate::support::sandbox::Sandbox;
use crate::support::system;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    User,
    Project,
    Local,
    File,
    Inline,
    Managed,
    DropIn,
}

pub const LAYERS: [Layer; 7] =
    [Layer::User, Layer::Project, Layer::Local, Layer::File, Layer::Inline, Layer::Managed, Layer::DropIn];

/// A settings file in its place; the other places are empty.
pub struct Placed {
    /// Arguments that name it.
    pub arguments: Vec<OsString>,
    etc: Option<(&'static str, Vec<u8>)>,
    /// Its name in act-claude's messages.
    pub name: String,
}

impl Layer {
    pub fn heading(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
            Self::File => "`--settings` file",
            Self::Inline => "`--settings` inline",
            Self::Managed => "managed",
            Self::DropIn => "managed drop-in",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::User => ".claude/settings.json",
            Self::Project => "project/.claude/settings.json",
            Self::Local => "project/.claude/settings.local.json",
            Self::File => "given.json",
            Self::Inline => "",
            Self::Managed => "/etc/claude-code/managed-settings.json",
            Self::DropIn => "/etc/claude-code/managed-settings.d/10-telemetry.json",
        }
    }

    /// Writes the file; `None` if this is not possible: an argument can contain no NUL and has a maximum length.
    pub fn place(self, content: Vec<u8>, sandbox: &Sandbox) -> Option<Placed> {
        for other in [Self::User, Self::Project, Self::Local, Self::File] {
            let _ = std::fs::remove_file(sandbox.home().join(other.path()));
        }
        let mut placed = Placed { arguments: Vec::new(), etc: None, name: self.path().to_owned() };
        match self {
            Self::User | Self::Project | Self::Local => drop(sandbox.write(self.path(), content)),
            Self::File => {
                let path = sandbox.write(self.path(), content);
                placed.arguments = vec!["--settings".into(), path.into()];
                placed.name = "--settings".to_owned();
            }
            Self::Inline => {
                if content.contains(&0) || content.len() > 100_000 {
                    return None;
                }
                placed.arguments = vec!["--settings".into(), OsString::from_vec(content)];
                placed.name = "--settings".to_owned();
            }
            Self::Managed | Self::DropIn => placed.etc = Some((self.path(), content)),
        }
        Some(placed)
    }
}

impl Placed {
    /// `command` in an environment in which the file is visible.
    pub fn seen_by(&self, command: Command, sandbox: &Sandbox) -> Command {
        match &self.etc {
            Some((path, content)) => {
                system::with_files(sandbox, &[(*path, content)], &command).expect("a mount namespace: run as root")
            }
            None => command,
        }
    }

    /// Whether `text` names the file.
    pub fn is_named_in(&self, text: &str) -> bool {
        text.contains(&self.name) || (self.name == "--settings" && text.contains("given.json"))
    }
}
