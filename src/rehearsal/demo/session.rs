//! Runs claude once through act-claude, and reads claude's answer and act-claude's report.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

use super::children::Interrupt;
use super::compare::Used;
use super::sandbox::{DemoDirectory, Sandbox};
use crate::system::environment::Environment;

/// The prompt for claude.
pub const PROMPT: &str = "say hello";

/// A finished launch.
#[derive(Debug)]
pub struct Launch {
    /// act-claude's exit status.
    pub status: ExitStatus,
    /// What claude says it used. `None` where its answer could not be read.
    pub used: Option<Used>,
    /// Claude's reply.
    pub reply: String,
    /// act-claude's report (`--report json`).
    pub report: Option<Value>,
    /// Everything on standard error except the report.
    pub errors: String,
}

impl Launch {
    /// Runs `program`, which is act-claude, in the directory `place`. `None`: a signal interrupted it.
    pub fn run(
        program: &Path,
        place: &DemoDirectory,
        sandbox: &Sandbox,
        environment: &Environment,
        interrupt: &Interrupt,
    ) -> io::Result<Option<Self>> {
        let id = super::uuid()?;
        // Output goes to files, not pipes: a process that keeps a pipe open would delay reading to its end.
        let (out, err) = (sandbox.output("out"), sandbox.output("err"));
        let mut command = Command::new(program);
        command.args(["-p", PROMPT, "--output-format", "json", "--session-id", &id]);
        command.env_clear().envs(environment.iter()).env("ACT_CLAUDE_REPORT", "json");
        command.current_dir(sandbox.directory(place));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
        let Some(status) = interrupt.wait(command.spawn()?)? else { return Ok(None) };
        let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (out, err) = (read(out)?, read(err)?);
        let result = serde_json::from_str(&out).unwrap_or(Value::Null);
        let (report, errors) = split_report(&err);
        Ok(Some(Self {
            status,
            used: Used::read(&result, &id),
            reply: result["result"].as_str().unwrap_or(&out).trim().to_owned(),
            report,
            errors,
        }))
    }

    /// The report as the line that act-claude prints for people.
    pub fn line(&self) -> Option<String> {
        let report = self.report.as_ref()?;
        Some(format!("act-claude: {}: {}", report["alias"].as_str()?, report["text"].as_str()?))
    }
}

/// Splits the report from the other lines. The report is the last line that is a JSON object with an alias.
fn split_report(text: &str) -> (Option<Value>, String) {
    let report = |line: &str| serde_json::from_str::<Value>(line).ok().filter(|value| value["alias"].is_string());
    let found = text.lines().rev().find_map(report);
    let rest: Vec<&str> = text.lines().filter(|line| report(line).is_none()).collect();
    (found, rest.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_told_from_other_lines() {
        let (report, rest) = split_report("a warning\n{\"alias\":\"billing\",\"text\":\"x\"}\n{}\n");
        assert_eq!(report.unwrap()["text"], "x");
        assert_eq!(rest, "a warning\n{}");
        assert_eq!(split_report(""), (None, String::new()));
    }
}
