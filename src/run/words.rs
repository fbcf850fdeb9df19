//! The lines around a session, and where they are written.

use std::path::Path;

use serde_json::{Value, json};

use super::SessionRun;
use crate::claude::switched_off;
use crate::claude::version::{self, Version};
use crate::config::typed::secret::quoted;
use crate::config::when::When;
use crate::plan::Telemetry;
use crate::plan::flags::UsageError;
use crate::plan::line::{Importance, Line};
use crate::run::summary::Report;
use crate::run::verify::{Prepared, others};
use crate::run::{report, unreported};
use crate::state::outcome::{Problem, State};
use crate::state::{self, spool};
use crate::system::environment::Environment;

impl SessionRun<'_> {
    pub(super) fn say(&self, report: &Report, lines: &[Line]) {
        if self.when() == When::Json {
            let mut json = report.json.clone();
            json["messages"] = messages(lines.iter().filter(|line| !report.lines.contains(line)));
            report::write_json(json);
        } else {
            report::write(lines);
        }
    }

    /// Says what there is to say of a session that nobody has observed, of alias `alias`, or without telemetry.
    pub(super) fn say_unobserved(&self, alias: Option<&str>, lines: &[Line]) {
        if self.when() == When::Json {
            let state = alias.map(|_| State::NotObserved);
            report::write_json(json!({"alias": alias, "state": state, "messages": messages(lines.iter())}));
        } else {
            report::write(lines);
        }
    }

    /// Writes lines before there is a report. As JSON there is one object, at the end.
    pub(super) fn say_before(&self, lines: &[Line]) {
        if self.when() != When::Json {
            report::write(lines);
        }
    }

    pub(super) fn when(&self) -> When {
        let when = self.flags.report.or_else(|| When::parse(self.trusted.text(When::VARIABLE)?));
        when.or_else(|| self.loaded.config.report.as_ref().map(|report| report.value)).unwrap_or_default()
    }

    /// An invalid value of `ACT_CLAUDE_REPORT`; claude runs all the same, and the next source decides.
    pub(super) fn misspelt_report(&self) -> Option<Line> {
        let value = self.trusted.text(When::VARIABLE).filter(|value| When::parse(value).is_none())?;
        let error = UsageError::BadValue { flag: When::VARIABLE, value: value.to_owned() };
        self.flags.report.is_none().then(|| Line::configuration(error.to_string()))
    }

    /// A value of `ACT_CLAUDE` that means nothing: the user may think that telemetry is off.
    pub(super) fn misspelt_switch(&self) -> Option<Line> {
        let value = quoted(switched_off::unknown(self.trusted)?);
        let name = switched_off::VARIABLE;
        Some(Line::configuration(format!(
            "{name} is {value}, which means nothing; to switch telemetry off: {name}=off"
        )))
    }

    pub(super) fn worth_saying(&self, lines: Vec<Line>, directory: &Path) -> Vec<Line> {
        let when = match self.when() {
            // The user has asked for them, so they are written everywhere.
            When::Auto if self.flags.verify => When::Always,
            when => when,
        };
        let state = state::directory(self.trusted);
        report::select(lines, when, report::on_terminal(), report::due_in(state.as_deref(), directory))
    }

    /// Makes a report that nothing arrived more important where the reason is known: it is written at a terminal each time,
    /// elsewhere once a day for each reason.
    pub(super) fn raise_importance(&self, report: &mut Report, cause: Option<&Problem>) {
        let Some(cause) = cause else { return };
        let is_asked = self.when() == When::Auto && !self.flags.verify;
        let state = state::directory(self.trusted);
        if report::on_terminal() || (is_asked && report::due_in(state.as_deref(), Path::new(""))(&cause.said)) {
            report.lines.iter_mut().for_each(|line| line.importance = Importance::Action);
        }
    }

    /// Failures in the background that were not reported yet.
    pub(super) fn unreported(&self) -> Vec<Line> {
        let is_wanted = match self.when() {
            When::Always => true,
            When::Auto => report::on_terminal(),
            When::Never | When::Json => false,
        };
        let state = state::directory(self.trusted).filter(|state| is_wanted && state::is_usable(state));
        state
            .and_then(|state| unreported::line(&state, |state| spool::summary(state, &mut |_| None)))
            .map(Line::notice)
            .into_iter()
            .collect()
    }

    /// With `--verify`: names the other processes, and finds the log to follow.
    pub(super) fn prepared(
        &self,
        telemetry: &Telemetry<'_>,
        environment: &Environment,
        directory: &Path,
    ) -> Option<Prepared> {
        if !self.flags.verify {
            return None;
        }
        let state = state::directory(self.trusted);
        let others =
            others::lines(telemetry.choice.name, &self.loaded.config, self.claude, self.trusted, state.as_deref());
        self.say_before(&self.worth_saying(others, directory));
        Some(Prepared::new(self.args, directory, environment, self.client()))
    }

    /// Claude's version, where it is known.
    pub(super) fn client(&self) -> Option<Version> {
        version::of(self.claude, state::directory(self.trusted).as_deref())
    }
}

fn messages<'a>(lines: impl Iterator<Item = &'a Line>) -> Value {
    lines.map(|line| line.text.as_str()).collect()
}
