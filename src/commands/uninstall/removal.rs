//! How the program itself is removed: by the package manager that installed it.

use std::path::{Path, PathBuf};

use crate::system::environment::Environment;
use crate::text::shell::shell_word;

/// The man page and completions that `shell/install.sh` installs beside a program.
pub fn companions(environment: &Environment) -> Vec<PathBuf> {
    let Some(data) = environment.xdg("XDG_DATA_HOME", ".local/share") else { return Vec::new() };
    let files = [
        "man/man1/act-claude.1",
        "bash-completion/completions/act-claude",
        "fish/vendor_completions.d/act-claude.fish",
        "zsh/site-functions/_act-claude",
    ];
    files.map(|file| data.join(file)).into_iter().filter(|file| file.is_file()).collect()
}

/// The command that removes the program itself, by the place where package managers put it. Elsewhere it is a file, with the files
/// that were installed with it.
pub fn command(program: &Path, companions: &[PathBuf]) -> String {
    if program.starts_with("/usr/bin") {
        return "sudo apt purge act-claude".to_owned();
    }
    if program.parent().is_some_and(|directory| directory.ends_with(".cargo/bin")) {
        return "cargo uninstall act-claude".to_owned();
    }
    if program.components().any(|part| part.as_os_str() == "Cellar") {
        return "brew uninstall act-claude".to_owned();
    }
    from_npm(program).unwrap_or_else(|| {
        let files = companions.iter().map(PathBuf::as_path);
        let words: Vec<String> = std::iter::once(program).chain(files).map(shell_word).collect();
        format!("rm {}", words.join(" "))
    })
}

/// The command that removes a program below `node_modules`. Without a scope it was installed from files, together with the
/// package for this system; with one, that package is a dependency.
fn from_npm(program: &Path) -> Option<String> {
    let text = program.to_str()?;
    let (place, _) = text.split_once("/node_modules/")?;
    let (_, inner) = text.rsplit_once("/node_modules/")?;
    let packages = match inner.split('/').next() {
        Some(scope) if scope.starts_with('@') => format!("{scope}/act-claude"),
        _ => format!("act-claude act-claude-{}", node_platform()),
    };
    if let Some((place, _)) = text.split_once("/.pnpm/") {
        let is_global = Path::new(place).parent().is_some_and(|above| above.ends_with("global"));
        let directory = shell_word(Path::new(place.strip_suffix("/node_modules").unwrap_or(place)));
        return Some(match is_global {
            true => format!("pnpm remove -g {packages}"),
            false => format!("pnpm --dir {directory} remove {packages}"),
        });
    }
    let place = Path::new(place);
    Some(match place.parent() {
        _ if place.ends_with("yarn/global") => format!("yarn global remove {packages}"),
        _ if place.ends_with("install/global") => format!("bun remove -g {packages}"),
        Some(prefix) if place.ends_with("lib") => {
            format!("npm uninstall -g --prefix {} {packages}", shell_word(prefix))
        }
        _ => format!("npm uninstall --prefix {} {packages}", shell_word(place)),
    })
}

/// This system as Node calls it.
fn node_platform() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}-{processor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_goes_the_way_it_came() {
        assert_eq!(command(Path::new("/usr/bin/act-claude"), &[]), "sudo apt purge act-claude");
        assert_eq!(command(Path::new("/home/u/.cargo/bin/act-claude"), &[]), "cargo uninstall act-claude");
        assert_eq!(command(Path::new("/opt/my tools/act-claude"), &[]), "rm '/opt/my tools/act-claude'");
        assert_eq!(
            command(Path::new("/opt/homebrew/Cellar/act-claude/0.1.0/bin/act-claude"), &[]),
            "brew uninstall act-claude"
        );
        let page = PathBuf::from("/u/.local/share/man/man1/act-claude.1");
        assert_eq!(
            command(Path::new("/u/bin/act-claude"), &[page]),
            "rm /u/bin/act-claude /u/.local/share/man/man1/act-claude.1"
        );
        let both = format!("act-claude act-claude-{}", node_platform());
        for (program, expected) in [
            (
                "/usr/local/lib/node_modules/act-claude/bin/act-claude.bin",
                format!("npm uninstall -g --prefix /usr/local {both}"),
            ),
            (
                "/u/my npm/lib/node_modules/@a/act-claude/node_modules/@a/act-claude-linux-x64/act-claude",
                "npm uninstall -g --prefix '/u/my npm' @a/act-claude".to_owned(),
            ),
            ("/u/app/node_modules/act-claude-linux-x64/act-claude", format!("npm uninstall --prefix /u/app {both}")),
            ("/u/.config/yarn/global/node_modules/act-claude/bin/act-claude.bin", format!("yarn global remove {both}")),
            ("/u/.bun/install/global/node_modules/act-claude/bin/act-claude.bin", format!("bun remove -g {both}")),
            (
                "/u/pnpm/global/5/.pnpm/act-claude-linux-x64@0.1.0/node_modules/act-claude-linux-x64/act-claude",
                format!("pnpm remove -g {both}"),
            ),
            (
                "/u/app/node_modules/.pnpm/@a+act-claude@0.1.0/node_modules/@a/act-claude/bin/act-claude.bin",
                "pnpm --dir /u/app remove @a/act-claude".to_owned(),
            ),
        ] {
            assert_eq!(command(Path::new(program), &[]), expected, "{program}");
        }
    }
}
