//! What is said around a session, and where.

use std::path::Path;

use super::Session;
use crate::config::when::When;
use crate::plan::Telemetry;
use crate::plan::flags::UsageError;
use crate::plan::line::{Importance, Line};
use crate::run::summary::Report;
use crate::run::verify::{Prepared, others};
use crate::run::{missed, report};
use crate::state::outcome::Trouble;
use crate::state::{self, spool};
use crate::system::environment::Environment;

impl Session<'_> {
    pub(super) fn say(&self, report: &Report, lines: &[Line], environment: &Environment) {
        if self.when(environment) == When::Json {
            report::write_json(&report.json);
        } else {
            report::write(lines);
        }
    }

    pub(super) fn when(&self, environment: &Environment) -> When {
        let when = self.flags.report.or_else(|| When::parse(environment.text(When::VARIABLE)?));
        when.or_else(|| self.loaded.config.report.as_ref().map(|report| report.value)).unwrap_or_default()
    }

    /// A value of `ACT_CLAUDE_REPORT` that is none; claude runs all the same, and the next in line decides.
    pub(super) fn misspelt_report(&self, environment: &Environment) -> Option<Line> {
        let value = environment.text(When::VARIABLE).filter(|value| When::parse(value).is_none())?;
        let error = UsageError::BadValue { flag: When::VARIABLE, value: value.to_owned() };
        self.flags.report.is_none().then(|| Line::configuration(error.to_string()))
    }

    pub(super) fn worth_saying(&self, mut lines: Vec<Line>, environment: &Environment, directory: &Path) -> Vec<Line> {
        if self.flags.verify {
            // Asked for, so said everywhere.
            lines.iter_mut().for_each(|line| line.importance = Importance::Action);
        }
        let state = state::directory(environment);
        report::select(
            lines,
            self.when(environment),
            report::on_terminal(),
            report::due_in(state.as_deref(), directory),
        )
    }

    /// Nothing arrived, and why is known: at a terminal that is said each time, elsewhere once a day for each cause.
    pub(super) fn weigh(&self, report: &mut Report, cause: Option<&Trouble>, environment: &Environment) {
        let Some(cause) = cause else { return };
        let is_asked = self.when(environment) == When::Auto && !self.flags.verify;
        let state = state::directory(environment);
        if report::on_terminal() || (is_asked && report::due_in(state.as_deref(), Path::new(""))(&cause.said)) {
            report.lines.iter_mut().for_each(|line| line.importance = Importance::Action);
        }
    }

    /// What failed in the background since someone last looked.
    pub(super) fn missed(&self, environment: &Environment) -> Vec<Line> {
        let is_wanted = match self.when(environment) {
            When::Always => true,
            When::Auto => report::on_terminal(),
            When::Never | When::Json => false,
        };
        let state = state::directory(environment).filter(|state| is_wanted && state::is_usable(state));
        state.and_then(|state| missed::line(&state, spool::summary)).map(Line::notice).into_iter().collect()
    }

    /// With `--verify`: names who else reports, and says which log is to be followed.
    pub(super) fn prepared(
        &self,
        telemetry: &Telemetry<'_>,
        environment: &Environment,
        directory: &Path,
    ) -> Option<Prepared> {
        if !self.flags.verify {
            return None;
        }
        let state = state::directory(environment);
        let others = others::lines(&telemetry.name, &self.loaded.config, self.claude, environment, state.as_deref());
        report::write(&self.worth_saying(others, environment, directory));
        Some(Prepared::new(self.args, directory, environment))
    }
}
