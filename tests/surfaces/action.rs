//! The GitHub action: its steps as action.yml has them, then what anthropics/claude-code-action does with the path it gives.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::lab::{self, VERSION};
use crate::release;
use crate::same::assert_alike;
use crate::support;
use crate::support::act::refused;
use crate::support::client::Lab;
use crate::support::sandbox::{TOKEN, Text};

/// A job: the directory of the action, and the files through which steps talk to the runner.
struct Job<'a> {
    lab: &'a mut Lab,
    action: std::path::PathBuf,
}

impl<'a> Job<'a> {
    /// `None`: skipped.
    fn start(lab: &'a mut Lab) -> Option<Self> {
        let release = format!("file://{}", lab.sandbox.root().join("release").display());
        let action = release::make(&lab.sandbox, &release)?.action;
        // Nothing but the action sets up act-claude, and nothing but the action puts it on PATH.
        std::fs::remove_dir_all(lab.sandbox.home().join(".config")).expect("the lab's configuration");
        let claude = lab.claude.parent().expect("its directory").display().to_string();
        lab.sandbox.set("PATH", format!("{claude}:/usr/local/bin:/usr/bin:/bin"));
        lab.sandbox.set("CI", "true");
        std::fs::create_dir(lab.sandbox.root().join("temp")).expect("a directory");
        lab.sandbox.set("RUNNER_TEMP", lab.sandbox.root().join("temp"));
        for name in ["GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"] {
            std::fs::write(lab.sandbox.root().join(name), "").expect("a file");
            lab.sandbox.set(name, lab.sandbox.root().join(name));
        }
        Some(Self { lab, action })
    }

    /// Runs the action's step with these inputs and the defaults of action.yml.
    fn run(&self, inputs: &[(&str, &str)]) -> Output {
        let file = std::fs::read_to_string(self.action.join("action.yml")).expect("action.yml");
        let action: Value = serde_saphyr::from_str(&file).expect("YAML");
        let [step] = action["runs"]["steps"].as_array().expect("steps").as_slice() else { panic!("one step") };
        let shell = step["shell"].as_str().expect("a shell").replace("{0}", "");
        let mut words = shell.split_whitespace();
        let mut command = self.lab.sandbox.command(words.next().expect("a program"));
        command.args(words).args(["-c", step["run"].as_str().expect("a script")]);
        command.current_dir(self.lab.sandbox.directory("billing")).env("GITHUB_ACTION_PATH", &self.action);
        for (name, value) in step["env"].as_object().expect("env") {
            let input = value.as_str().and_then(|text| text.strip_prefix("${{ inputs.")?.strip_suffix(" }}"));
            let input = input.unwrap_or_else(|| panic!("{name} is no input: {value}"));
            let given = inputs.iter().find(|(own, _)| *own == input).map(|(_, value)| *value);
            let declared = &action["inputs"][input];
            assert!(declared["description"].is_string(), "{input} is not declared");
            command.env(name, given.unwrap_or_else(|| declared["default"].as_str().expect("a default")));
        }
        for (input, _) in inputs {
            assert!(action["inputs"][*input].is_object(), "{input} is not declared");
        }
        command.output().expect("started")
    }

    /// What the runner does after a step: variables and PATH for the following ones. Returns the output `path`.
    fn between_steps(&mut self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.lab.sandbox.root().join(name)).expect("a file");
        let (variables, path, output) = (read("GITHUB_ENV"), read("GITHUB_PATH"), read("GITHUB_OUTPUT"));
        assert!(![&variables, &path, &output].iter().any(|text| text.contains(TOKEN)), "the token: {variables}");
        for line in variables.lines() {
            let (name, value) = line.split_once('=').expect("a variable");
            self.lab.sandbox.set(name, value);
        }
        path.lines().for_each(|directory| self.lab.sandbox.path_first(Path::new(directory)));
        output.trim().strip_prefix("path=").expect("a path").to_owned()
    }

    /// The inputs, with the values of a Monitoring Spec.
    fn inputs(&self) -> Vec<(&'static str, String)> {
        let own = [("id", "id-ci"), ("provider-type", "CUSTOM_PROVIDER"), ("user", "ci@acme.com"), ("token", TOKEN)];
        let mut inputs: Vec<_> = own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        inputs.push(("endpoint", self.lab.act.endpoint()));
        inputs
    }
}

