//! Changes to the user's configuration that leave the rest of it as it was written.
//!
//! A change is a splice into the text ([`text`]), laid out like its surroundings ([`layout`]). The configuration's own reader
//! checks the result before it replaces the file ([`mod@file`]). Nobody has to use this: users can equally well edit their file
//! by hand.

pub mod file;
mod layout;
pub mod text;

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, USAGE};
use crate::system::file::is_own;
use crate::system::owner::{access_fix, other_owner, own_fix};
use crate::text::json::Fault;
use crate::text::paths;
use crate::text::shell::shell_word;

pub use text::Change;

/// The result of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The user's configuration file.
    pub path: PathBuf,
    /// Whether anything was changed.
    pub changed: bool,
    /// The file that keeps the text before the change; `None` for a new file.
    pub backup: Option<PathBuf>,
}

impl Edited {
    /// The result as JSON, for programs.
    pub fn json(&self) -> Value {
        serde_json::json!({
            "file": paths::to_text(&self.path), "changed": self.changed, "backup": self.backup.as_deref().map(paths::to_text),
        })
    }
}

/// The reason why nothing was changed.
#[derive(Debug)]
pub enum Refused {
    /// The file has faults.
    Faults(Vec<Fault>),
    /// It would have them after the change, so the change itself is wrong. Their places are in a text that is not written.
    Change(Vec<Fault>),
    /// It can't be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// Why it can't.
        why: String,
    },
    /// Neither HOME nor another variable says where the file is.
    Nowhere,
}

impl Refused {
    /// The exit status: 64 where the requested change is wrong, 78 where the file is, or can't be written.
    pub fn code(&self) -> u8 {
        match self {
            Self::Change(_) => USAGE,
            Self::Faults(_) | Self::File { .. } | Self::Nowhere => CONFIGURATION,
        }
    }

    /// The system refuses. Where it is a matter of permissions, the reason ends with the command that gives them.
    fn file(path: &Path, error: &std::io::Error) -> Self {
        let mut why = plain(error);
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            // The whole directory: the backup and the token files are in it as well.
            let directory = path.parent().filter(|parent| parent.is_dir()).unwrap_or(path);
            let file = if std::fs::metadata(path).is_ok_and(|metadata| !is_own(&metadata)) { path } else { directory };
            why.push_str(&format!(": {}", access_fix(file, "-R u+rwX", shell_word)));
        }
        Self::File { path: path.to_path_buf(), why }
    }

    /// The reason alone, for a message that says itself what was changed.
    pub fn reason(&self) -> String {
        match self {
            Self::Faults(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Self::Change(faults) => {
                let words = faults.iter().map(|fault| match fault.fix.as_str() {
                    "" => fault.what.clone(),
                    fix => format!("{}: {fix}", fault.what),
                });
                words.collect::<Vec<_>>().join("; ")
            }
            Self::File { path, why } => format!("{}: {why}", path.display()),
            Self::Nowhere => {
                "HOME is not set, so there is no configuration file: export HOME=/path/to/your/home".to_owned()
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "nothing was changed: {}", self.reason())
    }
}

/// The user's configuration file. One that belongs to another user is not changed: a new file in its place would be this
/// process's user's.
fn own_file(environment: &Environment) -> Result<PathBuf, Refused> {
    let path = config::user_file(environment).ok_or(Refused::Nowhere)?;
    let sudo_user = environment.text("SUDO_UID").and_then(|user| user.parse().ok());
    match other_owner(&path, sudo_user) {
        None => Ok(path),
        Some((at, owner)) => {
            let whose = if at == path { "it" } else { "its directory" };
            let why = format!("{whose} belongs to user {owner}: {}", own_fix(owner, at, &shell_word(at)));
            Err(Refused::File { why, path })
        }
    }
}

/// Makes `changes` to the user's configuration, all or none.
pub fn commit(environment: &Environment, changes: &[Change]) -> Result<Edited, Refused> {
    let path = own_file(environment)?;
    let refuse = |error: std::io::Error| Refused::file(&path, &error);
    let _lock = file::lock(&path).map_err(refuse)?;
    let before = read(&path).map_err(refuse)?;
    let after = checked(environment, &path, before.as_deref().unwrap_or_default(), changes)?;
    if before.as_deref() == Some(after.as_str()) {
        return Ok(Edited { path, changed: false, backup: None });
    }
    let backup = before.as_ref().map(|_| file::backup(&path));
    if let (Some(backup), Some(before)) = (&backup, &before) {
        file::replace(backup, before.as_bytes(), 0o600).map_err(|error| Refused::file(backup, &error))?;
    }
    file::replace(&path, after.as_bytes(), 0o600).map_err(refuse)?;
    Ok(Edited { path, changed: true, backup })
}

/// The text that `changes` would make, without writing it.
pub fn preview(environment: &Environment, changes: &[Change]) -> Result<String, Refused> {
    let path = own_file(environment)?;
    let before = read(&path).map_err(|error| Refused::file(&path, &error))?;
    checked(environment, &path, &before.unwrap_or_default(), changes)
}

/// The changed text, accepted by the reader. Faults that the file has already are reported with their place: with them, a change
/// might not have the intended effect.
fn checked(environment: &Environment, path: &Path, before: &str, changes: &[Change]) -> Result<String, Refused> {
    let after = text::apply(path, before, changes).map_err(|fault| Refused::Faults(vec![fault]))?;
    let faults = config::faults_of(environment, path, &after);
    if faults.is_empty() {
        return Ok(after);
    }
    let old = if before.trim().is_empty() { Vec::new() } else { config::faults_of(environment, path, before) };
    Err(if old.is_empty() { Refused::Change(faults) } else { Refused::Faults(old) })
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match config::content(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A directory as a key of `directories`, or a file as a value: with `~` where it is under the home directory, and as a URL where
/// it is not UTF-8.
pub fn directory_key(directory: &Path, environment: &Environment) -> String {
    let home = environment.home().filter(|home| home.as_os_str().as_bytes() != b"/");
    match home.and_then(|home| Some(directory.strip_prefix(home).ok()?.to_path_buf())) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) if rest.to_str().is_some() => format!("~/{}", rest.display()),
        _ => paths::to_text(directory).into_owned(),
    }
}

/// An object of text values, in order.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests;
