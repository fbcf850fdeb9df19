//! The launcher form, `act-claude /abs/path/to/claude ARGS…`: Claude Code starts its background processes through a launcher, if
//! one is set as its *process wrapper*, and so does its VS Code extension (P4–P6 in docs/observed-claude.md). A
//! spare of the Agent SDK (S4 there) is started in the same way, though its application uses no launcher.
//!
//! It changes no argument, prints nothing unless claude does not run, and ends in exec. With a relay, it sets the variables that
//! send claude's exports there, and removes those that hold tokens. It sets the process wrapper for what claude starts, and
//! removes `ACT_CLAUDE_ALIAS`. All other variables of the user are passed on. The relay finds the alias itself when the first
//! export arrives: a spare (`arguments::is_spare`) is in its session's directory only then.
//!
//! Inside another claude, a repository's settings may have changed the environment. `trusted` is the environment without the
//! changes that a repository may not make; its `doubt` says what is not certain even so (`claude::enclosing`). An `Objection` is
//! the user's own decision against telemetry to ACT. The `Chain` tells whether `claude` is a script that started this process
//! and would start it again.

use std::ffi::OsString;
use std::path::Path;

use crate::claude::arguments::{self, Call};
use crate::claude::chain::{Chain, Start};
use crate::claude::consent::{self, Objection};
use crate::claude::settings::{self, Layer, argument};
use crate::claude::{enclosing, locate, network, ourselves, switched_off, variables, wrapper};
use crate::config::resolve::{self, Directory, Explicit, Reason, Resolution};
use crate::config::{self, Loaded};
use crate::delivery::cause;
use crate::launch::process::Image;
use crate::plan::line::Line;
use crate::plan::{self, Plan};
use crate::relay::{protocol, unstarted};
use crate::run::{relay, report};
use crate::state::{self, log};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode};

/// The first arguments of claude's processes that are not sessions: the daemon, which starts the background agents of all
/// directories; the host of an agent's terminal; `--version`. One that is missing here gets an idle relay, without other effects.
const NO_SESSIONS: [&[&str]; 3] = [&["daemon", "run"], &["--bg-pty-host"], &["--version"]];

/// The launcher form: becomes the claude that the caller names.
pub fn run(claude: &Path, args: &[OsString], mut environment: Environment) -> ExitCode {
    let trusted = enclosing::trusted_environment(&mut environment);
    log::start(&trusted);
    let chain = Chain::here(&trusted);
    if locate::leads_back(claude, &chain) || chain.is_endless() {
        let again = "which would start it again: name the real claude";
        report::fatal(&format!("{} starts act-claude, {again}", claude.display()));
        return ExitCode::from(126);
    }
    become_claude(claude, args, environment, &trusted)
}

/// Becomes claude, whose relay finds the alias itself.
pub fn become_claude(claude: &Path, args: &[OsString], environment: Environment, trusted: &Environment) -> ExitCode {
    let chain = Chain::here(trusted);
    let loaded = config::load(trusted);
    let directory = std::env::current_dir().unwrap_or_default();
    let layers = settings::read(&directory, args, trusted);
    let facts = Facts { claude, args, loaded: &loaded, directory: &directory, layers: &layers, trusted };
    let (off, session) = (facts.is_off(), facts.is_session());
    let relay = match facts.relay() {
        Ok(relay) => relay,
        Err(message) => {
            report::fatal(&message);
            return ExitCode::from(CONFIGURATION);
        }
    };
    let doubt = trusted.doubt().everything.as_deref();
    tracing::debug!(claude = %claude.display(), session, off, has_relay = relay.is_some(), "launcher");
    // The daemon serves all directories, for as long as it runs. If a repository may have changed the daemon's environment, the
    // daemon gets no wrapper, and its agents are not reported, until the next `claude --bg` with a wrapper replaces it.
    let lasts = args.first().is_some_and(|word| word == "daemon");
    let is_doubtful = doubt.is_some() || (lasts && enclosing::differs(&environment, trusted));
    let wrapper = wrapper::own(&environment, trusted, &layers).filter(|_| !is_doubtful);
    let mut with = environment;
    if is_doubtful && with.get(variables::WRAPPER).is_some_and(|path| ourselves::is_ourselves(Path::new(path))) {
        with.remove(variables::WRAPPER);
    }
    // Claude's own tools must not see a token: where there is a relay, only the relay gets it. The daemon has no relay, and keeps
    // the variables that hold tokens, for the relays of its agents.
    let token_variables = if relay.is_some() { loaded.config.token_variables() } else { Vec::new() };
    let relayed = variables::Relayed {
        endpoint: relay.as_deref(),
        attributes: &[],
        interval_ms: loaded.config.export_interval_ms(),
        wrapper: wrapper.as_deref(),
        token_variables: &token_variables,
        debug: false,
    };
    if !off && doubt.is_none() {
        variables::set_relayed(&mut with, &relayed);
    }
    let with = chain.handed_on(&with, claude, Start::Exec(nix::unistd::getpid().as_raw()));
    let error = match Image::new(claude, claude.as_os_str(), args, &with) {
        Ok(image) => image.exec(),
        Err(error) => error,
    };
    report::fatal(&format!("{}: {}", claude.display(), plain(&error)));
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// What is known before claude starts.
struct Facts<'a> {
    claude: &'a Path,
    args: &'a [OsString],
    loaded: &'a Loaded,
    directory: &'a Path,
    layers: &'a [Layer],
    trusted: &'a Environment,
}

