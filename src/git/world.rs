//! Repositories on disk for the tests, and what git and this program say of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::checkout::{self, Checkout, Unusable};
use super::remote::Remote;
use crate::system::environment::Environment;

/// A directory with a home, made by a shell script.
pub struct World {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(path.join("w")).unwrap();
        let all = [
            ("HOME", path.to_str().unwrap()),
            ("PATH", &std::env::var("PATH").unwrap()),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "t"),
            ("GIT_AUTHOR_EMAIL", "t@example.com"),
            ("GIT_COMMITTER_NAME", "t"),
            ("GIT_COMMITTER_EMAIL", "t@example.com"),
        ];
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), value.replace("$HOME", path.to_str().unwrap()));
        let kept = all.iter().filter(|(name, _)| variables.iter().all(|(other, _)| other != name));
        Self { variables: kept.chain(variables).map(own).collect(), root }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    pub fn environment(&self) -> Environment {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn command(&self, program: &str, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).env_clear().envs(self.variables.iter().cloned());
        command
    }

    /// Runs a script in `w`, without the variables that make git look elsewhere.
    pub fn script(&self, script: &str) -> &Self {
        let mut command = self.command("sh", &self.path("w"));
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"] {
            command.env_remove(name);
        }
        let script = format!("set -e; git() {{ command git -c protocol.file.allow=always \"$@\"; }}; {script}");
        let output = command.args(["-c", &script]).output().expect("sh");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// What git prints, or `None` where it fails.
    pub fn git(&self, directory: &str, args: &[&str]) -> Option<String> {
        let output = self.command("git", &self.path(directory)).args(args).output().expect("git");
        let text = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
        output.status.success().then_some(text)
    }

    /// The remote as git says it: of `origin`, else of the only one.
    pub fn by_git(&self, directory: &str) -> String {
        let Some(names) = self.git(directory, &["remote"]) else { return "fault".to_owned() };
        let names: Vec<&str> = names.lines().collect();
        let name = match &names[..] {
            names if names.contains(&"origin") => "origin",
            [] => return "none".to_owned(),
            [only] => only,
            several => return format!("several {}", several.join(" ")),
        };
        self.git(directory, &["ls-remote", "--get-url", name]).unwrap_or("fault".to_owned())
    }

    pub fn checkout(&self, directory: &str) -> Option<Result<Checkout, Unusable>> {
        let directory = self.path(directory);
        checkout::above(checkout::levels(&directory), &self.environment())
            .into_iter()
            .next()
            .map(|(_, checkout)| checkout)
    }

    /// The remote as this program finds it.
    pub fn ours(&self, directory: &str) -> String {
        let checkout = match self.checkout(directory) {
            None => return "fault".to_owned(),
            Some(Err(_)) => return "fault".to_owned(),
            Some(Ok(checkout)) => checkout,
        };
        match super::remote(&checkout, &self.environment()) {
            Err(_) => "fault".to_owned(),
            Ok(Remote::None) => "none".to_owned(),
            Ok(Remote::Several(mut names)) => {
                names.sort();
                format!("several {}", names.join(" "))
            }
            Ok(Remote::Url(url)) => String::from_utf8(url).unwrap(),
        }
    }
}
