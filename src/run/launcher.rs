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
use crate::claude::settings::{self, Layer};
use crate::claude::{enclosing, locate, network, ourselves, variables, wrapper};
use crate::config::resolve::{self, Directory, Explicit, Reason, Resolution};
use crate::config::{self, Loaded};
use crate::launch::process::Image;
use crate::relay::protocol;
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
    let off = trusted.get("ACT_CLAUDE").is_some_and(|value| value == "off");
    let session = !NO_SESSIONS
        .iter()
        .any(|words| args.len() >= words.len() && words.iter().zip(args).all(|(word, arg)| arg == word));
    let doubt = trusted.doubt().everything.as_deref();
    let objection = consent::own_word(&loaded.config, trusted, &layers);
    // A configuration with faults may still be corrected: the relay reads it when the first export arrives.
    let has_aliases = !loaded.config.aliases.is_empty() || !loaded.faults.is_empty();
    // A link to act-claude in claude's place (the shim: docs/automation.md) starts a relay of its own.
    let wanted =
        session && !off && doubt.is_none() && objection.is_none() && has_aliases && !ourselves::is_ourselves(claude);
    let relay = match may_run(&loaded, off, doubt, objection, || resolution(&loaded, &directory, trusted)) {
        Err(message) => {
            report::fatal(&message);
            return ExitCode::from(CONFIGURATION);
        }
        Ok(()) if wanted => start_relay(&loaded, (claude, args), &directory, &layers, trusted),
        Ok(()) => None,
    };
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

/// An error says why claude may not run: telemetry is `required`, and this claude could not report.
fn may_run(
    loaded: &Loaded,
    off: bool,
    doubt: Option<&str>,
    objection: Option<Objection>,
    resolution: impl FnOnce() -> Option<Resolution>,
) -> Result<(), String> {
    let Some(origin) = loaded.config.required_by() else { return Ok(()) };
    let is_broken = |resolution: Resolution| match resolution.reason {
        Reason::Broken { fault } => Some(*fault),
        _ => None,
    };
    let here = || if loaded.faults.is_empty() { None } else { resolution().and_then(is_broken) };
    let why = match (loaded.general_fault().cloned().or_else(here), objection) {
        _ if doubt.is_some() => doubt.unwrap_or_default().to_owned(),
        (Some(fault), _) => fault.to_string(),
        (None, Some(objection)) => objection.line(),
        (None, None) if off => "ACT_CLAUDE is off".to_owned(),
        (None, None) => return Ok(()),
    };
    Err(format!("{why} (telemetry is required by {origin})"))
}

/// The alias of this directory, by the configuration alone.
fn resolution(loaded: &Loaded, directory: &Path, environment: &Environment) -> Option<Resolution> {
    let place = Directory::of(directory, environment, &loaded.config);
    resolve::resolve(Explicit::default(), &loaded.config, &place).ok()
}

/// Starts a relay that finds its alias itself, and returns its endpoint. `None`: it can't start; claude runs without telemetry.
fn start_relay(
    loaded: &Loaded,
    (claude, args): (&Path, &[OsString]),
    directory: &Path,
    layers: &[Layer],
    environment: &Environment,
) -> Option<String> {
    let start = protocol::Start {
        secret: relay::secret().ok()?,
        route: None,
        redact: loaded.config.redact(),
        state: state::directory(environment),
        verify: false,
        directory: directory.to_path_buf(),
        moves: arguments::is_spare(args),
        is_session: arguments::call(args) == Call::Session,
        claude: claude.to_path_buf(),
        network: network::of_layers(layers),
    };
    let mut environment = environment.clone();
    if environment.doubt().alias {
        // A repository may have set the variable. The relay can't see that, and would treat it as the user's choice.
        environment.remove("ACT_CLAUDE_ALIAS");
    }
    relay::orphan(start, &environment).ok()
}