impl Facts<'_> {
    fn is_off(&self) -> bool {
        switched_off::is_off(self.trusted)
    }

    fn is_session(&self) -> bool {
        let is_start = |words: &[&str]| {
            self.args.len() >= words.len() && words.iter().zip(self.args).all(|(word, arg)| arg == word)
        };
        !NO_SESSIONS.iter().any(|words| is_start(words))
    }

    /// A configuration with faults may still be corrected: the relay reads it when the first export arrives.
    fn has_aliases(&self) -> bool {
        !self.loaded.config.aliases.is_empty() || self.loaded.has_faults_of_aliases()
    }

    /// Starts a relay, where one is wanted, and returns its endpoint. An error says why claude may not run.
    fn relay(&self) -> Result<Option<String>, String> {
        let objection = consent::own_word(&self.loaded.config, self.trusted, self.layers);
        let may_report = !self.is_off() && self.trusted.doubt().everything.is_none() && objection.is_none();
        self.may_run(objection)?;
        // A link to act-claude in claude's place (the shim: docs/automation.md) starts a relay of its own.
        let is_wanted = self.is_session() && may_report && self.has_aliases() && !ourselves::is_ourselves(self.claude);
        if is_wanted { self.start_relay() } else { Ok(None) }
    }

    /// An error says why claude may not run: telemetry is `required`, and this claude could not report. What only the first
    /// export shows is not known yet: whether its directory has an alias.
    fn may_run(&self, objection: Option<Objection>) -> Result<(), String> {
        let loaded = self.loaded;
        let Some(origin) = loaded.config.required_by().filter(|_| arguments::call(self.args) != Call::Trivial) else {
            return Ok(());
        };
        if self.is_off() {
            return Err(plan::not_off(origin));
        }
        let here = || match self.resolution()?.reason {
            Reason::Broken { fault } => Some(*fault),
            _ => None,
        };
        let is_faultless = loaded.faults.is_empty();
        let fault = if is_faultless { None } else { loaded.general_fault().cloned().or_else(here) };
        let line = match (self.trusted.doubt().everything.as_deref(), fault) {
            (Some(doubt), _) => Line::configuration(format!("no telemetry: {doubt}")),
            (None, Some(fault)) => plan::faulty(loaded, &fault),
            // The daemon may run: an alias may be configured before it starts a session.
            (None, None) if self.is_session() && !self.has_aliases() => {
                let Some(resolution) = self.resolution() else { return Ok(()) };
                plan::no_alias(loaded, self.trusted, self.directory, &resolution)
            }
            (None, None) => match objection {
                Some(objection) => Line::notice(objection.line()),
                None => return Ok(()),
            },
        };
        self.go_on_without(line)
    }

    /// Goes on without telemetry, which `line` explains. An error: telemetry is `required`, so claude may not run.
    fn go_on_without(&self, line: Line) -> Result<(), String> {
        match plan::without(self.loaded, line) {
            Plan::Refuse { message, .. } => Err(message),
            Plan::Plain { .. } | Plan::Run { .. } => Ok(()),
        }
    }

    /// The alias of this directory, by the configuration alone.
    fn resolution(&self) -> Option<Resolution> {
        let place = Directory::of(self.directory, self.trusted, &self.loaded.config);
        resolve::resolve(Explicit::default(), &self.loaded.config, &place).ok()
    }

    /// Starts a relay that finds its alias itself, and returns its endpoint. Where it can't start, claude runs without telemetry
    /// and the session's record says so; with `required` claude does not run, and the error says why.
    fn start_relay(&self) -> Result<Option<String>, String> {
        let mut environment = self.trusted.clone();
        if environment.doubt().alias {
            // A repository may have set the variable. The relay can't see that, and would treat it as the user's choice.
            environment.remove("ACT_CLAUDE_ALIAS");
        }
        let mut start = protocol::Start {
            secret: String::new(),
            route: None,
            redact: self.loaded.config.redact(),
            state: state::directory(&environment),
            verify: false,
            directory: self.directory.to_path_buf(),
            moves: arguments::is_spare(self.args),
            is_session: arguments::call(self.args) == Call::Session,
            claude: self.claude.to_path_buf(),
            settings: argument::anywhere(self.directory, self.args),
            pipeline: environment.doubt().pipeline,
            network: network::of_layers(self.layers),
        };
        let started = relay::secret().and_then(|secret| {
            start.secret = secret;
            relay::orphan(start.clone(), &environment)
        });
        match started {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(error) => {
                self.go_on_without(Line::configuration(cause::unstarted(&error).said))?;
                unstarted::note(&start, &environment, &error);
                Ok(None)
            }
        }
    }
}