fn borrowed<'b>(inputs: &'b [(&'static str, String)]) -> Vec<(&'b str, &'b str)> {
    inputs.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// What the other action runs: the SDK with this path, in the workspace.
fn claude_code_action(lab: &Lab, path: &str) -> Option<Vec<Value>> {
    let node = support::program("node")?;
    let sdk = lab::installed("npm/node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs")?;
    let mut command: Command = lab.sandbox.command(node);
    let workspace = lab.sandbox.directory("billing");
    command.arg(lab::script("sdk.mjs")).arg(sdk).args(["action", path]).arg(&workspace).current_dir(&workspace);
    Some(lab::lines(&lab::finish(command)))
}

#[test]
fn the_path_it_gives_reports_under_the_jobs_alias() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(mut job) = Job::start(&mut lab) else { return };
    let Some(bare) = claude_code_action(job.lab, job.lab.claude.to_str().unwrap()) else { return };
    let done = job.run(&borrowed(&job.inputs()));
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    assert!(!format!("{}{}", done.out(), done.err()).contains(TOKEN), "{}", done.out());
    assert!(!done.out().contains("::warning"), "{}", done.out());
    let path = job.between_steps();
    let Some(ours) = claude_code_action(job.lab, &path) else { return };
    lab::assert_reported(&lab, &ours, "ci");
    assert_alike(ours, bare, "the action");
}

/// What the installer runs (curl, tar, the program that it has fetched) has no use for the token.
#[test]
fn the_installer_does_not_have_the_token() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(job) = Job::start(&mut lab) else { return };
    std::fs::rename(job.action.join("installer.sh"), job.action.join("own.sh")).expect("renamed");
    let script = "env >\"$RUNNER_TEMP/seen\"; exec sh \"$GITHUB_ACTION_PATH/own.sh\" \"$@\"\n";
    std::fs::write(job.action.join("installer.sh"), script).expect("written");
    // A variable of the job that has the name of the script's own.
    job.lab.sandbox.set("token", "of the job");
    let done = job.run(&borrowed(&job.inputs()));
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    let seen = std::fs::read_to_string(job.lab.sandbox.root().join("temp/seen")).expect("the environment");
    assert!(seen.contains("INPUT_USER=ci@acme.com"), "{seen}");
    assert!(!seen.contains(TOKEN), "{seen}");
}

/// A directory for each use, which nobody has prepared.
#[test]
fn each_use_has_its_own_token() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(job) = Job::start(&mut lab) else { return };
    let temp = job.lab.sandbox.root().join("temp");
    let elsewhere = job.lab.sandbox.write("elsewhere", "");
    std::fs::create_dir(temp.join("act-claude")).expect("a directory");
    std::os::unix::fs::symlink(&elsewhere, temp.join("act-claude/token")).expect("a link");
    let mut inputs = job.inputs();
    inputs.push(("check", "false".to_owned()));
    let first = job.run(&borrowed(&inputs));
    inputs.iter_mut().filter(|(name, _)| *name == "token").for_each(|(_, value)| *value = "another".to_owned());
    let second = job.run(&borrowed(&inputs));
    assert_eq!((first.code(), second.code()), (0, 0), "{}{}", first.err(), second.err());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "", "through a link");
    let variables = std::fs::read_to_string(job.lab.sandbox.root().join("GITHUB_ENV")).unwrap();
    let tokens: Vec<_> = variables
        .lines()
        .filter_map(|line| line.strip_prefix("ACT_CLAUDE_CONFIG="))
        .map(|config| Path::new(config).with_file_name("token"))
        .collect();
    let read: Vec<_> = tokens.iter().map(|token| std::fs::read_to_string(token).expect("the token")).collect();
    assert_eq!(read, [format!("{TOKEN}\n"), "another\n".to_owned()]);
    for path in tokens {
        let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
}

/// A wrong token ends the step, before claude costs anything. A missing secret is an empty text.
#[test]
fn a_job_that_can_not_report_fails_in_its_set_up() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(job) = Job::start(&mut lab) else { return };
    job.lab.act.answer(refused(401, "Unauthorized"));
    let mut inputs = job.inputs();
    let done = job.run(&borrowed(&inputs));
    assert_eq!(done.code(), 77, "{}{}", done.out(), done.err());
    inputs.iter_mut().filter(|(name, _)| *name == "token").for_each(|(_, value)| value.clear());
    let done = job.run(&borrowed(&inputs));
    assert_eq!(done.code(), 1);
    assert!(done.out().contains("::error title=act-claude::the input token is empty"), "{}", done.out());
}

