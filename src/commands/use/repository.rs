//! The repository's file `.act-claude.json`: written only where it takes effect, and with a word where something takes precedence.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::edit::{self, Change, Edited, Refused, file};
use crate::config::resolve::{self, Content, Directory, Explicit, Reason, RepositoryFile};
use crate::system::error::plain;
use crate::text::shell::shell_word;

/// The file of the repository that contains this directory, before it is changed.
pub struct Own {
    path: PathBuf,
    before: String,
}

impl Own {
    /// Finds the file. Only a repository has one: in any other directory it would be a file that nobody else gets, and that one
    /// can't find again. `removes`: a file that is in this directory nevertheless may be changed back.
    pub fn find(place: &Directory, directory: &Path, removes: bool) -> Result<Self, String> {
        let top = place.levels.iter().find(|level| level.path.join(".git").exists());
        let here = place.levels.first().filter(|level| removes && level.file.is_some());
        let Some(level) = top.or(here) else {
            return Err(format!(
                "nothing was changed: {} is in no git repository, so there is nobody to share {} with: without --repo, act-claude \
                 act use NAME sets the alias of this directory; git init makes it a repository",
                directory.display(),
                resolve::FILE
            ));
        };
        let path = level.path.join(resolve::FILE);
        let word = shell_word(&path);
        let before = match level.file.as_ref().map(|file| &file.content) {
            None | Some(Content::Text(_)) => match std::fs::read_to_string(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                other => {
                    other.map_err(|error| format!("nothing was changed: {}: {}", path.display(), plain(&error)))?
                }
            },
            Some(Content::Stranger { uid }) => {
                return Err(format!(
                    "nothing was changed: {} belongs to user {uid}, neither to you nor to root, and is ignored: sudo chown {} {word}",
                    path.display(),
                    nix::unistd::geteuid()
                ));
            }
            Some(Content::Unusable(why)) => {
                return Err(format!(
                    "nothing was changed: {}: {why}, and the file is ignored: remove it first: rm {word}",
                    path.display()
                ));
            }
        };
        Ok(Self { path, before })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the file. Without a name, its alias is removed.
    pub fn change(&self, name: Option<&str>) -> Result<Edited, Refused> {
        let Self { path, before } = self;
        let change = name.map_or_else(|| Change::remove(["alias"]), |name| Change::set(["alias"], name));
        let after = edit::text::apply(path, before, &[change]).map_err(|fault| Refused::Faults(vec![fault]))?;
        let changed = after != *before && !(before.is_empty() && name.is_none());
        if changed {
            // The file is meant for everybody who has the repository. The repository's history is its backup.
            file::replace(path, after.as_bytes(), 0o644)
                .map_err(|error| Refused::File { path: path.clone(), why: plain(&error) })?;
        }
        Ok(Edited { path: path.clone(), changed, backup: None })
    }

    /// Why the alias `name` in this file would have no effect here, as far as rules decide that; `None` where it has one. A choice
    /// by a variable is not considered: it holds for one run.
    pub fn ignored(&self, name: &str, config: &Config, place: &Directory) -> Option<String> {
        let mut with = place.clone();
        let text = serde_json::json!({ "alias": name }).to_string();
        let level = with.levels.iter_mut().find(|level| self.path.parent() == Some(&level.path))?;
        level.file = Some(RepositoryFile { path: self.path.clone(), content: Content::Text(text) });
        let resolution = resolve::resolve(Explicit::default(), config, &with).ok()?;
        match &resolution.reason {
            Reason::Repository { origin, .. } if origin.path() == self.path => None,
            reason => {
                let own = self.path.display().to_string();
                let passed_over = resolution.passed_over.iter().find(|word| word.starts_with(&own));
                let why = passed_over.and_then(|word| Some(word.split_once(": ignored: ")?.1.to_owned()));
                Some(why.unwrap_or_else(|| format!("{reason} takes precedence")))
            }
        }
    }
}
