//! Renders a finding as text and as JSON (pure).

use std::fmt::Write;

use anstyle::Style;
use serde_json::{Value, json};

use super::{Finding, StepState};
use crate::run::summary::WHERE_IN_ACT;
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};

/// Columns before a step's text: "  ok       credential  ".
const INDENT: usize = 24;

impl Finding {
    /// Whether endpoint, token and alias are good.
    pub fn is_good(&self) -> bool {
        self.code == 0
    }

    /// The finding step by step, in lines of `width` columns. The styles are always there: the output stream removes them where a
    /// terminal would not show them.
    pub fn text(&self, width: usize) -> String {
        let mut text = format!("{BOLD}{}{BOLD:#}  account {}\n", self.alias, self.account);
        for step in &self.steps {
            let (style, word) = match step.state {
                StepState::Passed => (GREEN, "ok"),
                StepState::Stopped => (RED, "stopped"),
                StepState::Unclear => (YELLOW, "unclear"),
            };
            let _ = write!(text, "  {style}{word:<7}{style:#}  {:<11}  ", step.name);
            page::hang(
                &mut text,
                INDENT,
                width,
                if step.state == StepState::Passed { DIM } else { Style::new() },
                &step.seen,
            );
        }
        let mut line = |style: Style, words: &str| {
            text.push_str("  ");
            page::hang(&mut text, 2, width, style, words);
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
            None if self.is_good() => {
                line(GREEN, "Endpoint, token and alias are correct.");
                line(Style::new(), WHERE_IN_ACT);
            }
            None => {
                line(YELLOW, "ACT's answers to an empty export do not show the rest. A session shows it:");
                line(Style::new(), &self.session());
            }
        }
        text
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
            StepState::Unclear => "unclear",
        };
        let result = match (self.code, problem) {
            (0, _) => "good",
            (_, None) => "unclear",
            _ => "stopped",
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
            "said": problem.map(|problem| &problem.said),
            "cause": problem.map(|problem| &problem.cause),
            "fix": problem.map(|problem| problem.fix.clone()).or((result == "unclear").then(|| self.session())),
            "exit_status": self.code,
        })
    }
}