/// Before anything is fetched.
#[test]
fn a_wrong_input_is_refused() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(job) = Job::start(&mut lab) else { return };
    job.lab.sandbox.write("billing/text", "");
    for (input, value, message) in [
        ("claude", "/x\nEVIL=1", "the input claude is more than one line"),
        ("claude", "absent", "the input claude is not a program: /"),
        ("claude", "text", "the input claude is not a program: /"),
        ("claude", ".", "the input claude is not a program: /"),
        ("check", "yes", "the input check is neither \"true\" nor \"false\""),
        ("check", "TRUE", "the input check is neither \"true\" nor \"false\""),
        ("check", "", "the input check is neither \"true\" nor \"false\""),
    ] {
        let inputs = [job.inputs(), vec![(input, value.to_owned())]].concat();
        let done = job.run(&borrowed(&inputs));
        assert_eq!(done.code(), 1, "{input}: {value}");
        let out = done.out();
        assert!(out.starts_with(&format!("::error title=act-claude::{message}")), "{out}");
        assert_eq!(out.lines().count(), 1, "{out}");
    }
    assert_eq!(std::fs::read_to_string(job.lab.sandbox.root().join("GITHUB_ENV")).unwrap(), "");
    assert_eq!(std::fs::read_dir(job.lab.sandbox.root().join("temp")).unwrap().count(), 0, "fetched");
}

/// A path from the workspace is valid in every directory. The man page and completions stay out of the home.
#[test]
fn it_depends_on_no_directory_and_leaves_the_home_as_it_is() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(job) = Job::start(&mut lab) else { return };
    let claude = job.lab.sandbox.script("billing/bin/claude", "#!/bin/sh\n");
    let pages = job.lab.sandbox.directory(".local/share/man/man1");
    let inputs = [job.inputs(), vec![("claude", "./bin/claude".to_owned())]].concat();
    let done = job.run(&borrowed(&inputs));
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    let variables = std::fs::read_to_string(job.lab.sandbox.root().join("GITHUB_ENV")).unwrap();
    let path = variables.lines().find_map(|line| line.strip_prefix("ACT_CLAUDE_BIN=")).expect("the variable");
    assert!(path.starts_with('/'), "{path}");
    assert_eq!(std::fs::canonicalize(path).unwrap(), std::fs::canonicalize(claude).unwrap());
    assert_eq!(std::fs::read_dir(pages).unwrap().count(), 0);
}

/// The other way to say which alias, and a claude that is not on PATH.
#[test]
fn a_spec_in_the_repository_and_a_claude_elsewhere() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    let Some(mut job) = Job::start(&mut lab) else { return };
    let claude = job.lab.claude.display().to_string();
    job.lab.sandbox.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    let spec = json!({
        "openapi": "3.0.1",
        "servers": [{"url": job.lab.act.endpoint().replace("/otlp/public/metrics", "")}],
        "paths": {"/otlp/public/metrics": {"post": {
            "parameters": [{"in": "header", "name": "X-Alias-Id", "schema": {"type": "string", "default": "id-ci"}}]
        }}},
        "components": {"schemas": {"Metrics": {"properties": {"providerType": {"const": "CUSTOM_PROVIDER"}}}}}
    });
    job.lab.sandbox.write("billing/act.json", spec.to_string());
    let inputs = [("spec", "act.json"), ("user", "ci@acme.com"), ("token", TOKEN), ("check", "false")];
    let done = job.run(&inputs);
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    assert!(done.out().contains("::warning title=act-claude::no claude on PATH"), "{}", done.out());
    let done = job.run(&[&inputs[..], &[("claude", &claude)]].concat());
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    assert!(!done.out().contains("::warning"), "{}", done.out());
    let lines = std::fs::read_to_string(job.lab.sandbox.root().join("GITHUB_ENV")).unwrap();
    assert!(lines.lines().any(|line| line == format!("ACT_CLAUDE_BIN={claude}")), "{lines}");
    let _ = std::fs::write(job.lab.sandbox.root().join("GITHUB_OUTPUT"), "");
    let done = job.run(&[&inputs[..], &[("claude", &claude)]].concat());
    assert_eq!(done.code(), 0);
    let path = job.between_steps();
    let Some(ours) = claude_code_action(job.lab, &path) else { return };
    lab::assert_reported(&lab, &ours, "ci");
}
