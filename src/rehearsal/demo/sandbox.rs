//! The throw-away home: two directories, two accounts, two aliases, a state directory of its own.

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

/// One directory with its alias and account.
#[derive(Debug, Clone)]
pub struct DemoDirectory {
    /// The directory, as `~/…`.
    pub directory: &'static str,
    /// The alias's name.
    pub alias: &'static str,
    /// The alias's id, freshly drawn.
    pub id: String,
    /// The account's name.
    pub account: &'static str,
    /// The account's id, as in the endpoint.
    pub account_id: String,
    /// The account's user.
    pub user: &'static str,
    token: String,
}

/// What every alias here has.
pub const PROVIDER_TYPE: &str = "CUSTOM_PROVIDER";

impl DemoDirectory {
    fn draw(
        directory: &'static str,
        alias: &'static str,
        account: &'static str,
        user: &'static str,
    ) -> io::Result<Self> {
        let account_id = format!("{account}-{}", random_hex::<3>()?.to_uppercase());
        Ok(Self { directory, alias, id: uuid()?, account, account_id, user, token: random_hex::<16>()? })
    }
}

/// The two places, their ids drawn anew.
pub fn places() -> io::Result<[DemoDirectory; 2]> {
    Ok([
        DemoDirectory::draw("~/work/billing", "billing", "acme", "you@acme.example")?,
        DemoDirectory::draw("~/web/shop", "shop", "globex", "you@globex.example")?,
    ])
}

/// What a local ACT has to know: these accounts with their credentials, these aliases.
pub fn expected(places: &[DemoDirectory]) -> Expected {
    let account =
        |place: &DemoDirectory| receiver::Account::new(&place.account_id).with_credential(place.user, &place.token);
    Expected {
        accounts: places.iter().map(account).collect(),
        aliases: places.iter().map(|place| (place.id.clone(), Some(place.account_id.clone()))).collect(),
    }
}

/// A home that is gone when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    home: PathBuf,
}

impl Sandbox {
    /// With the directories of `places`, and nothing else.
    pub fn set(places: &[DemoDirectory]) -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("act-claude-demo-").tempdir()?;
        let home = root.path().canonicalize()?.join("home");
        for place in places {
            fs::create_dir_all(within(&home, place.directory))?;
        }
        Ok(Self { root, home })
    }

    /// Where a place's directory is.
    pub fn directory(&self, place: &DemoDirectory) -> PathBuf {
        within(&self.home, place.directory)
    }

    /// A file for one command's output, outside the home.
    pub fn output(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Puts a script in claude's place that starts `program`'s stand-in.
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

    /// Writes the configuration: endpoints from `endpoint`, tokens in files, this `claude`.
    pub fn configure(
        &self,
        places: &[DemoDirectory],
        endpoint: impl Fn(&str) -> String,
        claude: &Path,
        exit_wait_ms: u64,
    ) -> io::Result<()> {
        let directory = self.home.join(".config/act-claude");
        fs::create_dir_all(&directory)?;
        // One export at the end, however long a busy machine takes.
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

    /// The environment of a launch: nothing of the user's but where programs and time zones are found. The
    /// Messages API is `messages`, which is the proxy, too: what would leave this machine is refused there.
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

    /// Removes it. A program that is still writing may need a second look.
    pub fn strike(self) -> io::Result<()> {
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
        let sandbox = Sandbox::set(&places).unwrap();
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
        sandbox.strike().unwrap();
        assert!(!root.exists());
    }
}
