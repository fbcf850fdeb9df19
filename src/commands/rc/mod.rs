//! The line in a shell's rc file with which `claude` starts act-claude. `act setup` offers to add it, `act uninstall` removes it.
//!
//! [`block`] (pure) is about the file's content, [`mod@file`] about the file.

pub mod block;
pub mod file;

use std::path::{Path, PathBuf};

use crate::system::environment::Environment;

/// A shell that act-claude has a line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl Shell {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// The name of its program.
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// The user's shell, by `SHELL`.
    pub fn of(environment: &Environment) -> Option<Self> {
        let program = environment.path("SHELL")?.file_name()?;
        Self::ALL.into_iter().find(|shell| program == shell.name())
    }

    /// The line for its rc file.
    pub fn line(self) -> &'static str {
        match self {
            Self::Bash => r#"eval "$(act-claude act shell-init bash)""#,
            Self::Zsh => r#"eval "$(act-claude act shell-init zsh)""#,
            Self::Fish => "act-claude act shell-init fish | source",
        }
    }

    /// The rc file that the line belongs in. `None` where it is not known: without a home, or where a file of zsh's own says where
    /// its other files are, or can't be read, and the environment does not say it.
    pub fn rc_file(self, environment: &Environment) -> Option<PathBuf> {
        let home = environment.home()?;
        match self {
            Self::Bash if cfg!(target_os = "macos") => Some(on_macos(&home, |path| file::content(path).ok())),
            Self::Bash => Some(home.join(".bashrc")),
            Self::Zsh => match environment.get("ZDOTDIR") {
                Some(directory) => Some(PathBuf::from(directory).join(".zshrc")).filter(|path| path.is_absolute()),
                None => {
                    let is_there = match file::content(&home.join(".zshenv")) {
                        Ok(first) => memchr::memmem::find(&first, b"ZDOTDIR").is_none(),
                        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
                    };
                    is_there.then(|| home.join(".zshrc"))
                }
            },
            Self::Fish => Some(environment.xdg("XDG_CONFIG_HOME", ".config")?.join("fish/config.fish")),
        }
    }

    /// Other files of this shell in which a user may have written the line.
    fn other_files(self, environment: &Environment) -> Vec<PathBuf> {
        let Some(home) = environment.home() else { return Vec::new() };
        match self {
            Self::Bash => [".bashrc", ".bash_aliases", ".bash_profile", ".bash_login", ".profile"]
                .map(|name| home.join(name))
                .to_vec(),
            Self::Zsh => {
                let directory = environment.path("ZDOTDIR").map_or_else(|| home.clone(), Path::to_path_buf);
                [".zprofile", ".zshenv", ".zlogin", ".zsh_aliases", ".aliases"]
                    .map(|name| directory.join(name))
                    .to_vec()
            }
            Self::Fish => {
                let Some(fish) = environment.xdg("XDG_CONFIG_HOME", ".config").map(|config| config.join("fish")) else {
                    return Vec::new();
                };
                let parts = std::fs::read_dir(fish.join("conf.d")).into_iter().flatten().flatten();
                parts.map(|entry| entry.path()).chain([fish.join("functions/claude.fish")]).collect()
            }
        }
    }

    /// Whether one of the shell's files starts act-claude as `claude` already.
    pub fn has_line(self, environment: &Environment) -> bool {
        let mut files = self.rc_file(environment).into_iter().chain(self.other_files(environment));
        files.any(|path| file::content(&path).is_ok_and(|text| block::is_there(&text)))
    }
}

