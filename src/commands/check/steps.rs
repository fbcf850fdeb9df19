//! Renders a finding as text and as JSON (pure).

use std::fmt::Write;
use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use super::{Finding, Step, StepState};
use crate::run::summary::WHERE_IN_ACT;
use crate::text::home;
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};

/// Columns before a step's name.
const NAME: usize = 11;
/// Columns before a step's text: "  ok       credential:  ".
const INDENT: usize = 24;

impl Finding {
    /// The steps that no answer decides.
    fn open(&self) -> Vec<&'static str> {
        self.steps.iter().filter(|step| step.state == StepState::Open).map(|step| step.name).collect()
    }

    /// The finding step by step, in lines of `width` columns, with `~` for the home directory. The styles are always there: the
    /// output stream removes them where a terminal would not show them.
    pub fn text(&self, width: usize, home: Option<&Path>) -> String {
        let mut text = format!("{BOLD}{}{BOLD:#}  account {}\n", self.alias, self.account);
        let mut step = |style: Style, word: &str, name: &str, seen: &str| {
            let name = format!("{name}:");
            let _ = write!(text, "  {style}{word:<7}{style:#}  {name:<12} ");
            let style = if style == GREEN { DIM } else { Style::new() };
            page::hang(&mut text, INDENT, width, style, &home::shortened(seen, home));
        };
        for Step { name, state, seen } in &self.steps {
            match state {
                StepState::Passed => step(GREEN, "ok", name, seen),
                StepState::Stopped => step(RED, "stopped", name, seen),
                StepState::Open => {}
            }
        }
        let open = self.open();
        if !open.is_empty() {
            let words = format!("{}: {}", open.join(", "), self.question());
            let _ = write!(text, "  {YELLOW}?{YELLOW:#}        ");
            page::hang(&mut text, NAME, width, Style::new(), &home::shortened(&words, home));
        }
        let mut line = |style: Style, words: &str| {
            text.push_str("  ");
            page::hang(&mut text, 2, width, style, &home::shortened(words, home));
        };
        match &self.problem {
            Some(problem) => {
                if !problem.cause.is_empty() {
                    line(RED, &format!("{}.", problem.cause.trim_end_matches('.')));
                }
                if !problem.fix.is_empty() {
                    line(Style::new(), &format!("fix: {}", problem.fix));
                }
            }
            None if open.is_empty() => {
                line(GREEN, "Endpoint, token and alias are correct.");
                line(Style::new(), WHERE_IN_ACT);
            }
            None => {}
        }
        text
    }

    /// What is not known about the open steps, and how to find out.
    fn question(&self) -> String {
        let it = if self.open().len() > 1 { "them" } else { "it" };
        let shown = match &self.problem {
            Some(_) => format!("ACT's answers do not show {it}"),
            None => format!("a session shows {it}: {}", self.session()),
        };
        if self.unproven.is_empty() { shown } else { format!("{}; {shown}", self.unproven) }
    }

    /// The command that shows what a check can't: a session with `--verify`.
    fn session(&self) -> String {
        format!("act-claude --alias {} --verify -p hi", crate::text::shell::shell_word(self.alias.as_ref()))
    }

    /// The finding as JSON.
    pub fn json(&self) -> Value {
        let problem = self.problem.as_ref();
        let state = |state| match state {
            StepState::Passed => "ok",
            StepState::Stopped => "stopped",
            StepState::Open => "unclear",
        };
        let open = self.open();
        let result = match problem {
            Some(_) => "stopped",
            None if open.is_empty() => "good",
            None => "unclear",
        };
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| json!({ "step": step.name, "state": state(step.state), "seen": step.seen }))
            .collect();
        json!({
            "alias": self.alias,
            "account": self.account,
            "endpoint": self.endpoint,
            "result": result,
            "steps": steps,
            "open": open,
            "unproven": (!self.unproven.is_empty()).then_some(&self.unproven),
            "said": problem.map(|problem| &problem.said),
            "cause": problem.map(|problem| &problem.cause),
            "fix": problem.map(|problem| problem.fix.clone()).or((result == "unclear").then(|| self.session())),
            "exit_status": self.code,
        })
    }
}
