//! Direct delivery: claude gets the documented variables, including the token, and sends its exports itself.

use std::path::Path;
use std::time::Instant;

use super::SessionRun;
use crate::claude::arguments::{self, Call};
use crate::claude::variables;
use crate::config::token;
use crate::launch::child::Ended;
use crate::launch::supervise::Supervisor;
use crate::plan::Telemetry;
use crate::plan::line::Line;
use crate::run::verify::{self, Basis};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;

impl SessionRun<'_> {
    /// Runs claude with the documented variables.
    pub(super) fn direct(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let token = match token::fetch(&telemetry.choice.account.token, self.trusted)
            .map_err(|error| error.of(telemetry.choice.account_name))
        {
            Ok(token) => token,
            Err(error) => {
                let line = Line::configuration(format!("{}: no telemetry: {error}", telemetry.choice.name));
                return self.without(line, environment, directory);
            }
        };
        let mut with = environment.clone();
        variables::set_direct(
            &mut with,
            telemetry.choice.account,
            telemetry.choice.alias,
            &telemetry.choice.attributes,
            &token.authorization(&telemetry.choice.account.user),
            self.loaded.config.export_interval_ms(),
        );
        if self.flags.verify {
            with.set(variables::LOG_LEVEL, "debug");
            return self.direct_verified(telemetry, lines, environment, &with, directory);
        }
        if arguments::call(self.args) == Call::Session {
            let line =
                Line::notice(format!("{}: sent directly; ACT's answers were not observed", telemetry.choice.name));
            lines.extend(self.worth_saying(vec![line], directory));
        }
        self.plain(Some(telemetry.choice.name), lines, &with)
    }

    /// Direct delivery with `--verify`: only claude's log shows the result.
    fn direct_verified(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        with: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let Some(log) = self.prepared(telemetry, environment, directory) else {
            return self.plain(Some(telemetry.choice.name), lines, with);
        };
        let start = Instant::now();
        let mut supervisor = match self.image_of(&log.args, with).and_then(|image| Supervisor::start(&image)) {
            Ok(supervisor) => supervisor,
            Err(error) => return self.cannot_start(&error),
        };
        let following = log.follow();
        let ended = supervisor.wait(&mut ());
        let left: Vec<_> = telemetry.conflicts.iter().collect();
        let basis = Basis { whose: telemetry.choice.whose(), conflicts: &left };
        let report = verify::of_log(&following.finish(), &basis, start.elapsed().as_secs_f64());
        lines.extend(self.worth_saying(report.lines.clone(), directory));
        self.say(&report, &lines);
        match ended {
            Ended::Code(0) => ExitCode::from(report.verify_code),
            _ => ended.repeat(),
        }
    }
}
