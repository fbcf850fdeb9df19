//! Delivery through the relay: claude has a loopback endpoint and no token.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{SessionRun, notice};
use crate::claude::arguments::{self, Call};
use crate::claude::conflict::{Conflict, Effect};
use crate::claude::metrics::Usage;
use crate::claude::overlay::{self, Overlay};
use crate::claude::settings::argument::{self, Argument};
use crate::claude::{network, variables, wrapper};
use crate::delivery::cause;
use crate::launch::child::Ended;
use crate::launch::process;
use crate::launch::supervise::Supervisor;
use crate::plan::Telemetry;
use crate::plan::line::Line;
use crate::relay::protocol::{self, Answer, ExpectedExport};
use crate::run::relay::{self, Relayed};
use crate::run::silence::{self, End};
use crate::run::summary::{self, Context, Report};
use crate::run::verify::{self, Basis, Evidence, Following, Prepared};
use crate::state::outcome::State;
use crate::state::{self, record};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::ExitCode;

/// The facts that are known once claude has ended.
struct EndedSession<'a> {
    /// Its id, where a relay has begun it.
    id: Option<String>,
    lasted: Duration,
    /// Conflicts that no overlay overrides.
    left: Vec<&'a Conflict>,
    silence: silence::Silence,
    /// The evidence of claude's log, with `--verify`.
    evidence: Option<Evidence>,
}

/// The session's id, where a relay has begun it. One that did not answer has left it in the journal.
fn session_id(answer: &std::io::Result<Option<Answer>>, relay: &Relayed<'_>) -> Option<String> {
    match answer {
        Ok(Some(answer)) => answer.session.clone(),
        Ok(None) => relay.session(),
        Err(_) => None,
    }
}

fn relay_cannot_start(telemetry: &Telemetry<'_>, error: &std::io::Error) -> Line {
    let problem = cause::unstarted(error);
    let fix = if problem.fix.is_empty() { String::new() } else { format!(". {}: {}", problem.cause, problem.fix) };
    Line::configuration(format!("{}: {}{fix}", telemetry.name, problem.said))
}

fn no_overlay(telemetry: &Telemetry<'_>, error: &std::io::Error) -> Line {
    let mend = "act-claude act doctor names the settings that conflict";
    Line::notice(format!("{}: no settings overlay ({}): {mend}", telemetry.name, plain(error)))
}

