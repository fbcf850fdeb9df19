//! The temporary home: two directories, two accounts, two aliases, and its own state directory.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{random_hex, uuid};
use crate::rehearsal::receiver::{self, Expected};
use crate::system::environment::Environment;
use crate::system::file;
use crate::text::paths;

/// One directory of the demo, with its alias and account.
#[derive(Debug, Clone)]
pub struct DemoDirectory {
    /// The directory, as `~/…`.
    pub directory: &'static str,
    /// The alias's name.
    pub alias: &'static str,
    /// The alias's id, random for each demo.
    pub id: String,
    /// The account's name.
    pub account: &'static str,
    /// The account's id, as in the endpoint.
    pub account_id: String,
    /// The account's user.
    pub user: &'static str,
    token: String,
}

/// The provider type of both aliases.
pub const PROVIDER_TYPE: &str = "CUSTOM_PROVIDER";

impl DemoDirectory {
    fn random(
        directory: &'static str,
        alias: &'static str,
        account: &'static str,
        user: &'static str,
    ) -> io::Result<Self> {
        let account_id = format!("{account}-{}", random_hex::<3>()?.to_uppercase());
        Ok(Self { directory, alias, id: uuid()?, account, account_id, user, token: random_hex::<16>()? })
    }
}

/// The two directories, with new random ids and tokens.
pub fn places() -> io::Result<[DemoDirectory; 2]> {
    Ok([
        DemoDirectory::random("~/work/billing", "billing", "acme", "you@acme.example")?,
        DemoDirectory::random("~/web/shop", "shop", "globex", "you@globex.example")?,
    ])
}

/// What the local ACT accepts: the accounts with their credentials, and the aliases.
pub fn expected(places: &[DemoDirectory]) -> Expected {
    let account =
        |place: &DemoDirectory| receiver::Account::new(&place.account_id).with_credential(place.user, &place.token);
    Expected {
        accounts: places.iter().map(account).collect(),
        aliases: places.iter().map(|place| (place.id.clone(), Some(place.account_id.clone()))).collect(),
    }
}

/// A temporary home. Dropping it removes it.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    home: PathBuf,
}

impl Sandbox {
    /// Creates a home that contains only the directories of `places`.
    pub fn create(places: &[DemoDirectory]) -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("act-claude-demo-").tempdir()?;
        let home = root.path().canonicalize()?.join("home");
        for place in places {
            fs::create_dir_all(within(&home, place.directory))?;
        }
        Ok(Self { root, home })
    }

    /// The home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The path of a directory of the demo.
    pub fn directory(&self, place: &DemoDirectory) -> PathBuf {
        within(&self.home, place.directory)
    }

    /// The path of a file for a command's output, outside of the home.
    pub fn output(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a script that is used as claude and starts the stand-in of `program`. Returns its path.
    pub fn stand_in(&self, program: &Path) -> io::Result<PathBuf> {
        let path = self.root.path().join("claude");
        let script = format!(
            "#!/bin/sh\nexec {} act {} \"$@\"\n",
            crate::text::shell::shell_word(program),
            super::stand_in::COMMAND
        );
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Writes the configuration: `endpoint` gives the endpoint of an account id, the tokens are in files, and `claude` is the
    /// claude to start.
    pub fn configure(
        &self,
        places: &[DemoDirectory],
        endpoint: impl Fn(&str) -> String,
        claude: &Path,
        exit_wait_ms: u64,
    ) -> io::Result<()> {
        let directory = self.home.join(".config/act-claude");
        fs::create_dir_all(&directory)?;
        // The interval is long, so that claude exports once, at its end, even on a busy machine.
        let mut config =
            json!({ "claude": paths::to_text(claude), "exit_wait_ms": exit_wait_ms, "export_interval_ms": 60_000 });
        for place in places {
            let token = directory.join(format!("{}.token", place.account));
            let mut file = file::create_private(&token)?;
            io::Write::write_all(&mut file, place.token.as_bytes())?;
            config["accounts"][place.account] = json!({
                "endpoint": endpoint(&place.account_id), "user": place.user, "token": { "file": paths::to_text(&token) }
            });
            config["aliases"][place.alias] =
                json!({ "account": place.account, "id": place.id, "provider_type": PROVIDER_TYPE });
            config["directories"][place.directory] = json!(place.alias);
        }
        fs::write(directory.join("config.json"), config.to_string())
    }

    /// The environment of a launch. From the user's environment it has only a few variables for programs, terminal, language
    /// and time zone. `messages` is the URL of the Messages API. It is also the proxy, which refuses every request that would
    /// leave this machine.
    pub fn environment(&self, user: &Environment, messages: &str) -> Environment {
        let mut environment = Environment::default();
        for name in ["PATH", "TERM", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"] {
            if let Some(value) = user.get(name) {
                environment.set(name, value);
            }
        }
        environment.set("HOME", &self.home);
        environment.set("TMPDIR", self.root.path());
        for (name, value) in [
            ("ANTHROPIC_API_KEY", "sk-ant-nothing"),
            ("ANTHROPIC_BASE_URL", messages),
            ("HTTP_PROXY", messages),
            ("HTTPS_PROXY", messages),
            ("NO_PROXY", "127.0.0.1,localhost"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ] {
            environment.set(name, value);
        }
        environment
    }

    /// Removes the home. Tries again for some seconds, because a program may still be writing into it.
    pub fn remove(self) -> io::Result<()> {
        let path = self.root.keep();
        let mut result = Ok(());
        for _ in 0..50 {
            result = fs::remove_dir_all(&path);
            if !path.exists() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        result
    }
}

fn within(home: &Path, directory: &str) -> PathBuf {
    home.join(directory.trim_start_matches("~/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_valid_and_the_home_goes() {
        let places = places().unwrap();
        let sandbox = Sandbox::create(&places).unwrap();
        let endpoint = |account: &str| format!("http://127.0.0.1:1/{account}");
        sandbox.configure(&places, endpoint, Path::new("/bin/true"), 300).unwrap();
        let user: Environment = [("HOME", "/nowhere"), ("PATH", "/bin"), ("SECRET", "x")].into_iter().collect();
        let environment = sandbox.environment(&user, "http://127.0.0.1:2");
        assert_eq!((environment.get("SECRET"), environment.text("PATH")), (None, Some("/bin")));
        let loaded = crate::config::load(&environment);
        assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
        assert_eq!(loaded.config.aliases["shop"].id, places[1].id);
        assert_eq!(loaded.config.directories.len(), 2);
        let root = sandbox.root.path().to_path_buf();
        sandbox.remove().unwrap();
        assert!(!root.exists());
    }
}
