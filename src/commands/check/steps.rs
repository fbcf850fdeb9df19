//! Renders a finding as text and as JSON (pure).

use std::fmt::Write;
use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use super::{Checked, Finding, Step, StepState};
use crate::run::summary::WHERE_IN_ACT;
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};
use crate::text::table::{MARK, Table, cell, styled, words};
use crate::text::{command, home};

impl Finding {
    /// The steps that no answer decides.
    fn open(&self) -> Vec<&'static str> {
        self.steps.iter().filter(|step| step.state == StepState::Open).map(|step| step.name).collect()
    }

    /// The finding step by step, in lines of `width` columns, with `~` for the home directory. `is_here`: the alias is that of this
    /// directory. The styles are always there: the output stream removes them where a terminal would not show them.
    pub fn text(&self, width: usize, home: Option<&Path>, is_here: bool) -> String {
        let mark = if is_here { format!("{MARK} ") } else { String::new() };
        let mut text = String::new();
        page::hang(&mut text, 2, width, BOLD, &format!("{mark}{}", self.title()));
        text.push_str(&self.table(home).text(width));
        let shown = |words: &str| home::shortened(words, home);
        match &self.problem {
            Some(problem) => {
                if !problem.cause.is_empty() {
                    let cause = format!("{}.", problem.cause.trim_end_matches('.'));
                    page::hang(&mut text, 2, width, RED, &shown(&cause));
                }
                if !problem.fix.is_empty() {
                    command::hang(&mut text, 2, width, Style::new(), &shown(&format!("fix: {}", problem.fix)));
                }
            }
            None if self.open().is_empty() => match self.checked {
                Checked::Alias { .. } => {
                    page::hang(&mut text, 2, width, GREEN, "Endpoint, token and alias are correct.");
                    page::hang(&mut text, 2, width, Style::new(), WHERE_IN_ACT);
                }
                Checked::Copy { .. } => page::hang(&mut text, 2, width, GREEN, "Copies are accepted there."),
            },
            None => {
                // On a line of its own, and never wrapped: so it can be copied.
                let it = if self.open().len() > 1 { "them" } else { "it" };
                page::hang(&mut text, 2, width, Style::new(), &format!("a session shows {it}:"));
                let _ = writeln!(text, "  {}", page::visible(&self.session()));
            }
        }
        text
    }

    fn title(&self) -> String {
        match &self.checked {
            Checked::Alias { name, account } => format!("{name}  account {account}"),
            Checked::Copy { name, .. } if name.is_empty() => "copies".to_owned(),
            Checked::Copy { name, aliases } if aliases.is_empty() => format!("copy {name}"),
            Checked::Copy { name, aliases } => format!("copy {name}  of {}", aliases.join(", ")),
        }
    }

    /// The steps, and in the last row all that no answer decides.
    fn table(&self, home: Option<&Path>) -> Table<3> {
        let mut table = Table::new(["Step", "State", "What was seen"].map(words));
        for Step { name, state, seen } in &self.steps {
            let (style, word, seen_style) = match state {
                StepState::Passed => (GREEN, "ok", DIM),
                StepState::Stopped => (RED, "stopped", Style::new()),
                StepState::Open => continue,
            };
            let seen = styled(home::shortened(seen, home), seen_style);
            table.row(false, [cell(name), styled(word, style), seen]);
        }
        let open = self.open();
        if !open.is_empty() {
            let seen = cell(home::shortened(&self.question(), home));
            table.row(false, [cell(open.join(", ")), styled("?", YELLOW), seen]);
        }
        table
    }

    /// Why the open steps are not known.
    fn question(&self) -> String {
        let it = if self.open().len() > 1 { "them" } else { "it" };
        match (&self.problem, self.unproven.is_empty()) {
            (_, true) => format!("ACT's answers do not show {it}"),
            (Some(_), false) => format!("{}; ACT's answers do not show {it}", self.unproven),
            (None, false) => self.unproven.clone(),
        }
    }

    /// The command that shows what a check can't: a session with `--verify`.
    fn session(&self) -> String {
        let alias = match &self.checked {
            Checked::Alias { name, .. } => name,
            Checked::Copy { aliases, .. } => aliases.first().map_or("", String::as_str),
        };
        format!("act-claude --alias {} --verify -p hi", crate::text::shell::shell_word(alias.as_ref()))
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
        let mut value = match &self.checked {
            Checked::Alias { name, account } => json!({ "alias": name, "account": account }),
            Checked::Copy { name, aliases } => json!({ "copy": name, "aliases": aliases }),
        };
        let found = json!({
            "endpoint": (!self.endpoint.is_empty()).then_some(&self.endpoint),
            "result": result,
            "steps": steps,
            "open": open,
            "unproven": (!self.unproven.is_empty()).then_some(&self.unproven),
            "said": problem.map(|problem| &problem.said),
            "cause": problem.map(|problem| &problem.cause),
            "fix": problem.map(|problem| problem.fix.clone()).or((result == "unclear").then(|| self.session())),
            "exit_status": self.code,
        });
        if let (Value::Object(value), Value::Object(found)) = (&mut value, found) {
            value.extend(found);
        }
        value
    }
}
