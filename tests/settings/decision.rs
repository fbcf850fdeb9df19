//! act-claude's decision about a settings file, determined with a stand-in for claude, because the client does not
//! matter here.

use serde_json::json;

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

use super::forms::Form;
use super::layers::Layer;

/// act-claude's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// `--direct` gives claude the token.
    pub direct: bool,
    /// The relay's variables override the file's.
    pub overlay: bool,
    /// The file is named in a message to the user.
    pub said: bool,
    /// With `required`, claude runs.
    pub runs: bool,
}

impl Decision {
    pub fn word(self) -> String {
        let relay = match (self.overlay, self.said) {
            (true, _) => "overlay",
            (false, true) => "said",
            (false, false) => "ignored",
        };
        let direct = if self.direct { "" } else { ", no direct" };
        let required = if self.runs { "" } else { ", 78" };
        format!("{relay}{direct}{required}")
    }
}

pub struct Decider {
    sandbox: Sandbox,
}

impl Decider {
    pub fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let environment = sandbox.home().join("environment");
        let arguments = sandbox.home().join("arguments");
        let script = format!("environment {}\narguments {}", environment.display(), arguments.display());
        fake_claude::install(&mut sandbox, &script);
        sandbox.directory("project");
        Self { sandbox }
    }

    fn configure(&self, required: bool) {
        let account = self.sandbox.account("http://127.0.0.1:9/metrics");
        self.sandbox.configure(&json!({
            "accounts": {"acme": account},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
            "directories": {"~": "billing"}, "replace_endpoint": true, "required": required
        }));
    }

    /// `None`: there is no such file.
    pub fn decide(&self, form: &Form, layer: Layer) -> Option<Decision> {
        let placed = layer.place(form.bytes("http://127.0.0.1:9/elsewhere"), &self.sandbox)?;
        let run = |flags: &[&str]| {
            let mut command = self.sandbox.act_claude(flags);
            command.args(&placed.arguments).args(["-p", "hi"]).env("ACT_CLAUDE_REPORT", "always");
            command.current_dir(self.sandbox.home().join("project"));
            let output = placed.seen_by(command, &self.sandbox).output().expect("act-claude");
            let note = |name: &str| {
                let bytes = std::fs::read(self.sandbox.home().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            (output, note("environment"), note("arguments"))
        };
        self.configure(false);
        let (_, environment, _) = run(&["--direct"]);
        let direct = environment.contains("Authorization=Basic");
        assert!(direct || !environment.contains(TOKEN), "{} {layer:?}", form.name);
        let (output, _, arguments) = run(&[]);
        let overlay = arguments.contains("/act-claude/overlay/");
        let said = placed.is_named_in(&output.err());
        self.configure(true);
        let (output, _, _) = run(&[]);
        let code = output.code();
        assert!([0, 78].contains(&code), "{} {layer:?}: {code}: {}", form.name, output.err());
        Some(Decision { direct, overlay, said, runs: code == 0 })
    }
}
