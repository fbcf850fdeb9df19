//! The real clients, which `tests/run` installs into target/clients, each in a loopback-only network.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::act::Act;
use super::messages::Messages;
use super::network;
use super::sandbox::Sandbox;

/// The older client: it uses project settings and knows no process wrapper.
pub const OLD: &str = "2.1.197";
/// The newer one.
pub const NEW: &str = "2.1.330";
/// Both, for tests that must hold on either.
pub const BOTH: [&str; 2] = [OLD, NEW];

/// A real client's executable; without it the test is skipped.
pub fn executable(version: &str) -> Option<PathBuf> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(version).join("node_modules");
    // A native program, or a script of Node.
    let kinds = ["@anthropic-ai/claude-code-linux-x64/claude", ".bin/claude"].map(|path| modules.join(path));
    let found = kinds.into_iter().find(|path| path.is_file());
    if found.is_none() {
        super::skip(&format!("claude {version} is not in target/clients: tests/clients-table --fetch {version}"));
    }
    found
}

/// A home in which a real client runs with the stand-ins. Its thread has its own network.
pub struct Lab {
    pub sandbox: Sandbox,
    pub act: Act,
    pub messages: Messages,
    /// The client, under the name `claude`.
    pub claude: PathBuf,
    pub version: &'static str,
}

impl Lab {
    /// `None`: skipped, with a message. `projects` are directories under the home that claude trusts.
    pub fn start(version: &'static str, projects: &[&str]) -> Option<Self> {
        let claude = executable(version)?;
        if !network::isolate() {
            return None;
        }
        let (act, messages) = (Act::start(), Messages::start());
        let mut sandbox = Sandbox::new();
        let trusted: serde_json::Map<String, serde_json::Value> = projects
            .iter()
            .map(|name| {
                let path = sandbox.directory(name).display().to_string();
                (path, json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}))
            })
            .collect();
        // This state skips the first-run screens.
        let state = json!({
            "hasCompletedOnboarding": true, "lastOnboardingVersion": version, "theme": "dark",
            "customApiKeyResponses": {"approved": ["k-ant-dummy-loopback"], "rejected": []}, "projects": trusted
        });
        sandbox.write(".claude.json", state.to_string());
        for (name, value) in [
            ("ANTHROPIC_API_KEY", "sk-ant-dummy-loopback"),
            ("ANTHROPIC_BASE_URL", &messages.url()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ] {
            sandbox.set(name, value);
        }
        sandbox.path_first(claude.parent().expect("its directory"));
        Some(Self { sandbox, act, messages, claude, version })
    }

    /// claude itself, in a directory under the home.
    pub fn claude(&self, directory: &str, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(&self.claude);
        command.args(args).current_dir(self.sandbox.directory(directory));
        command
    }

    /// act-claude in a directory under the home; it finds this claude on PATH.
    pub fn act_claude(&self, directory: &str, args: &[&str]) -> Command {
        let mut command = self.sandbox.act_claude(args);
        command.current_dir(self.sandbox.directory(directory));
        command
    }
}
