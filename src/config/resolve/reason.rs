//! The reason why a directory has its alias, in words that a user understands.

use std::fmt;
use std::path::PathBuf;

use crate::text::json::{Fault, Origin};

/// How a rule covers the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// It names the directory or one above it.
    Directory,
    /// It names one above the directory as `$PWD` spells it.
    Pwd(PathBuf),
    /// It covers the main checkout of this linked git worktree.
    Worktree(PathBuf),
}

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `--alias`
    Flag,
    /// `ACT_CLAUDE_ALIAS`
    Variable,
    /// An entry of `directories`.
    Rule {
        /// The directory as written.
        written: String,
        /// Its place.
        origin: Origin,
        /// The entry says `null`.
        null: bool,
        /// How it covers the directory.
        via: Via,
    },
    /// An entry of `repositories`.
    Remote {
        /// The repositories as written.
        written: String,
        /// Its place.
        origin: Origin,
        /// The entry says `null`.
        null: bool,
        /// The repository's host and path.
        address: String,
    },
    /// A repository's `.act-claude.json`.
    Repository {
        /// Its place.
        origin: Origin,
        /// The user's own rule that gave the account.
        account_from: Option<Box<Reason>>,
    },
    /// `default`
    Default {
        /// Its place.
        origin: Origin,
        /// It says `null`.
        null: bool,
    },
    /// The entry that applies can't be used; nothing else replaces it.
    Broken {
        /// What is wrong.
        fault: Box<Fault>,
    },
    /// No rule covers the directory, and there is no default.
    NoRule,
    /// Nothing is configured at all.
    NothingConfigured,
}

impl Reason {
    /// A stable word for `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::Rule { null: true, .. } | Self::Remote { null: true, .. } | Self::Default { null: true, .. } => {
                "null"
            }
            Self::Remote { .. } => "remote",
            Self::Rule { via: Via::Directory, .. } => "directory",
            Self::Rule { via: Via::Pwd(_), .. } => "pwd",
            Self::Rule { via: Via::Worktree(_), .. } => "worktree",
            Self::Repository { .. } => "repository",
            Self::Default { .. } => "default",
            Self::Broken { .. } => "broken",
            Self::NoRule => "no-rule",
            Self::NothingConfigured => "nothing-configured",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("--alias on the command line"),
            Self::Variable => out.write_str("the environment variable ACT_CLAUDE_ALIAS"),
            Self::Rule { written, origin, null, via } => {
                write!(out, "the rule \"{written}\"")?;
                if *null {
                    out.write_str(": null")?;
                }
                write!(out, " in {origin}")?;
                match via {
                    Via::Directory => Ok(()),
                    Via::Pwd(path) => {
                        write!(out, ", which covers this directory as $PWD spells it ({})", path.display())
                    }
                    Via::Worktree(main) => {
                        write!(out, ", which covers {}, the main checkout of this git worktree", main.display())
                    }
                }
            }
            Self::Remote { written, origin, null, address } => {
                write!(out, "the rule \"{written}\"{} in {origin}", if *null { ": null" } else { "" })?;
                if written == address { Ok(()) } else { write!(out, ", which matches {address}") }
            }
            Self::Repository { origin, account_from } => {
                write!(out, "the repository's own {origin}")?;
                match account_from {
                    Some(own) => write!(out, " (within the account given by {own})"),
                    None => Ok(()),
                }
            }
            Self::Default { origin, null: false } => {
                write!(out, "\"default\" in {origin}; no rule covers this directory")
            }
            Self::Default { origin, null: true } => {
                write!(out, "\"default\": null in {origin}; no rule covers this directory")
            }
            Self::Broken { fault } => write!(out, "{fault}"),
            Self::NoRule => out.write_str("no rule covers this directory, and there is no default"),
            Self::NothingConfigured => out.write_str("no alias is configured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_reason_has_its_sentence() {
        let origin = || Origin::file(Path::new("/c.json"));
        let rule = |null, via| Reason::Rule { written: "~/w".to_owned(), origin: origin(), null, via };
        for (reason, expected) in [
            (Reason::Flag, "--alias on the command line"),
            (Reason::Variable, "the environment variable ACT_CLAUDE_ALIAS"),
            (rule(false, Via::Directory), "the rule \"~/w\" in /c.json"),
            (rule(true, Via::Directory), "the rule \"~/w\": null in /c.json"),
            (
                rule(false, Via::Pwd("/w/x".into())),
                "the rule \"~/w\" in /c.json, which covers this directory as $PWD spells it (/w/x)",
            ),
            (
                rule(false, Via::Worktree("/w/main".into())),
                "the rule \"~/w\" in /c.json, which covers /w/main, the main checkout of this git worktree",
            ),
            (
                Reason::Repository { origin: origin(), account_from: Some(Box::new(rule(false, Via::Directory))) },
                "the repository's own /c.json (within the account given by the rule \"~/w\" in /c.json)",
            ),
            (
                Reason::Remote {
                    written: "github.com/acme/*".to_owned(),
                    origin: origin(),
                    null: true,
                    address: "github.com/acme/web".to_owned(),
                },
                "the rule \"github.com/acme/*\": null in /c.json, which matches github.com/acme/web",
            ),
            (Reason::Repository { origin: origin(), account_from: None }, "the repository's own /c.json"),
            (
                Reason::Default { origin: origin(), null: true },
                "\"default\": null in /c.json; no rule covers this directory",
            ),
            (Reason::NoRule, "no rule covers this directory, and there is no default"),
            (Reason::NothingConfigured, "no alias is configured"),
        ] {
            assert_eq!(reason.to_string(), expected);
        }
    }
}
