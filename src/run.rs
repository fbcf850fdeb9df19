//! Carries a plan out: the thin edge between what was decided and the system.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use crate::claude::{locate, settings, variables};
use crate::cli::{self, Call, Flags, When};
use crate::config::{self, Delivery, Loaded};
use crate::environment::Environment;
use crate::launch::process::Image;
use crate::launch::supervise::Supervisor;
use crate::plan::{self, Plan, Situation, Telemetry};
use crate::report::{self, Line};
use crate::resolve::Place;
use crate::{CONFIGURATION, state, token};

/// Runs claude.
pub fn run(flags: &Flags, args: &[OsString], mut environment: Environment) -> ExitCode {
    variables::restore_originals(&mut environment);
    let loaded = config::load(&environment);
    let claude = match locate::locate(&environment, &loaded.config) {
        Ok(claude) => claude,
        Err(error) => {
            if cli::call(args) == Call::Trivial && crate::act::answer(&args[0]) {
                return ExitCode::SUCCESS;
            }
            report::fatal(&error.message);
            return ExitCode::from(error.code);
        }
    };
    let session = Session { flags, args, loaded: &loaded, claude: &claude };
    if cli::call(args) == Call::Trivial {
        return session.exec(&environment);
    }
    if flags.no_act || environment.get("ACT_CLAUDE").is_some_and(|value| value == "off") {
        return match loaded.config.required_by() {
            None => session.exec(&environment),
            Some(origin) => {
                report::fatal(&format!("telemetry can't be switched off: it is required by {origin}"));
                ExitCode::from(CONFIGURATION)
            }
        };
    }
    let directory = std::env::current_dir().unwrap_or_default();
    let place = Place::of(&directory, &environment, &loaded.config);
    let layers = settings::read(&directory, args, &environment);
    let plan = plan::decide(&Situation {
        flags,
        args,
        environment: &environment,
        loaded: &loaded,
        directory: &directory,
        place: &place,
        layers: &layers,
    });
    session.carry_out(plan, &environment, &directory)
}

/// The launcher form: `act-claude /abs/path/to/claude …`.
pub fn launcher(claude: &Path, args: &[OsString], mut environment: Environment) -> ExitCode {
    variables::restore_originals(&mut environment);
    let loaded = config::load(&environment);
    Session { flags: &Flags::default(), args, loaded: &loaded, claude }.exec(&environment)
}

struct Session<'a> {
    flags: &'a Flags,
    args: &'a [OsString],
    loaded: &'a Loaded,
    claude: &'a Path,
}

impl Session<'_> {
    fn carry_out(&self, plan: Plan<'_>, environment: &Environment, directory: &Path) -> ExitCode {
        match plan {
            Plan::Refuse { code, message } => {
                report::fatal(&message);
                ExitCode::from(code)
            }
            Plan::Plain { lines } => self.plain(self.worth_saying(lines, environment, directory), environment),
            Plan::Run { telemetry, lines } => {
                let lines = self.worth_saying(lines, environment, directory);
                match telemetry.delivery {
                    Delivery::Direct => self.direct(&telemetry, lines, environment, directory),
                    Delivery::Relay => self.direct(&telemetry, lines, environment, directory),
                }
            }
        }
    }

    /// Claude without telemetry. With nothing to say there is nothing to stay for.
    fn plain(&self, lines: Vec<Line>, environment: &Environment) -> ExitCode {
        if lines.is_empty() { self.exec(environment) } else { self.supervise(environment, || lines) }
    }

    /// Claude with the documented variables.
    fn direct(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let token = match token::fetch(&telemetry.account.token, environment) {
            Ok(token) => token,
            Err(error) => {
                let line = Line::configuration(format!("{}: no telemetry: {error}", telemetry.name));
                return self.carry_out(plan::without(self.loaded, line), environment, directory);
            }
        };
        let mut with = environment.clone();
        variables::set_direct(
            &mut with,
            telemetry.account,
            telemetry.alias,
            &telemetry.attributes,
            &token.authorization(&telemetry.account.user),
            self.loaded.config.export_interval_ms(),
        );
        if cli::call(self.args) == Call::Session {
            let line = Line::notice(format!("{}: sent directly; what ACT answered was not observed", telemetry.name));
            lines.extend(self.worth_saying(vec![line], environment, directory));
        }
        self.plain(lines, &with)
    }

    fn worth_saying(&self, lines: Vec<Line>, environment: &Environment, directory: &Path) -> Vec<Line> {
        let when = self.flags.report.or_else(|| When::parse(environment.text("ACT_CLAUDE_REPORT")?));
        let when = when.or_else(|| self.loaded.config.report.as_ref().map(|report| report.value)).unwrap_or_default();
        let state = state::directory(environment);
        report::select(lines, when, report::on_terminal(), report::due_in(state.as_deref(), directory))
    }

    fn image(&self, environment: &Environment) -> std::io::Result<Image> {
        Image::new(self.claude, OsStr::new("claude"), self.args, environment)
    }

    fn exec(&self, environment: &Environment) -> ExitCode {
        match self.image(environment) {
            Ok(image) => self.cannot_start(&image.exec()),
            Err(error) => self.cannot_start(&error),
        }
    }

    fn supervise(&self, environment: &Environment, lines: impl FnOnce() -> Vec<Line>) -> ExitCode {
        match self.image(environment).and_then(|image| Supervisor::start(&image)) {
            Ok(mut supervisor) => {
                let ended = supervisor.wait();
                report::write(&lines());
                ended.repeat()
            }
            Err(error) => self.cannot_start(&error),
        }
    }

    fn cannot_start(&self, error: &std::io::Error) -> ExitCode {
        report::fatal(&format!("{}: {}", self.claude.display(), config::plain(error)));
        ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
    }
}
