//! The process environment as a value: captured once, read by pure functions, passed to `execve`.
//!
//! It keeps the order, repeated names, and entries without a `=`. A map would lose these, and a program that is started without
//! act-claude sees them (promise A20).

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An environment: entries `NAME=value`, in order, as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    entries: Vec<Vec<u8>>,
    doubt: Doubt,
}

/// The parts of an environment that are not reliable. Inside a claude, settings may have set them; see `claude::enclosing`. Not
/// passed on to other programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubt {
    /// The reason why nothing may be sent or changed.
    pub everything: Option<String>,
    /// Whether a repository may have set `ACT_CLAUDE_ALIAS`, so that it may choose only what a repository may choose.
    pub alias: bool,
    /// Whether its variables say where the user sends metrics.
    pub pipeline: PipelineDoubt,
}

/// What the variables of a metrics pipeline are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipelineDoubt {
    /// They are the user's.
    #[default]
    None,
    /// Claude has removed them, as it does for the programs that it starts: a claude here sends nothing because of them.
    Removed,
    /// A repository may have set them, so nothing is copied because of them.
    Changed,
}

impl Environment {
    /// An environment of the given raw entries.
    pub fn from_entries(entries: Vec<Vec<u8>>) -> Self {
        Self { entries, doubt: Doubt::default() }
    }

    /// The parts of it that are not reliable.
    pub fn doubt(&self) -> &Doubt {
        &self.doubt
    }

    /// The same environment with these doubts.
    pub fn doubted(self, doubt: Doubt) -> Self {
        Self { doubt, ..self }
    }

    /// This process's environment, as `execve` handed it over.
    pub fn capture() -> Self {
        Self::from_entries(crate::system::inherited::environment_entries())
    }

    /// The first value of `name`, as `getenv` would find it.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let at = self.position(name)?;
        Some(OsStr::from_bytes(&self.entries[at][name.len() + 1..]))
    }

    /// The value of `name` where it is set, not empty, and UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// The value of `name` as a path, where it is set and not empty. A path is bytes.
    pub fn path(&self, name: &str) -> Option<&Path> {
        self.get(name).filter(|value| !value.is_empty()).map(Path::new)
    }

    /// Sets `name`, in place where it was set before. Later repetitions are dropped, so that every reader
    /// of the result sees the same value.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let mut entry = Vec::with_capacity(name.len() + 1 + value.as_ref().len());
        entry.extend_from_slice(name.as_bytes());
        entry.push(b'=');
        entry.extend_from_slice(value.as_ref().as_bytes());
        match self.position(name) {
            Some(at) => {
                self.entries[at] = entry;
                let mut index = 0;
                self.entries.retain(|entry| {
                    index += 1;
                    index - 1 <= at || !is_entry_of(entry, name)
                });
            }
            None => self.entries.push(entry),
        }
    }

    /// Removes every entry of `name`.
    pub fn remove(&mut self, name: &str) {
        self.entries.retain(|entry| !is_entry_of(entry, name));
    }

    /// Sets or removes `name`.
    pub fn put(&mut self, name: &str, value: Option<&OsStr>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Names and values, in order; entries without `=` are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.entries.iter().filter_map(|entry| {
            let equals = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
            Some((OsStr::from_bytes(&entry[..equals]), OsStr::from_bytes(&entry[equals + 1..])))
        })
    }

    /// The entries as `execve` takes them.
    pub fn to_c_strings(&self) -> Vec<CString> {
        self.entries.iter().filter_map(|entry| CString::new(entry.clone()).ok()).collect()
    }

    /// The user's home directory: `HOME`, where it is an absolute path. The user database is not asked, because claude itself
    /// would not find files there.
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").filter(|home| Path::new(home).is_absolute()).map(PathBuf::from)
    }

    /// An XDG base directory: the variable where it holds an absolute path, else `fallback` under the home.
    pub fn xdg(&self, variable: &str, fallback: &str) -> Option<PathBuf> {
        self.get(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.home()?.join(fallback)))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| is_entry_of(entry, name))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::from_entries(
            pairs
                .into_iter()
                .map(|(name, value)| {
                    let mut entry = name.into().into_vec();
                    entry.push(b'=');
                    entry.extend(value.into().into_vec());
                    entry
                })
                .collect(),
        )
    }
}

fn is_entry_of(entry: &[u8], name: &str) -> bool {
    entry.len() > name.len() && entry[name.len()] == b'=' && entry.starts_with(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(environment: &Environment) -> Vec<&str> {
        environment.entries.iter().map(|entry| std::str::from_utf8(entry).expect("text")).collect()
    }

    #[test]
    fn keeps_order_and_oddities() {
        let entries = ["B=1", "odd", "A=x=y", "B=2", "=C:=z"].map(|entry| entry.as_bytes().to_vec());
        let mut environment = Environment::from_entries(entries.to_vec());
        assert_eq!(environment.get("B").unwrap(), "1");
        assert_eq!(environment.get("A").unwrap(), "x=y");
        assert_eq!(environment.get("odd"), None);
        environment.set("B", "3");
        environment.set("N", "new");
        assert_eq!(raw(&environment), ["B=3", "odd", "A=x=y", "=C:=z", "N=new"]);
        environment.remove("A");
        assert_eq!(raw(&environment), ["B=3", "odd", "=C:=z", "N=new"]);
    }

    #[test]
    fn xdg_directories_must_be_absolute() {
        let environment: Environment = [("HOME", "/h"), ("XDG_STATE_HOME", "rel")].into_iter().collect();
        assert_eq!(environment.xdg("XDG_STATE_HOME", ".local/state").unwrap(), Path::new("/h/.local/state"));
    }
}
