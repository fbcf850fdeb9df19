//! A home of its own for each test: nothing of the user's home is read or written.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox; removed when dropped.
pub struct Sandbox {
    root: TempDir,
    environment: Vec<(String, String)>,
}

/// The user every account of the sandbox has.
pub const USER: &str = "dev@acme.com";
/// The token of every account of the sandbox. Tests search for it where it must not be.
pub const TOKEN: &str = "canary-51f0a9c2-token";

/// Where the programs of tests are. On macOS a real claude may be in /usr/local/bin, and has no network namespace there.
const PATH: &str = if cfg!(target_os = "macos") { "/usr/bin:/bin" } else { "/usr/local/bin:/usr/bin:/bin" };

impl Sandbox {
    /// With an empty home.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("act-claude-test-").tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("home")).expect("a home");
        let mut sandbox = Self { root, environment: Vec::new() };
        let home = sandbox.home().display().to_string();
        for (name, value) in
            [("HOME", home.as_str()), ("PATH", PATH), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")]
        {
            sandbox.set(name, value);
        }
        sandbox
    }

    /// Its root; the home is one of the directories in it.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `$HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The state directory act-claude uses here.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/act-claude")
    }

    /// The configuration file act-claude reads here.
    pub fn config_file(&self) -> PathBuf {
        self.home().join(".config/act-claude/config.json")
    }

    /// A path as people see it: with `~` for the home.
    pub fn shown(&self, path: impl AsRef<Path>) -> String {
        match path.as_ref().strip_prefix(self.home()) {
            Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Ok(rest) => format!("~/{}", rest.display()),
            Err(_) => path.as_ref().display().to_string(),
        }
    }

    /// A directory under the home, made if it is not there.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// Writes a file under the home, with its directories.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Writes an executable script under the home.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        // Written by another process: a process that a second test starts meanwhile would have this one's open file for a moment, and
        // a file that is open for writing can't be executed ("Text file busy").
        let path = self.write(name, "");
        let written = self.write(&format!("{name}.new"), content);
        let mut install = Command::new("install");
        let status = install.args(["-m", "755"]).args([&written, &path]).status().expect("install");
        assert!(status.success());
        std::fs::remove_file(written).expect("the first one");
        path
    }

    /// Writes the configuration.
    pub fn configure(&self, config: &Value) {
        self.write(".config/act-claude/config.json", serde_json::to_vec_pretty(config).expect("JSON"));
    }

    /// One account `acme` at `endpoint` (token in a file), alias `billing` with id `id-billing` for the whole home.
    pub fn configure_one(&self, endpoint: &str) {
        self.configure(&json!({
            "accounts": {"acme": self.account(endpoint)},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
            "directories": {"~": "billing"}
        }));
    }

    /// An account with [`USER`] and [`TOKEN`], the token in a file.
    pub fn account(&self, endpoint: &str) -> Value {
        let file = self.write("token", TOKEN);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        json!({"endpoint": endpoint, "user": USER, "token": {"file": file}})
    }

    /// Sets a variable for every command started from here on.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_str().expect("text").to_owned();
        self.unset(name);
        self.environment.push((name.to_owned(), value));
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(own, _)| own != name);
    }

    /// Puts a directory first on PATH.
    pub fn path_first(&mut self, directory: &Path) {
        let path = self.get("PATH").expect("a PATH").to_owned();
        self.set("PATH", format!("{}:{path}", directory.display()));
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All variables.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// A command in the sandbox's environment, in its home, without input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// act-claude with arguments.
    pub fn act_claude(&self, args: &[&str]) -> Command {
        let mut command = self.command(super::act_claude());
        command.args(args);
        command
    }
}

/// What a finished command printed, as text.
pub trait Text {
    /// Standard output.
    fn out(&self) -> String;
    /// Standard error.
    fn err(&self) -> String;
    /// The exit code, which there must be.
    fn code(&self) -> i32;
}

impl Text for Output {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {:?}; {}", self.status, self.err()))
    }
}

/// Every file below `directory` with its content, for comparing before and after.
pub fn snapshot(directory: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    found.insert(entry.path(), std::fs::read(entry.path()).unwrap_or_default());
                }
                _ => {}
            }
        }
    }
    found
}
