//! Carries a plan out: the thin edge between what was decided and the system.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::ExitCode;
use crate::claude::overlay::{self, Overlay};
use crate::claude::settings::{self, Layer};
use crate::claude::{locate, variables, wrapper};
use crate::cli::{self, Call, Flags, UsageError, When};
use crate::config::{self, Delivery, Loaded};
use crate::environment::Environment;
use crate::history::missed;
use crate::launch::child::Ended;
use crate::launch::process::{self, Image};
use crate::launch::relayed::{self, Relayed};
use crate::launch::supervise::Supervisor;
use crate::outcome::{self, Context, Report};
use crate::plan::{self, Plan, Situation, Telemetry};
use crate::report::{self, Importance, Line};
use crate::resolve::Place;
use crate::verify::{self, Basis, Prepared, others};
use crate::{CONFIGURATION, log, protocol, spool, state, token};

/// Runs claude.
pub fn run(flags: &Flags, args: &[OsString], mut environment: Environment) -> ExitCode {
    variables::restore_originals(&mut environment);
    log::start(&environment);
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
    let mut session = Session { flags, args, loaded: &loaded, claude: &claude, layers: Vec::new() };
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
        if self.flags.verify {
            with.set(variables::LOG_LEVEL, "debug");
            return self.direct_verified(telemetry, lines, environment, &with, directory);
        }
        if cli::call(self.args) == Call::Session {
            let line = Line::notice(format!("{}: sent directly; what ACT answered was not observed", telemetry.name));
            lines.extend(self.worth_saying(vec![line], environment, directory));
        }
        self.plain(lines, &with)
    }

    /// The same with `--verify`: only claude's log can tell.
    fn direct_verified(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        with: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let Some(log) = self.prepared(telemetry, environment, directory) else { return self.plain(lines, with) };
        let start = Instant::now();
        let mut supervisor = match self.image_of(&log.args, with).and_then(|image| Supervisor::start(&image)) {
            Ok(supervisor) => supervisor,
            Err(error) => return self.cannot_start(&error),
        };
        let following = log.follow();
        let ended = supervisor.wait(&mut ());
        let left: Vec<_> = telemetry.conflicts.iter().collect();
        let basis = Basis { whose: telemetry.whose(), conflicts: &left };
        let report = verify::of_log(&following.finish(), &basis, start.elapsed().as_secs_f64());
        lines.extend(self.worth_saying(report.lines.clone(), environment, directory));
        self.say(&report, &lines, environment);
        match ended {
            Ended::Code(0) => ExitCode::from(report.verify_code),
            _ => ended.repeat(),
        }
    }

    /// With `--verify`: names who else reports, and says which log is to be followed.
    fn prepared(&self, telemetry: &Telemetry<'_>, environment: &Environment, directory: &Path) -> Option<Prepared> {
        if !self.flags.verify {
            return None;
        }
        let state = state::directory(environment);
        let others = others::lines(&telemetry.name, &self.loaded.config, self.claude, environment, state.as_deref());
        report::write(&self.worth_saying(others, environment, directory));
        Some(Prepared::new(self.args, directory, environment))
    }

    fn say(&self, report: &Report, lines: &[Line], environment: &Environment) {
        if self.when(environment) == When::Json {
            report::write_json(&report.json);
        } else {
            report::write(lines);
        }
    }

    /// Claude with the relay's loopback endpoint. If there can be no relay there is no telemetry either, never
    /// a fall-back that would put the token into claude's environment.
    fn relayed(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let cannot_start = |error: &std::io::Error| {
            let why = config::plain(error);
            Line::configuration(format!("{}: no telemetry: the relay cannot start ({why})", telemetry.name))
        };
        let prepared = relayed::secret().and_then(|secret| {
            Relayed::prepare(self.relay_start(telemetry, secret, environment, directory), environment)
        });
        let mut relay = match prepared {
            Ok(relay) => relay,
            Err(error) => {
                return self.carry_out(plan::without(self.loaded, cannot_start(&error)), environment, directory);
            }
        };
        let mut with = environment.clone();
        let wrapper = wrapper::own(environment, &self.layers);
        variables::set_relayed(
            &mut with,
            &variables::Relayed {
                endpoint: Some(&relay.endpoint),
                attributes: &telemetry.attributes,
                interval_ms: self.loaded.config.export_interval_ms(),
                wrapper: wrapper.as_deref(),
                token_variables: &self.loaded.config.token_variables(),
                debug: self.flags.verify,
            },
        );
        let overlay = match self.overlay(telemetry, &with, environment, directory) {
            Ok(overlay) => overlay,
            Err(error) => {
                let why = config::plain(&error);
                lines.push(Line::notice(format!("{}: the settings overlay can't be written ({why})", telemetry.name)));
                None
            }
        };
        let log = self.prepared(telemetry, environment, directory);
        let args = log.as_ref().map_or(self.args, |log| &log.args);
        let args = overlay.as_ref().map_or_else(|| args.to_vec(), |overlay| overlay::rewrite(args, overlay.path()));
        let start = Instant::now();
        let mut supervisor = match self.image_of(&args, &with).and_then(|image| Supervisor::start(&image)) {
            Ok(supervisor) => supervisor,
            Err(error) if process::is_scarcity(&error) => {
                drop(relay);
                let why = config::plain(&error);
                let line =
                    Line::configuration(format!("{}: no telemetry: claude cannot be watched ({why})", telemetry.name));
                return self.carry_out(plan::without(self.loaded, line), environment, directory);
            }
            Err(error) => return self.cannot_start(&error),
        };
        relay.watch(supervisor.command());
        tracing::debug!(pid = supervisor.command().as_raw(), overlay = overlay.is_some(), "claude runs");
        let following = log.map(Prepared::follow);
        let ended = supervisor.wait(&mut relay);
        let beaten = overlay.is_some();
        drop(overlay);
        let wait = self.exit_wait(environment);
        tracing::debug!(?ended, ?wait, "claude has gone");
        let answer = relay.outcome(&mut supervisor, wait);
        tracing::debug!(?answer, "the relay's answer");
        let (outcome, failed) = match answer {
            Ok(outcome) => (outcome, None),
            Err(error) => (None, Some(cannot_start(&error))),
        };
        let context = Context {
            alias: &telemetry.name,
            account: telemetry.account_name,
            lasted: start.elapsed(),
            interval: Duration::from_millis(self.loaded.config.export_interval_ms()),
            is_session: cli::call(self.args) == Call::Session,
            verify: self.flags.verify,
        };
        let mut report = outcome::report(outcome.as_ref(), &context);
        if let Some(line) = failed {
            report.lines = vec![line];
        }
        if let Some(following) = following {
            let left = telemetry.conflicts.iter().filter(|conflict| !(beaten && conflict.beatable));
            let basis = Basis { whose: telemetry.whose(), conflicts: &left.collect::<Vec<_>>() };
            verify::extend(&mut report, &following.finish(), &basis);
        }
        lines.extend(self.worth_saying(report.lines.clone(), environment, directory));
        let is_kept = outcome.as_ref().is_some_and(|outcome| outcome.unkept.is_none());
        if report.success && is_kept && !self.flags.verify {
            lines.extend(self.first_success(telemetry, environment, directory));
        }
        lines.extend(self.missed(environment));
        self.say(&report, &lines, environment);
        match ended {
            Ended::Code(0) if self.flags.verify => ExitCode::from(report.verify_code),
            _ => ended.repeat(),
        }
    }

    fn relay_start(
        &self,
        telemetry: &Telemetry<'_>,
        secret: String,
        environment: &Environment,
        directory: &Path,
    ) -> protocol::Start {
        protocol::Start {
            secret,
            route: Some(telemetry.route()),
            redact: self.loaded.config.redact(),
            state: state::directory(environment),
            verify: self.flags.verify,
            directory: directory.to_path_buf(),
            moves: false,
            is_session: cli::call(self.args) == Call::Session,
            claude: self.claude.to_path_buf(),
        }
    }

    /// How long to wait for what is under way once claude has gone.
    fn exit_wait(&self, environment: &Environment) -> Duration {
        let nothing_survives = environment.text("CI").is_some() || nix::unistd::getpid().as_raw() == 1;
        let configured = self.loaded.config.exit_wait_ms.as_ref().map(|wait| wait.value);
        Duration::from_millis(match (self.flags.verify, configured) {
            (true, _) => 30_000,
            (false, Some(wait)) => wait,
            (false, None) if nothing_survives => 5_000,
            (false, None) => 300,
        })
    }

    /// Where to see it in ACT, once for each alias.
    fn first_success(&self, telemetry: &Telemetry<'_>, environment: &Environment, directory: &Path) -> Vec<Line> {
        let line = Line::notice(format!("{}: {}", telemetry.name, outcome::WHERE_IN_ACT));
        let mut lines = self.worth_saying(vec![line], environment, directory);
        let subject = (&telemetry.account.endpoint, &telemetry.alias.id);
        lines.retain(|_| state::directory(environment).is_some_and(|state| state::is_first(&state, subject)));
        lines
    }

    fn when(&self, environment: &Environment) -> When {
        let when = self.flags.report.or_else(|| When::parse(environment.text(When::VARIABLE)?));
        when.or_else(|| self.loaded.config.report.as_ref().map(|report| report.value)).unwrap_or_default()
    }

    /// A value of `ACT_CLAUDE_REPORT` that is none; claude runs all the same, and the next in line decides.
    fn misspelt_report(&self, environment: &Environment) -> Option<Line> {
        let value = environment.text(When::VARIABLE).filter(|value| When::parse(value).is_none())?;
        let error = UsageError::BadValue { flag: When::VARIABLE, value: value.to_owned() };
        self.flags.report.is_none().then(|| Line::configuration(error.to_string()))
    }

    fn worth_saying(&self, mut lines: Vec<Line>, environment: &Environment, directory: &Path) -> Vec<Line> {
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

    /// What failed in the background since someone last looked.
    fn missed(&self, environment: &Environment) -> Vec<Line> {
        let is_wanted = match self.when(environment) {
            When::Always => true,
            When::Auto => report::on_terminal(),
            When::Never | When::Json => false,
        };
        let state = state::directory(environment).filter(|state| is_wanted && state::is_usable(state));
        state.and_then(|state| missed::line(&state, spool::summary)).map(Line::notice).into_iter().collect()
    }

    /// The settings overlay, where one is needed and the user's own `--settings` can be read.
    fn overlay(
        &self,
        telemetry: &Telemetry<'_>,
        with: &Environment,
        environment: &Environment,
        directory: &Path,
    ) -> std::io::Result<Option<Overlay>> {
        let Some(state) = state::directory(environment).filter(|_| telemetry.overlay) else { return Ok(None) };
        let own = match settings::argument_text(directory, self.args, environment) {
            Some(own) => own,
            None if settings::has_argument(self.args) => return Ok(None),
            None => "{}".to_owned(),
        };
        let variables = variables::of_overlay(with, &self.layers, &telemetry.attributes, &telemetry.conflicts);
        let Some(merged) = overlay::merge(&own, &variables) else { return Ok(None) };
        let name = relayed::secret()?;
        Overlay::write(&state, &name[..16], &merged, &own).map(Some)
    }

    fn image(&self, environment: &Environment) -> std::io::Result<Image> {
        self.image_of(self.args, environment)
    }

    fn image_of(&self, args: &[OsString], environment: &Environment) -> std::io::Result<Image> {
        Image::new(self.claude, OsStr::new("claude"), args, environment)
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
        report::fatal(&format!("{}: {}", self.claude.display(), config::plain(error)));
        ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
    }
}
