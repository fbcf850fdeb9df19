//! Carries a plan out: the thin edge between what was decided and the system.

mod direct;
pub mod launcher;
mod missed;
pub mod relay;
mod relayed;
pub mod report;
pub mod silence;
pub mod summary;
pub mod verify;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::claude::arguments::{self, Call};
use crate::claude::chain::{Chain, Start};
use crate::claude::settings::{self, Layer};
use crate::claude::{locate, variables, wrapper};
use crate::config::resolve::Place;
use crate::config::{self, Delivery, Loaded};
use crate::launch::child::Ended;
use crate::launch::process::{self, Image};
use crate::launch::supervise::Supervisor;
use crate::plan::flags::Flags;
use crate::plan::line::Line;
use crate::plan::{self, Plan, Situation};
use crate::state::{log, outcome};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode};

/// Runs claude. Where there is none, `answer` may answer `--help` and `--version` in its place.
pub fn run(
    flags: &Flags,
    args: &[OsString],
    mut environment: Environment,
    answer: impl Fn(&OsStr) -> bool,
) -> ExitCode {
    variables::restore_originals(&mut environment);
    log::start(&environment);
    let loaded = config::load(&environment);
    let claude = match locate::locate(&environment, &loaded.config) {
        Ok(claude) => claude,
        Err(error) => {
            if arguments::call(args) == Call::Trivial && answer(&args[0]) {
                return ExitCode::SUCCESS;
            }
            report::fatal(&error.message);
            return ExitCode::from(error.code);
        }
    };
    let mut session = Session { flags, args, loaded: &loaded, claude: &claude, layers: Vec::new() };
    if arguments::call(args) == Call::Trivial {
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
    session.layers = settings::read(&directory, args, &environment);
    let plan = plan::decide(&Situation {
        flags,
        args,
        environment: &environment,
        loaded: &loaded,
        directory: &directory,
        place: &place,
        layers: &session.layers,
    });
    let covered =
        matches!(plan, Plan::Plain { .. }).then(|| wrapper::covering(&environment, &loaded, &session.layers)).flatten();
    session.carry_out(plan, covered.as_ref().unwrap_or(&environment), &directory)
}

struct Session<'a> {
    flags: &'a Flags,
    args: &'a [OsString],
    loaded: &'a Loaded,
    claude: &'a Path,
    layers: Vec<Layer>,
}

impl Session<'_> {
    fn carry_out(&self, mut plan: Plan<'_>, environment: &Environment, directory: &Path) -> ExitCode {
        if let Plan::Plain { lines } | Plan::Run { lines, .. } = &mut plan {
            lines.extend(self.misspelt_report(environment));
        }
        match plan {
            Plan::Refuse { code, message } => {
                tracing::debug!(code, message, "claude does not run");
                report::fatal(&message);
                ExitCode::from(code)
            }
            Plan::Plain { lines } => {
                tracing::debug!(?lines, "no telemetry");
                self.plain(self.worth_saying(lines, environment, directory), environment)
            }
            Plan::Run { telemetry, lines } => {
                let (claude, delivery) = (self.claude.display(), telemetry.delivery);
                let (account, reason) = (telemetry.account_name, &telemetry.reason);
                tracing::debug!(alias = telemetry.name, account, %reason, ?delivery, %claude, ?lines, "telemetry");
                let lines = self.worth_saying(lines, environment, directory);
                match telemetry.delivery {
                    Delivery::Direct => self.direct(&telemetry, lines, environment, directory),
                    Delivery::Relay => self.relayed(&telemetry, lines, environment, directory),
                }
            }
        }
    }

    /// Claude without telemetry. With nothing to say there is nothing to stay for.
    fn plain(&self, lines: Vec<Line>, environment: &Environment) -> ExitCode {
        let stays = self.flags.verify || !lines.is_empty();
        if stays { self.supervise(environment, || lines) } else { self.exec(environment) }
    }

    /// Claude as a child of ours.
    fn image_of(&self, args: &[OsString], environment: &Environment) -> std::io::Result<Image> {
        self.image(args, environment, Start::Child)
    }

    fn image(&self, args: &[OsString], environment: &Environment, start: fn(i32) -> Start) -> std::io::Result<Image> {
        let start = start(nix::unistd::getpid().as_raw());
        let environment = Chain::here(environment).handed_on(environment, self.claude, start);
        Image::new(self.claude, OsStr::new("claude"), args, &environment)
    }

    fn exec(&self, environment: &Environment) -> ExitCode {
        match self.image(self.args, environment, Start::Exec) {
            Ok(image) => self.cannot_start(&image.exec()),
            Err(error) => self.cannot_start(&error),
        }
    }

    fn supervise(&self, environment: &Environment, lines: impl FnOnce() -> Vec<Line>) -> ExitCode {
        match self.image_of(self.args, environment).and_then(|image| Supervisor::start(&image)) {
            Ok(mut supervisor) => {
                let ended = supervisor.wait(&mut ());
                report::write(&[lines(), self.missed(environment)].concat());
                match ended {
                    // Nothing was sent.
                    Ended::Code(0) if self.flags.verify => ExitCode::from(outcome::NOTHING),
                    _ => ended.repeat(),
                }
            }
            // Better early words than no claude.
            Err(error) if process::is_scarcity(&error) => {
                report::write(&lines());
                self.exec(environment)
            }
            Err(error) => self.cannot_start(&error),
        }
    }

    fn cannot_start(&self, error: &std::io::Error) -> ExitCode {
        report::fatal(&format!("{}: {}", self.claude.display(), plain(error)));
        ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
    }
}