impl clap::ValueEnum for Shell {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

/// A terminal on macOS starts a login shell, and bash then reads only the first of three files. `.bashrc` counts where that file
/// reads it. A new first file would keep bash from reading the others.
fn on_macos(home: &Path, read: impl Fn(&Path) -> Option<Vec<u8>>) -> PathBuf {
    let files = [".bash_profile", ".bash_login", ".profile"].map(|name| home.join(name));
    let first = files.iter().find_map(|path| Some((path, read(path)?)));
    match first {
        Some((_, text)) if memchr::memmem::find(&text, b".bashrc").is_some() => home.join(".bashrc"),
        Some((path, _)) => path.clone(),
        None => files[0].clone(),
    }
}

/// Every file that `act setup` may have added a block to.
pub fn files(environment: &Environment) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Shell::ALL.iter().filter_map(|shell| shell.rc_file(environment)).collect();
    if let Some(home) = environment.home() {
        let names = [".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".config/fish/config.fish"];
        files.extend(names.map(|name| home.join(name)));
    }
    files.sort();
    files.dedup();
    files
}

/// The rc files that have a block and can be changed, each with its content without it.
pub fn with_block(environment: &Environment) -> Vec<(file::RcFile, Vec<u8>)> {
    let mut targets = Vec::new();
    let files = files(environment).into_iter().filter(|path| match path.canonicalize() {
        // Two names may lead to one file.
        Ok(target) if !targets.contains(&target) => {
            targets.push(target);
            true
        }
        _ => false,
    });
    let readable: Vec<file::RcFile> = files.filter_map(|path| file::read(&path).ok()).collect();
    let without = readable.into_iter().map(|file| {
        let without = block::removed(&file.content);
        (file, without)
    });
    without.filter_map(|(file, without)| Some((file, without?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_its_file() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let file = |shell: &str, more: &[(&str, &str)]| {
            let pairs = [("HOME", home.path().to_str().unwrap()), ("SHELL", shell)];
            let environment: Environment =
                pairs.into_iter().chain(more.iter().copied()).map(|(name, value)| (name.to_owned(), value)).collect();
            Shell::of(&environment)?.rc_file(&environment)
        };
        let bash = if cfg!(target_os = "macos") { ".bash_profile" } else { ".bashrc" };
        assert_eq!(file("/bin/bash", &[]), Some(at(bash)));
        assert_eq!(file("/usr/bin/zsh", &[]), Some(at(".zshrc")));
        assert_eq!(file("/usr/bin/zsh", &[("ZDOTDIR", "/z/d")]), Some("/z/d/.zshrc".into()));
        assert_eq!(file("/usr/bin/zsh", &[("ZDOTDIR", "d")]), None);
        assert_eq!(file("/usr/bin/zsh", &[("ZDOTDIR", "")]), None);
        assert_eq!(file("/opt/fish", &[]), Some(at(".config/fish/config.fish")));
        assert_eq!(file("/opt/fish", &[("XDG_CONFIG_HOME", "/x")]), Some("/x/fish/config.fish".into()));
        for other in ["/bin/sh", "/bin/dash", "/usr/bin/nu", "", "bash/"] {
            assert!(file(other, &[]).is_none_or(|file| other == "bash/" && file == at(bash)), "{other}");
        }
        std::fs::write(at(".zshenv"), "export ZDOTDIR=$HOME/.config/zsh\n").unwrap();
        assert_eq!(file("/usr/bin/zsh", &[]), None, "zsh would look elsewhere");
        std::fs::remove_file(at(".zshenv")).unwrap();
        nix::unistd::mkfifo(&at(".zshenv"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(file("/usr/bin/zsh", &[]), None, "zsh may look elsewhere; nothing is waited for");
    }

    #[test]
    fn on_macos_the_file_that_bash_reads_gets_the_line() {
        let home = Path::new("/h");
        for (there, expected) in [
            (&[][..], ".bash_profile"),
            (&[(".profile", "x")], ".profile"),
            (&[(".bash_login", "x"), (".profile", ". ~/.bashrc")], ".bash_login"),
            (&[(".bash_profile", "[ -f ~/.bashrc ] && . ~/.bashrc")], ".bashrc"),
        ] {
            let read = |path: &Path| {
                let name = path.file_name()?.to_str()?;
                there.iter().find(|(own, _)| *own == name).map(|(_, text)| text.as_bytes().to_vec())
            };
            assert_eq!(on_macos(home, read), home.join(expected), "{there:?}");
        }
    }
}
