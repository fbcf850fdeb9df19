//! Carries out a plan: the thin layer between decisions and the system.

mod copies;
mod direct;
pub mod launcher;
mod notice;
pub mod relay;
mod relayed;
pub mod report;
pub mod silence;
pub mod summary;
mod unreported;
pub mod verify;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::claude::arguments::{self, Call};
use crate::claude::by_itself::ByItself;
use crate::claude::chain::{Chain, Start};
use crate::claude::settings::{self, Layer};
use crate::claude::{enclosing, locate, switched_off, wrapper};
use crate::config::when::When;
use crate::config::{self, Delivery, Loaded, token};
use crate::launch::child::Ended;
use crate::launch::process::{self, Image};
use crate::launch::supervise::Supervisor;
use crate::plan::flags::Flags;
use crate::plan::line::{self, Line};
use crate::plan::situation::Situation;
use crate::plan::{self, Plan};
use crate::state::{log, outcome};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};

/// Runs claude. Where no claude is found, `answer` may answer `--help` and `--version` in its place.
pub fn run(
    flags: &Flags,
    args: &[OsString],
    mut environment: Environment,
    answer: impl Fn(&OsStr) -> bool,
) -> ExitCode {
    let trusted = enclosing::trusted_environment(&mut environment);
    log::start(&trusted);
    let loaded = config::load(&trusted);
    let claude = match locate::locate(&trusted, &loaded.config) {
        Ok(claude) => claude,
        Err(error) => {
            if arguments::call(args) == Call::Trivial && answer(&args[0]) {
                return ExitCode::SUCCESS;
            }
            report::fatal(&error.message);
            return ExitCode::from(error.code);
        }
    };
    let mut session =
        SessionRun { flags, args, loaded: &loaded, claude: &claude, layers: Vec::new(), trusted: &trusted };
    if arguments::call(args) == Call::Trivial {
        return session.exec(&environment);
    }
    if flags.no_act || switched_off::is_off(&trusted) {
        if flags.verify {
            let off = if flags.no_act { "--no-act" } else { "ACT_CLAUDE=off" };
            report::fatal(&format!("--verify watches what {off} switches off: leave out one of the two"));
            return ExitCode::from(USAGE);
        }
        return match loaded.config.required_by() {
            None => session.exec_without_act(&environment),
            Some(origin) => {
                report::fatal(&plan::not_off(origin));
                ExitCode::from(CONFIGURATION)
            }
        };
    }
    // It gets its directory later, and the alias is decided then.
    if arguments::is_spare(args) && !flags.decides_at_start() {
        return launcher::become_claude(&claude, args, environment, &trusted);
    }
    let directory = std::env::current_dir().unwrap_or_default();
    let situation = Situation::of(flags, args, &trusted, &loaded, &directory);
    let plan = plan::decide(&situation, |source| token::look(source, &trusted));
    session.layers = situation.layers;
    let is_plain = matches!(plan, Plan::Plain { .. });
    let covered = is_plain.then(|| wrapper::covering(&environment, &trusted, &loaded, &session.layers)).flatten();
    session.carry_out(plan, covered.as_ref().unwrap_or(&environment), &directory)
}

/// One run of claude, and what is known of it before claude starts.
struct SessionRun<'a> {
    flags: &'a Flags,
    args: &'a [OsString],
    loaded: &'a Loaded,
    claude: &'a Path,
    layers: Vec<Layer>,
    /// The environment that act-claude obeys; claude gets a different one where another claude encloses this session.
    trusted: &'a Environment,
}

impl SessionRun<'_> {
    /// Goes on without telemetry, which `line` explains.
    fn without(&self, line: Line, environment: &Environment, directory: &Path) -> ExitCode {
        self.carry_out(plan::without(self.loaded, line), environment, directory)
    }

    fn carry_out(&self, mut plan: Plan<'_>, environment: &Environment, directory: &Path) -> ExitCode {
        if let Plan::Plain { lines } | Plan::Run { lines, .. } = &mut plan {
            lines.extend(self.misspelt_report());
            lines.extend(self.misspelt_switch());
        }
        match plan {
            Plan::Refuse { code, message } => {
                tracing::debug!(code, message, "claude does not run");
                self.say_unobserved(None, &[Line::configuration(message)]);
                ExitCode::from(code)
            }
            Plan::Plain { lines } => {
                let itself = ByItself::find(environment, &self.layers);
                let lines = line::beside(lines, itself.as_ref());
                tracing::debug!(?lines, "no telemetry");
                self.plain(None, self.worth_saying(lines, directory), environment)
            }
            Plan::Run { telemetry, lines } => {
                let (claude, delivery) = (self.claude.display(), telemetry.delivery);
                let (account, reason) = (telemetry.choice.account_name, &telemetry.choice.reason);
                tracing::debug!(alias = telemetry.choice.name, account, %reason, ?delivery, %claude, ?lines, "telemetry");
                let lines = self.worth_saying(lines, directory);
                match telemetry.delivery {
                    Delivery::Direct => self.direct(&telemetry, lines, environment, directory),
                    Delivery::Relay => self.relayed(&telemetry, lines, environment, directory),
                }
            }
        }
    }

    /// Runs claude, of which nothing is observed: without telemetry, or with that of `alias`. Where nothing is to be written, claude
    /// replaces this process.
    fn plain(&self, alias: Option<&str>, lines: Vec<Line>, environment: &Environment) -> ExitCode {
        let is_reported = self.when() == When::Json && arguments::call(self.args) == Call::Session;
        if self.flags.verify || is_reported || !lines.is_empty() {
            self.supervise(alias, environment, lines)
        } else {
            self.exec(environment)
        }
    }

    /// The image of claude as our child.
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

    /// Becomes claude, to which the user wants nothing added. Where Claude Code sends metrics by itself, a user at a terminal hears
    /// it first.
    fn exec_without_act(&mut self, environment: &Environment) -> ExitCode {
        let is_heard = report::on_terminal() || self.when() == When::Always;
        if is_heard && arguments::call(self.args) == Call::Session {
            let directory = std::env::current_dir().unwrap_or_default();
            self.layers = settings::read(&directory, self.args, environment);
            let itself = ByItself::find(environment, &self.layers);
            let lines = itself.map(|itself| Line::daily(itself.to_string())).into_iter().collect();
            self.say_before(&self.worth_saying(lines, &directory));
        }
        self.exec(environment)
    }

    fn supervise(&self, alias: Option<&str>, environment: &Environment, mut lines: Vec<Line>) -> ExitCode {
        match self.image_of(self.args, environment).and_then(|image| Supervisor::start(&image)) {
            Ok(mut supervisor) => {
                let ended = supervisor.wait(&mut ());
                lines.extend(self.unreported());
                self.say_unobserved(alias, &lines);
                match ended {
                    // Nothing was sent.
                    Ended::Code(0) if self.flags.verify => ExitCode::from(outcome::NOTHING),
                    _ => ended.repeat(),
                }
            }
            // Lines that are written too early are better than no claude.
            Err(error) if process::is_scarcity(&error) => {
                self.say_unobserved(alias, &lines);
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