impl SessionRun<'_> {
    /// Runs claude with the relay's loopback endpoint. Where there can be no relay, there is no telemetry either: any fall-back
    /// would put the token into claude's environment.
    pub(super) fn relayed(
        &self,
        telemetry: &Telemetry<'_>,
        mut lines: Vec<Line>,
        environment: &Environment,
        directory: &Path,
    ) -> ExitCode {
        let prepared = relay::secret()
            .and_then(|secret| Relayed::prepare(self.relay_start(telemetry, secret, directory), self.trusted));
        let mut relay = match prepared {
            Ok(relay) => relay,
            Err(error) => return self.without(relay_cannot_start(telemetry, &error), environment, directory),
        };
        let with = self.variables(telemetry, &relay.endpoint, environment);
        let overlay = match self.overlay(telemetry, &with, directory) {
            Ok(overlay) => overlay,
            Err(error) => {
                let line = no_overlay(telemetry, &error);
                // Without an overlay, these settings keep exports from the relay.
                let is_needed = telemetry.conflicts.iter().any(Conflict::is_certain);
                if is_needed && self.loaded.config.required_by().is_some() {
                    return self.without(line, environment, directory);
                }
                lines.push(line);
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
                let why = plain(&error);
                let line = Line::configuration(format!(
                    "{}: no telemetry: claude cannot be watched ({why}): ulimit -a shows the limits",
                    telemetry.name
                ));
                return self.without(line, environment, directory);
            }
            Err(error) => return self.cannot_start(&error),
        };
        relay.watch(supervisor.command());
        tracing::debug!(pid = supervisor.command().as_raw(), overlay = overlay.is_some(), "claude runs");
        let following = log.map(Prepared::follow);
        let ended = supervisor.wait(&mut relay);
        let lasted = start.elapsed();
        let left = silence::remaining(&telemetry.conflicts, overlay.is_some());
        // From now on the overlay's file holds only the user's own settings: claude's resume hint names it.
        drop(overlay);
        let silence = self.silence(ended, lasted, &left);
        let wait = self.exit_wait();
        tracing::debug!(?ended, ?wait, ?silence, "claude has ended");
        let owed = silence.owed.then(|| ExpectedExport { cause: silence.cause.clone() });
        let answer = relay.outcome(&mut supervisor, wait, owed);
        tracing::debug!(?answer, "the relay's answer");
        self.note_lost_relay(&answer, &relay);
        let evidence = following.map(Following::finish);
        let id = session_id(&answer, &relay);
        self.note_log(id.as_deref(), evidence.as_ref());
        let session = EndedSession { id, lasted, left, silence, evidence };
        let report = self.relay_report(telemetry, answer, lines, session, directory);
        match ended {
            Ended::Code(0) if self.flags.verify => ExitCode::from(report.verify_code),
            _ => ended.repeat(),
        }
    }

    /// Later, `act logs` finds claude's debug log by the session's id.
    fn note_log(&self, id: Option<&str>, evidence: Option<&Evidence>) {
        if let (Some(state), Some(id), Some(log)) =
            (state::directory(self.trusted), id, evidence.and_then(|evidence| evidence.path.as_deref()))
        {
            record::log::note(&state, id, log);
        }
    }

    /// No later run has to name a session whose relay was not replaced: its record has no end, but this report says what
    /// happened. A report that an application gets may reach nobody.
    fn note_lost_relay(&self, answer: &std::io::Result<Option<Answer>>, relay: &Relayed<'_>) {
        if matches!(answer, Ok(Some(answer)) if answer.outcome.relay_lost)
            && !variables::is_of_application(self.trusted)
            && let (Some(state), Some(id)) = (state::directory(self.trusted), relay.session())
        {
            state::record::mark_said(&state, &id);
        }
    }

    /// Claude's environment, with the variables that send its exports to the relay.
    fn variables(&self, telemetry: &Telemetry<'_>, endpoint: &str, environment: &Environment) -> Environment {
        let wrapper = wrapper::own(environment, self.trusted, &self.layers);
        let mut with = environment.clone();
        variables::set_relayed(
            &mut with,
            &variables::Relayed {
                endpoint: Some(endpoint),
                attributes: &telemetry.attributes,
                interval_ms: self.loaded.config.export_interval_ms(),
                wrapper: wrapper.as_deref(),
                token_variables: &self.loaded.config.token_variables(),
                debug: self.flags.verify,
            },
        );
        with
    }

    /// Reports the outcome.
    fn relay_report(
        &self,
        telemetry: &Telemetry<'_>,
        answer: std::io::Result<Option<Answer>>,
        mut lines: Vec<Line>,
        session: EndedSession<'_>,
        directory: &Path,
    ) -> Report {
        let EndedSession { id, lasted, left, silence, evidence } = session;
        let (answer, failed) = match answer {
            Ok(answer) => (answer, None),
            Err(error) => (None, Some(relay_cannot_start(telemetry, &error))),
        };
        let context = Context {
            alias: &telemetry.name,
            account: telemetry.account_name,
            lasted,
            owed: silence.owed || (self.flags.verify && arguments::call(self.args) == Call::Session),
            cause: silence.cause.as_ref(),
            verify: self.flags.verify,
            session: id,
            usage: answer.as_ref().map(|answer| Usage::of(&answer.totals, answer.outcome.has_all_totals())),
        };
        let (outcome, copies) = answer.map(|answer| (answer.outcome, answer.copies)).unzip();
        let copies = copies.unwrap_or_default();
        let mut report = summary::report(outcome.as_ref(), &context);
        if let Some(line) = failed {
            report.lines = vec![line];
        }
        if !copies.is_empty() {
            report.json["copies"] = super::copies::json(&copies);
        }
        if let Some(evidence) = evidence {
            verify::extend(&mut report, &evidence, &Basis { whose: telemetry.whose(), conflicts: &left });
        }
        if report.state == State::NothingSent {
            self.raise_importance(&mut report, silence.cause.as_ref());
            // The cause mentions the setting already.
            lines.retain(|line| !silence.names(line, &left));
        }
        lines.extend(self.worth_saying(report.lines.clone(), directory));
        let is_kept = outcome.as_ref().is_some_and(|outcome| outcome.unkept.is_none());
        if report.success && is_kept && !self.flags.verify {
            lines.extend(self.first_success(telemetry, directory));
        }
        lines.extend(super::copies::lines(&telemetry.name, &copies, self.flags.verify));
        lines.extend(self.notice(telemetry, context.session.as_deref()));
        lines.extend(self.unreported());
        self.say(&report, &lines);
        report
    }

    /// A line where the session's cost passes what the alias's `notice` names.
    fn notice(&self, telemetry: &Telemetry<'_>, session: Option<&str>) -> Option<Line> {
        let (dollars, state) = (telemetry.alias.notice?, state::directory(self.trusted)?);
        notice::line(&state, &telemetry.name, dollars, session?)
    }

    fn relay_start(&self, telemetry: &Telemetry<'_>, secret: String, directory: &Path) -> protocol::Start {
        protocol::Start {
            secret,
            route: Some(telemetry.route()),
            redact: self.loaded.config.redact(),
            state: state::directory(self.trusted),
            verify: self.flags.verify,
            directory: directory.to_path_buf(),
            moves: false,
            is_session: arguments::call(self.args) == Call::Session,
            claude: self.claude.to_path_buf(),
            settings: argument::anywhere(directory, self.args),
            pipeline: self.trusted.doubt().pipeline,
            network: network::of_layers(&self.layers),
        }
    }

    /// Whether claude must have exported something, and what kept it from that.
    fn silence(&self, ended: Ended, lasted: Duration, left: &[&Conflict]) -> silence::Silence {
        let ours = Duration::from_millis(self.loaded.config.export_interval_ms());
        let owed =
            silence::is_owed(self.args, End { ended, lasted, interval: silence::interval(ours, &self.layers, left) });
        let cause = owed.then(|| silence::cause(left.iter().copied(), self.client())).flatten();
        silence::Silence { owed, cause }
    }

    /// How long to wait, once claude has ended, for exports that are still being delivered.
    fn exit_wait(&self) -> Duration {
        // When a CI job or pid 1 of a container ends, the relay is killed. So more time is given to it before.
        let nothing_survives = self.trusted.text("CI").is_some() || nix::unistd::getpid().as_raw() == 1;
        let configured = self.loaded.config.exit_wait_ms.as_ref().map(|wait| wait.value);
        Duration::from_millis(match (self.flags.verify, configured) {
            (true, _) => 30_000,
            (false, Some(wait)) => wait,
            (false, None) if nothing_survives => 5_000,
            (false, None) => 300,
        })
    }

    /// The line that names the page of ACT where a success is visible, once for each alias.
    fn first_success(&self, telemetry: &Telemetry<'_>, directory: &Path) -> Vec<Line> {
        let line = Line::notice(format!("{}: {}", telemetry.name, summary::WHERE_IN_ACT));
        let mut lines = self.worth_saying(vec![line], directory);
        let subject = (&telemetry.account.endpoint, &telemetry.alias.id);
        lines.retain(|_| state::directory(self.trusted).is_some_and(|state| state::is_first(&state, subject)));
        lines
    }

    /// The settings overlay, where one is needed and the user's own `--settings` can be read.
    fn overlay(
        &self,
        telemetry: &Telemetry<'_>,
        with: &Environment,
        directory: &Path,
    ) -> std::io::Result<Option<Overlay>> {
        let Some(state) = state::directory(self.trusted).filter(|_| telemetry.overlay) else { return Ok(None) };
        if overlay::is_refused_by(self.client()) {
            return Err(std::io::Error::other("this claude has no --settings"));
        }
        let (text, own) = match argument::of(directory, self.args, self.trusted) {
            Argument::Given { text, bytes } => (text, bytes),
            // Claude itself reports that there is no such file; a file that is not understood must stay as it is.
            Argument::Absent if arguments::has_argument(self.args) => return Ok(None),
            Argument::Unread(_) => return Ok(None),
            Argument::Absent => ("{}".to_owned(), b"{}".to_vec()),
        };
        let variables = variables::of_overlay(with, &self.layers, &telemetry.attributes, &telemetry.conflicts);
        let helper_off =
            telemetry.conflicts.iter().any(|conflict| conflict.effect == Effect::Helper && conflict.overridable);
        let merged = overlay::merge(&text, &variables, helper_off);
        if merged.len() as u64 > argument::LARGEST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let name = relay::secret()?;
        Overlay::write(&state, &name[..16], &merged, &own).map(Some)
    }
}
